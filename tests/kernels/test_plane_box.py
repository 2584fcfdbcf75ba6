"""Boxes of two parameters: they hold the law, are no larger than needed, move with it, and keep its moments."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.test_plane import affine, closed_moments, pit_gradients
from tui_opt.kernels.plane import Box, advance, mean_and_covariance, normal_state, plane_operator, sgd_maps
from tui_opt.kernels.plane_box import MARGIN, automatic_box
from tui_opt.kernels.plane_moving import MovingLaw, regridded

START = ((0.5, 0.0), (0.175, 0.175))


@pytest.mark.parametrize("temperature", [0.05, 0.3])
def test_a_box_holds_the_law_and_is_no_larger_than_needed(temperature):
    maps = sgd_maps(pit_gradients, temperature)
    box = automatic_box(maps, *START, 20).box
    outside = []
    for tighter in (0.0, 0.1):
        width = np.array(box.high) - np.array(box.low)
        low, high = np.array(box.low) + tighter * width, np.array(box.high) - tighter * width
        operator = plane_operator(maps, Box(tuple(low), tuple(high)), 100)
        state = normal_state(operator, *START)
        advance(operator, state, 20)
        outside.append(state.outside)
    assert outside[0] < 1e-10
    assert outside[1] > 1e-7


def mixing(w):
    """Two bowls and ripples, whose law never comes to rest to its last digits."""
    x, y = w
    push = np.sqrt(1.5)
    ripples = np.stack([1.5 * np.cos(5 * x) * np.cos(4 * y), -1.2 * np.sin(5 * x) * np.sin(4 * y)])
    return np.stack([[x - push, 2 * y - push], [x + push, 2 * y + push], ripples + 0.4 * w])


def test_a_box_is_found_in_few_steps_of_many():
    maps = sgd_maps(mixing, 0.1)
    steps = []
    found = [automatic_box(maps, *START, n, check=lambda: steps.append(1)) for n in (4096, 1_000_000)]
    assert len(steps) < 2 * 2 * 4096
    assert found[0].box == found[1].box


def test_the_law_on_fine_cells_stays_in_the_box_found_on_coarse_ones():
    maps = sgd_maps(mixing, 0.1)
    box = automatic_box(maps, *START, 300).box
    operator = plane_operator(maps, box, 256)
    state = normal_state(operator, *START)
    advance(operator, state, 300)
    assert state.outside < 3e-9  # without room at its ends, ten times as much


def test_a_law_that_moves_far_is_followed():
    """A drift of 100 widths: the box is as long as the way, and its cells were as fine as the law all the time."""
    maps = sgd_maps(lambda w: np.stack([0 * w + [[1.0], [0.0]], 0 * w + [[1.0], [0.5]]]), 0.1)
    found = automatic_box(maps, (0.0, 0.0), (0.05, 0.05), 100)
    assert found.lost < 1e-10
    assert found.box.low[0] < -10.3
    room = MARGIN / (1 + 2 * MARGIN) * (found.box.high[0] - found.box.low[0])
    assert found.box.high[0] - room == pytest.approx(0.36, abs=0.1)
    law = MovingLaw(maps, (0.0, 0.0), (0.05, 0.05))
    law.advance(100)
    mean, covariance = mean_and_covariance(law.operator, law.state)
    np.testing.assert_allclose(mean, [-10.0, -2.5], atol=1e-9)
    np.testing.assert_allclose(covariance, np.diag([0.05**2, 0.05**2 + 100 * 0.1**2 / 16]), atol=1e-8)
    assert (law.operator.sides < [0.05, 0.1]).all()
    assert law.moves > 3


def test_boxes_become_smaller_with_the_law_and_moments_stay():
    def shrink(w):
        return 0.8 * affine(w)

    law = MovingLaw(shrink, (0.4, -0.2), (3.0, 5.0))
    first = law.operator.sides
    law.advance(60)
    whole = plane_operator(shrink, Box((-60.0, -80.0), (60.0, 80.0)), 300)
    state = normal_state(whole, (0.4, -0.2), (3.0, 5.0))
    advance(whole, state, 60)
    assert (law.operator.sides < 0.2 * first).all()
    for ours, theirs in zip(
        mean_and_covariance(law.operator, law.state), mean_and_covariance(whole, state), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)


def test_putting_a_law_on_other_cells_keeps_its_moments():
    source = plane_operator(affine, Box((-6.0, -5.0), (6.0, 6.5)), (50, 37))
    state = normal_state(source, (0.4, -0.2), (0.3, 0.5))
    for box, cells in ((Box((-5.0, -4.0), (7.0, 5.0)), (12, 90)), (Box((-3.0, -4.5), (4.0, 4.0)), 200)):
        target = plane_operator(affine, box, cells)
        moved = regridded(source, state, target)
        assert moved.mass.sum() + moved.outside == pytest.approx(1.0, abs=1e-14)
        advance(target, moved, 3)
        mean, covariance = closed_moments(np.array([0.4, -0.2]), np.diag([0.09, 0.25]), 3)
        found = mean_and_covariance(target, moved)
        np.testing.assert_allclose(found[0], mean, atol=1e-9)
        np.testing.assert_allclose(found[1], covariance, atol=1e-7)


def test_given_ends_are_the_ends():
    maps = sgd_maps(pit_gradients, 0.05)
    box = automatic_box(maps, *START, 10, fixed=((-0.2, 1.0), (None, 0.4))).box
    assert (box.low[0], box.high[0], box.high[1]) == (-0.2, 1.0, 0.4)
    assert box.low[1] < -0.8
    with pytest.raises(ValueError, match="lower end"):
        automatic_box(maps, *START, 10, fixed=((1.0, 1.0), (None, None)))


def test_mass_that_diverges_is_let_go_where_it_is_small():
    """The tail beyond W1 = 1.5 is thrown farther and farther: a mass of 1e-9 of a law that contracts otherwise."""

    def maps(w):
        x, y = w
        return np.stack([np.where(x > 1.5, 3 * x, 0.5 * x), 0.5 * y])[None]

    found = automatic_box(maps, (0.0, 0.0), (0.25, 0.25), 25)
    assert 1e-11 < found.lost < 1e-8
    assert found.box.high[0] < 2.5
    diverging = automatic_box(lambda w: 3 * w[None], (0.0, 0.0), (0.25, 0.25), 25)
    assert diverging.lost == pytest.approx(1.0, abs=1e-6)
    assert diverging.box.high[0] < 1e3


def test_a_check_that_raises_stops_it():
    class Stopped(Exception):
        pass

    def check():
        raise Stopped

    with pytest.raises(Stopped):
        automatic_box(affine, *START, 10, check=check)
