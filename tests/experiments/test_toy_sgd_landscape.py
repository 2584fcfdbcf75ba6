"""landscape: stationary points to rounding, curves against closed forms, odd losses."""

from __future__ import annotations

import numpy as np
import pytest

import tui_opt
from tui_opt.figure import resolve
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.scenario_file import ScenarioFileError

WELL = "-exp(-(W-2)^2)"
DEEPER = [WELL, "-exp(-(W-2)^2)-2*exp(-100*(W-1)^2)"]


def landscape(**params: object) -> Result:
    return tui_opt.run("toy-sgd", "landscape", **params)


def points(result: Result, function: str) -> list[tuple[float, str]]:
    return [(row[1], row[2]) for row in result.tables["stationary_points"].rows if row[0] == function]


@pytest.mark.parametrize(
    ("losses", "function", "places"),
    [
        (None, "L", (1.0074533029, 1.1743101791, 2.0)),
        (None, "l1", (1.0036973969, 1.1959565137, 2.0)),
        (DEEPER, "L", (1.0036973969, 1.1959565137, 2.0)),
        (DEEPER, "l1", (1.0018434080, 1.2149222672, 2.0)),
    ],
)
def test_stationary_points_are_those_of_an_independent_solution(
    losses: list[str] | None, function: str, places: tuple[float, ...]
) -> None:
    result = landscape(**({} if losses is None else {"losses": losses}))
    found = points(result, function)
    assert [kind for _, kind in found] == ["minimum", "maximum", "minimum"]
    np.testing.assert_allclose([w for w, _ in found], places, rtol=0, atol=1e-9)
    assert result.findings["worst_gradient"].value < 1e-12


def test_depth_decides_which_minimum_is_the_global_one() -> None:
    assert landscape().findings["global_minimum"].value == pytest.approx(2.0, abs=1e-9)
    deeper = landscape(losses=DEEPER)
    assert deeper.findings["global_minimum"].value == pytest.approx(1.0036973969, abs=1e-9)
    np.testing.assert_allclose(deeper.arrays["stationary_loss"].values[0], -1.3692387, atol=1e-7)


def test_curves_are_the_closed_forms() -> None:
    result = landscape(points=301)
    w = result.arrays["w"].values
    well, pit = np.exp(-((w - 2) ** 2)), np.exp(-100 * (w - 1) ** 2)
    np.testing.assert_allclose(result.arrays["loss_terms"].values, [-well, -well - pit], atol=1e-15)
    np.testing.assert_allclose(result.arrays["loss"].values, -well - pit / 2, atol=1e-15)
    gradient = 2 * (w - 2) * well + 100 * (w - 1) * pit
    np.testing.assert_allclose(result.arrays["gradient"].values, gradient, atol=1e-13)
    variance = 1e4 * (w - 1) ** 2 * np.exp(-200 * (w - 1) ** 2)
    np.testing.assert_allclose(result.arrays["gradient_variance"].values, variance, atol=1e-12)


def test_three_datapoints() -> None:
    result = landscape(losses=["W^2/2", "(W-1)^2/2", "(W-5)^2/2"], w_min=-2, w_max=6, points=81)
    assert result.arrays["loss_terms"].dims == ("term", "w")
    assert points(result, "L") == [(pytest.approx(2.0, abs=1e-12), "minimum")]
    # Gradients W, W-1, W-5 everywhere differ by 0, 1, 5 from the first: population variance 14/3.
    np.testing.assert_allclose(result.arrays["gradient_variance"].values, 14 / 3, atol=1e-12)


def test_a_loss_without_a_minimum_says_so() -> None:
    result = landscape(losses=["W"])
    assert result.findings["minima"].value == 0
    missing = result.findings["global_minimum"]
    assert np.isnan(missing.value)
    assert missing.text == "The mean loss has no minimum on the interval."
    assert "stationary_w" not in result.arrays


def test_values_that_are_not_finite_are_counted() -> None:
    result = landscape(losses=["log(W)^2"], w_min=-1.0, w_max=3.0, points=5)
    assert [w for w in result.warnings if w.startswith("2 of 5 loss values are not finite")]


def test_an_empty_interval_is_refused() -> None:
    with pytest.raises(ScenarioFileError, match="must be below w_max"):
        landscape(w_min=2.0, w_max=1.0)


@pytest.mark.parametrize("losses", [[WELL], DEEPER, ["W"], ["W^2"] * 9])
def test_figures_draw_arrays_that_are_there(losses: list[str]) -> None:
    result = landscape(losses=losses, points=51)
    assert {figure.name for figure in result.figures} == {"landscape", "fields"}
    for figure in result.figures:
        for layer in figure.layers:
            if layer.kind == "line":
                assert resolve(layer.x, result.values()).shape == resolve(layer.y, result.values()).shape


def test_a_kink_is_a_minimum_without_a_curvature() -> None:
    result = landscape(losses=["abs(W-0.3)+0.1*W^2"])
    table = result.tables["stationary_points"]
    row = next(row for row in table.rows if row[0] == "L")
    assert row[1] == pytest.approx(0.3, abs=1e-14)
    assert row[2] == "minimum"
    assert row[3] == pytest.approx(0.009, abs=1e-14)
    assert row[4] is None
    assert "kink" in table.title
    assert result.findings["global_minimum"].value == pytest.approx(0.3, abs=1e-14)
    assert "kink" not in landscape().tables["stationary_points"].title


def test_a_pole_is_named_and_hides_no_minimum() -> None:
    loss = f"{WELL}-exp(-100*(W-1)^2)+0.001/(W-0.9)"
    result = landscape(losses=[WELL, loss], w_min=-10.0, w_max=10.0)
    assert [
        text for text in result.warnings if "l1 grows without bound at W = 0.9 (a pole or a cusp)" in text
    ]
    assert not [text for text in result.warnings if "gradient of l0" in text]
    assert [kind for w, kind in points(result, "l1") if 0.95 < w < 2.5] == ["minimum", "maximum", "minimum"]


def test_a_wide_interval_loses_no_minimum() -> None:
    found = points(landscape(losses=["W^8-W^2"], w_min=-1000.0, w_max=1000.0), "L")
    place = 4 ** (-1 / 6)
    assert [kind for _, kind in found] == ["minimum", "maximum", "minimum"]
    np.testing.assert_allclose([w for w, _ in found], [-place, 0, place], rtol=0, atol=1e-12)


def test_a_search_with_thousands_of_points_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Exception):
        pass

    calls = []

    def check(ctx: Context) -> None:
        calls.append(ctx)
        if len(calls) == 40:
            raise Stop

    monkeypatch.setattr(Context, "check", check)
    with pytest.raises(Stop):
        landscape(losses=["sin(1000*W)"], points=51)
