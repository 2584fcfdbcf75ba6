"""fields: zeros and values of G and S² against closed forms and independent numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tui_opt
from tui_opt.experiments.datapoints import System
from tui_opt.figure import resolve
from tui_opt.result import Result


def fields(**params: object) -> Result:
    return tui_opt.run("probability-current", "fields", **params)


def zeros(result: Result, field: str) -> list[tuple[float, object]]:
    return [(float(w), stable) for name, w, stable, *_ in result.tables["zeros"].rows if name == field]


# W: G, S² of the two-datapoint pair, by an independent program.
PAIR = {
    0.0: (-0.07326256, 0.0), 0.8: (-0.93493940, 0.13418505), 0.9: (-4.33482843, 13.533528),
    0.95: (-4.59128780, 15.163266), 1.0: (-0.73575888, 0.0), 1.15: (0.75557565, 2.4995242),
    1.2: (-0.47735510, 0.13418505), 3.0: (0.73575888, 0.0),
}  # fmt: skip


def test_fields_of_the_pair() -> None:
    result = fields(w_min=0.0, w_max=3.0, cells=61)
    w = result.arrays["w"].values
    for place, (gradient, variance) in PAIR.items():
        i = int(np.argmin(np.abs(w - place)))
        assert result.arrays["G"].values[i] == pytest.approx(gradient, abs=1e-7)
        assert result.arrays["S2"].values[i] == pytest.approx(variance, abs=1e-6)
    np.testing.assert_allclose(result.arrays["S"].values ** 2, result.arrays["S2"].values, rtol=1e-14)


def test_zeros_of_the_pair_and_the_only_place_of_rest() -> None:
    result = fields()
    found = zeros(result, "G")
    assert [stable for _, stable in found] == [True, False, True]
    np.testing.assert_allclose([w for w, _ in found], [1.0074533, 1.1743102, 2.0], atol=1e-7)
    assert [w for w, _ in zeros(result, "S2")] == [pytest.approx(1.0, abs=1e-12)]
    assert result.findings["rest_points"].value == 1
    assert result.findings["rest_w"].value == pytest.approx(2.0, abs=1e-9)
    assert result.findings["S2_at_restless"].value == pytest.approx(0.549379, abs=1e-6)
    # S² = 1e4 x² exp(-200 x²) has its maximum 50/e at x = 1/sqrt(200).
    assert result.findings["S2_max"].value == pytest.approx(50 / np.e, rel=1e-12)
    assert abs(result.findings["S2_max_w"].value - 1) == pytest.approx(200**-0.5, abs=1e-6)
    values = result.values()
    for figure in result.figures:
        for layer in figure.layers:
            if layer.kind == "line":
                assert resolve(layer.y, values).shape == (2000,)


def test_linear_gradients_have_closed_fields() -> None:
    result = fields(gradients=["1.2*W-2", "0.8*W-2"], w_min=-3.0, w_max=3.0)
    w = result.arrays["w"].values
    np.testing.assert_allclose(result.arrays["G"].values, w - 2, atol=1e-14)
    np.testing.assert_allclose(result.arrays["S2"].values, 0.04 * w**2, atol=1e-14)
    assert zeros(result, "S2") == [(pytest.approx(0.0, abs=1e-12), None)]
    assert result.findings["validity"].value == pytest.approx(0.02 * 1.2)


def test_variance_of_three_datapoints_vanishes_only_where_all_agree() -> None:
    gradients = ["W", "W+W*(W-1)*(W+1)", "W+W*(W-1)^2"]
    places = [w for w, _ in zeros(fields(gradients=gradients, w_min=-2.0, w_max=2.5), "S2")]
    np.testing.assert_allclose(places, [0.0, 1.0], atol=1e-9)


@pytest.mark.parametrize("gradients", [["1", "-1"], ["W"], ["W", "W"]])
def test_no_zeros_of_the_variance_where_it_is_constant(gradients: list[str]) -> None:
    result = fields(gradients=gradients)
    assert zeros(result, "S2") == []
    assert result.findings["S2_max"].value == (1.0 if gradients == ["1", "-1"] else 0.0)


def test_population_variance_does_not_grow_with_the_number_of_datapoints() -> None:
    pair = ["W+1", "W-1"]
    assert fields(gradients=pair * 8).findings["S2_max"].value == pytest.approx(1.0)


def test_growth_of_the_variance_levels_off() -> None:
    losses = [f"-exp(-(W-{2 + 0.3 * math.cos(7 * k):.6f})^2)" for k in range(16)]
    result = fields(losses=losses)
    means = result.arrays["S2_of_first"].values
    assert means.shape == (16,)
    assert means[0] == pytest.approx(0.0, abs=1e-30)
    w = result.arrays["w"].values
    by_hand = System.from_texts(losses[:8]).gradient_variance(w).mean()
    assert means[7] == pytest.approx(by_hand, rel=1e-9)
    assert result.findings["S2_growth"].value == pytest.approx(means[15] / means[7], rel=1e-12)
    subsets = result.arrays["S2_of_subsets"].values
    assert subsets[15] == means[15]
    assert subsets[1] == pytest.approx(means[15] * 0.5 / (15 / 16))
    assert "does not grow" in result.findings["S2_growth"].text


@pytest.mark.parametrize("count", [1, 2, 3])
def test_growth_needs_datapoints_to_compare(count: int) -> None:
    assert "S2_growth" not in fields(gradients=[f"W+{k}" for k in range(count)]).findings
