"""Mean first passage: printed values, three methods against each other, and when there is no mean."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tui_opt.kernels.escape import follow_exactly
from tui_opt.kernels.large_deviations import barrier_exponent, quasipotential
from tui_opt.kernels.passage import (
    mean_passage,
    passage_by_linear_system,
    passage_by_rate,
    passage_by_summation,
)
from tui_opt.kernels.quasistationary import quasi_stationary, trapped_cells
from tui_opt.kernels.transfer import advance, mass_at, operator_on_edges, transfer_operator

PIT, MAXIMUM, BARRIER = 1.0074533029460346, 1.1743101790722745, 1.1959565136502517


def pair_gradients(w):
    g0 = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    return np.stack([g0, g0 + 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)])


def pit_operator(temperature, cells=4000):
    return transfer_operator(pair_gradients, temperature, PIT, BARRIER, cells)


@pytest.mark.parametrize(
    ("temperature", "mean", "tolerance"),
    [
        (0.002, 3.79e30, 0.005),
        (0.003, 6.67e20, 0.005),
        (0.004, 8.106e15, 0.005),
        (0.005, 8.64e12, 0.005),
        (0.006, 8.63e10, 0.005),
        (0.007, 3.083e9, 0.001),
        (0.01, 3.819e6, 0.001),
        (0.013, 1.901e4, 0.001),
        (0.015, 2520, 0.001),
        (0.02, 141.6, 0.003),
        (0.025, 34.35, 0.003),
        (0.03, 14.309, 0.003),
        (0.05, 9.425, 0.004),
        (0.07, 11.208, 0.004),
        (0.1, 13.541, 0.005),
    ],
)
def test_reference_means(temperature, mean, tolerance):
    found = mean_passage(pit_operator(temperature), PIT)
    assert found.mean == pytest.approx(mean, rel=tolerance)
    assert found.log_mean == pytest.approx(np.log(found.mean), abs=1e-12)
    assert found.reason == ""


def test_methods_agree():
    fast = pit_operator(0.02, 1000)
    stages, trapped = follow_exactly(fast, PIT), trapped_cells(fast)
    summed = passage_by_summation(fast, stages, trapped)
    solved = passage_by_linear_system(fast, stages, trapped)
    assert summed is not None
    assert solved is not None
    assert solved.mean == pytest.approx(summed.mean, rel=1e-9)
    assert solved.mean_if_escaping == pytest.approx(summed.mean_if_escaping, rel=1e-9)
    slow = pit_operator(0.0075, 1000)
    stages, trapped = follow_exactly(slow, PIT), trapped_cells(slow)
    assert passage_by_summation(slow, stages, trapped) is None
    solved = passage_by_linear_system(slow, stages, trapped)
    assert solved is not None
    assert passage_by_rate(slow, PIT, None).mean == pytest.approx(solved.mean, rel=1e-6)
    assert passage_by_linear_system(pit_operator(0.003, 1000), stages[:1], trapped) is None


def test_symmetric_random_walk_has_its_closed_form():
    # Steps of one cell, reflected at 0 and absorbed beyond n cells: from cell k on the mean is n(n+1) - k(k+1).
    n = 20

    def walk(w):
        return np.stack([np.where(w < 1, 0.0, 1.0), -1 + 0 * w])

    operator = operator_on_edges(walk, 1.0, np.linspace(0, n, n + 1), 1.0)
    for k in (0, 7, 19):
        found = mean_passage(operator, k + 0.5)
        assert found.mean == pytest.approx(n * (n + 1) - k * (k + 1), rel=1e-9)


def test_walkers_thrown_to_a_plateau():
    found = mean_passage(pit_operator(0.5), PIT)
    assert found.mean == np.inf
    assert found.escape_probability == pytest.approx(31 / 32, abs=1e-12)
    assert "0.0312" in found.reason
    # All others have left after few steps: the exact tree of 2^18 sequences.
    atoms = follow_exactly(pit_operator(0.5, 50), PIT)
    steps = sum(b.steps * (b.absorbed - a.absorbed) for a, b in pairwise(atoms))
    assert found.mean_if_escaping == pytest.approx(steps / (31 / 32), rel=1e-9)


def test_slow_return_is_not_a_plateau():
    # At T = .2 the farthest walkers come back within some hundred steps.
    rng = np.random.default_rng(5)
    w, total, squares = np.full(200_000, PIT), 0, 0
    for n in range(2000):
        total += w.size
        squares += (2 * n + 1) * w.size
        g = pair_gradients(w)
        w = w - 0.2 * g[rng.integers(0, 2, w.size), np.arange(w.size)]
        w = w[w <= BARRIER]
    mean = total / 200_000
    error = np.sqrt((squares / 200_000 - mean**2) / 200_000)
    assert w.size == 0
    assert mean_passage(pit_operator(0.2), PIT).mean == pytest.approx(mean, abs=4 * error + 0.02 * mean)


def test_common_minimum_traps_everything():
    # Both datapoints are at rest at 0 and contract towards it: nobody arrives at 1.
    operator = operator_on_edges(lambda w: np.stack([w, 3 * w]), 0.1, np.linspace(-1, 1, 401), 1.0)
    found = mean_passage(operator, 0.5)
    assert found.mean == np.inf
    assert found.escape_probability == 0
    assert np.isnan(found.mean_if_escaping)


def test_pit_that_small_steps_cannot_leave():
    # All datapoints push inward on the way: the exponent is infinite and no mass arrives.
    operator = operator_on_edges(
        lambda w: np.stack([w - 0.1, w + 0.1]), 0.01, np.linspace(-0.5, 0.5, 401), 1.0
    )
    found = mean_passage(operator, 0.0)
    assert found.mean == np.inf
    assert found.escape_probability == 0


def test_walkers_that_leave_on_the_other_side_never_escape():
    operator = operator_on_edges(
        lambda w: np.stack([np.full_like(w, -0.3), np.full_like(w, 0.1)]), 1.0, np.linspace(-1, 1, 801), 1.0
    )
    # Steps +.3 and -.1 from .02: places i / 10 + .02 from i = -10 to 9, solved on that lattice.
    matrix, escape = np.eye(20), np.zeros(20)
    for i in range(20):
        for k in (i + 3, i - 1):
            if 0 <= k < 20:
                matrix[i, k] -= 0.5
            elif k >= 20:
                escape[i] += 0.5
    exact = np.linalg.solve(matrix, escape)[10]
    stages, trapped = follow_exactly(operator, 0.02)[:1], trapped_cells(operator)
    for method in (passage_by_summation, passage_by_linear_system):
        found = method(operator, stages, trapped)
        assert found is not None
        assert found.mean == np.inf
        assert found.escape_probability == pytest.approx(exact, abs=1e-9)


def test_quasi_stationary_law_is_kept():
    operator = pit_operator(0.01)
    law = quasi_stationary(operator, PIT)
    assert law.converged
    mass = np.append(law.density * np.diff(operator.edges), [0.0, 0.0])
    assert mass.sum() == pytest.approx(1, abs=1e-12)
    assert mass[:-2] @ operator.centres == pytest.approx(1.008401, abs=2e-5)
    sd = np.sqrt(mass[:-2] @ operator.centres**2 - (mass[:-2] @ operator.centres) ** 2)
    assert sd == pytest.approx(0.017229, abs=2e-5)
    before = mass[:-2].copy()
    advance(operator, mass, 10)
    np.testing.assert_allclose(mass[:-2] / mass[:-2].sum(), before, atol=1e-9)
    assert mass[-2] == pytest.approx(-np.expm1(10 * np.log1p(-np.exp(law.log_rate))), rel=1e-6)


@pytest.mark.parametrize(
    ("temperature", "mean", "sd"), [(0.001, 1.007461, 0.001771), (0.005, 1.007542, 0.005282)]
)
def test_quasi_stationary_moments(temperature, mean, sd):
    operator = pit_operator(temperature, 16_000)
    law = quasi_stationary(operator, PIT)
    mass = law.density * np.diff(operator.edges)
    assert mass @ operator.centres == pytest.approx(mean, abs=1e-5)
    assert np.sqrt(mass @ operator.centres**2 - (mass @ operator.centres) ** 2) == pytest.approx(sd, abs=1e-5)


def test_tilt_changes_nothing_and_reaches_further():
    operator = pit_operator(0.004, 1000)
    tilt = quasipotential(pair_gradients, operator.centres) / 0.004
    plain = quasi_stationary(operator, PIT)
    tilted = quasi_stationary(operator, PIT, tilt)
    assert tilted.log_rate == pytest.approx(plain.log_rate, abs=1e-9)
    np.testing.assert_allclose(tilted.density, plain.density, rtol=1e-6, atol=1e-12)
    # With tau near exp(660) the plain iteration runs out of doubles; the tilted one goes on.
    cold = pit_operator(0.0002, 3000)
    found = mean_passage(cold, PIT, quasipotential(pair_gradients, cold.centres) / 0.0002)
    exponent = barrier_exponent(pair_gradients, PIT, MAXIMUM).value
    assert 0.0002 * found.log_mean == pytest.approx(exponent, rel=0.02)


def test_start_outside_the_cells_is_refused():
    operator = pit_operator(0.02, 50)
    with pytest.raises(ValueError, match="outside the cells"):
        mean_passage(operator, 3.0)
    with pytest.raises(ValueError, match="one number per cell"):
        quasi_stationary(operator, PIT, np.zeros(3))
    assert mass_at(operator, np.array([3.0]), np.array([1.0]))[-2] == 1
