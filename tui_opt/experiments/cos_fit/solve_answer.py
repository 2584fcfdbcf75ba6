"""What solve knows: one answer with its covariance and the bound, and the repetitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.cos_fit.rows import Rows
from tui_opt.experiments.cos_fit.samples import Samples
from tui_opt.experiments.cos_fit.solver import Solution
from tui_opt.experiments.cos_fit.structure import names_in

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Repetition:
    """One repetition.

    Attributes:
        values: estimates, [p].
        bounds: the least standard errors that are possible for its samples, [p].
        seconds: what it took.
    """

    values: FloatArray
    bounds: FloatArray
    seconds: float

    def array(self) -> FloatArray:
        """As a checkpoint keeps it."""
        return np.concatenate([self.values, self.bounds, [self.seconds]])

    @classmethod
    def of_array(cls, kept: FloatArray) -> Repetition:
        """What a checkpoint kept."""
        p = (kept.size - 1) // 2
        return cls(kept[:p], kept[p : 2 * p], float(kept[-1]))


@dataclass(frozen=True)
class Repetitions:
    """All repetitions: `values` and `bounds` [seed, p], `seconds` [seed]."""

    values: FloatArray
    bounds: FloatArray
    seconds: FloatArray

    @classmethod
    def of(cls, done: Sequence[Repetition]) -> Repetitions:
        """Put together."""
        return cls(
            np.array([r.values for r in done]),
            np.array([r.bounds for r in done]),
            np.array([r.seconds for r in done]),
        )


@dataclass
class Answer:
    """What is known.

    Attributes:
        samples, rows: what was solved.
        solution: the parameters and how they were found.
        seconds: what that took.
        variance: of the residuals, NaN where there are as many parameters as rows.
        covariance: of the estimates by that variance, [p, p].
        bound: the Cramér-Rao bound at the truth, [p, p]; None where the truth is not known.
        repetitions: with samples of their own, where there are several.
    """

    samples: Samples
    rows: Rows
    solution: Solution
    seconds: float
    variance: float
    covariance: FloatArray
    bound: FloatArray | None
    repetitions: Repetitions | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters."""
        return self.samples.model.parameters

    @property
    def errors(self) -> FloatArray:
        """Standard errors of the estimates, [p]."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    def truth_like(self, values: FloatArray) -> FloatArray:
        """The truth with the signs that cannot be told chosen as in the estimates, [p]."""
        assert self.samples.truth is not None
        truth = self.samples.truth.copy()
        structure = self.solution.structure
        for wave in structure.waves:
            place = self.names.index(wave.frequencies[0])
            if not (wave.even and truth[place] * values[place] < 0):
                continue
            holding = [t for t in structure.terms if names_in(t) & set(wave.frequencies)]
            inside = frozenset().union(*(names_in(t) for t in holding))
            for k, name in enumerate(self.names):
                phase = structure.kinds[name] == "phase" and name in inside
                if name in wave.frequencies or phase:
                    truth[k] = -truth[k]
        for k, name in enumerate(self.names):
            if structure.kinds[name] == "phase":  # the same after a whole turn
                truth[k] += 2 * math.pi * round((values[k] - truth[k]) / (2 * math.pi))
        return truth
