"""A model as functions of arrays: its values and its exact derivatives with respect to its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tui_opt.experiments.cos_fit.model_text import ModelText, Roles
from tui_opt.expressions import Expression, assemble, parse
from tui_opt.kernels.tape import Program, evaluate

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """y = f(columns; parameters).

    Attributes:
        text: what the user wrote.
        columns: names of the columns it reads.
        parameters: names of its parameters.
    """

    text: ModelText
    columns: tuple[str, ...]
    parameters: tuple[str, ...]

    @classmethod
    def of(cls, text: ModelText, names: Roles) -> Model:
        """The model with its names sorted into columns and parameters."""
        return cls(text, names.columns, names.parameters)

    @cached_property
    def expression(self) -> Expression:
        """The right-hand side, in columns first and then parameters."""
        return parse(self.text.right, (*self.columns, *self.parameters))

    @cached_property
    def slopes(self) -> tuple[Expression, ...]:
        """Its exact derivative with respect to each parameter."""
        return tuple(self.expression.derivative(name) for name in self.parameters)

    @cached_property
    def value_program(self) -> Program:
        """The values alone, loaded."""
        return Program(assemble((self.expression,)))

    @cached_property
    def program(self) -> Program:
        """The values and then the derivatives, loaded."""
        return Program(assemble((self.expression, *self.slopes)))

    def inputs(self, columns: Mapping[str, FloatArray], values: ArrayLike) -> FloatArray:
        """What the programs read: [columns and parameters, n]."""
        n = columns[self.columns[0]].size
        out = np.empty((len(self.columns) + len(self.parameters), n))
        for k, name in enumerate(self.columns):
            out[k] = columns[name]
        out[len(self.columns) :] = np.asarray(values, dtype=np.float64)[:, None]
        return out

    def values(self, columns: Mapping[str, FloatArray], values: ArrayLike) -> FloatArray:
        """The model at each row.

        Args:
            columns: the columns by name, [n] each.
            values: the parameters, in their order.

        Returns:
            [n]; NaN where it has no value, never an exception.
        """
        return np.asarray(evaluate(self.value_program, self.inputs(columns, values))[0])

    def values_and_slopes(self, columns: Mapping[str, FloatArray], values: ArrayLike) -> FloatArray:
        """The model and its derivatives at each row, [1 + parameters, n]."""
        return evaluate(self.program, self.inputs(columns, values))
