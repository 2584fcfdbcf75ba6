"""saturating and saturating-landscape: Op over time and over starts, and what the thermostat compresses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tui_opt.experiments.thermostats.loops import SATURATING, SATURATING_LANDSCAPE
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context


def run(experiment: Any, **given: Any) -> Result:
    params = experiment.params.check(given)
    result: Result = experiment.load_compute()(params, Context(f"thermostats/{experiment.name}"))
    assert set(result.findings) == set(experiment.findings)
    assert set(result.arrays) <= set(experiment.arrays)
    return result


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def test_op_over_time_and_its_limit() -> None:
    result = run(SATURATING)
    assert value(result, "op_final") == pytest.approx(11.303793, abs=1e-6)
    assert value(result, "op_limit_final") == pytest.approx(11.0, abs=1e-12)
    assert value(result, "entry_time") == 9.0
    assert value(result, "tail_rate") == pytest.approx(1.031408, abs=1e-6)
    t, op = result.arrays["t"].values, result.arrays["op"].values
    assert np.all(op[t < 9.0] == 0.0)
    tail = np.diff(op[-200:]) / 0.02
    np.testing.assert_allclose(tail, value(result, "tail_rate"), rtol=0, atol=1e-9)
    assert not result.warnings


def test_differences_beside_the_tangents() -> None:
    """From 35.013 no step ends on a kink; from 35 one does, and X comes within the width a step later than W."""
    result = run(SATURATING, delta=1e-5, room=35.013)
    assert value(result, "difference_error") < 1e-3
    assert value(run(SATURATING, delta=1e-5), "difference_error") == pytest.approx(0.02, abs=1e-3)
    late = run(SATURATING, delta=1e-5, duration=60.0)
    assert 20.0 < value(late, "difference_breakdown") < 60.0
    assert math.isfinite(value(late, "op_final"))


def test_overshooting_gives_both_signs() -> None:
    result = run(SATURATING, dt=0.5, width=0.9, duration=40.0)
    assert value(result, "sign_changes") > 5
    assert any("above 1/4" in warning for warning in result.warnings)
    negative = result.arrays["sign"].values < 0
    np.testing.assert_array_equal(result.arrays["op_negative"].values, result.arrays["op"].values[negative])
    labels = [layer.label for layer in result.figures[0].layers if hasattr(layer, "label")]
    assert any("Comp < 0" in label for label in labels)


def test_without_power_nothing_is_optimized() -> None:
    result = run(SATURATING, power=0.0)
    assert not np.any(result.arrays["op"].values)
    assert value(result, "entry_time") == math.inf
    assert value(run(SATURATING_LANDSCAPE, power=0.0), "compression_exact") == 0.0


@pytest.mark.parametrize(
    ("given", "sampled", "exact"),
    [({}, 19.96082, 19.96), ({"width": 0.5}, 19.96167, 19.96), ({"power": 0.5}, 9.98020, 9.98)],
)
def test_integrals_of_the_source(given: dict[str, float], sampled: float, exact: float) -> None:
    result = run(SATURATING_LANDSCAPE, **given)
    assert value(result, "compression_integral") == pytest.approx(sampled, abs=5e-6)
    assert value(result, "compression_exact") == pytest.approx(exact, abs=1e-9)
    assert value(result, "compression_telescoped") == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("width", [0.01, 0.3, 2.0])
@pytest.mark.parametrize("machine", [0.0, 3.0, -0.2])
def test_the_exact_integral_depends_on_power_and_time_alone(width: float, machine: float) -> None:
    result = run(
        SATURATING_LANDSCAPE, width=width, machine=machine, power=0.9, time=8.0, dt=0.01, setpoint=23.0
    )
    expected = 2 * 0.9 * 799 * 0.01
    assert value(result, "compression_exact") == pytest.approx(expected, abs=1e-9)
    assert value(result, "compression_telescoped") == pytest.approx(expected, abs=1e-9)


def test_the_sampled_integral_tends_to_the_exact_one() -> None:
    """Also where the range ends within reach of the thermostat, and there is no simple value."""
    errors = [
        abs(value(run(SATURATING_LANDSCAPE, room_min=20.3, points=points, delta=1e-7), "grid_error"))
        for points in (101, 1001, 10_001)
    ]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 1e-4
    assert math.isnan(value(run(SATURATING_LANDSCAPE, room_min=20.3), "compression_telescoped"))


def test_sampled_tangents_stumble_over_kinks_and_differences_do_not() -> None:
    result = run(SATURATING_LANDSCAPE, power=0.5)
    assert value(result, "compression_integral_tangent") == pytest.approx(9.98987, abs=1e-5)
    assert abs(value(result, "grid_error")) < 3e-4


def test_a_step_too_long_for_the_width() -> None:
    result = run(SATURATING_LANDSCAPE, width=0.01)
    assert result.arrays["op"].values.min() < -150.0
    assert value(result, "compression_exact") == pytest.approx(19.96, abs=1e-9)
    assert any("not stable" in warning for warning in result.warnings)


def test_blocks_of_temperatures_do_not_matter() -> None:
    experiment = SATURATING_LANDSCAPE
    params = experiment.params.check({"points": 9001, "time": 1.0})
    found = [
        experiment.load_compute()(params, Context("thermostats/saturating-landscape", threads=n))
        for n in (1, 3)
    ]
    for name in found[0].arrays:
        np.testing.assert_array_equal(found[0].arrays[name].values, found[1].arrays[name].values)
    few = run(experiment, points=10, room_min=5.0, room_max=45.0, time=1.0)
    np.testing.assert_allclose(
        few.arrays["op"].values, found[0].arrays["op"].values[::1000], rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(
    ("experiment", "given", "said"),
    [
        (SATURATING, {"duration": 0.01}, "at least one step"),
        (SATURATING, {"duration": 1e6}, "steps of dt"),
        (SATURATING, {"delta": 0.0}, "must not be 0"),
        (SATURATING, {"width": 0.0}, "width"),
        (SATURATING_LANDSCAPE, {"room_min": 45.0, "room_max": 5.0}, "below room_max"),
        (SATURATING_LANDSCAPE, {"points": 1_000_000, "time": 1e4}, "for each of 1,000,000 points"),
        (SATURATING_LANDSCAPE, {"delta": 1e-17}, "lost in rounding"),
        (SATURATING_LANDSCAPE, {"time": 0.001}, "at least one step"),
    ],
)
def test_wrong_parameters_are_sentences(experiment: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterErrors, match=said):
        run(experiment, **given)
