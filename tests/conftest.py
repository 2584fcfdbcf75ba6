"""Fixtures shared by all tests: stores and caches of their own, the example plugin, the command line as a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.compiling import import_a_share
from tests.forking import Forks, serving
from tui_opt import scenario
from tui_opt.runner.compiled import compiled_folder

TESTS = Path(__file__).parent
PLUGIN = TESTS / "example_plugin"
PROCESS_TIMEOUT = 120
sys.path.insert(0, str(PLUGIN))  # so that tests can import the example when they are collected

# What one process compiled, no other compiles again, in this session or in a later one.
# It must be said before the first test module imports numba.
os.environ.setdefault("NUMBA_CACHE_DIR", str(compiled_folder(TESTS.parent / ".pytest_cache" / "numba")))
# So it is with Python's own code: hundreds of processes are started here.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell the processes of pytest-xdist whether all tests are wanted."""
    node.workerinput["all_tests"] = node.config.args_source is pytest.Config.ArgsSource.TESTPATHS


def pytest_configure(config: pytest.Config) -> None:
    """Share what is to be compiled before pytest imports the first test module."""
    told = getattr(config, "workerinput", {})
    if told.get("all_tests"):
        import_a_share(int(told["workerid"].removeprefix("gw")), told["workercount"])


# A job in the background ignores SIGINT, and under nohup SIGHUP, and so would all it starts. Signals that are handled
# are not: what is started meets them as ever, and the tests themselves still go on when a terminal hangs up.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

# How long an example takes says nothing about whether it is right.
# The ordinary suite tries the same ones every time, for it says whether a change broke something. The thorough one
# looks for what nobody has thought of, with new ones.
settings.register_profile("optexplore", deadline=None, max_examples=25, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=100)  # what make test-slow asks for
settings.load_profile("optexplore")


def examples(many: int) -> int:
    """So many examples in `make test-slow`, and a quarter of them in the ordinary suite."""
    return max(3, many * settings().max_examples // 100)


def write_plugin_metadata(folder: Path, entry_points: dict[str, str], name: str = "example") -> None:
    """Make entry points of the group `optexplore.scenarios` visible to a process with `folder` on its path."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"[{scenario.ENTRY_POINT_GROUP}]", *(f"{key} = {value}" for key, value in entry_points.items())]
    info.joinpath("entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def plugin_path(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What to put on the path for the example plugin to be there as if it were installed."""
    folder = tmp_path_factory.mktemp("installed")
    text = (PLUGIN / "pyproject.toml").read_text()
    declared = re.search(r'"optexplore\.scenarios"\]\n([\w-]+) = "(.+)"', text)
    assert declared is not None
    write_plugin_metadata(folder, {declared[1]: declared[2]}, name="optexplore-bouncing-ball")
    return [str(folder), str(PLUGIN)]


@pytest.fixture(scope="session", autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory, plugin_path: list[str]) -> Iterator[None]:
    """No test sees the user's runs; kernels are specialised once for the whole session and all its processes."""
    # The processes of pytest-xdist have neighbouring folders, and share what they specialise.
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTEXPLORE_RUNS_DIR", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("OPTEXPLORE_CACHE_DIR", str(cache))
        patch.setenv("NO_COLOR", "1")
        for folder in reversed(plugin_path):
            patch.syspath_prepend(folder)
        scenario.registry.cache_clear()
        yield
    scenario.registry.cache_clear()


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store that commands use unless told otherwise."""
    store = tmp_path / "runs"
    monkeypatch.setenv("OPTEXPLORE_RUNS_DIR", str(store))
    return store


Completed = subprocess.CompletedProcess[str]
Cli = Callable[..., Completed]


Environment = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def environment(plugin_path: list[str]) -> Environment:
    """The environment of a process that sees the package, the example plugin, and the test's own store."""

    def make(**changes: str) -> dict[str, str]:
        path = [*plugin_path, str(TESTS.parent)]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONWARNINGS": "error", **changes}

    return make


@pytest.fixture(scope="session")
def forks(
    tmp_path_factory: pytest.TempPathFactory, environment: Environment, _isolated: None
) -> Iterator[Forks]:
    """Forked processes of `optexplore`, which see the example plugin."""
    with serving(tmp_path_factory.mktemp("forks"), environment()) as made:
        yield made


@pytest.fixture
def cli(forks: Forks, environment: Environment, runs: Path, tmp_path: Path) -> Cli:
    """`optexplore` as a process of its own: `cli("runs", "list")` returns it completed.

    It is forked from one that has imported everything, which costs a fiftieth of a new one. Where starting itself is
    looked at, `new_cli` starts one.
    """

    def call(*words: str | Path, **changes: str) -> Completed:
        process = forks.start(*words, environment=environment(**changes), folder=tmp_path)
        code = process.wait(PROCESS_TIMEOUT)
        out, err = process.out.read_text("utf-8"), process.err.read_text("utf-8")
        return Completed(["optexplore", *map(str, words)], code, out, err)

    return call


@pytest.fixture
def new_cli(environment: Environment, runs: Path, tmp_path: Path) -> Cli:
    """The same with a process that is really started."""

    def call(*words: str | Path, **changes: str) -> Completed:
        return subprocess.run(
            [sys.executable, "-m", "tui_opt", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=PROCESS_TIMEOUT,
            cwd=tmp_path,
            env=environment(**changes),
            check=False,
        )

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a scenario file: `write(text)` or `write(text, name)` returns its path."""

    def make(text: str, name: str = "scenario.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return make


DROP = 'scenario = "bouncing-ball"\nexperiment = "drop"\n'
SCATTER = 'scenario = "bouncing-ball"\nexperiment = "scatter"\n'
