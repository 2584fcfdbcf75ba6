"""What the experiments on one trajectory share: the system as expressions, and the question asked of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from tui_opt.experiments.lorenz.params import AXES, steps_of
from tui_opt.experiments.node_systems import tape_system
from tui_opt.kernels.tangents import Question, TapeSystem, held_indices
from tui_opt.kernels.tangents.lorenz import Lorenz
from tui_opt.kernels.tangents.system import FloatArray
from tui_opt.result import Result

MOST_OUTPUTS = 200_000


def lorenz_of(params: Any) -> Lorenz:
    """The system with the parameters asked for."""
    return Lorenz(params.sigma, params.rho, params.beta)


def updates(lorenz: Lorenz) -> dict[str, str]:
    """The equations as somebody writes them down, so that the same texts elsewhere give the same numbers."""
    return {
        "a": f"{lorenz.sigma!r}*(b-a)",
        "b": f"a*({lorenz.rho!r}-c)-b",
        "c": f"a*b-{lorenz.beta!r}*c",
    }


def tape_of(params: Any) -> TapeSystem:
    """The system with exact derivatives of its equations."""
    return tape_system(updates(lorenz_of(params)))


def question_of(params: Any, held: tuple[str, ...] = (), perturbed: str = "b") -> Question:
    """What is followed; held_until and hold are taken from the parameters that have them."""
    steps = steps_of(params)
    until = getattr(params, "held_until", None)
    return Question(
        np.array(params.initial),
        steps,
        AXES.index(perturbed),
        held_indices(AXES, held),
        held_until=math.inf if until is None else until,
        integrator=params.integrator,
        dt=params.dt,
        rule=getattr(params, "hold", "stage"),
        every=max(1, -(-steps // MOST_OUTPUTS)),
    )


def halved(question: Question) -> Question:
    """The same with half the step, and outputs at the same times."""
    return replace(question, steps=2 * question.steps, dt=0.5 * question.dt, every=2 * question.every)


def add_course(result: Result, t: FloatArray, state: FloatArray) -> None:
    """Times and states."""
    result.add_array("t", t, ("t",), text="time")
    result.add_array("state", state, ("t", "axis"), text="a, b and c along W")


def warn_of_divergence(result: Result, step: int | None, dt: float) -> None:
    """Say where W leaves the finite numbers."""
    if step is not None:
        text = (
            f"W leaves the finite numbers at t = {step * dt:g}: the system runs away, or the steps are too large. "
            "Look whether a smaller dt changes that."
        )
        result.add_finding("diverged_at", step * dt, text, kind="warning")
