"""Nonuniform Fourier sums: the FFT against sums taken one by one."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.kernels.fitting import exponential_sums as module
from tui_opt.kernels.fitting.exponential_sums import Grid, direct_sums, exponential_sums

GRIDS = {
    1: Grid((0.0,), (0.1,), (301,)),
    2: Grid((0.0, -1.5), (0.1, 0.05), (31, 61)),
    3: Grid((0.0, -0.5, -0.7), (0.1, 0.1, 0.2), (11, 12, 8)),
}


def plain(x, c, grid):
    """The definition, one frequency at a time."""
    out = []
    for cell in range(grid.size):
        w = grid.at(np.array([cell]))[0]
        out.append((c * np.exp(1j * (w @ x))).sum(axis=1))
    return np.array(out).T.reshape(-1, *grid.counts)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_both_ways_are_the_definition(d, monkeypatch):
    rng = np.random.default_rng(d)
    x = rng.normal(0, 7, (d, 40)) + 3.0
    c = rng.normal(size=(3, 40)) + 1j * rng.normal(size=(3, 40))
    expected = plain(x, c, GRIDS[d])
    scale = np.abs(c).sum()
    np.testing.assert_allclose(exponential_sums(x, c, GRIDS[d]), expected, atol=1e-13 * scale)
    monkeypatch.setattr(module, "MOST_DIRECT", 0)
    np.testing.assert_allclose(exponential_sums(x, c, GRIDS[d]), expected, atol=1e-8 * scale)


def test_frequencies_of_a_grid():
    grid = GRIDS[2]
    assert grid.size == 31 * 61
    cells = np.array([0, 1, 61, 31 * 61 - 1])
    np.testing.assert_allclose(grid.at(cells), [[0, -1.5], [0, -1.45], [0.1, -1.5], [3.0, 1.5]], atol=1e-12)
    np.testing.assert_allclose(grid.axis(1)[[0, -1]], [-1.5, 1.5])


def test_direct_sums_take_any_frequencies_in_chunks(monkeypatch):
    rng = np.random.default_rng(5)
    x, c = rng.normal(size=(1, 50)), rng.normal(size=(2, 50)) + 0j
    w = rng.normal(0, 100, (30, 1))
    whole = direct_sums(x, c, w)
    monkeypatch.setattr(module, "_CHUNK", 60)
    np.testing.assert_allclose(direct_sums(x, c, w), whole, rtol=1e-13)
    np.testing.assert_allclose(whole, c @ np.exp(1j * np.outer(x[0], w[:, 0])), atol=1e-12)
