"""Parameters of fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from tui_opt.experiments.cos_fit.model_text import DRAWN, read_model, roles
from tui_opt.experiments.cos_fit.params import START, SampleParams, model_fits, start
from tui_opt.expressions import ExpressionError
from tui_opt.params import Real, Whole, choice, real, whole
from tui_opt.problems import Problem

Optimizer = Literal["sgd", "momentum", "adam", "lbfgs", "least-squares"]


def batch() -> Any:
    """Samples per update."""
    words = "Samples per update of sgd, momentum and adam; the last batch of an epoch may be smaller."
    return whole(512, low=1, high=100_000_000, log=True, group="fit", help=words)


def epochs(default: int) -> Any:
    """Passes through the samples."""
    words = "Passes of sgd, momentum and adam through the samples."
    return whole(default, low=1, high=10_000_000, log=True, group="fit", help=words)


def tolerance() -> Any:
    """What counts as there."""
    words = "A parameter is found if it ends so near to where the samples' loss is least."
    return real(1e-3, above=0, high=1e6, log=True, group="fit", help=words)


def start_fits(params: Any) -> Iterable[Problem]:
    """There is a start for each parameter; named models take a and b whichever of them they have."""
    try:
        model = read_model(params.model)
    except ExpressionError:
        return  # said by another rule
    if params.data and not params.parameters:
        return  # which names are columns is known when the file is read
    names = params.parameters if params.data else roles(model, DRAWN, params.parameters).parameters
    named_pair = model.named and len(params.start) == len(START)
    if names and len(params.start) != len(names) and not named_pair:
        said = f"has {len(params.start)} values for {len(names)} parameters ({', '.join(names)})."
        yield Problem("start", said, params.start)


class FitParams(SampleParams):
    """One fit from one start."""

    optimizer: Optimizer = choice(
        "sgd", group="fit", help="SGD, with momentum, Adam (torch); L-BFGS-B, Levenberg-Marquardt (SciPy)."
    )
    learning_rate: Real = real(
        1e-4, above=0, high=1e6, symbol="η", log=True, group="fit", help="Step size of sgd, momentum and adam."
    )  # fmt: skip
    batch: Whole = batch()
    epochs: Whole = epochs(30)
    momentum: Real = real(0.9, low=0, below=1, group="fit", help="Factor on the last step of momentum.")
    start: tuple[Real, ...] = start()
    precision: Literal["float32", "float64"] = choice(
        "float32", group="fit",
        help="Of sgd, momentum and adam; torch's own is float32. The other two are float64 always.",
    )  # fmt: skip
    iterations: Whole = whole(
        1000, low=1, high=1_000_000, log=True, group="fit", help="Most iterations of lbfgs and least-squares."
    )
    tolerance: Real = tolerance()
    seeds: Whole = whole(
        1, low=1, high=10_000, log=True, group="fit",
        help="Repetitions with samples and batches of their own; the path shown is the first one's.",
    )  # fmt: skip
    surface: Whole = whole(
        61, low=3, high=400, group="fit", help="Points per axis of the map of the loss over two parameters."
    )

    rules: ClassVar = (model_fits, start_fits)
