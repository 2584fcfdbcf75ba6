"""Stationary points: reference values of the two-datapoint pair, and the hard cases of a sampled search."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tui_opt.kernels.stationary import Pit, StationaryPoint, minima, sharpest_pit, stationary_points


def pair_gradients(w, depth=1.0):
    g0 = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    return np.stack([g0, g0 + 200 * depth * (w - 1) * np.exp(-100 * (w - 1) ** 2)])


def pair_curvatures(w, depth=1.0):
    c0 = (2 - 4 * (w - 2) ** 2) * np.exp(-((w - 2) ** 2))
    return np.stack([c0, c0 + 200 * depth * (1 - 200 * (w - 1) ** 2) * np.exp(-100 * (w - 1) ** 2)])


def of_term(term, depth=1.0, low=-30.0, high=30.0):
    if term == "L":
        return stationary_points(
            lambda w: pair_gradients(w, depth).mean(axis=0),
            lambda w: pair_curvatures(w, depth).mean(axis=0),
            low,
            high,
        )
    return stationary_points(
        lambda w: pair_gradients(w, depth)[term], lambda w: pair_curvatures(w, depth)[term], low, high
    )


@pytest.mark.parametrize(
    ("term", "depth", "places"),
    [
        (0, 1.0, [2.0]),
        (1, 1.0, [1.0036973969, 1.1959565137, 2.0]),
        ("L", 1.0, [1.0074533029, 1.1743101791, 2.0]),
        (1, 2.0, [1.0018434080, 1.2149222672, 2.0]),
        ("L", 2.0, [1.0036973969, 1.1959565137, 2.0]),
    ],
)
def test_pair_has_exactly_the_reference_points(term, depth, places):
    found = of_term(term, depth)
    assert [p.w for p in found] == pytest.approx(places, abs=1e-10)
    assert [p.kind for p in found] == ["minimum", "maximum", "minimum"][-len(places) :]


def test_curvatures_at_the_pit():
    assert of_term(1)[0].curvature == pytest.approx(198.4504, abs=1e-4)
    assert of_term("L")[0].curvature == pytest.approx(97.61656, abs=1e-5)


def test_sharpest_pit_is_the_narrow_well_with_its_way_out():
    pit = sharpest_pit(of_term("L"))
    assert pit is not None
    assert (pit.w, pit.maximum, pit.other) == pytest.approx((1.0074533029, 1.1743101791, 2.0), abs=1e-9)
    assert sharpest_pit(of_term(0)) is None


def test_pit_with_the_exit_on_the_left():
    mirrored = stationary_points(
        lambda w: -pair_gradients(-w).mean(axis=0), lambda w: pair_curvatures(-w).mean(axis=0), -5, 5
    )
    pit = sharpest_pit(mirrored)
    assert isinstance(pit, Pit)
    assert pit.w > pit.maximum > pit.other


def test_narrow_well_in_a_wide_interval():
    found = stationary_points(
        lambda w: 2e4 * (w - 1.0123) * np.exp(-1e4 * (w - 1.0123) ** 2) + 0.1,
        lambda w: 2e4 * (1 - 2e4 * (w - 1.0123) ** 2) * np.exp(-1e4 * (w - 1.0123) ** 2),
        -5,
        5,
    )
    assert [p.kind for p in found] == ["maximum", "minimum"]
    assert all(abs(p.w - 1.0123) < 0.04 for p in found)


def test_touching_zero_is_an_inflection():
    found = stationary_points(lambda w: 3 * (w - 0.123) ** 2, lambda w: 6 * (w - 0.123), -1, 2)
    assert [(p.kind, p.w) for p in found] == [("inflection", pytest.approx(0.123, abs=1e-9))]


def test_two_zeros_between_two_nodes():
    # The grid spacing is 0.5, the zeros are 1e-3 apart.
    found = stationary_points(lambda w: (w - 0.2) ** 2 - 2.5e-7, lambda w: 2 * (w - 0.2), -1, 1, points=5)
    assert [p.w for p in found] == pytest.approx([0.1995, 0.2005], abs=1e-12)
    assert [p.kind for p in found] == ["maximum", "minimum"]


def test_zeros_on_grid_nodes_and_ends():
    found = stationary_points(np.sin, np.cos, 0.0, 2 * np.pi, points=5)
    assert [p.w for p in found[:2]] == pytest.approx([0, np.pi], abs=1e-12)
    assert [p.kind for p in found[:2]] == ["minimum", "maximum"]
    cubic = stationary_points(lambda w: w**3 - w, lambda w: 3 * w**2 - 1, -2, 2, points=5)
    assert [(p.w, p.kind) for p in cubic] == [(-1, "minimum"), (0, "maximum"), (1, "minimum")]


def test_flat_and_noisy_plateaus_give_no_points():
    assert stationary_points(lambda w: 0 * w, lambda w: 0 * w, -1, 1) == []
    # Rounding noise of 1 + tiny - 1 around zero on both sides of one well.
    noisy = stationary_points(
        lambda w: (1 + 2 * w * np.exp(-(w**2))) - 1 + 1e-17 * np.sin(1e6 * w),
        lambda w: (2 - 4 * w**2) * np.exp(-(w**2)),
        -20,
        20,
    )
    assert [p.kind for p in noisy] == ["minimum"]
    assert noisy[0].w == pytest.approx(0, abs=1e-12)


def test_pole_and_missing_domain():
    assert stationary_points(lambda w: 1 / w, lambda w: -1 / w**2, -1, 1.1) == []
    # L = W log W - W/2 is not defined for W < 0; its minimum is at exp(-1/2).
    found = stationary_points(lambda w: np.log(w) + 0.5, lambda w: 1 / w, -1, 3)
    assert [p.w for p in found] == pytest.approx([np.exp(-0.5)], abs=1e-12)


def test_flat_minimum_of_high_order_is_one_point():
    found = stationary_points(lambda w: (w - 0.1) ** 9, lambda w: 9 * (w - 0.1) ** 8, -10, 10)
    assert [p.kind for p in found] == ["minimum"]
    assert found[0].w == pytest.approx(0.1, abs=1e-9)


def test_bad_interval_is_refused():
    with pytest.raises(ValueError, match="w_min below w_max"):
        stationary_points(np.sin, np.cos, 2, 1)


@pytest.mark.parametrize("reach", [2.0, 30.0, 1e3, 1e6])
def test_a_derivative_that_is_huge_far_away_hides_nothing(reach):
    found = stationary_points(lambda w: 8 * w**7 - 2 * w, lambda w: 56 * w**6 - 2, -reach, reach)
    place = 4 ** (-1 / 6)
    assert [p.w for p in found] == pytest.approx([-place, 0, place], abs=1e-14)
    assert [p.kind for p in found] == ["minimum", "maximum", "minimum"]


def with_pole(w, pole, strength):
    return pair_gradients(w)[1] - strength / (w - pole) ** 2


def with_pole_curvature(w, pole, strength):
    return pair_curvatures(w)[1] + 2 * strength / (w - pole) ** 3


def test_a_pole_hides_nothing():
    found = stationary_points(
        lambda w: with_pole(w, 0.9, 1e-3), lambda w: with_pole_curvature(w, 0.9, 1e-3), -10, 10
    )
    assert [p.kind for p in found] == ["minimum", "maximum", "minimum", "maximum"]
    assert [p.w for p in found[:3]] == pytest.approx([1.0036973969, 1.1959565137, 2.0], abs=1e-3)
    for p in found:
        low, high = with_pole(p.w + np.array([-1e-7, 1e-7]), 0.9, 1e-3)
        assert low * high < 0


@settings(max_examples=examples(40))
@given(st.floats(3.0, 5000.0), st.floats(3.0, 5000.0), st.floats(6.0, 50.0), st.sampled_from([-1, 1]))
def test_points_survive_a_wider_interval_and_a_distant_pole(left, right, pole, side):
    found = stationary_points(
        lambda w: with_pole(w, side * pole, 1e-9),
        lambda w: with_pole_curvature(w, side * pole, 1e-9),
        -left,
        right,
    )
    near = [p for p in found if 0.5 < p.w < 2.5]
    assert [p.w for p in near] == pytest.approx([1.0036973969, 1.1959565137, 2.0], abs=1e-7)
    assert [p.kind for p in near] == ["minimum", "maximum", "minimum"]


@settings(max_examples=examples(60))
@given(st.floats(-0.9, 0.9), st.floats(0.01, 3.0), st.sampled_from([-1.0, 1.0]))
def test_a_kink_is_found_wherever_it_lies(place, bend, sign):
    # L = sign (|W - place| + bend (W - place)^2).
    found = stationary_points(
        lambda w: sign * (np.sign(w - place) + 2 * bend * (w - place)),
        lambda w: sign * (2 * bend + 0 * w),
        -1,
        5,
    )
    assert [p.w for p in found] == pytest.approx([place], abs=1e-14)
    assert found[0].kind == ("minimum" if sign > 0 else "maximum")
    assert np.isnan(found[0].curvature)


def test_a_pole_or_cusp_is_no_kink():
    for power in (0.5, 1.0, 3.0):
        found = stationary_points(
            lambda w, power=power: np.sign(w - 0.3) * np.abs(w - 0.3) ** -power,
            lambda w, power=power: -power * np.abs(w - 0.3) ** (-power - 1),
            -1,
            1.1,
        )
        assert found == []


def test_a_kink_is_the_sharpest_minimum():
    points = [
        StationaryPoint(0.0, "minimum", 5.0),
        StationaryPoint(1.0, "maximum", -1.0),
        StationaryPoint(2.0, "minimum", float("nan")),
    ]
    assert sharpest_pit(points) == Pit(2.0, 1.0, 0.0)
    assert minima(points) == [points[0], points[2]]


def test_huge_derivatives_do_not_overflow():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = stationary_points(lambda w: 1e300 * np.sinh(w), lambda w: 1e300 * np.cosh(w), -10, 11)
    assert [(p.w, p.kind) for p in found] == [(pytest.approx(0, abs=1e-15), "minimum")]


def test_thousands_of_points_and_a_check_between():
    calls = []
    found = stationary_points(
        lambda w: np.cos(1000 * w), lambda w: -1000 * np.sin(1000 * w), -1, 5, check=lambda: calls.append(1)
    )
    k = np.arange(-400, 2000)
    places = (k + 0.5) * np.pi / 1000
    places = places[(places > -1) & (places < 5)]
    assert [p.w for p in found] == pytest.approx(list(places), abs=1e-14)
    assert len(calls) > 30

    class Stop(Exception):
        pass

    def stop():
        raise Stop

    with pytest.raises(Stop):
        stationary_points(np.cos, np.sin, -1, 5, check=stop)


def test_a_quartic_has_no_curvature_even_where_rounding_blurs_it():
    found = stationary_points(lambda w: 4 * (w - 0.1) ** 3, lambda w: 12 * (w - 0.1) ** 2, -1, 3)
    assert [(p.kind, p.curvature) for p in found] == [("minimum", 0.0)]
    expanded = stationary_points(
        lambda w: 4 * w**3 - 12 * w**2 + 12 * w - 4, lambda w: 12 * w**2 - 24 * w + 12, -1.03, 3
    )
    assert [(p.w, p.kind) for p in expanded] == [(pytest.approx(1.0, abs=2e-5), "minimum")]
