"""Parameters of the lorenz experiments. Defaults reproduce the source text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from tui_opt.params import Many, Params, Real, Whole, choice, real, whole
from tui_opt.problems import Problem

Axis = Literal["a", "b", "c"]
AXES = ("a", "b", "c")
MOST_STEPS = 100_000_000


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _as_one(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


#: names of axes; a single one may be given without brackets.
Axes = Annotated[tuple[Axis, ...], BeforeValidator(_as_list)]
#: one axis; a list of one is taken too.
OneAxis = Annotated[Axis, BeforeValidator(_as_one)]


def _coefficient(default: float, symbol: str, help: str) -> Any:
    return real(default, low=-1e4, high=1e4, symbol=symbol, group="system", help=help)


def sigma() -> Any:
    """The Prandtl number."""
    return _coefficient(10.0, "σ", "How fast a follows b: da/dt = σ (b - a).")


def rho(default: float = 28.0) -> Any:
    """The Rayleigh number over its critical value."""
    return _coefficient(
        default, "ρ", "Drive: db/dt = a (ρ - c) - b; one equilibrium below 1, chaos above 24.74."
    )


def beta() -> Any:
    """The aspect of the rolls."""
    return _coefficient(8 / 3, "β", "How fast c decays: dc/dt = a b - β c.")


def initial(default: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Any:
    """Where W begins."""
    return real(default, low=-1e6, high=1e6, group="start", help="Values of a, b and c at t = 0.")


def dt() -> Any:
    """The time step."""
    return real(0.01, low=1e-6, high=1.0, log=True, group="steps", help="Time of one step.")


def duration(default: float, help: str = "How long to follow it.") -> Any:
    """How long."""
    return real(default, low=1e-6, high=1e6, log=True, symbol="T", group="steps", help=help)


def integrator() -> Any:
    """How a step is made."""
    text = "Classical Runge-Kutta of fourth order, or explicit Euler as in the source."
    return choice("rk4", group="steps", help=text)


def held() -> Any:
    """The set A."""
    text = "The set A: axes that keep their values of W in Y; may be empty."
    return choice(("a",), group="question", help=text)


def perturbed() -> Any:
    """The axis n."""
    return choice("b", group="question", help="The axis n whose initial value is varied; not one of A.")


def held_until() -> Any:
    """The end of the window."""
    text = "A is held up to this time and free afterwards; always, where it has no value."
    return real(None, low=0, high=1e6, group="question", help=text)


def hold() -> Any:
    """How a step holds."""
    text = "Hold A in every stage of a step (the meaning in continuous time), or only at its end (error of order dt)."
    return choice("stage", group="question", help=text)


def steps_of(params: Any) -> int:
    """The number of steps: the last one ends at the duration, or just before it."""
    return max(1, int(params.duration / params.dt * (1 + 1e-12) + 1e-9))


def three_values(params: Any) -> Iterable[Problem]:
    """One initial value per axis."""
    if len(params.initial) != 3:
        yield Problem(
            "initial", f"needs three numbers, for a, b and c, not {len(params.initial)}.", params.initial
        )


def _enough_and_not_too_many_steps(duration: str, length: float, dt: float) -> Iterable[Problem]:
    if length < dt * (1 - 1e-9):
        yield Problem(duration, f"must be at least one step, dt = {dt:g}.", length)
    elif length / dt > MOST_STEPS * (1 + 1e-9):
        yield Problem(
            duration,
            f"would take {length / dt:.3g} steps of dt = {dt:g}; at most {MOST_STEPS:.0e} are made.",
            length,
        )


def possible_steps(params: Any) -> Iterable[Problem]:
    """At least one step, and not too many."""
    yield from _enough_and_not_too_many_steps("duration", params.duration, params.dt)


def free_perturbation(params: Any) -> Iterable[Problem]:
    """What is perturbed is not held."""
    if params.perturbed in params.held:
        yield Problem(
            "perturbed", f"{params.perturbed!r} is held, so its variation cannot begin; take it out of held.",
            params.perturbed,
        )  # fmt: skip


def held_once(params: Any) -> Iterable[Problem]:
    """Every axis is named once."""
    for name in ("held", "measured"):
        given = getattr(params, name)
        if isinstance(given, tuple):
            twice = sorted({axis for axis in given if given.count(axis) > 1})
            if twice:
                yield Problem(name, f"has {twice[0]!r} more than once.", given)


def _usable_deltas(params: Any) -> Iterable[Problem]:
    for delta in params.deltas:
        if delta == 0.0:
            yield Problem("deltas", "a perturbation of 0 is none; leave it out.", delta)


class TrajectoryParams(Params):
    """One trajectory."""

    sigma: Real = sigma()
    rho: Real = rho()
    beta: Real = beta()
    initial: Many = initial()
    dt: Real = dt()
    duration: Real = duration(50.0)
    integrator: Literal["rk4", "euler"] = integrator()

    rules: ClassVar = (three_values, possible_steps)


class OpParams(Params):
    """Op along one trajectory."""

    sigma: Real = sigma()
    rho: Real = rho()
    beta: Real = beta()
    initial: Many = initial()
    held: Axes = held()
    perturbed: OneAxis = perturbed()
    measured: Axes = choice(
        ("b", "c"), least=1, group="question", help="The axes m on which Op is looked at."
    )
    held_until: Real | None = held_until()
    hold: Literal["stage", "node"] = hold()
    deltas: tuple[Real, ...] = real(
        (1e-5,), low=-1e3, high=1e3, symbol="δ", group="question",
        help="Perturbations whose finite differences are drawn beside the exact limit; may be empty.",
    )  # fmt: skip
    dt: Real = dt()
    duration: Real = duration(10.0)
    integrator: Literal["rk4", "euler"] = integrator()

    rules: ClassVar = (three_values, possible_steps, free_perturbation, held_once, _usable_deltas)


def _time(params: Any) -> float:
    return float(params.time if params.duration is None else params.duration)


def map_steps(params: Any) -> int:
    """The number of steps of an op-landscape."""
    return max(1, int(_time(params) / params.dt * (1 + 1e-12) + 1e-9))


def _possible_map(params: Any) -> Iterable[Problem]:
    yield from _enough_and_not_too_many_steps(
        "time" if params.duration is None else "duration", _time(params), params.dt
    )
    if params.axis_x == params.axis_y:
        yield Problem("axis_y", f"must differ from axis_x = {params.axis_x!r}.", params.axis_y)
    for axis in "xy":
        low, high = getattr(params, f"{axis}_min"), getattr(params, f"{axis}_max")
        if low >= high:
            yield Problem(f"{axis}_min", f"must be below {axis}_max = {high:g}.", low)


def _end(default: float, axis: str, side: str) -> Any:
    return real(default, low=-1e6, high=1e6, group="map", help=f"{side} end of the {axis} axis.")


class OpLandscapeParams(Params):
    """Op over two initial coordinates."""

    sigma: Real = sigma()
    rho: Real = rho()
    beta: Real = beta()
    initial: Many = initial((1.0, 1.0, 27.0))
    held: Axes = held()
    perturbed: OneAxis = perturbed()
    measured: OneAxis = choice("b", group="question", help="The axis m on which Op is looked at.")
    held_until: Real | None = held_until()
    hold: Literal["stage", "node"] = hold()
    axis_x: OneAxis = choice("a", group="map", help="The initial value that varies to the right.")
    axis_y: OneAxis = choice("b", group="map", help="The initial value that varies upwards.")
    x_min: Real = _end(-20.0, "horizontal", "Left")
    x_max: Real = _end(20.0, "horizontal", "Right")
    y_min: Real = _end(-20.0, "vertical", "Lower")
    y_max: Real = _end(20.0, "vertical", "Upper")
    points: Whole = whole(512, low=8, high=4096, log=True, group="map", help="Starts per axis.")
    time: Real = duration(10.0, "When Op is looked at.")
    duration: Real | None = real(
        None, low=1e-6, high=1e6, group="steps", help="The same as time, which it overrules."
    )
    dt: Real = dt()
    integrator: Literal["rk4", "euler"] = integrator()

    rules: ClassVar = (three_values, _possible_map, free_perturbation, held_once)


class RatesParams(Params):
    """Rates of growth, averaged over long trajectories."""

    sigma: Real = sigma()
    rho: Real = rho()
    beta: Real = beta()
    initial: Many = initial()
    held: Axes = held()
    perturbed: OneAxis = perturbed()
    measured: OneAxis = choice("b", group="question", help="The axis m on which growth is looked at.")
    hold: Literal["stage", "node"] = hold()
    dt: Real = dt()
    duration: Real = duration(1000.0, "How long each trajectory is averaged over.")
    transient: Real = real(
        50.0, low=0, high=1e6, group="sampling", help="How long it is left alone before the averages begin."
    )
    trajectories: Whole = whole(
        64, low=1, high=65_536, log=True, group="sampling",
        help="Copies of the trajectory, begun with relative displacements of 1e-6; chaos makes them independent.",
    )  # fmt: skip
    integrator: Literal["rk4", "euler"] = integrator()

    rules: ClassVar = (three_values, possible_steps, free_perturbation, held_once)
