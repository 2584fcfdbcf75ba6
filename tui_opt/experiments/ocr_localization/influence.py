"""influence: TracIn between digits, and whether tallies of updates agree with it unit by unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.ocr_localization.costs import SLICE
from tui_opt.experiments.ocr_localization.lesson import Lesson, Sequence
from tui_opt.experiments.ocr_localization.match_params import InfluenceParams
from tui_opt.experiments.ocr_localization.one_seed import Report
from tui_opt.experiments.ocr_localization.work import Work
from tui_opt.experiments.one_thread import linear_algebra_on_one_thread
from tui_opt.figure import Axis, Figure, Heatmap, Ref, Scatter
from tui_opt.kernels.localization.network import FAR, Network, Tallies, random_network
from tui_opt.kernels.localization.responses import class_gradients, passes, tracin
from tui_opt.kernels.localization.shares import correlation, share
from tui_opt.kernels.localization.training import train
from tui_opt.result import Result
from tui_opt.runner.context import Context

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class One:
    """One network.

    Args:
        matrix: TracIn over its largest entry's size, [digit learnt, digit held out]; NaN of a network that diverged,
            and zero of one without any gradient.
        tally_share: share of group_a in the updates of each unit, [unit].
        tracin_share: share of group_a in the influence that goes through each unit, [unit].
    """

    matrix: FloatArray
    tally_share: FloatArray
    tracin_share: FloatArray

    def packed(self) -> FloatArray:
        """As one array, for a checkpoint."""
        return np.concatenate([self.matrix.ravel(), self.tally_share, self.tracin_share])

    @classmethod
    def unpacked(cls, packed: FloatArray, digits: int) -> One:
        """From `packed`, for so many digits."""
        tally, influence = np.split(packed[digits * digits :], 2)
        return cls(packed[: digits * digits].reshape(digits, digits), tally, influence)


@linear_algebra_on_one_thread
def compute(params: InfluenceParams, ctx: Context) -> Result:
    """Every network by itself: phase one with its tallies, and gradients along it; finished ones are kept."""
    lesson = Lesson.of(params)
    _ = lesson.pixels, lesson.phase_one, lesson.held_out  # made before threads ask for them

    images = lesson.phase_one.samples.size // lesson.epochs + lesson.held_out.samples.size
    # The gradient of an image takes about as long as a step.
    steps = lesson.phase_one.samples.size + params.checkpoints * images
    work = Work(ctx, params.seeds, steps)

    def of(number: int) -> One:
        kept = ctx.checkpoint.get(str(number))
        if kept is not None:
            work.found()
            return One.unpacked(kept, len(lesson.digits))
        learning = work.learning()
        one = _one(params, lesson, number, ctx, learning.report)
        learning.end()
        ctx.checkpoint.put(str(number), one.packed())
        work.answered()
        return one

    found: list[One] = []
    for one in ctx.map(of, range(params.seeds)):
        found.append(one)
        if len(found) < params.seeds:
            ctx.partial(lambda: report(params, lesson, found))
    return report(params, lesson, found)


def _one(params: InfluenceParams, lesson: Lesson, number: int, ctx: Context, told: Report) -> One:
    network = random_network(lesson.pixels.size, params.hidden, ctx.rng("network", number))
    tallies, digits = Tallies.of(network, len(lesson.digits)), len(lesson.digits)
    steps = lesson.phase_one.samples.size
    begins = lesson.tally_begins("second-half")
    ends = sorted({begins, *(round(steps * (i + 1) / params.checkpoints) for i in range(params.checkpoints))})
    marks = {round(steps * (i + 1) / params.checkpoints) for i in range(params.checkpoints)}
    learnt, held = lesson.phase_one.part(0, steps // lesson.epochs), lesson.held_out
    whole = np.zeros((digits, digits))
    by_unit = np.zeros((digits, digits, params.hidden))
    start = 0
    for end in ends:
        part = lesson.phase_one.part(start, end)
        train(
            network,
            lesson.pixels,
            part.samples,
            part.classes,
            part.targets,
            activation=params.activation,
            output=params.output,
            rate=params.learning_rate,
            tallies=tallies if start >= begins else None,
            check=ctx.check,
            report=told,
        )
        start = end
        if end in marks:
            gradients = [_gradients(params, lesson, network, order, ctx, told) for order in (learnt, held)]
            with np.errstate(all="ignore"):  # of networks that diverged, which are left out
                one, units = tracin(gradients[0], gradients[1])
                whole += params.learning_rate * one
                by_unit += params.learning_rate * units
    if not network.is_sound:
        whole[:] = np.nan  # which leaves it out
    size = np.abs(by_unit)
    group = lesson.group
    tally = tallies.weights.sum(axis=1) + tallies.biases
    with np.errstate(all="ignore"):
        return One(
            whole / np.abs(whole).max() if whole.any() else whole,
            share(tally[:group].sum(axis=0), tally[group:].sum(axis=0)),
            share(size[:group, :group].sum(axis=(0, 1)), size[group:, group:].sum(axis=(0, 1))),
        )


def _gradients(
    params: InfluenceParams, lesson: Lesson, network: Network, order: Sequence, ctx: Context, told: Report
) -> tuple[FloatArray, FloatArray]:
    """Mean gradient of each digit, as `class_gradients`; so many images at a time as take little."""
    digits, at_once = len(lesson.digits), max(1, SLICE // network.weights.size)
    number = np.maximum(np.bincount(order.classes, minlength=digits), 1)
    whole = np.zeros((digits, network.weights.shape[0] + 1, params.hidden))
    of_output = np.zeros((digits, params.hidden + 1, network.output_biases.size))
    for first in range(0, order.samples.size, at_once):
        part = order.part(first, first + at_once)
        inputs = lesson.inputs(part)
        share = (np.bincount(part.classes, minlength=digits) / number)[:, None, None]
        with np.errstate(all="ignore"):
            of = passes(network, inputs, part.targets, params.activation, params.output)
            hidden, output = class_gradients(inputs, of, part.classes, digits)
            whole += share * hidden
            of_output += share * output
        ctx.check()
        told(part.samples.size)
    return whole, of_output


def report(params: InfluenceParams, lesson: Lesson, found: list[One]) -> Result:
    """The matrix, its blocks, and the agreement of tallies with it."""
    result = Result()
    sound = [one for one in found if np.isfinite(one.matrix).all()]
    if lost := len(found) - len(sound):
        text = (
            f"{lost} of {len(found)} networks diverged and are left out: parameters are beyond {FAR:,.0f} or no "
            "numbers. Lower learning_rate."
        )
        result.add_finding("diverged", lost, text, kind="warning")
    known = [one for one in sound if one.matrix.any()]
    if still := len(sound) - len(known):
        text = (
            f"{still} of {len(found)} networks have no gradient at any checkpoint and are left out: all of their units "
            "are dead. Lower learning_rate."
        )
        result.add_finding("dead", still, text, kind="warning")
    digits = lesson.digits
    shape = (len(digits), len(digits))
    matrices = np.stack([one.matrix for one in known]) if known else np.full((1, *shape), np.nan)
    mean = matrices.mean(axis=0)
    result.add_table(
        "tracin",
        ("learnt", *map(str, digits)),
        [(str(d), *map(float, row)) for d, row in zip(digits, mean, strict=True)],
    )
    result.add_array(
        "tracin",
        mean,
        ("learnt", "held"),
        text="influence of a digit learnt on one held out, mean over seeds",
    )
    result.add_array("learnt", np.arange(len(digits), dtype=float), ("learnt",), text="place of the digit")
    result.add_array("held", np.arange(len(digits), dtype=float), ("held",), text="place of the digit")
    same = np.zeros(shape, dtype=bool)
    same[: lesson.group, : lesson.group] = same[lesson.group :, lesson.group :] = True
    own = np.eye(len(digits), dtype=bool)
    for name, mask, text in (
        (
            "tracin_own",
            own,
            "Influence of a digit on new images of itself, over the largest entry of the matrix.",
        ),
        (
            "tracin_same_group",
            same & ~own,
            "The same on the other digits of its group, for which the answer is the same: it should be positive.",
        ),
        (
            "tracin_other_group",
            ~same,
            "The same on the digits of the other group, for which the answer is the opposite: it should be negative.",
        ),
    ):
        _add(result, name, np.array([matrix[mask].mean() for matrix in matrices]), text, _NONE_LEFT)
    agreement = np.array([correlation(one.tally_share, one.tracin_share) for one in known])
    text = (
        "Correlation, over hidden units, of the share of group_a in the sums of updates with its share in the "
        "influence (TracIn) that goes through the unit."
    )
    one_unit = "it takes two hidden units or more, and there is one"
    why = (
        _NONE_LEFT if not known else one_unit if params.hidden == 1 else "the shares of the units do not vary"
    )
    _add(result, "tally_tracin_correlation", agreement, text, why)
    first = known[0] if known else found[0]
    result.add_array(
        "tally_share", first.tally_share, ("unit",), text="share of group_a in a unit's updates, first seed"
    )
    result.add_array(
        "tracin_share", first.tracin_share, ("unit",), text="share of group_a in its influence, first seed"
    )
    result.headline = ["tracin_same_group", "tracin_other_group", "tally_tracin_correlation"]
    names = ", ".join(map(str, digits))
    result.add_figure(
        Figure(
            name="tracin",
            title="Influence of digits learnt (up) on digits held out (across)",
            x=Axis(label=f"held out: {names}"),
            y=Axis(label=f"learnt: {names}"),
            layers=(
                Heatmap(
                    x=Ref(array="held"),
                    y=Ref(array="learnt"),
                    z=Ref(array="tracin"),
                    diverging=True,
                    low=-1.0,
                    high=1.0,
                ),
            ),
        )
    )
    result.add_figure(
        Figure(
            name="units",
            title="Hidden units: share of group_a in updates and in influence, first seed",
            x=Axis(label="share in the updates", low=0.0, high=1.0),
            y=Axis(label="share in the influence", low=0.0, high=1.0),
            layers=(Scatter(x=Ref(array="tally_share"), y=Ref(array="tracin_share"), label="units"),),
        )
    )
    return result


_NONE_LEFT: Final = "every network diverged or is dead"


def _add(result: Result, name: str, values: FloatArray, text: str, why_none: str) -> None:
    values = values[np.isfinite(values)]
    if not values.size:
        result.add_missing(name, f"{text} It does not exist here: {why_none}.")
        return
    stderr = float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else None
    result.add_finding(name, float(values.mean()), text, stderr=stderr)
