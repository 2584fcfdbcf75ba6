"""hessian: spectra of the networks that are trained, the limit of stability, and networks that diverge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tui_opt.errors import ExperimentError
from tui_opt.experiments.landscape_5x5 import hessian
from tui_opt.experiments.landscape_5x5.minima import Minima
from tui_opt.experiments.landscape_5x5.minima_params import HessianParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.figure import resolve
from tui_opt.kernels.networks import hessians
from tui_opt.kernels.networks.lanes import Rule
from tui_opt.locations import cache_dir
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.runner.machine import limited_threads
from tui_opt.scenario import registry

SMALL: dict[str, Any] = {"layers": 2, "width": 3, "heights": [1.0], "minima": 6, "steps": 300}


@pytest.fixture(scope="module")
def kernels() -> Path:
    """Both tests of minima compile the same kernel."""
    return cache_dir() / "kernels"


def run(kernels: Path, threads: int = 1, **params: Any) -> Result:
    context = Context("hessian", threads=threads, kernels=kernels)
    return hessian.compute(HessianParams.check({**SMALL, **params}), context)


def test_spectra_are_those_of_the_networks_whatever_the_threads(
    kernels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    whole = hessians.hessian

    def watched(layout: Any, network: np.ndarray, *rest: Any, **more: Any) -> np.ndarray:
        seen.append(network)
        return whole(layout, network, *rest, **more)

    monkeypatch.setattr(hessian, "hessian", watched)
    one = run(kernels)
    monkeypatch.undo()
    task = Task.of(HessianParams.check(SMALL))
    values = one.arrays["eigenvalues"].values
    assert values.shape == (6, task.layout.size)
    for network, spectrum in zip(seen[:6], values, strict=True):
        matrix = whole(task.layout, network, task.x, task.y)
        assert spectrum.sum() == pytest.approx(np.trace(matrix))
        assert np.square(spectrum).sum() == pytest.approx(np.square(matrix).sum())
    assert one.findings["lambda_max_median"].value == pytest.approx(np.median(values[:, -1]))
    two = run(kernels, threads=2)
    assert np.array_equal(two.arrays["eigenvalues"].values, values)
    for figure in one.figures:
        for layer in figure.layers:
            if layer.kind in ("line", "histogram"):
                assert np.isfinite(
                    resolve(layer.x if layer.kind == "line" else layer.edges, one.values())
                ).all()


@pytest.mark.parametrize("experiment", ["hessian", "basin", "target", "train"])
def test_linear_algebra_has_one_thread_and_gets_the_others_back(
    experiment: str, kernels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where ours share the cores with another pool, they wait for each other."""

    def threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    seen: list[set[int]] = []
    for name in ("eigh", "eigvalsh", "solve"):
        whole = getattr(np.linalg, name)

        def watched(*matrices: np.ndarray, whole: Any = whole) -> Any:
            seen.append(threads())
            return whole(*matrices)

        monkeypatch.setattr(np.linalg, name, watched)
    found = registry().scenario("landscape-5x5").experiment(experiment)
    given = {
        "hessian": {"minima": 3},
        "basin": {"trials": 2, "nearby_steps": 2},
        "target": {"compared": 2},
        "train": {"models": 2, "restarts": 1},
    }[experiment]
    asked = found.params.check({"layers": 2, "width": 3, "heights": [1.0], "steps": 3, **given})
    with limited_threads(2):
        before = threads()
        found.load_compute()(asked, Context(experiment, threads=2, kernels=kernels))
        assert threads() == before
    assert before == {2}
    assert seen == [{1}] * len(seen)
    assert seen


def test_polishing_lowers_the_gradient_and_the_limit_follows_the_rate(kernels: Path) -> None:
    rough, fine = run(kernels), run(kernels, polish=3000)
    assert fine.findings["gradient_norm_median"].value < rough.findings["gradient_norm_median"].value
    assert rough.findings["stability_curvature"].value == pytest.approx(2 * 1.9 / 0.01)
    assert run(kernels, optimizer="gd").findings["stability_curvature"].value == pytest.approx(2 / 0.01)
    assert np.isnan(run(kernels, optimizer="adam").findings["edge_share"].value)


def test_the_built_network_lies_between_its_sides(kernels: Path) -> None:
    found = run(kernels).findings
    assert (
        found["lambda_target_off"].value
        <= found["lambda_max_target"].value
        <= found["lambda_target_on"].value
    )
    other = run(kernels, target="sin(3*x)", points=21)
    assert np.isnan(other.findings["lambda_max_target"].value)


def test_networks_that_diverge_are_a_sentence(kernels: Path) -> None:
    with pytest.raises(ExperimentError, match=r"All 6 networks diverged.*Lower learning_rate"):
        run(kernels, learning_rate=1e5)
    with pytest.raises(ExperimentError, match="The only network diverged"):
        run(kernels, minima=1, learning_rate=1e5)
    with pytest.raises(ExperimentError, match=r"Lower learning_rate, now 100000\.$"):
        run(kernels, learning_rate=1e5, polish=0)
    # Weights that are huge and finite are no minima either.
    with pytest.raises(ExperimentError, match=r"Lower learning_rate, now [\d.]+ or polish_rate, now 30\.$"):
        run(kernels, steps=20, polish=5, polish_rate=30.0)


@pytest.mark.parametrize(
    ("lost", "said"),
    [(1, "1 of 6 networks diverged and is left out."), (2, "2 of 6 networks diverged and are left out.")],
)
def test_networks_that_are_left_out_are_counted(lost: int, said: str) -> None:
    result = Result()
    left = 6 - lost
    Minima(
        np.zeros((left, 22)), np.arange(left), Rule("momentum", 0.01), "", lost, "learning_rate, now 0.01"
    ).describe(result, "model")
    assert result.warnings == [f"{said} Lower learning_rate, now 0.01."]


def test_rows_of_a_file_that_are_left_out_are_told(kernels: Path, tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("x,y\n1,2\n-1,0\n0,\n0.5,1\n")
    result = run(kernels, minima=1, steps=2, data=str(tmp_path / "points.csv"))
    assert result.warnings == ["1 row of the data file was left out for missing values."]
