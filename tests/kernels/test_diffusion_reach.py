"""The interval that a diffusion needs, and the standard errors of walkers drawn from a law on cells."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.kernels.diffusion_reach import interval_of_diffusion
from tui_opt.kernels.fokker_planck import ITO, fokker_planck
from tui_opt.kernels.laws import TruncatedNormal, sampling_errors


def test_a_diffusion_gets_room_beyond_what_bounded_walkers_reach() -> None:
    # Third validation of the source: the walkers end within [5/3, 5/2], Ito's law is an inverse gamma without bound.
    equation = fokker_planck(
        ITO,
        lambda w: np.stack([1.2 * w - 2, 0.8 * w - 2]),
        lambda w: np.stack([0 * w + 1.2, 0 * w + 0.8]),
        0.5,
    )
    low, high = interval_of_diffusion(equation, TruncatedNormal(0.5, 0.175, 0.0), 50.0, 0.0, 2.5)
    assert -2.0 < low <= 0.0
    assert 3.3 < high < 8.0


def test_an_interval_that_is_wide_enough_is_kept() -> None:
    equation = fokker_planck(
        ITO, lambda w: np.stack([w - 1, w + 1]), lambda w: np.stack([0 * w + 1, 0 * w + 1]), 0.1
    )
    assert interval_of_diffusion(equation, TruncatedNormal(0.0, 0.2), 20.0, -3.0, 3.0) == (-3.0, 3.0)


@pytest.mark.parametrize("cells", [40, 4000])
def test_standard_errors_of_uniform_walkers(cells: int) -> None:
    edges = np.linspace(-1.0, 1.0, cells + 1)
    mean_error, sd_error = sampling_errors(edges, np.full(cells, 1.0 / cells), 10_000)
    # Uniform on [-1, 1]: variance 1/3, fourth central moment 1/5.
    assert mean_error == pytest.approx((1 / 3) ** 0.5 / 100, rel=1e-9)
    assert sd_error == pytest.approx(((1 / 5 - 1 / 9) / 10_000) ** 0.5 / (2 * (1 / 3) ** 0.5), rel=1e-9)
