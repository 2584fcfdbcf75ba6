"""A figure with its numbers: layers checked, axes with their ranges, and what cannot be drawn in words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tui_opt.drawn import NO_SLOT, Drawn, Tally, extremes, has_numbers, resolve_layer
from tui_opt.figure import (
    Axis,
    Figure,
    Layer,
    Rule,
)
from tui_opt.scales import Scale, with_room

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tui_opt.resolution import Floats


@dataclass
class Scene:
    """A figure ready to draw.

    Args:
        figure: the figure.
        resolved: its layers whose arrays fit, in the figure's order.
        drawn: those of them that have numbers.
        rules: its rules at finite values.
        x, y: the axes; `None` where there is nothing to draw.
        notes: sentences about what is not drawn and why.
    """

    figure: Figure
    resolved: list[Drawn] = field(default_factory=list)
    drawn: list[Drawn] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    x: Scale | None = None
    y: Scale | None = None
    notes: list[str] = field(default_factory=list)


def prepare(figure: Figure, arrays: Mapping[str, NDArray[Any]], *, partial: bool = False) -> Scene:
    """Resolve a figure's layers against the arrays of a result.

    Args:
        figure: the figure.
        arrays: numbers by name.
        partial: NaN is what is not computed yet.

    Returns:
        The scene. Layers that cannot be drawn are left out and named in its notes; nothing is raised.
    """
    scene, tally = Scene(figure), Tally()
    slots: dict[str, int] = {}
    for layer in figure.layers:
        if isinstance(layer, Rule):
            axis = figure.x if layer.axis == "x" else figure.y
            if math.isfinite(layer.value) and (axis.scale == "linear" or layer.value > 0):
                scene.rules.append(layer)
            else:
                scene.notes.append(f"The rule {_named(layer)} has no place on the {layer.axis} axis.")
            continue
        try:
            drawn = resolve_layer(layer, figure, arrays, tally)
        except (KeyError, IndexError, ValueError) as error:
            scene.notes.append(f"The {layer.kind} {_named(layer)} is not drawn: {_reason(error)}")
            continue
        # A series without a label is its own; the number of slots so far tells such series apart.
        slot = (
            slots.setdefault(drawn.label or f"\0{len(slots)}", len(slots))
            if drawn.kind != "heatmap"
            else NO_SLOT
        )
        scene.resolved.append(replace(drawn, slot=slot))
    if partial:
        tally.nan = 0
    if sentence := tally.sentence():
        scene.notes.append(sentence)
    scene.drawn = [d for d in scene.resolved if has_numbers(d)]
    if scene.drawn:
        scene.x = _scale(figure.x, [d.x for d in scene.drawn], "x", scene)
        scene.y = _scale(figure.y, [v for d in scene.drawn for v in _heights(d, figure.y)], "y", scene)
    if figure.notes is not None:
        scene.notes = list(figure.notes)
    return scene


def _named(layer: Layer) -> str:
    return f"“{layer.label}”" if layer.label else "without a label"


def _reason(error: Exception) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    text = text if text.endswith(".") else f"{text}."
    return text[0].lower() + text[1:]


def _heights(drawn: Drawn, axis: Axis) -> list[Floats]:
    if drawn.kind == "histogram" and axis.scale == "linear":
        return [drawn.y, np.zeros(1)]
    if drawn.upper is not None:
        return [drawn.y, drawn.upper]
    if drawn.error is not None:
        reach = np.where(np.isfinite(drawn.error), drawn.error, 0.0)
        low = drawn.y - reach
        return [np.where(low > 0, low, np.nan) if axis.scale == "log" else low, drawn.y + reach]
    return [drawn.y]


def _scale(axis: Axis, values: list[Floats], side: Literal["x", "y"], scene: Scene) -> Scale:
    limits = [limit for v in values for limit in extremes(v)]
    limits += [rule.value for rule in scene.rules if rule.axis == side]
    low, high = min(limits), max(limits)
    low, high = _wanted(axis.low, low, axis), _wanted(axis.high, high, axis)
    if low > high:
        scene.notes.append(
            f"The {side} axis has no room between {low:g} and {high:g}; it shows the data instead."
        )
        return _scale(axis.model_copy(update={"low": None, "high": None}), values, side, scene)
    return Scale(axis, *with_room(low, high, log=axis.scale == "log"))


def _wanted(limit: float | None, own: float, axis: Axis) -> float:
    usable = limit is not None and math.isfinite(limit) and (axis.scale == "linear" or limit > 0)
    return limit if usable and limit is not None else own
