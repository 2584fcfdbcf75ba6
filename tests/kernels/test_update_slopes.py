"""Slopes of updates: against differences of the maps, and closed forms of linear gradients."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.kernels.one_step import effective_gradients, updated
from tui_opt.kernels.update_slopes import effective_curvatures


def gradients(w):
    return np.stack([1.2 * w - 2.0, np.sin(3 * w) + 0.3 * w**3])


def curvatures(w):
    return np.stack([np.full_like(w, 1.2), 3 * np.cos(3 * w) + 0.9 * w**2])


@pytest.mark.parametrize("substeps", [1, 2, 7, 0])
def test_slopes_are_the_derivatives_of_the_effective_gradients(substeps: int) -> None:
    temperature, h = 0.3, 1e-5
    w = np.linspace(-1.5, 1.5, 41)
    slopes = effective_curvatures(gradients, curvatures, temperature, substeps)(w)
    field = effective_gradients(gradients, temperature, substeps)
    differences = (field(w + h) - field(w - h)) / (2 * h)
    np.testing.assert_allclose(slopes, differences, rtol=0, atol=2e-7)


def test_the_flow_has_a_slope_where_a_gradient_vanishes() -> None:
    temperature = 0.5
    rest = 2.0 / 1.2
    near = np.array([rest - 1e-10, rest, rest + 1e-6])
    slopes = effective_curvatures(gradients, curvatures, temperature, 0)(near)[0]
    np.testing.assert_allclose(slopes, -np.expm1(-1.2 * temperature) / temperature, rtol=1e-8)
    flow = updated(gradients, temperature, 0)(near)[0]
    np.testing.assert_allclose(flow, rest + (near - rest) * np.exp(-1.2 * temperature), rtol=1e-12)
