"""Walls that throw walkers back, and walks with an exit: against folding by hand and the kernel of plain steps."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tui_opt.experiments.datapoints import System
from tui_opt.kernels.ensembles import plain_walk
from tui_opt.kernels.reflection import reflected, reflected_maps, reflected_walk, walk_to_barrier
from tui_opt.kernels.walkers import first_passage

PAIR = System.from_texts(["-exp(-(W-2)^2)", "-exp(-(W-2)^2)-exp(-100*(W-1)^2)"])
KEY = 12345


def folded_by_hand(w: float, low: float, high: float) -> float:
    while not low <= w <= high:
        w = 2 * low - w if w < low else 2 * high - w
    return w


def test_places_are_folded_as_often_as_it_takes() -> None:
    w = np.concatenate([np.linspace(-9, 9, 181), [0.1, 0.7]])
    by_hand = [folded_by_hand(x, -0.5, 0.75) for x in w]
    np.testing.assert_allclose(reflected(w, -0.5, 0.75), by_hand, rtol=0, atol=1e-13)
    assert reflected(np.array([0.1]), -0.5, 0.75)[0] == 0.1
    assert np.isnan(reflected(np.array([np.inf, -np.inf, np.nan]), 0.0, 1.0)).all()


@pytest.mark.parametrize(("low", "high"), [(-0.5, np.inf), (-np.inf, 0.5)])
def test_one_wall_leaves_the_other_side_open(low: float, high: float) -> None:
    w = np.array([-3.0, -0.7, 0.2, 0.9, 4.0])
    expected = np.where(w < low, 2 * low - w, np.where(w > high, 2 * high - w, w))
    np.testing.assert_array_equal(reflected(w, low, high), expected)


def test_maps_and_walks_are_folded_alike() -> None:
    maps = reflected_maps(lambda w: np.stack([w + 0.3, w - 0.4]), 0.0, 1.0)
    np.testing.assert_allclose(maps(np.array([0.2, 0.9])), [[0.5, 0.8], [0.2, 0.5]])

    def right(w: np.ndarray, first_walker: int, first_step: int, steps: int) -> None:
        w += 0.3 * steps

    w = np.array([0.2, 0.9])
    reflected_walk(right, 0.0, 1.0)(w, 0, 0, 3)  # one step at a time: .5 .8 .9 and .8 .9 .8
    np.testing.assert_allclose(w, [0.9, 0.8])


@pytest.mark.parametrize("direction", [1, -1])
def test_passages_are_those_of_the_kernel_of_plain_steps(direction: int) -> None:
    kernel = partial(first_passage, PAIR.gradient_program)
    barrier = 1.1959565 if direction == 1 else 0.95
    slow, fast = np.full(2000, 1.0074533), np.full(2000, 1.0074533)
    passed, expected = (np.full(2000, -1, dtype=np.int64) for _ in range(2))
    walk = plain_walk(kernel, 0.02, KEY)
    for first, steps in ((0, 7), (7, 60)):
        walk_to_barrier(walk, slow, passed, 0, first, steps, barrier, direction)
    kernel(fast, expected, 0, 0, 67, 0.02, barrier, direction, KEY)
    assert 100 < np.count_nonzero(expected >= 0) < 2000
    np.testing.assert_array_equal(passed, expected)
    np.testing.assert_array_equal(slow[passed < 0], fast[passed < 0])
    assert np.all(direction * slow[passed >= 0] > direction * barrier)
