"""Descent: printed trajectories, asymptotic laws, and what the end of an orbit is."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.experiments.datapoints import System
from tui_opt.kernels.descent import (
    cobweb,
    gradient_descent,
    gradient_descent_at,
    multiplier,
    newton,
    optimal_temperature,
    orbit_end,
    steps_to_tolerance,
)
from tui_opt.kernels.mean_descent import descend


def well(w):
    return 2 * (w - 2) * np.exp(-((w - 2) ** 2))


def well_curvature(w):
    return (2 - 4 * (w - 2) ** 2) * np.exp(-((w - 2) ** 2))


def mean_gradient(w):
    return well(w) + 100 * (w - 1) * np.exp(-100 * (w - 1) ** 2)


def mean_curvature(w):
    return well_curvature(w) + 100 * (1 - 200 * (w - 1) ** 2) * np.exp(-100 * (w - 1) ** 2)


def end_of(gradient, curvature, start, temperature, steps):
    path = gradient_descent(gradient, np.array([start]), temperature, steps)[0]
    last = path[-1:]
    with np.errstate(all="ignore"):
        slopes = np.abs(gradient(path))
    steepest = float(np.max(slopes[np.isfinite(slopes)]))
    return path, orbit_end(path, float(gradient(last)[0]), float(curvature(last)[0]), steepest)


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (1.0, "0 .07326255555 .1673677653 .2948675741 .4811136236 .7835479208 1.337503936 2.191785434"),
        (0.2, "0 .01465251111 .03007233353 .04633458173 .06352519149 .08174299033 .1011022639 .1217359608"),
        (0.5, "0 .03663127778 .07821048739 .1260445091 .1819743201 .2486799281 .3302125424 .4329587016"),
    ],
)
def test_single_well_trajectories(temperature, expected):
    path = gradient_descent(well, np.array([0.0]), temperature, 7)[0]
    np.testing.assert_allclose(path, [float(x) for x in expected.split()], atol=1e-9, rtol=0)


def test_some_places_of_a_path_are_those_of_all():
    starts, kept = np.array([-0.3, 1.7, 40.0]), np.array([0, 3, 4, 50, 10_000])
    for slope, temperature in ((well, 0.2), (lambda w: w**3, 0.1)):
        whole = gradient_descent(slope, starts, temperature, 10_000)
        some = gradient_descent_at(slope, starts, temperature, kept)
        np.testing.assert_array_equal(some, whole[:, kept])
        w = starts
        for n in range(50):
            np.testing.assert_array_equal(whole[:, n], w)
            with np.errstate(all="ignore"):
                w = w - temperature * slope(w)
    assert gradient_descent_at(well, np.empty(0), 0.2, kept).shape == (0, 5)


@pytest.mark.parametrize(
    ("temperature", "counts"),
    [(0.2, (35, 40, 53, 71)), (0.5, (13, 14, 14, 15)), (1.0, (2497, None, None, None))],
)
def test_steps_to_tolerance_of_the_single_well(temperature, counts):
    path = gradient_descent(well, np.array([0.0]), temperature, 20_000)[0]
    assert tuple(steps_to_tolerance(path, 2.0, tol) for tol in (1e-2, 1e-3, 1e-6, 1e-10)) == counts


def test_steps_to_tolerance_needs_the_path_to_stay():
    assert steps_to_tolerance(np.array([1.0, 0.0, 1.0, 0.0, 0.0]), 0.0, 0.5) == 3
    assert steps_to_tolerance(np.array([0.0, 1.0]), 0.0, 0.5) is None
    assert steps_to_tolerance(np.array([0.0, np.nan]), 0.0, 0.5) is None


def test_asymptotic_rate_is_the_multiplier():
    path = gradient_descent(well, np.array([1.9]), 0.2, 30)[0] - 2
    assert path[-1] / path[-2] == pytest.approx(multiplier(0.2, 2.0), abs=1e-8)
    assert optimal_temperature(2.0) == 0.5
    assert optimal_temperature(0.0) == np.inf
    # At the optimum the leading error is cubic: W - 2 -> (W - 2)^3.
    x = gradient_descent(well, np.array([2.01]), 0.5, 1)[0, 1] - 2
    assert x == pytest.approx(1e-6, rel=1e-3)


def test_marginal_temperature_converges_like_one_over_two_root_n():
    path = gradient_descent(well, np.array([0.0]), 1.0, 10_000)[0]
    for n, value in ((100, 0.9925), (1000, 0.9985), (10_000, 0.99978)):
        assert abs(path[n] - 2) * 2 * np.sqrt(n) == pytest.approx(value, abs=1e-4)


def test_two_cycle_of_the_single_well():
    _, end = end_of(well, well_curvature, 0.0, 1.05, 4000)
    assert (end.kind, end.period) == ("cycle", 2)
    half = np.sqrt(np.log(1.05))
    assert (end.low, end.high) == pytest.approx((2 - half, 2 + half), abs=1e-9)


@pytest.mark.parametrize(
    ("temperature", "kind", "period", "band"),
    [
        (0.02, "fixed point", 1, (1.0074533, 1.0074533)),
        (0.0225, "cycle", 2, (0.98098, 1.03849)),
        (0.025, "cycle", 2, (0.97250, 1.05412)),
        (0.03, "cycle", 4, None),
    ],
)
def test_descent_on_the_mean_loss_in_the_pit(temperature, kind, period, band):
    _, end = end_of(mean_gradient, mean_curvature, 1.02, temperature, 4000)
    assert (end.kind, end.period) == (kind, period)
    if band:
        assert (end.low, end.high) == pytest.approx(band, abs=1e-5)


def test_chaotic_band_in_the_pit():
    _, end = end_of(mean_gradient, mean_curvature, 1.02, 0.045, 4000)
    assert end.kind == "chaotic band"
    assert 0.85 < end.low < end.high < 1.18


def test_descent_on_the_mean_loss_from_far():
    path, end = end_of(mean_gradient, mean_curvature, 0.0, 0.5, 200)
    kicked = int(np.flatnonzero(path > 1)[0])
    assert path[kicked : kicked + 2] == pytest.approx([1.03985, -0.27819], abs=2e-5)
    assert end.kind == "fixed point"
    assert path[-1] == pytest.approx(2, abs=1e-9)


def test_plateau_and_divergence():
    # T = 100 throws the walker to a place where the gradient has faded out.
    path, end = end_of(well, well_curvature, 0.0, 100.0, 300)
    assert end.kind == "plateau"
    assert abs(path[-1] - 2) > 5
    with np.errstate(all="ignore"):
        _, end = end_of(lambda w: w**3, lambda w: 3 * w**2, 3.0, 1.0, 50)
    assert end.kind == "diverged"


def test_unsettled_path_is_called_approaching():
    _, end = end_of(well, well_curvature, 0.0, 1.0, 2000)
    assert end.kind == "approaching"


@pytest.mark.parametrize("temperature", [1e-2, 1e-3, 1e-5, 1e-8, 1e-11])
def test_a_slow_path_is_not_on_a_plateau(temperature):
    # From 0 the loss is concave and the gradient grows on the way; the path is slow because T is small.
    path, end = end_of(well, well_curvature, 0.0, temperature, 300)
    assert end.kind == "approaching"
    assert path[-1] > path[0]


def test_a_step_below_rounding_is_a_plateau():
    _, end = end_of(well, well_curvature, 1.0, 1e-18, 300)
    assert end.kind == "plateau"


def test_scaling_of_the_temperature():
    # W -> c W with the same loss value: T has the dimension W^2 / L, so it scales with c^2; Newton's k does not.
    c = 3.0
    plain = gradient_descent(well, np.array([0.3, 3.1]), 0.3, 40)
    scaled = gradient_descent(lambda w: well(w / c) / c, c * np.array([0.3, 3.1]), 0.3 * c**2, 40)
    np.testing.assert_allclose(scaled, c * plain, rtol=1e-12)
    a = newton(well, well_curvature, np.array([1.7]), 0.5, 20).w
    b = newton(
        lambda w: well(w / c) / c, lambda w: well_curvature(w / c) / c**2, np.array([1.7 * c]), 0.5, 20
    ).w
    np.testing.assert_allclose(b, c * a, rtol=1e-12)


def test_newton_is_one_step_on_a_parabola_and_goes_to_maxima_too():
    paths = newton(lambda w: 4 * (w - 3), lambda w: 4 + 0 * w, np.array([-7.0]), 1.0, 1)
    assert paths.w[0, 1] == pytest.approx(3, abs=1e-14)
    to_maximum = newton(mean_gradient, mean_curvature, np.array([1.17]), 1.0, 10)
    assert to_maximum.w[0, -1] == pytest.approx(1.1743101791, abs=1e-10)


def test_newton_reports_a_zero_curvature():
    paths = newton(lambda w: w**3 - 1, lambda w: 3 * w**2, np.array([0.0, 2.0]), 1.0, 30)
    assert list(paths.failed_step) == [0, -1]
    assert np.isnan(paths.w[0, 1:]).all()
    assert paths.w[1, -1] == pytest.approx(1.0, abs=1e-12)


def test_cobweb_visits_the_map_and_the_diagonal():
    path = gradient_descent(well, np.array([0.0]), 1.0, 5)[0]
    x, y = cobweb(path)
    np.testing.assert_array_equal(x[::2], path)
    np.testing.assert_array_equal(x[::2], y[::2])
    np.testing.assert_allclose(y[1::2], x[1::2] - well(x[1::2]), atol=1e-14)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="positive finite"):
        gradient_descent(well, np.array([0.0]), 0.0, 5)
    with pytest.raises(ValueError, match="steps is -1"):
        gradient_descent(well, np.array([0.0]), 0.1, -1)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.05, 40.0])
def test_compiled_descent_takes_the_same_steps(temperature):
    """Also through chaos, and beyond the numbers: not one rounding may differ."""
    system = System.from_texts(["-exp(-(W-2)^2)", "-exp(-(W-2)^2)-exp(-100*(W-1)^2)", "0.01*W^4"])
    start = np.linspace(-3.0, 4.0, 300)
    plain = gradient_descent(system.gradient, start, temperature, 400)
    assert np.array_equal(descend(system.gradient_program, start, temperature, 400), plain, equal_nan=True)
    if temperature == 40.0:
        assert not np.isfinite(plain[:, -1]).all()


def test_compiled_descent_refuses_what_it_cannot_do():
    system = System.from_texts(["W^2"])
    with pytest.raises(ValueError, match="steps is -1"):
        descend(system.gradient_program, np.zeros(1), 0.1, -1)
    with pytest.raises(ValueError, match="temperature is 0"):
        descend(system.gradient_program, np.zeros(1), 0.0, 1)
