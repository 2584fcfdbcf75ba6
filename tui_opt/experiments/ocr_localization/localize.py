"""localize: where updates came from during training, against where changes of the data show at its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

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
from tui_opt.experiments.ocr_localization.one_thread import linear_algebra_on_one_thread
from tui_opt.experiments.ocr_localization.params import LocalizeParams
from tui_opt.experiments.ocr_localization.together import Together, groups
from tui_opt.experiments.ocr_localization.work import Work
from tui_opt.kernels.localization.network import Network, random_network
from tui_opt.kernels.localization.shares import correlation_along
from tui_opt.result import Result
from tui_opt.runner.context import Context


@linear_algebra_on_one_thread
def compute(params: LocalizeParams, ctx: Context) -> Result:
    """Every seed by itself, on as many threads as there are; finished ones are found in the checkpoint again."""
    lesson = Lesson.of(params)
    work = Work(ctx, params.seeds, steps_of(lesson))
    done: list[Seed] = []
    for seed in seeds(params, lesson, ctx, work):
        done.append(seed)
        if len(done) < params.seeds:
            ctx.partial(lambda: report(params, lesson, done))
    return report(params, lesson, done)


def seeds(params: LocalizeParams, lesson: Lesson, ctx: Context, work: Work) -> Iterator[Seed]:
    """The answers of the seeds in order."""
    setting = Setting(params.activation, params.output, params.learning_rate, params.tally)
    _ = lesson.pixels, lesson.phase_one, lesson.forks, lesson.constant_pixels  # before threads ask for them
    school = Together(lesson, params.tally, ctx)

    def initial(number: int) -> Network:
        return random_network(lesson.pixels.size, params.hidden, ctx.rng("network", number))

    def together(numbers: list[int]) -> dict[int, Learnt]:
        new = [number for number in numbers if ctx.checkpoint.get(f"{number}/agreement") is None]
        if not new:
            return {}
        learning = work.learning(len(new))
        learnt = school.learn([initial(number) for number in new], [setting] * len(new), learning.report)
        learning.end()
        return dict(zip(new, learnt, strict=True))

    def of(number: int, ready: dict[int, Learnt]) -> Seed:
        found = _finished(number, ctx)
        if found is not None:
            work.found()
            return found
        learnt = ready.pop(number, None)
        if learnt is None:
            learning = work.learning()
            learnt = learn(lesson, setting, initial(number), ctx.check, learning.report)
            learning.end()
        answering = work.answering()
        found = answer(lesson, learnt, ctx.rng("shuffles", number), ctx.check, answering.report)
        if number:  # those of all networks' weights would be as large as all that is kept else
            found = replace(found, tally=found.tally[:, -1:].copy())
        ctx.checkpoint.put(f"{number}/tally", found.tally)
        ctx.checkpoint.put(f"{number}/shares", found.shares.packed())
        ctx.checkpoint.put(f"{number}/agreement", found.agreement.packed())
        answering.end()
        return found

    for numbers, ready in groups(range(params.seeds), together, partial(school.size, params.hidden), ctx):
        yield from ctx.map(partial(of, ready=ready), numbers)


def _finished(number: int, ctx: Context) -> Seed | None:
    """What is in the checkpoint."""
    shares, agreement, tally = (
        ctx.checkpoint.get(f"{number}/{part}") for part in ("shares", "agreement", "tally")
    )
    if shares is None or agreement is None or tally is None:
        return None
    unpacked = Shares.unpacked(shares)
    by_pixel = correlation_along(unpacked.update_weights, unpacked.change_weights)
    return Seed(unpacked, Agreement.unpacked(agreement), by_pixel, tally)
