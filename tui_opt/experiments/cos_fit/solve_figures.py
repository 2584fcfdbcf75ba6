"""The charts of solve: data and fit, the scan, residuals, and the error ellipse."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.cos_fit.structure import names_in
from tui_opt.figure import Axis, Figure, Heatmap, Layer, Line, Path, Ref, Rule, Scatter
from tui_opt.result import Result

if TYPE_CHECKING:
    from tui_opt.experiments.cos_fit.search import Scanned
    from tui_opt.experiments.cos_fit.solve_answer import Answer

FloatArray = NDArray[np.float64]

MOST_POINTS = 400
SORTED_ROWS = 100_000
"""Rows among which those that are drawn are looked for."""
MOST_SCAN_POINTS = 20_000
PERIODS = 6.0
CURVE_POINTS = 600
CLOSE_CELLS = 40
BINS = 40
LEVELS = ((0.6827, 2.2957), (0.9545, 6.1801))
"""Shares of a two-dimensional normal law, and the squared radii that hold them."""


def add_figures(result: Result, answer: Answer) -> None:
    """Add the charts, and the arrays only they need."""
    for k in range(len(answer.rows.model.columns)):
        _add_fit(result, answer, k)
    for k, scanned in enumerate(answer.solution.search.scans):
        if len(scanned.scan.grid.counts) == 1:
            _add_scan(result, answer, scanned, k)
        elif len(scanned.scan.grid.counts) == 2:
            _add_scan_map(result, answer, scanned, k)
    _add_residuals(result, answer)
    _add_ellipse(result, answer)


def _add_fit(result: Result, answer: Answer, k: int) -> None:
    """The data less the other terms against one column, with the model's part; a window of a few periods."""
    rows, names = answer.rows.thinned(SORTED_ROWS, np.random.default_rng(0)), answer.names
    column = rows.model.columns[k]
    values = dict(zip(names, map(float, answer.solution.fit.values), strict=True))
    terms = answer.solution.structure.terms
    mine = [t for t in terms if column in names_in(t)]
    if not mine or any(names_in(t) & (set(rows.model.columns) - {column}) for t in mine):
        return  # the column stands together with others: there is no curve to draw
    x = rows.columns[k]
    middle = 0.0 if x.min() <= 0 <= x.max() else float(np.median(x))
    order = np.argsort(np.abs(x - middle), kind="stable")
    reach = float(np.abs(x - middle).max())
    fastest = max(
        (
            abs(values[n])
            for t in mine
            for n in names_in(t)
            if answer.solution.structure.kinds.get(n) == "frequency"
        ),
        default=0.0,
    )
    if fastest > 0:
        reach = min(reach, PERIODS * 2 * math.pi / fastest)
    inside = order[: int(np.searchsorted(np.abs(x[order] - middle), reach, side="right"))]
    if inside.size > MOST_POINTS:
        inside = inside[np.unique(np.linspace(0, inside.size - 1, MOST_POINTS).astype(np.int64))]
    if inside.size == 0:
        return
    drawn = rows.some(np.sort(inside))
    part = drawn.evaluated(mine, values).sum(axis=0)
    rest = drawn.residuals(answer.solution.fit.values) + part
    result.add_array(
        f"data_{column}", drawn.columns[k], (f"data_{column}",), text=f"{column} of the rows drawn"
    )
    result.add_array(
        f"data_y_{column}", rest, (f"data_{column}",), text="their y less the other terms of the model"
    )
    ends = float(drawn.columns[k].min()), float(drawn.columns[k].max())
    grid = np.linspace(*ends, CURVE_POINTS)
    curve_rows = type(rows)(
        rows.model, np.where(np.arange(len(rows.columns))[:, None] == k, grid, 0.0), np.zeros(grid.size)
    )
    curve = curve_rows.evaluated(mine, values).sum(axis=0)
    result.add_array(f"curve_{column}", grid, (f"curve_{column}",), text=column)
    result.add_array(f"curve_y_{column}", curve, (f"curve_{column}",), text=f"the model's part in {column}")
    others = len(mine) < len(terms)
    layers: tuple[Layer, ...] = (
        Scatter(x=Ref(array=f"data_{column}"), y=Ref(array=f"data_y_{column}"), label="data"),
        Line(x=Ref(array=f"curve_{column}"), y=Ref(array=f"curve_y_{column}"), label="fit"),
    )
    target = rows.model.text.target
    result.add_figure(
        Figure(
            name=f"fit-{column}", title=f"Data and fit against {column}", x=Axis(label=column),
            y=Axis(label=f"{target} less the other terms" if others else target), layers=layers,
            caption=f"{drawn.count} of {answer.rows.count} rows" if drawn.count < answer.rows.count else "",
        )
    )  # fmt: skip


def _add_scan(result: Result, answer: Answer, scanned: Scanned, k: int) -> None:
    """The error against frequency, all of it and next to the minimum."""
    (name,) = scanned.wave.frequencies
    grid, loss = scanned.scan.grid, scanned.scan.loss
    frequencies = grid.axis(0)
    found = float(answer.solution.fit.values[answer.names.index(name)])
    least = int(np.argmin(loss))
    cut = _thinned(loss, MOST_SCAN_POINTS)
    low = max(0, least - CLOSE_CELLS)
    close = slice(low, least + CLOSE_CELLS + 1)
    for suffix, part, title in (("", cut, "Scan"), ("_close", close, "Scan next to its minimum")):
        dim = f"scan_{name}{suffix}"
        result.add_array(dim, frequencies[part], (dim,), text=f"scanned {name}")
        result.add_array(
            f"scan_loss_{name}{suffix}", loss[part], (dim,), text="mean squared error, the rest eliminated"
        )
        layers: tuple[Layer, ...] = (
            Line(x=Ref(array=dim), y=Ref(array=f"scan_loss_{name}{suffix}"), label="error"),
            Rule(axis="x", value=found, label=f"{name} = {found:.6g}"),
        )
        caption = f"{grid.size:,} frequencies" + ("" if k == 0 else ", the stronger oscillation taken out")
        result.add_figure(
            Figure(
                name=f"scan-{name}{suffix.replace('_', '-')}", title=f"{title}: error against {name}",
                x=Axis(label=name), y=Axis(label="mean squared error"), layers=layers, caption=caption,
            )
        )  # fmt: skip


def _thinned(loss: FloatArray, most: int) -> NDArray[np.int64]:
    """Places to draw: the least and the largest of each stretch, so that no minimum is lost."""
    if loss.size <= most:
        return np.arange(loss.size)
    stretch = -(-2 * loss.size // most)
    whole = loss.size // stretch * stretch
    table = loss[:whole].reshape(-1, stretch)
    first = np.arange(table.shape[0]) * stretch
    picked = np.concatenate(
        [first + table.argmin(axis=1), first + table.argmax(axis=1), np.arange(whole, loss.size)]
    )
    return np.unique(picked)


def _add_scan_map(result: Result, answer: Answer, scanned: Scanned, k: int) -> None:
    """The error over two frequencies next to its minimum."""
    grid, loss = scanned.scan.grid, scanned.scan.loss
    places = np.unravel_index(int(np.argmin(loss)), loss.shape)
    parts = [slice(max(0, int(at) - CLOSE_CELLS), int(at) + CLOSE_CELLS + 1) for at in places]
    names = scanned.wave.frequencies
    dims = [f"scan_{name}" for name in names]
    for i, dim in enumerate(dims):
        result.add_array(dim, grid.axis(i)[parts[i]], (dim,), text=f"scanned {names[i]}")
    table = np.ascontiguousarray(loss[parts[0], parts[1]].T)
    array = f"scan_loss_{names[0]}_{names[1]}"
    result.add_array(array, table, (dims[1], dims[0]), text="mean squared error, the rest eliminated")
    heat = Heatmap(x=Ref(array=dims[0]), y=Ref(array=dims[1]), z=Ref(array=array), label="mean squared error")
    result.add_figure(
        Figure(
            name=f"scan-{names[0]}-{names[1]}", title=f"Scan next to its minimum: {names[0]} and {names[1]}",
            x=Axis(label=names[0]), y=Axis(label=names[1]), layers=(heat,),
            caption=f"{grid.size:,} pairs of frequencies",
        )
    )  # fmt: skip


def _add_residuals(result: Result, answer: Answer) -> None:
    """Residuals against the model's values."""
    rows = answer.rows
    picked = np.unique(np.linspace(0, rows.count - 1, min(rows.count, 4 * MOST_POINTS)).astype(np.int64))
    drawn = rows.some(picked)
    residual = drawn.residuals(answer.solution.fit.values)
    result.add_array("fitted", drawn.y - residual, ("row",), text="the model at the rows drawn")
    result.add_array("residual", residual, ("row",), text="y less the model at the rows drawn")
    layers: tuple[Layer, ...] = (
        Scatter(x=Ref(array="fitted"), y=Ref(array="residual"), label="rows"),
        Rule(axis="y", value=0.0),
    )
    caption = f"{picked.size} of {rows.count} rows" if picked.size < rows.count else ""
    result.add_figure(
        Figure(
            name="residuals", title="Residuals against the model's value", x=Axis(label="model"),
            y=Axis(label="residual"), layers=layers, caption=caption,
        )
    )  # fmt: skip


def _add_ellipse(result: Result, answer: Answer) -> None:
    """The region that holds two of the parameters with a given probability, and the repetitions in it."""
    kinds = [answer.solution.structure.kinds[n] for n in answer.names]
    order = sorted(range(len(kinds)), key=lambda i: ("frequency", "other", "phase", "linear").index(kinds[i]))
    if len(order) < 2:
        return
    pair = sorted(order[:2])
    values = answer.solution.fit.values[pair]
    matrix = answer.covariance[np.ix_(pair, pair)]
    many = answer.repetitions
    if many is not None:
        values, matrix = many.values[:, pair].mean(axis=0), np.cov(many.values[:, pair].T)
    if not np.isfinite(matrix).all() or np.any(np.diag(matrix) <= 0):
        return
    sizes, axes = np.linalg.eigh(matrix)
    if sizes[0] <= 0:
        return
    turn = np.linspace(0.0, 2 * math.pi, 181)
    names = [answer.names[i] for i in pair]
    layers: list[Layer] = []
    if many is not None:
        for i, name in zip(pair, names, strict=True):
            result.add_array(
                f"repeated_{name}", many.values[:, i], ("seed",), text=f"{name} of each repetition"
            )
        refs = [Ref(array=f"repeated_{name}") for name in names]
        layers.append(Scatter(x=refs[0], y=refs[1], label="repetitions"))
    circle = np.stack([np.cos(turn), np.sin(turn)])
    for share, squared in LEVELS:
        curve = values[:, None] + axes @ (np.sqrt(sizes * squared)[:, None] * circle)
        label = f"{100 * share:.0f} %"
        dims = (f"ellipse_{round(100 * share)}",)
        for name, places in zip(names, curve, strict=True):
            result.add_array(
                f"ellipse_{name}_{round(100 * share)}", places, dims, text=f"{name} around the {label} region"
            )
        refs = [Ref(array=f"ellipse_{name}_{round(100 * share)}") for name in names]
        layers.append(Path(x=refs[0], y=refs[1], label=label))
    if answer.samples.truth is not None:
        truth = answer.truth_like(answer.solution.fit.values)[pair]
        layers.append(Scatter(x=(float(truth[0]),), y=(float(truth[1]),), label="truth"))
    result.add_figure(
        Figure(
            name="errors", title=f"Error of {names[0]} and {names[1]}", x=Axis(label=names[0]),
            y=Axis(label=names[1]), layers=tuple(layers),
        )
    )  # fmt: skip
