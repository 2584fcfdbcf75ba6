"""What gets imported when: help and lists stay instant, and the compute side needs no terminal library."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import DROP, TESTS

HEAVY = {"numpy", "scipy", "numba", "torch", "matplotlib", "textual", "plotext", "sklearn", "pandas"}

MAIN = """
import atexit, json, sys
atexit.register(lambda: print("IMPORTED", json.dumps(sorted({n.partition(".")[0] for n in sys.modules}))))
sys.argv = ["optexplore", *sys.argv[1:]]
from tui_opt.cli import main
main()
"""

READ = """
import json, sys
from tui_opt.scenario_file import read_file
assert read_file(sys.argv[1]).params is not None
print("IMPORTED", json.dumps(sorted({n.partition(".")[0] for n in sys.modules})))
"""

WITHOUT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("textual", "plotext", "rich", "click", "matplotlib"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
import pathlib
from tui_opt.runner.execute import begin, execute
from tui_opt.runner.planning import plan
from tui_opt.scenario_file import read_file
from tui_opt.store import Store

store = pathlib.Path(sys.argv[2])
settled = plan(read_file(sys.argv[1]), threads=1)
ended = execute(begin(settled, store), settled)
assert ended.state == "done", ended.error
assert [row.state for row in Store(store).rows()] == ["done"]
assert ended.run.result().findings["rest_time"].value > 0
print("ran")
"""


@pytest.fixture
def imported(environment: Callable[..., dict[str, str]], runs: Path) -> Callable[..., set[str]]:
    """The top-level modules that a Python process has imported at its end."""

    def run(code: str, *words: str | Path) -> set[str]:
        command = [sys.executable, "-c", code, *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment(), timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        line = next(x for x in done.stdout.splitlines() if x.startswith("IMPORTED"))
        return set(json.loads(line.removeprefix("IMPORTED")))

    return run


def test_help_imports_next_to_nothing(imported: Callable[..., set[str]]) -> None:
    found = imported(MAIN, "--help")
    assert not found & (HEAVY | {"pydantic", "rich", "psutil", "sqlite3"})
    assert "click" in found


@pytest.mark.parametrize(
    "words",
    [
        ["list"], ["list", "--json"], ["show", "toy-sgd", "escape"], ["show", "toy-sgd"], ["new", "toy-sgd", "escape"],
        ["schema"], ["runs", "list"], ["runs", "--help"], ["batch", "--help"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_looking_around_imports_no_numerical_library(
    imported: Callable[..., set[str]], words: list[str]
) -> None:
    assert not imported(MAIN, *words) & HEAVY


def test_reading_a_scenario_file_imports_no_numerical_library(
    imported: Callable[..., set[str]], write: Callable[..., Path]
) -> None:
    path = write(
        'scenario = "toy-sgd"\nexperiment = "escape"\n[params]\ntemperature = 0.02\n[sweep]\ncells = [100, 200]\n'
    )
    assert not imported(READ, path) & (HEAVY | {"rich", "click"})


def test_the_compute_side_runs_without_any_terminal_library(
    environment: Callable[..., dict[str, str]], write: Callable[..., Path], tmp_path: Path
) -> None:
    path = write(DROP + "[params]\nheight = 1.0\n")
    command = [sys.executable, "-c", WITHOUT, str(path), str(tmp_path / "store")]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(), timeout=120, check=False
    )
    assert done.stdout.strip() == "ran", done.stderr


def test_the_import_contracts_hold() -> None:
    tool = shutil.which("lint-imports") or shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("import-linter is not installed (it comes with the dev extra)")
    done = subprocess.run(
        [tool, "--no-cache"], cwd=TESTS.parent, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
