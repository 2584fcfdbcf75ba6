"""overparameterised: the same target fitted by networks of growing width, beside the model itself.

What it shows: with width, the share of networks that fit the samples' range rises to all of them, where the model's own
two parameters find their values only from within a basin. What it does not show: that a network found those values. It
interpolates; out of the samples' range its error is as large as knowing nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from tui_opt.experiments.cos_fit.fits import fit_of, start_of
from tui_opt.experiments.cos_fit.network_data import NetworkData, load_data
from tui_opt.experiments.cos_fit.overparameterised_figures import add_figures
from tui_opt.experiments.cos_fit.overparameterised_params import OverparameterisedParams
from tui_opt.experiments.cos_fit.samples import FloatArray
from tui_opt.kernels.fitting.first_optimizer import make_first_optimizer
from tui_opt.kernels.fitting.minibatch import State, Update, epoch, shuffled
from tui_opt.kernels.fitting.networks import Networks, bytes_of, parameters_of, train
from tui_opt.result import Cell, Result
from tui_opt.runner.context import Context

MOST_BYTES = {"cpu": 500_000_000, "cuda": 8_000_000_000}
SMALL_WIDTH = 64
"""Below, a second thread costs more than it helps."""


@dataclass
class Width:
    """Networks of one width.

    Attributes:
        parameters: weights and biases of each.
        train: [seeds], mean squared error of the last epoch's batches.
        test: [seeds], mean squared error on fresh values.
        outside: [seeds], beyond the samples' range; NaN where that is not known.
        history: [epochs, seeds], in units of y's variance.
        curve: [places], outputs of the best along the first column.
        seconds: training took.
    """

    parameters: int
    train: FloatArray
    test: FloatArray
    outside: FloatArray
    history: FloatArray
    curve: FloatArray
    seconds: float


@dataclass
class Answer:
    """What is known so far.

    Attributes:
        params: the question.
        data: what networks are trained and tested on.
        widths: by width, in the order asked.
        own: [starts], test errors of the model itself.
        own_outside: [starts], beyond the range.
        own_seconds: its fits took.
    """

    params: OverparameterisedParams
    data: NetworkData
    widths: dict[int, Width] = field(default_factory=dict)
    own: FloatArray = field(default_factory=lambda: np.empty(0))
    own_outside: FloatArray = field(default_factory=lambda: np.empty(0))
    own_seconds: float = math.nan

    def succeeded(self, errors: FloatArray) -> FloatArray:
        """Which errors are small enough."""
        with np.errstate(invalid="ignore"):
            return np.asarray(errors < self.params.threshold * self.data.variance)


def compute(params: OverparameterisedParams, ctx: Context) -> Result:
    """The model itself from many starts, then networks of each width."""
    with np.errstate(all="ignore"):  # a model may overflow or have no value; its values are looked at instead
        return _computed(params, ctx)


def _computed(params: OverparameterisedParams, ctx: Context) -> Result:
    answer = Answer(params, load_data(params, ctx))
    inputs = answer.data.x.shape[1]
    costs = [parameters_of(inputs, w, params.layers) + 200 for w in params.widths]
    total, done = float(sum(costs)), 0.0
    _fit_model(answer, ctx)
    for width, cost in zip(params.widths, costs, strict=True):
        ctx.progress(done, total, f"width {width}")
        answer.widths[width] = _networks(answer, width, ctx, done, cost, total)
        done += cost
        ctx.partial(lambda: _result(answer, ctx))
    return _result(answer, ctx)


def _fit_model(answer: Answer, ctx: Context) -> None:
    """The model's own parameters by the same Adam, its first one beginning anywhere in a range."""
    params, samples = answer.params, answer.data.samples
    kept = ctx.checkpoint.get("model")
    if kept is not None:
        answer.own, answer.own_outside, answer.own_seconds = kept[0], kept[1], float(kept[2, 0])
        return
    began = time.perf_counter()
    fit = fit_of(samples)
    begin = start_of(samples, params.start)
    places = np.tile(begin, (params.starts, 1))
    width = (params.start_max - params.start_min) / params.starts
    places[:, 0] = params.start_min + width * (np.arange(params.starts) + 0.5)
    state, update, stream = State.at(places), Update("adam", params.learning_rate), ctx.rng("model batches")
    for number in range(params.epochs):
        ctx.progress(0, 1, f"the model itself, epoch {number + 1}")
        inputs, y = shuffled(fit, stream.permutation(samples.count))
        for first in range(0, params.starts, 16):
            ctx.check()
            part = state.part(slice(first, first + 16))
            epoch(fit, part, update, params.batch, (inputs, y))
        state.steps = part.steps
    own = [_model_error(answer.data, p, answer.data.test_columns, answer.data.test_y) for p in state.p]
    answer.own = np.array(own)
    outside, wanted = answer.data.outside_columns, answer.data.outside_y
    answer.own_outside = np.full(params.starts, np.nan)
    if outside is not None and wanted is not None:
        answer.own_outside = np.array([_model_error(answer.data, p, outside, wanted) for p in state.p])
    answer.own_seconds = time.perf_counter() - began
    seconds = np.full(params.starts, answer.own_seconds)
    ctx.checkpoint.put("model", np.array([answer.own, answer.own_outside, seconds]))


def _model_error(data: NetworkData, p: FloatArray, columns: FloatArray, y: FloatArray) -> float:
    model = data.samples.model
    with np.errstate(all="ignore"):
        return float(np.mean((model.values(dict(zip(model.columns, columns, strict=True)), p) - y) ** 2))


def _networks(answer: Answer, width: int, ctx: Context, done: float, cost: float, total: float) -> Width:
    """All networks of one width, as many together as memory takes."""
    params = answer.params
    each = bytes_of(answer.data.x.shape[1], width, params.layers, params.batch)
    most = MOST_BYTES["cpu" if ctx.device == "cpu" else "cuda"]
    together = max(1, min(params.seeds, most // each))
    parts: list[FloatArray] = []
    first = 0
    while first < params.seeds:
        count = min(together, params.seeds - first)
        share = cost / params.seeds

        def told(epochs: int, first: int = first, count: int = count, share: float = share) -> None:
            ctx.progress(done + share * (first + count * epochs / params.epochs), total, f"width {width}")

        try:
            parts.append(_some_networks(answer, width, first, count, ctx, told))
        except torch.cuda.OutOfMemoryError:
            if together == 1:
                raise
            torch.cuda.empty_cache()
            together //= 2
            ctx.message(f"Out of memory at width {width}: going on with {together} networks together.")
            continue
        first += count
    return _joined(answer, width, parts)


def _some_networks(
    answer: Answer, width: int, first: int, count: int, ctx: Context, told: Callable[[int], None]
) -> FloatArray:
    """Rows of one number each for [train, test, outside, seconds], then history and curve; [rows, networks]."""
    params, data = answer.params, answer.data
    key = f"width {width}/{first}"
    kept = ctx.checkpoint.get(key)
    if kept is not None and kept.shape[1] == count:
        return kept
    began = time.perf_counter()
    name = f"width {width}"
    draws = [ctx.rng(f"weights, {name}", first + k) for k in range(count)]
    orders = [ctx.rng(f"batches, {name}", first + k) for k in range(count)]
    networks = Networks.drawn(draws, data.x.shape[1], width, params.layers, params.activation, ctx.device)

    def order(_: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        return np.array([o.permutation(len(data.y)) for o in orders])

    threads = 1 if width < SMALL_WIDTH else ctx.threads
    with threadpool_limits(limits=threads):
        make_first_optimizer(ctx.check)
        history = train(
            networks, data.x, data.y, params.learning_rate, params.batch, params.epochs, order, ctx.check,
            lambda epochs, _: told(epochs),
        )  # fmt: skip
        test = _errors(networks, data, data.test_columns, data.test_y, ctx)
        outside = np.full(count, np.nan)
        if data.outside_columns is not None and data.outside_y is not None:
            outside = _errors(networks, data, data.outside_columns, data.outside_y, ctx)
        curve = data.outputs(networks.outputs(data.inputs(data.curve_columns), ctx.check))
    variance = data.y_scale**2
    seconds = np.full(count, (time.perf_counter() - began) / count)
    found = np.concatenate(
        [
            [history[-1].astype(np.float64) * variance, test, outside, seconds],
            history.astype(np.float64),
            curve.T,
        ]
    )
    ctx.checkpoint.put(key, found)
    return found


def _errors(
    networks: Networks, data: NetworkData, columns: FloatArray, y: FloatArray, ctx: Context
) -> FloatArray:
    outputs = data.outputs(networks.outputs(data.inputs(columns), ctx.check))
    return np.asarray(np.mean((outputs - y) ** 2, axis=1))


def _joined(answer: Answer, width: int, parts: list[FloatArray]) -> Width:
    whole = np.concatenate(parts, axis=1)
    epochs = answer.params.epochs
    test = whole[1]
    best = int(np.argmin(np.where(np.isfinite(test), test, np.inf)))
    parameters = parameters_of(answer.data.x.shape[1], width, answer.params.layers)
    return Width(
        parameters,
        whole[0],
        test,
        whole[2],
        whole[4 : 4 + epochs],
        whole[4 + epochs :, best],
        float(whole[3].sum()),
    )


# --- the result -----------------------------------------------------------------------------------------------------


def _result(answer: Answer, ctx: Context) -> Result:
    result, widths = Result(), list(answer.widths)
    found = [answer.widths[w] for w in widths]
    rows: list[tuple[Cell, ...]] = [_row(answer, w, answer.widths[w]) for w in widths]
    columns = (
        "width", "parameters", "success_rate", "stderr", "loss", "loss_train", "loss_outside", "seconds",
    )  # fmt: skip
    result.add_table("widths", columns, rows, title="Networks of growing width, medians over seeds")
    result.add_array("width", np.array(widths, dtype=np.float64), ("width",), text="units per hidden layer")
    counts = np.array([w.parameters for w in found], dtype=np.float64)
    result.add_array("parameters", counts, ("width",), text="weights and biases of each network")
    for name, values, text in (
        ("train_loss", [w.train for w in found], "mean squared error of the last epoch's batches"),
        ("test_loss", [w.test for w in found], "mean squared error on fresh values"),
        ("outside_loss", [w.outside for w in found], "mean squared error beyond the samples' range"),
    ):
        result.add_array(name, np.array(values), ("width", "seed"), text=text)
    shares = np.array([float(answer.succeeded(w.test).mean()) for w in found])
    result.add_array("success", shares, ("width",), text="share of networks that succeed")
    error = np.sqrt(shares * (1.0 - shares) / answer.params.seeds)
    result.add_array("success_stderr", error, ("width",), text="its standard error")
    history = np.array([np.median(w.history, axis=1) for w in found])
    text = "median over seeds of the mean batch loss of each epoch, in units of the variance of y"
    result.add_array("history", history, ("width", "epoch"), text=text)
    result.add_array("epoch", np.arange(1.0, answer.params.epochs + 1.0), ("epoch",))
    _add_curves(result, answer, found)
    _add_findings(result, answer, widths, shares)
    add_figures(result, widths, answer.params, answer.data.samples.model.columns[0])
    if ctx.device != "cpu":
        result.warn("On a GPU sums are in no fixed order: losses repeat to a few digits, not to the bit.")
    return result


def _median(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else math.nan


def _row(answer: Answer, width: int, found: Width) -> tuple[Cell, ...]:
    share = float(answer.succeeded(found.test).mean())
    error = math.sqrt(share * (1.0 - share) / answer.params.seeds)
    return (
        width, found.parameters, share, error, _median(found.test), _median(found.train), _median(found.outside),
        found.seconds,
    )  # fmt: skip


def _add_curves(result: Result, answer: Answer, found: list[Width]) -> None:
    data = answer.data
    result.add_array("x", data.curve_columns[0], ("x",), text="places along the first column")
    if data.curve_y is not None:
        result.add_array("target", data.curve_y, ("x",), text="the model with its true parameters there")
    curves = np.array([w.curve for w in found])
    result.add_array("output", curves, ("width", "x"), text="the best network of each width there")


def _add_findings(result: Result, answer: Answer, widths: list[int], shares: FloatArray) -> None:
    params, variance = answer.params, answer.data.variance
    own = answer.succeeded(answer.own)
    share = float(own.mean())
    text = f"share of {own.size} fits of the model itself, begun between {params.start_min:g} and {params.start_max:g}"
    stderr = math.sqrt(share * (1 - share) / own.size)
    result.add_finding("success_model", share, f"{text}, that succeed", stderr=stderr)
    result.add_finding("variance", variance, "of the fresh values: the error of the best constant")
    if np.isfinite(answer.own_outside).any() and own.any():
        kept = answer.own_outside[own]
        text = "median error of the model's successful fits beyond the samples' range, over the variance"
        result.add_finding("outside_model", _median(kept) / variance, text)
    result.add_finding("seconds_model", answer.own_seconds, "seconds of all fits of the model", unit="s")
    if not widths:
        return
    of = f"of {params.seeds} networks"
    for name, k in (("narrowest", int(np.argmin(widths))), ("widest", int(np.argmax(widths)))):
        text = (
            f"share {of} of width {widths[k]} with less than {params.threshold:g} of the variance unexplained"
        )
        error = math.sqrt(shares[k] * (1 - shares[k]) / params.seeds)
        result.add_finding(f"success_{name}", float(shares[k]), text, stderr=error)
        found = answer.widths[widths[k]]
        for what, values, words in (
            ("loss", found.test, "median mean squared error on fresh values"),
            (
                "outside",
                found.outside,
                "median error beyond the samples' range, over the variance; the best constant has 1",
            ),
        ):
            scale = variance if what == "outside" else 1.0
            result.add_finding(f"{what}_{name}", _median(values) / scale, f"{words}, width {widths[k]}")
    order = np.argsort(widths)
    for label, level in (("half", 0.5), ("all", 1.0)):
        reached = [widths[int(k)] for k in order if shares[int(k)] >= level]
        value = float(reached[0]) if reached else math.inf
        what = "half of" if label == "half" else "all"
        result.add_finding(f"width_{label}", value, f"smallest width at which {what} the networks succeed")
        parameters = answer.widths[reached[0]].parameters if reached else math.inf
        result.add_finding(f"parameters_{label}", float(parameters), "weights and biases of such a network")
    lost = int(sum(int((~np.isfinite(answer.widths[w].test)).sum()) for w in widths))
    if lost:
        result.warn(f"{lost} networks left the numbers; they count as failed and stand in no median.")
