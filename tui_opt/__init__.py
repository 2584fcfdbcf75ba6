"""Explore the dynamics of optimization, from scripts and notebooks.

import tui_opt
result = tui_opt.run("toy-sgd", "escape", temperature=0.02, steps=[100])
result.findings["escape_probability"].value

for run in tui_opt.runs():            # what earlier runs left in the store
    print(run.id, run.state)
result = tui_opt.load("20260101T1200")  # a run by the beginning of its id, or by its directory
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tui_opt.result import Result
    from tui_opt.scenario import Scenario
    from tui_opt.store import RunRow

__all__ = ["load", "run", "run_file", "runs", "scenarios"]


def scenarios() -> Mapping[str, Scenario]:
    """Every scenario there is, by name."""
    from tui_opt.scenario import registry

    return registry().scenarios


def run(scenario: str, experiment: str, *, seed: int = 0, device: str = "auto", **params: Any) -> Result:
    """Run an experiment in memory.

    Args:
        scenario: its scenario's name.
        experiment: its name.
        seed: seed of every random stream.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        **params: parameters by name; what is left out takes its default.

    Returns:
        The result; nothing is written to disk but caches of compiled kernels.

    Raises:
        ScenarioFileError: with everything that is wrong with the parameters.
        ExperimentError: the question has no answer for them.
        DeviceUnavailableError: the device is not here.
    """
    from tui_opt.runner.in_memory import run_in_memory
    from tui_opt.scenario_file import check_document

    document = {
        "scenario": scenario,
        "experiment": experiment,
        "seed": seed,
        "device": device,
        "params": params,
    }
    return run_in_memory(check_document(document, f"{scenario} {experiment}"))


def run_file(path: str | Path, *overrides: str) -> Result:
    """Run a scenario file without a sweep in memory; `overrides` are texts `key.path=value`. Errors as for `run`."""
    from pathlib import Path

    from tui_opt.runner.in_memory import run_in_memory
    from tui_opt.scenario_file import read_file

    return run_in_memory(read_file(Path(path), overrides))


def runs(store: str | Path | None = None) -> list[RunRow]:
    """The runs of a store (the user's own if none is named), oldest first."""
    from pathlib import Path

    from tui_opt.locations import runs_dir
    from tui_opt.store import Store

    return Store(Path(store) if store else runs_dir()).rows()


def load(run: str | Path, store: str | Path | None = None) -> Result:
    """The result of a stored run.

    Args:
        run: its directory, or the beginning of its id.
        store: the store to look in (the user's own if none is named).

    Raises:
        UsageError: there is no such run.
        StoreError: it has no result that can be read.
    """
    from pathlib import Path

    from tui_opt.locations import runs_dir
    from tui_opt.runner.run_directory import RunDirectory
    from tui_opt.store import Store

    path = Path(run)
    if (path / "result.json").exists():
        return RunDirectory(path).result()
    return Store(Path(store) if store else runs_dir()).find(str(run)).result()
