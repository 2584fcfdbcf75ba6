"""The charts of own-system: Op, the course of W, and how far X and Y are from it."""

from __future__ import annotations

from tui_opt.experiments.own_system.params import OpParams
from tui_opt.experiments.signed_op import op_layers
from tui_opt.figure import Axis, Figure, Layer, Line, Ref, Rule
from tui_opt.result import Result

MOST_SERIES = 8
MOST_DELTAS = 4


def add_figures(result: Result, params: OpParams) -> None:
    """Op of all measured nodes, each beside its finite differences, the course, and the logarithms."""
    t = Ref(array="t")
    time = Axis(label="step" if params.is_map else "t")
    held = ", ".join(params.held) or "nothing"
    drawn = params.looked_at[:MOST_SERIES]
    left_out = len(params.looked_at) - len(drawn)
    caption = f"{len(drawn)} of {len(params.looked_at)} nodes drawn" if left_out else ""
    ends: tuple[Layer, ...] = ()
    if params.held_until is not None:
        ends = (Rule(axis="x", value=params.held_until, label="held until here"),)
    layers: list[Layer] = []
    for k, name in enumerate(drawn):
        layers += op_layers(result, t, "op", "sign", name, (k, None))
    op_axis = Axis(label="Op", unit="nats")
    result.add_figure(
        Figure(
            name="op",
            title=f"Op of {held} for a change of {params.perturbed}",
            x=time,
            y=op_axis,
            layers=(*layers, Rule(axis="y", value=0.0), *ends),
            caption=caption,
        )
    )
    if "op_finite_difference" in result.arrays:
        for k, name in enumerate(drawn[:MOST_DELTAS]):
            result.add_figure(
                Figure(
                    name=f"op_{name}",
                    title=f"Op of {held} for {params.perturbed} and {name}, and by finite differences",
                    x=time,
                    y=op_axis,
                    layers=(
                        *(
                            Line(
                                x=t,
                                y=Ref(array="op_finite_difference", index=(d, k, None)),
                                label=f"δ = {delta:g}",
                            )
                            for d, delta in enumerate(params.deltas[:MOST_DELTAS])
                        ),
                        *op_layers(result, t, "op", "sign", "tangents", (k, None)),
                        *ends,
                    ),
                )
            )
    result.add_figure(
        Figure(
            name="course",
            title="The course of W",
            x=time,
            y=Axis(label="value"),
            layers=tuple(
                Line(x=t, y=Ref(array="state", index=(None, i)), label=name)
                for i, name in enumerate(params.names[:MOST_SERIES])
            ),
            caption=f"{MOST_SERIES} of {len(params.names)} nodes drawn"
            if len(params.names) > MOST_SERIES
            else "",
        )
    )
    result.add_figure(
        Figure(
            name="differences",
            title=f"What becomes of a change of {params.perturbed}",
            x=time,
            y=Axis(label="ln|difference to W|", unit="nats"),
            layers=tuple(
                Line(x=t, y=Ref(array=array, index=(k, None)), label=f"{name} in {world}")
                for k, name in enumerate(drawn[: MOST_SERIES // 2])
                for array, world in (("log_x", "X"), ("log_y", "Y"))
            ),
            caption="Tangents: for a change of size 1, as if it were small.",
        )
    )
