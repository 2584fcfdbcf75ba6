"""Jumps of functions: found to rounding, and told from steep slopes, roots, poles and rounding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tui_opt.kernels.jumps import jumps


@settings(max_examples=examples(20))
@given(st.floats(-0.99, 0.99), st.floats(-0.99, 0.99), st.integers(20, 200), st.floats(0.1, 10))
def test_jumps_are_found_wherever_they_are(first, second, cells, size):
    w = np.linspace(-1, 1, cells + 1)
    found = jumps(lambda x: size * np.sign(x - first) + 3 * (x > second) + np.sin(3 * x), w)
    # One in each interval, and two that touch in one value may hide each other.
    if abs(first - second) > 3 * 2 / cells:
        assert np.abs(found[:, None] - [first, second]).min(axis=0).max() < 1e-9
        assert np.abs(found[:, None] - [first, second]).min(axis=1).max() < 1e-9


def test_a_jump_at_a_node_and_jumps_in_neighbouring_intervals():
    w = np.linspace(-1, 1, 21)
    np.testing.assert_allclose(np.unique(jumps(np.sign, w).round(9)), [0.0], atol=1e-9)
    np.testing.assert_allclose(jumps(lambda x: 1.0 * (x > 0.03) + (x > 0.13), w), [0.03, 0.13], atol=1e-9)


@pytest.mark.parametrize(
    "function",
    [
        lambda w: np.tanh(1e4 * (w - 0.31)),
        lambda w: np.exp(-1e4 * (w - 0.123) ** 2),
        lambda w: np.cbrt(w - 0.2),
        lambda w: np.abs(w - 0.2),
        lambda w: 1 / (w - 0.203),
        lambda w: np.where(w > 0.2, np.nan, w),
        lambda w: 0.1 + 1e-15 * np.sin(1e7 * w),
        lambda w: 0 * w,
    ],
)
def test_what_is_no_jump(function):
    assert jumps(function, np.linspace(-1, 1, 101)).size == 0
