"""Samples as the kernels of descent take them, and where a fit begins."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
from threadpoolctl import threadpool_limits

from tui_opt.errors import ExperimentError
from tui_opt.experiments.cos_fit.named_parts import PARTS
from tui_opt.experiments.cos_fit.params import START
from tui_opt.experiments.cos_fit.rows import Rows
from tui_opt.experiments.cos_fit.samples import SCENARIO, FloatArray, Samples
from tui_opt.experiments.cos_fit.solver import solve
from tui_opt.kernels.fitting.batch_fits import least_squares_fit
from tui_opt.kernels.fitting.minibatch import Fit, NamedFit, TapeFit
from tui_opt.runner.context import Context
from tui_opt.runner.streams import generator


def fit_of(samples: Samples) -> Fit:
    """The model and the samples: parts in compiled code for a named model, a tape for an equation."""
    named = PARTS.get(samples.model.text.named)
    if named:
        parts = [named[name] for name in samples.model.parameters]
        return NamedFit(
            tuple(kind for kind, _ in parts), tuple(samples.columns[c] for _, c in parts), samples.y
        )
    columns = np.array([samples.columns[name] for name in samples.model.columns])
    return TapeFit(samples.model.program, columns, samples.y)


def start_of(samples: Samples, start: Sequence[float]) -> FloatArray:
    """The start in the order of the model's parameters.

    Raises:
        ExperimentError: there are too few or too many values.
    """
    names = samples.model.parameters
    if samples.model.text.named and len(start) == len(START):
        by_name = dict(zip(("a", "b"), start, strict=True))
        return np.array([by_name[name] for name in names])
    if len(start) != len(names):
        raise ExperimentError(
            f"start has {len(start)} values for {len(names)} parameters ({', '.join(names)}): give one for each."
        )
    return np.array(start, dtype=np.float64)


def target_of(fit: Fit, samples: Samples, ctx: Context, near: FloatArray) -> FloatArray:
    """Where the samples' loss is least: least squares from the true parameters.

    For a file's data, whose true parameters nobody knows, it begins at `near` and where a search without a start ends;
    the lower end counts, that from `near` where both are as low. NaN where the model has no finite value there.
    """
    if samples.truth is not None:
        begins = [samples.truth]
    else:
        begins = [near, *_searched(samples, ctx)]
    best, least = np.full(near.size, np.nan), np.inf
    for begin in begins:
        found = least_squares_fit(fit, begin, check=ctx.check)
        # A mirror image of an end is as low but for rounding.
        if not found.failed and (found.losses[-1] < least * (1 - 1e-9) or np.isinf(least)):
            best, least = found.path[-1], float(found.losses[-1])
    return best


def _searched(samples: Samples, ctx: Context) -> list[FloatArray]:
    """The answer of a search without a start; none where the data do not allow one."""
    try:
        found = solve(Rows.of(samples), "auto", None, generator(ctx.seed, SCENARIO, "target"), ctx.check)
    except ExperimentError:
        return []
    return [found.fit.values]


def one_thread() -> AbstractContextManager[object]:
    """While it lasts the libraries have one thread each: where arrays are small, waiting for more costs most."""
    limits: AbstractContextManager[object] = threadpool_limits(limits=1)
    return limits
