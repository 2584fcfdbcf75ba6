"""Datapoints by their losses in W1 and W2: gradients and curvatures as functions of places in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tui_opt.experiments.datapoints import FloatArray
from tui_opt.expressions import Expression, Tape, assemble, parse
from tui_opt.kernels.tape import Program, evaluate

AXES = ("W1", "W2")
JUMPS = frozenset({"sign", "step", "gate", "atan2"})
"""Operations whose value jumps."""


@dataclass(frozen=True)
class PlaneSystem:
    """Datapoints j with losses l_j(W1, W2) and exact derivatives.

    Attributes:
        expressions: the losses.
    """

    expressions: tuple[Expression, ...]

    @classmethod
    def from_texts(cls, losses: Sequence[str]) -> PlaneSystem:
        """The system of user-written losses in W1 and W2."""
        return cls(tuple(parse(text, AXES) for text in losses))

    @property
    def terms(self) -> int:
        """Number of datapoints."""
        return len(self.expressions)

    @cached_property
    def _gradient_tape(self) -> Tape:
        return assemble([e.derivative(axis) for e in self.expressions for axis in AXES])

    @cached_property
    def gradient_program(self) -> Program:
        """g_j, outputs by datapoint and axis."""
        return Program(self._gradient_tape)

    @property
    def jumps(self) -> bool:
        """Whether a gradient may jump, as that of abs(W1) does."""
        return any(step.op in JUMPS for step in self._gradient_tape.instructions)

    @cached_property
    def _curvature_program(self) -> Program:
        entries = [(0, 0), (0, 1), (1, 1)]
        return Program(
            assemble(
                [e.derivative(AXES[a]).derivative(AXES[b]) for e in self.expressions for a, b in entries]
            )
        )

    def gradients(self, w: FloatArray) -> FloatArray:
        """g_j(w), w[axis, n] -> [j, axis, n]."""
        return evaluate(self.gradient_program, w).reshape(self.terms, 2, -1)

    def steepest(self, w: FloatArray) -> float:
        """The largest |eigenvalue| of any datapoint's curvature at places w[axis, n]; 0 where none is finite."""
        with np.errstate(all="ignore"):
            h11, h12, h22 = np.moveaxis(evaluate(self._curvature_program, w).reshape(self.terms, 3, -1), 1, 0)
            largest = np.abs(0.5 * (h11 + h22)) + np.hypot(0.5 * (h11 - h22), h12)
        finite = largest[np.isfinite(largest)]
        return float(finite.max(initial=0.0))
