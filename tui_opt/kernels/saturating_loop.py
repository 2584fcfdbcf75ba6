"""A thermostat that cannot do more than it can, in a room: explicit Euler with the delay of one step.

    R_(n+1) = R_n - dt sat(T_n)      T_(n+1) = R_n - d      sat(s) = p clip(s/theta, -1, 1)

Comp of the thermostat for a change of R_0 is the derivative of R_n with respect to R_0: with the thermostat held, the
room keeps its difference. So its integral over R_0 telescopes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

_LN2: Final = math.log(2.0)
_SLICE_SECONDS: Final = 0.05
_SECONDS_PER_LANE_STEP: Final = 4e-9
_MOST_GROWTH: Final = 250.0
"""Decades a tangent may grow before its exponent is taken out."""


@dataclass(frozen=True)
class Loop:
    """A thermostat.

    Attributes:
        power: p, the most it changes the room by per unit of time.
        width: theta, the distance from the setpoint at which it begins to do less.
        setpoint: d.
        dt: the step.
    """

    power: float
    width: float
    setpoint: float
    dt: float

    @property
    def gain(self) -> float:
        """k = dt p/theta: inside its width this is the linear loop of that gain."""
        return self.dt * self.power / self.width

    def action(self, machine: FloatArray) -> FloatArray:
        """sat(T)."""
        return self.power * np.clip(machine / self.width, -1.0, 1.0)


@dataclass(frozen=True)
class Course:
    """Courses from many initial temperatures, [output, lane].

    Attributes:
        room, machine: R and T.
        log_comp: ln|Comp|; -inf where Comp is 0.
        sign: of Comp.
    """

    room: FloatArray
    machine: FloatArray
    log_comp: FloatArray
    sign: FloatArray


def follow_loop(
    loop: Loop, room: FloatArray, machine: float, steps: int, every: int = 1, check: Check = unchecked
) -> Course:
    """Follow the loop from every initial temperature, with the exact derivative of each step.

    On the edge of the width, where the derivative jumps, it is that of the outside.

    Args:
        loop: the thermostat.
        room: [lane], R_0.
        machine: T_0.
        steps: number of steps n, at least 1.
        every: steps between outputs, a divisor of n; there are n/every + 1.
        check: called at least every 100 ms.
    """
    lanes = room.size
    shape = (steps // every + 1, lanes)
    rooms, machines, tangents = np.empty(shape), np.empty(shape), np.empty(shape)
    exponents = np.empty(shape, np.int64)
    state = np.ascontiguousarray(room, dtype=np.float64).copy(), np.full(lanes, machine)
    tangent = np.ones(lanes), np.zeros(lanes), np.zeros(lanes, np.int64)
    rooms[0], machines[0], tangents[0], exponents[0] = *state, tangent[0], 0
    apart = max(1, int(_MOST_GROWTH / math.log10(2.0 + loop.gain)))
    size = max(1, int(_SLICE_SECONDS / (_SECONDS_PER_LANE_STEP * lanes)))
    for first in range(0, steps, size):
        check()
        _advance(
            *state, *tangent, loop.power, loop.width, loop.setpoint, loop.dt, apart,
            first, min(steps, first + size), every, rooms, machines, tangents, exponents,
        )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.abs(tangents)) + exponents * _LN2
    return Course(rooms, machines, logs, np.sign(tangents))


@numba.njit(
    "void(float64[::1], float64[::1], float64[::1], float64[::1], int64[::1], float64, float64, float64, float64,"
    "int64, int64, int64, int64, float64[:, ::1], float64[:, ::1], float64[:, ::1], int64[:, ::1])",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def _advance(
    room: FloatArray,
    machine: FloatArray,
    v_room: FloatArray,
    v_machine: FloatArray,
    exponent: IntArray,
    power: float,
    width: float,
    setpoint: float,
    dt: float,
    apart: int,
    first: int,
    last: int,
    every: int,
    rooms: FloatArray,
    machines: FloatArray,
    tangents: FloatArray,
    exponents: IntArray,
) -> None:
    """Steps first+1 .. last of all lanes, lanes innermost."""
    gain = dt * power / width
    for step in range(first, last):
        for i in range(room.size):
            r, t, v, u = room[i], machine[i], v_room[i], v_machine[i]
            room[i] = r - dt * (power * min(max(t / width, -1.0), 1.0))
            machine[i] = r - setpoint
            v_room[i] = v - (gain if abs(t) < width else 0.0) * u
            v_machine[i] = v
        if (step + 1) % apart == 0:
            for i in range(room.size):
                largest = max(abs(v_room[i]), abs(v_machine[i]))
                if largest > 0.0 and math.isfinite(largest):
                    _, e = math.frexp(largest)
                    v_room[i], v_machine[i] = math.ldexp(v_room[i], -e), math.ldexp(v_machine[i], -e)
                    exponent[i] += e
        if (step + 1) % every == 0:
            k = (step + 1) // every
            for i in range(room.size):
                rooms[k, i], machines[k, i] = room[i], machine[i]
                tangents[k, i], exponents[k, i] = v_room[i], exponent[i]


def held_room(loop: Loop, room: float, machine: FloatArray) -> FloatArray:
    """The room in Y: from another R_0, with the machine held to its course T_0 .. T_n in W; [n+1]."""
    moves = -loop.dt * loop.action(machine[:-1])
    return np.asarray(np.add.accumulate(np.concatenate([[room], moves])))


# --- small steps ------------------------------------------------------------------------------------------------------


def entry_time(loop: Loop, room: FloatArray) -> FloatArray:
    """For dt to 0: when the room comes within the width; infinite where it never does."""
    away = np.maximum(np.abs(np.asarray(room) - loop.setpoint) - loop.width, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(away == 0.0, 0.0, away / loop.power)


def limit_op(loop: Loop, room: FloatArray, t: FloatArray) -> FloatArray:
    """For dt to 0: Op = p/theta times the time spent within the width; the arguments broadcast."""
    return loop.power / loop.width * np.maximum(t - entry_time(loop, room), 0.0)


def limit_room(loop: Loop, room: FloatArray, t: FloatArray) -> FloatArray:
    """For dt to 0: the room at t; it nears the setpoint evenly, and then exponentially."""
    distance = np.asarray(room) - loop.setpoint
    even = np.minimum(t, entry_time(loop, room))
    moved = np.abs(distance) - loop.power * even
    return np.asarray(loop.setpoint + np.sign(distance) * moved * np.exp(-limit_op(loop, room, t)))
