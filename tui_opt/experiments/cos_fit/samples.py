"""The samples that are fitted: drawn from the seed's streams, or read from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tui_opt.errors import ExperimentError
from tui_opt.experiments.cos_fit.data_file import header_of, read_columns, text_of
from tui_opt.experiments.cos_fit.model import Model
from tui_opt.experiments.cos_fit.model_text import DRAWN, read_model, role_problems, roles
from tui_opt.experiments.cos_fit.params import SampleParams
from tui_opt.runner.context import Context
from tui_opt.runner.streams import generator

FloatArray = NDArray[np.float64]

SCENARIO = "cos-fit"
"""The streams are the scenario's, so that every experiment sees the same samples for the same seed."""


@dataclass(frozen=True)
class Samples:
    """What is fitted, rows with missing values left out.

    Attributes:
        model: the model with its names sorted out.
        columns: the columns the model reads, by name, [n] each.
        y: what it should describe, [n].
        clean: y before noise was added, [n]; None for data from a file.
        truth: the parameters the samples were made with, in the model's order; None for data from a file.
        noise: standard deviation of the noise that was added; None for data from a file.
        rows: rows there were.
        source: where the data come from, in words.
        sha256: checksum of the file, empty for drawn samples.
    """

    model: Model
    columns: dict[str, FloatArray]
    y: FloatArray
    clean: FloatArray | None
    truth: FloatArray | None
    noise: float | None
    rows: int
    source: str
    sha256: str = ""

    @property
    def count(self) -> int:
        """Rows that are left."""
        return self.y.size

    @property
    def dropped(self) -> int:
        """Rows left out because a value was missing or not finite."""
        return self.rows - self.count


def load_samples(params: SampleParams, ctx: Context, block: int = 0) -> Samples:
    """The samples of the parameters.

    Args:
        params: what is asked.
        ctx: its seed keys the streams.
        block: number of the repetition; each has samples of its own. Data from a file are the same in all.

    Raises:
        ExperimentError: the file cannot be used, or no row is left.
    """
    samples = _from_file(params) if params.data else _drawn(params, ctx.seed, block)
    if samples.rows == 0:
        said = f"No row of {samples.source} can be used: it has names only. Write rows of numbers below them."
        raise ExperimentError(said)
    if samples.count == 0:
        raise ExperimentError(
            f"No row of {samples.source} can be used: all {samples.rows} have a value that is missing or not finite."
        )
    return samples


def _drawn(params: SampleParams, seed: int, block: int) -> Samples:
    text = read_model(params.model)
    model = Model.of(text, roles(text, DRAWN, params.parameters))
    x1, x2, noise = _draws(params, seed, block)
    truth = np.array(list(params.truth().values()))
    columns = {name: {"x1": x1, "x2": x2}[name] for name in model.columns}
    clean = model.values(columns, truth)
    y = clean + params.noise * noise if params.noise > 0 else clean
    kept = np.isfinite(y)
    if not kept.all():
        columns = {name: values[kept] for name, values in columns.items()}
        y, clean = y[kept], clean[kept]
    return Samples(model, columns, y, clean, truth, params.noise, kept.size, "the samples that were drawn")


def _draws(params: SampleParams, seed: int, block: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """x1, x2 and standard normal noise, [samples] each; zeros for noise where there is none."""
    n = params.samples
    if params.generator == "default_rng":
        first = second = third = np.random.default_rng(seed + block)
    else:
        first, second, third = (generator(seed, SCENARIO, name, block) for name in ("x1", "x2", "noise"))
    if params.x_distribution == "normal":
        x1 = first.normal(0.0, params.x_scale, n)
    else:
        x1 = first.random(n) * params.x_scale
    low = -1.0 if params.x2_distribution == "symmetric" else 0.0
    x2 = params.x2_scale * (low + (1.0 - low) * second.random(n))
    return x1, x2, third.standard_normal(n) if params.noise > 0 else np.zeros(n)


def _from_file(params: SampleParams) -> Samples:
    path = Path(params.data).expanduser()
    text, sha256 = text_of(path)
    header = header_of(text, path)
    model_text = read_model(params.model)
    problems = list(role_problems(model_text, header.names, params.parameters, path.name))
    if problems:
        said = " ".join(f"{p.message} {p.hint}".strip() for p in problems)
        raise ExperimentError(f"The model {model_text.right} does not fit the data: {said}")
    model = Model.of(model_text, roles(model_text, header.names, params.parameters))
    columns = read_columns(path, text, header, (*model.columns, model_text.target))
    rows = next(iter(columns.values())).size
    kept = np.logical_and.reduce([np.isfinite(values) for values in columns.values()])
    columns = {name: values[kept] for name, values in columns.items()}
    for name, values in columns.items():
        # No difference is taken: that of the largest numbers overflows.
        if values.size > 1 and values.min() == values.max():
            raise ExperimentError(
                f"The column {name!r} of the data file {path.name} is constant ({values[0]:g} in all "
                f"{values.size} rows), so it says nothing about the model. Leave it out, or give data where it varies."
            )
    target = columns.pop(model_text.target)
    return Samples(model, columns, target, None, None, None, rows, f"the data file {path.name}", sha256)
