"""What the tests of shipped scenario files share: what a file must say, and whether what it claims holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tui_opt.locations import shipped_scenarios
from tui_opt.runner.execute import begin, execute
from tui_opt.runner.planning import plan
from tui_opt.runner.verify import shipped_files
from tui_opt.scenario_file import read_file


def files_of(scenario: str) -> list[Path]:
    """The shipped files of a scenario, in order."""
    folder = shipped_scenarios() / scenario
    return [path for path in shipped_files(shipped_scenarios()) if path.parent == folder]


def assert_says_what_it_checks(path: Path, scenario: str, sources: Iterable[str]) -> None:
    """A file has a title, a description and expectations; each names source and claim, and why it corrects one."""
    file = read_file(path)
    assert file.scenario.name == scenario
    assert file.title
    assert file.description
    assert file.expectations
    for expectation in file.expectations:
        assert expectation.source in sources, f"{path.name}: {expectation.target}"
        assert expectation.claim.endswith("."), f"{path.name}: {expectation.target}"
        if expectation.verdict != "reproduced":
            assert expectation.note, (
                f"{path.name}: {expectation.target} corrects the source without saying why"
            )


def assert_same_when_written_out(path: Path, folder: Path) -> None:
    """A file that is read, written into a folder and read again says the same."""
    file = read_file(path)
    copy = folder / path.name
    copy.write_text(file.to_toml(), encoding="utf-8")
    assert read_file(copy) == file


def claimed_numbers(paths: Iterable[Path]) -> dict[str, set[float]]:
    """Numbers that the sources state otherwise, by the finding or array they are said of."""
    claimed: dict[str, set[float]] = {}
    for path in paths:
        for e in read_file(path).expectations:
            if e.claimed is not None:
                claimed.setdefault(e.finding or e.array or "", set()).add(float(e.claimed))
    return claimed


def unmet(path: Path, store: Path) -> list[str]:
    """What a file expects that does not hold."""
    settled = plan(read_file(path))
    ended = execute(begin(settled, store), settled)
    assert ended.result is not None, ended.error
    return [f"{o.expectation.target}: {o.measured} {o.why}" for o in ended.outcomes if not o.holds]
