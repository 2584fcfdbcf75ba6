"""network: the three worlds, Comp in two ways, and what finite differences make of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tui_opt.experiments.thermostats.loops import NETWORK
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context


def network(**given: Any) -> Result:
    params = NETWORK.params.check(given)
    result: Result = NETWORK.load_compute()(params, Context("thermostats/network"))
    assert set(result.findings) == set(NETWORK.findings)
    assert set(result.arrays) <= set(NETWORK.arrays)
    return result


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def test_the_defaults_are_those_of_the_source() -> None:
    result = network()
    assert value(result, "log_comp_final") == pytest.approx(-10.143165859, abs=1e-9)
    assert value(result, "doubling_ratio") == pytest.approx(2.031623, abs=1e-6)
    assert value(result, "doubling_ratio_limit") == pytest.approx(2.031645, abs=1e-6)
    assert value(result, "log_comp_same_step") == pytest.approx(-10.05033585, abs=1e-8)
    assert value(result, "log_comp_error") < 1e-10
    assert 1e-9 < value(result, "difference_error") < 1e-5
    assert value(result, "difference_error_precise") < 1e-11
    assert not result.warnings


def test_held_the_room_keeps_its_difference() -> None:
    result = network(noise_amplitude=50.0)
    np.testing.assert_allclose(result.arrays["y_difference"].values, 1e-3, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(result.arrays["y_machine"].values, result.arrays["w_machine"].values)


@pytest.mark.parametrize("gain", [0.01, 0.25, 0.3, 1.0, 3.0, -0.2])
def test_comp_is_the_closed_form_for_any_gain(gain: float) -> None:
    result = network(gain=gain, steps=3000)
    ours, exact = result.arrays["log_comp"].values, result.arrays["log_comp_exact"].values
    zeros = np.isinf(ours)
    np.testing.assert_array_equal(zeros, np.isinf(exact))
    np.testing.assert_allclose(ours[~zeros], exact[~zeros], rtol=0, atol=1e-10)


def test_delta_sinusoid_and_start_change_nothing() -> None:
    plain = network().arrays["log_comp"].values
    other = network(delta=-2.0, noise_amplitude=50.0, noise_period=7.0, room=-3.0, setpoint=1.0, machine=2.0)
    np.testing.assert_array_equal(other.arrays["log_comp"].values, plain)
    assert value(other, "difference_error_precise") < 1e-11
    assert value(network(gain=0.02, noise_amplitude=50.0), "difference_breakdown") < 1000


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (0.0, "does nothing"),
        (-0.1, "away"),
        (0.3, "overshoots"),
        (1.0, "not stable"),
        (5.0, "grows without bound"),
    ],
)
def test_what_a_gain_means_is_said(gain: float, said: str) -> None:
    assert any(said in warning for warning in network(gain=gain, steps=50).warnings)


def test_comp_that_vanishes_at_the_end() -> None:
    result = network(gain=0.5, steps=3)
    assert value(result, "log_comp_final") == -math.inf
    assert value(result, "sign_final") == 0
    assert math.isnan(value(result, "doubling_ratio"))


def test_overflow_of_the_room_is_said_and_comp_goes_on() -> None:
    result = network(gain=100.0, steps=400)
    assert any("leaves the finite numbers" in warning for warning in result.warnings)
    assert math.isfinite(value(result, "log_comp_final"))
    assert value(result, "difference_error_precise") < 1e-10


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"delta": 0.0}, "must not be 0"),
        ({"delta": 1e-20}, "lost in rounding"),
        ({"noise_period": 0.0}, "above 0"),
        ({"steps": 0}, "at least 1"),
    ],
)
def test_wrong_parameters_are_sentences(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterErrors, match=said):
        network(**given)
