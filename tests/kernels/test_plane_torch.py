"""The step in torch, on the CPU, against the compiled one: the same law cell by cell, whatever the system."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels.test_plane import affine, pit_gradients
from tui_opt.kernels.plane import Box, advance, mean_and_covariance, normal_state, plane_operator, sgd_maps
from tui_opt.kernels.plane_cells import LIGHT


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def advance_on_cpu(operator, state, steps, check=lambda: None):
    from tui_opt.kernels.plane_torch import advance_on

    advance_on("cpu", operator, state, steps, check)


def both(maps, box, cells, mean, sd, steps):
    operator = plane_operator(maps, box, cells)
    states = [normal_state(operator, mean, sd) for _ in range(2)]
    advance(operator, states[0], steps)
    advance_on_cpu(operator, states[1], steps)
    return operator, states


@pytest.mark.parametrize("temperature", [0.02, 0.05, 0.3, 3.0])
def test_the_law_is_that_of_the_compiled_step(temperature):
    maps = sgd_maps(pit_gradients, temperature)
    operator, (ours, theirs) = both(
        maps, Box((-0.5, -0.9), (2.6, 0.9)), (50, 41), (0.5, 0.05), (0.175, 0.2), 12
    )
    # Rounding may decide how an image of little mass is laid down; nothing else may differ by more than roundings.
    light = LIGHT / (50 * 41)
    away = np.abs(ours.moments - theirs.moments)
    assert away.max() < light
    assert away[np.maximum(ours.mass, theirs.mass) > 2 * light].max() < 1e-8
    assert theirs.outside == pytest.approx(ours.outside, abs=1e-13)
    assert theirs.mass.min() >= 0.0
    assert abs(theirs.mass.sum() + theirs.outside - 1.0) <= 1e-12
    for a, b in zip(mean_and_covariance(operator, ours), mean_and_covariance(operator, theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_one_step_of_stretching_turning_maps():
    _, (ours, theirs) = both(affine, Box((-4.0, -4.0), (4.0, 4.0)), 45, (0.4, -0.2), (0.3, 0.5), 1)
    assert np.abs(ours.moments - theirs.moments).max() < 1e-15


def test_what_leaves_and_what_has_no_image():
    def broken(w):
        good = w[None] * 1.7
        return np.concatenate([good, np.where(w[:1] > 0, np.nan, good)])

    _, (ours, theirs) = both(broken, Box((-1.0, -1.0), (1.0, 1.0)), 32, (0.3, 0.2), (0.2, 0.2), 3)
    assert np.abs(ours.moments - theirs.moments).max() < 1e-13
    assert theirs.outside == pytest.approx(ours.outside, abs=1e-12)
    assert 0.5 < ours.outside < 1.0


def test_a_check_that_raises_leaves_the_state_as_it_was():
    class Stopped(Exception):
        pass

    def check():
        raise Stopped

    operator = plane_operator(affine, Box((-4.0, -4.0), (4.0, 4.0)), 16)
    state = normal_state(operator, (0.4, -0.2), (0.3, 0.5))
    before = state.copy()
    with pytest.raises(Stopped):
        advance_on_cpu(operator, state, 3, check)
    assert np.array_equal(state.moments, before.moments)
    other = plane_operator(affine, Box((-4.0, -4.0), (4.0, 4.0)), 20)
    with pytest.raises(ValueError, match="operator has cells"):
        advance_on_cpu(other, state, 1)


def test_fewer_cells_at_once_where_the_device_has_no_room_for_more(monkeypatch):
    import torch

    from tui_opt.kernels import plane_torch

    operator = plane_operator(affine, Box((-4.0, -4.0), (4.0, 4.0)), 45)
    whole, parts, before = (normal_state(operator, (0.4, -0.2), (0.3, 0.5)) for _ in range(3))
    advance_on_cpu(operator, whole, 4)
    tried = []

    def crowded(moments, images, lost, at_once, step=plane_torch._step):
        tried.append(at_once)
        # Fails in the middle of a step, with something done already.
        step(moments, images, lost, at_once)
        if at_once > 500:
            raise torch.OutOfMemoryError
        return step(moments, images, lost, at_once)

    monkeypatch.setattr(plane_torch, "_step", crowded)
    monkeypatch.setattr(plane_torch, "CELLS_AT_ONCE", 1000)
    monkeypatch.setattr(plane_torch, "FEWEST_AT_ONCE", 100)
    advance_on_cpu(operator, parts, 4)
    assert tried == [1000, 500, 500, 500, 500]
    assert np.abs(parts.moments - whole.moments).max() < 1e-15
    assert parts.outside == pytest.approx(whole.outside, abs=1e-15)
    monkeypatch.setattr(plane_torch, "FEWEST_AT_ONCE", 1000)
    untouched = before.copy()
    with pytest.raises(torch.OutOfMemoryError):
        advance_on_cpu(operator, untouched, 4)
    assert np.array_equal(untouched.moments, before.moments)
