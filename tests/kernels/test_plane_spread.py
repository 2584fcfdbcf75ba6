"""Images cut at every border they cross: masses stay, and none is negative, where roundings are as large as a cut."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.kernels.plane_cells import LANES, MOMENTS, RIM, SLOTS, THINNEST
from tui_opt.kernels.plane_spread import spread
from tui_opt.kernels.plane_workspace import stride_of

ROWS, COLUMNS = 2000, 8


def laid_down(mean, w11, w12, w22):
    """[row, column, 6] of an image of mass 1, and the mass outside."""
    stride = stride_of(COLUMNS)
    full = ROWS + 2 * RIM
    target, flags = np.zeros(full * stride * SLOTS), np.zeros(full * stride // LANES, np.uint8)
    outside = spread(1.0, *mean, w11, w12, w22, target, flags, ROWS, COLUMNS, stride)
    cells = target.reshape(full, stride, SLOTS)
    return cells[RIM : RIM + ROWS, RIM : RIM + COLUMNS, :MOMENTS], outside


@pytest.mark.parametrize("row", [5.3, 4.499999999999999, 1990.3, 1990.4999999999998])
@pytest.mark.parametrize("variance", [0.0, 1.1 * THINNEST, 30 * THINNEST, 1e-18, 1e-9])
def test_a_thin_image_keeps_its_mass_wherever_it_is(row, variance):
    """3e-12 of a cell is its length, and 2e-13 a rounding of its place."""
    for w11, w22 in ((variance, 1.0), (1.0, variance)):
        cells, outside = laid_down((row, 3.2), w11, 0.0, w22)
        assert cells[..., 0].sum() == pytest.approx(1.0, abs=1e-14)
        assert outside == pytest.approx(0.0, abs=1e-14)
        assert cells[..., 0].min() >= 0.0


def test_no_mass_is_negative_where_an_end_is_rounded_up_to_a_border():
    """Half more than 0.49999999999999994 is 1 in floating point, though the border at 0.5 is not reached."""
    hits = 0
    for tenths in range(1, 40):
        r = np.sqrt(3.0 * (tenths / 10.0) ** 2 / 12.0)
        for ulps in range(-6, 7):
            mean = 0.5 - r
            for _ in range(abs(ulps)):
                mean = np.nextafter(mean, 9.0 if ulps > 0 else -9.0)
            hits += mean + r == 0.49999999999999994
            cells, outside = laid_down((mean, 3.0), r * r / 3.0, 0.0, 0.25)
            assert cells[..., 0].min() >= 0.0
            assert cells[..., 0].sum() + outside == pytest.approx(1.0, abs=1e-14)
    assert hits > 10


def test_what_lies_beyond_the_box_is_outside():
    cells, outside = laid_down((-0.5, 3.0), 1.0 / 12.0, 0.0, 1.0 / 12.0)
    assert outside == pytest.approx(0.5, abs=1e-15)
    assert cells[0, 3, 0] == pytest.approx(0.5, abs=1e-15)
