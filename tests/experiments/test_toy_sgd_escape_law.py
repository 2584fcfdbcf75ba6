"""escape-law: exponents, slopes, and the temperatures at which a theory ends."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

import tui_opt
from tui_opt.errors import ExperimentError
from tui_opt.figure import resolve
from tui_opt.result import Result
from tui_opt.runner.in_memory import run_in_memory
from tui_opt.scenario_file import check_document

WELL = "-exp(-(W-2)^2)"
PAIR = (WELL, "-exp(-(W-2)^2)-exp(-100*(W-1)^2)")
DEEPER = (WELL, "-exp(-(W-2)^2)-2*exp(-100*(W-1)^2)")


def escape_law(**params: object) -> Result:
    return tui_opt.run("toy-sgd", "escape-law", **params)


@cache
def few(losses: tuple[str, ...] = PAIR) -> Result:
    return escape_law(losses=list(losses), temperature=[0.02, 0.025, 0.03], cells=500)


def plain_exponents(depth: float, pit: float, maximum: float) -> tuple[float, float]:
    """Both exponents for the well and the well with a pit of that depth, by library quadrature and root finding."""

    def gradients(w: float) -> tuple[float, float]:
        well = 2 * (w - 2) * math.exp(-((w - 2) ** 2))
        return well, well + 200 * depth * (w - 1) * math.exp(-100 * (w - 1) ** 2)

    def root(w: float) -> float:
        a, b = gradients(w)
        if a + b < 1e-9:
            return 0.0
        return float(brentq(lambda p: math.exp(-p * a) + math.exp(-p * b) - 2, 1e-9, 60 / abs(a)))

    def diffusion(w: float) -> float:
        a, b = gradients(w)
        return (a + b) / ((a - b) / 2) ** 2

    return quad(root, pit, maximum, limit=200)[0], quad(diffusion, pit, maximum, limit=200)[0]


@pytest.mark.parametrize(
    ("losses", "depth", "pit", "maximum"),
    [
        (PAIR, 1.0, 1.0074533029460346, 1.1743101790722748),
        (DEEPER, 2.0, 1.0036973969363094, 1.1959565136502514),
    ],
)
def test_exponents_are_those_of_plain_quadrature(
    losses: tuple[str, ...], depth: float, pit: float, maximum: float
) -> None:
    expected = plain_exponents(depth, pit, maximum)
    findings = few(losses).findings
    assert findings["barrier_exponent"].value == pytest.approx(expected[0], abs=1e-6)
    assert findings["kramers_exponent"].value == pytest.approx(expected[1], abs=1e-6)
    assert findings["exponent_error"].value < 1e-10


def test_exponents_of_the_source() -> None:
    findings = few().findings
    assert findings["barrier_exponent"].value == pytest.approx(0.132359, abs=1e-5)
    assert findings["kramers_exponent"].value == pytest.approx(0.0786413, abs=1e-7)


def test_a_deeper_pit_is_harder_to_leave_for_the_chain_and_easier_for_its_diffusion() -> None:
    plain, deeper = few().findings, few(DEEPER).findings
    assert deeper["barrier_exponent"].value > plain["barrier_exponent"].value
    assert deeper["kramers_exponent"].value < plain["kramers_exponent"].value


def test_stability_temperatures() -> None:
    findings = few().findings
    assert findings["stability_temperature"].value == pytest.approx(0.0100003, abs=5e-8)
    assert findings["stability_temperature_single"].value == pytest.approx(2 / 198.4504, abs=1e-8)
    assert findings["stability_temperature_mean"].value == pytest.approx(2 / 97.61656, abs=1e-8)
    # At W = 1 both datapoints agree; there the curvatures are -2/e and 200 - 2/e.
    a, b = (1 - findings["stability_temperature"].value * c for c in (-2 / math.e, 200 - 2 / math.e))
    assert math.log(abs(a)) + math.log(abs(b)) == pytest.approx(0, abs=1e-9)


def test_cold_local_slopes_fall_to_the_exponent() -> None:
    temperature = [0.002, 0.0022, 0.0024, 0.0036, 0.0038, 0.0054, 0.0056]
    log_mean = escape_law(temperature=temperature, cells=2000).arrays["log_mean_escape_steps"].values
    inverse = 1 / np.array(temperature)
    slopes = np.diff(log_mean) / np.diff(inverse)
    between = {0.0022: slopes[0], 0.0037: slopes[3], 0.0055: slopes[5]}
    assert between[0.0022] == pytest.approx(0.1346, abs=4e-4)
    assert between[0.0037] == pytest.approx(0.1361, abs=4e-4)
    assert between[0.0055] == pytest.approx(0.1382, abs=1e-3)
    assert 0.13236 < between[0.0022] < between[0.0037] < between[0.0055]


def test_cold_means_beyond_the_linear_system() -> None:
    expected = {0.002: 3.79e30, 0.003: 6.67e20, 0.004: 8.106e15}
    result = escape_law(temperature=list(expected))
    np.testing.assert_allclose(
        np.exp(result.arrays["log_mean_escape_steps"].values), list(expected.values()), rtol=0.005
    )


@pytest.mark.slow
def test_means_too_large_for_a_double_keep_their_logarithm() -> None:
    """ln(mean steps) - dV/T grows slowly as T falls (4.2 at 0.002, 6 at 0.0002), so the logarithm itself is known."""
    result = escape_law(temperature=[0.00016], cells=2000)
    log_mean = result.arrays["log_mean_escape_steps"].values[0]
    assert log_mean == pytest.approx(0.132359 / 0.00016 + 6.5, rel=0.005)
    assert any("exceeds the largest double" in text for text in result.warnings)


def test_over_the_closeups_one_over_t_beats_t() -> None:
    means = {0.01: 3.819e6, 0.011: 4.878e5, 0.013: 1.901e4, 0.014: 6217, 0.015: 2520, 0.02: 141.6}
    y = np.log(list(means.values()))
    result = escape_law(temperature=list(means), cells=2000)
    for name, x in (("r2_linear", np.array(list(means))), ("r2_inverse", 1 / np.array(list(means)))):
        assert result.findings[name].value == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, abs=1e-3)
    assert result.findings["r2_inverse"].value > 0.99 > 0.92 > result.findings["r2_linear"].value
    slope = np.polyfit(1 / np.array(list(means)), y, 1)[0]
    assert result.findings["slope_inverse_temperature"].value == pytest.approx(slope, abs=1e-3)
    assert [row[0] for row in result.tables["fits"].rows] == ["T", "ln T", "1/T", "1/T²"]


def test_means_are_those_of_escape() -> None:
    law = escape_law(temperature=[0.01, 0.02, 0.05], cells=1000)
    direct = tui_opt.run(
        "toy-sgd", "escape", temperature=[0.01, 0.02, 0.05], steps=[1], method="operator", cells=1000
    )
    np.testing.assert_allclose(
        np.exp(law.arrays["log_mean_escape_steps"].values),
        direct.arrays["mean_escape_steps"].values,
        rtol=1e-9,
    )


@pytest.mark.parametrize("scale", [3.0])
def test_exponents_scale_like_temperature(scale: float) -> None:
    scaled = escape_law(
        losses=[text.replace("W", f"(W/{scale})") for text in PAIR],
        temperature=[t * scale**2 for t in (0.02, 0.025, 0.03)],
        cells=500,
        w_min=-30,
        w_max=30,
    )
    plain = few()
    for name in (
        "barrier_exponent",
        "kramers_exponent",
        "stability_temperature",
        "slope_inverse_temperature",
    ):
        assert scaled.findings[name].value == pytest.approx(scale**2 * plain.findings[name].value, rel=1e-6)


def test_a_mirrored_pit_has_the_same_law() -> None:
    mirrored = few(tuple(text.replace("W", "(-W)") for text in PAIR))
    for name in (
        "barrier_exponent",
        "kramers_exponent",
        "stability_temperature",
        "slope_inverse_temperature",
    ):
        assert mirrored.findings[name].value == pytest.approx(few().findings[name].value, rel=1e-7)


def test_a_single_well_is_refused_in_words() -> None:
    with pytest.raises(ExperimentError, match="There is no pit to escape from"):
        escape_law(losses=[WELL])


def test_a_pit_nobody_pushes_out_of_has_an_infinite_exponent() -> None:
    losses = ["-exp(-(W-2)^2)-exp(-100*(W-1)^2)", "-1.5*exp(-(W-2)^2)-1.5*exp(-100*(W-1)^2)"]
    result = escape_law(losses=losses, start=1.0, barrier=1.2, temperature=[0.001, 0.002], cells=200)
    assert result.findings["barrier_exponent"].value == math.inf
    assert "no datapoint pushes outward" in result.findings["barrier_exponent"].text
    assert np.isnan(result.arrays["log_mean_escape_steps"].values).all()


def test_temperatures_without_an_answer_are_left_out_with_the_reason() -> None:
    result = escape_law(temperature=[0.02, 0.5, 3.0], cells=500)
    log_mean = result.arrays["log_mean_escape_steps"].values
    assert np.isfinite(log_mean[0])
    assert np.isnan(log_mean[1:]).all()
    assert any(text.startswith("T = 0.5: A fraction 0.0312") for text in result.warnings)
    assert any(text.startswith("T = 3 is left out.") for text in result.warnings)


def test_without_a_pit_numbers_for_start_and_barrier_are_enough_for_the_means() -> None:
    losses = ["(W-1)^2/2", "(W+1)^2/2"]
    result = escape_law(losses=losses, start=0.0, barrier=0.9, temperature=[0.1, 0.2], cells=500)
    assert np.isfinite(result.arrays["log_mean_escape_steps"].values).all()
    assert math.isnan(result.findings["barrier_exponent"].value)
    assert "no pit" in result.findings["barrier_exponent"].text


def test_results_do_not_depend_on_threads_or_on_the_order_of_temperatures() -> None:
    def run(temperature: list[float], threads: int) -> bytes:
        document = {
            "scenario": "toy-sgd",
            "experiment": "escape-law",
            "params": {"temperature": temperature, "cells": 500},
        }
        result = run_in_memory(check_document(document, "test"), threads)
        return result.arrays["log_mean_escape_steps"].values.tobytes()

    assert run([0.01, 0.02, 0.03], 1) == run([0.01, 0.02, 0.03], 2) == run([0.03, 0.01, 0.02], 2)


@pytest.mark.parametrize("temperature", [[0.02], [0.02, 0.03], [0.02, 0.5]])
def test_figures_draw_arrays_that_are_there(temperature: list[float]) -> None:
    result = escape_law(temperature=temperature, cells=200)
    assert [figure.name for figure in result.figures] == ["law", "slope"][: len(temperature)]
    for figure in result.figures:
        for layer in figure.layers:
            if layer.kind != "rule":
                assert resolve(layer.x, result.values()).shape == resolve(layer.y, result.values()).shape


@pytest.mark.slow
def test_the_cold_means_have_settled_in_the_number_of_cells() -> None:
    means = [
        math.exp(escape_law(temperature=[0.005], cells=cells).arrays["log_mean_escape_steps"].values[0])
        for cells in (4000, 8000, 16_000)
    ]
    assert means[2] == pytest.approx(8.64e12, rel=0.003)
    assert means[0] == pytest.approx(means[2], rel=0.005)
    assert abs(means[2] - means[1]) < abs(means[2] - means[0])


def test_a_line_through_two_temperatures_is_not_called_a_law() -> None:
    result = escape_law(temperature=[0.02, 0.03, 0.02], cells=200)
    assert result.arrays["temperature"].values.tolist() == [0.02, 0.03]
    for name in ("slope_inverse_temperature", "r2_linear", "r2_inverse"):
        assert math.isnan(result.findings[name].value)
        assert "fewer than 3" in result.findings[name].text
