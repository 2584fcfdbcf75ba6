"""Lamperti's coordinate, in which the gradient variance is 1, and the effective potential in it.

    y(W) = integral of dW / S from an origin,     dY = -Phi'(Y) T dt + T dB   (Ito),
    Phi = integral of G / S² dW + (T / 2) ln(S / S(origin)),     P_Y ~ exp(-2 Phi / T),     P_W = P_Y / S.

The coordinate exists as long as S > 0; `tui_opt.kernels.lamperti_ends` finds where it ends.

Reference: Lamperti (1964), J. Math. Kyoto Univ. 4, 1; Iacus (2008), Simulation and Inference for Stochastic
    Differential Equations, section 1.11.4; Gardiner (2009), Stochastic Methods, section 5.2.2 (the potential).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tui_opt.kernels.callables import Check, FloatArray, TermField, evaluate_terms, unchecked
from tui_opt.kernels.fokker_planck import gradient_variance
from tui_opt.kernels.running_integrals import integrals_between

TOLERANCE = 1e-11
POINTS = 4
"""Gauss points of a cell for the law."""
NEAR, NEARER = 1e-4, 1e-6
"""Distances from a zero of S², in units of the way to it, at which the law is seen to end or to diverge."""


@dataclass(frozen=True)
class Coordinate:
    """The coordinate and the potential at places.

    Attributes:
        y: [n], W over the unit of S: 0 at the origin, increasing with W.
        potential: [n], 0 at the origin.
        y_error, potential_error: numerical errors, sums of the last changes of the quadrature.
    """

    y: FloatArray
    potential: FloatArray
    y_error: float
    potential_error: float


@dataclass(frozen=True)
class Law:
    """The law of zero current of a potential between reflecting walls.

    Attributes:
        mass: [cells], integrals of the density over cells; they sum to 1.
        mean, sd: of W, from the density itself and not from the cells.
        wall: largest density at the two walls, in units of the largest density anywhere; zeros of S² do not count.
    """

    mass: FloatArray
    mean: float
    sd: float
    wall: float


def coordinate(
    gradients: TermField, temperature: float, origin: float, w: FloatArray, check: Check = unchecked
) -> Coordinate:
    """y and Phi at places, by adaptive quadrature between neighbours.

    Args:
        gradients: g_j, w[n] -> [j, n].
        temperature: T, positive.
        origin: where y and Phi are 0; S must be positive there.
        w: [n], increasing, with S > 0 everywhere between them and the origin.
        check: called now and then.

    Raises: ValueError where S is 0 or not finite at the origin.
    """
    w = np.asarray(w, dtype=np.float64)
    start = require_noise(gradients, origin)
    nodes = np.union1d(w, [origin])
    found = integrals_between(lambda at: _integrands(gradients, at), nodes, TOLERANCE, check=check)
    zero = int(np.searchsorted(nodes, origin))
    # From the origin outward: a long way on one side costs the other none of its digits.
    onward = np.cumsum(found.values[:, zero:], axis=1)
    back = -np.cumsum(found.values[:, :zero][:, ::-1], axis=1)[:, ::-1]
    y, push = np.concatenate([back, np.zeros((2, 1)), onward], axis=1)[:, np.searchsorted(nodes, w)]
    with np.errstate(divide="ignore"):
        noise = 0.5 * temperature * np.log(deviation(gradients, w) / start)
    return Coordinate(y, push + noise, float(found.error[0]), float(found.error[1]))


def law_of_potential(
    gradients: TermField,
    temperature: float,
    origin: float,
    edges: FloatArray,
    open_ends: tuple[bool, bool],
    check: Check = unchecked,
) -> Law:
    """The law P_W ~ exp(-2 Phi / T) / S between reflecting walls.

    Args:
        gradients: g_j, w[n] -> [j, n].
        temperature: T.
        origin: a place with S > 0.
        edges: [cells + 1], cells so narrow that the density is smooth within each; S > 0 inside.
        open_ends: whether the left and the right end are no walls but places where the coordinate ends by itself.
        check: called now and then.

    Raises: ValueError where the potential is not finite.
    """
    x, weight = np.polynomial.legendre.leggauss(POINTS)
    half = 0.5 * np.diff(edges)
    inner = (edges[:-1] + half)[:, None] + half[:, None] * x
    # The ends too, just inside: the density at the walls.
    room = 1e-3 * half[[0, -1]]
    places = np.concatenate([[edges[0] + room[0]], inner.ravel(), [edges[-1] - room[1]]])
    potential = coordinate(gradients, temperature, origin, places, check).potential
    with np.errstate(divide="ignore"):
        log_density = -2 * potential / temperature - np.log(deviation(gradients, places))
    if not np.all(np.isfinite(log_density)):
        bad = float(places[np.argmin(np.isfinite(log_density))])
        raise ValueError(f"The potential is beyond the largest doubles at W = {bad:g}.")
    mass = np.exp(log_density[1:-1] - log_density[1:-1].max()).reshape(inner.shape) * weight * half[:, None]
    total = mass.sum()
    mean = float((mass * inner).sum() / total)
    sd = float(np.sqrt((mass * (inner - mean) ** 2).sum() / total))
    walls = [log_density[i] for i, is_open in zip((0, -1), open_ends, strict=True) if not is_open]
    return Law(
        mass.sum(axis=1) / total, mean, sd, float(np.exp(max(walls, default=-np.inf) - log_density.max()))
    )


def diverges_at(
    gradients: TermField, temperature: float, origin: float, end: float, check: Check = unchecked
) -> bool:
    """Whether the law of zero current cannot be normalised because of what it does at a zero of S² or a pole.

    There the density is a power of the distance x, or falls or grows faster than any: it can be integrated if P x
    falls towards the end.

    Args:
        gradients: g_j, w[n] -> [j, n].
        temperature: T.
        origin: a place with S > 0.
        end: the zero or pole, with S > 0 on the way to it.
        check: called now and then.
    """
    way = origin - end
    shares = np.array([NEAR, NEARER])
    # Differences of doubles must still say how far away a place is.
    shares *= max(1.0, 1e-9 * abs(end) / abs(way) / NEARER)
    places = np.sort(end + way * np.minimum(shares, 0.5))
    potential = coordinate(gradients, temperature, origin, places, check).potential
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = -2 * potential / temperature - np.log(deviation(gradients, places))
        logs += np.log(np.abs(places - end))
        nearer, farther = (logs[0], logs[1]) if way > 0 else (logs[1], logs[0])
        fall = (farther - nearer) / np.log(shares[0] / shares[1])
    return not fall > 1e-3


def noise_seen_in(gradients: TermField, w: FloatArray) -> FloatArray:
    """The gradient variance that steps much shorter than anything have in the coordinate, [n]; it should be 1.

    At each place every datapoint makes a tiny step forth and back; the variance over the datapoints of the way in y
    between the two, per step, is what S² has become.
    """
    w = np.asarray(w, dtype=np.float64)
    slopes = evaluate_terms(gradients, w)
    noise = deviation(gradients, w)
    beside = 1e-4 * np.maximum(1.0, np.abs(w)) * np.minimum(noise, 1.0)
    before, after = deviation(gradients, w - beside), deviation(gradients, w + beside)
    with np.errstate(all="ignore"):
        varies = noise / (np.abs(after - before) / (2 * beside))
        bends = np.sqrt(noise / (np.abs(after - 2 * noise + before) / beside**2))
        # A thousandth of the way over which the noise changes; no datapoint goes farther.
        pace = 1e-3 * np.fmin(np.fmin(varies, bends), 1.0) / np.abs(slopes).max(axis=0)
    x, weight = np.polynomial.legendre.leggauss(8)
    ways = []
    for term in slopes:
        places = w[:, None] + (pace * term)[:, None] * x
        with np.errstate(all="ignore"):
            paces = 1.0 / deviation(gradients, places.ravel()).reshape(places.shape)
        ways.append(paces @ weight * 0.5 * term)
    return np.asarray(np.var(ways, axis=0))


def deviation(gradients: TermField, w: FloatArray) -> FloatArray:
    """S(w), [n]."""
    return np.sqrt(gradient_variance(gradients, np.asarray(w, dtype=np.float64)))


def require_noise(gradients: TermField, origin: float) -> float:
    """S at the origin, or ValueError where it is not a positive number."""
    noise = float(deviation(gradients, np.array([origin]))[0])
    if not (np.isfinite(noise) and noise > 0):
        raise ValueError(
            f"S is {noise:g} at W = {origin:g}; the coordinate needs an origin where S is positive and finite."
        )
    return noise


def _integrands(gradients: TermField, w: FloatArray) -> FloatArray:
    """1/S and G/S², [2, n]."""
    terms = evaluate_terms(gradients, w)
    with np.errstate(all="ignore"):
        variance = gradient_variance(lambda _: terms, w)
        return np.stack([1.0 / np.sqrt(variance), terms.mean(axis=0) / variance])
