"""A system of datapoints: user-written losses or gradients in W as functions of arrays, with exact derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tui_opt.expressions import Expression, Tape, assemble, parse
from tui_opt.kernels.stationary import StationaryPoint, stationary_points
from tui_opt.kernels.tape import Program, evaluate

FloatArray = NDArray[np.float64]


def _mean(terms: FloatArray) -> FloatArray:
    """Mean over datapoints; of infinities of both signs it is NaN, which is no reason to warn."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(terms.mean(axis=0))


@dataclass(frozen=True)
class System:
    """Datapoints j with gradients g_j(W) and exact derivatives. Functions take w[n] and return [n] or [j, n].

    Attributes:
        gradient_expressions: g_j, one per datapoint.
        expressions: the losses l_j whose derivatives they are; empty where only the gradients are known.
    """

    gradient_expressions: tuple[Expression, ...]
    expressions: tuple[Expression, ...] = ()

    @classmethod
    def from_texts(cls, losses: Sequence[str]) -> System:
        """The system of user-written losses in W."""
        parsed = tuple(parse(text, ("W",)) for text in losses)
        return cls(tuple(e.derivative("W") for e in parsed), parsed)

    @classmethod
    def from_gradients(cls, gradients: Sequence[str]) -> System:
        """The system of user-written gradients in W; it has no losses."""
        return cls(tuple(parse(text, ("W",)) for text in gradients))

    @property
    def terms(self) -> int:
        """Number of datapoints."""
        return len(self.gradient_expressions)

    @cached_property
    def gradient_tape(self) -> Tape:
        """A tape with one output per datapoint: g_j."""
        return assemble(self.gradient_expressions)

    @cached_property
    def _loss_program(self) -> Program:
        return Program(assemble(self.expressions))

    @cached_property
    def gradient_program(self) -> Program:
        """The tape of the g_j, loaded."""
        return Program(self.gradient_tape)

    @cached_property
    def _curvature_program(self) -> Program:
        return Program(assemble([e.derivative("W") for e in self.gradient_expressions]))

    def loss_terms(self, w: FloatArray) -> FloatArray:
        """l_j(w), [j, n]; only where the system was given by its losses."""
        return evaluate(self._loss_program, np.ascontiguousarray(w)[None, :])

    def gradients(self, w: FloatArray) -> FloatArray:
        """g_j(w), [j, n]."""
        return evaluate(self.gradient_program, np.ascontiguousarray(w)[None, :])

    def curvatures(self, w: FloatArray) -> FloatArray:
        """g_j'(w), [j, n]."""
        return evaluate(self._curvature_program, np.ascontiguousarray(w)[None, :])

    def loss(self, w: FloatArray) -> FloatArray:
        """L(w), the mean over datapoints."""
        return _mean(self.loss_terms(w))

    def gradient(self, w: FloatArray) -> FloatArray:
        """G(w) = L'(w)."""
        return _mean(self.gradients(w))

    def curvature(self, w: FloatArray) -> FloatArray:
        """L''(w)."""
        return _mean(self.curvatures(w))

    def gradient_variance(self, w: FloatArray) -> FloatArray:
        """S²(w), the population variance of the g_j (divided by their number)."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(self.gradients(w).var(axis=0))

    def stationary(self, w_min: float, w_max: float) -> list[StationaryPoint]:
        """Every stationary point of L on an interval."""
        return stationary_points(self.gradient, self.curvature, w_min, w_max)

    def stationary_of(self, term: int, w_min: float, w_max: float) -> list[StationaryPoint]:
        """Every stationary point of one datapoint's loss on an interval."""

        def gradient(w: FloatArray) -> FloatArray:
            return np.asarray(self.gradients(w)[term])

        def curvature(w: FloatArray) -> FloatArray:
            return np.asarray(self.curvatures(w)[term])

        return stationary_points(gradient, curvature, w_min, w_max)
