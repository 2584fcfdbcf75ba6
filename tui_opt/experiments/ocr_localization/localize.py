"""localize: where updates came from during training, against where changes of the data show at its end."""

from __future__ import annotations

from collections.abc import Iterator

from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.experiments.ocr_localization.localize_report import report
from tui_opt.experiments.ocr_localization.one_seed import Agreement, Seed, Setting, Shares, one_seed
from tui_opt.experiments.ocr_localization.params import LocalizeParams
from tui_opt.kernels.localization.shares import correlation_along
from tui_opt.result import Result
from tui_opt.runner.context import Context


def compute(params: LocalizeParams, ctx: Context) -> Result:
    """Every seed by itself, on as many threads as there are; finished ones are found in the checkpoint again."""
    lesson = Lesson.of(params)
    ctx.progress(0, params.seeds, "networks")
    done: list[Seed] = []
    for seed in seeds(params, lesson, ctx):
        done.append(seed)
        ctx.progress(len(done), params.seeds, "networks")
        if len(done) < params.seeds:
            ctx.partial(lambda: report(params, lesson, done))
    return report(params, lesson, done)


def seeds(params: LocalizeParams, lesson: Lesson, ctx: Context) -> Iterator[Seed]:
    """The answers of the seeds in order."""
    setting = Setting(params.activation, params.output, params.learning_rate, params.tally)
    _ = lesson.pixels, lesson.phase_one, lesson.constant_pixels  # made before threads ask for them

    def of(number: int) -> Seed:
        kept = ctx.checkpoint.get(f"{number}/shares"), ctx.checkpoint.get(f"{number}/agreement")
        if kept[0] is not None and kept[1] is not None:
            shares = Shares.unpacked(kept[0])
            by_pixel = correlation_along(shares.update_weights, shares.change_weights)
            return Seed(shares, Agreement.unpacked(kept[1]), by_pixel)
        rngs = ctx.rng("network", number), ctx.rng("shuffles", number)
        found = one_seed(lesson, setting, params.hidden, *rngs, ctx.check)
        ctx.checkpoint.put(f"{number}/shares", found.shares.packed())
        ctx.checkpoint.put(f"{number}/agreement", found.agreement.packed())
        return found

    yield from ctx.map(of, range(params.seeds))
