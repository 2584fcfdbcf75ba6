"""Parameters of the experiments that look at minima: hessian and paths."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from tui_opt.experiments.landscape_5x5 import WIDEST_IN_LANES
from tui_opt.experiments.landscape_5x5.network_params import NetworkParams, built_fits, only_built
from tui_opt.experiments.landscape_5x5.optimizer_params import (
    Init,
    OptimizerParams,
    init,
    learning_rate,
    momentum,
    steps,
)
from tui_opt.params import Real, Whole, choice, real, whole, whole_or_run
from tui_opt.problems import Problem


def minima(default: int) -> Any:
    """How many, or whose."""
    text = "Networks that are trained and polished; or the id of a run of `train`, whose networks are polished instead."
    return whole_or_run(default, low=1, high=100_000, log=True, group="minima", help=text)


def of_run(default: int) -> Any:
    """How many of a run's networks."""
    return whole(
        default, low=1, high=100_000, log=True, group="minima",
        help="Networks that are taken where minima is a run; fewer where it has fewer.",
    )  # fmt: skip


def polish(default: int) -> Any:
    """Steps towards a minimum."""
    return whole(
        default, low=0, high=100_000_000, log=True, group="minima",
        help="Small steps of momentum after training: where training ends, the gradient is far from zero.",
    )  # fmt: skip


def polish_rate() -> Any:
    """Their size."""
    return real(
        0.001,
        above=0,
        high=1e6,
        log=True,
        group="minima",
        help="Learning rate of these steps; their momentum is 0.9.",
    )


class MinimaParams(NetworkParams):
    """Minima: networks to be trained, or those of a run."""

    minima: Whole | str = minima(32)
    of_run: Whole = of_run(32)
    taken: Literal["first", "best"] = choice(
        "first", group="minima", help="Which networks of a run: the first, or those of least loss."
    )

    @property
    def run(self) -> str:
        """The run that networks are taken from; empty where they are trained."""
        return self.minima if isinstance(self.minima, str) else ""

    @property
    def number(self) -> int:
        """How many networks there are, at most."""
        return self.of_run if isinstance(self.minima, str) else self.minima


class HessianParams(OptimizerParams, MinimaParams):
    """Curvatures of minima and of the built network."""

    steps: Whole = steps(20_000)
    init: Init = init("minima", "Law of the first weights.")
    polish: Whole = polish(0)
    polish_rate: Real = polish_rate()
    representative: Literal["trained", "smallest"] = choice(
        "trained",
        group="minima",
        help="Networks as training left them, or scaled to the smallest norm: curvatures depend on the scaling.",
    )

    rules: ClassVar = NetworkParams.rules


def _narrow(params: Any) -> Iterable[Problem]:
    if params.width > WIDEST_IN_LANES:
        said = f"must be at most {WIDEST_IN_LANES} for paths, whose many gradients are computed in lanes."
        wide = params.built_width > WIDEST_IN_LANES
        yield Problem("width", said, params.width, "Give fewer heights, too." if wide else "")


class PathsParams(MinimaParams):
    """Paths of low loss from the built network to minima."""

    minima: Whole | str = minima(16)
    of_run: Whole = of_run(16)
    steps: Whole = steps(20_000)
    learning_rate: Real | Literal["auto"] = learning_rate()
    momentum: Real = momentum()
    init: Init = init("minima", "Law of the first weights.")
    polish: Whole = polish(30_000)
    polish_rate: Real = polish_rate()
    align: Literal["none", "sorted", "matched"] = choice(
        "matched",
        group="path",
        help="Order of nodes: as trained, by the norm of their weights, or nearest to the built network's.",
    )
    representative: Literal["smallest", "trained"] = choice(
        "smallest",
        group="path",
        help="Ends scaled to the smallest norm, or as built and trained; with align none no symmetry is removed then.",
    )
    method: Literal["minimax", "string", "neb"] = choice(
        "minimax",
        group="path",
        help="Pivots that see what lies between them; the string method; the nudged elastic band, one image climbing.",
    )
    images: Whole = whole(
        64, low=4, high=4096, log=True, group="path", help="Images of a path, ends included."
    )
    iterations: Whole = whole(
        5000, low=1, high=10_000_000, log=True, group="path",
        help="Steps of the path's descent; minimax takes as many again with twice the images.",
    )  # fmt: skip
    starts: Whole = whole(
        2, low=1, high=2, group="path",
        help="Paths of minimax begin at the minimum, and with 2 at the built network too; the lower one is kept.",
    )  # fmt: skip
    fine: Whole = whole(
        10,
        low=1,
        high=1000,
        log=True,
        group="path",
        help="Points between images at which the loss is looked at.",
    )

    rules: ClassVar = (
        *NetworkParams.rules,
        built_fits,
        _narrow,
        only_built("paths lead from the hand-built network, and no other target has one"),
    )
