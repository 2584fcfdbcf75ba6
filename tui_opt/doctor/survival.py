"""What ends processes that are left running: logout, the end of a batch job, the end of a container."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tui_opt.doctor.check import Check, Examiner

GROUP = "processes"
#: batch systems by the variable that names the job.
BATCH_SYSTEMS = {
    "SLURM_JOB_ID": "Slurm",
    "LSB_JOBID": "LSF",
    "PBS_JOBID": "PBS",
    "SGE_TASK_ID": "Grid Engine",
}
_MANAGER = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
_SETTINGS = ("etc", "run", "usr/lib", "usr/local/lib")


def examiners() -> list[Examiner]:
    """What this module looks at."""
    return [Examiner(GROUP, "left running", lambda: left_running(os.environ, os.getuid(), kills_at_logout))]


def left_running(env: Mapping[str, str], uid: int, kills: Callable[[], bool | None]) -> Iterator[Check]:
    """Whether runs go on when the terminal is closed.

    Args:
        env: environment of the process.
        uid: its user.
        kills: whether logging out ends a user's processes, None if that cannot be known.
    """
    found = [*_batch_job(env), *_container(env), *_logout(env, uid, kills)]
    yield from found
    if not found:
        yield Check(GROUP, "left running", "ok", "runs go on when the terminal is closed")


def _batch_job(env: Mapping[str, str]) -> Iterator[Check]:
    for variable, system in BATCH_SYSTEMS.items():
        job = env.get(variable)
        if not job or job == "undefined":
            continue
        left = ""
        end = env.get("SLURM_JOB_END_TIME", "")
        if end.isdigit():
            left = f", in {max(0.0, int(end) - time.time()) / 3600:.1f} hours"
        text = f"inside the {system} job {job}: every run ends with it{left}"
        advice = (
            "Ask for enough time, put long runs into a batch script with `optexplore --batch`, and go on with what "
            "was cut off by `optexplore runs resume`."
        )
        yield Check(GROUP, "batch job", "note", text, advice, {"system": system, "job": job})


def _container(env: Mapping[str, str]) -> Iterator[Check]:
    marks = ("/.dockerenv", "/run/.containerenv")
    if any(os.path.exists(mark) for mark in marks) or env.get("KUBERNETES_SERVICE_HOST"):
        advice = "Keep the store on a mounted volume; `optexplore runs resume` goes on with what was cut off."
        yield Check(GROUP, "container", "note", "inside a container: every run ends with it", advice)


def _logout(env: Mapping[str, str], uid: int, kills: Callable[[], bool | None]) -> Iterator[Check]:
    if uid == 0:
        return  # systemd spares root unless told otherwise
    if kills():
        text = "systemd ends your processes when you log out (KillUserProcesses=yes)"
        advice = "Once: loginctl enable-linger. Then start with: systemd-run --user --scope optexplore"
        yield Check(GROUP, "logout", "note", text, advice)


def kills_at_logout(root: Path = Path("/")) -> bool | None:
    """Whether systemd ends what a user leaves running, by asking it, else by its settings; None without systemd."""
    if not (root / "run/systemd/system").is_dir():
        return None
    try:
        answer = subprocess.run(
            ["busctl", "--timeout=2", "get-property", *_MANAGER, "KillUserProcesses"],
            capture_output=True, text=True, timeout=4, check=True,
        )  # fmt: skip
        return answer.stdout.split() == ["b", "true"]
    except (OSError, subprocess.SubprocessError):
        return _by_settings(root)


def _by_settings(root: Path) -> bool | None:
    """The last word of logind's settings files, those in `/etc` over the others."""
    paths = [root / top / "systemd/logind.conf" for top in reversed(_SETTINGS)]
    drops = [p for top in reversed(_SETTINGS) for p in (root / top / "systemd/logind.conf.d").glob("*.conf")]
    answer = None
    for path in [*paths, *sorted(drops, key=lambda p: p.name)]:
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition("=")
            if key.strip() == "KillUserProcesses":
                answer = value.strip().lower() in ("yes", "true", "1", "on")
    return answer
