"""What the theory page of probability-current derives and corrects, checked by exact derivatives and closed forms."""

from __future__ import annotations

import math
import re
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from tui_opt.expressions import parse
from tui_opt.kernels.chain import advance, chain_on_edges, state_of_masses
from tui_opt.kernels.laws import TruncatedNormal, masses_of, moments
from tui_opt.render.ascii import to_ascii
from tui_opt.theory import __file__ as theory_folder

FloatArray = NDArray[np.float64]

PAGE = theory_folder.replace("__init__.py", "probability-current.md")
#: sample functions without symmetry; P fades fast enough for sums over LINE to be integrals to rounding.
G = "0.7*W - 0.4*sin(2*W)"
S = "1 + 0.5*sin(1.3*W + 0.4)"
P = "exp(-(W-0.3)^2)*(1 + 0.2*W)"
T = 0.3
LINE = np.linspace(-8.0, 8.0, 321)


@cache
def d(text: str, times: int = 1) -> str:
    """The exact derivative of a text in W, as a text."""
    for _ in range(times):
        text = str(parse(text, ("W",)).derivative("W"))
    return f"({text})"


def at(text: str, w: FloatArray = LINE) -> FloatArray:
    expression = parse(text, ("W",))
    return np.array([expression.value(W=x) for x in w])


def flux(c: float) -> str:
    """The family of currents of the page."""
    return f"(-{T}*({G})*({P}) - 0.5*{T}^2*({S})^2*{d(P)} - {c}*{T}^2*{d(f'({S})^2')}*({P}))"


S2 = f"({S})^2"
#: values of the sample functions and their derivatives on LINE.
g, g1 = at(G), at(d(G))
s, s1, s2 = (at(t) for t in (S, d(S), d(S, 2)))
v, v1, v2 = (at(t) for t in (S2, d(S2), d(S2, 2)))
p, p1, p2 = (at(t) for t in (P, d(P), d(P, 2)))
DRIFT = T * (g * p1 + g1 * p)


def mass_made(rate: FloatArray) -> float:
    return float(rate.sum() * (LINE[1] - LINE[0]))


@pytest.mark.parametrize(
    ("c", "current"),
    [
        (0.5, f"-{T}*({G})*({P}) - 0.5*{T}^2*{d(f'({S})^2*({P})')}"),
        (0.25, f"-{T}*({G})*({P}) - 0.5*{T}^2*({S})*{d(f'({S})*({P})')}"),
        (0.0, f"-{T}*({G})*({P}) - 0.5*{T}^2*({S})^2*{d(P)}"),
    ],
    ids=["ito", "stratonovich", "fick"],
)
def test_the_three_currents_are_one_family(c: float, current: str) -> None:
    np.testing.assert_allclose(at(flux(c)), at(current), atol=1e-14)


def general(c: float) -> FloatArray:
    return DRIFT + T**2 * (0.5 * v * p2 + (0.5 + c) * v1 * p1 + c * v2 * p)


@pytest.mark.parametrize("c", [0.5, 0.25, 0.0])
def test_expanded_equations_are_divergences_of_the_currents(c: float) -> None:
    np.testing.assert_allclose(general(c), -at(d(flux(c))), atol=1e-12)
    assert abs(mass_made(general(c))) < 1e-13


def test_stratonovich_in_terms_of_s() -> None:
    in_s = T**2 * (0.5 * v * p2 + 1.5 * s * s1 * p1 + 0.5 * (s1**2 + s * s2) * p)
    np.testing.assert_allclose(DRIFT + in_s, general(0.25), atol=1e-13)


def test_the_coefficient_one_half_of_the_first_term_makes_mass() -> None:
    printed = T**2 * (0.5 * s * s1 * p1 + 0.5 * v * p2 + 0.5 * s1**2 * p + 0.5 * s * p * s2)
    assert mass_made(printed) == pytest.approx(0.5 * T**2 * mass_made(v2 * p), rel=1e-10)
    assert abs(mass_made(printed)) > 1e-3


def test_the_equation_in_terms_of_s_squared_makes_mass_or_spreads_twice_as_fast() -> None:
    one_half = T**2 * 0.5 * (v1 * p1 + v * p2)
    printed = one_half + T**2 * 0.5 * v2 * p
    assert mass_made(printed) == pytest.approx(0.5 * T**2 * mass_made(v2 * p), rel=1e-10)
    assert abs(mass_made(printed)) > 1e-3
    other_reading = one_half + T**2 * 0.5 * at(d(f"{S2}*({P})", 2))
    assert abs(mass_made(other_reading)) < 1e-13
    variance_rate = mass_made((LINE**2) * other_reading)
    constant_noise = mass_made(LINE**2 * T**2 * 0.5 * p2) / mass_made(p)  # T² for S = 1
    assert constant_noise == pytest.approx(T**2, rel=1e-10)
    ito_rate = mass_made(LINE**2 * (general(0.5) - DRIFT))
    fick_rate = mass_made(LINE**2 * (general(0.0) - DRIFT))
    assert variance_rate == pytest.approx(ito_rate + fick_rate, rel=1e-10)


def test_the_original_system_would_make_four_walkers_of_one() -> None:
    variance = "10000*(W-1)^2*exp(-200*(W-1)^2)"
    assert parse(d(variance, 2), ("W",)).value(W=1.0) * 0.5 * 0.02**2 == pytest.approx(4.0, rel=1e-12)


def test_the_drift_with_rho_and_p_exchanged_depends_on_the_number_of_walkers() -> None:
    """The right expansion is linear in P; the one with G rho' + P P' is not."""
    np.testing.assert_allclose(DRIFT, at(d(f"{T}*({G})*({P})")), atol=1e-13)

    def exchanged(walkers: float) -> FloatArray:
        rho1 = -T * walkers * (g * p1 + g1 * p)  # of rho = -T G P
        return T * (g * rho1 + walkers * p * walkers * p1)

    assert np.abs(exchanged(2.0) - 2 * exchanged(1.0)).max() > 0.01


def test_the_second_sign_of_the_noise_current() -> None:
    """rho = -k (P S)' with k = T² S/2."""
    right = -0.5 * T**2 * (v * p1 + s * s1 * p)
    np.testing.assert_allclose(right, at(f"-0.5*{T}^2*({S})*{d(f'({S})*({P})')}"), atol=1e-14)
    np.testing.assert_allclose(right, at(flux(0.25)) + T * g * p, atol=1e-14)


@pytest.mark.parametrize("c", [0.5, 0.25, 0.0])
def test_spurious_drift_of_the_mean(c: float) -> None:
    assert mass_made(at(flux(c))) == pytest.approx(
        -T * mass_made(g * p) + (0.5 - c) * T**2 * mass_made(v1 * p), rel=1e-10
    )


@pytest.mark.parametrize("c", [0.5, 0.25, 0.0])
def test_no_current_in_the_end_state(c: float) -> None:
    """P = S^(-4c) exp(-integral 2G/(T S²)), with S² = 0.04 W² and G = W - 2: an inverse gamma law."""
    a, b = 4 * c - 1 + 50 / T, 100 / T
    w = np.linspace(1.6, 2.6, 11)
    log_law = f"(-{a} - 1)*log(W) - {b}/W"
    slope = at(d(log_law), w)
    np.testing.assert_allclose(slope, -2 * c * 2 / w - 2 * (w - 2) / (T * 0.04 * w**2), rtol=1e-12, atol=1e-9)


# The exact chain: two maps of the third example, W <- r_j W + q_j.


def affine(t: float, flow: bool = False) -> tuple[FloatArray, FloatArray]:
    slopes, offset = np.array([1.2, 0.8]), 2.0
    shrink = np.exp(-slopes * t) if flow else 1 - slopes * t
    return shrink, offset / slopes * (1 - shrink)


def final_moments(shrink: FloatArray, shift: FloatArray) -> tuple[float, float]:
    mean = shift.mean() / (1 - shrink.mean())
    square = ((shift**2).mean() + 2 * (shrink * shift).mean() * mean) / (1 - (shrink**2).mean())
    return float(mean), float(square - mean**2)


@pytest.mark.parametrize("t", [0.01, 0.1, 0.5, 0.75])
def test_variance_of_the_third_example(t: float) -> None:
    mean, variance = final_moments(*affine(t))
    assert mean == pytest.approx(2.0, abs=1e-12)
    assert variance == pytest.approx(0.08 * t / (1 - 0.52 * t), rel=1e-10)
    # Second moment of a current with linear drift -u (W - 2): 2 u var = T² 0.04 (var + 4).
    ito = 0.16 * t**2 / (2 * t - 0.04 * t**2)
    sme2 = 0.16 * t**2 / (2 * (t + t**2 / 2) - 0.04 * t**2)
    assert ito == pytest.approx(0.08 * t / (1 - 0.02 * t), rel=1e-12)
    assert sme2 == pytest.approx(0.08 * t / (1 + 0.48 * t), rel=1e-12)


def test_exact_flows_follow_stratonovich_to_second_order() -> None:
    """Mean and variance agree with the inverse gamma law of c = 1/4 to O(T²); with c = 1/2 the mean does not."""
    for t in (0.1, 0.05, 0.025):
        mean, variance = final_moments(*affine(t, flow=True))
        a, b = 50 / t, 100 / t
        law_mean = b / (a - 1)
        law_variance = law_mean**2 / (a - 2)
        assert abs(mean - law_mean) < 0.01 * t**2
        assert abs(variance - law_variance) < 0.02 * t**2
        assert mean - 2.0 > 0.03 * t
    mean, variance = final_moments(*affine(0.5, flow=True))
    assert (mean, math.sqrt(variance)) == pytest.approx((2.018497, 0.200836), abs=1e-6)


def logarithm_of_rounds(substeps: int, t: float) -> tuple[float, float]:
    """Drift and diffusivity at W = 0.4 of the logarithm of one round, from its action on polynomials.

    On gradients g_j that are affine the operator maps polynomials of degree <= 2 to themselves, so its
    logarithm is that of a matrix of 3 rows.
    """
    shrink = (1 - np.array([1.2, 0.8]) * t / substeps) ** substeps
    shift = 2.0 / np.array([1.2, 0.8]) * (1 - shrink)
    r, q = shrink, shift
    u = np.array([[1, q.mean(), (q * q).mean()], [0, r.mean(), 2 * (r * q).mean()], [0, 0, (r * r).mean()]])
    values, vectors = np.linalg.eig(u)
    k = np.real(vectors @ np.diag(np.log(values)) @ np.linalg.inv(vectors))
    w = 0.4
    powers = np.array([1, w, w * w])
    first, second = powers @ k[:, 1], powers @ k[:, 2]
    return float(first), float(0.5 * (second - 2 * w * first))


@pytest.mark.parametrize("substeps", [1, 2, 3, 5, 100_000])
def test_current_of_several_small_steps(substeps: int) -> None:
    """Drift -T (G + T G G'/(2n)) + (1/2 - c_n) T² (S²)', diffusivity T² S²/2, up to O(T³)."""
    w = 0.4
    mean, slope, variance, variance_slope = w - 2, 1.0, 0.04 * w * w, 0.08 * w
    c = 0.25 * (1 + 1 / substeps)
    for t in (1e-2, 1e-3):
        drift, diffusivity = logarithm_of_rounds(substeps, t)
        expected = -t * (mean + t / (2 * substeps) * mean * slope) + (0.5 - c) * t**2 * variance_slope
        assert abs(drift - expected) < 2 * t**3
        assert abs(diffusivity - 0.5 * t**2 * variance) < 2 * t**3


def test_flows_of_opposite_gradients_leave_the_law_of_stratonovich_as_it_is() -> None:
    """g = ±S with S = 0.2 W: flows W e^(∓0.2 T) move Y = 5 ln W by exactly T, and keep P ~ 1/S but not P ~ 1/S²."""
    w = np.linspace(0.5, 3.0, 7)
    factors = np.exp([0.2 * T, -0.2 * T])
    np.testing.assert_allclose(5 * np.log(w * factors[0]) - 5 * np.log(w), T, rtol=1e-12)

    def after_a_round(power: float) -> FloatArray:
        """P(V) dV/dW of the place V = W f from which a flow by 1/f came."""
        return np.asarray(np.mean([(w * f) ** power * f for f in factors], axis=0))

    np.testing.assert_allclose(after_a_round(-1.0), w**-1.0, rtol=1e-13)
    assert np.abs(after_a_round(-2.0) / w**-2.0 - 1).max() > 1e-4


def ring(t: float, cells: int) -> FloatArray:
    """Final law of g = ±S on a ring, S = 1 + sin(2 pi W)/2: the chain on cells, each cut into 8 pieces."""
    fine = np.arange(8 * cells + 1) / (8 * cells)
    matrix = np.zeros((cells, cells))
    for sign in (1, -1):
        image = (fine + sign * t * (1 + 0.5 * np.sin(2 * np.pi * fine))) * cells
        for i, (low, high) in enumerate(pairwise(image)):
            for k in range(math.floor(low), math.ceil(high)):
                share = (min(high, k + 1) - max(low, k)) / (high - low)
                matrix[k % cells, i // 8] += share / 16
    law = np.full(cells, 1 / cells)
    for _ in range(9):  # the 512th power
        matrix = matrix @ matrix
    return matrix @ law * cells


def test_mass_lingers_as_the_inverse_square_of_the_noise() -> None:
    """In between P ~ 1/S (ratio 3) and P ~ 1/S² (ratio 9) the chain decides."""
    cells = 200
    law = ring(0.05, cells)
    centres = (np.arange(cells) + 0.5) / cells
    ito = (1 + 0.5 * np.sin(2 * np.pi * centres)) ** -2.0
    assert np.abs(law / (ito / ito.mean()) - 1).max() < 0.03
    assert law.max() / law.min() == pytest.approx(9.0, abs=0.3)


def test_ratio_of_a_minimum_twice_as_wide() -> None:
    """P S^(4c) exp(-Phi) is continuous across the maximum; G/2, S²/4, twice the way."""
    x = np.linspace(0.0, 0.5, 2001)  # from the narrow bottom (x = 1/2) to the maximum, by its periodic slope
    a, t, height = 0.8, 0.05, 0.03
    slope, width = height * np.pi * np.sin(2 * np.pi * x), x[1] - x[0]
    narrow = 2 * slope.sum() * width / (t * a * a)
    wide = 2 * (0.5 * slope).sum() * (2 * width) / (t * 0.25 * a * a)
    assert narrow == pytest.approx(2 * height / (t * a * a), rel=1e-6)
    assert wide == pytest.approx(4 * narrow, rel=1e-12)
    for c, factor in ((0.5, 4.0), (0.25, 2.0), (0.0, 1.0)):
        ratio = (a / (a / 2)) ** (4 * c) * math.exp(wide - narrow)
        assert ratio == pytest.approx(factor * math.exp(3 * narrow), rel=1e-12)
    same_noise = 2 * (0.5 * slope).sum() * (2 * width) / (t * a * a)
    assert same_noise == pytest.approx(narrow, rel=1e-12)


def test_dimension_and_distribution_of_the_cascade() -> None:
    r = np.array([0.4, 0.6])
    dimension = math.log(2) / (-0.5 * np.log(r).sum())
    assert dimension == pytest.approx(0.971395, abs=5e-7)
    # Measured: entropy of the pieces after n draws over the mean logarithm of their lengths, n = 12.
    lengths = np.ones(1)
    for _ in range(12):
        lengths = np.concatenate([0.4 * lengths, 0.6 * lengths])
    assert lengths.sum() == pytest.approx(1.0, abs=1e-12)  # they tile the interval
    assert 12 * math.log(2) / -np.log(lengths).mean() == pytest.approx(dimension, rel=1e-12)

    def below(x: float, depth: int = 60) -> float:
        if x <= 5 / 3 or x >= 2.5 or depth == 0:
            return float(x >= 2.5)
        return (
            0.5 * below((x - 1) / 0.4, depth - 1) if x <= 2 else 0.5 + 0.5 * below((x - 1) / 0.6, depth - 1)
        )

    for x, expected in ((1.8, 0.25), (2.0, 0.5), (2.2, 0.75), (1.9, 0.408435), (2.3, 0.864902)):
        assert below(x) == pytest.approx(expected, abs=1e-6)


def test_the_variance_of_the_third_example_is_ten_times_smaller() -> None:
    w = np.linspace(-1.0, 3.0, 5)
    np.testing.assert_allclose(np.var([1.2 * w - 2, 0.8 * w - 2], axis=0), 0.04 * w * w, atol=1e-15)


def test_backward_euler_is_the_exact_evolution_over_a_random_time() -> None:
    rates = np.array([[-2.0, 0.3, 0.0], [2.0, -1.3, 4.0], [0.0, 1.0, -4.0]])
    values, vectors = np.linalg.eig(rates)
    nodes, weights = np.polynomial.laguerre.laggauss(60)
    dt = 0.7
    total = np.zeros((3, 3))
    for node, weight in zip(nodes, weights, strict=True):
        total += weight * np.real(vectors @ np.diag(np.exp(values * dt * node)) @ np.linalg.inv(vectors))
    np.testing.assert_allclose(np.linalg.inv(np.eye(3) - dt * rates), total, atol=1e-6)


def test_where_tr_bdf2_stays_positive() -> None:
    """r(z) = (1 + (1-2a) z)/(1-az)², a = 1 - 1/sqrt 2, on all rates up to dt max|M_ii| = 1 + sqrt 2, and not beyond."""
    a, limit = 1 - 1 / math.sqrt(2), 1 + math.sqrt(2)

    def steps(matrix: FloatArray) -> FloatArray:
        one = np.eye(len(matrix))
        solve = np.linalg.inv(one - a * matrix)
        return np.asarray((one + (1 - 2 * a) * matrix) @ solve @ solve)

    for z in (-0.1, -1.0, 0.05):  # second order: r = e^z + O(z³)
        assert abs(steps(np.array([[z]]))[0, 0] - math.exp(z)) < 0.2 * abs(z) ** 3
    rng = np.random.default_rng(1)
    for _ in range(50):
        rates = rng.random((6, 6)) * (rng.random((6, 6)) < 0.4)
        np.fill_diagonal(rates, 0.0)
        np.fill_diagonal(rates, -rates.sum(axis=0))
        rates *= limit / np.abs(np.diag(rates)).max()
        assert steps(rates).min() > -1e-12
    draining = np.array([[-1.0, 0.0], [1.0, 0.0]])
    assert steps(0.999 * limit * draining).min() >= 0
    assert steps(1.01 * limit * draining).min() < 0


def test_rank_of_the_noise_and_circulation_in_the_plane() -> None:
    rng = np.random.default_rng(2)
    for datapoints in (2, 3, 4):
        gradients = rng.normal(size=(datapoints, 5))
        assert np.linalg.matrix_rank(np.cov(gradients.T, bias=True), tol=1e-10) == datapoints - 1
    shifts = np.array([[1, 1], [-1, -1]]) * math.sqrt(1.5), np.array([[1, -1], [-1, 1]]) * math.sqrt(0.5)
    noise = np.cov(np.concatenate(shifts).T, bias=True)
    np.testing.assert_allclose(noise, [[1, 0.5], [0.5, 1]], atol=1e-14)
    slope, t = np.diag([1.0, 2.0]), 0.1
    inverse_times_slope = np.linalg.inv(noise) @ slope
    assert abs(inverse_times_slope - inverse_times_slope.T).max() > 0.5  # -2/T of it is a field with curl
    law = t * noise / (np.diag(slope)[:, None] + np.diag(slope)[None, :])
    np.testing.assert_allclose(law, [[0.05, 1 / 60], [1 / 60, 0.025]], atol=1e-14)
    velocity = -t * slope + 0.5 * t**2 * noise @ np.linalg.inv(law)
    assert abs(np.trace(velocity)) < 1e-14  # it keeps P: a rotation along its ellipses
    turn = 2 * math.pi / abs(np.linalg.eigvals(velocity).imag).max()
    assert turn == pytest.approx(235, abs=0.5)
    shrink = 1 - t * np.diag(slope)
    chain = t**2 * noise / (1 - np.outer(shrink, shrink))
    np.testing.assert_allclose(np.outer(shrink, shrink) * chain + t**2 * noise, chain, atol=1e-15)
    assert chain[0, 1] == pytest.approx(0.5 * t / (3 - 2 * t), rel=1e-12)
    assert chain[0, 1] * (shrink[1] - shrink[0]) == pytest.approx(-t * chain[0, 1], rel=1e-12)


@pytest.mark.parametrize("t", [0.01, 0.2])
def test_turning_of_linear_systems_and_when_there_is_none(t: float) -> None:
    """-T [C, H]_12 / 2 sqrt(det C), from E[W1 W2' - W2 W1'] of the chain itself; C commutes with H where S² does."""
    hessian = np.array([[1.3, 0.4], [0.4, 0.6]])
    step = np.eye(2) - t * hessian
    for noise, still in (
        (hessian, True),
        (hessian @ hessian + np.eye(2), True),
        (np.diag([1.0, 3.0]), False),
    ):
        through = np.eye(4) - np.kron(step, step)
        law = np.linalg.solve(through, t**2 * noise.ravel()).reshape(2, 2)
        np.testing.assert_allclose(step @ law @ step + t**2 * noise, law, atol=1e-13)
        onward = law @ step  # E[W_i W'_k], as the noise of a step is independent of W
        turning = (onward[0, 1] - onward[1, 0]) / (2 * math.sqrt(np.linalg.det(law)))
        commutator = law @ hessian - hessian @ law
        assert turning == pytest.approx(
            -t * commutator[0, 1] / (2 * math.sqrt(np.linalg.det(law))), abs=1e-12
        )
        assert bool(abs(turning) < 1e-12) is still


def test_what_cells_add_where_there_is_no_noise() -> None:
    """Descent of L at T = 0.02 for 200 steps: sd 0.00947 by transport, and 0.0020 more on 1500 cells."""

    def descend(w: FloatArray) -> FloatArray:
        pull = 2 * (w - 2) * np.exp(-((w - 2) ** 2)) + 100 * (w - 1) * np.exp(-100 * (w - 1) ** 2)
        return w - 0.02 * pull

    law = TruncatedNormal(0.5, 0.175, 0.0)
    places = np.linspace(0.0, 2.5, 100_001)
    mass, w = np.diff(law.cdf(places)), 0.5 * (places[1:] + places[:-1])
    for _ in range(200):
        w = descend(w)
    mean = (mass * w).sum() / mass.sum()
    sd = math.sqrt((mass * (w - mean) ** 2).sum() / mass.sum())
    assert sd == pytest.approx(0.009467, abs=1e-6)
    for cells, added in ((1500, 0.0020), (6000, 0.0001)):
        edges = np.linspace(-1.0, 4.0, cells + 1)
        chain = chain_on_edges(lambda at_w: descend(at_w)[None], edges)
        state = state_of_masses(chain, masses_of(law, edges)[0])
        advance(chain, state, 200)
        assert moments(edges, state[:-3])[1] - sd == pytest.approx(added, abs=5e-5)
        width = 5.0 / cells
        assert 0 < chain.added_variance.max() < width**2 / 3


def test_the_variance_of_the_gradient_does_not_grow_with_the_number_of_datapoints() -> None:
    rng = np.random.default_rng(3)
    for n in (2, 16, 256):
        drawn = rng.standard_normal((4000, n)).var(axis=1)
        expected, scatter = 1 - 1 / n, math.sqrt(2 * (n - 1)) / n
        assert abs(drawn.mean() - expected) < 4 * scatter / math.sqrt(4000)
        assert drawn.std() == pytest.approx(scatter, rel=0.1)


def page() -> str:
    with open(PAGE, encoding="utf-8") as file:
        return file.read()


def test_the_page_fits_a_terminal_and_has_an_ascii_spelling() -> None:
    block = False
    for number, line in enumerate(page().split("\n"), 1):
        block ^= line.startswith("```")
        assert len(line) <= (76 if block else 80), number
        assert ("?" in to_ascii(line)) == ("?" in line), number


def test_the_page_numbers_what_it_corrects_and_says_it_in_our_words() -> None:
    text = page()
    start, end = text.index("## Where the source needs correcting"), text.index("## References")
    found = [int(n) for n in re.findall(r"^ ?(\d+)\. ", text[start:end], flags=re.M)]
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= 20
    assert not set(text[start:end]) & set('"“”„')
