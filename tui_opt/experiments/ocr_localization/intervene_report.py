"""What intervene says: how local the change is beside a random one, and what final parameters depend on."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.ocr_localization.intervene_params import InterveneParams
from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.figure import Axis, Figure, Heatmap, Line, Ref
from tui_opt.kernels.localization.changes import participation_ratio, variance_shares
from tui_opt.kernels.localization.network import FAR
from tui_opt.result import Result

FloatArray: TypeAlias = NDArray[np.float64]

START, PLAIN, CHANGED, CONTROL, HALVES = range(5)


def report(params: InterveneParams, lesson: Lesson, ends: FloatArray, images: int) -> Result:
    """The result of the networks that are done.

    Args:
        params: what was asked.
        lesson: what was learnt.
        ends: hidden-layer parameters, [seed, data set, parameter]: none yet, the data, the changed data, the control,
            the halves.
        images: how many images were changed.
    """
    result = Result()
    finite = np.isfinite(ends).all(axis=(1, 2))
    if not finite.all():
        lost = int((~finite).sum())
        text = (
            f"{lost} of {finite.size} initial networks diverged and are left out: parameters are beyond {FAR:,.0f} or "
            "no numbers. Lower learning_rate."
        )
        result.add_finding("diverged", lost, text, kind="warning")
    ends = ends[finite]
    changes = ends[:, CHANGED] - ends[:, PLAIN], ends[:, CONTROL] - ends[:, PLAIN]
    shape = (len(ends), lesson.data.images.shape[1], params.hidden)
    _add_ratios(result, params, changes, shape, images)
    _add_variance(result, ends)
    for name, change in zip(("change", "change_control"), changes, strict=True):
        rms = np.sqrt(np.square(change).mean(axis=0)) if len(change) else np.full(ends.shape[2], np.nan)
        text = (
            "root mean square over seeds of the change of each weight, by pixel and unit, then of each bias"
        )
        result.add_array(name, rms, ("parameter",), text=text)
    _add_figures(result, lesson, changes, shape)
    result.headline = [
        "participation_ratio",
        "participation_ratio_control",
        "variance_share_data",
        "variance_share_init",
    ]
    return result


def _add_ratios(
    result: Result,
    params: InterveneParams,
    changes: tuple[FloatArray, FloatArray],
    shape: tuple[int, int, int],
    images: int,
) -> None:
    words = {
        "": "parameters of the hidden layer",
        "_units": "hidden units, by the root mean square change of each",
        "_pixels": "pixels, by the root mean square change of each one's weights",
    }
    what = {"patch": "a bright square", "relabel": "the other label", "remove": "no place"}[params.change]
    sources = (
        ("", f"{images} images of {params.digit} got {what} in the data."),
        ("_control", "The control changes as many random images, as much."),
    )
    for level, of in words.items():
        for (suffix, source), change in zip(sources, changes, strict=True):
            values = np.array([participation_ratio(_at(level, one, shape)) for one in change])
            text = f"Share of the {of} that the change is spread over. {source}"
            _add(result, f"participation_ratio{level}{suffix}", values, text)
    sizes = [np.sqrt(np.square(change).mean(axis=1)) for change in changes]
    _add(result, "change_size", sizes[0], "Root mean square change of the hidden layer's parameters.")
    _add(result, "change_size_control", sizes[1], "The same of the control.")
    ratio = [np.array([participation_ratio(one) for one in change if np.any(change)]) for change in changes]
    if ratio[0].size == ratio[1].size and ratio[0].size > 1:
        logs = np.log(ratio[0] / ratio[1])
        logs = logs[np.isfinite(logs)]
    else:
        logs = np.zeros(0)
    text = (
        "Participation ratio over that of the control, geometric mean over seeds: below 1 the structured change is "
        "more local than a random one of the same size, which is what the hypothesis says."
    )
    if logs.size > 1:
        mean = float(np.exp(logs.mean()))
        stderr = mean * float(logs.std(ddof=1)) / np.sqrt(logs.size)
        result.add_finding("locality", mean, text, stderr=stderr)
    else:
        result.add_missing("locality", text + " It needs two seeds or more.")


def _at(level: str, change: FloatArray, shape: tuple[int, int, int]) -> FloatArray:
    """The change of one seed by parameter, unit or pixel."""
    if not level:
        return change
    _, pixels, units = shape
    weights = np.square(change[: pixels * units]).reshape(pixels, units)
    if level == "_pixels":
        return np.asarray(np.sqrt(weights.mean(axis=1)))
    return np.asarray(np.sqrt((weights.sum(axis=0) + np.square(change[pixels * units :])) / (pixels + 1)))


def _add_variance(result: Result, ends: FloatArray) -> None:
    _add_shares(result, "variance", ends[:, HALVES:], "the hidden layer's final parameters")
    moved = ends[:, HALVES:] - ends[:, START, None]
    _add_shares(
        result, "movement", moved, "how far the hidden layer's parameters moved from their initial values"
    )


def _add_shares(result: Result, prefix: str, values_of: FloatArray, of: str) -> None:
    texts = {
        f"{prefix}_share_data": ("data", "which half of the images was learnt"),
        f"{prefix}_share_init": ("init", "the initial network"),
        f"{prefix}_share_both": ("both", "the two together, beyond what each does alone"),
    }
    networks = len(values_of)
    if networks < 2:
        for name in texts:
            result.add_missing(name, "An analysis of variance needs two seeds that did not diverge, or more.")
        return
    found = variance_shares(values_of)
    # Leaving out one initial network at a time gives the error: networks are what was drawn independently.
    less = range(networks) if networks > 2 else ()
    left = [variance_shares(np.delete(values_of, i, axis=0)) for i in less]
    for name, (field, words) in texts.items():
        values = np.array([getattr(one, field) for one in left])
        stderr = float(np.sqrt((values.size - 1) * values.var())) if values.size else None
        text = f"Share of the variance of {of} that goes with {words}."
        result.add_finding(name, getattr(found, field), text, stderr=stderr)


def _add(result: Result, name: str, values: FloatArray, text: str) -> None:
    known = values[np.isfinite(values)]
    if not known.size:
        result.add_missing(name, f"{text} Nothing changed, or every network diverged.")
        return
    stderr = float(known.std(ddof=1) / np.sqrt(known.size)) if known.size > 1 else None
    result.add_finding(name, float(known.mean()), text, stderr=stderr)


def _add_figures(
    result: Result, lesson: Lesson, changes: tuple[FloatArray, FloatArray], shape: tuple[int, int, int]
) -> None:
    side = lesson.data.side
    result.add_array("row", np.arange(side, dtype=float), ("row",), text="from below")
    result.add_array("col", np.arange(side, dtype=float), ("col",), text="from the left")
    tops = []
    for suffix, change in zip(("", "_control"), changes, strict=True):
        by_pixel = (
            np.sqrt(np.mean([np.square(_at("_pixels", one, shape)) for one in change], axis=0))
            if len(change)
            else np.full(shape[1], np.nan)
        )
        pixels = by_pixel.reshape(side, side)[::-1].copy()
        result.add_array(
            f"pixel_change{suffix}",
            pixels,
            ("row", "col"),
            text="root mean square change of a pixel's weights",
        )
        tops.append(float(np.nanmax(by_pixel, initial=0.0)))
        ranked = (
            np.mean([np.sort(np.abs(one))[::-1] for one in change], axis=0)
            if len(change)
            else np.full(shape[1] * shape[2] + shape[2], np.nan)
        )
        step = max(1, ranked.size // 400)
        result.add_array(
            f"ranked_change{suffix}", ranked[::step], ("rank",), text="absolute changes, the largest first"
        )
    rank = np.linspace(0, 1, result.arrays["ranked_change"].values.size)
    result.add_array("rank", rank, ("rank",), text="share of the parameters")
    for suffix, title in (("", "of the changed data"), ("_control", "of the control")):
        result.add_figure(
            Figure(
                name=f"pixels{suffix.replace('_', '-')}",
                title=f"Change of each pixel's weights, {title}",
                x=Axis(label="column"),
                y=Axis(label="row from below"),
                layers=(
                    Heatmap(
                        x=Ref(array="col"),
                        y=Ref(array="row"),
                        z=Ref(array=f"pixel_change{suffix}"),
                        low=0.0,
                        high=max(tops) or None,
                    ),
                ),
            )
        )
    result.add_figure(
        Figure(
            name="ranked",
            title="Absolute changes of the parameters, the largest first",
            x=Axis(label="share of the parameters"),
            y=Axis(label="change"),
            layers=(
                Line(x=Ref(array="rank"), y=Ref(array="ranked_change"), label="changed data"),
                Line(x=Ref(array="rank"), y=Ref(array="ranked_change_control"), label="control"),
            ),
        )
    )
