"""Gauss-Newton with eliminated parameters against SciPy, closed forms and its own promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize

from tui_opt.kernels.fitting import least_squares as module
from tui_opt.kernels.fitting.least_squares import blocks, covariance, fit, sums, with_linear_solved

X = np.linspace(0.0, 4.0, 150)
TRUTH = np.array([1.7, -0.8, 0.4])  # A exp(r x) + C
LINEAR = np.array([True, False, True])


def model(values, rows):
    a, r, c = values
    x = X[rows]
    with np.errstate(all="ignore"):
        e = np.exp(r * x)
        return np.stack([a * e + c, e, a * x * e, np.ones_like(x)])


def data(noise=0.05, seed=0):
    clean = model(TRUTH, slice(None))[0]
    return clean + noise * np.random.default_rng(seed).normal(size=X.size)


def test_it_ends_where_scipy_ends():
    y = data()
    peer = scipy.optimize.least_squares(
        lambda v: model(v, slice(None))[0] - y, TRUTH, xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    for eliminate in (True, False):
        found = fit(model, y, np.array([1.0, -0.1, 0.0]), LINEAR, eliminate=eliminate)
        assert found.converged
        np.testing.assert_allclose(found.values, peer.x, rtol=1e-6)
        assert found.error == pytest.approx(2 * peer.cost, rel=1e-12)


def test_without_noise_it_is_exact():
    found = fit(model, data(noise=0.0), np.array([0.0, -2.0, 0.0]), LINEAR)
    np.testing.assert_allclose(found.values, TRUTH, rtol=1e-12)
    assert found.converged


def test_elimination_needs_fewer_steps_and_arrives_from_further_away():
    y, start = data(), np.array([-5.0, -3.0, 4.0])
    eliminated, together = (fit(model, y, start, LINEAR, eliminate=e) for e in (True, False))
    assert eliminated.steps < together.steps
    assert eliminated.error == pytest.approx(together.error, rel=1e-9)
    far = np.array([1.0, 1.5, 0.0])
    np.testing.assert_allclose(fit(model, y, far, LINEAR).values, eliminated.values, rtol=1e-6)
    assert fit(model, y, far, LINEAR, eliminate=False).error > 10 * eliminated.error


def test_linear_parameters_are_solved_as_numpy_does():
    y = data()
    found = with_linear_solved(model, y, np.array([9.0, -0.5, 9.0]), LINEAR)
    design = np.stack([np.exp(-0.5 * X), np.ones_like(X)]).T
    expected = np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(found, [expected[0], -0.5, expected[1]], rtol=1e-10)


def test_blocks_change_nothing(monkeypatch):
    y = data()
    whole = sums(model, y, TRUTH)
    monkeypatch.setattr(module, "BLOCK", 37)
    parts = sums(model, y, TRUTH)
    assert [b.start for b in blocks(100)] == [0, 37, 74]
    assert parts.error == pytest.approx(whole.error, rel=1e-13)
    np.testing.assert_allclose(np.abs(parts.root), np.abs(whole.root), rtol=1e-10)
    for found in (whole, parts):
        table = model(TRUTH, slice(None))
        np.testing.assert_allclose(found.root.T @ found.root, table[1:] @ table[1:].T, rtol=1e-12)
        gradient = table[1:] @ (y - table[0])
        np.testing.assert_allclose(found.root.T @ found.projected, gradient, rtol=1e-9, atol=1e-12)


def test_fewer_samples_than_parameters_have_a_triangle_too():
    found = sums(lambda v, rows: model(v, slice(0, 2)), data()[:2], TRUTH)
    assert found.root.shape == (3, 3)
    assert np.isinf(np.diag(covariance(found.root, 1.0))).any()


def test_columns_that_are_nearly_alike_are_told_apart():
    """A slope and a constant over samples a million spreads away from 0, which J^T J would not tell apart."""
    x = 1e6 + np.linspace(-1, 1, 50)
    y = 2.0 * (x - 1e6) + 3.0

    def line(values, rows):
        return np.stack([values[0] * x[rows] + values[1], x[rows], np.ones(50)[rows]])

    found = fit(line, y, np.zeros(2), np.array([False, False]))
    assert found.values[0] == pytest.approx(2.0, rel=1e-8)
    expected = 1.0 / ((x - x.mean()) ** 2).sum()
    assert covariance(found.root, 1.0)[0, 0] == pytest.approx(expected, rel=1e-4)


def test_a_step_is_no_longer_than_allowed():
    y = data()
    longest = np.array([np.inf, 0.01, np.inf])
    found = fit(model, y, np.array([1.0, -0.1, 0.0]), LINEAR, longest=longest, most_steps=5)
    assert not found.converged
    assert abs(found.values[1] + 0.1) <= 0.05 + 1e-12


def test_a_start_without_value_is_an_infinite_error():
    found = fit(model, data(), np.array([1.0, 1e4, 0.0]), LINEAR)
    assert found.error == np.inf
    assert not found.converged


def test_covariance_is_the_inverse_and_infinite_where_nothing_is_known():
    root = sums(model, data(), TRUTH).root
    np.testing.assert_allclose(covariance(root, 0.25), 0.25 * np.linalg.inv(root.T @ root), rtol=1e-8)
    twice = np.array(
        [[2.0, 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, math.sqrt(2.0)]]
    )  # the first two enter alike
    found = np.diag(covariance(twice, 1.0))
    assert np.isinf(found[:2]).all()
    assert found[2] == pytest.approx(0.5)
    assert np.isinf(np.diag(covariance(np.array([[1.0, 0.0], [0.0, 0.0]]), 1.0))[1])


def test_estimates_scatter_by_the_covariance():
    """200 data sets: the mean of the squared distances in standard errors is 1 within 4 standard errors."""
    start = TRUTH + np.array([0.1, 0.05, -0.1])
    runs = [fit(model, data(seed=s), start, LINEAR).values - TRUTH for s in range(200)]
    expected = covariance(sums(model, data(), TRUTH).root, 0.05**2)
    z2 = [d @ np.linalg.solve(expected, d) for d in runs]  # chi squared with 3 degrees of freedom
    assert abs(np.mean(z2) - 3) < 4 * np.sqrt(6 / 200)
