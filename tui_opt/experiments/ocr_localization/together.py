"""Networks that learn together on a GPU, in groups that fit it; on the processor where there is none, or no room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.experiments.ocr_localization.lesson import Sequence as Order
from tui_opt.experiments.ocr_localization.one_seed import Learnt, Report, Setting
from tui_opt.kernels.localization.network import Network
from tui_opt.runner.context import Context

if TYPE_CHECKING:
    from tui_opt.kernels.localization.courses import Course, Courses
    from tui_opt.kernels.localization.crowds import Outcome

Item = TypeVar("Item")
Answer = TypeVar("Answer")

HOST_BYTES: Final = 500_000_000
"""What a group of networks may take on this side."""


@dataclass(frozen=True)
class Size:
    """Bytes that one network takes while it learns.

    Args:
        device: on the GPU.
        host: on this side, with all that is made of it.
    """

    device: int
    host: int


def groups(
    items: Sequence[Item],
    together: Callable[[list[Item]], dict[Item, Answer]],
    size: Callable[[], Size],
    ctx: Context,
    say: Callable[[str], None] | None = None,
) -> Iterator[tuple[list[Item], dict[Item, Answer]]]:
    """Items in groups, in order, each with what a GPU had it learn: with nothing where the processor is to do it.

    Args:
        items: what is to be learnt.
        together: has a group learn; it may leave out those that are finished.
        size: of one of them; asked for where there is a GPU.
        ctx: names the device.
        say: is told why it is not used, or not for all at once; what the context takes otherwise.
    """
    if not ctx.device.startswith("cuda"):
        yield list(items), {}
        return
    import torch

    from tui_opt.kernels.localization import batched

    say = say or ctx.message
    if reason := batched.unusable(ctx.device):
        say(f"{reason} Networks learn on the CPU.")
        yield list(items), {}
        return
    first, most, each = 0, 0, size()
    while first < len(items):
        most = most or max(1, min(HOST_BYTES // each.host, batched.free_bytes(ctx.device) // each.device))
        group = list(items[first : first + most])
        try:
            learnt = together(group)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            if len(group) == 1:
                say(f"{ctx.device} has no room for a network of this size: it learns on the CPU.")
                yield list(items[first:]), {}
                return
            most = len(group) // 2
            say(f"{ctx.device} has no room for {len(group)} networks together: going on with {most}.")
            continue
        yield group, learnt
        first += len(group)


def once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Say each sentence the first time only."""
    said: set[str] = set()

    def first(text: str) -> None:
        if text not in said:
            said.add(text)
            say(text)

    return first


def course(lesson: Lesson, order: Order) -> Course:
    """A sequence of the lesson's images as a course."""
    from tui_opt.kernels.localization.courses import Course

    return Course(lesson.pixels, order.samples, order.classes, order.targets)


class Together:
    """Phase one and the forks of a lesson for many networks at once.

    Args:
        lesson: what is learnt.
        tally: which part of phase one is counted.
        ctx: names the device, and is asked whether to go on.
    """

    def __init__(self, lesson: Lesson, tally: str, ctx: Context) -> None:
        self._lesson, self._tally, self._ctx = lesson, tally, ctx
        self._courses: tuple[Courses, Courses, Courses, Courses] | None = None
        self._say = once(ctx.message)

    def size(self, hidden: int) -> Size:
        """What one network takes."""
        from tui_opt.kernels.localization.batched import bytes_on_device

        pixels, digits = self._lesson.pixels.size, len(self._lesson.digits)
        phase_one = bytes_on_device(1, pixels, hidden, classes=digits)
        return Size(
            max(phase_one, bytes_on_device(digits, pixels, hidden)), 8 * pixels * hidden * (3 + 4 * digits)
        )

    def learn(self, networks: Sequence[Network], settings: Sequence[Setting], report: Report) -> list[Learnt]:
        """What training leaves of each network; settings may differ in their rates.

        Raises:
            torch.OutOfMemoryError: the device has no room for them.
        """
        from tui_opt.kernels.localization.batched import train_together

        early, *counted, forks = self._on_device()
        first = settings[0]
        rates = np.array([setting.rate for setting in settings])

        def take(courses: Courses, pupils: Sequence[Sequence[Network]], classes: int = 0) -> Outcome:
            return train_together(
                courses, pupils, activation=first.activation, output=first.output, rates=rates, classes=classes,
                check=self._ctx.check, report=report, say=self._say,
            )  # fmt: skip

        digits = len(self._lesson.digits)
        before = take(early, [networks]).networks
        first_half = take(counted[0], before, digits)
        second_half = take(counted[1], first_half.networks, digits)
        tallies, losses = first_half.tallies[0], second_half.losses[0]
        for tally, more in zip(tallies, second_half.tallies[0], strict=True):
            tally.add(more)
        ends = take(forks, [second_half.networks[0]] * digits).networks
        return [
            Learnt(tally, float(losses[n]), [fork[n] for fork in ends]) for n, tally in enumerate(tallies)
        ]

    def _on_device(self) -> tuple[Courses, Courses, Courses, Courses]:
        """What comes before what is counted, what is counted of the first half and of the second, and the forks."""
        if self._courses is None:
            from tui_opt.kernels.localization import courses

            lesson, begins = self._lesson, self._lesson.tally_begins(self._tally)
            half, phase_one = lesson.tally_begins("second-half"), lesson.phase_one
            parts = (
                [phase_one.part(0, begins)], [phase_one.part(begins, half)], [phase_one.part(half)], lesson.forks,
            )  # fmt: skip
            one, two, three, four = (
                courses.Courses([course(lesson, order) for order in part], self._ctx.device) for part in parts
            )
            self._courses = one, two, three, four
        return self._courses
