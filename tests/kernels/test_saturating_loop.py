"""The loop of limited power: a plain loop, the general engine, the linear loop inside its width, and small steps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tui_opt.experiments.node_systems import tape_system
from tui_opt.kernels.linear_loop import response
from tui_opt.kernels.saturating_loop import Loop, entry_time, follow_loop, held_room, limit_op, limit_room
from tui_opt.kernels.tangents import Question, follow

LOOPS = [
    Loop(1.0, 1.0, 25.0, 0.02),
    Loop(1.0, 0.5, 25.0, 0.02),
    Loop(0.5, 1.0, 20.0, 0.1),
    Loop(2.0, 0.5, 25.0, 0.15),
]
ROOMS = np.array([5.0, 22.3, 24.4, 25.0, 26.7, 45.0])


def plain(loop: Loop, room: float, machine: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """R_n and dR_n/dR_0, written as the equations are."""
    r, t, v, u = room, machine, 1.0, 0.0
    rooms, slopes = [r], [v]
    for _ in range(steps):
        inside = abs(t) < loop.width
        action = loop.power * max(-1.0, min(1.0, t / loop.width))
        slope = loop.power / loop.width if inside else 0.0
        r, t, v, u = r - loop.dt * action, r - loop.setpoint, v - loop.dt * slope * u, v
        rooms.append(r)
        slopes.append(v)
    return np.array(rooms), np.array(slopes)


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: f"k={loop.gain:g}")
@pytest.mark.parametrize("machine", [0.0, -0.3, 7.0])
def test_the_kernel_is_the_plain_loop(loop: Loop, machine: float) -> None:
    found = follow_loop(loop, ROOMS, machine, 120, 1)
    for i, room in enumerate(ROOMS):
        rooms, slopes = plain(loop, float(room), machine, 120)
        np.testing.assert_allclose(found.room[:, i], rooms, rtol=0, atol=1e-12)
        np.testing.assert_allclose(
            found.sign[:, i] * np.exp(found.log_comp[:, i]), slopes, rtol=1e-9, atol=1e-14
        )
    coarse = follow_loop(loop, ROOMS, machine, 120, 40)
    np.testing.assert_array_equal(coarse.room, found.room[::40])
    np.testing.assert_array_equal(coarse.log_comp, found.log_comp[::40])


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: f"k={loop.gain:g}")
def test_the_general_engine_finds_the_same(loop: Loop) -> None:
    p, w = f"{loop.power!r}", f"{loop.width!r}"
    updates = {
        "room": f"room - {loop.dt!r}*{p}*max(-1, min(1, machine/{w}))",
        "machine": f"room - {loop.setpoint!r}",
    }
    asked = Question(np.array([27.3, 0.0]), 300, perturbed=0, held=(1,), integrator="map")
    theirs = follow(tape_system(updates), asked)
    ours = follow_loop(loop, np.array([27.3]), 0.0, 300)
    np.testing.assert_allclose(ours.room[:, 0], theirs.state[:, 0], rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        ours.log_comp[:, 0], theirs.log_x[:, 0] - theirs.log_y[:, 0], rtol=0, atol=1e-8
    )


def test_within_the_width_it_is_the_linear_loop() -> None:
    loop = Loop(1.0, 1.0, 25.0, 0.02)
    found = follow_loop(loop, np.array([25.3]), 0.0, 50_000)
    np.testing.assert_allclose(found.log_comp[:, 0], response(loop.gain, 50_000).log, rtol=0, atol=1e-8)


def test_an_unstable_tangent_neither_overflows_nor_stops() -> None:
    loop = Loop(1e6, 1e-9, 25.0, 1e-3)
    found = follow_loop(loop, np.array([25.0]), 0.0, 2000)
    assert np.all(np.isfinite(found.log_comp))
    np.testing.assert_allclose(found.log_comp[1:3, 0], [0.0, math.log(1e12 - 1)], rtol=0, atol=1e-12)


def test_holding_the_machine_keeps_the_difference() -> None:
    loop = LOOPS[0]
    w = follow_loop(loop, np.array([35.0]), 0.0, 1000)
    y = held_room(loop, 35.5, w.machine[:, 0])
    np.testing.assert_allclose(y - w.room[:, 0], 0.5, rtol=0, atol=1e-10)


def test_small_steps_tend_to_the_limit_in_proportion() -> None:
    """With k = dt p/theta, -ln l1 = k + 3k²/2 + ..: Op is too large by 3k/2 of itself, less 1 to 3 lost steps."""
    rooms = np.array([20.0, 24.6, 31.0])
    for dt in (0.002, 0.0002):
        loop = Loop(1.0, 0.8, 25.0, dt)
        found = follow_loop(loop, rooms, 0.0, round(10 / dt), round(10 / dt))
        limit = limit_op(loop, rooms, np.array(10.0))
        excess = -found.log_comp[-1] - limit
        lost = (1.5 * loop.gain * limit - excess) / loop.gain
        assert np.all((lost > 0.5) & (lost < 3.1)), lost
        np.testing.assert_allclose(
            found.room[-1], limit_room(loop, rooms, np.array(10.0)), rtol=0, atol=2 * dt
        )


def test_the_limit_solves_its_equation() -> None:
    loop = Loop(0.7, 0.6, 25.0, 1.0)
    t = np.linspace(0.0, 9.0, 90_001)
    for room in (15.0, 25.4, 31.0):
        course = limit_room(loop, np.array(room), t)
        middle = 0.5 * (course[1:] + course[:-1])
        # The kink on the way costs one step.
        np.testing.assert_allclose(
            np.diff(course) / np.diff(t), -loop.action(middle - 25.0), rtol=0, atol=1e-4
        )
        beside = limit_room(loop, np.array(room + 1e-7), t)
        slope = (beside[-1] - course[-1]) / 1e-7
        assert slope == pytest.approx(np.exp(-limit_op(loop, np.array(room), t)[-1]), rel=1e-5, abs=1e-8)


def test_reference_values() -> None:
    loop = LOOPS[0]
    found = -follow_loop(loop, np.array([14.0, 15.0, 16.0, 20.0, 24.0, 25.0, 36.0]), 0.0, 500, 500).log_comp[
        -1
    ]
    expected = [0, 0.969089, 2.000496, 6.126127, 10.251757, 10.293014, 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    course = -follow_loop(loop, np.array([35.0]), 0.0, 1000).log_comp[:, 0]
    expected = [0, 0.474013, 0.989717, 2.021124, 3.052532, 6.146755, 11.303793]
    np.testing.assert_allclose(course[[450, 475, 500, 550, 600, 750, 1000]], expected, rtol=0, atol=1e-6)
    assert entry_time(loop, np.array(35.0)) == 9.0
    assert entry_time(Loop(0.0, 1.0, 25.0, 0.02), np.array(35.0)) == np.inf
