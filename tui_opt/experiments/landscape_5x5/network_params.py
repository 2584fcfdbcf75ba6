"""Parameters of every landscape-5x5 experiment: the network, and what it is to learn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal

from pydantic import Field

from tui_opt.expressions import ExpressionError, parse
from tui_opt.params import Params, Real, Whole, real, whole
from tui_opt.problems import Problem

BUILT = "built"
SAW_NODES = 2
VARIABLE = ("x",)


class NetworkParams(Params):
    """The network and what it is to learn. Experiments derive from it and add what they ask."""

    layers: Whole = whole(
        5, low=1, high=40, symbol="K", group="network", help="Hidden layers of the networks, and of the built one."
    )  # fmt: skip
    width: Whole = whole(5, low=1, high=128, symbol="N", group="network", help="Nodes of every hidden layer.")
    heights: tuple[Real, ...] = real(
        (1.0, -1.0, 0.0), low=-1e6, high=1e6, group="target",
        help="Heights of the built network's spline at the ends of its pieces; it begins with 0 at x = -1.",
    )  # fmt: skip
    amplitude: Real = real(
        0.7, low=-1e6, high=1e6, group="target", help="Half the height of a tooth of the built sawtooth."
    )
    teeth: Whole | Literal["auto"] = whole(
        "auto", low=1, high=2**39, group="target",
        help="Teeth of the sawtooth, a power of two; `auto` is the most that the layers make, 2^(layers-1).",
    )  # fmt: skip
    points_between: Whole = whole(
        9, low=0, high=100_000, log=True, group="target",
        help="Training points between neighbouring knots, which are training points too.",
    )  # fmt: skip
    target: str = Field(
        BUILT, description="`built` is the hand-built network; or an expression in x, such as sin(9*x)+abs(x).",
        json_schema_extra={"group": "target"},
    )  # fmt: skip
    points: Whole = whole(
        341, low=2, high=1_000_000, log=True, group="target",
        help="Training points of a target that is an expression, evenly from -1 to 1.",
    )  # fmt: skip
    data: str = Field(
        "", description="CSV file with columns x and y to learn instead; relative to the scenario file.",
        json_schema_extra={"group": "target", "is_path": True},
    )  # fmt: skip

    rules: ClassVar[tuple[Any, ...]] = ()

    @property
    def is_built(self) -> bool:
        """Whether the hand-built network is the target."""
        return not self.data and self.target.strip() == BUILT

    @property
    def csv(self) -> str:
        """The file that the training set is read from; empty where there is none."""
        return self.data or (self.target if self.target.lower().endswith(".csv") else "")

    @property
    def built_width(self) -> int:
        """Nodes in a layer of the hand-built network."""
        return SAW_NODES + len(self.heights)

    @property
    def parameters(self) -> int:
        """Parameters of a network."""
        return 2 * self.width + (self.layers - 1) * self.width * (self.width + 1) + self.width + 1


def target_can_be_read(params: Any) -> Iterable[Problem]:
    """The expression is one."""
    if params.is_built or params.csv:
        return
    try:
        parse(params.target, VARIABLE)
    except ExpressionError as error:
        yield Problem(
            "target", error.explain(), params.target, "It is `built`, an expression in x, or a CSV file."
        )


def can_be_built(params: Any) -> Iterable[Problem]:
    """The hand-built network has a spline, and teeth that its layers make."""
    if not params.is_built:
        return
    if not params.heights:
        yield Problem("heights", "must have at least one height; (0) is no spline.", params.heights)
    if len(params.heights) > 126:
        yield Problem("heights", "has more than 126 heights.", params.heights)
    if params.teeth == "auto":
        return
    most = 2 ** (params.layers - 1)
    if params.teeth > most or params.teeth & (params.teeth - 1):
        said = f"must be a power of two up to {most} = 2^(layers-1), not {params.teeth}."
        yield Problem("teeth", said, params.teeth)


MOST_SAMPLES = 2_000_000


def not_too_many_samples(params: Any) -> Iterable[Problem]:
    """The training set of the built network is of a size that can be learnt."""
    if not params.is_built:
        return
    teeth = 2 ** (params.layers - 1) if params.teeth == "auto" else params.teeth
    samples = (2 * teeth + len(params.heights)) * (params.points_between + 1)
    if samples > MOST_SAMPLES:
        said = f"gives about {samples:,} training points, and at most {MOST_SAMPLES:,} are allowed."
        # A single tooth is the least there is.
        fewer = f"fewer teeth than {teeth:,} by `teeth` or `layers`" if teeth > 1 else "fewer heights"
        hint = f"Give fewer points, or {fewer}."
        yield Problem("points_between", said, params.points_between, hint)


def built_fits(params: Any) -> Iterable[Problem]:
    """Where the hand-built network itself is asked about, it has room in the layers."""
    if params.is_built and params.width < params.built_width:
        said = (
            f"must be at least {params.built_width} for the hand-built network: {SAW_NODES} nodes for the sawtooth and "
            f"{len(params.heights)} for the spline's {'height' if len(params.heights) == 1 else 'heights'}."
        )
        yield Problem("width", said, params.width)


def only_built(why: str) -> Callable[[Any], Iterable[Problem]]:
    """The rule that no other target than the hand-built network can be asked about; `why` ends its sentence."""

    def rule(params: Any) -> Iterable[Problem]:
        if not params.is_built:
            key = "data" if params.data else "target"
            yield Problem(key, f"must be left out: {why}.", params.data or params.target)

    return rule


NetworkParams.rules = (target_can_be_read, can_be_built, not_too_many_samples)
