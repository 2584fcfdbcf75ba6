"""continuous-square: corners, closed entropies for any gain against sampling, and which measures are always zero."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tui_opt
from tui_opt.figure import resolve
from tui_opt.result import Result
from tui_opt.scenario_file import ScenarioFileError

STAGES = ("before", "now", "next", "now_decorrelated", "next_decorrelated")


def square(**params: object) -> Result:
    return tui_opt.run("thermostats", "continuous-square", **params)


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def test_corners_of_the_source() -> None:
    result = square()
    expected = {
        "before": [(10.05, 10.05), (10.05, 9.95), (9.95, 10.05), (9.95, 9.95)],
        "now": [(7.035, 10.05), (7.065, 10.05), (6.935, 9.95), (6.965, 9.95)],
        "next": [(4.02, 7.035), (4.05, 7.065), (3.95, 6.935), (3.98, 6.965)],
        "now_decorrelated": [(7.065, 10.05), (7.065, 9.95), (6.935, 10.05), (6.935, 9.95)],
        "next_decorrelated": [(4.05, 7.065), (4.08, 7.065), (3.92, 6.935), (3.95, 6.935)],
    }
    for stage, corners in expected.items():
        np.testing.assert_allclose(result.arrays[f"corners_{stage}"].values, corners, rtol=1e-15)


def test_corners_in_letters() -> None:
    """(10+ε, 10-ε) goes to 10(1-k) + ε(1+k), not + εk as printed, with corners at ±ε, so of side 2ε."""
    k, e = 0.3, 0.1
    now = square(side=2 * e).arrays["corners_now"].values
    middle = 10 * (1 - k)
    expected = [
        (middle + e * (1 - k), 10 + e),
        (middle + e * (1 + k), 10 + e),
        (middle - e * (1 + k), 10 - e),
        (middle - e * (1 - k), 10 - e),
    ]
    np.testing.assert_allclose(now, expected, rtol=1e-15)
    assert np.abs(now[1, 0] - (middle + e * k)) > 0.09


def test_bodies_are_parallelograms_and_no_rhombi() -> None:
    result = square()
    for stage in ("now", "next"):
        a, b, c, d = result.arrays[f"shape_{stage}"].values
        np.testing.assert_allclose(a - b, c - d, atol=1e-16)
        assert abs(np.linalg.norm(a - b) / np.linalg.norm(a - c) - 1) > 0.5
    assert value(result, "side_ratio_now") == pytest.approx(math.sqrt(2) / 0.3, rel=1e-14)


def test_entropies_of_the_source_s_square() -> None:
    result = square()
    log = math.log(0.1)
    expected = {
        "entropy_before": 2 * log,
        "entropy_now": 2 * log + math.log(0.3),
        "entropy_next": 2 * log + 2 * math.log(0.3),
        "entropy_room_now": log + 0.15,
        "entropy_now_decorrelated": 2 * log + 0.15,
        "entropy_next_decorrelated": 2 * log + 0.15 + math.log(0.3),
        "optimizing": 0.15 - math.log(0.3),
        "mutual_information": 0.15 - math.log(0.3),
    }
    for name, number in expected.items():
        assert value(result, name) == pytest.approx(number, abs=1e-14)
    assert value(result, "adjusted_optimizing") == 0.0
    doubled = square(side=0.2)
    for name in expected:
        more = {"entropy_room_now": 1, "optimizing": 0, "mutual_information": 0}.get(name, 2)
        assert value(doubled, name) - expected[name] == pytest.approx(more * math.log(2), abs=1e-14)


@pytest.mark.parametrize("gain", [0.3, -0.7, 1.0, 1.8])
@pytest.mark.parametrize("side", [0.1, (0.5, 2.0)])
def test_decorrelated_entropy_is_what_samples_say(gain: float, side: object) -> None:
    """Mutual information from samples alone: the joint law of R and T at t against shuffled pairs, on cells."""
    result = square(gain=gain, side=list(side) if isinstance(side, tuple) else side)
    a, b = side if isinstance(side, tuple) else (side, side)
    rng = np.random.default_rng(1)
    samples, bins = 200_000, 40
    start = rng.uniform(-0.5, 0.5, (samples, 2)) * (a, b)
    room, machine = start[:, 0] - gain * start[:, 1], start[:, 0]
    counts, edges = np.histogram(room, bins=bins)
    shares = counts[counts > 0] / samples
    h_room = -(shares * np.log(shares)).sum() + math.log(edges[1] - edges[0])
    assert value(result, "entropy_room_now") == pytest.approx(h_room, abs=0.01)
    apart = value(result, "entropy_now_decorrelated")
    assert apart == pytest.approx(h_room + math.log(machine.max() - machine.min()), abs=0.01)
    np.testing.assert_allclose(
        result.arrays["covariance"].values[1], np.cov(room, machine), rtol=0.02, atol=0.01 * a * b
    )


@given(
    st.floats(-3, 3).filter(lambda k: abs(k) > 1e-9),
    st.floats(0.01, 100),
    st.floats(0.01, 100),
    st.floats(-1e3, 1e3),
)
@settings(max_examples=30)
def test_adjusted_is_zero_whatever_gain_and_sides(
    gain: float, first: float, second: float, centre: float
) -> None:
    result = square(gain=gain, side=[first, second], centre=centre)
    assert value(result, "adjusted_optimizing") == 0.0
    assert value(result, "adjusted_generalised_variance") == 0.0
    wide, narrow = max(first, abs(gain) * second), min(first, abs(gain) * second)
    expected = math.log(wide) + narrow / (2 * wide) - math.log(abs(gain) * second)
    assert value(result, "optimizing") == pytest.approx(expected, abs=1e-9)
    determinants = [np.linalg.det(c) for c in result.arrays["covariance"].values]
    if min(determinants) > 1e-12 * max(determinants):
        log = np.log(determinants)
        assert value(result, "optimizing_generalised_variance") == pytest.approx(log[4] - log[2], abs=1e-3)


def test_which_variance_is_always_zero() -> None:
    """Only the determinant is zero when adjusted and not when not; the non-adjusted one depends on the sides."""
    result = square()
    assert value(result, "adjusted_generalised_variance") == 0.0
    assert value(result, "optimizing_generalised_variance") == pytest.approx(
        math.log(1 + 1 / 0.09), abs=1e-14
    )
    for name, number in (("trace", 0.306956), ("variance_room", 0.710242)):
        assert value(result, f"optimizing_{name}") == pytest.approx(number, abs=1e-6)
        assert value(result, f"adjusted_{name}") == value(result, f"optimizing_{name}")
    assert value(result, "optimizing_variance_machine") == value(result, "adjusted_variance_machine") == 0.0
    for first, second in ((1.0, 3.0), (5.0, 0.2)):
        wide = square(side=[first, second])
        expected = math.log(1 + (first / (0.3 * second)) ** 2)
        assert value(wide, "optimizing_generalised_variance") == pytest.approx(expected, abs=1e-13)
        assert value(wide, "adjusted_generalised_variance") == 0.0


def test_moments_in_units_of_the_square_s() -> None:
    covariance = square(gain=0.3, side=math.sqrt(12)).arrays["covariance"].values
    expected = [(1, 1, 0), (1.09, 1, 1), (0.58, 1.09, 0.79), (1.09, 1, 0), (1.18, 1.09, 1.09)]
    found = np.column_stack([covariance[:, 0, 0], covariance[:, 1, 1], covariance[:, 0, 1]])
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_a_triangle_at_one_and_a_longer_fall_beyond() -> None:
    assert value(square(gain=1.0), "entropy_room_now") == pytest.approx(math.log(0.1) + 0.5, abs=1e-14)
    assert value(square(gain=2.5), "entropy_room_now") == pytest.approx(math.log(0.25) + 0.2, abs=1e-14)
    assert square(gain=1.0).arrays["density_room_now"].values.max() == pytest.approx(10.0, rel=1e-12)


def test_without_gain_the_law_falls_on_a_line() -> None:
    result = square(gain=0.0)
    assert value(result, "entropy_now") == value(result, "entropy_next") == -math.inf
    assert value(result, "entropy_next_decorrelated") == -math.inf
    assert value(result, "entropy_now_decorrelated") == pytest.approx(2 * math.log(0.1))
    assert value(result, "mutual_information") == math.inf
    for name in ("optimizing", "adjusted_optimizing"):
        assert math.isnan(value(result, name))
        assert "k = 0" in result.findings[name].text
    assert math.isnan(value(result, "adjusted_generalised_variance"))
    assert [w for w in result.warnings if "k = 0" in w]


@pytest.mark.parametrize("gain", [0.3, 1.0, -2.0, 0.0])
def test_densities_and_figures(gain: float) -> None:
    result = square(gain=gain)
    for stage in STAGES[3:]:
        if f"density_{stage}" not in result.arrays:
            assert (gain, stage) == (0.0, "next_decorrelated")
            continue
        density = result.arrays[f"density_{stage}"].values
        x, y = result.arrays[f"{stage}_room"].values, result.arrays[f"{stage}_machine"].values
        mass = density.sum() * (x[1] - x[0]) * (y[1] - y[0])
        assert mass == pytest.approx(1.0, abs=0.05)
        mean = [(density * x).sum() / density.sum(), (density * y[:, None]).sum() / density.sum()]
        np.testing.assert_allclose(mean, result.arrays[f"centre_{stage}"].values, atol=1e-9)
    assert [figure.name for figure in result.figures][:2] == ["shapes", "before"]
    for figure in result.figures:
        for layer in figure.layers:
            if layer.kind in ("path", "line"):
                assert resolve(layer.x, result.values()).shape == resolve(layer.y, result.values()).shape


def test_multipliers() -> None:
    assert value(square(gain=0.3), "spectral_radius") == pytest.approx(math.sqrt(0.3))
    assert value(square(gain=0.16), "spectral_radius") == pytest.approx(0.8)
    assert value(square(gain=-2.0), "spectral_radius") == pytest.approx(2.0)


def test_a_tiny_square_far_away_keeps_its_entropies() -> None:
    result = square(side=1e-12, centre=1e9)
    assert value(result, "optimizing") == pytest.approx(0.15 - math.log(0.3), abs=1e-14)
    assert [w for w in result.warnings if "rounding of the corners" in w]
    assert square().warnings == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"side": 0}, "at least 1e-12"),
        ({"side": [1, 2, 3]}, "one number, or two"),
        ({"centre": [1, 2, 3]}, "one number, or two"),
        ({"gain": 1e7}, "at most 1e"),
        ({"gain": "large"}, "must be a number"),
    ],
)
def test_what_is_wrong_is_a_sentence(params: dict[str, object], words: str) -> None:
    with pytest.raises(ScenarioFileError, match=words):
        square(**params)
