"""The laws that networks are drawn from."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from tui_opt.kernels.networks.initial import Init, random_networks
from tui_opt.kernels.networks.layout import Layout

LAYOUT = Layout(3, 4)
VARIANCES = {
    "glorot-uniform": (2 / 5, 2 / 8, 2 / 5),
    "glorot-normal": (2 / 5, 2 / 8, 2 / 5),
    "he-uniform": (2 / 1, 2 / 4, 2 / 4),
    "he-normal": (2 / 1, 2 / 4, 2 / 4),
    "lecun-uniform": (1 / 1, 1 / 4, 1 / 4),
    "lecun-normal": (1 / 1, 1 / 4, 1 / 4),
    "torch": (1 / 3, 1 / 12, 1 / 12),
}


@pytest.mark.parametrize("init", get_args(Init))
def test_variances_are_those_of_the_papers(init: Init) -> None:
    number = 4000
    drawn = random_networks(LAYOUT, init, number, np.random.default_rng(0))
    parts = LAYOUT.parts(drawn)
    for layer, variance in zip((0, 1, 3), VARIANCES[init], strict=True):
        weights, biases = parts[layer]
        kurtosis = 3.0 if init.endswith("normal") else 1.8
        stderr = variance * math.sqrt((kurtosis - 1) / weights.size)
        assert abs(weights.var() - variance) < 4.5 * stderr
        assert abs(weights.mean()) < 4.5 * math.sqrt(variance / weights.size)
        assert np.any(biases) == (init == "torch")
        if not init.endswith("normal"):
            assert np.abs(weights).max() <= math.sqrt(3 * variance)


def test_networks_are_drawn_one_after_the_other() -> None:
    few, many = (random_networks(LAYOUT, "he-normal", n, np.random.default_rng(3)) for n in (2, 5))
    assert np.array_equal(many[:2], few)
