"""Plugins: a package that adds a scenario is as good as a built-in one, and a broken one costs only itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import DROP, PLUGIN, SCATTER, Cli, write_plugin_metadata
from tui_opt import scenario as module
from tui_opt.errors import UsageError
from tui_opt.runner.in_memory import run_in_memory
from tui_opt.scenario import Registry, Scenario, registry
from tui_opt.scenario_file import read_text

GOOD = "import dataclasses, bouncing_ball\nSCENARIO = dataclasses.replace(bouncing_ball.SCENARIO, name={name!r})\n"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Registry]]:
    """Install entry points with the modules they name, and return the registry that results."""

    def install(entry_points: dict[str, str], **modules: str) -> Registry:
        folder = tmp_path / "plugins"
        folder.mkdir()
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text)
        write_plugin_metadata(folder, entry_points)
        monkeypatch.syspath_prepend(folder)
        registry.cache_clear()
        return registry()

    yield install
    registry.cache_clear()


def test_built_in_scenarios_come_first_in_their_order() -> None:
    names = list(registry().scenarios)
    assert names[: len(module.BUILT_IN)] == list(module.BUILT_IN)
    assert "bouncing-ball" in names
    assert registry().broken == ()


@pytest.mark.parametrize(
    ("entry", "source", "reason"),
    [
        ("plug_a:SCENARIO", None, "ModuleNotFoundError"),
        ("plug_b:SCENARIO", "x = 1", "AttributeError"),
        ("plug_c:SCENARIO", "this is no Python", "SyntaxError"),
        ("plug_d:SCENARIO", "raise RuntimeError('no licence')", "no licence"),
        ("plug_e:SCENARIO", "SCENARIO = 5", "not a tui_opt.scenario.Scenario"),
        ("plug_f:SCENARIO", "raise SystemExit(3)", "SystemExit"),
        ("plug_k:SCENARIO", "raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("plug_g:SCENARIO", GOOD.format(name="other"), "its scenario 'other'"),
        (
            "plug_h:SCENARIO",
            GOOD.format(name="wobble").replace("name=", "experiments=(), name="),
            "no experiments",
        ),
    ],
)
def test_a_broken_plugin_is_skipped_and_reported(
    installed: Callable[..., Registry], entry: str, source: str | None, reason: str
) -> None:
    name = entry.partition(":")[0]
    found = installed({"wobble": entry}, **({} if source is None else {name: source}))
    assert "wobble" not in found.scenarios
    assert "bouncing-ball" in found.scenarios
    (broken,) = found.broken
    assert broken.name == "wobble"
    assert reason in broken.reason


def test_what_a_plugin_prints_when_it_is_loaded_is_not_on_stdout(
    installed: Callable[..., Registry], capsys: pytest.CaptureFixture[str]
) -> None:
    installed({"wobble": "plug_l:SCENARIO"}, plug_l="print('hello')\n" + GOOD.format(name="wobble"))
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello\n")


def test_a_plugin_cannot_take_the_name_of_another(installed: Callable[..., Registry]) -> None:
    found = installed({"toy-sgd": "plug_i:SCENARIO"}, plug_i=GOOD.format(name="toy-sgd"))
    assert found.scenarios["toy-sgd"].title != found.scenarios["bouncing-ball"].title
    assert "already" in found.broken[0].reason


def test_unknown_names_get_a_near_match() -> None:
    with pytest.raises(UsageError, match="Did you mean 'bouncing-ball'"):
        registry().scenario("bouncing-bal")
    with pytest.raises(UsageError, match=r"it has drop, scatter\. Did you mean 'drop'"):
        registry().scenario("bouncing-ball").experiment("drip")


def test_the_example_computes_what_it_says() -> None:
    result = run_in_memory(read_text(DROP + "[params]\nheight = 2.0\nrestitution = 0.5\nbounces = 60\n"))
    findings = result.findings
    assert findings["rest_time"].value == pytest.approx(np.sqrt(4 / 9.81) * 3.0, rel=1e-14)
    assert findings["rest_time_summed"].value == pytest.approx(findings["rest_time"].value, rel=1e-12)
    assert result.arrays["peak"].values[0, :3].tolist() == [2.0, 0.5, 0.125]
    many = run_in_memory(read_text(SCATTER + "[params]\nballs = 20000\nrestitution_range = [0.0, 0.5]\n"))
    # The mean of (1 + e) / (1 - e) over [0, 1/2] is 4 ln 2 - 1.
    exact = np.sqrt(2 / 9.81) * (4 * np.log(2) - 1)
    finding = many.findings["mean_rest_time"]
    assert finding.stderr is not None
    assert abs(finding.value - exact) < 4 * finding.stderr
    assert finding.stderr < 0.01 * exact


def test_the_example_declares_what_it_answers() -> None:
    for experiment in registry().scenario("bouncing-ball").experiments:
        text = f'scenario = "bouncing-ball"\nexperiment = "{experiment.name}"\n'
        single = text + ("[params]\nheight = 1.0\n" if experiment.name == "drop" else "")
        result = run_in_memory(read_text(single))
        assert set(result.findings) == set(experiment.findings)
        assert set(result.arrays) == set(experiment.arrays)
        assert set(experiment.headline) <= set(experiment.findings)


def test_the_declaration_of_the_example_matches_its_scenario() -> None:
    scenario = registry().scenario("bouncing-ball")
    assert isinstance(scenario, Scenario)
    text = (PLUGIN / "pyproject.toml").read_text()
    assert f'{scenario.name} = "bouncing_ball:SCENARIO"' in text
    assert "geometric series" in scenario.theory()


def test_a_plugin_is_listed_shown_and_run_like_any_other(cli: Cli, write: Callable[..., Path]) -> None:
    assert "bouncing-ball" in cli("list").stdout
    assert "restitution" in cli("show", "bouncing-ball", "drop").stdout
    assert "geometric series" in cli("show", "bouncing-ball").stdout
    done = cli("--batch", write(DROP), "--json", "--set", "params.height=1.0", "--quiet")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["scenario"] == "bouncing-ball"
    assert document["findings"][0]["name"] == "rest_time"


def test_a_broken_plugin_is_said_on_stderr_and_the_rest_goes_on(new_cli: Cli, tmp_path: Path) -> None:
    write_plugin_metadata(tmp_path, {"wobble": "nowhere_to_be_found:SCENARIO"})
    done = new_cli("list", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0
    assert "toy-sgd" in done.stdout
    assert "wobble" not in done.stdout
    assert "wobble" in done.stderr
    assert "Traceback" not in done.stderr
