"""localize: where updates came from during training, against where changes of the data show at its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from tui_opt.experiments.ocr_localization.costs import untrained as number_untrained
from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.experiments.ocr_localization.localize_report import report
from tui_opt.experiments.ocr_localization.one_seed import (
    Agreement,
    Learnt,
    Seed,
    Setting,
    Shares,
    answer,
    learn,
    steps_of,
)
from tui_opt.experiments.ocr_localization.params import LocalizeParams
from tui_opt.experiments.ocr_localization.together import Together, groups
from tui_opt.experiments.ocr_localization.work import Work
from tui_opt.experiments.one_thread import linear_algebra_on_one_thread
from tui_opt.kernels.localization.network import Network, random_network
from tui_opt.kernels.localization.shares import correlation_along
from tui_opt.result import Result
from tui_opt.runner.context import Context

STILL: Final = 1e-7
"""Learning rate of the control without learning: no parameter moves by more than some hundredths of its size."""


@dataclass(frozen=True)
class Pupil:
    """A network to be learnt.

    Args:
        number: of the initial network.
        learns: whether it has the rate asked for; else it hardly moves.
    """

    number: int
    learns: bool = True

    @property
    def key(self) -> str:
        """In the checkpoint, and of its random stream."""
        return f"{self.number}" if self.learns else f"untrained/{self.number}"

    def setting(self, params: LocalizeParams) -> Setting:
        """How it learns."""
        rate = params.learning_rate if self.learns else min(STILL, params.learning_rate)
        return Setting(params.activation, params.output, rate, params.tally)


@linear_algebra_on_one_thread
def compute(params: LocalizeParams, ctx: Context) -> Result:
    """Every network by itself, on as many threads as there are; finished ones are found in the checkpoint again."""
    lesson = Lesson.of(params)
    pupils = [Pupil(number) for number in range(params.seeds)]
    pupils += [Pupil(number, learns=False) for number in range(number_untrained(params.seeds))]
    work = Work(ctx, len(pupils), steps_of(lesson))
    done: list[Seed] = []
    untrained: list[Seed] = []
    for pupil, seed in zip(pupils, answers(pupils, params, lesson, ctx, work), strict=True):
        (done if pupil.learns else untrained).append(seed)
        if len(done) + len(untrained) < len(pupils):
            ctx.partial(lambda: report(params, lesson, done, untrained))
    return report(params, lesson, done, untrained)


def answers(
    pupils: list[Pupil], params: LocalizeParams, lesson: Lesson, ctx: Context, work: Work
) -> Iterator[Seed]:
    """The answers of networks in order."""
    _ = lesson.pixels, lesson.phase_one, lesson.forks, lesson.constant_pixels  # before threads ask for them
    school = Together(lesson, params.tally, ctx)

    def initial(pupil: Pupil) -> Network:
        return random_network(lesson.pixels.size, params.hidden, ctx.rng("network", pupil.number))

    def together(group: list[Pupil]) -> dict[Pupil, Learnt]:
        new = [pupil for pupil in group if ctx.checkpoint.get(f"{pupil.key}/agreement") is None]
        if not new:
            return {}
        learning = work.learning(len(new))
        settings = [pupil.setting(params) for pupil in new]
        learnt = school.learn([initial(pupil) for pupil in new], settings, learning.report)
        learning.end()
        return dict(zip(new, learnt, strict=True))

    def of(pupil: Pupil, ready: dict[Pupil, Learnt]) -> Seed:
        found = _finished(pupil.key, ctx)
        if found is not None:
            work.found()
            return found
        learnt = ready.pop(pupil, None)
        if learnt is None:
            learning = work.learning()
            learnt = learn(lesson, pupil.setting(params), initial(pupil), ctx.check, learning.report)
            learning.end()
        answering = work.answering()
        stream = "shuffles" if pupil.learns else "untrained shuffles"
        found = answer(lesson, learnt, ctx.rng(stream, pupil.number), ctx.check, answering.report)
        if pupil != pupils[0]:  # those of all networks' weights would be as large as all that is kept else
            found = replace(found, tally=found.tally[:, -1:].copy())
        ctx.checkpoint.put(f"{pupil.key}/tally", found.tally)
        ctx.checkpoint.put(f"{pupil.key}/shares", found.shares.packed())
        ctx.checkpoint.put(f"{pupil.key}/agreement", found.agreement.packed())
        answering.end()
        return found

    for group, ready in groups(pupils, together, partial(school.size, params.hidden), ctx):
        yield from ctx.map(partial(of, ready=ready), group)


def _finished(key: str, ctx: Context) -> Seed | None:
    """What is in the checkpoint."""
    shares, agreement, tally = (
        ctx.checkpoint.get(f"{key}/{part}") for part in ("shares", "agreement", "tally")
    )
    if shares is None or agreement is None or tally is None:
        return None
    unpacked = Shares.unpacked(shares)
    by_pixel = correlation_along(unpacked.update_weights, unpacked.change_weights)
    return Seed(unpacked, Agreement.unpacked(agreement), by_pixel, tally)
