"""fit: one fit from one start, by torch's optimizers or SciPy's, and how it ended."""

from __future__ import annotations

import math
from contextlib import nullcontext

import numpy as np

from tui_opt.experiments.cos_fit.fit_answer import STOCHASTIC, Answer
from tui_opt.experiments.cos_fit.fit_ending import add_ending
from tui_opt.experiments.cos_fit.fit_figures import add_figures
from tui_opt.experiments.cos_fit.fit_params import FitParams
from tui_opt.experiments.cos_fit.fits import fit_of, one_thread, start_of, target_of
from tui_opt.experiments.cos_fit.samples import FloatArray, Samples, load_samples
from tui_opt.expressions import assemble
from tui_opt.kernels.fitting.batch_fits import lbfgs, least_squares_fit
from tui_opt.kernels.fitting.first_optimizer import make_first_optimizer
from tui_opt.kernels.fitting.minibatch import (
    IntArray,
    losses_and_gradients,
    steps_per_epoch,
)
from tui_opt.kernels.fitting.torch_descent import TorchPaths, descend
from tui_opt.kernels.fitting.torch_tape import TorchModel
from tui_opt.result import Result
from tui_opt.runner.context import Context

SMALL = 1 << 17
"""Numbers per update below which a second thread of torch costs more than it helps."""
MOST_TOGETHER = 64
"""Repetitions that go through torch together."""


def compute(params: FitParams, ctx: Context) -> Result:
    """The fit from the start, once for each seed."""
    with np.errstate(all="ignore"):  # a model may overflow or have no value; its values are looked at instead
        return _computed(params, ctx)


def _computed(params: FitParams, ctx: Context) -> Result:
    answer = _asked(params, ctx)
    if answer.stochastic:
        for begin in range(0, params.seeds, MOST_TOGETHER):
            _by_torch(answer, range(begin, min(begin + MOST_TOGETHER, params.seeds)), ctx)
    else:
        with one_thread():
            for seed in range(params.seeds):
                ctx.progress(seed, params.seeds, params.optimizer)
                _by_scipy(answer, seed, ctx)
    return _result(answer, ctx)


def _asked(params: FitParams, ctx: Context) -> Answer:
    samples = load_samples(params, ctx)
    fit, start = fit_of(samples), start_of(samples, params.start)
    loss = losses_and_gradients(fit, start)[0]
    per_epoch = steps_per_epoch(samples.count, params.batch) if params.optimizer in STOCHASTIC else 1
    target = target_of(fit, samples, ctx, start)
    return Answer(params, samples, fit, start, target, start[None, :], loss, per_epoch)


def _by_torch(answer: Answer, seeds: range, ctx: Context) -> None:
    """Repetitions together; their samples may differ in number where rows are left out."""
    params = answer.params
    drawn = [answer.samples if s == 0 else load_samples(params, ctx, s) for s in seeds]
    if len({s.count for s in drawn}) > 1:
        for number, samples in zip(seeds, drawn, strict=True):
            _some_by_torch(answer, [number], [samples], ctx)
        return
    _some_by_torch(answer, list(seeds), drawn, ctx)


def _some_by_torch(answer: Answer, seeds: list[int], drawn: list[Samples], ctx: Context) -> None:
    params = answer.params
    model = drawn[0].model
    columns = np.array([[s.columns[name] for name in model.columns] for s in drawn])
    y = np.array([s.y for s in drawn])
    streams = [ctx.rng("batches", s) for s in seeds]
    total, before = params.seeds * params.epochs, seeds[0] * params.epochs

    def order(_: int) -> IntArray:
        return np.array([stream.permutation(y.shape[1]) for stream in streams])

    def after_epoch(known: TorchPaths) -> None:
        ctx.check()
        ctx.progress(before + known.epochs * len(seeds), total, params.optimizer)
        if seeds[0] == 0:
            _keep_path(answer, known)
            ctx.partial(lambda: _partial(answer, ctx))

    small = len(seeds) * params.batch * len(columns[0]) < SMALL
    make_first_optimizer(ctx.check)
    with one_thread() if small else nullcontext():
        found = descend(
            TorchModel(assemble([model.expression])), columns, y, answer.start, answer.update, params.batch,
            params.epochs, order, params.precision, after_epoch,
        )  # fmt: skip
    answer.evaluations += len(seeds) * found.losses.shape[1]
    if seeds[0] == 0:
        _keep_path(answer, found)
    for k, samples in enumerate(drawn):
        _keep_end(answer, samples, found.path[k, -1], float(found.losses[k, -1]), ctx)


def _keep_path(answer: Answer, known: TorchPaths) -> None:
    """The path of the first repetition as far as it is known."""
    steps = known.epochs * answer.per_epoch
    answer.path = np.concatenate([answer.start[None, :], known.path[0, :steps]])
    answer.losses = np.concatenate([answer.losses[:1], known.losses[0, :steps]])


def _keep_end(answer: Answer, samples: Samples, end: FloatArray, loss: float, ctx: Context) -> None:
    answer.ends.append(end)
    answer.end_losses.append(loss)
    if len(answer.ends) == 1 or samples.truth is None:  # a file's data are the same in all repetitions
        target = answer.target
    elif samples.noise == 0.0:
        target = samples.truth  # without noise the loss is zero there
    else:
        target = target_of(fit_of(samples), samples, ctx, answer.start)
    near = np.abs(end - target) < answer.params.tolerance
    answer.reached.append(bool(near.all()))


def _by_scipy(answer: Answer, seed: int, ctx: Context) -> None:
    samples = answer.samples if seed == 0 else load_samples(answer.params, ctx, seed)
    fit = answer.fit if seed == 0 else fit_of(samples)
    method = lbfgs if answer.params.optimizer == "lbfgs" else least_squares_fit
    found = method(fit, answer.start, answer.params.iterations, check=ctx.check)
    answer.evaluations += found.evaluations
    if seed == 0:
        answer.path, answer.losses, answer.message = found.path, found.losses, found.message
    _keep_end(answer, samples, found.path[-1], float(found.losses[-1]), ctx)


# --- the result -----------------------------------------------------------------------------------------------------


def _partial(answer: Answer, ctx: Context) -> Result:
    result = Result()
    _add_path(result, answer)
    add_figures(result, answer.samples, answer.fit, answer.target, answer.params, ctx)
    return result


def _result(answer: Answer, ctx: Context) -> Result:
    result = Result()
    _add_path(result, answer)
    _add_ends(result, answer)
    add_ending(result, answer.fit, answer.path, answer.target, answer.update, answer)
    if answer.samples.dropped:
        result.warn(
            f"{answer.samples.dropped} of {answer.samples.rows} rows are left out, as a value is missing or y is no "
            "finite number there; with them every loss would be no number from the first step on."
        )
    add_figures(result, answer.samples, answer.fit, answer.target, answer.params, ctx)
    return result


def _add_path(result: Result, answer: Answer) -> None:
    names = ", ".join(answer.samples.model.parameters)
    steps = np.arange(len(answer.path), dtype=np.float64)
    result.add_array("step", steps, ("step",), text="updates made")
    result.add_array("parameters", answer.path, ("step", "name"), text=f"{names} after each update")
    of = "of the batch before each update" if answer.stochastic else "of all samples"
    text = f"mean squared error {of}; the first is that of all samples at the start"
    result.add_array("loss", answer.losses, ("step",), text=text)
    at = np.arange(0, len(answer.path), answer.per_epoch)
    of = "last batch of each epoch" if answer.stochastic else "all samples at each iterate"
    result.add_array("epoch", (at / answer.per_epoch).astype(np.float64), ("epoch",))
    text = f"mean squared error of the {of}"
    result.add_array("epoch_loss", answer.losses[at], ("epoch",), text=text)


def _add_ends(result: Result, answer: Answer) -> None:
    names, ends = answer.samples.model.parameters, np.array(answer.ends)
    repeated = len(ends) > 1
    for k, name in enumerate(names):
        values = ends[:, k]
        finite = values[np.isfinite(values)]
        mean = float(finite.mean()) if finite.size else math.nan
        text = f"{name} at the end" + (f", mean of {finite.size} repetitions" if repeated else "")
        result.add_finding(f"final_{name}", mean, text, stderr=_stderr(finite))
        if finite.size > 1:
            sd = float(finite.std(ddof=1))
            text = f"its standard deviation over {finite.size} repetitions"
            error = sd / math.sqrt(2.0 * (finite.size - 1))
            result.add_finding(f"sd_{name}", sd, text, stderr=error)
    losses = np.array(answer.end_losses)
    finite = losses[np.isfinite(losses)]
    of = "of the last batch, before the last update" if answer.stochastic else "of all samples at the end"
    mean = float(finite.mean()) if finite.size else math.nan
    text = f"mean squared error {of}" + (f", mean of {finite.size} repetitions" if repeated else "")
    result.add_finding("final_loss", mean, text, stderr=_stderr(finite))
    if finite.size > 1:
        result.add_finding("sd_loss", float(finite.std(ddof=1)), "its standard deviation over repetitions")
    if np.isfinite(answer.path[-1]).all():
        loss = float(losses_and_gradients(answer.fit, answer.path[-1])[0][0])
        text = "mean squared error of all samples at the end, first repetition, in float64"
        result.add_finding("final_loss_all", loss, text)
    looked = "batches" if answer.stochastic else "times that all samples"
    text = f"{looked} were looked at, all repetitions together"
    result.add_finding("evaluations", float(answer.evaluations), text)
    if repeated:
        result.add_array(
            "final_parameters", ends, ("repetition", "name"), text="parameters at the end of each"
        )
        result.add_array("final_losses", losses, ("repetition",), text="final loss of each")
        lost = int((~np.isfinite(ends).all(axis=1)).sum())
        if lost:
            result.warn(f"{lost} of {len(ends)} repetitions left the numbers.")


def _stderr(values: FloatArray) -> float | None:
    return float(values.std(ddof=1) / math.sqrt(values.size)) if values.size > 1 else None
