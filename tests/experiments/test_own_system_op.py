"""op of own-system: closed forms, noise, windows, what is said about wrong input, and what cannot be answered."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tui_opt
from tui_opt.experiments.own_system import OP
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context, Silent

LORENZ = {"a": "10*(b-a)", "b": "a*(28-c)-b", "c": "a*b-(8/3)*c"}
LORENZ_ASKED = {"nodes": LORENZ, "initial": [1, 1, 1], "held": ["a"], "perturbed": "b", "dt": 0.01}
CHAIN = {
    "nodes": {"a": "a - 4/27*c", "b": "a", "c": "b"},
    "initial": [3.0, 1.0, 2.0],
    "held": ["c"],
    "perturbed": "a",
}


def run(seed: int = 0, **given: Any) -> Result:
    result: Result = OP.load_compute()(OP.params.check(given), Context("own-system/op", seed=seed))
    return result


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def array(result: Result, name: str) -> np.ndarray:
    return result.arrays[name].values


def test_three_linear_nodes_have_a_closed_form() -> None:
    """x' = x - (4/27) x'': roots 2/3 twice and -1/3, so v_a = (2/3)^t (8/9 + 2t/3) + (-1/3)^t / 9."""
    result = run(**CHAIN, steps=300)
    t = np.arange(301.0)
    v = (2 / 3) ** t * (8 / 9 + 2 * t / 3) + (-1 / 3) ** t / 9
    np.testing.assert_allclose(array(result, "op")[0], -np.log(v), rtol=0, atol=1e-10)
    np.testing.assert_allclose(array(result, "op")[1, 1:], -np.log(v[:-1]), rtol=0, atol=1e-10)
    assert math.isnan(array(result, "op")[1, 0])  # at the start b is changed in neither world
    np.testing.assert_array_equal(array(result, "sign")[0], 1)


def test_predator_and_prey_at_rest_have_a_closed_form() -> None:
    """Linear at the fixed point: the prey's change swings as cos(wt), and with predators held it stays."""
    nodes = {"prey": "prey*(1 - 0.5*predators)", "predators": "predators*(0.2*prey - 0.8)"}
    result = run(
        nodes=nodes,
        initial={"prey": 4.0, "predators": 2.0},
        held=["predators"],
        perturbed="prey",
        dt=0.005,
        duration=9.0,
    )
    t = array(result, "t")
    swing = np.cos(math.sqrt(0.8) * t)
    clear = np.abs(swing) > 0.05
    np.testing.assert_allclose(
        array(result, "op")[0][clear], -np.log(np.abs(swing))[clear], rtol=0, atol=1e-6
    )
    np.testing.assert_array_equal(array(result, "sign")[0][clear], np.sign(swing)[clear])
    assert result.arrays["op_negative_0"].values.size == np.count_nonzero(array(result, "sign") < 0)


def test_lorenz_reference_values() -> None:
    result = run(**{**LORENZ_ASKED, "dt": 0.001}, duration=10.0, measured=["b", "c"])
    places = [500, 1000, 2000, 5000, 10_000]
    b = [0.4749827217, -1.5800519826, -4.2501427895, -9.4778513594, -17.6072713912]
    c = [-2.2666751911, 0.8502526770, -2.6292916166, -8.6787513311, -18.5801870188]
    np.testing.assert_allclose(array(result, "op")[:, places], [b, c], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(array(result, "sign")[:, places], [[-1, 1, -1, -1, 1], [1, 1, -1, 1, -1]])


@pytest.mark.parametrize(
    "asked",
    [
        {"duration": 40.0},
        {"duration": 20.0, "held_until": 10.0, "output_every": 3},
        {"duration": 10.0, "integrator": "euler", "held": ["a", "c"]},
    ],
)
def test_lorenz_written_down_is_the_built_in_one(asked: dict[str, Any]) -> None:
    ours = run(**{**LORENZ_ASKED, "deltas": [1e-5], "measured": ["b", "c"], **asked})
    every = asked.pop("output_every", 1)
    built_in = {"initial": [1.0, 1.0, 1.0], "perturbed": "b", "held": ["a"], "dt": 0.01, "deltas": [1e-5]}
    theirs = tui_opt.run("lorenz", "op", **{**built_in, "measured": ["b", "c"], **asked})
    for name in ("t", "state", "log_x", "log_y", "op", "sign", "sign_x", "sign_y", "op_finite_difference"):
        found, expected = array(ours, name), array(theirs, name)
        time = 0 if name in ("t", "state") else -1
        kept = np.unique([*range(0, expected.shape[time], every), expected.shape[time] - 1])
        np.testing.assert_allclose(
            found, np.take(expected, kept, axis=time), rtol=0, atol=1e-12, err_msg=name
        )


def test_half_the_step_tells_the_error_of_the_integrator() -> None:
    coarse, fine = (run(**{**LORENZ_ASKED, "dt": dt}, duration=2.0, deltas=[]) for dt in (0.01, 0.005))
    ratio = value(coarse, "op_step_error_b") / value(fine, "op_step_error_b")
    assert 10 < ratio < 25  # fourth order: 16
    assert not any(name.startswith("op_step_error") for name in run().findings)


def test_holding_for_a_while_leaves_a_finite_op() -> None:
    """Near a zero of a component X and Y have not quite the same direction yet; elsewhere they have."""
    result = run(**LORENZ_ASKED, duration=30.0, held_until=10.0)
    late = array(result, "op")[:, 2500:]
    np.testing.assert_allclose(np.median(late, axis=1), -16.8335, rtol=0, atol=1e-3)
    at = [value(result, f"op_final_{name}") for name in ("b", "c")]
    assert at[0] == pytest.approx(at[1], abs=1e-5)


def test_finite_differences_break_down_as_they_must() -> None:
    rows = run(**LORENZ_ASKED, duration=40.0, deltas=[1e-3, 1e-8]).tables["breakdown"].rows
    (_, x_large, y_large, _), (_, x_small, y_small, error) = rows
    assert x_large < x_small  # a large change stops being small
    assert y_large > y_small  # a small one drowns in rounding
    assert error < 1e-3
    assert run(**LORENZ_ASKED, duration=1.0, deltas=[]).tables == {}


def test_steps_between_outputs() -> None:
    full, few = (run(**LORENZ_ASKED, duration=5.0, output_every=n) for n in (1, 7))
    np.testing.assert_array_equal(array(few, "t")[:-1], array(full, "t")[:500:7])
    assert array(few, "t")[-1] == 5.0
    np.testing.assert_array_equal(array(few, "op")[:, -1], array(full, "op")[:, -1])


# --- noise ------------------------------------------------------------------------------------------------------------


def test_noise_is_the_seed_s_and_each_node_s_own() -> None:
    first, again, other = (array(run(seed, noise={"room": 0.5}), "state") for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    walk = {"a": "a", "b": "b"}
    asked = {"nodes": walk, "initial": [0, 0], "held": [], "perturbed": "a", "steps": 50}
    both = array(run(**asked, noise={"a": 1.0, "b": 2.0}), "state")
    alone = array(run(**asked, noise={"b": 2.0}), "state")
    np.testing.assert_array_equal(both[:, 1], alone[:, 1])
    assert not np.array_equal(both[:, 0], both[:, 1] / 2)


@pytest.mark.parametrize("time", [{"steps": 20_000}, {"dt": 0.01, "duration": 200.0}])
def test_noise_has_the_deviation_that_is_asked(time: dict[str, Any]) -> None:
    """A step of a map gets sd, and one of a flow sd sqrt(dt): 5 standard errors."""
    flow = "dt" in time
    nodes = {"a": "0"} if flow else {"a": "a"}
    path = array(
        run(nodes=nodes, initial=[0.0], held=[], perturbed="a", deltas=[], noise={"a": 3.0}, **time), "state"
    )
    steps = np.diff(path[:, 0])
    expected = 3.0 * (0.1 if flow else 1.0)
    assert np.std(steps) == pytest.approx(expected, rel=5 / math.sqrt(2 * steps.size))
    assert abs(np.mean(steps)) < 5 * expected / math.sqrt(steps.size)


def test_noise_does_not_change_op_of_a_linear_system_and_does_of_another() -> None:
    plain, noisy = (array(run(noise=noise), "op") for noise in ({}, {"room": 5.0, "machine": 1.0}))
    np.testing.assert_allclose(noisy, plain, rtol=0, atol=1e-10)
    bent = {
        "nodes": {"room": "room - 0.01*machine^3", "machine": "room - 25"},
        "initial": [28, 3],
        "steps": 200,
    }
    plain, noisy = (array(run(**bent, noise=noise), "op") for noise in ({}, {"room": 0.5}))
    assert np.max(np.abs(noisy - plain)) > 0.1


def test_noise_is_the_same_in_all_worlds() -> None:
    result = run(noise={"room": 5.0}, deltas=[1e-3])
    np.testing.assert_allclose(
        array(result, "op_finite_difference")[0], array(result, "op"), rtol=0, atol=1e-3
    )


def test_a_node_may_be_called_like_the_noise() -> None:
    nodes = {"a": "0.5*a + noise_of_a", "noise_of_a": "noise_of_a"}
    result = run(nodes=nodes, initial=[0, 2], held=[], perturbed="a", steps=60, noise={"a": 1e-9})
    assert array(result, "state")[-1, 0] == pytest.approx(4.0, abs=1e-6)


# --- what cannot be answered ------------------------------------------------------------------------------------------


def test_a_held_node_that_is_measured_is_flagged() -> None:
    result = run(measured=["room", "machine"])
    assert value(result, "op_final_machine") == -math.inf
    assert math.isnan(value(result, "sign_final_machine"))
    assert "infinite" in result.findings["op_final_machine"].text
    assert any("held and measured" in warning for warning in result.warnings)


def test_a_change_that_never_arrives_is_undefined() -> None:
    result = run(
        nodes={"a": "0.5*a", "b": "0.5*b"}, initial=[1, 1], held=["b"], perturbed="a", measured=["a"], steps=9
    )
    assert value(result, "op_final_a") == 0.0
    asked = {
        "nodes": {"a": "0.5*a", "b": "0.5*b", "c": "b"},
        "initial": [1, 1, 1],
        "held": ["b"],
        "perturbed": "a",
    }
    result = run(**asked, measured=["c"], steps=9)
    assert math.isnan(value(result, "op_final_c"))
    assert "undefined" in result.findings["op_final_c"].text


def test_a_change_that_is_undone_has_infinite_op() -> None:
    """A machine that cancels the change in the next step."""
    nodes = {"room": "room - machine", "machine": "room"}
    result = run(nodes=nodes, initial=[1, 0], held=["machine"], perturbed="room", steps=2)
    assert value(result, "op_final_room") == math.inf
    assert "undone" in result.findings["op_final_room"].text


def test_a_system_that_explodes_says_where() -> None:
    result = run(nodes={"a": "a^2", "b": "a+b"}, initial=[2, 1], held=["a"], perturbed="b", steps=100)
    assert any("finite numbers (from a = " in warning and "step 10" in warning for warning in result.warnings)
    assert np.isnan(array(result, "op")[0, 10:]).all()
    assert np.isfinite(array(result, "op")[0, :10]).all()


def test_a_derivative_that_does_not_exist() -> None:
    nodes = {"a": "a - 1", "b": "sqrt(abs(a))"}
    result = run(nodes=nodes, initial=[3, 0], held=[], perturbed="a", measured=["b"], steps=8, deltas=[])
    assert any("derivative of step 4" in warning for warning in result.warnings)
    assert np.isfinite(array(result, "state")).all()


def test_nothing_held() -> None:
    result = run(held=[])
    assert not np.nan_to_num(array(result, "op")).any()
    assert any("Nothing is held" in warning for warning in result.warnings)


def test_nothing_held_and_nothing_arrives() -> None:
    """A node that forgets its value: Comp is 0/0, and no sentence says that Op is 0 there."""
    result = run(nodes={"x": "5"}, initial=[1], held=[], perturbed="x", steps=3)
    np.testing.assert_array_equal(array(result, "op"), [[0.0, np.nan, np.nan, np.nan]])
    assert "undefined" in result.findings["op_final_x"].text
    assert any("Op is 0 wherever a change arrives" in warning for warning in result.warnings)


def test_a_single_name_needs_no_brackets() -> None:
    plain = OP.params.check({"held": ["machine"], "measured": ["room"], "perturbed": "room"})
    assert OP.params.check({"held": "machine", "measured": "room", "perturbed": ["room"]}) == plain


def test_partial_answers_on_the_way() -> None:
    class Keeping(Silent):
        def __init__(self) -> None:
            self.kept: list[Result] = []

        def partial(self, result: Result) -> None:
            self.kept.append(result)

    recorder = Keeping()
    context = Context("own-system/op", recorder=recorder)
    OP.load_compute()(OP.params.check({**LORENZ_ASKED, "duration": 300.0, "deltas": []}), context)
    assert recorder.kept
    assert all(figure.layers for figure in recorder.kept[0].figures)


# --- wrong input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nodes": {"room": "room - gian*heat", "heat": "room"}}, "'gian' is not known"),
        ({"nodes": {"room": "room - heet", "heat": "room"}}, "Did you mean 'heat'"),
        ({"nodes": {"sin": "sin*2"}}, "is a function"),
        ({"nodes": {"two words": "1"}}, "cannot be a name"),
        ({"nodes": {"t": "t+1", "a": "a"}}, "which is the time"),
        ({"nodes": {}}, "at least 1 name"),
        ({"nodes": "a+1"}, "must be a table"),
        ({"nodes": {"room": 3}}, "expression"),
        ({"nodes": {f"x{i}": "1" for i in range(65)}}, "at most 64"),
        ({"initial": {"room": 1}}, "none for machine"),
        ({"initial": {"room": 1, "machine": 2, "rom": 3}}, "Did you mean 'room'"),
        ({"initial": [1, 2, 3]}, "has 3 values for 2 nodes; give one for each, in the order room, machine"),
        ({"initial": [], "held": ["x"]}, "there is no node 'x'"),
        ({"initial": ["a", 2]}, "must be a number"),
        ({"held": ["machin"]}, "Did you mean 'machine'"),
        ({"held": ["machine", "machine"]}, "more than once"),
        ({"held": ["room"]}, "its change cannot begin"),
        ({"held": ["room", "machine"], "perturbed": "room"}, "nothing is left to look at"),
        ({"perturbed": "rom"}, "Did you mean 'room'"),
        ({"measured": ["x"]}, "there is no node 'x'"),
        ({"noise": {"rooms": 1.0}}, "Did you mean 'room'"),
        ({"noise": {"room": -1.0}}, "at least 0"),
        ({"steps": 10, "duration": 1.0}, "together with duration"),
        ({"steps": 10, "dt": 1.0}, "together with dt"),
        ({"steps": None}, "none is given"),
        ({"dt": 0.1}, "needed beside dt"),
        ({"duration": 10.0}, "needed beside duration"),
        ({"dt": 0.1, "duration": 0.01}, "at least one step"),
        ({"dt": 1e-9, "duration": 10.0}, "steps of dt"),
        ({"steps": 5_000_000}, "set it to 5 or more"),
        ({"deltas": [0.0]}, "must not be 0"),
        ({"deltas": [1e-20]}, "lost in rounding"),
        ({"deltas": [1.0, 1.0]}, "more than once"),
        ({"integrator": "rk5"}, "rk4"),
    ],
)
def test_wrong_input_is_a_sentence(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterErrors) as caught:
        run(**given)
    assert said in str(caught.value)


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(ParameterErrors) as caught:
        run(held=["a"], perturbed="b", measured=["c"], initial={"room": 1.0}, deltas=[0.0])
    assert len(caught.value.problems) == 5


def test_values_given_as_a_list_are_in_the_order_of_the_nodes() -> None:
    params = OP.params.check({**LORENZ_ASKED, "initial": [1, 2, 3], "duration": 1.0})
    assert dict(params.plain()["initial"]) == {"a": 1.0, "b": 2.0, "c": 3.0}
    assert OP.params.check(params.plain()) == params
