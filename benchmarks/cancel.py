"""Cancelling every shipped preset under a real worker: from the request until the run says that it is cancelled."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from tui_opt.locations import shipped_scenarios
from tui_opt.runner.planning import plan
from tui_opt.runner.queue import enqueue, withdraw
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.workforce import Workforce
from tui_opt.scenario_file import read_file

LANE = "cpu"
BAR = 0.5
PATIENCE = 60.0
#: moments after the run began; the shortest presets have ended by the last of them.
MOMENTS = (0.0, 0.05, 0.2, 0.6)
_LOOK = 0.002


def measure() -> list[dict[str, Any]]:
    """The slowest of all; compile kernels before (`optexplore doctor --warm`)."""
    presets = sorted(shipped_scenarios().rglob("*.toml"))
    took: dict[str, float] = {}
    ended = 0
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        workforce = Workforce(store)
        try:
            for preset in presets:
                _run_once(workforce, store, preset)  # imports, and kernels that belong to its expressions
                for moment in MOMENTS:
                    seconds = _seconds_to_cancel(workforce, store, preset, moment)
                    if seconds is None:
                        ended += 1
                    else:
                        took[f"{preset.stem}, {moment:g} s after its begin"] = seconds
        finally:
            workforce.close()
            workforce.join(PATIENCE)
    worst = sorted(took, key=lambda name: took[name], reverse=True)
    return [
        {
            "name": f"cancel, slowest of {len(took)} attempts at {len(presets)} presets",
            "value": took[worst[0]],
            "unit": "s",
            "preset": worst[0],
            "next": ", ".join(f"{name}: {took[name]:.3f}" for name in worst[1:4]),
            "ended_before": ended,
            "bar": BAR,
            "holds": took[worst[0]] <= BAR,
        }
    ]


def _begun(workforce: Workforce, store: Path, preset: Path) -> RunDirectory:
    run = enqueue(plan(read_file(preset)), store, LANE)
    workforce.wake(LANE, run)
    _wait(run, {"queued"})
    return run


def _wait(run: RunDirectory, states: set[str], patience: float = PATIENCE) -> str:
    """Wait until a run is in none of these states, or the time is over; its state."""
    deadline = time.monotonic() + patience
    while (state := str(run.status()["state"])) in states and time.monotonic() < deadline:
        time.sleep(_LOOK)
    return state


def _run_once(workforce: Workforce, store: Path, preset: Path) -> None:
    run = _begun(workforce, store, preset)
    if _wait(run, {"running"}, patience=2.0) == "running":
        run.request_cancel()
        _wait(run, {"running"})


def _seconds_to_cancel(workforce: Workforce, store: Path, preset: Path, moment: float) -> float | None:
    """Seconds from the request to the state `cancelled`; None where the run had ended before."""
    run = _begun(workforce, store, preset)
    began = time.monotonic()
    state = "running"
    while state == "running" and time.monotonic() - began < moment:
        time.sleep(_LOOK)
        state = str(run.status()["state"])
    if state != "running":
        return None
    asked = time.monotonic()
    run.request_cancel()
    state = _wait(run, {"running"})
    took = time.monotonic() - asked
    if state in ("running", "queued"):
        withdraw(run)
        raise RuntimeError(f"{preset.stem} was not cancelled within {PATIENCE:g} s.")
    return took if state == "cancelled" else None


if __name__ == "__main__":
    for one in measure():
        print(one)
