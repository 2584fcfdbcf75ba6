"""Op in charts: a curve, with marks where Comp is negative."""

from __future__ import annotations

import numpy as np

from tui_opt.figure import Layer, Line, Ref, Scatter
from tui_opt.result import Result


def op_layers(
    result: Result, x: Ref, op: str, sign: str, label: str, index: tuple[int | None, ...] = ()
) -> tuple[Layer, ...]:
    """The curve of an array `op`, and marks at the points whose Comp is negative, where there are any.

    The points that are marked become an array of the result, `<op>_negative`, of the same dims.

    Args:
        result: has the arrays, and gets one more.
        x: what Op is drawn against.
        op, sign: names of the arrays.
        label: what the curve is called.
        index: which curve of an array of several.
    """
    curve = Line(x=x, y=Ref(array=op, index=index), label=label)
    picked = tuple(slice(None) if i is None else i for i in index)
    if not np.any(result.arrays[sign].values[picked] < 0):
        return (curve,)
    name = f"{op}_negative"
    if name not in result.arrays:
        values = result.arrays[op]
        marked = np.where(result.arrays[sign].values < 0, values.values, np.nan)
        result.add_array(name, marked, values.dims, unit=values.unit, text="Op where Comp is negative")
    return curve, Scatter(x=x, y=Ref(array=name, index=index), label=f"{label}: Comp < 0")
