"""basin: the noise, the probability to return, the stability limit, and what is said where nothing returns."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tui_opt.experiments.landscape_5x5.basin import compute, noises
from tui_opt.experiments.landscape_5x5.basin_report import Stability, Trials, report
from tui_opt.experiments.landscape_5x5.params import BasinParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.kernels.networks.hessians import hessian, largest_curvature
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import loss_and_gradient
from tui_opt.kernels.networks.scaling import scaled, smallest
from tui_opt.problems import ParameterErrors
from tui_opt.runner.context import Context
from tui_opt.runner.machine import kernel_cache
from tui_opt.scenario import registry

SMALL = {"layers": 2, "width": 3, "heights": [1.0], "trials": 64, "steps": 400, "learning_rate": 0.02}
SMALL |= {"factors": [0.9, 1.3], "nearby_steps": 2000, "polish": 100}
STABLE = Stability(10.0, 9.0, 0.38, [])


@pytest.fixture(scope="module")
def kernels() -> Path | None:
    return kernel_cache()  # one for all tests


def params(**given: object) -> BasinParams:
    return BasinParams.check({**SMALL, **given})


def context(kernels: Path | None = None, threads: int = 1) -> Context:
    return Context("landscape-5x5/basin", seed=1, threads=threads, kernels=kernels)


def test_noise_has_norms_spread_evenly_and_no_direction() -> None:
    asked = params(trials=2000, noise_max=2.0)
    noise = noises(asked, 22, context())
    norms = np.linalg.norm(noise, axis=1)
    assert norms.max() < 2.0
    counts, _ = np.histogram(norms, 8, (0, 2))
    assert np.square(counts - 250).sum() / 250 < 24.3  # chi-squared with 7 degrees of freedom, 1 in 1000
    mean = (noise / norms[:, None]).mean(axis=0)
    assert np.abs(mean).max() < 4.5 / math.sqrt(2000 * 22)
    assert np.array_equal(noises(params(trials=20), 22, context()), noise[:20])


def test_a_small_network_returns_from_nearby(kernels: Path | None) -> None:
    result = compute(params(), context(kernels, threads=2))
    noise, loss = (result.arrays[name].values for name in ("noise", "loss"))
    assert result.findings["return_fraction"].value == np.mean(loss < 1e-3)
    assert loss[noise < 0.2].max() < loss[noise > 1.5].max()
    fit = result.findings["half_distance"]
    assert 0 < fit.value < 2
    at = np.interp(fit.value, result.arrays["distance"].values, result.arrays["return_probability"].values)
    assert at == pytest.approx(0.5, abs=0.03)
    assert result.findings["loss_below_limit"].value < 1e-9 < result.findings["loss_above_limit"].value
    assert result.arrays["loss_polished"].values.shape == (64,)
    assert result.findings["return_fraction_polished"].value >= result.findings["return_fraction"].value
    declared = registry().scenario("landscape-5x5").experiment("basin")
    assert set(result.findings) <= set(declared.findings)
    assert set(result.arrays) <= set(declared.arrays)


def test_the_curvature_is_what_power_iteration_on_gradients_finds() -> None:
    """At a perfect fit the gradient a small way along v is the Hessian of that side times v."""
    task = Task.of(BasinParams())
    assert task.built is not None
    centre = smallest(task.layout, task.built[None])[0]
    rng, found = np.random.default_rng(0), []
    for _ in range(6):
        v = rng.standard_normal(centre.size)
        for _ in range(60):
            v /= np.linalg.norm(v)
            before = v
            v = loss_and_gradient(task.layout, centre + 1e-6 * v, task.x, task.y)[1] / 1e-6
        found.append(float(before @ v))
    curvature, _ = largest_curvature(task.layout, centre, task.x, task.y)
    assert max(found) == pytest.approx(curvature, rel=1e-4)
    assert curvature == pytest.approx(1886.64, abs=0.01)


def test_at_kinks_rounding_would_decide_the_hessian() -> None:
    """The same network, its norm smallest to 1e-15, scaled in two ways: plain Hessians differ by percents."""
    task = Task.of(BasinParams())
    assert task.built is not None
    rng, largest = np.random.default_rng(0), []
    for _ in range(4):
        begin = scaled(task.layout, task.built[None], rng.normal(0, 0.3, (1, 5, 5)))
        centre = smallest(task.layout, begin)[0]
        assert np.linalg.norm(centre) == pytest.approx(12.063942029668, rel=1e-12)
        pairs = zip(task.x, task.y, strict=True)
        # With a residual of 1/2 the gradient of one sample's squared error is that of its output.
        rows = np.array(
            [loss_and_gradient(task.layout, centre, np.array([x]), np.array([y - 0.5]))[1] for x, y in pairs]
        )
        largest.append(float(np.linalg.eigvalsh(2 * rows.T @ rows / task.x.size)[-1]))
        off = float(np.linalg.eigvalsh(hessian(task.layout, centre, task.x, task.y))[-1])
        assert off == pytest.approx(1845.2, abs=0.1)
        assert largest_curvature(task.layout, centre, task.x, task.y)[0] == pytest.approx(1886.64, abs=0.01)
    assert max(largest) - min(largest) > 5
    assert all(1845 < one < 1910 for one in largest)


def test_where_nothing_returns_it_is_said() -> None:
    asked = params(polish=0)
    noise = np.linspace(0, 2, 64)
    away = Trials(noise, np.full(64, 0.1), np.ones(64), np.empty(0))
    result = report(asked, away, STABLE, 12.0, Layout(2, 3).size)
    assert math.isnan(result.findings["half_distance"].value)
    assert "zero at every distance" in result.findings["half_distance"].text
    assert not result.arrays["return_probability"].values.any()
    few = Trials(
        noise, np.where(np.arange(64) % 9 == 1, 0.0, 0.1) + 0.05 * (noise > 1.5), np.ones(64), np.empty(0)
    )
    nowhere = report(asked, few, STABLE, 12.0, 22)
    assert nowhere.findings["half_distance"].text.startswith("fewer than half of the trials return")
    assert all(str(row[-1]) == "nan" for row in nowhere.tables["thresholds"].rows)
    lost = (np.arange(64) % 9 == 1) & (noise > 1.0)
    most = Trials(noise, np.where(lost, 0.05, 0.0), np.ones(64), np.empty(0))
    continued = report(asked, most, STABLE, 12.0, 22).findings["half_distance"]
    assert continued.value > asked.noise_max
    assert "the fit is only continued" in continued.text
    all_back = Trials(noise, np.zeros(64), np.ones(64), np.empty(0))
    assert "all trials returned" in report(asked, all_back, STABLE, 12.0, 22).findings["half_distance"].text
    parted = Trials(noise, np.where(noise < 1.0, 0.0, 1.0), np.ones(64), np.empty(0))
    assert report(asked, parted, STABLE, 12.0, 22).findings["half_distance"].value == pytest.approx(
        1.0, abs=0.04
    )
    diverged = Trials(noise, np.full(64, np.inf), np.ones(64), np.empty(0))
    assert np.isnan(report(asked, diverged, STABLE, 12.0, 22).arrays["lowess"].values).all()


def test_trials_that_diverged_are_counted_with_what_to_do(kernels: Path | None) -> None:
    asked = params(learning_rate=1e3, trials=16, factors=[])
    result = compute(asked, context(kernels))
    assert result.findings["diverged"].value == 16
    assert result.findings["diverged"].kind == "warning"
    assert result.warnings == ["16 of 16 trials diverged. Lower learning_rate, now 1000, or noise_max."]
    for name in ("loss_best", "loss_median"):
        assert result.findings[name].value == math.inf
        assert "diverged" in result.findings[name].text
    polished = compute(params(polish_rate=1e3, trials=16, factors=[]), context(kernels))
    said = "16 of 16 trials diverged in the small steps after training. Lower polish_rate, now 1000."
    assert polished.warnings == [said]
    assert polished.findings["diverged_polished"].value == 16
    assert math.isfinite(polished.findings["loss_median"].value)
    assert polished.findings["return_fraction_polished"].text == "trials below 0.001 after 100 small steps"
    once = report(params(polish=1), Trials(*np.zeros((4, 5))), STABLE, 12.0, 22)
    assert once.findings["return_fraction_polished"].text == "trials below 0.001 after 1 small step"
    declared = registry().scenario("landscape-5x5").experiment("basin").findings
    assert {*result.findings, *polished.findings} <= set(declared)


def test_of_trials_that_are_under_way_only_the_lost_ones_are_said_to_diverge() -> None:
    noise, nothing = np.linspace(0, 2, 4), np.empty(0)
    asked = params(polish=0, optimizer="adadelta", learning_rate="auto")
    loss = np.array([0.1, np.inf, np.nan, np.nan])
    result = report(asked, Trials(noise, loss, loss, nothing), STABLE, 12.0, 22)
    assert result.warnings == ["1 of 2 trials diverged. Lower learning_rate, now 1, or noise_max."]
    assert result.findings["diverged"].value == 1
    assert result.findings["loss_best"].text == "least loss after training"
    alone = report(asked, Trials(noise[:1], loss[1:2], loss[1:2], nothing), STABLE, 12.0, 22)
    assert alone.warnings == ["1 of 1 trial diverged. Lower learning_rate, now 1, or noise_max."]
    sound = report(asked, Trials(noise, np.ones(4), noise, nothing), STABLE, 12.0, 22)
    assert not sound.warnings
    assert "diverged" not in sound.findings


def test_adaptive_optimizers_have_no_limit(kernels: Path | None) -> None:
    result = compute(params(optimizer="adadelta", trials=16, steps=5, polish=0), context(kernels))
    assert math.isnan(result.findings["stability_limit"].value)
    assert result.findings["lambda_max"].value > 0


@pytest.mark.parametrize("given", [{"target": "x"}, {"data": "a.csv"}, {"width": 2}])
def test_only_the_built_network_has_a_basin(given: dict[str, object]) -> None:
    with pytest.raises(ParameterErrors, match="hand-built network"):
        params(**given)


@pytest.mark.slow
def test_the_paper_s_network_returns_from_a_third(kernels: Path | None) -> None:
    """Six times 512 trials give 0.334 ± 0.008: between a third and three eighths."""
    result = compute(BasinParams.check({"polish": 0}), context(kernels, threads=2))
    half = result.findings["half_distance"]
    assert half.stderr is not None
    assert half.stderr < 0.022
    assert half.value == pytest.approx(0.334, abs=3 * np.hypot(half.stderr, 0.008))
    assert result.findings["lambda_max"].value == pytest.approx(1886.64, abs=0.05)
    assert result.findings["loss_below_limit"].value < 1e-8 < result.findings["loss_above_limit"].value
    adadelta = BasinParams.check({"optimizer": "adadelta", "learning_rate": 1.0})
    assert compute(adadelta, context(kernels, threads=2)).findings["return_fraction"].value == 0.0
