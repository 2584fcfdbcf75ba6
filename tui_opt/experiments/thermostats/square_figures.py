"""The charts of continuous-square: the bodies of all stages, and where decorrelated mass lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tui_opt.figure import Axis, Figure, Heatmap, Layer, Line, Path, Ref
from tui_opt.kernels.linear_boxes import OUTLINE, Pair, trapezoid_density
from tui_opt.result import Result

FloatArray = NDArray[np.float64]

CELLS = 96
CURVE_POINTS = 401
_MARGIN = 0.1


def add_figures(result: Result, stages: Sequence[tuple[str, str]], room: Pair, gain: float) -> None:
    """Add the charts.

    Args:
        result: has `shape_<stage>`, `corners_<stage>` and `centre_<stage>` of every stage.
        stages: name and time of each.
        room: widths of the two uniform numbers whose sum the room is at t.
        gain: k.
    """
    for name, when in stages:
        corners = result.arrays[f"corners_{name}"].values
        outline = corners[[*OUTLINE, OUTLINE[0]]]
        result.add_array(
            f"outline_{name}", outline, ("outline", "axis"), text=f"corners {when} in order, closed"
        )
    result.add_figure(_shapes(result, stages))
    for name, when in stages:
        layers: list[Layer] = []
        if name.endswith("decorrelated") and _add_density(result, name, room, gain):
            axes = (Ref(array=f"{name}_room"), Ref(array=f"{name}_machine"))
            layers.append(Heatmap(x=axes[0], y=axes[1], z=Ref(array=f"density_{name}"), label="density"))
        layers.append(_path(f"outline_{name}", "support" if layers else "uniform within"))
        result.add_figure(
            Figure(
                name=name.replace("_", "-"),
                title=f"Room and machine {when}",
                x=_around(result, name, 0, "room"),
                y=_around(result, name, 1, "machine"),
                layers=tuple(layers),
            )
        )
    _add_room(result, room)


def _path(array: str, label: str) -> Path:
    return Path(x=Ref(array=array, index=(None, 0)), y=Ref(array=array, index=(None, 1)), label=label)


def _shapes(result: Result, stages: Sequence[tuple[str, str]]) -> Figure:
    layers = []
    for name, when in stages:
        shape = result.arrays[f"shape_{name}"].values[[*OUTLINE, OUTLINE[0]]]
        result.add_array(f"shape_outline_{name}", shape, ("outline", "axis"), text=f"the body {when}, closed")
        layers.append(_path(f"shape_outline_{name}", when))
    return Figure(
        name="shapes",
        title="The bodies of all times about their centres",
        x=Axis(label="room - centre"),
        y=Axis(label="machine - centre"),
        layers=tuple(layers),
        caption="uniform at t-1, t and t+1; decorrelated laws are denser in the middle of theirs",
    )


def _around(result: Result, name: str, axis: int, label: str) -> Axis:
    values = result.arrays[f"corners_{name}"].values[:, axis]
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * (high - low) or max(abs(low) * 1e-6, 1e-6)
    return Axis(label=label, low=low - margin, high=high + margin)


def _add_density(result: Result, name: str, room: Pair, gain: float) -> bool:
    """The density on a grid about the centre; none where the law lies on a line."""
    shape = result.arrays[f"shape_{name}"].values
    reach = np.abs(shape).max(axis=0) * (1 + _MARGIN)
    if not np.all(reach > 0) or (name == "next_decorrelated" and gain == 0):
        return False
    x, y = (np.linspace(-r, r, CELLS) for r in reach)
    across, up = np.meshgrid(x, y)
    side = 2 * float(np.abs(result.arrays["shape_before"].values[:, 0]).max())
    if name == "now_decorrelated":
        density = _at(across, up, room, side)
    else:
        density = _at(up, (up - across) / gain, room, side) / abs(gain)
    centre = result.arrays[f"centre_{name}"].values
    result.add_array(f"{name}_room", x + centre[0], (f"{name}_room",), text="room, cells of the map")
    result.add_array(f"{name}_machine", y + centre[1], (f"{name}_machine",), text="machine, cells of the map")
    dims = (f"{name}_machine", f"{name}_room")
    result.add_array(f"density_{name}", density, dims, text="density per room and machine")
    return True


def _at(room: FloatArray, machine: FloatArray, widths: Pair, side: float) -> FloatArray:
    """The decorrelated density at t: the room a trapezoid, the machine what the room was, uniform."""
    return np.where(np.abs(machine) <= side / 2, trapezoid_density(room, widths) / side, 0.0)


def _add_room(result: Result, room: Pair) -> None:
    """The room's density by itself at t."""
    reach = float(sum(room)) / 2 * (1 + _MARGIN)
    x = np.linspace(-reach, reach, CURVE_POINTS)
    centre = float(result.arrays["centre_now"].values[0])
    result.add_array("room_now", x + centre, ("room_now",), text="room at t")
    density = trapezoid_density(x, room)
    result.add_array("density_room_now", density, ("room_now",), text="its density by itself")
    result.add_figure(
        Figure(
            name="room-now",
            title="The room at t by itself",
            x=Axis(label="room"),
            y=Axis(label="density", low=0.0),
            layers=(Line(x=Ref(array="room_now"), y=Ref(array="density_room_now"), label="trapezoid"),),
        )
    )
