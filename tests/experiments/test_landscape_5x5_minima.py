"""Minima from a run of `train`: the same networks, which of them, and what is said of runs that cannot be used."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_opt.cli.schema import parameter_schema
from tui_opt.experiments.landscape_5x5.minima_params import HessianParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.kernels.networks.hessians import hessian
from tui_opt.problems import ParameterErrors
from tui_opt.runner.execute import Ended, begin, execute
from tui_opt.runner.planning import plan
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.scenario import registry
from tui_opt.scenario_file import ScenarioFile, ScenarioFileError, read_text
from tui_opt.tui.typed import read_value

NETWORK: dict[str, Any] = {"layers": 2, "width": 3, "heights": [1.0]}
TRAIN: dict[str, Any] = {**NETWORK, "models": 20, "steps": 200, "outputs": 2, "restarts": 1, "momentum": 0.5}


def file(experiment: str, **params: Any) -> ScenarioFile:
    lines = [f"{name} = {value!r}" for name, value in params.items()]
    head = f'scenario = "landscape-5x5"\nexperiment = "{experiment}"\n[params]\n'
    return read_text(head + "\n".join(lines))


def carried_out(file: ScenarioFile, store: Path) -> Ended:
    settled = plan(file)
    return execute(begin(settled, store), settled)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def trained(store: Path) -> RunDirectory:
    ended = carried_out(file("train", **TRAIN), store)
    assert ended.state == "done", ended.error
    return ended.run


def test_spectra_are_those_of_the_run_s_networks(trained: RunDirectory, store: Path) -> None:
    networks = trained.result().arrays["networks"].values.astype(float)
    losses = trained.result().arrays["loss"].values
    task = Task.of(HessianParams.check(NETWORK))
    for taken, order in (("first", np.arange(20)), ("best", np.argsort(losses, kind="stable"))):
        ended = carried_out(file("hessian", **NETWORK, minima=trained.id, of_run=3, taken=taken), store)
        assert ended.state == "done", ended.error
        assert ended.result is not None
        values = ended.result.values()
        assert values["minimum"].tolist() == order[:3].tolist()
        for network, spectrum in zip(networks[order[:3]], values["eigenvalues"], strict=True):
            expected = np.linalg.eigvalsh(hessian(task.layout, network, task.x, task.y))
            assert np.allclose(spectrum, expected, atol=1e-10)
        # the run's own rate and momentum
        limit = ended.result.findings["stability_curvature"].value
        assert limit == pytest.approx(2 * 1.5 / 0.01)
        files = ended.run.result_document()["provenance"]["files"]
        arrays = trained.path / "arrays.npz"
        assert files == {str(arrays): hashlib.sha256(arrays.read_bytes()).hexdigest()}


def test_a_run_is_named_by_its_place_or_its_end_and_gives_all_it_has(
    trained: RunDirectory, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_end = carried_out(file("hessian", **NETWORK, minima=trained.id[-6:]), store)
    assert by_end.result is not None, by_end.error
    assert by_end.result.values()["eigenvalues"].shape[0] == 20
    monkeypatch.chdir(store)
    relative = file("hessian", **NETWORK, minima=f"./{trained.id}")
    assert relative.params.minima == str(trained.path)  # type: ignore[attr-defined]
    elsewhere = carried_out(relative, tmp_path)
    assert elsewhere.result is not None, elsewhere.error
    assert np.array_equal(elsewhere.result.values()["eigenvalues"], by_end.result.values()["eigenvalues"])


def test_polishing_a_run_s_networks_lowers_their_gradients(trained: RunDirectory, store: Path) -> None:
    rough = carried_out(file("hessian", **NETWORK, minima=trained.id), store).result
    fine = carried_out(file("hessian", **NETWORK, minima=trained.id, polish=3000), store).result
    assert rough is not None
    assert fine is not None
    name = "gradient_norm_median"
    assert fine.findings[name].value < rough.findings[name].value


def test_paths_lead_to_a_run_s_networks(trained: RunDirectory, store: Path) -> None:
    small = {"images": 6, "iterations": 4, "fine": 2, "method": "string", "polish": 0, "align": "none"}
    ended = carried_out(file("paths", **NETWORK, **small, minima=trained.id, of_run=5), store)
    assert ended.result is not None, ended.error
    ends = ended.result.arrays["energy"].values[:, -1]
    assert np.allclose(ends, trained.result().arrays["loss"].values[:5], rtol=1e-4)
    assert ended.result.arrays["minimum"].values.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"layers": 3}, "it has layers = 2. Set the same here"),
        ({"amplitude": 0.5}, "it has amplitude = 0.7. Set"),
        ({"heights": [0.5]}, r"it has heights = \[1\]"),
        ({"target": "sin(x)"}, "it has target = 'built'"),
        (
            {"minima": "20200101T000000Z-nothing"},
            "There is no run '20200101T000000Z-nothing' in .* runs list",
        ),
        ({"minima": "/nowhere/at/all"}, "/nowhere/at/all is not the directory of a run"),
    ],
)
def test_a_run_that_cannot_be_used_is_a_sentence(
    asked: dict[str, Any], said: str, trained: RunDirectory, store: Path
) -> None:
    ended = carried_out(file("hessian", **{**NETWORK, "minima": trained.id, **asked}), store)
    assert ended.state == "failed"
    assert ended.error is not None
    import re

    assert re.search(said, ended.error), ended.error


def test_a_run_of_something_else_a_sweep_or_an_unfinished_one(trained: RunDirectory, tmp_path: Path) -> None:
    target = carried_out(file("target", **NETWORK, compared=0), tmp_path)
    waiting = begin(plan(file("train", **TRAIN)), tmp_path)
    waiting.lock.release()
    swept = replace(file("train", **TRAIN), sweep=None)
    swept = read_text(swept.to_toml() + "[sweep]\nlearning_rate = [0.1]\n")
    whole = carried_out(replace(swept, params=swept.params), tmp_path)
    for run, said in (
        (target.run, "is of landscape-5x5/target, and one of landscape-5x5/train is needed"),
        (waiting, "has no result yet"),
        (whole.run, "is a sweep"),
    ):
        error = carried_out(file("hessian", **NETWORK, minima=run.id), tmp_path).error
        assert error is not None
        assert said in error, error
    stamp = target.run.id[:8]
    error = carried_out(file("hessian", **NETWORK, minima=stamp), tmp_path).error
    assert error is not None
    assert "could be any of" in error


def test_what_is_neither_a_number_nor_a_run_is_refused_before_a_run() -> None:
    for wrong in ('""', '"12"', "0", "2.5", "true"):
        with pytest.raises(ScenarioFileError, match=r"params.minima: must be .*, or the id of a run, not"):
            read_text(f'scenario = "landscape-5x5"\nexperiment = "hessian"\n[params]\nminima = {wrong}\n')
    with pytest.raises(ParameterErrors):
        HessianParams.check({"minima": -1})


def test_forms_and_schemas_know_runs() -> None:
    spec = HessianParams.specs()["minima"]
    assert (spec.kind, spec.is_run, spec.default) == ("integer", True, 32)
    assert read_value(spec, "48") == 48
    assert read_value(spec, "20200101T000000Z-landscape-5x5-train-ab12cd").startswith("2020")
    forms = parameter_schema(registry().scenario("landscape-5x5").experiment("hessian"))["properties"][
        "minima"
    ]
    assert [form["type"] for form in forms["anyOf"]] == ["integer", "string"]
