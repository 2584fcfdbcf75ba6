"""Parameters of the landscape-5x5 experiments that train networks: target, train, widths, basin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from tui_opt.experiments.landscape_5x5.network_params import NetworkParams, built_fits, only_built
from tui_opt.experiments.landscape_5x5.optimizer_params import (
    Init,
    Optimizer,
    OptimizerParams,
    init,
    learning_rate,
    optimizer,
    steps,
)
from tui_opt.experiments.landscape_5x5.words import counted
from tui_opt.params import Real, Whole, real, whole
from tui_opt.problems import Problem


def outputs(text: str) -> Any:
    """Times at which losses are kept."""
    return whole(60, low=2, high=1000, group="training", help=text)


class _Compared(NetworkParams):
    """What stands above the optimizer in the form."""

    compared: Whole = whole(
        64, low=0, high=1_000_000, log=True, group="knots", help="Random networks whose knots are counted."
    )  # fmt: skip
    init: Init = init("knots", "Law of their weights; biases are 0 but for `torch`.")
    steps: Whole = whole(
        2000, low=0, high=100_000_000, log=True, group="knots",
        help="Steps of training after which their knots are counted again; 0 for none.",
    )  # fmt: skip


class TargetParams(OptimizerParams, _Compared):
    """The target, its knots, and those of random and trained networks."""

    rules: ClassVar = (*NetworkParams.rules, built_fits)


class _Many(NetworkParams):
    """What stands above the optimizer in the form."""

    models: Whole = whole(
        512, low=1, high=10_000_000, log=True, group="training",
        help="Networks, each from random weights of its own; the paper has 160,000 for each optimizer.",
    )  # fmt: skip


class TrainParams(OptimizerParams, _Many):
    """Many networks trained at once."""

    steps: Whole = steps(50_000)
    init: Init = init()
    outputs: Whole = outputs("Times at which the quantiles of the loss are kept.")
    chunk: Whole = whole(
        1024, low=16, high=1_000_000, log=True, group="training",
        help="Networks trained at a time; a run that was stopped goes on within its chunk. Changes no number.",
    )  # fmt: skip
    gpus: Whole | Literal["all"] = whole(
        1, low=1, high=64, group="training",
        help="GPUs that share the chunks: the run's own, then those with the most free memory. Changes no number.",
    )  # fmt: skip
    restarts: Whole = whole(
        20, low=1, high=10_000, log=True, group="training",
        help="Starts of the search for the order of nodes nearest to the built network.",
    )  # fmt: skip


def _kinds(params: Any) -> Iterable[Problem]:
    if not params.widths:
        yield Problem("widths", "must have at least one width.", params.widths)
    if params.depths and len(params.depths) != len(params.widths):
        said = f"has {counted(len(params.depths), 'depth')} for {counted(len(params.widths), 'width')}."
        yield Problem("depths", said, params.depths, "Leave it out for as many layers as nodes.")
    elif max((d for d in params.depths or params.widths), default=0) > 40:
        yield Problem(
            "widths", "has more than 40 layers where depths are left out; give depths.", params.widths
        )


class _Several(NetworkParams):
    """What stands above the optimizer in the form."""

    widths: tuple[Whole, ...] = whole(
        (5, 10), low=1, high=128, group="widths",
        help="Nodes of every hidden layer, one kind of network after the other.",
    )  # fmt: skip
    depths: tuple[Whole, ...] = whole(
        (), low=1, high=40, group="widths",
        help="Hidden layers of each, as many as widths; if empty, as many as nodes: 10 × 10 beside 5 × 5.",
    )  # fmt: skip
    models: Whole = whole(8, low=1, high=1_000_000, log=True, group="training", help="Networks of each kind.")


class WidthsParams(OptimizerParams, _Several):
    """Networks of several widths and depths on the same target."""

    optimizer: Optimizer = optimizer("adadelta")
    steps: Whole = steps(12_000)
    init: Init = init()
    outputs: Whole = outputs("Times at which losses are kept; the least so far is among these.")

    rules: ClassVar = (*NetworkParams.rules, _kinds)

    @property
    def kinds(self) -> tuple[tuple[int, int], ...]:
        """Layers and width of each kind of network."""
        return tuple(zip(self.depths or self.widths, self.widths, strict=True))


class _Noisy(NetworkParams):
    """What stands above the optimizer in the form."""

    noise_max: Real = real(
        2.0, above=0, high=1e6, group="noise",
        help="Largest norm of the noise, which is uniform from 0 to it.",
    )  # fmt: skip
    trials: Whole = whole(
        512, low=1, high=1_000_000, log=True, group="noise",
        help="Noisy copies of the built network that are trained; the paper has 4096 for each optimizer.",
    )  # fmt: skip


class BasinParams(OptimizerParams, _Noisy):
    """Noise on the built network, and training from there."""

    learning_rate: Real | Literal["auto"] = learning_rate(0.001)
    steps: Whole = steps(20_000)
    threshold: Real = real(
        1e-3, above=0, high=1e6, log=True, group="return",
        help="A trial has returned if its last loss is below this.",
    )  # fmt: skip
    polish: Whole = whole(
        0, low=0, high=100_000_000, log=True, group="return",
        help="Steps of momentum that follow, with polish_rate: does a run that hovers stand in the basin? 0 for none.",
    )  # fmt: skip
    polish_rate: Real = real(
        0.001, above=0, high=1e6, log=True, group="return",
        help="Learning rate of these steps; their momentum is 0.9.",
    )  # fmt: skip
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

    rules: ClassVar = (
        *NetworkParams.rules,
        built_fits,
        only_built("the basin of the hand-built network is asked about, and no other target has one"),
    )
