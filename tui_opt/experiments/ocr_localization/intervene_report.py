"""What intervene says: how local the change is beside a random one, and what final parameters depend on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.ocr_localization.intervene_params import InterveneParams
from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.figure import Axis, Figure, Heatmap, Line, Ref
from tui_opt.kernels.localization.changes import Analysis, participation_ratio, variance_analysis
from tui_opt.kernels.localization.network import FAR
from tui_opt.result import Result

FloatArray: TypeAlias = NDArray[np.float64]

START, PLAIN, CHANGED, CONTROL, HALVES = range(5)


LEVELS: Final = ("", "_units", "_pixels")
SUFFIXES: Final = ("", "_control")
RANKS: Final = 400
SUMMARY: Final = 0.7
"""Part of a report that is what is said of each network by itself; the rest is the analysis of variance."""


@dataclass(frozen=True)
class Extent:
    """How much of the data was changed.

    Args:
        images: how many.
        added: what was added to the sum of an image's inputs, on average over these.
        added_control: the same of the control.
    """

    images: int
    added: float
    added_control: float


class _Summary:
    """Of the changes of the networks, one after the other: no array of all of them is made.

    Args:
        shape: pixels and units of a network.
        number: how many networks there will be.
    """

    def __init__(self, shape: tuple[int, int], number: int) -> None:
        pixels, units = self._shape = shape
        parameters = pixels * units + units
        step = max(1, parameters // RANKS)
        self._step, self._done = step, 0
        self.ratios = np.full((len(SUFFIXES), len(LEVELS), number), np.nan)
        self.sizes = np.full((len(SUFFIXES), number), np.nan)
        self._squares = np.zeros((len(SUFFIXES), parameters))
        self._ranked = np.zeros((len(SUFFIXES), len(range(0, parameters, step))))

    def take(self, ends: FloatArray) -> None:
        """One network more, [data set, parameter]."""
        for place, which in enumerate((CHANGED, CONTROL)):
            change = ends[which] - ends[PLAIN]
            for level, name in enumerate(LEVELS):
                ratio = participation_ratio(_at(name, change, self._shape))
                self.ratios[place, level, self._done] = ratio
            squares = np.square(change)
            self.sizes[place, self._done] = np.sqrt(squares.mean())
            self._squares[place] += squares
            np.abs(change, out=change)
            change.sort()
            self._ranked[place] += change[::-1][:: self._step]
        self._done += 1

    def change(self, place: int) -> FloatArray:
        """Root mean square over networks, [parameter]."""
        return np.sqrt(self._mean(self._squares[place]))

    def ranked(self, place: int) -> FloatArray:
        """Absolute changes, the largest first, mean over networks, [rank]."""
        return self._mean(self._ranked[place])

    def of_pixels(self, place: int) -> FloatArray:
        """Root mean square over networks and units of each pixel's weights, [pixel]."""
        pixels, units = self._shape
        weights = self._squares[place][: pixels * units].reshape(pixels, units)
        return np.sqrt(self._mean(weights.mean(axis=1)))

    def _mean(self, total: FloatArray) -> FloatArray:
        return np.asarray(total / self._done if self._done else np.full_like(total, np.nan))


def report(
    params: InterveneParams,
    lesson: Lesson,
    ends: Sequence[FloatArray],
    extent: Extent,
    check: Callable[[], None] = lambda: None,
    told: Callable[[float], None] = lambda part: None,
) -> Result:
    """The result of the networks that are done.

    Args:
        params: what was asked.
        lesson: what was learnt.
        ends: hidden-layer parameters of each network, [data set, parameter]: none yet, the data, the changed data, the
            control, the halves.
        extent: how much was changed.
        check: called between networks, and while their variance is analysed.
        told: how much more of the report is done, as often; parts of 1.
    """
    result = Result()
    known = [one for one in ends if np.isfinite(one).all()]
    if len(known) < len(ends):
        lost = len(ends) - len(known)
        text = (
            f"{lost} of {len(ends)} initial networks diverged and are left out: parameters are beyond {FAR:,.0f} or "
            "no numbers. Lower learning_rate."
        )
        result.add_finding("diverged", lost, text, kind="warning")
    summary = _Summary((lesson.data.images.shape[1], params.hidden), len(known))
    for one in known:
        check()
        summary.take(one)
        told(SUMMARY / len(known))
    _add_ratios(result, params, summary, extent)
    _add_variance(result, known, check, lambda part: told((1.0 - SUMMARY) * part))
    for place, suffix in enumerate(SUFFIXES):
        text = (
            "root mean square over seeds of the change of each weight, by pixel and unit, then of each bias"
        )
        result.add_array(f"change{suffix}", summary.change(place), ("parameter",), text=text)
    _add_figures(result, lesson, summary)
    result.headline = [
        "participation_ratio",
        "participation_ratio_control",
        "variance_share_data",
        "variance_share_init",
    ]
    return result


def _sources(params: InterveneParams, extent: Extent) -> tuple[str, str]:
    """What was done to the data, and for the control."""
    which = f"{extent.images} images of {params.digit}"
    if params.change == "relabel":
        return (
            f"{which} got the other label in the data.",
            "The control gives the other label to as many random images.",
        )
    if params.change == "remove":
        return (
            f"{which} were taken out of the data.",
            "The control takes as many random images away.",
        )
    own = f"{which} got a bright square in the data, which adds {extent.added:.3g} to an image's inputs on average."
    control = (
        "The control adds the same to random pixels of as many random images, pixel by pixel of the square"
    )
    if np.isclose(extent.added, extent.added_control, rtol=1e-9):
        return own, f"{control}."
    return own, f"{control}; they have room for {extent.added_control:.3g} on average."


def _add_ratios(result: Result, params: InterveneParams, summary: _Summary, extent: Extent) -> None:
    words = (
        "parameters of the hidden layer",
        "hidden units, by the root mean square change of each",
        "pixels, by the root mean square change of each one's weights",
    )
    sources = _sources(params, extent)
    for level, (name, of) in enumerate(zip(LEVELS, words, strict=True)):
        for place, (suffix, source) in enumerate(zip(SUFFIXES, sources, strict=True)):
            text = f"Share of the {of} that the change is spread over. {source}"
            _add(result, f"participation_ratio{name}{suffix}", summary.ratios[place, level], text)
    _add(result, "change_size", summary.sizes[0], "Root mean square change of the hidden layer's parameters.")
    _add(result, "change_size_control", summary.sizes[1], "The same of the control.")
    logs = np.log(summary.ratios[0, 0] / summary.ratios[1, 0])
    logs = logs[np.isfinite(logs)]
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


def _at(level: str, change: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """The change of one seed by parameter, unit or pixel."""
    if not level:
        return change
    pixels, units = shape
    weights = np.square(change[: pixels * units]).reshape(pixels, units)
    if level == "_pixels":
        return np.asarray(np.sqrt(weights.mean(axis=1)))
    return np.asarray(np.sqrt((weights.sum(axis=0) + np.square(change[pixels * units :])) / (pixels + 1)))


def _add_variance(
    result: Result,
    ends: Sequence[FloatArray],
    check: Callable[[], None],
    told: Callable[[float], None],
) -> None:
    found: tuple[Analysis, Analysis] | None = None
    if len(ends) > 1:
        found = variance_analysis([one[HALVES:] for one in ends], [one[START] for one in ends], check, told)
    for place, (prefix, of) in enumerate(
        (
            ("variance", "the hidden layer's final parameters"),
            ("movement", "how far the hidden layer's parameters moved from their initial values"),
        )
    ):
        _add_shares(result, prefix, found[place] if found else None, of)


def _add_shares(result: Result, prefix: str, found: Analysis | None, of: str) -> None:
    texts = {
        f"{prefix}_share_data": ("data", "which half of the images was learnt"),
        f"{prefix}_share_init": ("init", "the initial network"),
        f"{prefix}_share_both": ("both", "the two together, beyond what each does alone"),
    }
    if found is None:
        for name in texts:
            result.add_missing(name, "An analysis of variance needs two seeds that did not diverge, or more.")
        return
    for name, (field, words) in texts.items():
        # Leaving out one initial network at a time gives the error: networks are what was drawn independently.
        values = np.array([getattr(one, field) for one in found.without])
        stderr = float(np.sqrt((values.size - 1) * values.var())) if values.size else None
        text = f"Share of the variance of {of} that goes with {words}."
        result.add_finding(name, getattr(found.shares, field), text, stderr=stderr)


def _add(result: Result, name: str, values: FloatArray, text: str) -> None:
    known = values[np.isfinite(values)]
    if not known.size:
        result.add_missing(name, f"{text} Nothing changed, or every network diverged.")
        return
    stderr = float(known.std(ddof=1) / np.sqrt(known.size)) if known.size > 1 else None
    result.add_finding(name, float(known.mean()), text, stderr=stderr)


def _add_figures(result: Result, lesson: Lesson, summary: _Summary) -> None:
    side = lesson.data.side
    result.add_array("row", np.arange(side, dtype=float), ("row",), text="from below")
    result.add_array("col", np.arange(side, dtype=float), ("col",), text="from the left")
    tops = []
    for place, suffix in enumerate(SUFFIXES):
        by_pixel = summary.of_pixels(place)
        result.add_array(
            f"pixel_change{suffix}",
            by_pixel.reshape(side, side)[::-1].copy(),
            ("row", "col"),
            text="root mean square change of a pixel's weights",
        )
        tops.append(float(np.nanmax(by_pixel, initial=0.0)))
        result.add_array(
            f"ranked_change{suffix}",
            summary.ranked(place),
            ("rank",),
            text="absolute changes, the largest first",
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
