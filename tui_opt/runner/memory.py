"""How much memory a scenario file needs, over all points of its sweep, and what to do where that is too much."""

from __future__ import annotations

import itertools
from typing import Any

from tui_opt.params import Params
from tui_opt.problems import ParameterErrors, shown
from tui_opt.scenario_file import ScenarioFile
from tui_opt.sweep import Sweep, SweepAxis

#: arrays of a sweep that are gathered into one take at most this in all; larger ones stay in the chunk files.
MOST_STACKED_BYTES = 256_000_000
#: a point's entries in the arrays of a finding and of its standard error, and whether it has them.
_BYTES_PER_FINDING = 17
_MOST_CORNERS = 10_000
_MOST_NAMED = 3


def memory_needed(file: ScenarioFile) -> tuple[int, Params]:
    """Bytes at the peak, and the parameters of the largest point.

    Args:
        file: a checked scenario file. Of each numeric axis of its sweep only the ends are looked at, because estimates
            rise or fall with their parameters; at most 10,000 combinations.
    """
    estimate = file.experiment.estimate
    if file.sweep is None:
        return estimate(file.params).bytes, file.params
    need, largest = 0, file.params
    for values in itertools.islice(_corners(file.sweep).points(), _MOST_CORNERS):
        try:
            params = file.at_point(values).params
        except ParameterErrors:
            continue  # such a point fails without computing anything
        one = estimate(params).bytes
        if one > need:
            need, largest = one, params
    findings = max(1, len(file.experiment.findings))
    kept = file.sweep.size * findings * _BYTES_PER_FINDING
    return need + kept + min(file.sweep.size * need, MOST_STACKED_BYTES), largest


def _corners(sweep: Sweep) -> Sweep:
    """The same axes with only the ends of the numeric ones."""
    axes = []
    for axis in sweep.axes:
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in axis.values):
            axes.append(SweepAxis(axis.name, tuple(dict.fromkeys((min(axis.values), max(axis.values))))))
        else:
            axes.append(axis)
    return Sweep(tuple(axes))


def advice(file: ScenarioFile, params: Params) -> str:
    """Which parameters to reduce: those whose halving lowers the estimate, the most effective first."""
    estimate = file.experiment.estimate
    whole = estimate(params).bytes
    gains: list[tuple[int, str]] = []
    for name, spec in params.specs().items():
        value = getattr(params, name)
        if spec.kind not in ("real", "integer") or spec.form != "values" or isinstance(value, str | None):
            continue
        try:
            halved = params.check({**params.plain(), name: _halved(value)})
        except ParameterErrors:
            continue
        saved = whole - estimate(halved).bytes
        if saved > whole // 20:
            now = f"{len(value):,} values" if isinstance(value, tuple) else shown(value)
            gains.append((saved, f"{name} (now {now})"))
    gains.sort(key=lambda gain: -gain[0])
    names = [text for _, text in gains[:_MOST_NAMED]]
    if not names:
        return "Use fewer points in [sweep]." if file.sweep is not None else "Ask for less at once."
    return f"Reduce {' or '.join(names)}."


def _halved(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value[: max(1, len(value) // 2)])
    return value // 2 if isinstance(value, int) else value / 2
