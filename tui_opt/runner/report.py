"""A run as the JSON object that scripts read.

JSON has no numbers that are not finite: those are null, with their name (`inf`, `-inf`, `nan`) beside them. For the
`value` of a finding the name stands under `nonfinite`, and for every other number under its own key with `_nonfinite`
behind it, such as `stderr_nonfinite` of a finding, and `value_nonfinite` and `measured_nonfinite` of an expectation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tui_opt.expectations import Outcome
from tui_opt.result import nonfinite_name
from tui_opt.runner.execute import Ended
from tui_opt.runner.planning import Plan
from tui_opt.runner.run_directory import SCHEMA


def number(name: str, value: float | None) -> dict[str, Any]:
    """A number under a name; one that is not finite is null with its name beside it."""
    if value is None or math.isfinite(value):
        return {name: value}
    return {name: None, f"{name}_nonfinite": nonfinite_name(value)}


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """An expectation with what was measured and whether it holds."""
    out: dict[str, Any] = {}
    for key, value in outcome.expectation.plain().items():
        out |= number(key, value) if isinstance(value, float) else {key: value}
    out |= number("measured", outcome.measured)
    if outcome.stderr is not None:
        out |= number("stderr", outcome.stderr)
    out["holds"] = outcome.holds
    return out | ({"why": outcome.why} if outcome.why else {})


def run_document(plan: Plan, ended: Ended) -> dict[str, Any]:
    """What `--json` prints for one scenario file."""
    file = plan.file
    out: dict[str, Any] = {
        "schema": SCHEMA,
        "scenario": file.scenario.name,
        "experiment": file.experiment.name,
        "title": file.title,
        "params": file.params.plain(),
        "seed": file.seed,
        "device": plan.device,
        "status": ended.state,
        "elapsed": ended.elapsed,
        "run_dir": str(ended.run.path),
        "findings": [],
        "tables": {},
        "arrays": {},
        "figures": [],
        "expectations": outcomes_document(ended.outcomes),
        "warnings": [],
        "provenance": {},
    }
    if file.sweep is not None:
        out["sweep"] = file.sweep.plain()
    if ended.error:
        out["error"] = ended.error
    if ended.state == "done":
        out |= stored_parts(ended.run.result_document())
    return out


def stored_parts(document: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a stored result that reports repeat."""
    parts = ("findings", "tables", "arrays", "figures", "warnings", "provenance")
    return {part: document[part] for part in parts if part in document}


def outcomes_document(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """All expectations of a run."""
    return [outcome_document(outcome) for outcome in outcomes]
