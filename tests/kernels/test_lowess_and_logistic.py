"""Smooth curves through scatters, and probabilities as logistic functions, against formulas and other methods."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from tui_opt.kernels.logistic import logistic_fit
from tui_opt.kernels.lowess import lowess


def test_a_straight_line_is_kept() -> None:
    x = np.random.default_rng(0).uniform(0, 3, 50)
    assert np.allclose(lowess(x, 2 * x - 1, np.linspace(0, 3, 7)), 2 * np.linspace(0, 3, 7) - 1, atol=1e-10)


def test_the_definition_in_one_place() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 1, 40), rng.normal(0, 1, 40)
    place, share = 0.4, 0.5
    distance = np.abs(x - place)
    reach = np.sort(distance)[19]
    root = np.sqrt(np.clip(1 - (distance / reach) ** 3, 0, None) ** 3)
    design = np.stack([np.ones(40), x - place], axis=1)
    expected = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0][0]
    assert lowess(x, y, np.array([place]), share, rounds=0)[0] == pytest.approx(expected, rel=1e-6)


def test_outliers_count_little() -> None:
    x = np.linspace(0, 1, 60)
    y = x.copy()
    y[::10] += 50.0
    y += 1e-3 * np.sin(40 * x)
    at = np.linspace(0, 1, 11)
    assert np.abs(lowess(x, y, at) - at).max() < 0.01
    assert np.abs(lowess(x, y, at, rounds=0) - at).max() > 1.0


def test_equal_places_and_wrong_shares() -> None:
    assert lowess(np.zeros(5), np.arange(5.0), np.zeros(1), rounds=0)[0] == pytest.approx(2.0)
    with pytest.raises(ValueError, match="at most 1"):
        lowess(np.zeros(2), np.zeros(2), np.zeros(1), share=1.5)
    with pytest.raises(ValueError, match="one y for each x"):
        lowess(np.zeros(0), np.zeros(0), np.zeros(1))


def test_the_likeliest_logistic_curve() -> None:
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 2, 300)
    outcome = rng.uniform(size=300) < 1 / (1 + np.exp(-(4 - 9 * x)))
    fit = logistic_fit(x, outcome)
    assert fit is not None

    def cost(beta: np.ndarray) -> float:
        logit = beta[0] + beta[1] * x
        return float(np.sum(np.logaddexp(0, np.where(outcome, -logit, logit))))

    other = minimize(cost, [0.0, 0.0], method="BFGS", options={"gtol": 1e-8})
    assert np.allclose([fit.intercept, fit.slope], other.x, rtol=1e-4)
    best, step = np.array([fit.intercept, fit.slope]), 1e-3 * np.eye(2)
    hessian = [
        [
            (cost(best + a + b) - cost(best + a - b) - cost(best - a + b) + cost(best - a - b)) / 4e-6
            for b in step
        ]
        for a in step
    ]
    assert np.allclose(fit.covariance, np.linalg.inv(hessian), rtol=1e-4)
    assert abs(fit.half - 4 / 9) < 4 * fit.half_stderr
    low, high = fit.band(np.array([fit.half]))
    assert low[0] < 0.5 < high[0]
    assert fit.probability(np.array([fit.half]))[0] == pytest.approx(0.5)


def test_the_standard_error_is_that_of_repetitions() -> None:
    rng = np.random.default_rng(3)
    halves, errors = [], []
    for _ in range(200):
        x = rng.uniform(0, 2, 200)
        fit = logistic_fit(x, rng.uniform(size=200) < 1 / (1 + np.exp(-(3 - 6 * x))))
        assert fit is not None
        halves.append(fit.half)
        errors.append(fit.half_stderr)
    assert np.mean(errors) == pytest.approx(np.std(halves), rel=0.2)


def test_outcomes_that_are_alike_or_parted_have_no_fit() -> None:
    x = np.linspace(0, 1, 20)
    for outcome in (np.ones(20, bool), np.zeros(20, bool), x < 0.5):
        assert logistic_fit(x, outcome) is None
    assert logistic_fit(np.ones(4), np.array([True, False, True, False])) is None
