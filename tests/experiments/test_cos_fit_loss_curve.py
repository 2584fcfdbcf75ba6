"""loss-curve: the sample against the closed form, the thread's picture, its ripple over draws, and what goes wrong."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui_opt.errors import CancelledError, ExperimentError
from tui_opt.experiments.cos_fit.loss_curve import compute
from tui_opt.experiments.cos_fit.loss_curve_params import LossCurveParams
from tui_opt.figure import Rule, resolve
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context, Silent

B = 0.583


def loss_curve(seed: int = 0, threads: int = 1, **params: Any) -> Result:
    return compute(LossCurveParams.check(params), Context("cos-fit/loss-curve", seed=seed, threads=threads))


@cache
def default() -> Result:
    return loss_curve()


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def test_the_sample_stays_within_four_sampling_deviations_of_the_closed_form() -> None:
    """At s = 5 about ten of the values are independent: a chance of 1 in 1600."""
    for seed in range(3):
        result = loss_curve(seed=seed, draws=1)
        mse, exact, sd = (result.arrays[name].values for name in ("mse", "mse_exact", "mse_sd"))
        assert value(result, "deviation_max") < 4.0
        assert np.all(np.abs(mse - exact) <= 4 * sd + 1e-14)
        # The sample tells its own spread too, and that agrees.
        far = np.abs(result.arrays["alpha"].values - B) > 0.02
        np.testing.assert_allclose(result.arrays["mse_stderr"].values[far], sd[far], rtol=0.12)


def test_with_noise_and_other_laws_too() -> None:
    for params in (
        {"noise": 1.0},
        {"x_distribution": "uniform", "x_scale": 10.0, "noise": 0.1},
        {"x_scale": 500.0},
    ):
        result = loss_curve(draws=1, **params)
        assert value(result, "deviation_max") < 4.0, params
        assert 0.5 < value(result, "deviation_rms") < 1.5, params


def test_the_plateau_scatters_by_a_hundredth() -> None:
    """Var of (cos u - cos v)^2 with independent phases is 5/4: sd sqrt(5/4 / 10^4)."""
    assert value(loss_curve(draws=1, x_scale=50.0), "plateau_sd") == pytest.approx(
        math.sqrt(1.25e-4), rel=1e-6
    )


def test_the_thread_s_picture() -> None:
    """default_rng(1) draws the very sample whose first ridge is at 1.25 and next minimum near 1.4."""
    result = loss_curve(seed=1, generator="default_rng", model="cos", draws=1)
    x = np.random.default_rng(1).normal(0, 5, 10_000)
    fine = np.linspace(1.2, 1.45, 2501)
    losses = np.array([np.mean((np.cos(a * x) - np.cos(B * x)) ** 2) for a in fine])
    turns = fine[1:-1][np.diff(np.sign(np.diff(losses))) != 0]
    assert value(result, "basin_high") == pytest.approx(turns[0], abs=2e-4)
    assert value(result, "basin_high") == pytest.approx(1.25, abs=0.01)
    assert result.arrays["next_minimum"].values[0] == pytest.approx(turns[1], abs=2e-4)


def test_over_twenty_draws_ridge_and_next_minimum_scatter() -> None:
    """1.354 +- 0.120 (1.177 to 1.584), computed elsewhere on the same twenty samples."""
    result = loss_curve(seed=0, generator="default_rng", model="cos")
    assert value(result, "ridge_mean") == pytest.approx(1.354, abs=1e-3)
    assert value(result, "ridge_sd") == pytest.approx(0.12 * math.sqrt(20 / 19), abs=5e-3)
    assert value(result, "ridge_least") == pytest.approx(1.177, abs=1e-3)
    assert value(result, "ridge_most") == pytest.approx(1.584, abs=2e-3)
    assert math.isinf(value(result, "basin_high_exact"))


def test_the_basin_is_four_over_s_wide() -> None:
    result = loss_curve(x_scale=500.0, points=11)
    assert value(result, "basin_half_width_rule") == 0.008
    assert value(result, "basin_low") == pytest.approx(0.5755, abs=0.0014)
    assert value(result, "basin_high") == pytest.approx(0.5910, abs=0.0012)
    assert value(result, "start_in_basin") == 0.0
    assert value(result, "slope_at_start_exact") == 0.0
    assert "e^-1711" in result.findings["slope_at_start_exact"].text
    assert any("may miss the minimum" in text for text in result.warnings)
    assert value(default(), "start_in_basin") == 1.0
    assert value(default(), "basin_low") == 0.0


def test_draws_and_curves_do_not_depend_on_threads() -> None:
    first, second = loss_curve(draws=5, samples=2000), loss_curve(draws=5, samples=2000, threads=3)
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array.values, second.arrays[name].values)


def test_other_parts_against_plain_sums() -> None:
    for model, name, column in (
        ("exp+exp", "a", "x1"),
        ("cos+exp", "b", "x2"),
        ("exp", "b", "x2"),
        ("sqrt+exp", "a", "x1"),
    ):
        params = {
            "model": model,
            "parameter": name,
            "x_distribution": "uniform",
            "x_scale": 3.0,
            "samples": 4000,
        }
        result = loss_curve(points=21, alpha_min=0.01, draws=1, **params)
        mse, exact, stderr = (result.arrays[k].values for k in ("mse", "mse_exact", "mse_stderr"))
        assert np.all(np.abs(mse - exact) < 4.5 * stderr + 1e-12), (model, column)


def test_a_parameter_held_elsewhere_shifts_the_closed_form_with_the_sample() -> None:
    result = loss_curve(held={"b": 1.0}, points=101, draws=1, noise=0.2)
    mse, exact, stderr = (result.arrays[k].values for k in ("mse", "mse_exact", "mse_stderr"))
    assert np.all(np.abs(mse - exact) < 4 * stderr)
    assert exact.min() > 0.2
    assert "mse_sd" not in result.arrays


def test_an_equation_is_the_named_model() -> None:
    named = loss_curve(points=41, samples=500, draws=2)
    own = loss_curve(points=41, samples=500, draws=2, model="y = cos(a*x1) + exp(b*x2)")
    np.testing.assert_allclose(own.arrays["mse"].values, named.arrays["mse"].values, rtol=1e-10, atol=1e-15)
    assert value(own, "basin_high") == pytest.approx(value(named, "basin_high"), abs=1e-9)
    assert "mse_exact" not in own.arrays
    assert any("closed form" in text for text in own.warnings)


def test_data_of_one_s_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 5, 400)
    file = tmp_path / "d.csv"
    np.savetxt(file, np.column_stack([x, np.cos(0.8 * x)]), delimiter=",", header="u,y", comments="")
    result = loss_curve(data=str(file), model="y = cos(f*u)")
    assert value(result, "minimum") == pytest.approx(0.8, abs=1e-9)
    assert result.arrays["ridge"].values.shape == (1,)
    with pytest.raises(ExperimentError, match=r"held = \{g = …\}"):
        loss_curve(data=str(file), model="y = cos(f*u)+g")


def test_a_frequency_of_zero_or_below() -> None:
    mirrored = loss_curve(frequency=-B, alpha_min=-2.0, alpha_max=0.0, draws=3)
    assert value(mirrored, "basin_high") == 0.0
    assert value(mirrored, "basin_low") == pytest.approx(
        -float(np.median(default().arrays["ridge"].values[:3])), abs=1e-9
    )
    flat = loss_curve(frequency=0.0, alpha_min=-2.0, draws=2)
    assert value(flat, "basin_low") == pytest.approx(-value(flat, "basin_high"), abs=1e-6)


def test_what_goes_wrong_is_said() -> None:
    for params, what in (
        ({"alpha_min": 3.0}, "below alpha_max"),
        ({"parameter": "q"}, "no parameter of the model"),
        ({"held": {"q": 1.0}}, "no parameter of the model"),
        ({"model": "exp", "parameter": "a"}, "no parameter of the model"),
    ):
        with pytest.raises(ParameterErrors, match=what):
            loss_curve(**params)
    few = loss_curve(samples=1, draws=2)
    assert np.isfinite(few.arrays["mse"].values).all()
    roots = loss_curve(model="sqrt+exp", draws=1, samples=100)
    assert any("left out" in text for text in roots.warnings)
    assert any("negative" in text for text in roots.warnings)


def test_figures_draw_what_is_there() -> None:
    result = default()
    assert {figure.name for figure in result.figures} == {"loss", "basin", "ripple"}
    arrays = result.values()
    for figure in result.figures:
        for layer in figure.layers:
            if not isinstance(layer, Rule):
                assert resolve(layer.x, arrays).size > 1


def test_partial_results_and_cancelling() -> None:
    class Kept(Silent):
        results: list[Result] = []  # noqa: RUF012

        def partial(self, result: Result) -> None:
            self.results.append(result)

    ctx = Context("cos-fit/loss-curve", recorder=Kept())
    compute(LossCurveParams.check({"draws": 3, "samples": 500}), ctx)
    assert Kept.results
    assert "mse" in Kept.results[0].arrays
    stopped = Context("cos-fit/loss-curve")
    stopped.cancel()
    with pytest.raises(CancelledError):
        compute(LossCurveParams(), stopped)
