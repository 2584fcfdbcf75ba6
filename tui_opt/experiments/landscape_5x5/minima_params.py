"""Parameters of the experiments that look at minima: hessian and paths."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from tui_opt.experiments.landscape_5x5.network_params import NetworkParams, built_fits
from tui_opt.experiments.landscape_5x5.optimizer_params import (
    Init,
    OptimizerParams,
    init,
    learning_rate,
    momentum,
    steps,
)
from tui_opt.params import Real, Whole, choice, real, whole


def minima(default: int) -> Any:
    """How many."""
    return whole(
        default, low=1, high=100_000, log=True, group="minima", help="Networks that are trained and polished."
    )


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


class _Minima(NetworkParams):
    """What stands above the optimizer in the form."""

    minima: Whole = minima(32)


class HessianParams(OptimizerParams, _Minima):
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


class PathsParams(NetworkParams):
    """Paths of low loss from the built network to minima."""

    minima: Whole = minima(16)
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

    rules: ClassVar = (*NetworkParams.rules, built_fits)
