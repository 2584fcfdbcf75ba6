"""The step of `tui_opt.kernels.plane_step` in torch, for a GPU: the same rectangles, images, cuts and deposits.

Sums are in no fixed order on a GPU: laws agree with the compiled step's to 1e-11 of the mass in any cell after some
tens of steps (the mass of an image below which it is not cut), and moments to 1e-12, not to the bit.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import torch

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.plane import PlaneOperator, PlaneState
from tui_opt.kernels.plane_cells import (
    FARTHEST,
    FORGOTTEN,
    LIGHT,
    MOMENTS,
    MOST_PIECES,
    OVERHANG,
    RIM,
    THINNEST,
)

Tensor: TypeAlias = torch.Tensor
Image: TypeAlias = tuple[Tensor, ...]
"""Mean (2) and covariance (11, 12, 22) of images, in units of cells."""

CELLS_AT_ONCE: Final = 1 << 20
"""Cells that are worked on together: about 500 bytes of intermediate results each. Fewer where they do not fit."""
FEWEST_AT_ONCE: Final = 1 << 13
"""Where not even these fit, nothing will."""


def advance_on(
    device: str, operator: PlaneOperator, state: PlaneState, steps: int, check: Check = unchecked
) -> None:
    """Advance a law by `steps` steps on a device of torch, in place. Float64.

    Args:
        device: as torch names it, such as `cuda:0` or `cpu`.
        operator, state: the law.
        steps: number of steps.
        check: called after every step; when it raises, the state is as it was before the call.

    Raises: ValueError when the state has other cells; torch.OutOfMemoryError when the device has no room for them.
    """
    rows, columns = operator.cells
    if state.moments.shape != (rows, columns, MOMENTS):
        raise ValueError(
            f"The state has shape {state.moments.shape}; the operator has cells for {(rows, columns, MOMENTS)}."
        )
    if steps == 0:
        return
    near = operator.images[:, :, RIM : RIM + rows + 2, RIM : RIM + columns + 2]
    images = torch.as_tensor(np.ascontiguousarray(near), device=device)
    now = torch.as_tensor(state.moments.reshape(-1, MOMENTS), device=device)
    lost = torch.zeros((), dtype=now.dtype, device=device)
    at_once, done = CELLS_AT_ONCE, 0
    while done < steps:
        try:
            now, lost = _step(now, images, lost, at_once)
        except torch.OutOfMemoryError:
            if at_once <= FEWEST_AT_ONCE:
                raise
            at_once //= 2
            continue
        done += 1
        check()
    moments, outside = now.cpu().numpy().reshape(rows, columns, MOMENTS), float(lost)
    state.moments[...] = moments
    state.outside += outside


def _step(moments: Tensor, images: Tensor, lost: Tensor, at_once: int) -> tuple[Tensor, Tensor]:
    """moments[cell, 6] one step later, and `lost` with what leaves the box, or is forgotten."""
    terms, rows, columns = images.shape[0], images.shape[2] - 2, images.shape[3] - 2
    after = torch.zeros_like(moments)
    held = moments[:, 0] > FORGOTTEN
    lost = lost + moments[:, 0][~held].sum()
    for present in torch.split(torch.nonzero(held).flatten(), at_once):
        mass, *rectangle = _rectangles(moments[present])
        row, column = present // columns, present % columns
        for j in range(terms):
            image = _image(images[j], row, column, *rectangle)
            _deposit(after, lost, mass / terms, image, rows, columns, LIGHT / (rows * columns * terms))
    return after, lost


def _rectangles(moments: Tensor) -> tuple[Tensor, ...]:
    """Mass, mean (2) and covariance (11, 12, 22) of each cell that holds something."""
    mass = moments[:, 0]
    d1, d2, p11, p12, p22 = (moments[:, 1:] / mass[:, None]).unbind(1)
    return mass, d1, d2, (p11 - d1 * d1).clamp_min(0.0), p12 - d1 * d2, (p22 - d2 * d2).clamp_min(0.0)


def _image(
    images: Tensor, row: Tensor, column: Tensor, d1: Tensor, d2: Tensor, v11: Tensor, v12: Tensor, v22: Tensor
) -> Image:
    """Mean and covariance of the images, to second order; derivatives are central differences between cells."""
    q11, q12, q22 = 0.5 * (d1 * d1 + v11), d1 * d2 + v12, 0.5 * (d2 * d2 + v22)
    places, slopes = [], []
    for axis in range(2):
        u = images[axis]
        middle = u[row + 1, column + 1]
        up, down = u[row + 2, column + 1], u[row, column + 1]
        right, left = u[row + 1, column + 2], u[row + 1, column]
        u11, u22 = up - 2.0 * middle + down, right - 2.0 * middle + left
        u12 = 0.25 * (u[row + 2, column + 2] - u[row + 2, column])
        u12 = u12 - 0.25 * (u[row, column + 2] - u[row, column])
        u1, u2 = 0.5 * (up - down), 0.5 * (right - left)
        places.append(middle + u1 * d1 + u2 * d2 + u11 * q11 + u12 * q12 + u22 * q22)
        slopes.append((u1 + u11 * d1 + u12 * d2, u2 + u12 * d1 + u22 * d2))
    (u1, u2), (s1, s2) = slopes
    a1, a2 = u1 * v11 + u2 * v12, u1 * v12 + u2 * v22
    return (
        places[0], places[1], a1 * u1 + a2 * u2, a1 * s1 + a2 * s2,
        (s1 * v11 + s2 * v12) * s1 + (s1 * v12 + s2 * v22) * s2,
    )  # fmt: skip


def _deposit(
    after: Tensor, lost: Tensor, mass: Tensor, image: Image, rows: int, columns: int, light: float
) -> None:
    """Cut the images at the borders they cross, and add the pieces to their cells."""
    good = torch.stack(
        [image[0].abs() < FARTHEST, image[1].abs() < FARTHEST, image[2] < FARTHEST**2, image[4] < FARTHEST**2]
    )
    good = good.all(dim=0)
    lost += mass[~good].sum()
    mass, image = mass[good], tuple(x[good] for x in image)
    simple = _deposit_simple(after, lost, mass, image, rows, columns, light)
    _spread(after, lost, mass[~simple], tuple(x[~simple] for x in image), rows, columns)


def _deposit_simple(
    after: Tensor, lost: Tensor, mass: Tensor, image: Image, rows: int, columns: int, light: float
) -> Tensor:
    """Deposit the images that cross no more than the nearest border of each axis, and say which these are."""
    mean1, mean2, w11, w12, w22 = image
    simple = (mean1 >= -1.0) & (mean1 <= rows) & (mean2 >= -1.0) & (mean2 <= columns)
    first = _Cut(mean1, w11, w12, w22, mass >= light)
    simple &= first.simple
    second = []
    for _, centre, width, _ in first.pieces:
        v11 = width * width / 12.0
        v12 = first.slope * v11
        v22 = first.rest + first.slope * v12
        mean = mean2 + first.slope * first.side * (centre - first.place)
        second.append(_Cut(mean, v22, v12, v11, mass >= light, columns))
        simple &= second[-1].simple
    for (share, centre, _, offset), cut in zip(first.pieces, second, strict=True):
        across = (centre - offset) * first.side
        row = first.cell + first.side * offset
        for share2, centre2, width2, offset2 in cut.pieces:
            y22 = width2 * width2 / 12.0
            y12 = cut.slope * y22
            y11 = cut.rest + cut.slope * y12
            y1 = across + cut.slope * cut.side * (centre2 - cut.place)
            y2 = (centre2 - offset2) * cut.side
            column = cut.cell + cut.side * offset2
            inside = simple & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
            m = mass * share * share2
            lost += m[simple & ~inside].sum()
            _add(
                after,
                (row * columns + column)[inside],
                m[inside],
                *(x[inside] for x in (y1, y2, y11, y12, y22)),
            )
    return simple


def _spread(after: Tensor, lost: Tensor, mass: Tensor, image: Image, rows: int, columns: int) -> None:
    """Cut images at every border they cross; what lies outside the box is lost."""
    mean1, mean2, w11, w12, w22 = image
    lost += mass.sum()
    slope, rest = _regression(w11, w12, w22)
    r = torch.sqrt(3.0 * torch.where(w11 > THINNEST, w11, 0.0))
    number, row, centre, width, share = _pieces(mean1, r, rows)
    mean = mean2[number] + slope[number] * (centre - mean1[number])
    v11 = width * width / 12.0
    v12 = slope[number] * v11
    v22 = rest[number] + slope[number] * v12
    mass = mass[number] * share
    slope2, rest1 = _regression(v22, v12, v11)
    r2 = torch.sqrt(3.0 * torch.where(v22 > THINNEST, v22, 0.0))
    number, column, centre2, width2, share2 = _pieces(mean, r2, columns)
    y22 = width2 * width2 / 12.0
    y12 = slope2[number] * y22
    y11 = rest1[number] + slope2[number] * y12
    y1 = (centre - row)[number] + slope2[number] * (centre2 - mean[number])
    m = mass[number] * share2
    lost -= m.sum()
    _add(after, row[number] * columns + column, m, y1, centre2 - column, y11, y12, y22)


def _regression(variance: Tensor, covariance: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Slope of the other axis on this one, and what it leaves of the other's variance."""
    thick = variance > THINNEST
    covariance = torch.where(thick, covariance, 0.0)
    slope = covariance / torch.where(thick, variance, 1.0)
    return slope, (other - slope * covariance).clamp_min(0.0)


def _pieces(mean: Tensor, r: Tensor, cells: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Pieces of the intervals mean +- r inside the box: number of the interval, cell, centre, width, share of mass."""
    low, high = mean - r, mean + r
    span = high - low
    low, high = low.clamp_min(-0.5), high.clamp_max(cells - 0.5)
    first = torch.floor(low + 0.5).clamp_max(cells - 1.0)
    last = torch.floor(high + 0.5).clamp_max(cells - 1.0)
    # Half a cell more may be rounded up to the border of a cell that is not reached.
    last = torch.where((last - 0.5 > high) & (last > first), last - 1.0, last)
    pieces = last - first + 1.0
    pieces = torch.where(low > high, 0.0, pieces)
    by_cell = pieces <= MOST_PIECES
    pieces = pieces.clamp_max(float(MOST_PIECES))
    counts = pieces.to(torch.int64)
    number = torch.repeat_interleave(torch.arange(mean.numel(), device=mean.device), counts)
    before = torch.cumsum(counts, 0) - counts
    k = (torch.arange(number.numel(), device=mean.device) - before[number]).to(mean.dtype)
    low, high, first, by_cell, pieces, span = (x[number] for x in (low, high, first, by_cell, pieces, span))
    step = (high - low) / pieces
    a = torch.where(by_cell, torch.maximum(low, first + k - 0.5), low + step * k)
    b = torch.where(by_cell, torch.minimum(high, first + k + 0.5), low + step * (k + 1.0))
    centre, width = 0.5 * (a + b), b - a
    cell = torch.where(by_cell, first + k, torch.floor(centre + 0.5).clamp_max(cells - 1.0))
    share = torch.where(span > 0.0, width / torch.where(span > 0.0, span, 1.0), 1.0)
    return number, cell, centre, width.clamp_max(1.0), share


def _add(
    after: Tensor, cell: Tensor, m: Tensor, y1: Tensor, y2: Tensor, y11: Tensor, y12: Tensor, y22: Tensor
) -> None:
    """Add masses m with means y and covariances to their cells."""
    one = torch.ones_like(m)
    moments = torch.stack([one, y1, y2, y1 * y1 + y11, y1 * y2 + y12, y2 * y2 + y22], dim=1)
    after.index_add_(0, cell.to(torch.int64), moments * m[:, None])


class _Cut:
    """Rectangles cut across one axis, in a frame mirrored so that the nearest border lies at +1/2.

    Attributes:
        cell, side, place: the cell the mean lies in, the side of it that the border is on, and the mean's distance
            from its centre.
        slope, rest: regression of the other axis, and what it leaves of the other's variance.
        simple: whether the far border is not crossed.
        pieces: (share of the mass, centre, width, 0 or 1 cell beyond) of the inner and the outer piece.
    """

    def __init__(
        self,
        mean: Tensor,
        variance: Tensor,
        covariance: Tensor,
        other: Tensor,
        heavy: Tensor,
        last: int | None = None,
    ) -> None:
        self.slope, self.rest = _regression(variance, covariance, other)
        variance = torch.where(variance > THINNEST, variance, 0.0)
        per_variance = 1.0 / torch.where(variance > 0.0, variance, 1.0)
        r = torch.sqrt(3.0 * variance)
        self.cell = torch.round(mean)
        if last is not None:
            self.cell = self.cell.clamp(-1.0, float(last))
        place = mean - self.cell
        self.side = torch.where(place >= 0.0, 1.0, -1.0).to(mean.dtype)
        self.place = place.abs()
        near = 0.5 - self.place
        self.simple = r <= self.place + (0.5 + OVERHANG)
        crosses = (r > near) & heavy
        beyond = torch.where(crosses, (r - near) * (r * per_variance) / 6.0, 0.0).clamp_max(1.0)
        outer = torch.where(crosses, self.place + r - 0.5, 0.0)
        inner = 2.0 * r - outer
        self.pieces = (
            (1.0 - beyond, self.place - r + 0.5 * inner, inner, 0.0),
            (beyond, 0.5 + 0.5 * outer, outer, 1.0),
        )
