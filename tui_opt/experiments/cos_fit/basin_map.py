"""basin-map: from a row of starts to where each optimizer ends, how often that is the minimum, and what it costs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.cos_fit.basin_map_figures import add_figures
from tui_opt.experiments.cos_fit.basin_map_params import BasinMapParams
from tui_opt.experiments.cos_fit.fits import fit_of, one_thread, start_of, target_of
from tui_opt.experiments.cos_fit.rows import Rows
from tui_opt.experiments.cos_fit.samples import SCENARIO, FloatArray, Samples, load_samples
from tui_opt.experiments.cos_fit.solver import solve
from tui_opt.kernels.fitting.batch_fits import lbfgs, least_squares_fit
from tui_opt.kernels.fitting.minibatch import Fit, State, Update, epoch, shuffled
from tui_opt.result import Cell, Result
from tui_opt.runner.context import Context
from tui_opt.runner.streams import generator

STARTLESS = ("annealing", "scan")
SCIPY_TOLERANCE = 1e-8
"""SciPy's own; a start that ends in a ripple would take hundreds of evaluations to settle there more closely."""
SAMPLES_IN_A_SLICE = 4_000_000
"""Samples that are looked at between two checks: some tens of milliseconds."""


@dataclass
class Map:
    """What one optimizer did with one set of samples.

    Attributes:
        ends: [starts, parameters]; NaN where it left the numbers.
        seconds: all starts together.
        passes: passes through the samples per start; NaN where they cannot be counted.
    """

    ends: FloatArray
    seconds: float
    passes: float


@dataclass
class Answer:
    """What is known so far.

    Attributes:
        params: the question.
        samples: the first set.
        place: of the parameter that varies, among the model's.
        starts: [starts].
        target: [parameters], where the first set's loss is least.
        maps: of the first set, by optimizer.
        success: by optimizer, of each set the share of starts that end at the minimum.
        seconds: by optimizer, of each set the seconds per start.
    """

    params: BasinMapParams
    samples: Samples
    place: int
    starts: FloatArray
    target: FloatArray
    maps: dict[str, Map] = field(default_factory=dict)
    success: dict[str, list[float]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The parameter that varies."""
        return self.samples.model.parameters[self.place]

    def found(self, ends: FloatArray, target: FloatArray) -> FloatArray:
        """[starts], 1 where the parameter ends at the minimum."""
        with np.errstate(invalid="ignore"):
            near = np.abs(ends[:, self.place] - target[self.place]) < self.params.tolerance
        return np.asarray(near, dtype=np.float64)


def compute(params: BasinMapParams, ctx: Context) -> Result:
    """Every optimizer from every start, on each set of samples."""
    with np.errstate(all="ignore"):  # a model may overflow or have no value; its values are looked at instead
        return _computed(params, ctx)


def _computed(params: BasinMapParams, ctx: Context) -> Result:
    answer = _asked(params, ctx)
    sets = 1 if params.data else params.seeds
    total, done = sets * len(params.optimizers), 0
    for number in range(sets):
        samples = answer.samples if number == 0 else load_samples(params, ctx, number)
        fit = fit_of(samples)
        begin = start_of(samples, params.start)
        target = answer.target if number == 0 else target_of(fit, samples, ctx, begin)
        places = np.tile(begin, (answer.starts.size, 1))
        places[:, answer.place] = answer.starts
        for method in params.optimizers:
            ctx.progress(done, total, method)
            share = _reporter(ctx, done, total)
            found = _mapped(method, params, samples, fit, places, number, ctx, share)
            if number == 0:
                answer.maps[method] = found
            answer.success.setdefault(method, []).append(float(answer.found(found.ends, target).mean()))
            answer.seconds.setdefault(method, []).append(found.seconds / answer.starts.size)
            done += 1
            ctx.partial(lambda: _result(answer))
    return _result(answer)


def _reporter(ctx: Context, done: int, total: int) -> Callable[[float], None]:
    return lambda share: ctx.progress(done + share, total)


def _asked(params: BasinMapParams, ctx: Context) -> Answer:
    samples = load_samples(params, ctx)
    names = samples.model.parameters
    if params.parameter and params.parameter not in names:
        raise ExperimentError(f"The model has no parameter {params.parameter!r}; it has {', '.join(names)}.")
    place = names.index(params.parameter) if params.parameter else 0
    begin = start_of(samples, params.start)
    target = target_of(fit_of(samples), samples, ctx, begin)
    width = (params.start_max - params.start_min) / params.starts
    starts = np.asarray(params.start_min + width * (np.arange(params.starts) + 0.5), dtype=np.float64)
    return Answer(params, samples, place, starts, target)


def _mapped(
    method: str,
    params: BasinMapParams,
    samples: Samples,
    fit: Fit,
    places: FloatArray,
    number: int,
    ctx: Context,
    share: Callable[[float], None],
) -> Map:
    began = time.perf_counter()
    if method in STARTLESS:
        ends, passes = _without_start(method, samples, places, number, ctx), math.nan
    elif method in ("lbfgs", "least-squares"):
        with one_thread():
            ends, passes = _by_scipy(method, params, fit, places, ctx, share)
    else:
        ends, passes = _by_descent(method, params, fit, places, number, ctx, share)
    return Map(ends, time.perf_counter() - began, passes)


def _without_start(
    method: str, samples: Samples, places: FloatArray, number: int, ctx: Context
) -> FloatArray:
    """The same end for all starts, as they play no part."""
    rng = generator(ctx.seed, SCENARIO, "rows", number)
    found = solve(Rows.of(samples), "annealing" if method == "annealing" else "scan", None, rng, ctx.check)
    return np.tile(found.fit.values, (len(places), 1))


def _by_scipy(
    method: str,
    params: BasinMapParams,
    fit: Fit,
    places: FloatArray,
    ctx: Context,
    share: Callable[[float], None],
) -> tuple[FloatArray, float]:
    descend = lbfgs if method == "lbfgs" else partial(least_squares_fit, tolerance=SCIPY_TOLERANCE)

    ends, evaluations = np.full_like(places, np.nan), 0
    # On one thread: SciPy's part holds the interpreter, and threads that wait for it lose more than they gain.
    for k, place in enumerate(places):
        found = descend(fit, place, params.iterations, check=ctx.check)
        if not found.failed:
            ends[k] = found.path[-1]
        evaluations += found.evaluations
        share((k + 1) / len(places))
    return ends, evaluations / len(places)


def _by_descent(
    method: str,
    params: BasinMapParams,
    fit: Fit,
    places: FloatArray,
    number: int,
    ctx: Context,
    share: Callable[[float], None],
) -> tuple[FloatArray, float]:
    """All starts through the same batches."""
    update = _update(method, params, fit)
    samples = fit.y.size
    batch, epochs = (
        (samples, params.gd_steps) if method == "gd" else (min(params.batch, samples), params.epochs)
    )
    stream = ctx.rng(f"batches of {method}", number)
    state = State.at(places)
    together = max(1, min(len(places), SAMPLES_IN_A_SLICE // batch))
    chunks = [slice(k, min(k + together, len(places))) for k in range(0, len(places), together)]
    rows_at_once = max(1, SAMPLES_IN_A_SLICE // (together * batch)) * batch
    inputs, y = fit.inputs, fit.y
    for number_of_epoch in range(epochs):
        if method != "gd":
            inputs, y = shuffled(fit, stream.permutation(samples))
        for first in range(0, samples, rows_at_once):
            rows = inputs, y
            if rows_at_once < samples:
                some = slice(first, first + rows_at_once)
                rows = np.ascontiguousarray(inputs[:, some]), y[some]
            move = partial(_moved, fit, state, update, batch, rows)
            state.steps = max(ctx.map(move, chunks))
        share((number_of_epoch + 1) / epochs)
    return state.p, float(epochs)


def _moved(
    fit: Fit, state: State, update: Update, batch: int, rows: tuple[FloatArray, FloatArray], chunk: slice
) -> int:
    """Move some of the starts through the rows; says how many updates they have then had."""
    part = state.part(chunk)
    epoch(fit, part, update, batch, rows)
    return part.steps


def _update(method: str, params: BasinMapParams, fit: Fit) -> Update:
    if method == "gd":
        rate = params.gd_learning_rate
        if rate == "auto":
            rate = 0.2 / max(float(np.mean(fit.inputs[0] ** 2)), 1e-300)
        return Update("sgd", float(rate))
    if method == "adam":
        return Update("adam", params.adam_learning_rate)
    if method == "momentum":
        return Update("momentum", params.momentum_learning_rate, params.momentum)
    return Update("sgd", params.sgd_learning_rate)


# --- the result -----------------------------------------------------------------------------------------------------


def _result(answer: Answer) -> Result:
    result, name = Result(), answer.name
    methods: list[str] = [m for m in answer.params.optimizers if m in answer.maps]
    result.add_array("start", answer.starts, ("start",), text=f"where {name} begins")
    number = np.arange(len(methods), dtype=np.float64)
    text = f"number of the optimizer: {', '.join(f'{k} {m}' for k, m in enumerate(methods))}"
    result.add_array("optimizer", number, ("optimizer",), text=text)
    ends = np.array([answer.maps[m].ends[:, answer.place] for m in methods])
    text = f"where {name} ends, by optimizer ({', '.join(methods)}) and start; NaN where it left the numbers"
    result.add_array("final_a", ends, ("optimizer", "start"), text=text)
    found = np.array([answer.found(answer.maps[m].ends, answer.target) for m in methods])
    text = "1 where it ends at the minimum, by optimizer and start"
    result.add_array("found", found, ("optimizer", "start"), text=text)
    rows: list[tuple[Cell, ...]] = []
    for k, method in enumerate(methods):
        rows.append(_add_method(result, answer, method, found[k]))
    columns = ("optimizer", "success", "stderr", "seconds", "passes", "basin_low", "basin_high")
    result.add_table("cost", columns, rows, title="Success and cost per start")
    if answer.samples.dropped:
        result.warn(
            f"{answer.samples.dropped} of {answer.samples.rows} rows are left out: a value is missing or not finite."
        )
    if not np.isfinite(answer.target).all():
        result.warn("Where the loss is least is not known, so no end counts as found.")
    add_figures(result, methods, answer.name, float(answer.target[answer.place]))
    return result


def _add_method(result: Result, answer: Answer, method: str, found: FloatArray) -> tuple[Cell, ...]:
    """Findings of one optimizer, and its row in the table."""
    shares = np.array(answer.success[method])
    share, starts = float(shares.mean()), answer.starts.size
    if shares.size > 1:
        stderr = float(shares.std(ddof=1) / math.sqrt(shares.size))
        of = f"mean of {shares.size} sets of samples"
    else:
        stderr = math.sqrt(share * (1.0 - share) / starts)
        of = f"of {starts} starts"
    seconds = float(np.median(answer.seconds[method]))
    passes = answer.maps[method].passes
    lost = int((~np.isfinite(answer.maps[method].ends).all(axis=1)).sum())
    low, high = _basin(answer.starts, found, float(answer.target[answer.place]))
    if method in STARTLESS:
        text = "1 if it ends at the minimum; it needs no start, so one run stands for all"
        share_error = stderr if shares.size > 1 else None
        seconds, low, high = seconds * starts, math.nan, math.nan
        result.add_finding(f"success_{method}", share, text, stderr=share_error)
    else:
        text = f"share of starts that end within {answer.params.tolerance:g} of the minimum, {of}"
        result.add_finding(f"success_{method}", share, text, stderr=stderr)
        text = "of the unbroken range of starts around the minimum that find it"
        result.add_finding(f"basin_low_{method}", low, f"lower end {text}")
        result.add_finding(f"basin_high_{method}", high, f"upper end {text}")
        text = "passes through the samples per start"
        result.add_finding(f"passes_{method}", passes, text)
    what = "for the run" if method in STARTLESS else "per start, on all threads"
    result.add_finding(f"seconds_{method}", seconds, f"seconds {what}", unit="s")
    if lost:
        result.add_finding(f"lost_{method}", lost, "starts from which it left the numbers")
    return (method, share, stderr, seconds, passes, low, high)


def _basin(starts: FloatArray, found: FloatArray, target: float) -> tuple[float, float]:
    """First and last start of the unbroken range of successes around the target; NaN where the nearest fails."""
    if not math.isfinite(target):
        return math.nan, math.nan
    nearest = int(np.argmin(np.abs(starts - target)))
    if not found[nearest]:
        return math.nan, math.nan
    failed = np.flatnonzero(found == 0)
    below, above = failed[failed < nearest], failed[failed > nearest]
    low = int(below[-1]) + 1 if below.size else 0
    high = int(above[0]) - 1 if above.size else starts.size - 1
    return float(starts[low]), float(starts[high])
