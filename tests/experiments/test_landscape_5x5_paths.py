"""paths: energies along them, ends, certificates, and what cannot be asked; on small networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tui_opt.experiments.landscape_5x5 import paths
from tui_opt.experiments.landscape_5x5.minima_params import PathsParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.kernels.networks.lanes import WIDEST
from tui_opt.kernels.networks.plain import loss
from tui_opt.kernels.networks.scaling import smallest
from tui_opt.locations import cache_dir
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.runner.machine import limited_threads
from tui_opt.scenario import registry
from tui_opt.scenario_file import ScenarioFileError, read_text

SMALL: dict[str, Any] = {
    "layers": 2, "width": 3, "heights": [1.0], "minima": 5, "steps": 300, "polish": 300, "images": 8,
    "iterations": 60, "fine": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def kernels() -> Path:
    """Both tests of minima compile the same kernel."""
    return cache_dir() / "kernels"


@pytest.fixture(autouse=True)
def _short_pulls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PULL_ROUNDS", 8)
    monkeypatch.setattr(paths, "PULL_STEPS", 5)


def run(kernels: Path, threads: int = 1, **params: Any) -> Result:
    context = Context("paths", threads=threads, kernels=kernels)
    return paths.compute(PathsParams.check({**SMALL, **params}), context)


@pytest.mark.parametrize("method", ["minimax", "string", "neb"])
@pytest.mark.parametrize("align", ["none", "sorted", "matched"])
def test_paths_lead_from_the_built_network_to_minima(kernels: Path, method: str, align: str) -> None:
    result = run(kernels, method=method, align=align)
    task = Task.of(PathsParams.check(SMALL))
    assert task.built is not None
    energy, fine = result.arrays["energy"].values, result.arrays["energy_fine"].values
    images = 16 if method == "minimax" else 8
    assert energy.shape == (5, images)
    assert np.abs(energy[:, 0]).max() < 1e-9  # the built network, rounded to single precision
    assert np.array_equal(fine[:, ::5], energy)
    bound = result.arrays["energy_certified"].values
    assert np.all(bound >= fine.max(axis=1) * (1 - 1e-12))
    value = {name: finding.value for name, finding in result.findings.items()}
    assert (
        value["barrier_median"]
        <= value["barrier_fine_median"]
        <= value["barrier_certified_median"] * (1 + 1e-12)
    )
    assert value["image_gap"] >= 1
    assert value["excess_median"] >= 0
    assert value["certificate_slack"] < 2e-3
    steps = np.diff(result.arrays["distance"].values, axis=1)
    if method != "neb":
        assert np.allclose(steps, steps.mean(axis=1, keepdims=True), rtol=0.2)
    norm = np.linalg.norm(smallest(task.layout, task.built[None]))
    assert 0 < value["end_distance_median"] < 10 * norm


def test_results_do_not_depend_on_threads(kernels: Path) -> None:
    one, two = run(kernels), run(kernels, threads=2)
    for name, finding in one.findings.items():
        assert two.findings[name].value == finding.value or np.isnan(finding.value)
    assert np.array_equal(one.arrays["energy_fine"].values, two.arrays["energy_fine"].values)


def test_a_table_has_both_starts_beside_the_end(kernels: Path) -> None:
    result = run(kernels)
    table = result.tables["paths"]
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    bounds, others = (result.arrays[f"energy_certified{end}"].values for end in ("", "_other"))
    energy = result.arrays["energy"].values
    for row, bound, other, at in zip(rows, bounds, others, energy, strict=True):
        assert row["certified"] == bound <= row["other_start"] == other
        assert row["end"] == max(at[0], at[-1])
        assert row["excess"] == pytest.approx(bound - row["end"], abs=1e-15)
        assert row["at_images"] == at.max() <= bound
    one = run(kernels, starts=1, fine=1)
    assert one.findings["barrier_fine_median"].text == "The same with 1 point between images."
    assert result.findings["barrier_fine_median"].text == "The same with 4 points between images."
    assert np.isnan(one.arrays["energy_certified_other"].values).all()
    assert np.isnan(one.findings["start_difference_median"].value)


def test_without_desymmetrisation_ends_are_as_built_and_trained(kernels: Path) -> None:
    task = Task.of(PathsParams.check(SMALL))
    assert task.built is not None
    found = {
        which: run(kernels, method="string", align="none", representative=which)
        for which in ("smallest", "trained")
    }
    raw, small = (found[which].arrays["energy"].values for which in ("trained", "smallest"))
    assert np.allclose(raw[:, [0, -1]], small[:, [0, -1]], rtol=1e-4, atol=1e-9)  # the functions are the same
    assert not np.allclose(raw[:, 1:-1], small[:, 1:-1], rtol=1e-3)
    apart = found["trained"].findings["end_distance_median"].value
    assert apart != pytest.approx(found["smallest"].findings["end_distance_median"].value, rel=1e-3)


def test_what_is_said_of_the_shape_of_paths(kernels: Path) -> None:
    result = run(kernels, method="string", iterations=1, align="none")
    fine, distance = (result.arrays[name].values for name in ("energy_fine", "distance"))
    angle = result.arrays["angle"].values
    assert result.findings["length_ratio_median"].value == pytest.approx(1.0, abs=0.01)  # hardly moved yet
    assert np.median(angle) < 0.2
    rises = [np.sum(np.diff(row)[np.diff(row) > 0]) / row.max() for row in fine]
    assert result.findings["rises_median"].value == pytest.approx(np.median(rises))
    longer = run(kernels, method="string", iterations=400, align="none")
    assert longer.findings["length_ratio_median"].value > 1.05
    near, middle = (longer.findings[f"angle_{part}_median"].value for part in ("near", "middle"))
    angles = longer.arrays["angle"].values
    assert (near, middle) == pytest.approx((np.median(angles[:, :1]), np.median(angles[:, 2:4])))
    assert distance.shape == (5, 8)


def test_the_output_halfway(kernels: Path) -> None:
    """On a straight line, which a step of nothing leaves, the middle is the mean of the ends."""
    result = run(kernels, method="string", iterations=1, align="none", minima=1, images=9)
    task = Task.of(PathsParams.check(SMALL))
    rows = result.arrays["output"].values
    assert rows.shape == (9, 200)
    x = result.arrays["output_x"].values
    change = [np.sqrt(np.mean(np.interp(task.x, x, rows[k] - rows[-1]) ** 2)) for k in (4, 0)]
    assert result.findings["output_half_median"].value == pytest.approx(change[0] / change[1], rel=0.02)


def test_names_are_declared(kernels: Path) -> None:
    result = run(kernels)
    declared = registry().scenario("landscape-5x5").experiment("paths")
    assert set(result.findings) <= set(declared.findings)
    assert set(result.arrays) <= set(declared.arrays)


def test_the_radius_is_where_the_loss_has_risen(kernels: Path) -> None:
    result = run(kernels, minima=1, method="string")
    fine, along = result.arrays["energy_fine"].values[0], result.arrays["distance_fine"].values[0]
    first = int(np.flatnonzero(fine > 0.9 * fine[-1])[0])
    assert result.findings["basin_radius_median"].value <= along[first] + 1e-9


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"target": "sin(x)", "points": 11}, "target"),
        ({"target": "points.csv"}, "target"),
        ({"data": "points.csv"}, "data"),
        ({"width": 2}, "width"),
    ],
)
def test_what_has_no_built_network_is_refused_before_anything_is_computed(
    given: dict[str, Any], key: str
) -> None:
    with pytest.raises(ParameterErrors, match="hand-built network") as refused:
        PathsParams.check({**SMALL, **given})
    assert [problem.key for problem in refused.value.problems] == [f"params.{key}"]
    assert refused.value.problems[0].given == given[key]
    lines = [f"{name} = {value!r}" for name, value in given.items()]
    text = "\n".join(['scenario = "landscape-5x5"', 'experiment = "paths"', "[params]", *lines])
    with pytest.raises(ScenarioFileError, match=f"params.{key}: must be .*hand-built network"):
        read_text(text)


def test_linear_algebra_has_one_thread(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def watched(*given: Any) -> Any:
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return smallest(*given)

    monkeypatch.setattr(paths, "smallest", watched)
    with limited_threads(2):
        run(kernels, minima=1, method="string")
    assert set(seen) == {1}


def test_layers_too_wide_for_lanes_are_refused_with_the_parameters() -> None:
    assert PathsParams.check({**SMALL, "width": WIDEST}).width == WIDEST
    with pytest.raises(ParameterErrors, match=rf"width: must be at most {WIDEST} for paths"):
        PathsParams.check({**SMALL, "width": WIDEST + 1})
    with pytest.raises(ParameterErrors, match="Give fewer heights, too"):
        PathsParams.check({**SMALL, "width": 20, "heights": [1.0] * 18})


def test_polished_networks_have_the_loss_of_their_end(kernels: Path) -> None:
    result = run(kernels, minima=2, method="string", align="none")
    assert result.findings["end_energy_median"].value == pytest.approx(
        np.median(result.arrays["energy"].values[:, -1]), rel=1e-12
    )
    task = Task.of(PathsParams.check(SMALL))
    assert result.findings["end_energy_median"].value < loss(
        task.layout, np.zeros(task.layout.size), task.x, task.y
    )
