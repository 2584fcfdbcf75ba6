"""Compiling ahead: a tiny run of every experiment, in memory, so that the first real one starts at once."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from tui_opt.doctor.check import Check
from tui_opt.errors import DeviceUnavailableError
from tui_opt.scenario import Experiment, Scenario

GROUP = "compiling"
#: a default run expected to take longer is no way to warm up.
LONGEST = 60.0


def experiments(scenarios: Iterable[Scenario]) -> list[tuple[Scenario, Experiment]]:
    """Every experiment of the scenarios."""
    return [(scenario, experiment) for scenario in scenarios for experiment in scenario.experiments]


def warm(scenario: Scenario, experiment: Experiment) -> Iterator[Check]:
    """Run an experiment's smallest run, which leaves its compiled code in the cache."""
    from tui_opt.runner.in_memory import run_in_memory
    from tui_opt.runner.machine import announced_compilation, prepare_compilation
    from tui_opt.scenario_file import ScenarioFile

    name = f"{scenario.name} {experiment.name}"
    began = time.monotonic()
    said: list[str] = []
    try:
        params = experiment.params.check(dict(getattr(experiment, "warm", {})))
        seconds = experiment.estimate(params).seconds
        if seconds > LONGEST:
            text = f"its default run would take {seconds:.0f} s and it names no smaller one"
            yield Check(GROUP, name, "note", text, "Nothing to do: its first run compiles what it needs.")
            return
        prepare_compilation()
        with announced_compilation(said.append):
            run_in_memory(ScenarioFile(scenario, experiment, params))
    except DeviceUnavailableError as error:
        yield Check(GROUP, name, "note", str(error), "Compile on a machine that has the device.")
        return
    except Exception as error:  # one experiment's failure must not keep the others cold
        text = f"failed ({type(error).__name__}: {error})"
        advice = f"Run it alone to see more: optexplore new {name} > one.toml; optexplore --batch one.toml"
        yield Check(GROUP, name, "problem", text, advice)
        return
    elapsed = time.monotonic() - began
    text = f"compiled, {elapsed:.1f} s" if said else f"ready, {elapsed:.1f} s"
    yield Check(GROUP, name, "ok", text, values={"seconds": elapsed, "compiled": bool(said)})
