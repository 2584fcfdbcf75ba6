"""Dynamical systems as the tangent engine receives them, and what is asked of them.

A system has n nodes. As a map, s <- f(t, s) once a step, with t the number of steps taken. As a flow, ds/dt = f(t, s),
stepped by explicit Runge-Kutta. Two forms: Python functions, for any system and for many trajectories at once, and a
tape with f and the nonzero entries of its Jacobian, which the compiled engine runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.tape import Program

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
SignArray: TypeAlias = NDArray[np.int8]
Value: TypeAlias = Callable[[float, FloatArray], FloatArray]
"""f(t, s): s[n] or s[n, lane] -> the same shape."""
Product: TypeAlias = Callable[[float, FloatArray, FloatArray], FloatArray]
"""Df(t, s) v: the product of the Jacobian at s with a direction v, both of the shape of s."""
Integrator: TypeAlias = Literal["map", "euler", "rk4"]
HoldRule: TypeAlias = Literal["stage", "node"]


@dataclass(frozen=True)
class System:
    """A system as two functions.

    Attributes:
        size: number of nodes n.
        value: f(t, s).
        product: Df(t, s) v, the exact derivative of `value`.
    """

    size: int
    value: Value
    product: Product


@dataclass(frozen=True)
class TapeSystem:
    """A system as tapes, whose variables are the n nodes, then t, then inputs from outside.

    Attributes:
        program: outputs f_0 .. f_(n-1), then the entries of the Jacobian that are not zero everywhere.
        value_program: f alone.
        rows, columns: int64[entries], where those entries stand.
        inputs: how many inputs there are.

    Raises: ValueError where the programs do not fit together.
    """

    program: Program
    value_program: Program
    rows: IntArray
    columns: IntArray
    inputs: int = 0

    def __post_init__(self) -> None:
        n = self.size
        fits = (
            self.value_program.outputs.size == n
            and self.program.n_variables == n + 1 + self.inputs
            and self.program.outputs.size == n + self.rows.size
            and self.rows.size == self.columns.size
        )
        places = np.concatenate([self.rows, self.columns])
        if n < 1 or not fits or np.any(places < 0) or np.any(places >= n):
            raise ValueError("The tapes are not those of one system: f of n nodes and t, then its Jacobian.")

    @property
    def size(self) -> int:
        """Number of nodes n."""
        return self.value_program.n_variables - 1 - self.inputs


@dataclass(frozen=True)
class Scheme:
    """An explicit Runge-Kutta scheme each stage of which needs only the one before.

    Attributes:
        times: c, when in a step each stage is evaluated.
        reach: a, how far along the derivative of the stage before it is.
        weights: b, of the stages' derivatives in the step.
    """

    times: tuple[float, ...]
    reach: tuple[float, ...]
    weights: tuple[float, ...]


EULER: Final = Scheme((0.0,), (0.0,), (1.0,))
RK4: Final = Scheme((0.0, 0.5, 0.5, 1.0), (0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6))
"""The classical scheme of fourth order (Kutta 1901)."""
SCHEMES: Final = {"euler": EULER, "rk4": RK4, "map": EULER}
"""A map has one evaluation a step too; there its value is the next state itself."""


@dataclass(frozen=True)
class Question:
    """What is followed: the trajectory W, a tangent X-W, and a tangent Y-W with some nodes held to their values in W.

    Attributes:
        initial: w_0, [n], or [n, lane] for many trajectories of a `System`.
        steps: number of steps.
        perturbed: the node whose initial value is varied: v_0 = u_0 = e_n.
        held: nodes A that keep their values of W in Y.
        held_until: A is held at all times up to this one; later it is free. In steps for a map.
        integrator: `map`, or how a flow is stepped.
        dt: time of a step; 1 for a map.
        rule: a flow's nodes are held in every stage of a step (`stage`, the meaning in continuous time, error of the
            order of the scheme), or only at its end (`node`, which lets a held node act within the step: error O(dt)).
        every: steps between two outputs; the last step is always one.
        inputs: [steps, input], what comes from outside during each step, the same in W, X and Y; for a `TapeSystem`.

    Raises: ValueError, a sentence, where the question makes no sense.
    """

    initial: FloatArray
    steps: int
    perturbed: int
    held: tuple[int, ...] = ()
    held_until: float = math.inf
    integrator: Integrator = "rk4"
    dt: float = 1.0
    rule: HoldRule = "stage"
    every: int = 1
    inputs: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "initial", np.array(self.initial, dtype=np.float64))
        object.__setattr__(self, "size", len(self.initial))
        if self.integrator == "map":
            object.__setattr__(self, "dt", 1.0)
        if self.initial.ndim not in (1, 2) or self.size < 1:
            raise ValueError(f"initial has shape {self.initial.shape}; it must be [nodes] or [nodes, lanes].")
        if not np.all(np.isfinite(self.initial)):
            raise ValueError("The initial values must be finite numbers.")
        if self.steps < 0 or self.every < 1:
            raise ValueError("steps must be at least 0, and every at least 1.")
        if not (math.isfinite(self.dt) and self.dt > 0):
            raise ValueError(f"dt is {self.dt}; it must be a positive finite number.")
        if self.integrator not in SCHEMES or self.rule not in ("stage", "node"):
            raise ValueError(f"There is no integrator {self.integrator!r} with the rule {self.rule!r}.")
        for node in (self.perturbed, *self.held):
            if not 0 <= node < self.size:
                raise ValueError(f"There is no node {node}; there are {self.size}, counted from 0.")
        if self.perturbed in self.held:
            raise ValueError(
                "The perturbed node is held, so its variation cannot begin; free one of the two."
            )
        if math.isnan(self.held_until):
            raise ValueError("held_until must be a number.")

    @property
    def scheme(self) -> Scheme:
        """How a step is made."""
        return SCHEMES[self.integrator]

    @property
    def held_steps(self) -> int:
        """How many first steps end while A is held: those to the output times 1 .. this."""
        if not self.held or self.held_until < 0:
            return 0
        whole = self.held_until / self.dt
        return self.steps if whole >= self.steps else math.floor(whole * (1 + 1e-12) + 1e-9)

    @property
    def outputs(self) -> IntArray:
        """The steps after which there is an output."""
        return np.append(np.arange(0, self.steps, self.every, dtype=np.int64), np.int64(self.steps))

    @property
    def times(self) -> FloatArray:
        """Their times."""
        return np.asarray(self.outputs * self.dt, dtype=np.float64)

    def mask(self) -> FloatArray:
        """1 for a free node and 0 for a held one, [n]."""
        mask = np.ones(self.size)
        mask[list(self.held)] = 0.0
        return mask


def check_fit(system: System | TapeSystem, question: Question) -> None:
    """Raise ValueError where the question is about another number of nodes."""
    if system.size != question.size:
        raise ValueError(
            f"The system has {system.size} nodes, and the question names {question.size} values."
        )
    inputs = system.inputs if isinstance(system, TapeSystem) else 0
    if question.inputs.shape != (question.steps, inputs) and (inputs or question.inputs.size):
        raise ValueError(
            f"The system takes {inputs} inputs in each of {question.steps} steps, and is given an array of shape "
            f"{question.inputs.shape}."
        )


def held_indices(names: Sequence[str], held: Sequence[str]) -> tuple[int, ...]:
    """The places of held names among all names.

    Raises: ValueError where a name is not one of them.
    """
    for name in held:
        if name not in names:
            raise ValueError(f"There is no node {name!r}; there are {', '.join(names)}.")
    return tuple(sorted({names.index(name) for name in held}))
