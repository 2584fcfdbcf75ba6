"""`follow_lanes` on an NVIDIA GPU: one kernel of CUDA C over all trajectories, compiled when it is first used.

Sums are contracted as the GPU's compiler likes, so results agree with the CPU's to rounding, which chaos enlarges.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import resources
from typing import Any, Final, Protocol, TypeAlias

import numpy as np

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.tangents.lorenz import Lorenz
from tui_opt.kernels.tangents.lorenz_lanes import (
    LaneTangents,
    blank_lanes,
    finished,
    mask_of,
    phases,
    require_lanes,
)
from tui_opt.kernels.tangents.system import FloatArray, IntArray, Question

LANES_AT_ONCE: Final = 1 << 20
THREADS: Final = 128
STEPS_IN_A_SLICE: Final = 2048
"""A multiple of 16, the steps between two renormalisations."""


class UnavailableError(Exception):
    """Why the GPU cannot be used, as a sentence."""


class Launch(Protocol):
    """Makes steps of rows[9, lanes] and powers[2, lanes], in place."""

    def __call__(
        self, rows: FloatArray, powers: IntArray, slices: list[tuple[int, FloatArray, bool]], check: Check
    ) -> None: ...


Launcher: TypeAlias = Callable[[Lorenz, Question], Launch]


def source() -> str:
    """The kernel in CUDA C."""
    return (resources.files("tui_opt.kernels.tangents") / "lorenz_tangents.cu").read_text(encoding="utf-8")


def follow_on(
    device: str, lorenz: Lorenz, question: Question, measured: int, check: Check = unchecked
) -> LaneTangents:
    """Where every trajectory and its tangents are after the last step; as `follow_lanes`, on a device of torch.

    Args:
        device: such as `cuda:0`.
        lorenz, question, measured, check: as for `follow_lanes`; check is called between launches of 2048 steps.

    Raises: UnavailableError where the kernel cannot be compiled or there is too little memory for a few lanes.
    """
    return follow_by(lambda: _torch_launch(device, lorenz, question), question, measured, check)


def follow_by(
    launcher: Callable[[], Launch], question: Question, measured: int, check: Check
) -> LaneTangents:
    """The same with whatever makes the steps."""
    require_lanes(question)
    launch = launcher()
    mask = mask_of(question, measured)
    slices = [
        (min(STEPS_IN_A_SLICE, steps - first), now, in_stages)
        for steps, now, in_stages in phases(question, mask)
        for first in range(0, steps, STEPS_IN_A_SLICE)
    ]
    lanes = question.initial.shape[1]
    answer = blank_lanes(lanes)
    first, at_once = 0, LANES_AT_ONCE
    while first < lanes:
        part = slice(first, min(lanes, first + at_once))
        rows = np.zeros((9, part.stop - first))
        rows[:3] = question.initial[:, part]
        rows[3 + question.perturbed] = 1.0
        rows[6 + question.perturbed] = mask[question.perturbed]
        powers = np.zeros((2, rows.shape[1]), dtype=np.int64)
        try:
            launch(rows, powers, slices, check)
        except MemoryError:
            if at_once <= THREADS:
                raise UnavailableError("The GPU has no memory left for a map.") from None
            at_once //= 2
            continue
        finished(answer, part, rows, powers)
        first = part.stop
    return answer


@functools.cache
def _kernel(device: str) -> Any:
    """The compiled kernel.

    Raises: UnavailableError where there is no compiler for it.
    """
    import torch

    compile_kernel = getattr(torch.cuda, "_compile_kernel", None)
    if compile_kernel is None:
        raise UnavailableError(f"torch {torch.__version__} cannot compile CUDA kernels; 2.9 or newer can.")
    try:
        with torch.cuda.device(device):
            return compile_kernel(source(), "advance")
    except (
        Exception
    ) as error:  # the compiler, the driver or a library that is missing: all mean the same here
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UnavailableError(f"The kernel cannot be compiled for {device} ({reason}).") from error


def _torch_launch(device: str, lorenz: Lorenz, question: Question) -> Launch:
    import torch

    kernel = _kernel(device)

    def launch(
        rows: FloatArray, powers: IntArray, slices: list[tuple[int, FloatArray, bool]], check: Check
    ) -> None:
        lanes = rows.shape[1]
        try:
            on_rows = torch.as_tensor(rows, device=device)
            on_powers = torch.as_tensor(powers, device=device)
        except torch.OutOfMemoryError:
            raise MemoryError from None
        grid = (-(-lanes // THREADS), 1, 1)
        with torch.cuda.device(device):
            for steps, mask, in_stages in slices:
                check()
                arguments = arguments_of(lorenz, question, lanes, steps, mask, in_stages)
                kernel(grid, (THREADS, 1, 1), [on_rows, on_powers, *arguments])
                torch.cuda.synchronize()
        rows[:], powers[:] = on_rows.cpu().numpy(), on_powers.cpu().numpy()

    return launch


def arguments_of(
    lorenz: Lorenz, question: Question, lanes: int, steps: int, mask: FloatArray, in_stages: bool
) -> list[int | float]:
    """What the kernel is called with after its two arrays."""
    return [
        lanes, steps, int(question.integrator == "euler"), int(in_stages), float(lorenz.sigma), float(lorenz.rho),
        float(lorenz.beta), float(question.dt), float(mask[0]), float(mask[1]), float(mask[2]),
    ]  # fmt: skip
