"""The generator of a one-dimensional Fokker-Planck equation on cells, by Scharfetter-Gummel fluxes.

Between the centres of two cells the current is taken as constant, the drift u as constant and the diffusivity D as
linear. The current then vanishes exactly for the exact law of zero current, D^(-2c) exp(integral of u/D), and the
face value of D is the logarithmic mean of its neighbours. Without diffusion the flux is the upwind one. All rates are
positive, so masses stay positive; what leaves a cell enters its neighbour, so mass is conserved.

Rates are kept as logarithms: against a strong drift they fall below the smallest double.

Reference: Scharfetter & Gummel (1969), IEEE Trans. Electron Devices 16, 64; Chang & Cooper (1970), J. Comput. Phys.
6, 1; Heida, Kantner & Stephan (2021), ESAIM: M2AN 55, 3017 (means of the coefficients at the faces).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from tui_opt.kernels.callables import FloatArray, evaluate
from tui_opt.kernels.fokker_planck import Equation


class FaceMean(Enum):
    """How the diffusivity between two cells follows from its values D0, D1 at their centres."""

    LOGARITHMIC = "logarithmic"
    HARMONIC = "harmonic"
    ARITHMETIC = "arithmetic"
    AT_FACE = "at face"


class Barrier(Enum):
    """Which end of the cells absorbs; walls that do not absorb reflect."""

    NONE = 0
    LEFT = -1
    RIGHT = 1


@dataclass(frozen=True)
class Generator:
    """Rates at which mass moves between neighbouring cells, per SGD step; their columns sum to zero by construction.

    Attributes:
        edges: [cells + 1], increasing.
        log_right: [cells - 1], log of the rate from cell i to cell i + 1; -inf where nothing passes.
        log_left: [cells - 1], log of the rate from cell i + 1 to cell i.
        barrier: which end absorbs.
        log_out: log of the rate from the cell at the barrier to beyond it; -inf without a barrier.
    """

    edges: FloatArray
    log_right: FloatArray
    log_left: FloatArray
    barrier: Barrier
    log_out: float

    @property
    def cells(self) -> int:
        return int(self.edges.size - 1)

    @property
    def centres(self) -> FloatArray:
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    @property
    def widths(self) -> FloatArray:
        return np.diff(self.edges)

    @cached_property
    def right(self) -> FloatArray:
        """[cells - 1], rates from cell i to cell i + 1."""
        return np.exp(self.log_right)

    @cached_property
    def left(self) -> FloatArray:
        """[cells - 1], rates from cell i + 1 to cell i."""
        return np.exp(self.log_left)

    @property
    def out(self) -> float:
        """The rate from the cell at the barrier to beyond it."""
        return float(np.exp(self.log_out))


def generator_on_edges(
    equation: Equation,
    edges: FloatArray,
    barrier: Barrier = Barrier.NONE,
    face_mean: FaceMean = FaceMean.LOGARITHMIC,
) -> Generator:
    """Build the generator on given cells with reflecting walls, or one absorbing end where P = 0.

    The logarithmic mean is the default because it is exact for a linear D and measured best where the noise
    vanishes; the others are kept for comparison (`benchmarks/fokker_planck.py` prints their errors).

    Args:
        equation: drift and diffusivity.
        edges: [cells + 1], strictly increasing, at least 3 cells of any widths.
        barrier: the end that absorbs.
        face_mean: mean of the diffusivity at faces.

    Returns: the generator.
    Raises: ValueError for bad edges, or where drift or diffusivity are not finite.
    Reference: Scharfetter & Gummel (1969), equation 17.
    """
    edges = np.ascontiguousarray(edges, dtype=np.float64)
    if edges.ndim != 1 or edges.size < 4 or not np.all(np.diff(edges) > 0) or not np.all(np.isfinite(edges)):
        raise ValueError(
            f"edges has shape {edges.shape}; at least 4 finite, strictly increasing edges are needed."
        )
    centres = 0.5 * (edges[1:] + edges[:-1])
    log_widths = np.log(np.diff(edges))
    diffusivity = _field(equation.diffusivity, centres, "diffusivity")
    to_right, to_left = _log_fluxes(equation, centres, diffusivity, face_mean)
    log_out = -np.inf
    if barrier is not Barrier.NONE:
        last = -1 if barrier is Barrier.RIGHT else 0
        places = np.sort(np.array([centres[last], edges[last]]))
        outward, inward = _log_fluxes(
            equation, places, _field(equation.diffusivity, places, "diffusivity"), face_mean
        )
        log_out = float((outward if barrier is Barrier.RIGHT else inward)[0] - log_widths[last])
    return Generator(edges, to_right - log_widths[:-1], to_left - log_widths[1:], barrier, log_out)


def _log_fluxes(
    equation: Equation, places: FloatArray, diffusivity: FloatArray, face_mean: FaceMean
) -> tuple[FloatArray, FloatArray]:
    """Logs of the two parts of the flux a P0 - b P1 between neighbouring places, each [places - 1].

    With the Peclet number x = v d / D and the Bernoulli function B(x) = x / (e^x - 1), a = D B(-x) / d and
    b = D B(x) / d. The larger of the two is |v| / (1 - e^-|x|), the other e^-|x| times it.
    """
    distance = np.diff(places)
    middles = places[:-1] + 0.5 * distance
    drift = _field(equation.drift, middles, "drift")
    before, after = diffusivity[:-1], diffusivity[1:]
    face = _face_diffusivity(equation, before, after, middles, face_mean)
    velocity = drift - 2 * equation.noise_drift * (after - before) / distance
    speed = np.abs(velocity)
    with np.errstate(all="ignore"):
        peclet = np.where(speed > 0, speed * distance / face, 0.0)
        slow = face / distance * (1 + peclet / 2 + peclet**2 / 12)
        log_larger = np.log(np.where(peclet < 1e-3, slow, speed / -np.expm1(-peclet)))
    nothing = np.zeros_like(peclet)
    # Where nothing passes both logs are -inf; subtracting an infinite Peclet number is what one wants there too.
    to_right = log_larger - np.where(velocity < 0, peclet, nothing)
    to_left = log_larger - np.where(velocity > 0, peclet, nothing)
    return to_right, to_left


def _face_diffusivity(
    equation: Equation, before: FloatArray, after: FloatArray, middles: FloatArray, face_mean: FaceMean
) -> FloatArray:
    if face_mean is FaceMean.AT_FACE:
        return _field(equation.diffusivity, middles, "diffusivity")
    if face_mean is FaceMean.ARITHMETIC:
        return 0.5 * (before + after)
    low, high = np.minimum(before, after), np.maximum(before, after)
    with np.errstate(all="ignore"):
        if face_mean is FaceMean.HARMONIC:
            return np.where(low > 0, 2 * low / (1 + low / high), 0.0)
        # (high - low) / ln(high / low); the difference of near equals is left to log1p.
        excess = (high - low) / low
        mean = np.where(excess < 1e-8, low + 0.5 * (high - low), (high - low) / np.log1p(excess))
    # Where the ratio overflows, low is far below anything that matters: no diffusion across.
    return np.where((low > 0) & np.isfinite(excess), mean, 0.0)


def _field(function, w: FloatArray, name: str) -> FloatArray:  # type: ignore[no-untyped-def]
    values = evaluate(function, w)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(
            f"The {name} is {values[bad[0]]} at W = {w[bad[0]]:.6g}: the gradients are not finite there, or their "
            "squares overflow. Choose w_min and w_max (or the barrier) so that all gradients are finite between them."
        )
    return values
