"""Op in charts: a curve, with marks where Comp is negative."""

from __future__ import annotations

import numpy as np

from tui_opt.figure import Layer, Line, Ref, Scatter
from tui_opt.result import Result


def op_layers(
    result: Result, x: Ref, op: str, sign: str, label: str, index: tuple[int | None, ...] = ()
) -> tuple[Layer, ...]:
    """The curve of an array `op`, and marks at the points whose Comp is negative, where there are any.

    The marked points become two arrays of the result, `<x>_negative` and `<op>_negative`, with the numbers of the
    curve behind where there are several.

    Args:
        result: has the arrays, and gets two more.
        x: what Op is drawn against, a whole array.
        op, sign: names of the arrays.
        label: what the curve is called.
        index: which curve of an array of several.
    """
    curve = Line(x=x, y=Ref(array=op, index=index), label=label)
    picked = tuple(slice(None) if i is None else i for i in index)
    marked = result.arrays[sign].values[picked] < 0
    if not np.any(marked):
        return (curve,)
    which = "".join(f"_{i}" for i in index if i is not None)
    names = []
    for name, values in ((x.array, result.arrays[x.array].values), (op, result.arrays[op].values[picked])):
        names.append(f"{name}_negative{which}")
        if names[-1] not in result.arrays:
            text = f"{name} where Comp is negative"
            unit = result.arrays[name].unit
            result.add_array(names[-1], values[marked], (f"negative{which}",), unit=unit, text=text)
    return curve, Scatter(x=Ref(array=names[0]), y=Ref(array=names[1]), label=f"{label}: Comp < 0")
