"""Parameters that the landscape-5x5 experiments share: the network, what it is to learn, and how it is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from pydantic import Field

from tui_opt.expressions import ExpressionError, parse
from tui_opt.params import Params, Real, Whole, choice, real, whole
from tui_opt.problems import Problem

BUILT = "built"
SAW_NODES = 2
VARIABLE = ("x",)
Optimizer = Literal["gd", "momentum", "adadelta", "adam"]
Init = Literal[
    "glorot-uniform", "glorot-normal", "he-uniform", "he-normal", "lecun-uniform", "lecun-normal", "torch"
]
#: learning rates where none is given: of the heavy ball the usual one, of Adadelta and Adam those of their papers.
USUAL_RATES = {"gd": 0.01, "momentum": 0.01, "adadelta": 1.0, "adam": 0.001}


def steps(default: int) -> Any:
    """Steps of training."""
    return whole(
        default, low=1, high=100_000_000, log=True, group="training", help="Steps of every network, full batch."
    )  # fmt: skip


def optimizer() -> Any:
    """How networks are trained."""
    return choice(
        "momentum", group="training", help="Gradient descent, with momentum (heavy ball), Adadelta, or Adam."
    )


def learning_rate(default: Any = "auto") -> Any:
    """The step size of training."""
    text = "Step size; `auto` is 0.01 for gd and momentum, 1 for adadelta, 0.001 for adam."
    return real(default, above=0, high=1e6, symbol="η", log=True, group="training", help=text)


def momentum() -> Any:
    """The heavy ball's momentum."""
    return real(
        0.9, low=0, below=1, symbol="µ", group="training", help="Factor on the last step of momentum."
    )


def rho() -> Any:
    """Adadelta's decay."""
    return real(
        0.95, low=0, below=1, symbol="ρ", group="training", help="Decay of the averages that Adadelta keeps."
    )


def epsilon() -> Any:
    """What is added to averages of squares."""
    text = "Added to averages of squares by Adadelta and Adam."
    return real(1e-7, above=0, high=1.0, symbol="ε", log=True, group="training", help=text)


def beta(default: float, what: str) -> Any:
    """Adam's decays."""
    return real(default, low=0, below=1, group="training", help=f"Decay of the mean {what} that Adam keeps.")


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
        hint = f"Give fewer points, or fewer teeth than {teeth:,} by `teeth` or `layers`."
        yield Problem("points_between", said, params.points_between, hint)


def built_fits(params: Any) -> Iterable[Problem]:
    """Where the hand-built network itself is asked about, it has room in the layers."""
    if params.is_built and params.width < params.built_width:
        said = (
            f"must be at least {params.built_width} for the hand-built network: {SAW_NODES} nodes for the sawtooth and "
            f"{len(params.heights)} for the spline's heights."
        )
        yield Problem("width", said, params.width)


def _kinds(params: Any) -> Iterable[Problem]:
    if not params.widths:
        yield Problem("widths", "must have at least one width.", params.widths)
    if params.depths and len(params.depths) != len(params.widths):
        said = f"has {len(params.depths)} depths for {len(params.widths)} widths."
        yield Problem("depths", said, params.depths, "Leave it out for as many layers as nodes.")
    elif max((d for d in params.depths or params.widths), default=0) > 40:
        yield Problem(
            "widths", "has more than 40 layers where depths are left out; give depths.", params.widths
        )


def _is_built(params: Any) -> Iterable[Problem]:
    if not params.is_built:
        key = "data" if params.data else "target"
        said = "must be left out: the basin of the hand-built network is asked about, and no other target has one."
        yield Problem(key, said, params.data or params.target)


NetworkParams.rules = (target_can_be_read, can_be_built, not_too_many_samples)


class TargetParams(NetworkParams):
    """The target, its knots, and those of random and trained networks."""

    compared: Whole = whole(
        64, low=0, high=1_000_000, log=True, group="knots", help="Random networks whose knots are counted."
    )  # fmt: skip
    init: Init = choice(
        "glorot-uniform", group="knots", help="Law of their weights; biases are 0 but for `torch`."
    )
    steps: Whole = whole(
        2000, low=0, high=100_000_000, log=True, group="knots",
        help="Steps of training after which their knots are counted again; 0 for none.",
    )  # fmt: skip
    optimizer: Optimizer = optimizer()
    learning_rate: Real | Literal["auto"] = learning_rate()
    momentum: Real = momentum()
    rho: Real = rho()
    epsilon: Real = epsilon()
    beta1: Real = beta(0.9, "gradient")
    beta2: Real = beta(0.999, "square")

    rules: ClassVar = (*NetworkParams.rules, built_fits)


class TrainParams(NetworkParams):
    """Many networks trained at once."""

    models: Whole = whole(
        512, low=1, high=10_000_000, log=True, group="training",
        help="Networks, each from random weights of its own; the paper has 160,000 for each optimizer.",
    )  # fmt: skip
    optimizer: Optimizer = optimizer()
    learning_rate: Real | Literal["auto"] = learning_rate()
    momentum: Real = momentum()
    rho: Real = rho()
    epsilon: Real = epsilon()
    beta1: Real = beta(0.9, "gradient")
    beta2: Real = beta(0.999, "square")
    steps: Whole = steps(50_000)
    init: Init = choice(
        "glorot-uniform", group="training", help="Law of the first weights; biases are 0 but for `torch`."
    )
    outputs: Whole = whole(
        60, low=2, high=1000, group="training", help="Times at which the quantiles of the loss are kept."
    )
    chunk: Whole = whole(
        1024, low=16, high=1_000_000, log=True, group="training",
        help="Networks trained at a time; a run that was stopped goes on within its chunk. Changes no number.",
    )  # fmt: skip
    restarts: Whole = whole(
        20, low=1, high=10_000, log=True, group="training",
        help="Starts of the search for the order of nodes nearest to the built network.",
    )  # fmt: skip


class WidthsParams(NetworkParams):
    """Networks of several widths and depths on the same target."""

    widths: tuple[Whole, ...] = whole(
        (5, 10),
        low=1,
        high=128,
        group="widths",
        help="Nodes of every hidden layer, one kind of network after the other.",
    )
    depths: tuple[Whole, ...] = whole(
        (), low=1, high=40, group="widths",
        help="Hidden layers of each, as many as widths; if empty, as many as nodes: 10 × 10 beside 5 × 5.",
    )  # fmt: skip
    models: Whole = whole(8, low=1, high=1_000_000, log=True, group="training", help="Networks of each kind.")
    optimizer: Optimizer = choice(
        "adadelta", group="training", help="Gradient descent, with momentum (heavy ball), Adadelta, or Adam."
    )
    learning_rate: Real | Literal["auto"] = learning_rate()
    momentum: Real = momentum()
    rho: Real = rho()
    epsilon: Real = epsilon()
    beta1: Real = beta(0.9, "gradient")
    beta2: Real = beta(0.999, "square")
    steps: Whole = steps(12_000)
    init: Init = choice(
        "glorot-uniform", group="training", help="Law of the first weights; biases are 0 but for `torch`."
    )
    outputs: Whole = whole(
        60,
        low=2,
        high=1000,
        group="training",
        help="Times at which losses are kept; the least so far is among these.",
    )

    rules: ClassVar = (*NetworkParams.rules, _kinds)

    @property
    def kinds(self) -> tuple[tuple[int, int], ...]:
        """Layers and width of each kind of network."""
        return tuple(zip(self.depths or self.widths, self.widths, strict=True))


class BasinParams(NetworkParams):
    """Noise on the built network, and training from there."""

    noise_max: Real = real(
        2.0,
        above=0,
        high=1e6,
        group="noise",
        help="Largest norm of the noise, which is uniform from 0 to it.",
    )
    trials: Whole = whole(
        512, low=1, high=1_000_000, log=True, group="noise",
        help="Noisy copies of the built network that are trained; the paper has 4096 for each optimizer.",
    )  # fmt: skip
    optimizer: Optimizer = optimizer()
    learning_rate: Real | Literal["auto"] = learning_rate(0.001)
    momentum: Real = momentum()
    rho: Real = rho()
    epsilon: Real = epsilon()
    beta1: Real = beta(0.9, "gradient")
    beta2: Real = beta(0.999, "square")
    steps: Whole = steps(20_000)
    threshold: Real = real(
        1e-3,
        above=0,
        high=1e6,
        log=True,
        group="return",
        help="A trial has returned if its last loss is below this.",
    )
    polish: Whole = whole(
        0, low=0, high=100_000_000, log=True, group="return",
        help="Steps of momentum that follow, with polish_rate: does a run that hovers stand in the basin? 0 for none.",
    )  # fmt: skip
    polish_rate: Real = real(
        0.001,
        above=0,
        high=1e6,
        log=True,
        group="return",
        help="Learning rate of these steps; their momentum is 0.9.",
    )
    factors: tuple[Real, ...] = real(
        (0.9, 0.99, 1.1, 1.25), above=0, high=1e3, group="stability",
        help="Learning rates tried from nearby, as parts of the stability limit; none for adadelta and adam.",
    )  # fmt: skip
    nearby_steps: Whole = whole(
        5000, low=1, high=10_000_000, log=True, group="stability", help="Steps of each of these tries."
    )
    nearby: Real = real(
        1e-3, above=0, high=1e3, log=True, group="stability", help="Norm of the noise that they start from."
    )

    rules: ClassVar = (*NetworkParams.rules, built_fits, _is_built)
