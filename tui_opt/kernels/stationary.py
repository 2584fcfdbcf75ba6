"""Stationary points of a loss on an interval: every zero of its derivative, with its kind, and every kink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Field, FloatArray, evaluate

Kind = Literal["minimum", "maximum", "inflection"]
Check = Callable[[], None]
IntArray = NDArray[np.int64]

TANGENT_TOLERANCE = 1e-10
"""A derivative touches zero when its extremum is below this fraction of its values nearby."""
FLAT_TOLERANCE = 1e-6
"""A curvature below this fraction of its values at a distance of `FLAT_DISTANCE` is rounding: it is zero."""
FLAT_DISTANCE = 1e-4
MAX_NODES = 200_000
BROADEST_NOISE = 16
"""A stretch of noise wider than this many starting spacings is a plateau, a narrower one may hide a zero."""
PROBES = np.linspace(0.03, 0.97, 24) + 0.011 * np.sin(37.0 * np.arange(24))
"""Fractions of a bracket at which the sign must be right; irregular, so that no period of the loss fits."""
CHUNK = 4096


@dataclass(frozen=True)
class StationaryPoint:
    """A stationary point: its place, kind and second derivative.

    The second derivative is NaN at a kink, where the first one jumps through zero, and 0 where it is rounding.
    """

    w: float
    kind: Kind
    curvature: float


def stationary_points(
    gradient: Field,
    curvature: Field,
    w_min: float,
    w_max: float,
    points: int = 4001,
    check: Check = lambda: None,
) -> list[StationaryPoint]:
    """Find every stationary point of a loss on [w_min, w_max], in increasing order of w.

    A grid is halved wherever a cubic through its nodes misses the derivative, so features a few times
    narrower than the starting spacing are resolved too. Changes of sign are bisected to rounding; one counts
    only when the derivative has one sign on each side of it, which noise has not. A zero is where the
    derivative fades, a kink where it stays bounded but not small; where it grows there is a pole and no
    point. Places without a change of sign are found at the zeros of the curvature. Plateaus, where the
    derivative is zero or mere rounding noise over many nodes, give no points.

    Args:
        gradient: first derivative, w[n] -> [n].
        curvature: second derivative, w[n] -> [n].
        w_min, w_max: interval, finite, w_min < w_max.
        points: nodes of the starting grid, at least 3. A feature that fits between two nodes is not seen.
        check: called between evaluations; what it raises ends the search.

    Returns: points sorted by w.
    Raises: ValueError for an empty interval or fewer than 3 points.
    """
    if not (np.isfinite(w_min) and np.isfinite(w_max) and w_min < w_max):
        raise ValueError(
            f"The interval is [{w_min}, {w_max}]; both ends must be finite and w_min below w_max."
        )
    if points < 3:
        raise ValueError(f"points is {points}; at least 3 grid nodes are needed.")
    w, g, c = _resolved_grid(gradient, curvature, np.linspace(w_min, w_max, points), check)
    w, g, c = _with_extrema(gradient, curvature, w, g, c, check)
    found, noisy = _crossings(gradient, w, g, check)
    found += _hidden_in_noise(gradient, w, noisy, BROADEST_NOISE * (w_max - w_min) / (points - 1))
    found += _touching(w, g, c)
    found.sort(key=lambda candidate: candidate.w)
    curvatures = _curvatures(curvature, np.array([candidate.w for candidate in found]))
    return [
        StationaryPoint(f.w, f.kind or _kind_from_curvature(k), float("nan") if f.kink else float(k))
        for f, k in zip(found, curvatures, strict=True)
    ]


def minima(points: list[StationaryPoint]) -> list[StationaryPoint]:
    """The minima among `points`, in the same order."""
    return [point for point in points if point.kind == "minimum"]


def sharpness(point: StationaryPoint) -> float:
    """Second derivative of a point; infinite at a kink, which is sharper than any smooth minimum."""
    return float("inf") if np.isnan(point.curvature) else point.curvature


@dataclass(frozen=True)
class Pit:
    """A minimum to escape from: `w`, the `maximum` to cross and the `other` minimum behind it."""

    w: float
    maximum: float
    other: float


def sharpest_pit(points: list[StationaryPoint]) -> Pit | None:
    """The sharpest minimum that has another minimum beside it; None when there are not two minima.

    Sharpness, not loss, decides what SGD leaves; a kink is the sharpest. With neighbours on both sides the
    nearer maximum is taken.
    """
    wells = sorted(minima(points), key=lambda point: -sharpness(point))
    tops = [point.w for point in points if point.kind == "maximum"]
    for well in wells:
        pits = []
        for other in wells:
            between = [top for top in tops if min(well.w, other.w) < top < max(well.w, other.w)]
            if len(between) == 1:
                pits.append(Pit(well.w, between[0], other.w))
        if pits:
            return min(pits, key=lambda pit: abs(pit.maximum - pit.w))
    return None


@dataclass(frozen=True)
class _Candidate:
    """A place found; kind None is left to the curvature."""

    w: float
    kind: Kind | None
    kink: bool = False


def _resolved_grid(
    gradient: Field, curvature: Field, w: FloatArray, check: Check
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Halve the intervals of w where the Hermite cubic misses the midpoint, up to 12 times."""
    g, c = evaluate(gradient, w), evaluate(curvature, w)
    suspicious = np.ones(w.size - 1, dtype=bool)
    for _ in range(12):
        check()
        left = np.flatnonzero(suspicious)
        if left.size == 0 or w.size + left.size > MAX_NODES:
            break
        h = w[left + 1] - w[left]
        middle = w[left] + 0.5 * h
        g_mid, c_mid = evaluate(gradient, middle), evaluate(curvature, middle)
        with np.errstate(all="ignore"):
            cubic = 0.5 * (g[left] + g[left + 1]) + 0.125 * h * (c[left] - c[left + 1])
            scale = np.abs(g[left]) + np.abs(g[left + 1]) + np.abs(g_mid)
            missed = np.abs(g_mid - cubic) > 1e-4 * scale
        at = left + 1
        w, g, c = np.insert(w, at, middle), np.insert(g, at, g_mid), np.insert(c, at, c_mid)
        suspicious = np.zeros(w.size - 1, dtype=bool)
        moved = left + np.arange(left.size)
        suspicious[moved] = suspicious[moved + 1] = missed
    return w, g, c


def _with_extrema(
    gradient: Field, curvature: Field, w: FloatArray, g: FloatArray, c: FloatArray, check: Check
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Insert the derivative's extrema as nodes: two zeros in one interval become two sign changes."""
    sign, bend = np.sign(g), np.sign(c)
    bracket = np.flatnonzero((bend[:-1] * bend[1:] < 0) & (sign[:-1] * sign[1:] > 0))
    extra = _bisect(curvature, w[bracket], w[bracket + 1], bend[bracket], check)
    inside = (extra > w[bracket]) & (extra < w[bracket + 1])
    at, extra = bracket[inside] + 1, extra[inside]
    return (
        np.insert(w, at, extra),
        np.insert(g, at, evaluate(gradient, extra)),
        np.insert(c, at, evaluate(curvature, extra)),
    )


def _bisect(
    function: Field, low: FloatArray, high: FloatArray, before: FloatArray, check: Check
) -> FloatArray:
    """Where the sign leaves `before` in each bracket, to the last bit, all brackets at once.

    A place that is exactly zero or not finite is the answer. Bisection, unlike faster methods, does not mind
    kinks, poles and zeros of high order.
    """
    width = high - low
    low, high = low.copy(), high.copy()
    active = np.arange(low.size)
    # A bracket is at most 2^33 wide and 2^-90 is far below the rounding of anything that is not at 0.
    for _ in range(120):
        if active.size == 0:
            break
        check()
        middle = low[active] + 0.5 * (high[active] - low[active])
        value = evaluate(function, middle)
        below = np.sign(value) == before[active]
        low[active[below]] = middle[below]
        high[active[~below]] = middle[~below]
        hit = (value == 0) | ~np.isfinite(value)
        low[active[hit]] = middle[hit]
        high[active[hit]] = middle[hit]
        active = active[high[active] > np.nextafter(low[active], np.inf)]
    at_low, at_high = np.abs(evaluate(function, low)), np.abs(evaluate(function, high))
    place = np.where(at_low < at_high, low, high)
    return np.where(np.abs(place) < 1e-30 * width, 0.0, place)


def _crossings(
    gradient: Field, w: FloatArray, g: FloatArray, check: Check
) -> tuple[list[_Candidate], NDArray[np.bool_]]:
    """Changes of sign and isolated zero nodes that are no noise; and the nodes that may be noise."""
    sign = np.sign(g)
    noisy = np.zeros(w.size, dtype=bool)
    zero = sign == 0
    noisy[:-1] |= zero[:-1] & zero[1:]
    noisy[1:] |= zero[1:] & zero[:-1]
    change = np.flatnonzero(sign[:-1] * sign[1:] < 0)
    isolated = np.flatnonzero(zero & ~noisy)
    left = np.concatenate([change, np.maximum(isolated - 1, 0)])
    right = np.concatenate([change + 1, np.minimum(isolated + 1, w.size - 1)])
    place = np.concatenate([_bisect(gradient, w[change], w[change + 1], sign[change], check), w[isolated]])
    found: list[_Candidate] = []
    for begin in range(0, place.size, CHUNK):
        check()
        part = slice(begin, begin + CHUNK)
        i, k, at = left[part], right[part], place[part]
        # A side without a finite value, an end of the interval or of the domain, is not asked.
        before = np.where((w[i] < at) | (sign[i] != 0), sign[i], np.nan)
        after = np.where((w[k] > at) | (sign[k] != 0), sign[k], np.nan)
        true = _one_sign(gradient, at, w[i], before) & _one_sign(gradient, at, w[k], after)
        noisy[i[~true]] = noisy[k[~true]] = True
        shape = _shapes(gradient, at, w[i], w[k])
        for n in np.flatnonzero(true & (shape != "pole")):
            kink = bool(shape[n] == "kink")
            kind = _kind_from_signs(before[n], after[n])
            if not (kink and kind in (None, "inflection")):
                found.append(_Candidate(float(at[n]), kind, kink))
    return found, noisy


def _one_sign(gradient: Field, at: FloatArray, end: FloatArray, sign: FloatArray) -> NDArray[np.bool_]:
    """Whether the derivative has the sign it has at `end` everywhere on the way from `at`."""
    probes = at[:, None] + (end - at)[:, None] * PROBES
    seen = np.sign(evaluate(gradient, probes.ravel())).reshape(probes.shape)
    # A root within rounding of a node leaves no room for probes.
    room = np.abs(end - at) > 1e3 * np.spacing(np.abs(at))
    return np.asarray(np.isnan(sign) | ~room | (seen == sign[:, None]).all(axis=1))


def _shapes(gradient: Field, at: FloatArray, left: FloatArray, right: FloatArray) -> NDArray[np.str_]:
    """What happens at each change of sign: "zero", "kink" or "pole".

    The derivative's size very close to the place, as a fraction of that a little farther off, tells: it falls
    towards a zero (even like the cube root of the distance), stays at a kink, grows at a pole or cusp.
    """
    ratios = []
    faded = np.ones(at.size, dtype=bool)
    for end in (left, right):
        far = np.minimum(0.5 * np.abs(end - at), 1e-7 * np.maximum(1.0, np.abs(at)))
        near = np.maximum(8 * np.spacing(np.abs(at)), 1e-7 * far)
        side = np.sign(end - at)
        with np.errstate(all="ignore"):
            little = np.abs(evaluate(gradient, at + side * far))
            ratio = np.abs(evaluate(gradient, at + side * near)) / little
            # Far may lie in the rounding noise of a flat zero already, where the ratio says nothing.
            faded &= little < 1e-2 * np.abs(evaluate(gradient, end))
        ratios.append(np.where((near < 0.1 * far) & ~np.isnan(ratio), ratio, 0.0))
    high = np.maximum(*ratios)
    shape = np.where(high > 1.5, "pole", np.where(high > 0.7, "kink", "zero"))
    return np.where(faded, "zero", shape)


def _hidden_in_noise(
    gradient: Field, w: FloatArray, noisy: NDArray[np.bool_], broadest: float
) -> list[_Candidate]:
    """Zeros so flat that rounding blurs them: short stretches of noise between two clear opposite signs."""
    nodes = np.flatnonzero(noisy)
    found: list[_Candidate] = []
    for stretch in np.split(nodes, np.flatnonzero(np.diff(nodes) > 50) + 1) if nodes.size else []:
        low, high = float(w[stretch[0]]), float(w[stretch[-1]])
        width = high - low
        if not 0 < width <= broadest or low - 3 * width < w[0] or high + 3 * width > w[-1]:
            continue
        signs = [
            np.unique(np.sign(evaluate(gradient, end + side * width * (1 + 2 * PROBES))))
            for end, side in ((low, -1.0), (high, 1.0))
        ]
        if all(s.size == 1 and abs(s[0]) == 1 for s in signs) and signs[0][0] != signs[1][0]:
            found.append(_Candidate(0.5 * (low + high), _kind_from_signs(signs[0][0], signs[1][0])))
    return found


def _touching(w: FloatArray, g: FloatArray, c: FloatArray) -> list[_Candidate]:
    """Nodes where the derivative has an extremum that is zero to rounding, its neighbours being nonzero."""
    size = np.abs(g)
    near = np.full(w.size, np.inf)
    near[1:-1] = np.minimum(size[:-2], size[2:])
    extremum = np.zeros(w.size, dtype=bool)
    extremum[1:-1] = (np.sign(g[:-2]) == np.sign(g[2:])) & (size[1:-1] < size[:-2]) & (size[1:-1] < size[2:])
    # Zero nodes are reported by `_crossings`.
    at = extremum & (size > 0) & (size <= TANGENT_TOLERANCE * near) & np.isfinite(c)
    return [_Candidate(float(w[i]), "inflection") for i in np.flatnonzero(at)]


def _curvatures(curvature: Field, w: FloatArray) -> FloatArray:
    """Second derivative at places w[n], 0 where it is rounding."""
    value = evaluate(curvature, w)
    step = FLAT_DISTANCE * np.maximum(1.0, np.abs(w))
    around = np.minimum(np.abs(evaluate(curvature, w - step)), np.abs(evaluate(curvature, w + step)))
    return np.where(np.abs(value) <= FLAT_TOLERANCE * around, 0.0, value)


def _kind_from_signs(before: float, after: float) -> Kind | None:
    if np.isnan(before) or np.isnan(after):
        return None
    if before == after:
        return "inflection"
    return "minimum" if before < 0 else "maximum"


def _kind_from_curvature(curvature: float) -> Kind:
    if curvature > 0:
        return "minimum"
    return "maximum" if curvature < 0 else "inflection"
