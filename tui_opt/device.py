"""Devices: what there is, and which one a run takes. Found without importing torch or making a GPU context."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from tui_opt.errors import DeviceUnavailableError, UsageError


@dataclass(frozen=True)
class Gpu:
    """A GPU as `CUDA_VISIBLE_DEVICES` numbers it; memory in bytes."""

    index: int
    name: str
    memory_total: int
    memory_free: int


def _visible(rows: Sequence[tuple[str, str, Gpu]]) -> list[Gpu]:
    """Devices as CUDA_VISIBLE_DEVICES orders and numbers them; an unknown entry hides itself and all after it."""
    setting = os.environ.get("CUDA_VISIBLE_DEVICES")
    if setting is None:
        return [gpu for _, _, gpu in rows]
    chosen: list[Gpu] = []
    for entry in (part.strip() for part in setting.split(",")):
        match = [
            g
            for index, uuid, g in rows
            if entry and (entry == index or (not entry.isdigit() and uuid.startswith(entry)))
        ]
        if not match:
            break
        gpu = match[0]
        chosen.append(Gpu(len(chosen), gpu.name, gpu.memory_total, gpu.memory_free))
    return chosen


@functools.cache
def gpus() -> tuple[Gpu, ...]:
    """The NVIDIA GPUs this process may use, with the memory that is free now. Empty where there is no driver."""
    query = "--query-gpu=index,uuid,name,memory.total,memory.free"
    try:
        answer = subprocess.run(
            ["nvidia-smi", query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = []
    for line in answer.stdout.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 5 and parts[3].isdigit() and parts[4].isdigit():
            gpu = Gpu(int(parts[0]), parts[2], int(parts[3]) << 20, int(parts[4]) << 20)
            rows.append((parts[0], parts[1], gpu))
    return tuple(_visible(rows))


def resolve_device(wanted: str, supported: Sequence[str]) -> str:
    """The device a run takes: `cpu` or `cuda:N`.

    Args:
        wanted: `auto`, `cpu`, `cuda` or `cuda:N`.
        supported: kinds the experiment can use, the fastest first.

    Raises:
        DeviceUnavailableError: the device is not on this machine; the text says what is.
        UsageError: the device is here but the experiment cannot use it.
    """
    if wanted == "cpu":
        if "cpu" not in supported:
            raise UsageError("This experiment needs a GPU; device may be auto or cuda.")
        return "cpu"
    if wanted == "auto":
        for kind in supported:
            if kind == "cpu":
                return "cpu"
            if kind == "cuda" and gpus():
                return f"cuda:{max(gpus(), key=lambda g: g.memory_free).index}"
        raise DeviceUnavailableError(
            "This experiment needs a GPU, and this machine has none that can be used."
        )
    _, _, number = wanted.partition(":")
    index = int(number or 0)
    if index >= len(gpus()):
        here = ", ".join(f"cuda:{g.index} ({g.name})" for g in gpus())
        raise DeviceUnavailableError(
            f"The device {wanted} is not on this machine; there is {'cpu, ' + here if here else 'only cpu'}. "
            "Set device to auto or cpu, or look at `optexplore doctor`."
        )
    if "cuda" not in supported:
        raise UsageError(
            f"This experiment computes on the CPU only; set device to auto or cpu, not {wanted}."
        )
    return f"cuda:{index}"
