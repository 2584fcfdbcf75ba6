"""evolve: closed moments, exact transport and published-precision references for every model, and what goes wrong."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest

import tui_opt
from tui_opt.errors import CancelledError, ExperimentError
from tui_opt.experiments.probability_current.evolve import compute
from tui_opt.experiments.probability_current.params import EvolveParams
from tui_opt.figure import resolve
from tui_opt.kernels.laws import TruncatedNormal
from tui_opt.result import Result
from tui_opt.runner.context import Context, Silent

ALL = ["operator", "ito", "stratonovich", "fick", "sme2"]
LINEAR = ["1.2*W-2", "0.8*W-2"]


def evolve(**params: Any) -> Result:
    return tui_opt.run("probability-current", "evolve", **{"walkers": 0, "starts": [], **params})


def curve(result: Result, name: str) -> np.ndarray:
    return result.arrays[name].values


def integral(result: Result, model: str) -> np.ndarray:
    w = curve(result, "w")
    return curve(result, f"density_{model}").sum(axis=1) * (w[1] - w[0])


# --- the source's three validations -------------------------------------------------------------------------


@cache
def drift_only() -> Result:
    return evolve(
        losses=["-exp(-(W-2)^2)-0.5*exp(-100*(W-1)^2)"], models=["operator", "ito", "sme2"], cells=4000
    )


# t: mean, sd of N(.5,.175) | W >= 0 moved by gradient descent at T = 0.02, by quantiles.
TRANSPORTED = {
    0: (0.501181, 0.173300), 10: (0.581246, 0.215340), 30: (0.744271, 0.246098), 50: (0.867548, 0.217052),
    100: (0.983986, 0.102017), 200: (1.007369, 0.009418),
}  # fmt: skip


def test_without_noise_the_operator_transports_the_law() -> None:
    result = drift_only()
    for t, (mean, sd) in TRANSPORTED.items():
        i = int(np.flatnonzero(curve(result, "t") == t)[0])
        assert curve(result, "mean_operator")[i] == pytest.approx(mean, abs=2e-5)
        assert curve(result, "sd_operator")[i] == pytest.approx(sd, abs=2e-4)


@pytest.mark.parametrize(("model", "mean_bar", "sd_bar"), [("ito", 0.005, 0.0035), ("sme2", 0.0025, 0.002)])
def test_without_noise_the_flow_is_off_by_a_step(model: str, mean_bar: float, sd_bar: float) -> None:
    result = drift_only()
    assert 1e-4 < result.findings[f"mean_error_{model}"].value < mean_bar
    assert result.findings[f"sd_error_{model}"].value < sd_bar


@pytest.mark.parametrize(
    ("temperature", "sd", "steps", "cells"),
    [(0.02, 0.175, 100, 1500), (0.1, 1.0, 100, 333), (0.5, 0.175, 50, 1001), (0.02, 0.3, 10_000, 1500)],
)
def test_constant_noise_widens_the_law_by_t_squared_a_step(
    temperature: float, sd: float, steps: int, cells: int
) -> None:
    result = evolve(
        gradients=["1", "-1"], temperature=temperature, initial_mean=2.0, initial_sd=sd, initial_min="none",
        models=ALL, steps=steps, output_every=max(10, steps // 10), cells=cells,
    )  # fmt: skip
    exact = sd**2 + temperature**2 * curve(result, "t")
    for model in ALL:
        assert result.findings[f"mass_error_{model}"].value < 1e-12
        np.testing.assert_allclose(curve(result, f"sd_{model}") ** 2, exact, rtol=0, atol=1e-10)
        np.testing.assert_allclose(curve(result, f"mean_{model}"), 2.0, rtol=0, atol=1e-10)


@cache
def third_example() -> Result:
    return evolve(gradients=LINEAR, temperature=0.5, steps=50, output_every=1, models=ALL)


def closed_moments(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """m' = m/2 + 1, M2' = .26 M2 + m + 1 from N(.5, .175) | W >= 0."""
    mean, sd = TruncatedNormal(0.5, 0.175, 0.0).moments
    m, second = [mean], [sd**2 + mean**2]
    for _ in range(steps):
        second.append(0.26 * second[-1] + m[-1] + 1)
        m.append(0.5 * m[-1] + 1)
    return np.array(m), np.sqrt(np.array(second) - np.array(m) ** 2)


def test_linear_datapoints_have_closed_moments() -> None:
    mean, sd = closed_moments(50)
    np.testing.assert_allclose(curve(third_example(), "mean_operator"), mean, rtol=0, atol=1e-4)
    np.testing.assert_allclose(curve(third_example(), "sd_operator"), sd, rtol=0, atol=1e-4)


def test_a_general_linear_pair_keeps_its_moments_too() -> None:
    slopes, offsets, temperature, steps = np.array([2.1, 0.4, 1.0]), np.array([1.0, -0.5, 0.2]), 0.3, 20
    texts = [f"{a}*W+{b}" for a, b in zip(slopes, offsets, strict=True)]
    result = evolve(
        gradients=texts, temperature=temperature, steps=steps, output_every=1, models=["operator"],
        initial_mean=-1.0, initial_sd=0.4, initial_min="none",
    )  # fmt: skip
    factor, shift = 1 - temperature * slopes, -temperature * offsets
    m, second = -1.0, 1.16
    for i in range(steps):
        second = np.mean(factor**2) * second + 2 * np.mean(factor * shift) * m + np.mean(shift**2)
        m = np.mean(factor) * m + np.mean(shift)
        assert curve(result, "mean_operator")[i + 1] == pytest.approx(m, abs=1e-4)
        assert curve(result, "sd_operator")[i + 1] == pytest.approx(math.sqrt(second - m * m), abs=1e-4)


def test_models_end_at_their_own_stationary_laws() -> None:
    ends = {
        "ito": (2.0, 0.2010076),
        "stratonovich": (2.0202020, 0.2040712),
        "fick": (2.0408163, 0.2072135),
        "operator": (2.0, math.sqrt(2 / 37)),
    }
    for model, (mean, sd) in ends.items():
        assert third_example().findings[f"final_mean_{model}"].value == pytest.approx(mean, abs=2e-4)
        assert third_example().findings[f"final_sd_{model}"].value == pytest.approx(sd, abs=2e-4)


# --- the original system, where the source gave up ----------------------------------------------------------

# T: t: mean, sd of 200,000 walkers of an independent program.
WALKED = {
    0.02: {10: (0.5831, 0.2206), 50: (0.9145, 0.2758), 100: (1.195, 0.3405), 200: (1.5968, 0.4286)},
    0.1: {10: (1.087, 0.551), 50: (1.975, 0.157)},
    0.5: {10: (1.936, 1.929), 50: (1.898, 1.874), 200: (1.864, 1.812)},
}


@pytest.mark.parametrize("temperature", WALKED)
def test_the_original_system_at_any_temperature(temperature: float) -> None:
    result = evolve(temperature=temperature, models=["operator"])
    scale = 4.0 if temperature > 0.1 else 1.0
    for t, (mean, sd) in WALKED[temperature].items():
        i = int(np.flatnonzero(curve(result, "t") == t)[0])
        assert curve(result, "mean_operator")[i] == pytest.approx(mean, abs=scale * 4e-3)
        assert curve(result, "sd_operator")[i] == pytest.approx(sd, abs=scale * 4e-3)
    assert result.findings["min_density_operator"].value >= 0
    assert result.findings["mass_error_operator"].value < 1e-12


@pytest.mark.parametrize("scheme", ["tr-bdf2", "backward-euler"])
def test_diffusions_stay_densities_where_an_explicit_scheme_blows_up(scheme: str) -> None:
    result = evolve(temperature=0.1, models=ALL[1:], scheme=scheme, steps=20, cells=600)
    for model in ALL[1:]:
        assert result.findings[f"min_density_{model}"].value >= 0
        assert result.findings[f"mass_error_{model}"].value < 1e-12
        np.testing.assert_allclose(integral(result, model), 1.0, atol=1e-12)
    assert result.findings["validity"].value == pytest.approx(19.93, abs=0.02)
    assert any("outside their domain" in sentence for sentence in result.warnings)


def test_inside_the_domain_ito_follows_the_chain_and_nothing_is_warned_of() -> None:
    result = evolve(gradients=["W-1", "W+1"], temperature=0.01, models=["operator", "ito"], steps=200)
    assert result.findings["mean_error_ito"].value < 0.002
    assert result.findings["sd_error_ito"].value < 0.002
    assert result.warnings == []


def test_walkers_agree_with_the_operator_and_do_not_depend_on_threads() -> None:
    document = {"temperature": 0.05, "models": ["operator"], "walkers": 30_000, "steps": 60}
    params = EvolveParams.check(document)
    one = compute(params, Context("probability-current/evolve", seed=3, threads=1))
    two = compute(params, Context("probability-current/evolve", seed=3, threads=2))
    np.testing.assert_array_equal(curve(one, "mean_monte_carlo"), curve(two, "mean_monte_carlo"))
    np.testing.assert_array_equal(curve(one, "density_monte_carlo"), curve(two, "density_monte_carlo"))
    assert one.findings["mean_z_operator"].value < 4.5
    assert one.findings["sd_z_operator"].value < 4.5
    assert one.findings["mean_error_operator"].stderr > 0


# --- several small steps on one datapoint -------------------------------------------------------------------


def test_the_exact_flow_of_linear_gradients_has_closed_moments() -> None:
    temperature = 0.5
    result = evolve(
        gradients=LINEAR, temperature=temperature, substeps=0, steps=20, output_every=1, models=["operator"]
    )
    factor = np.exp(-temperature * np.array([1.2, 0.8]))
    shift = (1 - factor) * 2 / np.array([1.2, 0.8])
    mean, sd = TruncatedNormal(0.5, 0.175, 0.0).moments
    second = sd**2 + mean**2
    for i in range(20):
        second = np.mean(factor**2) * second + 2 * np.mean(factor * shift) * mean + np.mean(shift**2)
        mean = np.mean(factor) * mean + np.mean(shift)
        assert curve(result, "mean_operator")[i + 1] == pytest.approx(mean, abs=1e-4)
        assert curve(result, "sd_operator")[i + 1] == pytest.approx(math.sqrt(second - mean**2), abs=1e-4)


@pytest.mark.parametrize("substeps", [0, 20])
def test_small_steps_agree_with_their_walkers_where_one_step_is_thrown_away(substeps: int) -> None:
    result = evolve(temperature=0.5, substeps=substeps, walkers=5000, steps=10, models=["operator"])
    assert result.findings["mean_z_operator"].value < 4.5
    assert result.findings["sd_z_operator"].value < 4.5
    # Flows never pass a minimum: nothing is thrown to the plateaus, where one step would put it.
    assert curve(result, "w")[-1] < 2.1


# --- cells, figures, and what goes wrong --------------------------------------------------------------------


def test_cells_that_are_too_narrow_lose_mass_which_is_counted_and_said() -> None:
    result = evolve(
        temperature=0.5, w_min=-0.5, w_max=4.0, models=["operator", "ito"], steps=20, walkers=2000
    )
    outside = result.findings["outside_operator"].value
    assert outside > 0.01
    assert integral(result, "operator")[-1] == pytest.approx(1 - outside, abs=1e-12)
    assert result.findings["mass_error_operator"].value < 1e-12
    assert any("left the cells" in sentence for sentence in result.warnings)
    # Walkers go anywhere, the chain's mass is gone, a diffusion's is thrown back: they are compared before that.
    assert any("(ito) have walls" in sentence for sentence in result.warnings)
    for model in ("operator", "ito"):
        error = result.findings[f"sd_error_{model}"]
        assert error.text.endswith("to t = 0")
        assert error.value == pytest.approx(
            abs(curve(result, f"sd_{model}")[0] - curve(result, "sd_monte_carlo")[0]), abs=1e-12
        )


def test_cells_that_leave_out_a_part_of_the_initial_law_are_said_to() -> None:
    result = evolve(w_min=0.3, w_max=3.0, models=["operator"], steps=5, walkers=2000, initial_min="none")
    # Below 0.3 lies what is more than 0.2 / 0.175 standard deviations below the mean.
    assert any("hold 0.873" in sentence for sentence in result.warnings)
    assert "mean_z_operator" not in result.findings


def test_paths_descend_the_mean_gradient() -> None:
    result = evolve(starts=[0.0, 1.5], models=["operator"], steps=5)
    w = np.array([0.0, 1.5])
    for t in range(6):
        np.testing.assert_allclose(curve(result, "path")[:, t], w, atol=1e-14)
        pit = 100 * (w - 1) * np.exp(-100 * (w - 1) ** 2)
        w = w - 0.02 * (2 * (w - 2) * np.exp(-((w - 2) ** 2)) + pit)


def test_every_figure_draws_arrays_that_are_there() -> None:
    result = evolve(walkers=2000, models=["operator", "ito"], starts=[0.0, 2.0], cells=300)
    values = result.values()
    for figure in result.figures:
        for layer in figure.layers:
            x = resolve(layer.x, values)
            y = resolve(layer.y, values)
            if layer.kind == "heatmap":
                assert resolve(layer.z, values).shape == (y.size, x.size)
            else:
                assert x.shape == y.shape


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"w_min": 2.0, "w_max": 3.0}, "hold"),
        ({"w_min": 20.0}, "w_min must be below w_max"),
        (
            {"gradients": ["log(W)", "W"], "initial_min": "none", "initial_sd": 0.5, "models": ["ito"]},
            "ito cannot be set up",
        ),
    ],
)
def test_impossible_cells_are_a_sentence(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ExperimentError, match=words):
        evolve(**{"models": ["operator"], **params})


def test_wide_cells_do_not_spoil_the_chain() -> None:
    """Cells seven times as wide as those chosen by themselves, over places that no walker visits."""
    wide = evolve(temperature=0.1, models=["operator"], w_min=-10, w_max=12, cells=1500, steps=60)
    fine = evolve(temperature=0.1, models=["operator"], cells=8000, steps=60)
    for name, bar in (("mean_operator", 2e-3), ("sd_operator", 4e-3)):
        np.testing.assert_allclose(curve(wide, name), curve(fine, name), rtol=0, atol=bar)


def test_a_model_that_cannot_be_set_up_does_not_take_the_others_with_it() -> None:
    result = evolve(
        gradients=["log(W)", "W"], initial_min="none", initial_sd=0.5, steps=10, models=["ito", "operator"]
    )
    assert math.isnan(result.findings["final_mean_ito"].value)
    assert any("ito cannot be set up" in sentence for sentence in result.warnings)
    assert "density_ito" not in result.arrays
    assert 0 < result.findings["final_mean_operator"].value < 1


def test_a_law_that_all_leaves_and_a_single_walker_are_said_in_words() -> None:
    result = evolve(
        losses=["-W"], temperature=10.0, models=["operator", "ito"], walkers=1, w_min=-1, w_max=2, steps=40,
    )  # fmt: skip
    assert "no mass is left" in result.findings["final_mean_operator"].text
    assert "not walkers enough" in result.findings["sd_error_operator"].text
    assert result.findings["outside_operator"].value == pytest.approx(1.0)


def test_diverging_walkers_are_cut_off_and_said() -> None:
    result = evolve(losses=["W^4"], temperature=5.0, initial_mean=2.0, models=["operator"], steps=20)
    assert any("diverge" in sentence for sentence in result.warnings)
    # Only at the start is the law in the cells, and T g' = 60 W² counts there, not where they were cut.
    assert 60 * (2 + 6 * 0.175) ** 2 < result.findings["validity"].value < 60 * (2 + 8 * 0.175) ** 2
    assert "hold all but 1e-09 of every law" in result.findings["validity"].text
    assert 60 * curve(result, "w")[-1] ** 2 > 1e5


class Stopped(Context):
    """Counts looks, and is cancelled at the first one after `looks`."""

    def __init__(self, looks: float, **rest: Any) -> None:
        super().__init__("probability-current/evolve", **rest)
        self.looks = looks
        self.seen = 0

    def check(self) -> None:
        self.seen += 1
        if self.seen > self.looks:
            raise CancelledError


class Memory(Silent):
    """A checkpoint that outlives its context."""

    def __init__(self) -> None:
        self.kept: dict[str, np.ndarray] = {}

    def load_checkpoint(self):
        return dict(self.kept)

    def save_checkpoint(self, arrays):
        self.kept = dict(arrays)


def test_walkers_that_were_stopped_go_on_to_the_same_numbers() -> None:
    params = EvolveParams.check({"models": ["operator"], "walkers": 20_000, "steps": 100, "cells": 200})
    counted = Stopped(math.inf)
    whole = compute(params, counted)
    memory = Memory()
    stopped = Stopped(counted.seen - 20, recorder=memory)
    with pytest.raises(CancelledError):
        compute(params, stopped)
    stopped.checkpoint.flush()
    kept = sum(name.startswith("walkers/") for name in memory.kept)
    assert 0 < kept < 40
    resumed = compute(params, Context("probability-current/evolve", recorder=memory))
    np.testing.assert_array_equal(curve(whole, "mean_monte_carlo"), curve(resumed, "mean_monte_carlo"))
