"""controller: a small network learns to regulate a plant; Op of its output on the way, and of each of its neurons."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tui_opt.experiments.thermostats.controller_figures import add_figures, training_figures
from tui_opt.experiments.thermostats.controller_params import ControllerParams
from tui_opt.kernels.controller_training import Trainer
from tui_opt.kernels.controllers import (
    Answer,
    Controllers,
    FloatArray,
    Loops,
    ablation_losses,
    differences_of_output,
    draw,
    draw_states,
    follow_loops,
    op_of_neurons,
    op_of_output,
    rank_correlation,
)
from tui_opt.kernels.plants import PLANTS, Plant
from tui_opt.result import Result
from tui_opt.runner.context import Context

UNTRAINED = 256
"""Random networks beside those that are trained."""
DELTA = 1e-5
CLEAR = 1e-4
"""A finite difference is compared where it is at least this part of what it began with."""
ITERATIONS_BETWEEN_CHECKPOINTS = 25
MEDIAN_STDERR = math.sqrt(math.pi / 2)
"""Standard error of a median over that of a mean, for a normal law."""


@dataclass
class Training:
    """What was seen on the way, NaN where not yet: [seed, iteration+1] each."""

    op: FloatArray
    loss: FloatArray


def compute(params: ControllerParams, ctx: Context) -> Result:
    """Train all seeds together, asking for Op before each update; then neuron by neuron."""
    plant = PLANTS[params.plant]
    seeds = range(params.seeds)
    first = draw(plant, params.hidden, [ctx.rng("weights", block=i) for i in seeds])
    states = np.stack([draw_states(plant, params.states, ctx.rng("states", block=i)) for i in seeds], axis=1)
    tested = draw_states(plant, params.test_states, ctx.rng("test states"))
    trainer = Trainer(plant, first, states, params.horizon, params.learning_rate)
    seen = _train(trainer, plant, params, tested, ctx)
    last = trainer.controllers()
    ctx.progress(params.iterations, 1.05 * params.iterations, "neurons")
    result = _training_result(params, seen)
    loops = follow_loops(plant, last, tested, params.horizon, check=ctx.check)
    _add_output(result, plant, last, loops, seen, tested)
    _add_untrained(result, plant, params, tested, ctx)
    _add_difference(result, plant, last, loops, ctx)
    before = follow_loops(plant, first, tested, params.horizon, check=ctx.check)
    _add_neurons(result, plant, params, (first, before), (last, loops), ctx)
    add_figures(result, plant, params, first, last, loops)
    return result


def _train(
    trainer: Trainer, plant: Plant, params: ControllerParams, tested: FloatArray, ctx: Context
) -> Training:
    shape = (params.seeds, params.iterations + 1)
    seen = Training(np.full(shape, np.nan), np.full(shape, np.nan))
    kept = [ctx.checkpoint.get(name) for name in ("trainer", "op", "loss")]
    if all(piece is not None for piece in kept):
        trainer.restore(np.asarray(kept[0]))
        seen = Training(np.array(kept[1]), np.array(kept[2]))
    for iteration in range(trainer.done, params.iterations + 1):
        ctx.check()
        ctx.progress(iteration, 1.05 * params.iterations, "training")
        networks = trainer.controllers()
        with np.errstate(all="ignore"):
            loops = follow_loops(plant, networks, tested, params.horizon, check=ctx.check)
            answer = op_of_output(plant, networks, loops, ctx.check)
            seen.op[:, iteration] = np.median(answer.op, axis=1)
            seen.loss[:, iteration] = loops.loss(plant)
        ctx.partial(lambda: _partial(params, seen))
        if iteration == params.iterations:
            break
        trainer.update(ctx.check)
        if trainer.done % ITERATIONS_BETWEEN_CHECKPOINTS == 0:
            ctx.checkpoint.put("op", seen.op.copy())
            ctx.checkpoint.put("loss", seen.loss.copy())
            ctx.checkpoint.put("trainer", trainer.state())
    return seen


def _partial(params: ControllerParams, seen: Training) -> Result:
    result = _training_result(params, seen)
    for figure in training_figures(params):
        result.add_figure(figure)
    return result


def _training_result(params: ControllerParams, seen: Training) -> Result:
    result = Result()
    iterations = np.arange(params.iterations + 1.0)
    dims = ("seed", "iteration")
    result.add_array("iteration", iterations, ("iteration",), text="updates made")
    text = "median over the test states of Op of the controller's output"
    result.add_array("op_median", seen.op.copy(), dims, unit="nats", text=text)
    result.add_array("loss", seen.loss.copy(), dims, text="loss on the test states")
    return result


# --- Op of the output -------------------------------------------------------------------------------------------------


def _over_seeds(values: FloatArray) -> tuple[float, float | None]:
    """The median over seeds, and its standard error from their spread."""
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan, None
    stderr = None
    if known.size > 1 and np.all(np.isfinite(known)):
        stderr = MEDIAN_STDERR * float(np.std(known, ddof=1)) / math.sqrt(known.size)
    return float(np.median(known)), stderr


def _add_output(
    result: Result, plant: Plant, last: Controllers, loops: Loops, seen: Training, tested: FloatArray
) -> None:
    with np.errstate(all="ignore"):
        answer = op_of_output(plant, last, loops)
    result.add_array("start", tested, ("axis", "state"), text="test states: " + ", ".join(plant.axes))
    result.add_array(
        "op", answer.op, ("seed", "state"), unit="nats", text="Op of the trained controller's output"
    )
    result.add_array("sign", answer.sign, ("seed", "state"), text="sign of Comp")
    steps, first = len(loops.controls), plant.axes[0]
    what = f"Op(u; {first} at the start, {first} after {steps} steps), median over states, then seeds"
    for name, column, when in (("op_before", 0, "before training"), ("op_after", -1, "after training")):
        value, stderr = _over_seeds(seen.op[:, column])
        result.add_finding(name, value, f"{what}, {when}", unit="nats", stderr=stderr)
    for name, column, when in (("loss_before", 0, "before"), ("loss_after", -1, "after")):
        value, stderr = _over_seeds(seen.loss[:, column])
        result.add_finding(
            name, value, f"loss on the test states {when} training, median over seeds", stderr=stderr
        )
    _add_course_of_training(result, seen)
    positive, negative = float(np.mean(answer.op > 0)), float(np.mean(answer.sign < 0))
    result.add_finding(
        "positive_op_fraction", positive, "share of trained loops, over seeds and states, with Op > 0"
    )
    text = (
        "share of them in which a change ends with the other sign: the controller overshoots, and Op does not tell; "
        "look at the sign too"
    )
    result.add_finding("negative_sign_fraction", negative, text)
    lost = int(np.sum(~np.isfinite(seen.loss[:, -1])))
    if lost:
        result.warn(
            f"{lost} of {len(seen.loss)} networks lead out of the finite numbers; lower the learning rate."
        )


def _add_course_of_training(result: Result, seen: Training) -> None:
    """When Op becomes positive for good, how it goes with the loss, and whether it grows to the end."""
    ops = seen.op
    crossings = []
    for row in ops:
        not_yet = np.flatnonzero(~(row > 0.0))
        crossings.append(0.0 if not not_yet.size else float(not_yet[-1] + 1))
    known = [c for c in crossings if c < ops.shape[1]]
    text = "updates after which Op is positive for good, median over seeds"
    if len(known) == len(crossings):
        value, stderr = _over_seeds(np.array(crossings))
        result.add_finding("crossing_iteration", value, text, stderr=stderr)
    else:
        missing = (
            f"Op of {len(crossings) - len(known)} of {len(crossings)} networks is not positive in the end"
        )
        result.add_missing("crossing_iteration", missing)
    with np.errstate(invalid="ignore"):
        correlations = np.array([rank_correlation(a, b) for a, b in zip(ops, seen.loss, strict=True)])
    value, stderr = _mean(correlations)
    text = (
        "rank correlation of Op and loss over the updates, mean over seeds: -1 if Op grew whenever the loss fell, and "
        "nothing but that; training lowers a loss, not Op"
    )
    _add_or_missing(result, "op_loss_rank_correlation", value, stderr, text)
    with np.errstate(invalid="ignore"):
        fallen = np.nanmax(ops, axis=1) - ops[:, -1] if not np.all(np.isnan(ops)) else np.array([math.nan])
    value, stderr = _over_seeds(fallen)
    text = (
        "how far Op ends below its highest value on the way, median over seeds: where it is large, training gave up Op "
        "for a lower loss (weaker control), so the highest Op is not the best controller"
    )
    result.add_finding("op_given_up", value, text, unit="nats", stderr=stderr)


def _mean(values: FloatArray) -> tuple[float, float | None]:
    known = values[np.isfinite(values)]
    if not known.size:
        return math.nan, None
    stderr = float(np.std(known, ddof=1)) / math.sqrt(known.size) if known.size > 1 else None
    return float(np.mean(known)), stderr


def _add_or_missing(result: Result, name: str, value: float, stderr: float | None, text: str) -> None:
    if math.isnan(value):
        result.add_missing(name, "there is nothing to rank: one neuron, or values that are all equal")
    else:
        result.add_finding(name, value, text, stderr=stderr)


def _add_untrained(
    result: Result, plant: Plant, params: ControllerParams, tested: FloatArray, ctx: Context
) -> None:
    """A network nobody trained reacts too, and may undo changes by chance."""
    networks = draw(plant, params.hidden, [ctx.rng("untrained", block=i) for i in range(UNTRAINED)])
    few = tested[:, :8]
    with np.errstate(all="ignore"):
        loops = follow_loops(plant, networks, few, min(params.horizon, 200), check=ctx.check)
        medians = np.median(op_of_output(plant, networks, loops).op, axis=1)
    share = float(np.mean(medians > 0))
    text = (
        f"share of {UNTRAINED} untrained networks with Op > 0: a reaction of random sign is as often the right one, so "
        "Op > 0 alone does not show that anything was learnt"
    )
    stderr = math.sqrt(share * (1 - share) / UNTRAINED)
    result.add_finding("untrained_positive_fraction", share, text, stderr=stderr)


def _add_difference(result: Result, plant: Plant, last: Controllers, loops: Loops, ctx: Context) -> None:
    """Tangents against finite differences, as late as those are above rounding."""
    with np.errstate(all="ignore"):
        x, y = differences_of_output(plant, last, loops, DELTA, ctx.check)
        clear = np.median(np.minimum(np.abs(x), np.abs(y)), axis=(1, 2)) > CLEAR * DELTA
        step = max(1, int(np.flatnonzero(clear)[-1])) if np.any(clear) else 1
        early = Loops(loops.states[: step + 1], loops.controls[:step], loops.hidden[:step])
        off = np.abs(
            op_of_output(plant, last, early).op - (np.log(np.abs(y[step])) - np.log(np.abs(x[step])))
        )
    off = off[np.isfinite(off)]
    if not off.size:
        result.add_missing("difference_error", "no trained loop stays within the finite numbers", unit="nats")
        return
    text = f"median error of Op by differences of {DELTA:g} at step {step}, the last at which rounding is far below"
    result.add_finding("difference_error", float(np.median(off)), text, unit="nats", kind="accuracy")


# --- neurons ----------------------------------------------------------------------------------------------------------


def _add_neurons(
    result: Result,
    plant: Plant,
    params: ControllerParams,
    before: tuple[Controllers, Loops],
    after: tuple[Controllers, Loops],
    ctx: Context,
) -> None:
    """Op of each neuron against what its ablation costs."""
    with np.errstate(all="ignore"):
        answer = op_of_neurons(plant, *after, check=ctx.check)
        ablated = ablation_losses(plant, *after, check=ctx.check)
        answer_before = op_of_neurons(plant, *before, check=ctx.check)
        ablated_before = ablation_losses(plant, *before, check=ctx.check)
    ops = _medians(answer)
    dims = ("seed", "neuron")
    result.add_array(
        "neuron_op", ops, dims, unit="nats", text="Op of each neuron, median over the test states"
    )
    result.add_array("ablation_loss", ablated, dims, text="growth of the loss with the neuron at its mean")
    weights = np.abs(after[0].w2) * np.sqrt(np.sum(after[0].w1 ** 2, axis=1))
    question = f"over {params.hidden} neurons, mean over seeds"
    for name, values, costs, text in (
        (
            "neuron_rank_correlation",
            ops,
            ablated,
            f"rank correlation of a neuron's Op and its ablation loss {question}",
        ),
        (
            "neuron_rank_correlation_before",
            _medians(answer_before),
            ablated_before,
            f"the same before training, {question}: a control",
        ),
        (
            "weight_rank_correlation",
            weights,
            ablated,
            f"the same for |w2| |w1| instead of Op, {question}: where it is as high, Op says no more than weights do",
        ),
    ):
        found = np.array([rank_correlation(a, b) for a, b in zip(values, costs, strict=True)])
        _add_or_missing(result, name, *_mean(found), text)
    harmful = float(np.mean(ops < 0))
    text = "share of trained neurons with Op < 0: they work against the others, which undo changes better without them"
    result.add_finding("negative_neuron_fraction", harmful, text)
    rows = [
        (seed, neuron, float(ops[seed, neuron]), float(ablated[seed, neuron]))
        for seed in range(min(params.seeds, 4))
        for neuron in np.argsort(-ops[seed]).tolist()[:16]
    ]
    title = "Neurons by their Op, at most 16 of each of the first 4 seeds"
    result.add_table("neurons", ("seed", "neuron", "op", "ablation_loss"), rows, title=title)


def _medians(answer: Answer) -> FloatArray:
    return np.ascontiguousarray(np.median(answer.op, axis=2).T)
