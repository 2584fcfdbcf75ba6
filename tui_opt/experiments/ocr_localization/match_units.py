"""match-units: units of two networks matched by their updates, and how alike their answers to new images are."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.ocr_localization.costs import MatchSeconds, match_seconds
from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.experiments.ocr_localization.match_params import MatchUnitsParams
from tui_opt.experiments.ocr_localization.match_report import report
from tui_opt.experiments.ocr_localization.one_seed import Report
from tui_opt.experiments.ocr_localization.pair import Half, Matching, Scores
from tui_opt.experiments.ocr_localization.together import Size, course, groups, once
from tui_opt.experiments.ocr_localization.work import Part, Work
from tui_opt.experiments.one_thread import linear_algebra_on_one_thread
from tui_opt.kernels.localization.network import Network, random_network
from tui_opt.kernels.localization.responses import activations, profiles, signatures
from tui_opt.kernels.localization.training import train
from tui_opt.result import Result
from tui_opt.runner.context import Context

if TYPE_CHECKING:
    from tui_opt.kernels.localization.courses import Courses
    from tui_opt.kernels.localization.crowds import Outcome

FloatArray: TypeAlias = NDArray[np.float64]
Trained: TypeAlias = tuple[Network, FloatArray]
"""A network after phase one, and the trace of its counted part."""
Key: TypeAlias = tuple[str, bool]
"""Which network of a pair, and whether it learns."""


@linear_algebra_on_one_thread
def compute(params: MatchUnitsParams, ctx: Context) -> Result:
    """Pairs of networks that learnt the same images, and the same pairs before they learnt anything.

    Finished pairs are found in the checkpoint again; of the first that did not diverge its matching is kept, too.
    """
    lesson = Lesson.of(params)
    _ = lesson.pixels, lesson.phase_one, lesson.held_out  # made before threads ask for them
    steps, units = lesson.phase_one.samples.size, params.hidden_a + params.hidden_b
    counted = steps - lesson.tally_begins("second-half")
    seconds = match_seconds(params, steps, counted, lesson.held_out.samples.size, lesson.pixels.size)
    learning_share = seconds.learning / (seconds.learning + seconds.answering)
    work = Work(
        ctx, params.seeds, float(units) * (steps + counted), "pairs of networks", learning=learning_share
    )
    school = _School(params, lesson, ctx)
    lowest, lock = [params.seeds], threading.Lock()

    def together(numbers: list[int]) -> dict[int, dict[Key, Trained]]:
        new = [number for number in numbers if ctx.checkpoint.get(f"{number}/scores") is None]
        if not new:
            return {}
        learning = work.learning(len(new))
        learnt = school.learn(new, learning.report)
        learning.end()
        return learnt

    def of(number: int, ready: dict[int, dict[Key, Trained]]) -> tuple[Scores, Matching | None]:
        packed = ctx.checkpoint.get(f"{number}/scores")
        if packed is not None:
            work.found()
            tables, pairs = ctx.checkpoint.get(f"{number}/tables"), ctx.checkpoint.get(f"{number}/pairs")
            if tables is None or pairs is None:
                return Scores.unpacked(packed), None
            return Scores.unpacked(packed), Matching.unpacked(tables, pairs)
        learnt = ready.pop(number, None)
        learning = work.learning() if learnt is None else None
        answering = work.answering()
        looks = _Looks(ctx, answering, seconds)

        def half(key: Key) -> Half:
            if learning is None:
                assert learnt is not None
                return _half(params, lesson, *learnt.pop(key), looks)
            return _half(params, lesson, *_learn(params, lesson, key, number, ctx, learning), looks)

        def matched(learns: bool) -> tuple[Matching, bool]:
            a, b = half(("a", learns)), half(("b", learns))
            return Matching.of(a, b, looks), a.diverged or b.diverged

        # One after the other: traces and signatures of both are more than all else.
        trained, diverged = matched(True)
        untrained, _ = matched(False)
        scores = Scores.of(trained, untrained, diverged)
        with lock:
            wanted = number == 0 or (not diverged and number < lowest[0])
            if not diverged:
                lowest[0] = min(lowest[0], number)
        if wanted:
            for name, array in zip(("tables", "pairs"), trained.packed(), strict=True):
                ctx.checkpoint.put(f"{number}/{name}", array)
        ctx.checkpoint.put(f"{number}/scores", scores.packed())
        for part in (learning, answering):
            if part is not None:
                part.end()
        return scores, trained if wanted else None

    found: list[Scores] = []
    first: Matching | None = None
    for numbers, ready in groups(range(params.seeds), together, lambda: school.size, ctx):
        for scores, matching in ctx.map(partial(of, ready=ready), numbers):
            if matching is not None and (first is None or all(earlier.diverged for earlier in found)):
                first = matching
            found.append(scores)
            assert first is not None
            if len(found) < params.seeds:
                ctx.partial(partial(report, list(found), first))
    assert first is not None
    return report(found, first)


def _initial(params: MatchUnitsParams, lesson: Lesson, which: str, number: int, ctx: Context) -> Network:
    units = params.hidden_a if which == "a" else params.hidden_b
    return random_network(lesson.pixels.size, units, ctx.rng(f"network {which}", number))


def _learn(
    params: MatchUnitsParams, lesson: Lesson, key: Key, number: int, ctx: Context, learning: Part
) -> Trained:
    """One network after phase one; at rate 0 it learns nothing, and its trace is that of its initial weights."""
    which, learns = key
    network = _initial(params, lesson, which, number, ctx)
    units = network.biases.size
    begins = lesson.tally_begins("second-half")
    early, counted = lesson.phase_one.part(0, begins), lesson.phase_one.part(begins)
    trace = np.zeros((counted.samples.size, units + 1))
    for part, kept in ((early, None), (counted, trace)) if learns else ((counted, trace),):
        train(
            network,
            lesson.pixels,
            part.samples,
            part.classes,
            part.targets,
            activation=params.activation,
            output=params.output,
            rate=params.learning_rate if learns else 0.0,
            trace=kept,
            check=ctx.check,
            report=lambda steps: learning.report(steps * units),
        )
    return network, trace


def _half(
    params: MatchUnitsParams, lesson: Lesson, network: Network, trace: FloatArray, looks: _Looks
) -> Half:
    """Signatures of a network's units, and their answers to new images."""
    held = lesson.held_out
    share = network.biases.size / (params.hidden_a + params.hidden_b)
    with np.errstate(all="ignore"):
        signature = _numbers(signatures(trace, params.signature, lambda part: looks.signature(share * part)))
        inputs = lesson.inputs(held)
        looks.hidden(0.0)
        hidden = activations(network, inputs, params.activation, lambda part: looks.hidden(share * part))
        profile = profiles(hidden, held.classes, len(lesson.digits))
    return Half(signature, _numbers(hidden), _numbers(profile), diverged=not network.is_sound)


def _numbers(values: FloatArray) -> FloatArray:
    """In place, 0 for what is no number and the largest for what is infinite: those of networks that diverged."""
    with np.errstate(all="ignore"):
        return values if np.isfinite(values.sum()) else np.nan_to_num(values, copy=False)


class _Looks:
    """Whether to stop, and how far one pair's answers are.

    Args:
        ctx: is asked.
        answering: is told.
        seconds: what each part takes.
    """

    def __init__(self, ctx: Context, answering: Part, seconds: MatchSeconds) -> None:
        self._ctx, self._answering, self._seconds = ctx, answering, seconds

    def signature(self, part: float) -> None:
        """Signatures of both networks' units."""
        self._took(self._seconds.signature * part)

    def hidden(self, part: float) -> None:
        """Their activations."""
        self._took(self._seconds.hidden * part)

    def likeness(self, part: float) -> None:
        """Correlations of signatures."""
        self._took(self._seconds.likeness * part)

    def activation(self, part: float) -> None:
        """Correlations of activations."""
        self._took(self._seconds.activation * part)

    def matching(self, part: float) -> None:
        """One of two matchings."""
        self._took(self._seconds.matching * part / 2)

    def _took(self, seconds: float) -> None:
        self._ctx.check()
        self._answering.report(seconds / self._seconds.answering)


class _School:
    """Phase one for the networks of many pairs at once, on a GPU."""

    def __init__(self, params: MatchUnitsParams, lesson: Lesson, ctx: Context) -> None:
        self._params, self._lesson, self._ctx = params, lesson, ctx
        self._courses: tuple[Courses, Courses] | None = None
        self._say = once(ctx.message)

    @property
    def size(self) -> Size:
        """What one pair takes: networks of one width at a time, those that learn and those that do not."""
        from tui_opt.kernels.localization.batched import bytes_on_device

        pixels, steps = self._lesson.pixels.size, self._lesson.phase_one.samples.size
        widest, units = (
            max(self._params.hidden_a, self._params.hidden_b),
            self._params.hidden_a + self._params.hidden_b,
        )
        return Size(2 * bytes_on_device(1, pixels, widest), 16 * units * (2 * pixels + steps))

    def learn(self, numbers: list[int], report: Report) -> dict[int, dict[Key, Trained]]:
        """The networks of pairs after phase one, with their traces."""
        from tui_opt.kernels.localization import batched, courses

        params, lesson, ctx = self._params, self._lesson, self._ctx
        if self._courses is None:
            begins = lesson.tally_begins("second-half")
            early, late = (
                courses.Courses([course(lesson, part)], ctx.device)
                for part in (lesson.phase_one.part(0, begins), lesson.phase_one.part(begins))
            )
            self._courses = early, late
        learnt: dict[int, dict[Key, Trained]] = {number: {} for number in numbers}
        rates = np.repeat([params.learning_rate, 0.0], len(numbers))
        for which, units in (("a", params.hidden_a), ("b", params.hidden_b)):

            def take(
                taken: Courses, networks: list[list[Network]], traced: bool, units: int = units
            ) -> Outcome:
                return batched.train_together(
                    taken, networks, activation=params.activation, output=params.output, rates=rates, traced=traced,
                    check=ctx.check, report=lambda steps: report(steps * units), say=self._say,
                )  # fmt: skip

            begin = [_initial(params, lesson, which, number, ctx) for number in numbers]
            early, counted = self._courses
            outcome = take(counted, take(early, [begin + begin], False).networks, True)
            ends = list(zip(outcome.networks[0], outcome.traces[0], strict=True))
            for i, number in enumerate(numbers):
                learnt[number][which, True] = ends[i]
                learnt[number][which, False] = ends[len(numbers) + i]
        return learnt
