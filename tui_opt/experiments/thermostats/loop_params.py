"""Parameters of thermostats whose room and machine are numbers. Defaults reproduce the source texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from tui_opt.params import Params, Real, Whole, real, whole
from tui_opt.problems import Problem

MOST_STEPS = 100_000
MOST_LOOP_STEPS = 1_000_000
MOST_LANE_STEPS = 2_000_000_000
_FAR = 1e6


def temperature(default: float, symbol: str, help: str) -> Any:
    """A temperature, or a machine's state, which has the same unit."""
    return real(default, low=-_FAR, high=_FAR, unit="K", symbol=symbol, group="system", help=help)


def delta(default: float) -> Any:
    """The size of a finite difference."""
    text = "Change of the room's initial value for the finite differences; not 0."
    return real(default, low=-_FAR, high=_FAR, unit="K", symbol="δ", log=True, group="checks", help=text)


def changed(params: Any) -> Iterable[Problem]:
    """A finite difference changes something, also in double precision."""
    if params.delta == 0.0:
        yield Problem("delta", "must not be 0: nothing would change.", params.delta)
    elif params.room + params.delta == params.room:
        yield Problem(
            "delta", f"is lost in rounding beside room = {params.room:g}; choose a larger one.", params.delta
        )


class NetworkParams(Params):
    """A room and a linear thermostat, each of which acts on the other a step later."""

    gain: Real = real(
        0.01, low=-1e6, high=1e6, symbol="k", log=True, group="system",
        help="Change of the room in a step per unit of the machine's state.",
    )  # fmt: skip
    setpoint: Real = temperature(25.0, "d", "Temperature the machine compares the room with.")
    room: Real = temperature(35.0, "R₀", "Initial temperature of the room; the perturbed node.")
    machine: Real = temperature(10.0, "T₀", "Initial state of the machine.")
    steps: Whole = whole(1000, low=1, high=MOST_STEPS, log=True, group="time", help="Steps.")
    delta: Real = delta(1e-3)
    noise_amplitude: Real = real(
        0.0, low=-_FAR, high=_FAR, unit="K", group="noise",
        help="Amplitude of a sinusoid added to the room at each step, the same in W, X and Y.",
    )  # fmt: skip
    noise_period: Real = real(
        100.0, above=0, high=1e9, unit="steps", group="noise", help="Period of the sinusoid."
    )

    rules: ClassVar = (changed,)


def power() -> Any:
    """The most the thermostat can do."""
    text = "Change of the room per unit of time where the thermostat does all it can."
    return real(1.0, low=0, high=_FAR, unit="K/s", symbol="p", group="system", help=text)


def width() -> Any:
    """Half the region in which it does less."""
    text = "Distance from the setpoint at which the thermostat begins to do less."
    return real(1.0, low=1e-9, high=_FAR, unit="K", symbol="θ", log=True, group="system", help=text)


def time_step() -> Any:
    """The Euler step."""
    text = "Step of explicit Euler, and the delay with which the machine reads the room."
    return real(0.02, low=1e-9, high=1e6, unit="s", symbol="dt", log=True, group="time", help=text)


def steps_of(time: float, dt: float) -> int:
    """Whole steps within a time; a step that ends there but for rounding counts."""
    return int(time / dt * (1 + 1e-12) + 1e-9)


class SaturatingParams(Params):
    """A thermostat that cannot do more than it can, from one initial temperature."""

    power: Real = power()
    width: Real = width()
    setpoint: Real = temperature(25.0, "d", "Temperature the machine compares the room with.")
    room: Real = temperature(35.0, "R₀", "Initial temperature of the room; the perturbed node.")
    machine: Real = temperature(
        0.0, "T₀", "Initial state of the machine; 0 acts on nothing in the first step."
    )
    dt: Real = time_step()
    duration: Real = real(
        20.0, above=0, high=1e9, unit="s", log=True, group="time", help="Time that is followed."
    )
    delta: Real = delta(1e-3)

    def _fits(self: Any) -> Iterable[Problem]:
        steps = steps_of(self.duration, self.dt)
        if steps < 1:
            yield Problem("duration", f"must be at least one step dt = {self.dt:g}.", self.duration)
        elif steps > MOST_LOOP_STEPS:
            text = f"takes {steps:,} steps of dt = {self.dt:g}; at most {MOST_LOOP_STEPS:,} are allowed."
            yield Problem("duration", text, self.duration)

    rules: ClassVar = (changed, _fits)


def _ordered(params: Any) -> Iterable[Problem]:
    if not params.room_min < params.room_max:
        yield Problem("room_min", f"must be below room_max = {params.room_max:g}.", params.room_min)


def _landscape_fits(params: Any) -> Iterable[Problem]:
    steps = steps_of(params.time, params.dt)
    if steps < 1:
        yield Problem("time", f"must be at least one step dt = {params.dt:g}.", params.time)
    elif steps * params.points > MOST_LANE_STEPS or steps > MOST_LOOP_STEPS:
        text = (
            f"takes {steps:,} steps of dt = {params.dt:g} for each of {params.points:,} points; "
            f"at most {MOST_LANE_STEPS:,} in all and {MOST_LOOP_STEPS:,} each are allowed."
        )
        yield Problem("time", text, params.time)


def _difference_counts(params: Any) -> Iterable[Problem]:
    farthest = max(abs(params.room_min), abs(params.room_max))
    if params.delta == 0.0:
        yield Problem("delta", "must not be 0: nothing would change.", params.delta)
    elif farthest + abs(params.delta) == farthest:
        text = f"is lost in rounding beside temperatures of {farthest:g}; choose a larger one."
        yield Problem("delta", text, params.delta)


class SaturatingLandscapeParams(Params):
    """The same thermostat from many initial temperatures."""

    power: Real = power()
    width: Real = width()
    setpoint: Real = temperature(25.0, "d", "Temperature the machine compares the room with.")
    machine: Real = temperature(
        0.0, "T₀", "Initial state of the machine; 0 acts on nothing in the first step."
    )
    room_min: Real = temperature(5.0, "a", "Lowest initial temperature.")
    room_max: Real = temperature(45.0, "b", "Highest initial temperature.")
    points: Whole = whole(401, low=3, high=1_000_000, log=True, group="grid", help="Initial temperatures.")
    dt: Real = time_step()
    time: Real = real(
        10.0, above=0, high=1e9, unit="s", symbol="t", log=True, group="time", help="When Op is asked."
    )
    delta: Real = delta(1e-3)

    rules: ClassVar = (_ordered, _landscape_fits, _difference_counts)
