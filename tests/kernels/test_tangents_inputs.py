"""Inputs from outside: the same numbers in all worlds, constant within a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tui_opt.experiments.node_systems import tape_system
from tui_opt.kernels.tangents import Question, Tangents, differences, follow

FloatArray = NDArray[np.float64]
STEPS = 40
INPUTS = np.random.default_rng(3).standard_normal((STEPS, 2))
UPDATES = {"a": "b - 0.5*a + wind", "b": "sin(a) - 0.3*b*(1 + tide)"}
SYSTEM = tape_system(UPDATES, ("wind", "tide"))


def question(integrator: Any, **more: Any) -> Question:
    asked = {"initial": np.array([0.4, -0.2]), "steps": STEPS, "perturbed": 1, "inputs": INPUTS, "dt": 0.1}
    return Question(**{**asked, "integrator": integrator, **more})


def one_step_at_a_time(integrator: Any, held: tuple[int, ...]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """W and both tangents with the inputs of each step written into its equations as numbers."""
    w, v, u = np.array([0.4, -0.2]), np.array([0.0, 1.0]), np.array([0.0, 1.0])
    states, tangents, helds = [w], [v], [u]
    for wind, tide in INPUTS.tolist():
        texts = {
            k: text.replace("wind", f"({wind!r})").replace("tide", f"({tide!r})")
            for k, text in UPDATES.items()
        }
        columns: list[Tangents] = []
        for node in range(2):
            asked = Question(w, 1, perturbed=node, integrator=integrator, dt=0.1)
            columns.append(follow(tape_system(texts), asked))
        free = np.stack([c.sign_x[1] * np.exp(c.log_x[1]) for c in columns], axis=1)
        asked = Question(w, 1, perturbed=1, held=held, integrator=integrator, dt=0.1)
        kept = follow(tape_system(texts), asked)
        # only b is ever varied where a is held
        u = kept.sign_y[1] * np.exp(kept.log_y[1]) * u[1]
        w, v = columns[0].state[1], free @ v
        states.append(w)
        tangents.append(v)
        helds.append(u)
    return np.array(states), np.array(tangents), np.array(helds)


@pytest.mark.parametrize("integrator", ["map", "euler", "rk4"])
def test_inputs_are_numbers_of_each_step(integrator: Any) -> None:
    found = follow(SYSTEM, question(integrator, held=(0,)))
    w, v, u = one_step_at_a_time(integrator, (0,))
    np.testing.assert_allclose(found.state, w, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.sign_x * np.exp(found.log_x), v, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.sign_y * np.exp(found.log_y), u, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("integrator", ["map", "euler", "rk4"])
def test_differences_have_the_same_inputs_in_all_worlds(integrator: Any) -> None:
    asked = question(integrator, held=(0,))
    found, beside = follow(SYSTEM, asked), differences(SYSTEM, asked, [1e-6])
    np.testing.assert_allclose(beside.x[0] / 1e-6, found.sign_x * np.exp(found.log_x), rtol=0, atol=1e-4)
    np.testing.assert_allclose(beside.y[0] / 1e-6, found.sign_y * np.exp(found.log_y), rtol=0, atol=1e-4)


@pytest.mark.parametrize("inputs", [np.zeros((STEPS, 1)), np.zeros((STEPS - 1, 2)), np.zeros((0, 0))])
def test_inputs_of_another_shape_are_refused(inputs: FloatArray) -> None:
    with pytest.raises(ValueError, match="takes 2 inputs"):
        follow(SYSTEM, question("rk4", inputs=inputs))
    with pytest.raises(ValueError, match="takes 0 inputs"):
        follow(tape_system({"a": "b", "b": "a"}), question("rk4"))
