"""Parameters of training that landscape-5x5 experiments share: optimizers, steps, and the laws of first weights."""

from __future__ import annotations

from typing import Any, Literal

from tui_opt.params import Params, Real, choice, real, whole

NEARLY_ONE = 0.9999999
LEAST_EPSILON = 1e-30
"""Networks are trained in single precision, where what is nearer to one is one, and far smaller numbers are zero."""

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


def init(
    group: str = "training", text: str = "Law of the first weights; biases are 0 but for `torch`."
) -> Any:
    """The law of the first weights."""
    return choice("glorot-uniform", group=group, help=text)


def optimizer(default: Optimizer = "momentum") -> Any:
    """How networks are trained."""
    text = "Gradient descent, with momentum (heavy ball), Adadelta, or Adam."
    return choice(default, group="training", help=text)


def learning_rate(default: Any = "auto") -> Any:
    """The step size of training."""
    text = "Step size; `auto` is 0.01 for gd and momentum, 1 for adadelta, 0.001 for adam."
    return real(default, above=0, high=1e6, symbol="η", log=True, group="training", help=text)


def momentum() -> Any:
    """The heavy ball's momentum."""
    return real(
        0.9, low=0, high=NEARLY_ONE, symbol="µ", group="training", help="Factor on the last step of momentum."
    )


def _decay(default: float, what: str) -> Any:
    return real(
        default, low=0, high=NEARLY_ONE, group="training", help=f"Decay of the mean {what} that Adam keeps."
    )


class OptimizerParams(Params):
    """The optimizer and its constants.

    Named before the class that holds what stands above them in the form: their order is that of the classes, the last
    one first.
    """

    optimizer: Optimizer = optimizer()
    learning_rate: Real | Literal["auto"] = learning_rate()
    momentum: Real = momentum()
    rho: Real = real(
        0.95,
        low=0,
        high=NEARLY_ONE,
        symbol="ρ",
        group="training",
        help="Decay of the averages that Adadelta keeps.",
    )
    epsilon: Real = real(
        1e-7, low=LEAST_EPSILON, high=1.0, symbol="ε", log=True, group="training",
        help="Added to averages of squares by Adadelta and Adam.",
    )  # fmt: skip
    beta1: Real = _decay(0.9, "gradient")
    beta2: Real = _decay(0.999, "square")
