"""The loss of a sample as a function of one parameter, the others being held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.cos_fit.named_parts import PARTS
from tui_opt.experiments.cos_fit.samples import FloatArray, Samples
from tui_opt.kernels.fitting.loss_curve import Curve, Mapper, loss_and_slope, loss_curve
from tui_opt.kernels.fitting.population import Part

_REACH_PLACES = 5


@dataclass(frozen=True)
class OneParameter:
    """A sample with all parameters held but one.

    Attributes:
        samples: what is fitted.
        name: the parameter that varies.
        place: its place among the model's parameters.
        values: all parameters, [parameters]; the one that varies as the samples were made, NaN where that is unknown.
    """

    samples: Samples
    name: str
    place: int
    values: FloatArray

    @property
    def truth(self) -> float:
        """The value of the varied parameter the samples were made with; NaN for data from a file."""
        return float(self.values[self.place])

    @property
    def part(self) -> tuple[Part, str] | None:
        """The function and the column of the varied parameter, for a named model."""
        named = PARTS.get(self.samples.model.text.named)
        return named[self.name] if named else None

    def curve(self, alpha: FloatArray, mapped: Mapper, check: Callable[[], None]) -> Curve:
        """Mean squared error and its standard error, [n], with the parameter at each of alpha[n]."""
        if self.part:
            kind, column = self.part
            x, y = self.samples.columns[column], self._without_the_rest()
            return loss_curve(kind, x, y, alpha, mapped, check)
        mse, stderr = np.empty(alpha.size), np.empty(alpha.size)
        for k, value in enumerate(alpha):
            check()
            with np.errstate(all="ignore"):
                square = (
                    self.samples.model.values(self.samples.columns, self._at(value)) - self.samples.y
                ) ** 2
                mse[k], stderr[k] = square.mean(), square.std() / np.sqrt(max(1, square.size - 1))
        return Curve(mse, stderr)

    def loss_and_slope(self, alpha: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The loss and its derivative by the parameter, [n] each."""
        if self.part:
            kind, column = self.part
            return loss_and_slope(kind, self.samples.columns[column], self._without_the_rest(), alpha)
        loss, slope = np.empty(alpha.size), np.empty(alpha.size)
        for k, value in enumerate(alpha):
            found = self.samples.model.values_and_slopes(self.samples.columns, self._at(value))
            with np.errstate(all="ignore"):
                residual = found[0] - self.samples.y
                loss[k] = np.mean(residual**2)
                slope[k] = 2.0 * np.mean(residual * found[1 + self.place])
        return loss, slope

    def reach(self, alpha: FloatArray) -> float:
        """How fast phases change with the parameter: the largest |x| of a part, a like number for equations."""
        if self.part:
            return float(np.max(np.abs(self.samples.columns[self.part[1]])))
        most = 0.0
        spread = float(np.std(self.samples.y)) or 1.0
        for value in np.linspace(alpha[0], alpha[-1], _REACH_PLACES):
            slopes = self.samples.model.values_and_slopes(self.samples.columns, self._at(value))
            finite = np.abs(slopes[1 + self.place])
            most = max(most, float(np.max(finite[np.isfinite(finite)], initial=0.0)))
        return most / spread

    def _at(self, value: float) -> FloatArray:
        values = self.values.copy()
        values[self.place] = value
        return values

    def _without_the_rest(self) -> FloatArray:
        """y less the parts that are held."""
        y = self.samples.y
        for name, (kind, column) in PARTS[self.samples.model.text.named].items():
            if name != self.name:
                theta = self.values[self.samples.model.parameters.index(name)]
                with np.errstate(all="ignore"):
                    y = y - _FUNCTIONS[kind](theta * self.samples.columns[column])
        return y


_FUNCTIONS = {"cos": np.cos, "exp": np.exp, "sqrt": np.sqrt}


def one_parameter(samples: Samples, name: str, held: dict[str, float]) -> OneParameter:
    """A sample with all parameters held but the named one (the first where the name is empty).

    Raises:
        ExperimentError: a held parameter has no value, as those of data from a file have none of their own.
    """
    names = samples.model.parameters
    name = name or names[0]
    if name not in names:
        raise ExperimentError(f"The model has no parameter {name!r}; it has {', '.join(names)}.")
    place = names.index(name)
    values = np.full(len(names), np.nan) if samples.truth is None else samples.truth.astype(np.float64)
    for k, other in enumerate(names):
        if other in held:
            values[k] = held[other]
    missing = [n for k, n in enumerate(names) if n != name and not np.isfinite(values[k])]
    if missing:
        wanted = ", ".join(f"{n} = …" for n in missing)
        raise ExperimentError(
            f"The loss against {name} needs values of the other parameters, which {samples.source} does not tell: "
            f"give held = {{{wanted}}}; the experiment solve finds them."
        )
    return OneParameter(samples, name, place, values)
