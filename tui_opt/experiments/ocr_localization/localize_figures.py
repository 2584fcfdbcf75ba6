"""The charts of localize: the weights as a density with the biases over it, the pixels, and the seeds."""

from __future__ import annotations

import numpy as np

from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.experiments.ocr_localization.one_seed import Seed
from tui_opt.figure import Axis, Density, Figure, Heatmap, Histogram, Layer, Ref, Rule, Scatter
from tui_opt.result import Result

CELLS = 120
"""Cells per axis of the density."""
EDGES = 40


def add_figures(result: Result, lesson: Lesson, done: list[Seed]) -> None:
    """Add the charts; those of weights show the first seed."""
    update = Axis(label="update share of group_a", low=0.0, high=1.0)
    change = Axis(label="change share of group_a", low=0.0, high=1.0)
    edges = np.linspace(0.0, 1.0, CELLS + 1)
    result.add_array("share_edge", edges, ("share_edge",), text="edges of the cells of the density")
    first = done[0].shares
    with np.errstate(invalid="ignore"):
        shares = first.change_weights.ravel(), first.update_weights.ravel()
        counts, _, _ = np.histogram2d(*shares, bins=(edges, edges))
    result.add_array(
        "weight_counts", counts, ("change_cell", "update_cell"), text="weights per cell, first seed"
    )
    biases: Layer = Scatter(
        x=Ref(array="update_share_biases", index=(0,)),
        y=Ref(array="change_share_biases", index=(0,)),
        label="biases",
    )
    result.add_figure(
        Figure(
            name="weights",
            title="Weights of the hidden layer, first seed",
            x=update,
            y=change,
            layers=(
                Density(
                    x=Ref(array="share_edge"),
                    y=Ref(array="share_edge"),
                    counts=Ref(array="weight_counts"),
                    label="weights",
                ),
                biases,
            ),
            caption="a unit's weights from pixels that are never drawn on lie exactly on its bias",
        )
    )
    result.add_figure(
        Figure(
            name="biases",
            title="Biases of the hidden layer, first seed",
            x=update,
            y=change,
            layers=(biases,),
        )
    )
    result.add_figure(
        Figure(
            name="pixels",
            title="Correlation over the weights of each pixel, mean over seeds",
            x=Axis(label="column"),
            y=Axis(label="row from below"),
            layers=(
                Heatmap(
                    x=Ref(array="col"),
                    y=Ref(array="row"),
                    z=Ref(array="pixel_correlation_upwards"),
                    diverging=True,
                    low=-1.0,
                    high=1.0,
                ),
            ),
        )
    )
    upwards = result.arrays["pixel_correlation"].values[::-1].copy()
    result.add_array(
        "pixel_correlation_upwards", upwards, ("row", "col"), text="pixel_correlation, bottom row first"
    )
    if len(done) > 1:
        _add_spread(result, done)


def _add_spread(result: Result, done: list[Seed]) -> None:
    """How the seeds scatter: the whole correlation, and the part within pixels."""
    edges = np.linspace(-1.0, 1.0, EDGES + 1)
    result.add_array("r_edge", edges, ("r_edge",), text="edges of the histograms")
    layers: list[Layer] = []
    for name, label in (
        ("r_weights", "all weights"),
        ("r_within_pixel", "within pixels"),
        ("r_biases", "biases"),
    ):
        values = np.array([getattr(seed.agreement, name) for seed in done])
        counts, _ = np.histogram(values[np.isfinite(values)], bins=edges)
        result.add_array(f"{name}_counts", counts.astype(float), ("r_cell",), text="seeds per cell")
        layers.append(Histogram(edges=Ref(array="r_edge"), counts=Ref(array=f"{name}_counts"), label=label))
    layers.append(Rule(axis="x", value=result.findings["r_data_only"].value, label="data only"))
    result.add_figure(
        Figure(
            name="seeds",
            title="Correlations of the seeds",
            x=Axis(label="correlation", low=-1.0, high=1.0),
            y=Axis(label="seeds"),
            layers=tuple(layers),
        )
    )
