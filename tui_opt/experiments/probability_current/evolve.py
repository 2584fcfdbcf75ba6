"""evolve: the density of W over time, by the exact chain, by diffusion models, and by Monte Carlo."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.datapoints import FloatArray
from tui_opt.experiments.probability_current.evolve_figures import add_figures
from tui_opt.experiments.probability_current.params import EvolveParams
from tui_opt.experiments.probability_current.setting import OPERATOR, Setting, add_validity, system_of
from tui_opt.kernels.chain import ABOVE, BELOW, NOWHERE, advance, chain_on_edges, state_of_masses
from tui_opt.kernels.descent import gradient_descent
from tui_opt.kernels.diffusion_reach import interval_of_diffusion
from tui_opt.kernels.ensembles import Record, Statistics, follow, joined, statistics
from tui_opt.kernels.fokker_planck_generator import generator_on_edges
from tui_opt.kernels.implicit_stepping import Scheme, evolve, step_size
from tui_opt.kernels.laws import (
    TruncatedNormal,
    cdf_on_cells,
    masses_of,
    moments,
    sampling_errors,
    wasserstein,
)
from tui_opt.kernels.reach import reachable
from tui_opt.kernels.refinement import coarsened, refined_edges
from tui_opt.kernels.walkers import BLOCK
from tui_opt.result import FindingKind, Result
from tui_opt.runner.context import Context

HISTOGRAM_CELLS = 240
MOST_CHUNKS = 64
MOST_PATH_POINTS = 2000
MASS_WORTH_A_WARNING = 1e-6


@dataclass
class Motion:
    """A law on cells at the output times.

    Attributes:
        mass: [t, cells].
        mean, sd: [t].
        mass_error: largest deviation of the total, what has left included, from 1.
        least: the least mass of any cell at any time.
        outside: [t], mass that has left the cells.
        grid_error: Wasserstein distance at the end to the same with half as many cells.
        notes: what else there is to say of it.
    """

    mass: FloatArray
    mean: FloatArray
    sd: FloatArray
    mass_error: float
    least: float
    outside: FloatArray
    grid_error: float = np.nan
    notes: list[str] = field(default_factory=list)


@dataclass
class Answer:
    """What is known so far."""

    setting: Setting
    params: EvolveParams
    law: TruncatedNormal
    times: FloatArray
    edges: FloatArray
    clipped: bool
    paths: FloatArray
    motions: dict[str, Motion] = field(default_factory=dict)
    sample: Statistics | None = None
    histogram: FloatArray | None = None
    histogram_edges: FloatArray = field(default_factory=lambda: np.empty(0))


def compute(params: EvolveParams, ctx: Context) -> Result:
    """The same initial law moved by every model and by walkers, each the others' check."""
    answer = _asked(params, ctx)
    work = len(params.models) + (2 if params.walkers else 0)
    for done, model in enumerate(params.models):
        ctx.progress(done, work, model)
        move = _by_operator if model == OPERATOR else _by_diffusion
        motion = move(answer, model, answer.edges, ctx)
        coarse = move(answer, model, _half_as_many(answer.edges), ctx)
        motion.grid_error = _distance_at_end(answer, motion, coarse)
        answer.motions[model] = motion
        ctx.partial(lambda: _result(answer))
    if params.walkers:
        done = len(params.models)
        _by_walkers(answer, ctx, lambda share: ctx.progress(done + 2 * share, work, "walkers"))
    return _result(answer)


def _asked(params: EvolveParams, ctx: Context) -> Answer:
    """Cells and output times of the question."""
    system = system_of(params.losses, params.gradients)
    setting = Setting(system, params.temperature, params.substeps, ctx.check)
    least = -np.inf if params.initial_min == "none" else float(params.initial_min)
    law = TruncatedNormal(params.initial_mean, params.initial_sd, least)
    times = np.unique(np.append(np.arange(0, params.steps, params.output_every), params.steps))
    low, high, clipped = _interval(params, setting, law, ctx)
    if not low < high:
        raise ExperimentError(
            f"The cells would reach from {low:g} to {high:g}: w_min must be below w_max. Set both, or "
            "leave both on auto."
        )
    starts = np.array(params.starts)
    paths = gradient_descent(setting.system.gradient, starts, params.temperature, params.steps)
    return Answer(
        setting,
        params,
        law,
        times.astype(np.float64),
        np.linspace(low, high, params.cells + 1),
        clipped,
        paths,
    )


def _interval(
    params: EvolveParams, setting: Setting, law: TruncatedNormal, ctx: Context
) -> tuple[float, float, bool]:
    low, high, clipped = 0.0, 0.0, False
    if "auto" in (params.w_min, params.w_max):
        reach = reachable(setting.maps, law, params.steps, ctx.check)
        low, high, clipped = reach.low, reach.high, reach.clipped
        for model in params.models:
            if model != OPERATOR and not clipped:
                equation = setting.equation(model)
                try:
                    low, high = interval_of_diffusion(equation, law, params.steps, low, high, ctx.check)
                except ValueError as error:
                    raise _not_set_up(model, error) from None
    low = low if params.w_min == "auto" else float(params.w_min)
    high = high if params.w_max == "auto" else float(params.w_max)
    return low, high, clipped


def _not_set_up(model: str, error: ValueError) -> ExperimentError:
    return ExperimentError(f"The model {model} cannot be set up on these cells: {error}")


def _half_as_many(edges: FloatArray) -> FloatArray:
    return np.linspace(edges[0], edges[-1], max((edges.size - 1) // 2, 8) + 1)


def _initial(answer: Answer, edges: FloatArray) -> FloatArray:
    try:
        return masses_of(answer.law, edges)[0]
    except ValueError as error:
        raise ExperimentError(f"{error} Widen w_min and w_max, or leave them on auto.") from None


def _by_operator(answer: Answer, model: str, edges: FloatArray, ctx: Context) -> Motion:
    chain = chain_on_edges(answer.setting.maps, edges, ctx.check)
    state = state_of_masses(chain, _initial(answer, edges))
    kept = np.empty((answer.times.size, state.size))
    now = 0
    for row, then in enumerate(answer.times):
        advance(chain, state, int(then) - now, ctx.check)
        kept[row], now = state, int(then)
    inside = kept[:, : chain.cells]
    motion = _described(edges, inside, kept[:, [ABOVE, BELOW, NOWHERE]].sum(axis=1))
    motion.notes += _left(kept[-1])
    return motion


def _left(state: FloatArray) -> list[str]:
    """Where the operator's mass went that is no longer in the cells."""
    found = []
    for place, words in (
        (ABOVE, "above the cells"),
        (BELOW, "below the cells"),
        (NOWHERE, "to no finite number"),
    ):
        if state[place] > MASS_WORTH_A_WARNING:
            found.append(f"{state[place]:.3g} of the walkers went {words}")
    return found


def _described(edges: FloatArray, mass: FloatArray, outside: FloatArray) -> Motion:
    found = np.array([moments(edges, row) for row in mass])
    error = float(np.max(np.abs(mass.sum(axis=1) + outside - 1.0)))
    return Motion(mass, found[:, 0], found[:, 1], error, float(mass.min()), outside)


def _by_diffusion(answer: Answer, model: str, edges: FloatArray, ctx: Context) -> Motion:
    equation = answer.setting.equation(model)
    try:
        fine = refined_edges(edges, equation)
        generator = generator_on_edges(equation, fine)
    except ValueError as error:
        raise _not_set_up(model, error) from None
    initial = _initial(answer, fine)
    scheme = Scheme(answer.params.scheme)
    dt = step_size(equation, generator, initial, float(answer.times[-1]), scheme, ctx.check)
    moved = evolve(generator, initial, answer.times, dt, scheme, ctx.check)
    described = _described(fine, moved.mass, np.zeros(answer.times.size))
    motion = Motion(
        coarsened(moved.mass, fine, edges), described.mean, described.sd, moved.mass_error, moved.least,
        described.outside,
    )  # fmt: skip
    motion.notes.append(f"{fine.size - 1} cells, {moved.steps} time steps of {dt:.3g}")
    if moved.redone:
        motion.notes.append(
            f"{moved.redone} steps redone by backward Euler, as they reached {moved.undershoot:.2g}"
        )
    return motion


def _distance_at_end(answer: Answer, fine: Motion, coarse: Motion) -> float:
    edges, halved = answer.edges, _half_as_many(answer.edges)
    return wasserstein(edges, fine.mass[-1], cdf_on_cells(halved, coarse.mass[-1], edges))


def _by_walkers(answer: Answer, ctx: Context, report: Callable[[float], None]) -> None:
    params, low, high = answer.params, float(answer.edges[0]), float(answer.edges[-1])
    total = float(params.walkers) * params.steps
    room = 0.5 * (high - low)
    walk = answer.setting.walk(ctx, "walkers", total, low - room, high + room)
    edges = np.linspace(low, high, min(HISTOGRAM_CELLS, params.cells) + 1)
    outputs = [int(t) for t in answer.times]
    start = ctx.key("initial law")
    done, lock = [0.0], threading.Lock()

    def count(walker_steps: int) -> None:
        with lock:
            done[0] += walker_steps
            report(done[0] / total)

    def group(chunk: tuple[int, int]) -> Record:
        first, size = chunk
        kept = ctx.checkpoint.get(f"walkers/{first}/blocks"), ctx.checkpoint.get(f"walkers/{first}/counts")
        if kept[0] is not None and kept[1] is not None:
            count(size * params.steps)
            return Record(kept[0], kept[1])
        w = answer.law.sample(start, first, size)
        record = follow(walk, w, first, outputs, edges, ctx.check, count)
        ctx.checkpoint.put(f"walkers/{first}/blocks", record.blocks)
        ctx.checkpoint.put(f"walkers/{first}/counts", record.counts)
        return record

    size = -(-params.walkers // (MOST_CHUNKS * BLOCK)) * BLOCK
    chunks = [(first, min(size, params.walkers - first)) for first in range(0, params.walkers, size)]
    record = joined(list(ctx.map(group, chunks)))
    answer.sample = statistics(record)
    answer.histogram_edges = edges
    answer.histogram = record.counts[:, : edges.size - 1] / (params.walkers * np.diff(edges))


# --- the result -----------------------------------------------------------------------------------------------------


def _result(answer: Answer) -> Result:
    result = Result()
    edges = answer.edges
    widths = np.diff(edges)
    result.add_array("t", answer.times, ("t",), unit="steps", text="steps taken")
    result.add_array("w", 0.5 * (edges[1:] + edges[:-1]), ("w",), unit="W", text="middles of the cells")
    for model, motion in answer.motions.items():
        dims = ("t", "w")
        result.add_array(f"density_{model}", motion.mass / widths, dims, unit="1/W", text=f"density, {model}")
        result.add_array(f"mean_{model}", motion.mean, ("t",), unit="W", text=f"mean, {model}")
        result.add_array(f"sd_{model}", motion.sd, ("t",), unit="W", text=f"standard deviation, {model}")
    if answer.sample is not None:
        _add_sample(result, answer, answer.sample)
    _add_paths(result, answer)
    for model, motion in answer.motions.items():
        _add_findings(result, answer, model, motion)
    validity = answer.setting.validity(np.union1d(edges, result.arrays["w"].values))
    add_validity(result, validity, answer.params.models)
    if answer.clipped:
        result.warn(
            f"Walkers diverge: the cells were cut at {edges[0]:.4g} and {edges[-1]:.4g}. Take a smaller "
            "temperature, or set w_min and w_max."
        )
    add_figures(result, answer.params)
    return result


def _add_sample(result: Result, answer: Answer, sample: Statistics) -> None:
    count = answer.params.walkers
    for name, values, words in (
        ("mean_monte_carlo", sample.mean, f"mean of {count} walkers"),
        ("mean_stderr", sample.mean_error, "its standard error"),
        ("sd_monte_carlo", sample.sd, f"standard deviation of {count} walkers"),
        ("sd_stderr", sample.sd_error, "its standard error"),
    ):
        result.add_array(name, values, ("t",), unit="W", text=words)
    middles = 0.5 * (answer.histogram_edges[1:] + answer.histogram_edges[:-1])
    result.add_array(
        "histogram_w", middles, ("histogram_w",), unit="W", text="middles of the histogram's cells"
    )
    assert answer.histogram is not None
    dims = ("t", "histogram_w")
    result.add_array(
        "density_monte_carlo", answer.histogram, dims, unit="1/W", text=f"histogram of {count} walkers"
    )
    lost = float(sample.lost[-1])
    if lost > 0:
        text = "share of the walkers at no finite place at the end; mean and spread are those of the others"
        result.add_finding("lost_walkers", lost, text, kind="warning")


def _add_paths(result: Result, answer: Answer) -> None:
    """Descent of the mean gradient from the asked starts, thinned where there are many steps."""
    if not answer.params.starts:
        return
    steps = answer.paths.shape[1] - 1
    kept = np.unique(np.linspace(0, steps, min(steps + 1, MOST_PATH_POINTS)).astype(np.int64))
    result.add_array("path_t", kept.astype(np.float64), ("path_t",), unit="steps", text="steps taken")
    result.add_array(
        "start", np.array(answer.params.starts), ("start",), unit="W", text="starts of the paths"
    )
    text = "descent of the mean gradient, without noise"
    result.add_array("path", answer.paths[:, kept], ("start", "path_t"), unit="W", text=text)


def _add_findings(result: Result, answer: Answer, model: str, motion: Motion) -> None:
    """How far from the others it is, where it ends, and how accurate that is."""
    named = "the exact chain" if model == OPERATOR else model
    _add_errors(result, answer, model, motion)
    exact = answer.motions.get(OPERATOR)
    if model != OPERATOR and exact is not None:
        distances = [
            wasserstein(answer.edges, row, cdf_on_cells(answer.edges, other, answer.edges))
            for row, other in zip(motion.mass, exact.mass, strict=True)
        ]
        text = f"largest Wasserstein distance to the exact chain over time, {named}"
        result.add_finding(f"distance_{model}", max(distances), text, unit="W")
    result.add_finding(f"final_mean_{model}", float(motion.mean[-1]), f"mean at the end, {named}", unit="W")
    text = f"standard deviation at the end, {named}"
    result.add_finding(f"final_sd_{model}", float(motion.sd[-1]), text, unit="W")
    text = f"largest deviation of the total mass from 1, {named}"
    result.add_finding(f"mass_error_{model}", motion.mass_error, text, kind="accuracy")
    text = f"least density anywhere at any time, {named}"
    least = motion.least / float(np.diff(answer.edges)[0])
    result.add_finding(f"min_density_{model}", least, text, unit="1/W", kind="accuracy")
    text = f"Wasserstein distance at the end to half as many cells, {named}"
    if motion.notes:
        text += f" ({'; '.join(motion.notes)})"
    result.add_finding(f"grid_error_{model}", motion.grid_error, text, unit="W", kind="accuracy")
    outside = float(motion.outside[-1])
    if model == OPERATOR:
        kind: FindingKind = "warning" if outside > MASS_WORTH_A_WARNING else "accuracy"
        text = f"mass that has left the cells by the end: {outside:.3g}; mean and spread are those of what is inside"
        result.add_finding(f"outside_{model}", outside, text, kind=kind)


def _add_errors(result: Result, answer: Answer, model: str, motion: Motion) -> None:
    """Worst deviations over time of mean and spread from the walkers', or from the exact chain's without them."""
    exact = answer.motions.get(OPERATOR)
    sample = answer.sample
    errors = _sampling_errors(answer)
    for i, (name, ours) in enumerate((("mean", motion.mean), ("sd", motion.sd))):
        finding = f"{name}_error_{model}"
        quantity = "mean" if name == "mean" else "standard deviation"
        if sample is not None:
            away = np.abs(ours - (sample.mean if name == "mean" else sample.sd))
            worst = int(np.nanargmax(away)) if np.isfinite(away).any() else 0
            text = f"largest deviation of the {quantity} from Monte Carlo's over time"
            result.add_finding(finding, float(away[worst]), text, unit="W", stderr=float(errors[worst, i]))
            ratio = away[errors[:, i] > 0] / errors[errors[:, i] > 0, i]
            if model == OPERATOR and np.isfinite(ratio).any():
                text = f"largest deviation of the {quantity} from Monte Carlo's, in the operator's standard errors"
                result.add_finding(f"{name}_z_{model}", float(np.nanmax(ratio)), text, kind="accuracy")
        elif exact is not None and model != OPERATOR:
            other = exact.mean if name == "mean" else exact.sd
            text = f"largest deviation of the {quantity} from the exact chain's over time"
            result.add_finding(finding, float(np.nanmax(np.abs(ours - other))), text, unit="W")


def _sampling_errors(answer: Answer) -> FloatArray:
    """Standard errors of the walkers' mean and spread, [t, 2].

    By the exact law where it is known: when the last of a few walkers has left a rare place, their own estimate says
    that nothing was ever there.
    """
    exact = answer.motions.get(OPERATOR)
    if exact is not None:
        rows = [sampling_errors(answer.edges, mass, answer.params.walkers or 1) for mass in exact.mass]
        return np.array(rows)
    if answer.sample is None:
        return np.zeros((answer.times.size, 2))
    return np.stack([answer.sample.mean_error, answer.sample.sd_error], axis=1)
