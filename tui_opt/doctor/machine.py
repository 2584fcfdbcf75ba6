"""Cores, memory, threads and GPUs: what there is, what this process may use, and what stands in the way."""

from __future__ import annotations

import math
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tui_opt.device import gpus
from tui_opt.doctor.check import Check, Examiner, State, size_text
from tui_opt.runner.cgroups import Limits, limits
from tui_opt.runner.machine import available_cores, available_memory, versions

GROUP = "devices"
LITTLE_MEMORY = 2_000_000_000
LITTLE_GPU_SHARE = 0.25
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
#: what batch systems call the cores they gave a job.
GRANTED_VARIABLES = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "LSB_DJOB_NUMPROC", "PBS_NP", "NSLOTS")


def examiners() -> list[Examiner]:
    """What this module looks at."""
    stuck = "The GPU driver hangs; look at dmesg, and ask whoever looks after the machine."
    return [
        Examiner(GROUP, "cpu", lambda: cpu(limits())),
        Examiner(GROUP, "threads", lambda: threads(os.environ, available_cores())),
        Examiner(GROUP, "memory", lambda: memory(limits())),
        Examiner(GROUP, "gpu", lambda: graphics(os.environ), patience=25.0, when_slow=("problem", stuck)),
    ]


def cpu(limit: Limits) -> Iterator[Check]:
    """The processor, its cores, and how many of them this process may use."""
    there = os.cpu_count() or 1
    usable = available_cores()
    text = f"{_model()}; {there} cores there, {usable} usable"
    if limit.cores is not None:
        text += f" (control group: {limit.cores:g})"
    values = {"cores": there, "usable": usable, "control_group": limit.cores}
    if limit.cores is not None and usable > math.ceil(limit.cores):
        fair = max(1, math.ceil(limit.cores))
        advice = f"Start runs with --threads {fair}: more threads than the control group allows only wait."
        yield Check(GROUP, "cpu", "note", text, advice, values)
    else:
        yield Check(GROUP, "cpu", "ok", text, values=values)


def _model(path: Path = Path("/proc/cpuinfo")) -> str:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "cpu"):
            return value.strip()
    return platform.processor() or platform.machine() or "unknown processor"


def threads(env: Mapping[str, str], cores: int) -> Iterator[Check]:
    """Environment variables that make libraries start more, or fewer, threads than there are cores."""
    settings = {name: env[name] for name in THREAD_VARIABLES if env.get(name)}
    quiet = True
    for name, setting in settings.items():
        first = setting.partition(",")[0].strip()  # OpenMP takes a list, a number for each level
        if not first.isdigit() or int(first) == 0:
            quiet = False
            advice = f"Unset {name}, or set it to a whole number from 1 to {cores}."
            state: State = "problem" if name.startswith("NUMBA") else "note"
            yield Check(
                GROUP, "threads", state, f"{name} is {setting!r}, which is no number of threads", advice
            )
        elif int(first) > cores:
            quiet = False
            advice = f"Unset {name}, or set it to {cores}: more threads than cores slow each other down."
            yield Check(GROUP, "threads", "note", f"{name}={setting}, but {cores} cores are usable", advice)
        elif name.startswith("NUMBA") and int(first) < cores:
            quiet = False
            advice = f"Unset {name} to let runs use all {cores} cores."
            yield Check(
                GROUP,
                "threads",
                "note",
                f"{name}={setting} holds compiled kernels to so many threads",
                advice,
            )
    for name in GRANTED_VARIABLES:
        granted = env.get(name, "")
        if granted.isdigit() and 0 < int(granted) < cores:
            quiet = False
            advice = f"Start runs with --threads {granted}, so that they do not take the cores of others."
            yield Check(
                GROUP,
                "threads",
                "note",
                f"the batch system gave {granted} cores ({name}), {cores} are usable",
                advice,
            )
            break
    if quiet:
        shown = ", ".join(f"{name}={setting}" for name, setting in settings.items())
        yield Check(
            GROUP, "threads", "ok", shown or f"nothing set; runs take {cores}", values={"threads": cores}
        )


def memory(limit: Limits) -> Iterator[Check]:
    """Memory of the machine, what is free, and what the control group leaves of it."""
    import psutil

    total, free = int(psutil.virtual_memory().total), available_memory()
    if limit.memory_free is not None:
        free = min(free, limit.memory_free)
    text = f"{size_text(total)}, {size_text(free)} available"
    if limit.memory is not None and limit.memory < total:
        text += f" (control group: {size_text(limit.memory)})"
    values = {"total": total, "available": free, "control_group": limit.memory}
    if free < LITTLE_MEMORY:
        advice = (
            "Close what you do not need, or ask the batch system for more memory; large runs will be refused."
        )
        yield Check(GROUP, "memory", "note", text, advice, values)
    else:
        yield Check(GROUP, "memory", "ok", text, values=values)


# --- GPUs --------------------------------------------------------------------------------------------------


def graphics(env: Mapping[str, str]) -> Iterator[Check]:
    """The GPUs that runs can take, or why there are none."""
    setting = env.get("CUDA_VISIBLE_DEVICES")
    found = gpus()
    for gpu in found:
        free, total = gpu.memory_free, gpu.memory_total
        text = f"{gpu.name}, {size_text(total)}, {size_text(free)} free"
        values = {"device": f"cuda:{gpu.index}", "name": gpu.name, "total": total, "free": free}
        if free < LITTLE_GPU_SHARE * total:
            advice = 'Somebody else uses it (see nvidia-smi); `device = "auto"` takes the GPU with most free memory.'
            yield Check(GROUP, f"cuda:{gpu.index}", "note", text, advice, values)
        else:
            yield Check(GROUP, f"cuda:{gpu.index}", "ok", text, values=values)
    if setting is not None:
        yield _visibility(setting, len(found))
    if not found and (setting is None or setting.strip()):
        yield _no_gpu()
    if found and "+cpu" in versions().get("torch", ""):
        advice = "Install a CUDA build of torch (see pytorch.org) if networks are to train on the GPU."
        yield Check(GROUP, "torch", "note", "this build of torch knows no GPU", advice)


def _visibility(setting: str, visible: int) -> Check:
    name = "visible"
    text = f"CUDA_VISIBLE_DEVICES={setting!r} leaves {visible} GPUs"
    asked = [part for part in setting.split(",") if part.strip() and part.strip() != "-1"]
    if setting.strip() and len(asked) > visible:
        advice = (
            "Name devices as `nvidia-smi -L` numbers them: an unknown one hides itself and all behind it."
        )
        return Check(
            GROUP, name, "note", f"{text} of the {len(asked)} it names", advice, {"setting": setting}
        )
    return Check(GROUP, name, "ok", text, values={"setting": setting})


def _no_gpu() -> Check:
    if shutil.which("nvidia-smi") is None:
        if Path("/dev/nvidia0").exists():
            advice = "Put nvidia-smi on PATH: GPUs are found by it."
            return Check(GROUP, "gpu", "note", "there is an NVIDIA device, but no nvidia-smi to ask", advice)
        return Check(GROUP, "gpu", "ok", "none; everything runs on the CPU")
    answer = subprocess.run(
        ["nvidia-smi", "-L"], capture_output=True, text=True, errors="replace", timeout=10, check=False
    )
    if answer.returncode == 0:
        text = "nvidia-smi lists no GPU that can be used"
        advice = (
            "Look at `nvidia-smi -L` and at CUDA_VISIBLE_DEVICES; slices of a GPU (MIG) are not supported."
        )
        return Check(GROUP, "gpu", "note", text, advice)
    said = (answer.stdout + answer.stderr).strip().splitlines()
    text = f"the NVIDIA driver does not answer: {said[0] if said else f'exit code {answer.returncode}'}"
    return Check(
        GROUP, "gpu", "problem", text, 'Reload or update the driver, or run on the CPU with device = "cpu".'
    )
