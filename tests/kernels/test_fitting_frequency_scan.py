"""The scan's error at every frequency against a linear least-squares problem set up by itself."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.kernels.fitting import frequency_scan as module
from tui_opt.kernels.fitting.exponential_sums import Grid
from tui_opt.kernels.fitting.frequency_scan import (
    Wave,
    candidates,
    independent,
    least_cells,
    orthonormal,
    scan,
)

N = 60
GRID = Grid((0.0,), (0.11,), (40,))


def problem(unknown, seed=0):
    rng = np.random.default_rng(seed)
    u = rng.normal(0, 3, N)
    z = rng.normal(size=N) * np.exp(1j * rng.normal(size=N))
    columns = np.stack([np.ones(N), rng.normal(size=N)])
    y = np.real(1.0 * z * np.exp(1.3j * u)) + columns.T @ [0.7, -2.0] + 0.05 * rng.normal(size=N)
    return u, z, columns, y


def by_least_squares(u, z, columns, y, unknown, w):
    """The error with everything linear fitted by NumPy."""
    wave = z * np.exp(1j * w * u)
    if unknown == "nothing":
        design, target = columns, y - wave.real
    elif unknown == "amplitude":
        design, target = np.vstack([columns, wave.real]), y
    else:
        design, target = np.vstack([columns, wave.real, wave.imag]), y
    rest = target - design.T @ np.linalg.lstsq(design.T, target, rcond=None)[0]
    return float(rest @ rest) / y.size


@pytest.mark.parametrize("unknown", ["nothing", "amplitude", "phase"])
def test_the_error_is_that_of_linear_least_squares(unknown):
    u, z, columns, y = problem(unknown)
    found = scan(y, orthonormal(columns, 5), Wave(u[None], z, unknown), GRID)
    assert found.exact
    expected = [by_least_squares(u, z, columns, y, unknown, w) for w in GRID.axis(0)]
    np.testing.assert_allclose(found.loss, expected, rtol=1e-9)
    bare = y - columns.T @ np.linalg.lstsq(columns.T, y, rcond=None)[0]
    assert found.without == pytest.approx(float(bare @ bare) / N, rel=1e-9)


@pytest.mark.parametrize("unknown", ["nothing", "amplitude", "phase"])
def test_the_fast_scan_is_exact_where_it_matters(unknown, monkeypatch):
    u, z, columns, y = problem(unknown)
    exact = scan(y, orthonormal(columns, 5), Wave(u[None], z, unknown), GRID)
    monkeypatch.setattr(module, "MOST_EXACT", 0)
    monkeypatch.setattr(module, "MOST_CLOSE", 8 * N)
    fast = scan(y, orthonormal(columns, 5), Wave(u[None], z, unknown), GRID)
    assert not fast.exact
    assert int(np.argmin(fast.loss)) == int(np.argmin(exact.loss))
    for cell in (0, 1, 2, int(np.argmin(exact.loss))):
        assert fast.loss[cell] == pytest.approx(exact.loss[cell], rel=1e-9)


@pytest.mark.parametrize("unknown", ["nothing", "amplitude", "phase"])
def test_the_thorough_scan_is_exact_everywhere(unknown, monkeypatch):
    u, z, columns, y = problem(unknown)
    exact = scan(y, orthonormal(columns, 5), Wave(u[None], z, unknown), GRID)
    monkeypatch.setattr(module, "MOST_EXACT", 0)
    thorough = scan(y, orthonormal(columns, 5), Wave(u[None], z, unknown), GRID, thorough=True)
    assert thorough.exact
    np.testing.assert_allclose(thorough.loss, exact.loss, rtol=1e-9)


def test_two_frequencies_at_once():
    rng = np.random.default_rng(3)
    u = rng.normal(0, 2, (2, 80))
    y = np.cos(np.array([0.9, -1.1]) @ u)
    grid = Grid((0.0, -2.0), (0.1, 0.1), (21, 41))
    found = scan(y, np.empty((0, 80)), Wave(u, np.ones(80) + 0j, "nothing"), grid)
    places, losses = candidates(found, 3)
    np.testing.assert_allclose(places[0], [0.9, -1.1], atol=1e-9)
    assert losses[0] == pytest.approx(0.0, abs=1e-12)


def test_a_wave_that_the_columns_hold_explains_nothing_more():
    y = np.random.default_rng(0).normal(size=N)
    basis = orthonormal(np.ones((1, N)), 1)
    found = scan(
        y, basis, Wave(np.arange(float(N))[None], np.ones(N) + 0j, "phase"), Grid((0.0,), (0.1,), (2,))
    )
    assert found.loss[0] == pytest.approx(float(y.var()), rel=1e-9)


def test_orthonormal_bases():
    rng = np.random.default_rng(1)
    columns = np.vstack([rng.normal(size=(3, N)), np.zeros(N), np.full(N, np.nan)])
    columns = np.vstack([columns, columns[0] + 2 * columns[1]])
    basis = orthonormal(columns, 10)
    assert basis.shape == (3, N)
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(basis.T @ (basis @ columns[5]), columns[5], atol=1e-9)
    assert orthonormal(columns, 2).shape == (2, N)
    assert orthonormal(np.zeros((2, N)), 2).shape == (0, N)


def test_independent_columns_span_the_others():
    x = np.linspace(-1, 1, 200)
    rates = np.array([-3, -1, -0.3, -0.1, 0.0, 0.1, 0.3, 1, 3])
    columns = np.exp(rates[:, None] * x)
    kept = independent(np.vstack([columns, np.full(200, np.inf)]), 8)
    assert kept.size < 9
    picked = columns[kept]
    rest = columns - (picked.T @ np.linalg.lstsq(picked.T, columns.T, rcond=None)[0]).T
    assert np.abs(rest).max() < 1e-3
    assert independent(np.zeros((3, 200)), 2).size == 0
    assert independent(columns, 2).size == 2


def test_candidates_are_no_neighbours_and_the_least_come_first():
    loss = np.array([5, 4, 1, 2, 3, 9, 9, 9, 9, 1.5, 9, 9], dtype=float)
    found = module.Scan(Grid((0.0,), (1.0,), (12,)), loss, True, 10.0)
    places, losses = candidates(found, 3)
    assert places[:2, 0].tolist() == [2.0, 9.0]
    assert losses[:2].tolist() == [1.0, 1.5]
    assert least_cells(loss, 2).tolist() == [2, 9]
