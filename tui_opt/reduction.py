"""A result cut down to what its figures can show: the same pictures from arrays that are small.

Curves keep the extremes of each of many columns, dense points and paths become densities, matrices become coarser, and
limits of axes and colours stay those of all numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tui_opt.figure import Axis, Figure, Heatmap, Layer, Ref, Rule
from tui_opt.result import Array, Result
from tui_opt.scene import prepare
from tui_opt.small_layers import SmallArrays, reduced_layer, without_numbers

if TYPE_CHECKING:
    from tui_opt.scales import Scale
    from tui_opt.scene import Scene

SMALL_ARRAY = 65_536  # bytes; such arrays stay as they are
_RESOLUTIONS = (2048, 1024, 512, 256)  # columns of a curve; the first that is small enough is taken


def size(result: Result) -> int:
    """Bytes of a result's arrays."""
    return sum(array.values.nbytes for array in result.arrays.values())


def reduced(result: Result, most_bytes: int) -> Result:
    """A result whose figures look the same and whose arrays are small.

    Args:
        result: the result; it is not changed, and small arrays are shared with it.
        most_bytes: how large its arrays may be together.

    Returns:
        The result itself where it is small enough. Otherwise one in which figures draw arrays `preview/…` instead of
        large ones, and which has no large arrays. It is larger than `most_bytes` only where its figures have more
        layers than that holds at the lowest resolution.
    """
    if size(result) <= most_bytes:
        return result
    # Numbers near the end of the doubles overflow to infinity, which lies outside every plot.
    with np.errstate(over="ignore", invalid="ignore"):
        scenes = [prepare(figure, result.values()) for figure in result.figures]
        for columns in _RESOLUTIONS:
            small = _at_resolution(result, scenes, columns)
            if size(small) <= most_bytes:
                return small
    return _without_undrawn(small, most_bytes)


def _at_resolution(result: Result, scenes: list[Scene], columns: int) -> Result:
    large = {name for name, array in result.arrays.items() if array.values.nbytes > SMALL_ARRAY}
    added: dict[str, Array] = {}
    figures = [
        _small_figure(scene, number, SmallArrays(result, large, columns, added))
        for number, scene in enumerate(scenes, 1)
    ]
    kept = {name: array for name, array in result.arrays.items() if name not in large}
    return replace(result, arrays=kept | added, figures=figures)


def _without_undrawn(result: Result, most_bytes: int) -> Result:
    """Leave out arrays that no figure draws, the largest first, as many as it takes."""
    drawn = {name for figure in result.figures for layer in figure.layers for name in _names(layer)}
    excess = size(result) - most_bytes
    arrays = dict(result.arrays)
    for name, array in sorted(result.arrays.items(), key=lambda item: -item[1].values.nbytes):
        if excess > 0 and name not in drawn:
            del arrays[name]
            excess -= array.values.nbytes
    return replace(result, arrays=arrays)


def _names(layer: Layer) -> list[str]:
    return [part.array for part in vars(layer).values() if isinstance(part, Ref)]


def _small_figure(scene: Scene, number: int, small: SmallArrays) -> Figure:
    figure = scene.figure
    if not any(small.needs(layer) for layer in figure.layers):
        return figure
    resolved = {id(drawn.layer): drawn for drawn in scene.resolved}
    drawn_at_all = {id(drawn.layer) for drawn in scene.drawn}
    layers: list[Layer] = []
    for place, layer in enumerate(figure.layers, 1):
        small.prefix = f"preview/{number}/{place}"
        drawn = resolved.get(id(layer))
        if isinstance(layer, Rule) or (drawn is not None and not small.needs(layer)):
            layers.append(layer)
        elif drawn is not None and id(layer) in drawn_at_all:
            assert scene.x is not None
            assert scene.y is not None
            layers.append(reduced_layer(drawn, scene.x, scene.y, small))
        elif drawn is not None and not isinstance(layer, Heatmap):
            layers.append(without_numbers(layer))
    notes = tuple(dict.fromkeys([*scene.notes, *small.notes]))
    return _with_limits(figure.model_copy(update={"layers": tuple(layers), "notes": notes}), scene, small)


def _with_limits(figure: Figure, scene: Scene, small: SmallArrays) -> Figure:
    """The figure with the limits of all numbers, set where the reduced ones have others."""
    arrays = {name: a.values for name, a in {**small.result.arrays, **small.added}.items()}
    now = prepare(figure, arrays)

    def limited(axis: Axis, own: Scale | None, scale: Scale | None) -> Axis:
        if scale is None or (own is not None and (own.low, own.high) == (scale.low, scale.high)):
            return axis
        return axis.model_copy(update={"low": scale.low, "high": scale.high})

    axes = {"x": limited(figure.x, now.x, scene.x), "y": limited(figure.y, now.y, scene.y)}
    return figure.model_copy(update=axes)
