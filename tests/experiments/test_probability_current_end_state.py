"""end-state: closed laws, references of an independent program, Monte Carlo, and what goes wrong."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest

import tui_opt
from tui_opt.errors import CancelledError, ExperimentError
from tui_opt.experiments.probability_current.end_state import compute
from tui_opt.experiments.probability_current.params import EndStateParams
from tui_opt.figure import resolve
from tui_opt.result import Result
from tui_opt.runner.context import Context, Silent

ALL = ["operator", "ito", "stratonovich", "fick", "sme2"]
LINEAR = ["1.2*W-2", "0.8*W-2"]
X = "(min(W,0)+max(W,0)/2)"


def end_state(**params: Any) -> Result:
    return tui_opt.run("probability-current", "end-state", **{"walkers": 0, **params})


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def curve(result: Result, name: str) -> np.ndarray:
    return result.arrays[name].values


# --- the third example: closed laws -----------------------------------------------------------------------------


@cache
def third_example() -> Result:
    return end_state(
        gradients=LINEAR, temperature=0.5, barrier="none", models=ALL, compare=[1.9, 2.3], walkers=20_000
    )


# mean and standard deviation of inverse gamma laws with beta = 200 and alpha = 101, 100, 99.
INVERSE_GAMMA = {
    "ito": (2.0, 2 / math.sqrt(99)),
    "stratonovich": (200 / 99, 200 / 99 / math.sqrt(98)),
    "fick": (200 / 98, 200 / 98 / math.sqrt(97)),
}


@pytest.mark.parametrize("model", INVERSE_GAMMA)
@pytest.mark.parametrize("cells", [100, 333, 4000])
def test_finite_volumes_have_the_inverse_gamma_law(model: str, cells: int) -> None:
    result = end_state(gradients=LINEAR, temperature=0.5, barrier="none", models=[model], cells=cells)
    mean, sd = INVERSE_GAMMA[model]
    assert value(result, f"stationary_mean_{model}") == pytest.approx(mean, abs=1e-5)
    assert value(result, f"stationary_sd_{model}") == pytest.approx(sd, abs=1e-5)


def test_the_exact_law_is_a_cascade() -> None:
    result = third_example()
    assert value(result, "stationary_mean_operator") == pytest.approx(2.0, abs=1e-9)
    assert value(result, "stationary_sd_operator") == pytest.approx(math.sqrt(2 / 37), abs=1e-9)
    assert value(result, "exact_sd") == pytest.approx(math.sqrt(2 / 37), abs=1e-12)
    assert (value(result, "support_min"), value(result, "support_max")) == pytest.approx((5 / 3, 5 / 2))
    assert value(result, "dimension") == pytest.approx(0.971395, abs=1e-6)
    np.testing.assert_allclose(curve(result, "compare_cdf_exact"), [0.408435, 0.864902], atol=1e-6)
    ends = end_state(
        gradients=LINEAR, temperature=0.5, barrier="none", models=["operator"], compare=[1.8, 2.2]
    )
    np.testing.assert_allclose(curve(ends, "compare_cdf_exact"), [0.25, 0.75], atol=1e-12)
    assert value(result, "ks_operator") < 2e-3
    at_two = np.interp(2.0, curve(result, "w_edge"), curve(result, "cdf_exact"))
    assert at_two == pytest.approx(0.5, abs=1e-3)
    for level in (1, 2, 4, 8):
        widths = np.diff(curve(result, f"cascade_w_{level}"))
        assert widths.size == 2**level
        np.testing.assert_allclose(widths * curve(result, f"cascade_{level}"), 2.0**-level, rtol=1e-9)


def test_distances_to_the_singular_law() -> None:
    result = third_example()
    for model, distance in (("ito", 0.112), ("stratonovich", 0.140), ("fick", 0.166)):
        assert value(result, f"ks_{model}") == pytest.approx(distance, abs=5e-4)
    assert value(result, "distance_ito") == pytest.approx(0.049, abs=5e-4)
    assert "Ito" in result.findings["closest_ks"].text


def test_other_temperatures_have_their_closed_moments() -> None:
    for temperature in (0.1, 0.3, 0.8):
        result = end_state(gradients=LINEAR, temperature=temperature, barrier="none", models=["operator"])
        a = 0.5 * ((1 - 1.2 * temperature) ** 2 + (1 - 0.8 * temperature) ** 2)
        variance = (4 * temperature**2 + 8 * temperature * (1 - temperature)) / (1 - a) - 4
        assert value(result, "stationary_mean_operator") == pytest.approx(2.0, abs=1e-8)
        assert value(result, "stationary_sd_operator") == pytest.approx(math.sqrt(variance), abs=1e-6)


def test_walkers_agree_with_the_third_example() -> None:
    result = third_example()
    assert abs(value(result, "mean_z_operator")) < 4
    assert abs(value(result, "sd_z_operator")) < 4
    assert value(result, "ks_monte_carlo") < 1.95 / math.sqrt(20_000)
    assert value(result, "unsettled") < 1e-12
    away = curve(result, "cdf_monte_carlo") - curve(result, "cdf_exact")
    assert np.abs(away).max() < 1.95 / math.sqrt(20_000)


# --- the pit ----------------------------------------------------------------------------------------------------

# T: mean, sd of the quasi-stationary law, by Ulam's method, Ito's and Stratonovich's diffusion.
PIT = {
    0.001: {
        "operator": (1.007461, 0.001771), "ito": (1.007460, 0.001725), "stratonovich": (1.007853, 0.001863),
    },
    0.005: {"operator": (1.007542, 0.005282), "ito": (1.007524, 0.004464)},
    0.01: {"operator": (1.008401, 0.017229)},
}  # fmt: skip


@cache
def pit(temperature: float, cells: int = 1500) -> Result:
    return end_state(temperature=temperature, models=ALL, cells=cells)


@pytest.mark.parametrize(
    ("temperature", "cells"), [(0.001, 1500), (0.005, 1500), (0.005, 4000), (0.01, 1500)]
)
def test_quasi_stationary_laws_in_the_pit(temperature: float, cells: int) -> None:
    result = pit(temperature, cells)
    for model, (mean, sd) in PIT[temperature].items():
        assert value(result, f"stationary_mean_{model}") == pytest.approx(mean, abs=1e-5)
        assert value(result, f"stationary_sd_{model}") == pytest.approx(sd, abs=1e-5)


def test_ito_is_right_and_stratonovich_is_not() -> None:
    cold = pit(0.001, 4000)
    assert value(cold, "ks_ito") == pytest.approx(0.014, abs=5e-4)
    assert value(cold, "ks_stratonovich") == pytest.approx(0.092, abs=1e-3)
    assert "Ito" in cold.findings["closest_ks"].text
    # A step moves the mean of W by -T E[G], so a law that rests has E[G] = 0 at any temperature.
    for temperature in (0.001, 0.005):
        result = pit(temperature, 4000)
        assert abs(value(result, "mean_gradient_operator")) < 1e-6
        assert abs(value(result, "mean_gradient_ito")) < 1e-5
        assert value(result, "mean_gradient_stratonovich") > 0.03
        assert value(result, "mean_gradient_fick") > 2 * value(result, "mean_gradient_stratonovich")


def test_distances_shrink_with_temperature_for_ito_alone() -> None:
    colder = end_state(temperature=0.0002, models=["operator", "ito", "stratonovich"], cells=1500)
    # To first order both distances go like √T; Stratonovich's stays six times as large.
    assert value(colder, "ks_ito") < 0.3 * value(pit(0.001), "ks_ito")
    assert value(colder, "ks_stratonovich") > 0.4 * value(pit(0.001), "ks_stratonovich")


# T: ln(rate of Ito over rate of the chain), one over Ito's rate.
RATES = {0.002: (26.77, None), 0.003: (17.81, None), 0.005: (10.60, 2.148e8), 0.01: (4.42, 4.61e4)}


@pytest.mark.parametrize("temperature", RATES)
def test_no_diffusion_escapes_at_the_right_rate(temperature: float) -> None:
    ratio, time = RATES[temperature]
    result = pit(temperature)
    assert value(result, "log_rate_ratio_ito") == pytest.approx(ratio, abs=0.02)
    if time is not None:
        assert 1 / value(result, "escape_rate_ito") == pytest.approx(time, rel=2e-3)
    assert "none of them has the right rate" in result.findings["closest_rate"].text


def test_rates_of_the_chain() -> None:
    # One over the mean first-passage step of an independent program, where the pit is deep.
    for temperature, steps in ((0.003, 6.67e20), (0.005, 8.64e12), (0.01, 3.819e6)):
        assert 1 / value(pit(temperature), "escape_rate_operator") == pytest.approx(steps, rel=5e-3)
    assert 1 / value(end_state(temperature=0.02), "escape_rate_operator") == pytest.approx(132.2, rel=1e-3)
    assert math.exp(value(pit(0.005), "log_escape_rate_ito")) == pytest.approx(
        value(pit(0.005), "escape_rate_ito")
    )


def test_rates_below_the_smallest_double_are_known_by_their_logarithm() -> None:
    result = end_state(temperature=0.00015, models=["operator"], cells=1000)
    assert value(result, "escape_rate_operator") == 0.0
    assert value(result, "log_escape_rate_operator") == pytest.approx(-0.132359 / 0.00015, rel=0.02)


def test_walkers_escape_at_the_rate_of_the_chain() -> None:
    result = end_state(temperature=0.02, models=["operator"], walkers=20_000, steps=300)
    rate = result.findings["escape_rate_monte_carlo"]
    assert rate.stderr is not None
    assert abs(rate.value - value(result, "escape_rate_operator")) < 4 * rate.stderr
    for name in ("mean_z_operator", "sd_z_operator", "rate_z_operator"):
        assert abs(value(result, name)) < 4
    assert value(result, "ks_monte_carlo") < 0.02


def test_the_exit_may_lie_to_the_left() -> None:
    mirrored = end_state(
        losses=["-exp(-(W+2)^2)", "-exp(-(W+2)^2)-exp(-100*(W+1)^2)"],
        temperature=0.01,
        models=ALL,
        cells=1500,
    )
    for model in ALL:
        for name in (f"escape_rate_{model}", f"stationary_sd_{model}"):
            assert value(mirrored, name) == pytest.approx(value(pit(0.01), name), rel=1e-6)
        assert value(mirrored, f"stationary_mean_{model}") == pytest.approx(
            -value(pit(0.01), f"stationary_mean_{model}"), abs=1e-9
        )


# --- claims of the source ---------------------------------------------------------------------------------------


def wide_and_narrow(temperature: float, phi: float, **params: Any) -> Result:
    """A pit of width 1 on [-1, 0] and the same twice as wide on [0, 2]; Phi = 2 U / (T a²), a = 1."""
    u = phi * temperature / 2
    return end_state(
        losses=[f"-{u}*sin(pi*{X})^2+{X}", f"-{u}*sin(pi*{X})^2-{X}"], temperature=temperature, barrier="none",
        walls="reflecting", w_min=-1, w_max=2, compare=[1, -0.5], **{"models": ALL, "cells": 1500, **params},
    )  # fmt: skip


@pytest.mark.parametrize(("temperature", "phi"), [(0.02, 2.0), (0.02, 1.0), (0.01, 1.5)])
def test_a_minimum_twice_as_wide(temperature: float, phi: float) -> None:
    result = wide_and_narrow(temperature, phi)
    expected = {"ito": math.log(4), "stratonovich": math.log(2), "fick": 0.0}
    for model, factor in expected.items():
        assert value(result, f"log_density_ratio_{model}") == pytest.approx(3 * phi + factor, abs=2e-4)
    # The chain: a step of finite length adds some T Phi² / 6 to Ito's exponent.
    away = value(result, "log_density_ratio_operator") - 3 * phi - math.log(4)
    assert 0 < away < 0.25 * temperature * phi**2


def test_it_does_not_depend_on_the_cells() -> None:
    coarse = wide_and_narrow(0.02, 2.0, models=["operator"], cells=1500)
    fine = wide_and_narrow(0.02, 2.0, models=["operator"], cells=4000)
    name = "log_density_ratio_operator"
    assert value(coarse, name) == pytest.approx(value(fine, name), abs=1e-3)


def test_low_variance_attracts_by_its_inverse() -> None:
    """G = 0 everywhere: Ito's law is 1/S², Stratonovich's 1/S, Fick's uniform; and SGD's is Ito's."""
    result = end_state(
        gradients=["1+0.5*sin(pi*W)", "-1-0.5*sin(pi*W)"], temperature=0.01, barrier="none",
        walls="reflecting", w_min=0, w_max=2, compare=[1.5, 0.5], models=ALL, cells=1500,
    )  # fmt: skip
    for model, power in (("operator", 2), ("ito", 2), ("stratonovich", 1), ("fick", 0), ("sme2", 2)):
        ratio = value(result, f"log_density_ratio_{model}")
        assert ratio == pytest.approx(power * math.log(3), abs=1e-3)
    # Means of S² under 1/S^k over its mean 9/8: (3/4)^(3/2), √3/2 and 1.
    assert value(result, "variance_ratio_operator") == pytest.approx(0.75**1.5 / 1.125, abs=1e-3)
    assert value(result, "variance_ratio_stratonovich") == pytest.approx(
        1 / 1.125 * math.sqrt(0.75), abs=1e-3
    )
    assert value(result, "variance_ratio_fick") == pytest.approx(1.0, abs=1e-6)


def test_the_remedy_of_small_steps_makes_stratonovich_right() -> None:
    """The exact flow of one datapoint at a time is coloured noise: its limit is Stratonovich's equation."""
    result = end_state(
        gradients=LINEAR, temperature=0.02, substeps=0, barrier="none", models=["operator", "ito", "stratonovich"],
        cells=1000,
    )  # fmt: skip
    assert value(result, "ks_stratonovich") < 0.15 * value(result, "ks_ito")
    mean = value(result, "stationary_mean_operator")
    # W' = 5/3 + (W - 5/3) e^(-1.2 T) or 5/2 + (W - 5/2) e^(-.8 T).
    r, ends = np.exp([-1.2 * 0.02, -0.8 * 0.02]), np.array([5 / 3, 5 / 2])
    assert mean == pytest.approx((ends * (1 - r)).mean() / (1 - r.mean()), abs=1e-9)
    assert mean == pytest.approx(value(result, "stationary_mean_stratonovich"), abs=1e-5)


# --- shape of the answer, accuracy, and what goes wrong -----------------------------------------------------------


def test_densities_integrate_to_one_and_are_never_negative() -> None:
    for result in (pit(0.005), third_example()):
        widths = np.diff(curve(result, "w_edge"))
        for model in ALL:
            density = curve(result, f"density_{model}")
            assert (density * widths).sum() == pytest.approx(1, abs=1e-12)
            assert density.min() >= 0
            assert value(result, f"mass_error_{model}") < 1e-12
            assert np.all(np.diff(curve(result, f"cdf_{model}")) >= 0)


def test_accuracy_is_what_halving_the_cells_says() -> None:
    fine, coarse = pit(0.005, 4000), pit(0.005, 1500)
    for model in ALL:
        change = abs(value(fine, f"stationary_mean_{model}") - value(coarse, f"stationary_mean_{model}"))
        assert change <= 1.1 * value(coarse, f"grid_error_{model}") + 1e-12
        assert value(fine, f"rate_error_{model}") < value(coarse, f"rate_error_{model}") < 1e-3


def test_figures_can_be_drawn() -> None:
    names = {"densities", "distribution", "tail", "cascade"}
    for result, expected in ((third_example(), names), (pit(0.005), names - {"cascade"})):
        assert {figure.name for figure in result.figures} == expected
        arrays = {name: array.values for name, array in result.arrays.items()}
        for figure in result.figures:
            for layer in figure.layers:
                if layer.kind == "line":
                    assert resolve(layer.x, arrays).shape == resolve(layer.y, arrays).shape
                if layer.kind == "histogram":
                    assert resolve(layer.edges, arrays).size == resolve(layer.counts, arrays).size + 1


def test_temperatures_beyond_diffusions_are_warned_of() -> None:
    assert any("outside their domain" in w for w in pit(0.005).warnings)
    assert pit(0.001, 4000).warnings == []
    assert end_state(temperature=0.005, models=["operator"]).warnings == []


def test_an_end_state_that_is_a_point_is_said_to_be_one() -> None:
    result = end_state(temperature=0.02, barrier="none", models=["operator", "ito"])
    assert value(result, "stationary_mean_operator") == pytest.approx(2.0, abs=1e-3)
    assert any("the end state is a point" in w for w in result.warnings)
    assert "closest_ks" not in result.findings


@pytest.mark.parametrize(
    ("up", "down", "substeps", "sinking"),
    [
        # g = a W or -a W and a wall at 1: ln W walks, for plain steps downwards, for exact flows without a drift.
        ("W", "-W", 1, {"operator", "ito", "stratonovich", "sme2"}),
        ("W", "-W", 0, {"operator", "ito", "stratonovich", "sme2"}),
        # The mean of ln|1 - T g'| is above 0: a law of finite width.
        ("W", "-1.2*W", 1, set()),
    ],
)
def test_laws_that_are_points_at_a_zero_of_the_noise_are_said_to_be(
    up: str, down: str, substeps: int, sinking: set[str]
) -> None:
    result = end_state(
        gradients=[up, down], temperature=0.1, substeps=substeps, barrier="none", walls="reflecting", start=0.5,
        w_min=0, w_max=1, cells=200, models=ALL, walkers=3000, steps=400,
    )  # fmt: skip
    said = " ".join(w for w in result.warnings if "W = 0" in w)
    names = {"operator": "exact chain's law on cells", "ito": "Ito", "stratonovich": "Stratonovich",
             "fick": "Fick", "sme2": "second-order"}  # fmt: skip
    assert {model for model, name in names.items() if name in said} == sinking
    assert ("closest_ks" in result.findings) == ("operator" not in sinking)


def test_walkers_that_cells_cannot_show_are_said_to_be_elsewhere() -> None:
    # Almost all of the mass is nearer to 0 than any cell, whose chain lets more of it come back than does.
    result = end_state(
        gradients=["W", "-W"], temperature=0.1, barrier="none", walls="reflecting", start=0.5, w_min=0, w_max=1,
        cells=200, models=["operator"], walkers=3000, steps=2000,
    )  # fmt: skip
    assert any("Trust the walkers" in w for w in result.warnings)


def test_walkers_that_have_not_settled_are_said_to_have_not() -> None:
    result = wide_and_narrow(0.02, 2.0, models=["operator"], walkers=3000, steps=100)
    assert any("Take more steps" in w for w in result.warnings)
    assert abs(value(result, "mean_z_operator")) < 4


WRONG = [
    ({"gradients": LINEAR}, "no pit.*barrier to none"),
    ({"gradients": LINEAR, "temperature": 3.0, "barrier": "none"}, "farther and farther"),
    ({"barrier": 1.3, "w_max": 1.2}, "outside the cells"),
    ({"start": 1.5}, "beyond the barrier"),
    ({"start": 1.2, "barrier": 1.2}, "both 1.2"),
    ({"start": 0.5, "w_min": 0.9}, "start W = 0.5 lies outside the cells"),
    ({"barrier": "none", "start": 9.0, "w_min": 0, "w_max": 3}, "lies outside the cells"),
    ({"barrier": "none", "walls": "reflecting"}, "give both"),
    ({"gradients": ["1", "-1"], "barrier": "none"}, "no minimum"),
    ({"gradients": ["1", "-1"], "barrier": "none", "start": 0.0}, "farther and farther"),
    ({"gradients": ["1", "-1"], "barrier": "none", "w_min": -1, "w_max": 1}, "leave the cells"),
    ({"compare": [1.0, 5.0]}, "outside the cells"),
    ({"temperature": 2.0}, "no barrier at temperature"),
]


@pytest.mark.parametrize(("params", "words"), WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_what_cannot_be_answered_is_said(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ExperimentError, match=words):
        end_state(**{"models": ["operator"], "cells": 400, **params})


def test_a_model_without_a_law_does_not_take_the_others_with_it() -> None:
    # Without noise in common places mass ends in two of them, by shares that no diffusion knows.
    result = end_state(
        losses=["-exp(-4*W^2)-exp(-4*(W-3)^2)"], temperature=0.1, barrier="none", w_min=-1, w_max=4, start=0.1,
        models=["operator", "ito"], cells=400,
    )  # fmt: skip
    assert value(result, "stationary_mean_operator") == pytest.approx(0.0, abs=0.02)
    assert math.isnan(value(result, "stationary_mean_ito"))
    assert any("separate places" in w for w in result.warnings)


def test_the_same_with_any_number_of_threads() -> None:
    params = EndStateParams(temperature=0.02, cells=400, walkers=5000, steps=60, models=("operator",))
    one, four = (compute(params, Context("end-state", seed=3, threads=n)) for n in (1, 4))
    for name, found in one.findings.items():
        np.testing.assert_array_equal(found.value, four.findings[name].value)
    np.testing.assert_array_equal(curve(one, "cdf_monte_carlo"), curve(four, "cdf_monte_carlo"))


def test_it_can_be_cancelled() -> None:
    class Impatient(Silent):
        def partial(self, result: Result) -> None:
            ctx.cancel()

    ctx = Context("end-state", recorder=Impatient())
    with pytest.raises(CancelledError):
        compute(EndStateParams(walkers=10_000_000), ctx)
