"""`training.train` for many networks at once in PyTorch, for a GPU: any number of courses, each taken by any number.

A step s subtracts x_s e_s' from the weights, e_s being the learning rate times dl/dz of the hidden units. So what the
units of a network receive at step t of a block that begins with weights W and biases b is

    z_t = W' x_t + b - sum_{s < t} (x_s . x_t + 1) e_s .

The first products of a block, those between its images, and what the block changes in weights and tallies are products
of large matrices, which all networks of a course share an operand of; from step to step only the errors of the block so
far are read. With P pixels and blocks of T steps that moves 3 P / T + T / 2 numbers per unit and step through memory,
least at T = sqrt(6 P): 69 for MNIST at T = 64. A dense step moves 3 P = 2352, and one on the drawn pixels alone, as a
processor's, 3 x 105 or more, in rows that lie apart. Nothing is left out: sums are only taken in another order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.localization.courses import Courses
from tui_opt.kernels.localization.crowds import Block, Crowd, Outcome
from tui_opt.kernels.localization.network import Network

FloatArray: TypeAlias = NDArray[np.float64]

BLOCK: Final = 64
"""Steps of a block."""
LOOK: Final = 0.06
"""Seconds between two looks at whether to stop."""
WORTH_CAPTURING: Final = 4
"""Blocks from which on it pays to record what a block's steps launch: recording costs two."""
SHARE_OF_MEMORY: Final = 0.7


def bytes_on_device(courses: int, pixels: int, hidden: int, classes: int = 0) -> int:
    """What one network takes on a device that takes so many courses, and has its updates tallied by class."""
    return 8 * courses * hidden * ((2 + classes) * pixels + 8 * BLOCK + 16)


def unusable(device: str) -> str:
    """Why PyTorch cannot use a GPU, as a sentence; empty where it can."""
    if torch.version.cuda is None:
        return f"This PyTorch is built without CUDA and cannot use {device}."
    index = torch.device(device).index or 0
    if index >= torch.cuda.device_count():
        return f"PyTorch does not see {device}; its driver may be too old for this build."
    return ""


def free_bytes(device: str) -> int:
    """Memory of a GPU that networks may take: most of what is free, and of what torch holds unused."""
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(SHARE_OF_MEMORY * (free + unused))


def train_together(
    courses: Courses,
    networks: Sequence[Sequence[Network]],
    *,
    activation: str,
    output: str,
    rates: FloatArray,
    classes: int = 0,
    traced: bool = False,
    check: Check = unchecked,
    report: Callable[[int], None] = lambda steps: None,
    say: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Let every course be taken by as many networks; as `training.train` does one by one.

    Args:
        courses: on the device that trains.
        networks: [course][network], of equal shape; they are not changed.
        activation: of the hidden units.
        output: of the output units.
        rates: learning rates, [network].
        classes: absolute updates are tallied by so many classes; 0 where they are not wanted.
        traced: whether the sizes of updates are wanted, step by step.
        check: called every tenth of a second.
        report: told now and then how many steps, of all networks together, were taken since it was told last.
        say: takes a sentence where a GPU's launches cannot be recorded, so that it is slower than it might be.

    Raises:
        ValueError: there are not as many networks for every course as learning rates.
        torch.OutOfMemoryError: the device has no room for them.
    """
    if len(networks) != len(courses.courses) or {len(some) for some in networks} != {len(rates)}:
        raise ValueError("Every course needs as many networks as there are learning rates.")
    at = torch.cuda.device(courses.device) if courses.device.type == "cuda" else nullcontext()
    with at, torch.no_grad():
        crowd = Crowd(
            courses, [networks[i] for i in courses.order], activation, output, rates, classes, traced
        )
        _take(courses, crowd, _Pace(courses.device, check, report), say)
        return crowd.outcome()


def _take(courses: Courses, crowd: Crowd, pace: _Pace, say: Callable[[str], None]) -> None:
    """All steps: in blocks while the same courses go on, and what is left of them when one of these ends."""
    first = 0
    while first < courses.lengths[0]:
        active = sum(length > first for length in courses.lengths)
        until = courses.lengths[active - 1]
        blocks = (until - first) // BLOCK
        if blocks:
            block = Block(courses, crowd, active, BLOCK)
            replay = _recorded(block, say) if blocks >= WORTH_CAPTURING else block.steps
            for _ in range(blocks):
                block.begin(first)
                replay()
                block.end(first)
                first += BLOCK
                pace.after(active * crowd.number * BLOCK)
            pace.end()  # nothing of the recording is under way when it goes
        if first < until:
            block = Block(courses, crowd, active, until - first)
            block.begin(first)
            block.steps()
            block.end(first)
            pace.after(active * crowd.number * (until - first))
            first = until
    pace.end()


class _Pace:
    """Looks at whether to stop; a GPU, which works on what it was told long ago, is waited for before."""

    def __init__(self, device: torch.device, check: Check, report: Callable[[int], None]) -> None:
        self._device, self._check, self._report = device, check, report
        self._looked, self._blocks, self._between, self._steps = time.monotonic(), 0, 1, 0
        check()

    def after(self, steps: int) -> None:
        """A block of so many steps was told."""
        self._steps += steps
        self._blocks += 1
        if self._blocks >= self._between:
            self.end()

    def end(self) -> None:
        """Wait for all that was told."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.monotonic()
        fitting = int(self._blocks * LOOK / max(now - self._looked, 1e-6))
        self._between = max(1, min(2 * self._between, fitting))
        steps, self._steps = self._steps, 0
        self._looked, self._blocks = now, 0
        self._report(steps)
        self._check()


def _recorded(block: Block, say: Callable[[str], None]) -> Callable[[], None]:
    """The steps of a block as one launch of a GPU, where it can; they take about a dozen launches each otherwise."""
    if block.courses.device.type != "cuda":
        return block.steps
    block.begin(0)
    before = [part.clone() for part in block.state]
    try:
        aside = torch.cuda.Stream(block.courses.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            block.steps()  # libraries get their memory outside the recording
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            block.steps()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        say(f"{block.courses.device} cannot record its launches ({reason}); each step is launched by itself.")
        return block.steps
    finally:
        for part, old in zip(block.state, before, strict=True):
            part.copy_(old)
    return graph.replay
