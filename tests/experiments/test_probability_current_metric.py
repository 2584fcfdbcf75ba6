"""metric: closed coordinates and laws of linear datapoints, the pit of the original system, what has none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tui_opt
from tui_opt.errors import CancelledError, ExperimentError
from tui_opt.experiments.probability_current import METRIC
from tui_opt.experiments.probability_current.metric import compute
from tui_opt.experiments.probability_current.params import MetricParams
from tui_opt.figure import resolve
from tui_opt.result import Result
from tui_opt.runner.context import Context

LINEAR = ["1.2*W-2", "0.8*W-2"]


def metric(**params: Any) -> Result:
    return tui_opt.run("probability-current", "metric", **params)


def curve(result: Result, name: str) -> np.ndarray:
    return result.arrays[name].values


def found(result: Result, name: str) -> float:
    return result.findings[name].value


def test_the_third_example_in_closed_form() -> None:
    """S = 0.2 W: y = 5 ln(W/2), Phi = 25 (ln W + 2/W) + (T/2) ln W, and P is inverse gamma."""
    result = metric(gradients=LINEAR, temperature=0.5)
    w, y, potential = (curve(result, name) for name in ("w", "y", "potential"))
    np.testing.assert_allclose(y, 5 * np.log(w / 2), rtol=1e-10, atol=1e-12)
    expected = 25 * (np.log(w / 2) + 2 / w - 1) + 0.25 * np.log(w / 2)
    np.testing.assert_allclose(potential, expected, rtol=1e-9, atol=1e-9)
    assert found(result, "valid_from") == pytest.approx(0.0, abs=1e-12)
    assert found(result, "valid_to") == 4.0
    assert found(result, "length_below") == np.inf
    assert found(result, "length_above") == pytest.approx(5 * np.log(2), rel=1e-10)
    assert found(result, "mean") == pytest.approx(2.0, abs=1e-6)
    assert found(result, "sd") == pytest.approx(2 / np.sqrt(99), abs=1e-6)
    assert found(result, "law_error") < 1e-4
    density = np.exp(-102 * np.log(w / 2) - 200 / w)
    inside = curve(result, "density_w")
    np.testing.assert_allclose(inside, density / density.sum() / (w[1] - w[0]), atol=1e-4 * inside.max())


@pytest.mark.parametrize("temperature", [1e-6, 0.005, 0.1])
def test_the_law_of_the_pit_gets_narrow_as_it_gets_cold(temperature: float) -> None:
    """However wide the cells are: sd and mean shift by Laplace's method, to first order in T."""
    result = metric(temperature=temperature, cells=64)
    assert found(result, "valid_from") == pytest.approx(1.0, abs=1e-12)
    assert found(result, "origin_w") == pytest.approx(1.0074533029, abs=1e-9)
    if temperature < 1e-3:
        assert found(result, "sd") == pytest.approx(
            np.sqrt(temperature * 0.549379 / (2 * 97.61656)), rel=1e-3
        )
        assert found(result, "mean") == pytest.approx(1.0074533, abs=1e-7)
    if temperature == 0.005:
        # Ito's quasi-stationary law of the pit, by an independent program.
        assert found(result, "mean") == pytest.approx(1.007524, abs=1e-6)
        assert found(result, "sd") == pytest.approx(0.004464, abs=1.5e-6)


def test_the_number_of_cells_does_not_matter() -> None:
    coarse, fine = metric(cells=50), metric(cells=6000)
    for name in ("valid_from", "valid_to", "length_above", "mean", "sd"):
        assert found(coarse, name) == pytest.approx(found(fine, name), rel=1e-7)
    assert found(fine, "law_error") < found(coarse, "law_error")


def test_a_shift_and_a_stretch_of_the_parameter() -> None:
    """V = 3W + 1: g becomes g/3 as a function of V at T' = 9T, so S' = S/3, dV/S' = 9 dW/S, and Phi'/T' = Phi/T."""
    texts = ["1.2*W-2", "0.5*W+0.3*sin(W)-2"]
    moved = [f"({text.replace('W', '((W-1)/3)')})/3" for text in texts]
    one = metric(gradients=texts, temperature=0.1, w_min=0.5, w_max=4.0, origin=2.0, cells=200)
    two = metric(gradients=moved, temperature=0.9, w_min=2.5, w_max=13.0, origin=7.0, cells=200)
    np.testing.assert_allclose(curve(two, "y"), 9 * curve(one, "y"), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(curve(two, "potential"), 9 * curve(one, "potential"), rtol=1e-9, atol=1e-10)
    assert found(two, "mean") == pytest.approx(3 * found(one, "mean") + 1, rel=1e-9)
    assert found(two, "sd") == pytest.approx(3 * found(one, "sd"), rel=1e-8)


def test_constant_noise_has_a_normal_law() -> None:
    result = metric(gradients=["W+1", "W-1", "W+1", "W-1"], temperature=0.1, w_min=-3.0, w_max=3.0)
    np.testing.assert_allclose(curve(result, "y"), curve(result, "w"), atol=1e-12)
    np.testing.assert_allclose(curve(result, "potential"), 0.5 * curve(result, "w") ** 2, atol=1e-10)
    assert found(result, "sd") == pytest.approx(np.sqrt(0.05), rel=1e-9)
    assert found(result, "unit_variance_error") < 1e-9
    assert result.warnings == []


def test_places_far_away_are_infinite_or_said_to_be_out_of_reach() -> None:
    result = metric(places=[0.5, 1.0, 1.3, 1.8])
    y = curve(result, "place_y")
    assert list(y[:2]) == [-np.inf, -np.inf]
    assert y[2] == pytest.approx(5.2124426898, rel=1e-9)
    assert np.isnan(y[3])
    assert any("1 of 4 places" in sentence for sentence in result.warnings)


def test_a_law_that_all_drains_away_is_said_and_left_out() -> None:
    """S = W/2, G = 1.5 W: all of the mass ends at 0, where there is no noise."""
    result = metric(gradients=["W", "2*W"])
    assert "mean" not in result.findings
    assert "density_w" not in result.arrays
    assert any("cannot be integrated up to W = 0" in sentence for sentence in result.warnings)
    assert {figure.name for figure in result.figures} == {"coordinate", "potential"}


def test_a_law_that_reaches_the_walls_is_warned_of() -> None:
    result = metric(gradients=["1", "-1"])
    assert found(result, "mean") == pytest.approx(1.5)
    assert found(result, "wall_density") == pytest.approx(1.0)
    assert any("walls" in sentence for sentence in result.warnings)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"gradients": ["W"]}, "no two datapoints"),
        ({"gradients": ["sin(W)", "sin(W)", "sin(W)"]}, "no two datapoints"),
        ({"gradients": ["log(W)", "2*log(W)"], "w_min": -2.0, "w_max": -1.0}, "not finite"),
        ({"origin": 1.0}, "S² is 0 at the origin W = 1"),
        ({"origin": 7.0}, "outside"),
        ({"origin": 2.0}, "ends where it begins"),
        ({"gradients": ["1/W", "2/W"], "origin": 0.0}, "not finite at the origin"),
    ],
)
def test_what_has_no_coordinate_is_a_sentence(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ExperimentError, match=words):
        metric(**params)


@pytest.mark.parametrize(
    ("gradients", "ends"),
    [
        (["1/W", "2/W"], (0.0, 4.0)),
        (["sqrt(W)", "2*sqrt(W)"], (0.0, 4.0)),
        (["log(W)", "W"], (0.0, 4.0)),
        (["1/(W-0.5)^2", "W"], (-1.0, 0.5)),
        (["1/W", "1/W+1"], (0.0, 4.0)),
        (["W+abs(W)", "W-abs(W)"], (0.0, 4.0)),
    ],
)
def test_infinite_undefined_and_broken_gradients(gradients: list[str], ends: tuple[float, float]) -> None:
    result = metric(gradients=gradients, cells=200)
    assert (found(result, "valid_from"), found(result, "valid_to")) == pytest.approx(ends, abs=1e-9)
    for name in ("w", "y", "potential"):
        assert np.all(np.isfinite(curve(result, name)))
    assert np.all(np.diff(curve(result, "y")) > 0)
    assert found(result, "unit_variance_error") < 1e-4


@pytest.mark.parametrize(
    "gradients", [["1e200*W", "-1e200*W+1"], ["exp(W^4)", "-exp(W^4)"], ["W", "W+1e-14"]]
)
def test_extreme_numbers_give_a_result(gradients: list[str]) -> None:
    result = metric(gradients=gradients, w_min=-10.0, w_max=10.0, cells=100)
    assert found(result, "valid_from") < found(result, "valid_to")
    assert np.all(np.isfinite(curve(result, "y")))


@pytest.mark.parametrize("params", [{}, {"gradients": ["W", "2*W"]}, {"places": [1.05]}])
def test_names_are_declared_and_figures_draw_what_is_there(params: dict[str, Any]) -> None:
    result = metric(**params)
    assert set(result.findings) <= set(METRIC.findings)
    assert set(result.arrays) <= set(METRIC.arrays)
    assert set(METRIC.headline) <= set(METRIC.findings)
    values = result.values()
    for figure in result.figures:
        for layer in figure.layers:
            if layer.kind == "line":
                assert resolve(layer.x, values).shape == resolve(layer.y, values).shape
        assert figure.x.low is None or figure.x.low < figure.x.high


def test_places_outside_the_interval_are_a_problem_of_the_form() -> None:
    with pytest.raises(Exception, match="must lie between"):
        metric(places=[9.0])


def test_it_can_be_cancelled() -> None:
    class Stopped(Context):
        looks = 0

        def check(self) -> None:
            self.looks += 1
            if self.looks > 5:
                raise CancelledError

    with pytest.raises(CancelledError):
        compute(MetricParams.check({}), Stopped("probability-current/metric"))
