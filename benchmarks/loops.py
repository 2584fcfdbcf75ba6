"""Thermostats of limited power from many starts, systems that are written down, and controllers in training.

Peers: the same equations in NumPy on whole arrays, the plain engine in NumPy, and one controller after the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._timing import in_turn
from tui_opt.experiments.node_systems import tape_system
from tui_opt.kernels.controller_training import Trainer
from tui_opt.kernels.controllers import Controllers, draw, draw_states
from tui_opt.kernels.plants import LEAKY_ROOM
from tui_opt.kernels.saturating_loop import Loop, follow_loop
from tui_opt.kernels.tangents import Question, System, follow

FloatArray = NDArray[np.float64]

LANES, STEPS = 401, 500
WRITTEN_STEPS, PLAIN_STEPS = 20_000, 200
SEEDS, STATES, HORIZON = 8, 16, 60


def plain_loop(loop: Loop, room: FloatArray, steps: int) -> FloatArray:
    """R and dR/dR_0 in whole arrays, without taking exponents out."""
    machine, v, u = np.zeros_like(room), np.ones_like(room), np.zeros_like(room)
    for _ in range(steps):
        slope = np.where(np.abs(machine) < loop.width, loop.gain, 0.0)
        room, machine = room - loop.dt * loop.action(machine), room - loop.setpoint
        v, u = v - slope * u, v
    return v


def limited_power() -> dict[str, Any]:
    """The landscape of the defaults."""
    loop, rooms = Loop(1.0, 1.0, 25.0, 0.02), np.linspace(5.0, 45.0, LANES)
    ours, numpy = in_turn(
        lambda: follow_loop(loop, rooms, 0.0, STEPS, STEPS), lambda: plain_loop(loop, rooms, STEPS)
    )
    return {
        "name": f"saturating, {LANES} starts x {STEPS} steps with tangents",
        "seconds": ours,
        "ns_per_lane_step": 1e9 * ours / (LANES * STEPS),
        "times_numpy": numpy / ours,
    }


def written_down() -> dict[str, Any]:
    """A loop of three nodes, tape against functions."""
    system = tape_system({"a": "a - 4/27*c", "b": "a", "c": "b"})
    matrix = np.array([[1.0, 0.0, -4 / 27], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    functions = System(3, lambda t, s: matrix @ s, lambda t, s, v: matrix @ v)

    def asked(steps: int) -> Question:
        return Question(np.array([3.0, 1.0, 2.0]), steps, 0, (2,), integrator="map")

    ours, plain = in_turn(
        lambda: follow(system, asked(WRITTEN_STEPS)), lambda: follow(functions, asked(PLAIN_STEPS)), rounds=5
    )
    return {
        "name": f"own-system, three nodes x {WRITTEN_STEPS} steps with both tangents",
        "seconds": ours,
        "us_per_step": 1e6 * ours / WRITTEN_STEPS,
        "times_numpy": (plain / PLAIN_STEPS) / (ours / WRITTEN_STEPS),
    }


def controllers() -> dict[str, Any]:
    """An update of all seeds, against one seed after the other."""
    networks = draw(LEAKY_ROOM, 8, [np.random.default_rng(i) for i in range(SEEDS)])
    states = np.stack(
        [draw_states(LEAKY_ROOM, STATES, np.random.default_rng(i)) for i in range(SEEDS)], axis=1
    )
    together = Trainer(LEAKY_ROOM, networks, states, HORIZON, 0.03)
    alone = [
        Trainer(
            LEAKY_ROOM,
            Controllers(
                networks.w1[i : i + 1], networks.b1[i : i + 1], networks.w2[i : i + 1], networks.b2[i : i + 1]
            ),
            states[:, i : i + 1],
            HORIZON,
            0.03,
        )
        for i in range(SEEDS)
    ]
    ours, theirs = in_turn(together.update, lambda: [trainer.update() for trainer in alone])
    return {
        "name": f"controller, an update of {SEEDS} seeds through {HORIZON} steps",
        "seconds": ours,
        "times_one_by_one": theirs / ours,
    }


def measure() -> list[dict[str, Any]]:
    """All of them."""
    return [limited_power(), written_down(), controllers()]
