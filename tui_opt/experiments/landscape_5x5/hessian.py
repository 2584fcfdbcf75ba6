"""hessian: exact spectra of minima and of the built network, and whether training sits at the edge of stability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.landscape_5x5.costs import (
    seconds_at_target,
    seconds_of_curvature,
    seconds_of_largest,
)
from tui_opt.experiments.landscape_5x5.minima import Minima, found_minima, seconds_to_minima
from tui_opt.experiments.landscape_5x5.minima_params import HessianParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.training import rule_of, trainer_for
from tui_opt.experiments.landscape_5x5.work import Work
from tui_opt.experiments.one_thread import linear_algebra_on_one_thread
from tui_opt.figure import Axis, Figure, Histogram, Layer, Line, Ref, Rule
from tui_opt.kernels.networks.hessians import hessian, kink_margin, largest_curvature
from tui_opt.kernels.networks.lanes import Rule as TrainingRule
from tui_opt.kernels.networks.plain import loss_and_gradient
from tui_opt.kernels.networks.scaling import smallest
from tui_opt.result import Result
from tui_opt.runner.context import Context

FloatArray: TypeAlias = NDArray[np.float64]

FLAT: Final = 1e-6
"""Eigenvalues below this part of the largest are flat directions: symmetries, and nodes that are off."""
EDGES: Final = 41


@linear_algebra_on_one_thread
def compute(params: HessianParams, ctx: Context) -> Result:
    """Train, polish, choose the representative, then a Hessian and its eigenvalues for every network."""
    task = Task.of(params, ctx.check)
    trainer, rule = trainer_for(task, ctx), rule_of(params)
    each = seconds_of_curvature(*task.sizes)
    at_target = 0.0 if task.built is None else seconds_at_target(*task.sizes)
    work = Work(ctx, seconds_to_minima(params) + params.number * each + at_target)
    minima = found_minima(params, task, trainer, rule, ctx, work)
    networks = minima.networks
    networks = smallest(task.layout, networks) if params.representative == "smallest" else networks
    losses, gradients = loss_and_gradient(task.layout, networks, task.x, task.y)

    def spectrum(network: FloatArray) -> FloatArray:
        matrix = hessian(task.layout, network, task.x, task.y, check=ctx.check)
        ctx.check()
        eigenvalues = np.asarray(np.linalg.eigvalsh(matrix))
        part.add(each)
        return eigenvalues

    part = work.part(params.number * each, "spectra")
    part.begin()
    spectra = np.stack(list(ctx.map(spectrum, list(networks))))
    part.end()
    target = None if task.built is None else _at_target(task, task.built, work, ctx)
    work.end()
    return _report(params, task, minima, networks, losses, gradients, spectra, target)


def largest(task: Task, network: FloatArray, work: Work, ctx: Context) -> tuple[float, FloatArray]:
    """The largest curvature at a kink and its direction, a part of the work of the size `seconds_of_largest`."""
    part = work.part(seconds_of_largest(*task.sizes))
    found = largest_curvature(task.layout, network, task.x, task.y, ctx.check, part.nearer)
    part.end()
    return found


@dataclass(frozen=True)
class _Target:
    """Curvatures at the built network, scaled to the smallest norm.

    Args:
        largest: in any direction, to the side that it leads to.
        other: the other way along that direction.
        off: largest eigenvalue with every node that is 0 on a sample off.
        on: with them on.
        raw: as largest, of the network as it was built.
    """

    largest: float
    other: float
    off: float
    on: float
    raw: float


def _at_target(task: Task, built: FloatArray, work: Work, ctx: Context) -> _Target:
    small = smallest(task.layout, built[None])[0]
    each = seconds_of_curvature(*task.sizes)
    part = work.part(2 * each, "built network")
    part.begin()

    def top(slope: float) -> float:
        matrix = hessian(task.layout, small, task.x, task.y, kinks=slope, check=ctx.check)
        ctx.check()
        found = float(np.linalg.eigvalsh(matrix)[-1])
        part.add(each)
        return found

    off, on = ctx.map(top, (0.0, 1.0))
    part.end()
    (curvature, direction), (raw, _) = ctx.map(lambda one: largest(task, one, work, ctx), (small, built))
    matrix = hessian(task.layout, small, task.x, task.y, -direction, check=ctx.check)
    return _Target(curvature, float(direction @ matrix @ direction), off, on, raw)


def _report(
    params: HessianParams,
    task: Task,
    minima: Minima,
    networks: FloatArray,
    losses: FloatArray,
    gradients: FloatArray,
    spectra: FloatArray,
    target: _Target | None,
) -> Result:
    result = Result()
    minima.describe(result, "model")
    for text in task.warnings:
        result.warn(text)
    result.add_array("eigenvalues", spectra, ("model", "i"), text="of the loss's Hessian, ascending")
    result.add_array("loss", losses, ("model",), text="mean squared error")
    norms = np.sqrt(np.square(gradients).sum(axis=1))
    result.add_array("gradient_norm", norms, ("model",), text="norm of the loss's gradient")
    top = spectra[:, -1]
    which = "as trained" if params.representative == "trained" else "scaled to the smallest norm"
    for name, share in (("lambda_max_low", 10), ("lambda_max_median", 50), ("lambda_max_high", 90)):
        text = f"Largest eigenvalue of the Hessian of minima {which}, percentile {share}."
        result.add_finding(name, float(np.percentile(top, share)), text)
    result.add_finding(
        "lambda_min_median", float(np.median(spectra[:, 0])), "Smallest eigenvalue; below 0 it is no minimum."
    )
    flat = (np.abs(spectra) < FLAT * np.abs(top)[:, None]).sum(axis=1)
    text = f"Eigenvalues below {FLAT:g} of the largest: directions in which nothing changes."
    result.add_finding("flat_directions_median", float(np.median(flat)), text)
    result.add_finding(
        "gradient_norm_median",
        float(np.median(norms)),
        "Norm of the gradient: how far from minima the networks are; `polish` brings them nearer.",
        kind="accuracy",
    )
    margins = np.array([kink_margin(task.layout, network, task.x) for network in networks])
    text = "Least distance of a node from switching on a sample: where it is 0 there is no Hessian."
    result.add_finding("kink_margin_median", float(np.median(margins)), text, kind="accuracy")
    _add_edge(result, minima.rule, top)
    _add_target(result, target)
    result.headline = ["lambda_max_target", "lambda_max_median", "gradient_norm_median", "edge_share"]
    _add_figures(result, top)
    return result


def _add_edge(result: Result, rule: TrainingRule, top: FloatArray) -> None:
    """The largest curvature at which the optimizer's steps still shrink, and how near the minima are to it."""
    if rule.optimizer not in ("gd", "momentum"):
        for name in ("stability_curvature", "edge_share"):
            result.add_missing(name, f"{rule.optimizer} has no fixed step, and so no fixed limit.")
        return
    mu = rule.momentum if rule.optimizer == "momentum" else 0.0
    limit = 2.0 * (1.0 + mu) / rule.rate
    text = "2 (1 + momentum) / learning rate: steps along a steeper direction grow (Polyak 1964)."
    result.add_finding("stability_curvature", limit, text)
    share = float(np.mean(top > 0.9 * limit))
    text = (
        "Minima whose largest curvature is above nine tenths of this limit: training went on until curvature stopped "
        "it (Cohen and others 2021, the edge of stability)."
    )
    result.add_finding("edge_share", share, text)


def _add_target(result: Result, target: _Target | None) -> None:
    names = ("lambda_max_target", "lambda_target_off", "lambda_target_on", "lambda_max_target_raw")
    if target is None:
        for name in names:
            result.add_missing(name, "There is no network built by hand for this target in this layout.")
        return
    text = (
        "Largest curvature of the loss at the built network, scaled to the smallest norm, in any direction, to the "
        "side it leads to: some of its nodes are exactly 0 on training points, and there is no Hessian."
    )
    result.add_finding(names[0], target.largest, text)
    result.add_finding(
        "lambda_target_other_side", target.other, "Curvature the other way along this direction."
    )
    for name, value, words in ((names[1], target.off, "off"), (names[2], target.on, "on")):
        text = f"Largest eigenvalue with every node that is 0 on a sample taken as {words}: no direction has this side."
        result.add_finding(name, value, text, kind="accuracy")
    result.add_finding(
        names[3], target.raw, "The same as it was built, before scaling: curvatures depend on the scaling."
    )


def _add_figures(result: Result, top: FloatArray) -> None:
    spectra = result.arrays["eigenvalues"].values
    rank = np.arange(1, spectra.shape[1] + 1, dtype=float)
    result.add_array("rank", rank, ("i",), text="of the eigenvalue, the largest first")
    for name, share in (("low", 10), ("median", 50), ("high", 90)):
        values = np.percentile(np.maximum(spectra[:, ::-1], 0.0), share, axis=0)
        result.add_array(
            f"spectrum_{name}", values, ("i",), text=f"percentile {share} of the eigenvalues by rank"
        )
    layers = [
        Line(x=Ref(array="rank"), y=Ref(array=f"spectrum_{name}"), label=f"{share} % of the minima")
        for name, share in (("high", 90), ("median", 50), ("low", 10))
    ]
    result.add_figure(
        Figure(
            name="spectrum",
            title="Eigenvalues of the Hessian, the largest first",
            x=Axis(label="rank"),
            y=Axis(label="eigenvalue", scale="log"),
            layers=tuple(layers),
        )
    )
    edges = np.linspace(0.0, max(float(top.max()), 1e-300) * 1.02, EDGES)
    result.add_array("top_edge", edges, ("top_edge",), text="edges of the histogram")
    result.add_array("top_counts", np.histogram(top, edges)[0].astype(float), ("top_cell",), text="minima")
    bars: list[Layer] = [
        Histogram(edges=Ref(array="top_edge"), counts=Ref(array="top_counts"), label="minima")
    ]
    limit = result.findings["stability_curvature"].value
    if np.isfinite(limit) and limit < 2 * edges[-1]:
        bars.append(Rule(axis="x", value=limit, label="limit of stability"))
    result.add_figure(
        Figure(
            name="largest",
            title="Largest curvature of the minima",
            x=Axis(label="largest eigenvalue", low=0.0),
            y=Axis(label="minima"),
            layers=tuple(bars),
        )
    )
