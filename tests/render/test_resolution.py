"""Reduction: each fast function against the plain loop that says what it must do."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tui_opt.render.dither import dither
from tui_opt.resolution import (
    bins,
    clip_segments,
    column_envelope,
    column_extremes,
    count_on_grid,
    path_counts,
    point_counts,
    resample_edges,
)


def random_curve(seed: int, n: int, gaps: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, y = np.sort(rng.uniform(-1, 2, n)), rng.standard_normal(n)
    y[rng.random(n) < gaps] = np.nan
    return x, y


@given(st.integers(0, 10_000), st.integers(40, 400), st.floats(0, 0.9), st.integers(2, 12))
def test_each_column_keeps_its_extremes(seed: int, n: int, gaps: float, columns: int) -> None:
    x, y = random_curve(seed, n, gaps)
    edges = np.linspace(0, 1, columns + 1)
    kept_x, kept_y = column_extremes(x, y, edges)
    assert len(kept_x) <= 2 * columns + 4
    assert (np.diff(kept_x) >= 0).all()
    for left, right in pairwise(edges):
        inside, kept = (x >= left) & (x < right), (kept_x >= left) & (kept_x < right)
        numbers, shown = y[inside & np.isfinite(y)], kept_y[kept & np.isfinite(kept_y)]
        if numbers.size:
            assert (shown.min(), shown.max()) == (numbers.min(), numbers.max())
        elif inside.any():
            assert not shown.size  # a gap stays a gap
            assert kept.any()


def test_first_and_last_points_stay_as_they_are() -> None:
    x, y = random_curve(1, 5_000, 0.0)
    kept_x, kept_y = column_extremes(x, y, np.linspace(x[0], x[-1], 11))
    assert (kept_x[0], kept_y[0], kept_x[-1], kept_y[-1]) == (x[0], y[0], x[-1], y[-1])


def test_short_curves_are_not_touched() -> None:
    x, y = random_curve(2, 20, 0.2)
    assert column_extremes(x, y, np.linspace(0, 1, 11))[0] is x


def test_a_window_with_no_points_keeps_the_segment_that_crosses_it() -> None:
    x = np.concatenate([np.linspace(0, 1, 50), np.linspace(9, 10, 50)])
    kept_x, _ = column_extremes(x, x, np.linspace(4, 6, 5))
    assert kept_x.tolist() == [1.0, 9.0]


@given(st.integers(0, 10_000), st.integers(40, 400), st.floats(0, 0.9), st.integers(2, 12))
def test_an_envelope_is_as_low_and_as_high_as_its_columns(
    seed: int, n: int, gaps: float, columns: int
) -> None:
    x, low = random_curve(seed, n, gaps)
    high = low + np.random.default_rng(seed).random(n)
    edges = np.linspace(0, 1, columns + 1)
    kept_x, kept_low, kept_high = column_envelope(x, low, high, edges)
    assert len(kept_x) <= 2 * columns + 2
    assert (np.diff(kept_x) >= 0).all()
    for left, right in pairwise(edges):
        inside = (x >= left) & (x < right) & np.isfinite(low)
        kept = (kept_x >= left) & (kept_x < right) & np.isfinite(kept_low)
        assert kept.any() or not inside.any()
        if inside.any():
            assert kept_low[kept].min() == low[inside].min()
            assert kept_high[kept].max() == high[inside].max()


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12))
def test_counts_on_another_grid_are_the_sums_of_cells(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 5, (3, n)).astype(float)
    u = np.sort(rng.uniform(-0.2, 1.2, n + 1))
    got = count_on_grid(counts, u, np.linspace(0, 1, 4), m, 3)
    assert got.shape == (3, m)
    for column in range(m):
        left, right = column / m, (column + 1) / m
        inside = [k for k in range(n) if left <= (u[k] + u[k + 1]) / 2 < right]
        holder = [k for k in range(n) if u[k] <= (left + right) / 2 < u[k + 1]][:1]
        assert np.array_equal(got[:, column], counts[:, inside or holder].sum(axis=1))


UNIT = st.floats(-3, 4)


@given(st.lists(st.tuples(UNIT, UNIT), min_size=2, max_size=8))
def test_clipped_segments_are_the_part_inside(points: list[tuple[float, float]]) -> None:
    u, v = np.array(points).T
    u0, v0, u1, v1 = clip_segments(u, v)
    for piece in (u0, v0, u1, v1):
        assert ((piece >= 0) & (piece <= 1)).all()
    t = np.linspace(0, 1, 401)
    inside = 0.0
    for a, b, c, d in zip(u[:-1], v[:-1], u[1:], v[1:], strict=True):
        x, y = a + t * (c - a), b + t * (d - b)
        share = ((x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)).mean()
        inside += share * np.hypot(c - a, d - b)
    kept = np.hypot(u1 - u0, v1 - v0).sum()
    assert kept == pytest.approx(inside, abs=0.06 * len(points))


def test_nan_breaks_a_line() -> None:
    u0, _, u1, _ = clip_segments(np.array([0.0, 0.2, np.nan, 0.6, 0.8]), np.full(5, 0.5))
    assert list(zip(u0, u1, strict=True)) == [(0.0, 0.2), (0.6, 0.8)]


@given(st.integers(0, 1000), st.integers(2, 30))
def test_points_are_counted_once_each(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(-0.5, 1.5, (2, n))
    oracle = np.zeros((3, 5), dtype=int)
    for a, b in zip(u, v, strict=True):
        if 0 <= a <= 1 and 0 <= b <= 1:
            oracle[min(int(b * 3), 2), min(int(a * 5), 4)] += 1
    assert (point_counts(u, v, 5, 3) == oracle).all()


@settings(max_examples=examples(30))
@given(st.integers(0, 1000))
def test_a_path_takes_the_cells_it_passes(seed: int) -> None:
    """Against a walk in a thousand steps: a cell crossed for longer than the sampling step must be taken."""
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(-0.3, 1.3, (2, 6))
    columns, rows = 12, 7
    taken = path_counts(u, v, columns, rows) > 0
    passed = np.zeros((rows, columns), dtype=int)
    t = np.linspace(0, 1, 1001)
    for a, b, c, d in zip(u[:-1], v[:-1], u[1:], v[1:], strict=True):
        x, y = a + t * (c - a), b + t * (d - b)
        inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
        cells = np.unique(bins(y[inside], rows) * columns + bins(x[inside], columns), return_counts=True)
        steps = 1000 / max(abs(c - a) * columns, abs(d - b) * rows, 1e-9)
        passed.ravel()[cells[0][cells[1] > steps * 1.01 + 2]] = 1
    assert (taken | (passed == 0)).all()
    everywhere = np.zeros_like(passed)
    for a, b, c, d in zip(u[:-1], v[:-1], u[1:], v[1:], strict=True):
        x, y = a + t * (c - a), b + t * (d - b)
        inside = (x >= -1e-9) & (x <= 1 + 1e-9) & (y >= -1e-9) & (y <= 1 + 1e-9)
        everywhere[bins(y[inside], rows), bins(x[inside], columns)] = 1
    neighbours = np.zeros_like(everywhere)
    padded = np.pad(everywhere, 1)
    for dy in range(3):
        for dx in range(3):
            neighbours |= padded[dy : dy + rows, dx : dx + columns]
    assert (neighbours[taken] == 1).all()


def test_a_path_that_takes_every_cell_is_cut_short() -> None:
    rng = np.random.default_rng(0)
    u, v = rng.random((2, 200_000))
    assert path_counts(u, v, 40, 30).all()


def test_dithering_keeps_every_cell_and_grows_with_the_count() -> None:
    counts = np.ones((8 * 4, 10 * 2), dtype=np.int64) * np.repeat(4 ** np.arange(10), 2)
    dots = dither(counts, 10, 8)
    per_column = dots.reshape(8, 4, 10, 2).sum(axis=(0, 1, 3))
    assert (dots.reshape(8, 4, 10, 2).any(axis=(1, 3))).all()
    assert (np.diff(per_column) >= 0).all()
    assert per_column[-1] == 8 * 8
    assert per_column[0] < per_column[-1] / 4
    assert not dither(np.where(counts > 4, 0, counts), 10, 8)[:, 4:].any()


@given(st.integers(0, 1000), st.integers(1, 30), st.integers(1, 30))
def test_resampling_is_the_mean_over_cells_or_the_cell(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((2, n))
    values[rng.random((2, n)) < 0.2] = np.nan
    edges = np.cumsum(rng.uniform(0.1, 1, n + 1))
    targets = np.linspace(edges[0] - 0.5, edges[-1] + 0.5, m + 1)
    out = resample_edges(values, edges, targets)
    centres = (edges[:-1] + edges[1:]) / 2
    for row in range(2):
        for j in range(m):
            left, right = targets[j], targets[j + 1]
            middle = (left + right) / 2
            inside = np.flatnonzero((centres >= left) & (centres < right))
            if not edges[0] <= middle <= edges[-1]:
                expected = np.nan
            elif len(inside) > 1:
                known = values[row, inside][np.isfinite(values[row, inside])]
                expected = known.mean() if known.size else np.nan
            else:
                expected = values[row, np.clip(np.searchsorted(edges, middle, side="right") - 1, 0, n - 1)]
            assert out[row, j] == pytest.approx(expected, nan_ok=True)
