"""Poles of a derivative: found with either sign on the two sides, not confused with steep or broken places."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.kernels.poles import poles


@pytest.mark.parametrize("place", [0.9, 0.0, -0.37])
@pytest.mark.parametrize("power", [0.5, 1, 2, 3])
def test_poles_of_every_order_are_found(place, power):
    def gradient(w):
        return np.sign(w - place) * np.abs(w - place) ** -power + np.cos(w)

    assert poles(gradient, -3, 3) == pytest.approx([place], abs=1e-9)
    assert poles(lambda w: np.abs(gradient(w)), -3, 3) == pytest.approx([place], abs=1e-9)


def test_steep_kinked_and_overflowing_derivatives_have_none():
    assert poles(lambda w: np.sin(1000 * w), -3, 3) == []
    assert poles(lambda w: 2e4 * w * np.exp(-1e4 * w**2), -3, 3) == []
    assert poles(lambda w: np.sign(w - 0.3) - np.abs(w + 0.2), -3, 3) == []
    assert poles(lambda w: np.exp(np.exp(w)), -3, 30) == []


def test_an_end_of_the_domain_where_the_derivative_grows_counts():
    assert poles(lambda w: 2 * np.log(w) / w, -1, 3) == pytest.approx([0.0], abs=1e-6)
