"""The wheel is whole: installed somewhere else, it finds its scenario files and its theory page and runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package installed from a wheel built here, and nothing of the checkout."""
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("target")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(wheels)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = wheels.glob("*.whl")
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--target",
        str(target),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    return target


def run(installed: Path, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "OPTEXPLORE_RUNS_DIR": str(tmp_path / "runs")}
    command = [sys.executable, "-m", "tui_opt", *words]
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_it_is_the_installed_package_that_runs(installed, tmp_path):
    code = "import tui_opt, tui_opt.locations as l; print(tui_opt.__file__); print(l.shipped_scenarios())"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    package, scenarios = done.stdout.split()
    assert Path(package).is_relative_to(installed)
    assert Path(scenarios) == installed / "tui_opt" / "_scenarios"


def test_it_carries_every_scenario_file_and_theory_page(installed):
    carried = installed / "tui_opt" / "_scenarios"
    for kind in ("*.toml", "*.csv"):
        shipped = {p.relative_to(ROOT / "scenarios") for p in (ROOT / "scenarios").rglob(kind)}
        assert {p.relative_to(carried) for p in carried.rglob(kind)} == shipped
    assert (installed / "tui_opt" / "theory" / "toy-sgd.md").is_file()


def test_it_runs_a_shipped_scenario_file(installed, tmp_path):
    # One that needs no compiled kernels, which the installed copy would have to compile all anew.
    file = installed / "tui_opt" / "_scenarios" / "thermostats" / "smart.toml"
    done = run(installed, tmp_path, "--batch", str(file), "--json", "--quiet", "--check")
    assert done.returncode == 0, done.stderr
    claims = json.loads(done.stdout)["expectations"]
    assert claims
    assert all(claim["holds"] for claim in claims)
    assert "# SGD" in run(installed, tmp_path, "show", "toy-sgd").stdout
