"""Parameters of the probability-current experiments. Defaults reproduce the source text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from tui_opt.params import OneOrMany, Params, Real, Whole, choice, expressions, real, whole
from tui_opt.problems import Problem

WELL = "-exp(-(W-2)^2)"
PAIR = (WELL, "-exp(-(W-2)^2)-exp(-100*(W-1)^2)")
PLANE_WELL = "-exp(-(W1-2)^2-W2^2)"
PLANE_PAIR = (PLANE_WELL, "-exp(-(W1-2)^2-W2^2)-exp(-25*((W1-1)^2+(W2-0.1)^2))")

Model = Literal["operator", "ito", "stratonovich", "fick", "sme2"]
End = Real | Literal["auto"]


def losses() -> Any:
    """The losses of the datapoints."""
    text = "Loss of each datapoint as an expression in W; every step descends one of them, drawn uniformly."
    return expressions(PAIR, variables=("W",), group="system", help=text)


def gradients() -> Any:
    """Gradients given instead of losses."""
    text = (
        "Gradient g_j of each datapoint as an expression in W; where there are any, the losses are not used."
    )
    return expressions((), variables=("W",), least=0, group="system", help=text)


def temperature(default: float) -> Any:
    """The SGD step size, called temperature as in the source text."""
    text = "Step size of one update, W <- W - T g(W)."
    return real(default, above=0, high=1e6, unit="W²/L", symbol="T", log=True, group="system", help=text)


def substeps() -> Any:
    """Smaller steps on the same datapoint."""
    text = "Updates of size T/n on the datapoint that was drawn; 1 is SGD, 0 the exact flow of its gradient."
    return whole(1, low=0, high=10_000, symbol="n", group="system", help=text)


def w_end(side: str) -> Any:
    """An end of the interval of the cells."""
    text = f"{side} end of the cells; `auto` takes in everything that can be reached."
    return real("auto", low=-1e6, high=1e6, unit="W", group="cells", help=text)


def end_of_curve(default: float, side: str) -> Any:
    """An end of an interval that is looked at."""
    return real(default, low=-1e6, high=1e6, unit="W", group="cells", help=f"{side} end of the interval.")


def cells(default: int, most: int = 200_000) -> Any:
    """The number of cells."""
    return whole(default, low=16, high=most, log=True, group="cells", help="Cells of the interval.")


def models(default: tuple[Model, ...]) -> Any:
    """Which descriptions of the motion are computed."""
    text = "The exact chain by its transfer operator, and diffusion models beside it."
    return choice(default, least=1, group="models", help=text)


def walkers(default: int) -> Any:
    """The Monte Carlo beside it."""
    text = "Walkers of the Monte Carlo beside it; 0 for none."
    return whole(default, low=0, high=100_000_000, log=True, group="sampling", help=text)


def ordered_interval(params: Any) -> Iterable[Problem]:
    """The left end lies left of the right end, where both are numbers."""
    low, high = params.w_min, params.w_max
    if not isinstance(low, str) and not isinstance(high, str) and low >= high:
        yield Problem("w_min", f"must be below w_max = {high:g}, not {low:g}.", low)


def named_once(params: Any) -> Iterable[Problem]:
    """Every model is asked for once."""
    twice = sorted({m for m in params.models if params.models.count(m) > 1})
    if twice:
        yield Problem("models", f"has {twice[0]!r} more than once.", params.models)


class FieldsParams(Params):
    """Mean gradient and gradient variance."""

    losses: tuple[str, ...] = losses()
    gradients: tuple[str, ...] = gradients()
    temperature: Real = temperature(0.02)
    w_min: Real = end_of_curve(-1.0, "Left")
    w_max: Real = end_of_curve(4.0, "Right")
    cells: Whole = whole(2000, low=16, high=1_000_000, log=True, group="cells", help="Points of the curves.")

    rules: ClassVar = (ordered_interval,)


class EvolveParams(Params):
    """The density of W over time, by several models and by Monte Carlo."""

    losses: tuple[str, ...] = losses()
    gradients: tuple[str, ...] = gradients()
    temperature: Real = temperature(0.02)
    substeps: Whole = substeps()
    initial_mean: Real = real(
        0.5, low=-1e6, high=1e6, unit="W", symbol="µ₀", group="start", help="Mean of the normal law at t = 0."
    )
    initial_sd: Real = real(
        0.175, above=0, high=1e6, unit="W", symbol="σ₀", group="start", help="Its standard deviation."
    )
    initial_min: Real | Literal["none"] = real(
        0.0, low=-1e6, high=1e6, unit="W", group="start",
        help="The law is cut off below this value, as in the source; `none` keeps it whole.",
    )  # fmt: skip
    starts: tuple[Real, ...] = real(
        tuple(round(0.1 * i, 1) for i in range(31)), low=-1e6, high=1e6, unit="W", group="start",
        help="Starts of the paths that descend the mean gradient; may be empty.",
    )  # fmt: skip
    steps: Whole = whole(
        200, low=1, high=10_000_000, symbol="n", log=True, group="question", help="Steps to follow."
    )
    output_every: Whole = whole(
        10, low=1, high=10_000_000, group="question", help="Steps between two densities that are kept."
    )
    models: tuple[Model, ...] = models(("operator", "ito", "stratonovich"))
    scheme: Literal["tr-bdf2", "backward-euler"] = choice(
        "tr-bdf2", group="models",
        help="Time stepping of the diffusion models: second order, or first order and positive by itself.",
    )  # fmt: skip
    w_min: End = w_end("Left")
    w_max: End = w_end("Right")
    cells: Whole = cells(1500)
    walkers: Whole = walkers(100_000)

    rules: ClassVar = (ordered_interval, named_once)


def _two_places(params: Any) -> Iterable[Problem]:
    if len(params.compare) not in (0, 2):
        yield Problem(
            "compare", f"must be empty or have two places, not {len(params.compare)}.", params.compare
        )


class EndStateParams(Params):
    """Where the density of W ends, or what it settles to while it has not left."""

    losses: tuple[str, ...] = losses()
    gradients: tuple[str, ...] = gradients()
    temperature: Real = temperature(0.005)
    substeps: Whole = substeps()
    models: tuple[Model, ...] = models(("operator", "ito", "stratonovich", "fick", "sme2"))
    barrier: Real | Literal["none", "auto"] = real(
        "auto", low=-1e6, high=1e6, unit="W", symbol="b", group="question",
        help="Exit that absorbs; `auto` is the place beyond which no sequence of updates returns, `none` closes it.",
    )  # fmt: skip
    start: Real | Literal["minimum"] = real(
        "minimum", low=-1e6, high=1e6, unit="W", symbol="W₀", group="question",
        help="Where the walkers start; `minimum` is the bottom of the sharpest pit of the mean loss.",
    )  # fmt: skip
    walls: Literal["open", "reflecting"] = choice(
        "open", group="question", help="Whether walkers that leave the cells are gone or thrown back."
    )
    compare: tuple[Real, ...] = real(
        (), low=-1e6, high=1e6, unit="W", group="question",
        help="Two places whose densities are compared, as ln P(first) - ln P(second).",
    )  # fmt: skip
    w_min: End = w_end("Left")
    w_max: End = w_end("Right")
    cells: Whole = cells(4000)
    walkers: Whole = walkers(20_000)
    steps: Whole = whole(
        2000, low=1, high=10_000_000, symbol="n", log=True, group="sampling", help="Steps of each walker."
    )

    rules: ClassVar = (ordered_interval, named_once, _two_places)


def _places_inside(params: Any) -> Iterable[Problem]:
    outside = [place for place in params.places if not params.w_min <= place <= params.w_max]
    if outside:
        yield Problem(
            "places",
            f"must lie between w_min = {params.w_min:g} and w_max = {params.w_max:g}, not at {outside[0]:g}.",
            outside[0],
        )


class MetricParams(Params):
    """The coordinate in which the gradient variance is 1."""

    losses: tuple[str, ...] = losses()
    gradients: tuple[str, ...] = gradients()
    temperature: Real = temperature(0.005)
    origin: Real | Literal["auto"] = real(
        "auto", low=-1e6, high=1e6, unit="W", group="question",
        help="Where the coordinate is 0; `auto` is the stable zero of G with the largest variance, if there is one.",
    )  # fmt: skip
    places: tuple[Real, ...] = real(
        (), low=-1e6, high=1e6, unit="W", group="question",
        help="Places whose coordinate is asked for, also where it is of no use any more; may be empty.",
    )  # fmt: skip
    w_min: Real = end_of_curve(-1.0, "Left")
    w_max: Real = end_of_curve(4.0, "Right")
    cells: Whole = cells(4000)

    rules: ClassVar = (ordered_interval, _places_inside)


class PlaneParams(Params):
    """Two parameters: the density over the plane, and the circulation of its stationary current."""

    losses: tuple[str, ...] = expressions(
        PLANE_PAIR,
        variables=("W1", "W2"),
        group="system",
        help="Loss of each datapoint as an expression in W1 and W2.",
    )
    temperature: Real = temperature(0.05)
    initial_mean: OneOrMany = real(
        (0.5, 0.0), low=-1e6, high=1e6, unit="W", symbol="µ₀", group="start",
        help="Mean of the normal law at t = 0: two numbers, one per axis, or one for both.",
    )  # fmt: skip
    initial_sd: OneOrMany = real(
        (0.175, 0.175), above=0, high=1e6, unit="W", symbol="σ₀", group="start",
        help="Its standard deviation: two numbers, one per axis, or one for both.",
    )  # fmt: skip
    steps: Whole = whole(
        60, low=1, high=1_000_000, symbol="n", log=True, group="question", help="Steps to follow."
    )
    output_every: Whole = whole(
        10, low=1, high=1_000_000, group="question", help="Steps between two densities that are kept."
    )
    w1_min: End = w_end("Left")
    w1_max: End = w_end("Right")
    w2_min: End = w_end("Lower")
    w2_max: End = w_end("Upper")
    cells: Whole = whole(256, low=16, high=2048, log=True, group="cells", help="Cells per axis.")
    walkers: Whole = walkers(100_000)


def _two_axes(params: PlaneParams) -> Iterable[Problem]:
    for name in ("initial_mean", "initial_sd"):
        values = getattr(params, name)
        if not isinstance(values, float) and len(values) != 2:
            yield Problem(name, f"needs two numbers, one per axis, not {len(values)}.", values)
    for axis in ("w1", "w2"):
        low, high = getattr(params, f"{axis}_min"), getattr(params, f"{axis}_max")
        if not isinstance(low, str) and not isinstance(high, str) and low >= high:
            yield Problem(f"{axis}_min", f"must be below {axis}_max = {high:g}, not {low:g}.", low)


def per_axis(value: float | tuple[float, ...]) -> tuple[float, float]:
    """A number for both axes, or one for each."""
    first, second = (value, value) if isinstance(value, float) else value
    return first, second


PlaneParams.rules = (_two_axes,)
