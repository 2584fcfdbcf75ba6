"""basin-map: ranges of starts against ridges and against a plain descent, rates and costs, and what goes wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tui_opt.errors import CancelledError
from tui_opt.experiments.cos_fit import basin_map as module
from tui_opt.experiments.cos_fit.basin_map import compute
from tui_opt.experiments.cos_fit.basin_map_params import BasinMapParams
from tui_opt.experiments.cos_fit.loss_curve import compute as loss_curve
from tui_opt.experiments.cos_fit.loss_curve_params import LossCurveParams
from tui_opt.experiments.cos_fit.samples import load_samples
from tui_opt.figure import Rule, resolve
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context, Silent

B = 0.583
SMALL = {"samples": 1500, "starts": 12, "seeds": 1}


def basin_map(seed: int = 0, threads: int = 1, **params: Any) -> Result:
    return compute(BasinMapParams.check(params), Context("cos-fit/basin-map", seed=seed, threads=threads))


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def test_gradient_descent_finds_the_minimum_from_its_basin_and_from_nowhere_else() -> None:
    """The range of successful starts ends at the ridges that loss-curve finds on the same samples."""
    common: dict[str, Any] = {"x_distribution": "uniform", "x_scale": 10.0, "samples": 2000, "model": "cos"}
    result = basin_map(optimizers=["gd"], starts=100, gd_steps=400, seeds=1, **common)
    ridge = loss_curve(LossCurveParams.check({**common, "draws": 1}), Context("cos-fit/loss-curve"))
    high = ridge.findings["basin_high"].value
    assert value(result, "basin_high_gd") == pytest.approx(high - 0.01, abs=0.0101)
    assert value(result, "basin_low_gd") == pytest.approx(0.01)
    starts, ends = result.arrays["start"].values, result.arrays["final_a"].values[0]
    inside = starts < high
    np.testing.assert_array_equal(np.abs(ends - B) < 1e-3, inside)
    assert value(result, "success_gd") == pytest.approx(inside.mean())
    assert result.findings["success_gd"].stderr == pytest.approx(
        math.sqrt(inside.mean() * (1 - inside.mean()) / 100)
    )


def test_a_plain_descent_ends_at_the_same_places() -> None:
    result = basin_map(optimizers=["gd"], gd_steps=50, gd_learning_rate=0.01, model="cos", **SMALL)
    x = load_samples(BasinMapParams.check(SMALL), Context("any")).columns["x1"]
    a = result.arrays["start"].values.copy()
    for _ in range(50):
        for k in range(a.size):
            a[k] -= 0.01 * 2 * np.mean((np.cos(a[k] * x) - np.cos(B * x)) * -x * np.sin(a[k] * x))
    np.testing.assert_allclose(result.arrays["final_a"].values[0], a, rtol=1e-9)


def test_rates_of_the_optimizers_on_a_narrow_law() -> None:
    """Of x uniform on [0, 10): .54 of starts for momentum and Adam, .56 and .52 for SciPy's, 1 for solve's."""
    result = basin_map(x_distribution="uniform", x_scale=10.0, starts=25, seeds=1, samples=3000, batch=150)
    for method, expected in (("momentum", 0.54), ("adam", 0.54), ("lbfgs", 0.56), ("least-squares", 0.52)):
        assert value(result, f"success_{method}") == pytest.approx(expected, abs=0.07), method
    assert value(result, "success_annealing") == value(result, "success_scan") == 1.0
    assert value(result, "success_sgd") <= 0.04
    assert value(result, "passes_adam") == 30.0
    assert 5 < value(result, "passes_lbfgs") < 40
    table = result.tables["cost"]
    assert [row[0] for row in table.rows] == [
        "sgd",
        "momentum",
        "adam",
        "lbfgs",
        "least-squares",
        "annealing",
        "scan",
    ]
    assert all(float(str(row[3])) > 0 for row in table.rows)


def test_wide_x_defeats_every_descent_and_not_the_scan() -> None:
    result = basin_map(x_scale=500.0, optimizers=["sgd", "adam", "lbfgs", "scan"], **SMALL)
    for method in ("sgd", "adam", "lbfgs"):
        assert value(result, f"success_{method}") < 0.25
    assert value(result, "success_scan") == 1.0


def test_sets_of_samples_give_means_and_errors() -> None:
    result = basin_map(optimizers=["adam"], **{**SMALL, "seeds": 3})
    single = basin_map(optimizers=["adam"], **SMALL)
    np.testing.assert_array_equal(result.arrays["final_a"].values, single.arrays["final_a"].values)
    assert result.findings["success_adam"].stderr is not None
    assert "3 sets" in result.findings["success_adam"].text


def test_threads_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = basin_map(optimizers=["sgd", "adam", "gd"], gd_steps=5, epochs=2, **SMALL)
    monkeypatch.setattr(module, "SAMPLES_IN_A_SLICE", 1024)
    cut = basin_map(optimizers=["sgd", "adam", "gd"], gd_steps=5, epochs=2, threads=3, **SMALL)
    np.testing.assert_array_equal(plain.arrays["final_a"].values, cut.arrays["final_a"].values)


def test_equations_and_other_parameters() -> None:
    own = basin_map(optimizers=["lbfgs"], model="y = cos(a*x1) + exp(b*x2)", **SMALL)
    named = basin_map(optimizers=["lbfgs"], **SMALL)
    near = np.abs(own.arrays["final_a"].values - named.arrays["final_a"].values) < 1e-4
    assert near.mean() > 0.8  # line searches may part ways at a rounding
    slow = basin_map(optimizers=["least-squares"], parameter="b", start_min=-1.0, start_max=1.0, **SMALL)
    assert value(slow, "success_least-squares") == 1.0


def test_starts_that_leave_the_numbers_are_counted() -> None:
    result = basin_map(
        model="sqrt+exp", x_distribution="uniform", x_scale=10.0, optimizers=["sgd", "least-squares"],
        sgd_learning_rate=2.0, start_min=-1.0, start_max=1.0, **SMALL,
    )  # fmt: skip
    assert value(result, "lost_sgd") >= 6
    assert value(result, "lost_least-squares") >= 6
    assert np.isnan(result.arrays["final_a"].values[:, :6]).all()
    assert value(result, "success_sgd") < 1.0


def test_figures_and_partial_results() -> None:
    class Kept(Silent):
        results: list[Result] = []  # noqa: RUF012

        def partial(self, result: Result) -> None:
            self.results.append(result)

    given = {**SMALL, "optimizers": ["sgd", "adam"], "epochs": 1}
    result = compute(BasinMapParams.check(given), Context("cos-fit/basin-map", recorder=Kept()))
    assert {figure.name for figure in result.figures} == {"ends", "found", "success"}
    for figure in result.figures:
        for layer in figure.layers:
            if not isinstance(layer, Rule):
                assert resolve(layer.x, result.values()).size >= 1
    assert Kept.results[0].arrays["final_a"].values.shape == (1, 12)
    stopped = Context("cos-fit/basin-map")
    stopped.cancel()
    with pytest.raises(CancelledError):
        compute(BasinMapParams.check(SMALL), stopped)


def test_what_goes_wrong_is_said() -> None:
    for params, what in (
        ({"start_min": 3.0}, "below start_max"),
        ({"optimizers": ["sgd", "sgd"]}, "more than once"),
        ({"optimizers": []}, "at least 1"),
        ({"parameter": "q"}, "no parameter of the model"),
    ):
        with pytest.raises(ParameterErrors, match=what):
            basin_map(**params)


def test_of_a_file_the_minimum_is_the_lowest_one_wherever_the_start_is(tmp_path) -> None:
    """From 0.3 least squares ends in ripple, and the scan, which needs no start, is what counts."""
    rng = np.random.default_rng(3)
    x = rng.normal(0.0, 5.0, 300)
    y = np.cos(1.3 * x) + 0.1 * rng.normal(size=x.size)
    path = tmp_path / "data.csv"
    np.savetxt(path, np.stack([x, y], axis=1), delimiter=",", header="x1,y", comments="")
    given: dict[str, Any] = {"data": str(path), "model": "y = cos(a*x1)", "start": [0.3]}
    result = basin_map(optimizers=["least-squares", "scan"], starts=9, **given)
    assert value(result, "success_scan") == 1.0
    ends, starts = result.arrays["final_a"].values, result.arrays["start"].values
    loss = [np.mean((np.cos(a * x) - y) ** 2) for a in ends[0]]
    lowest = np.mean((np.cos(ends[1, 0] * x) - y) ** 2)
    there = np.array(loss) < lowest * (1 + 1e-3)
    assert value(result, "success_least-squares") == pytest.approx(there.mean())
    assert there[np.argmin(np.abs(starts - 1.3))]
    assert not there[0]
