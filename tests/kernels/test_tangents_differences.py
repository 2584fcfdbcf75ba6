"""Finite differences against the tangents, the plain way, and where they break down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.kernels.test_tangents_follow import A, B, C, lorenz_functions, lorenz_tape, question
from tui_opt.experiments.node_systems import tape_system
from tui_opt.kernels.tangents import Question, breakdown_time, compare, differences, follow


@pytest.mark.parametrize("integrator", ["rk4", "euler", "map"])
@pytest.mark.parametrize("rule", ["stage", "node"])
def test_compiled_and_plain_agree(integrator: Any, rule: Any) -> None:
    dt = 0.005
    system, functions = lorenz_tape(), lorenz_functions()
    asked = question(60, dt, integrator=integrator, rule=rule, held_until=0.2, every=7)
    if integrator == "map":
        asked = question(5, initial=np.full(3, 0.1), integrator="map", held_until=3)
    ours = differences(system, asked, [1e-3, -1e-5])
    theirs = differences(functions, asked, [1e-3, -1e-5])
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(ours.y, theirs.y, rtol=1e-9, atol=1e-15)
    held = ours.y[:, : 3 if integrator == "map" else 5, A]
    assert (held == 0.0).all()


@pytest.mark.parametrize("rule", ["stage", "node"])
@pytest.mark.parametrize("integrator", ["rk4", "euler"])
def test_small_differences_are_tangents(integrator: Any, rule: Any) -> None:
    asked = question(300, 0.01, integrator=integrator, rule=rule, held_until=1.5)
    tangents = follow(lorenz_tape(), asked)
    op = compare(tangents.log_x, tangents.sign_x, tangents.log_y, tangents.sign_y)
    found = differences(lorenz_tape(), asked, [1e-6]).comparison()
    off = np.abs(found.op[0, 1:, B:] - op.op[1:, B:])
    assert np.median(off) < 1e-5
    same = (found.sign[0, 1:, B:] == op.sign[1:, B:]) | (
        np.minimum(*np.abs([tangents.log_x, tangents.log_y])) > 5
    )[1:, B:]
    assert same.mean() > 0.99


def test_differences_break_down_as_they_must() -> None:
    """Large ones stop being small, small ones drown in rounding: x lasts longer with a smaller delta, y shorter."""
    asked = question(3500, 0.01)
    tangents = follow(lorenz_tape(), asked)
    deltas = [1e-3, 1e-5, 1e-7]
    found = differences(lorenz_tape(), asked, deltas)
    x = [breakdown_time(found_t := tangents.t, found.x[k], tangents.log_x, d) for k, d in enumerate(deltas)]
    y = [breakdown_time(found_t, found.y[k], tangents.log_y, d) for k, d in enumerate(deltas)]
    assert x[0] < x[1] < x[2]
    assert y[0] > y[1] > y[2]
    assert 5 < y[2] < y[0] < 20
    assert 10 < x[0] < x[2] < 35


def test_a_difference_that_is_exactly_zero_has_an_infinite_op() -> None:
    asked = Question(np.array([1.0, 1.0]), 30, 0, (1,), integrator="map")
    found = differences(tape_system({"a": "0.01*a+1+0.1*b", "b": "0.5*b+a"}), asked, [1e-8])
    op = found.comparison()
    assert found.y[0, -1, 0] == 0.0
    assert op.op[0, -1, 0] == -np.inf
    assert np.isnan(op.sign[0, -1, 0])


def test_breakdown_of_one_node_and_of_none() -> None:
    t = np.arange(4.0)
    logs = np.zeros(4)
    assert np.isnan(breakdown_time(t, np.full(4, 1e-6), logs, 1e-6))
    assert breakdown_time(t, np.array([1, 1.05, 1.2, 1]) * -1e-6, logs, 1e-6) == 2.0
    zeros = np.full(4, -np.inf)
    assert np.isnan(breakdown_time(t, np.zeros(4), zeros, 1e-6))
    assert breakdown_time(t, np.array([1e-6, 0, 0, 0]), logs, 1e-6) == 1.0


def test_deltas_must_be_numbers() -> None:
    with pytest.raises(ValueError, match="not 0"):
        differences(lorenz_tape(), question(), [0.0])
    assert differences(lorenz_tape(), question(10), []).x.shape == (0, 11, 3)
    assert C == 2
