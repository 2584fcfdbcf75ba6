"""Verification: run scenario files and set what was measured beside what their sources claim."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tui_opt.expectations import Outcome, judge
from tui_opt.runner.execute import Ended
from tui_opt.scenario_file import ScenarioFile


@dataclass(frozen=True)
class Claim:
    """A line of the ledger: where it stands, and what became of it."""

    file: str
    outcome: Outcome

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        from tui_opt.runner.report import number

        e, o = self.outcome.expectation, self.outcome
        out: dict[str, Any] = {"file": self.file, "source": e.source, "claim": e.claim, "target": e.target}
        if e.claimed is not None:
            out |= number("claimed", e.claimed)
        out |= number("value", e.value)
        if e.value is None:
            out |= number("min", e.min) | number("max", e.max)
        out |= {"tolerance": e.tolerance} | ({"relative": e.relative} if e.relative else {})
        out |= number("measured", o.measured)
        if o.stderr is not None:
            out |= number("stderr", o.stderr)
        out |= {"verdict": e.verdict, "holds": o.holds}
        return out | ({"why": o.why} if o.why else {})


def question(file: ScenarioFile) -> str:
    """What a file asks, without what it expects: equal texts mean that one run answers both."""
    asked = replace(file, title="", description="", size="laptop", expectations=()).plain()
    return json.dumps(asked, sort_keys=True)


def shared_questions(files: Sequence[ScenarioFile]) -> list[list[ScenarioFile]]:
    """Files grouped by question, in the order of their first."""
    groups: dict[str, list[ScenarioFile]] = {}
    for file in files:
        groups.setdefault(question(file), []).append(file)
    return list(groups.values())


def claims_of(group: Sequence[ScenarioFile], ended: Ended) -> list[Claim]:
    """The claims of files that one run answers. A run that failed leaves them unmeasured, and they do not hold."""
    claims = []
    for file in group:
        if ended.result is not None:
            outcomes = judge(file.expectations, ended.result, file.sweep)
        else:
            why = f"The run did not end well: {ended.error}"
            outcomes = [Outcome(e, None, None, False, why) for e in file.expectations]
        claims += [Claim(file.source, outcome) for outcome in outcomes]
    return claims


def shipped_files(folder: Path) -> list[Path]:
    """The scenario files below a folder, in a fixed order."""
    return sorted(folder.glob("*/*.toml"))
