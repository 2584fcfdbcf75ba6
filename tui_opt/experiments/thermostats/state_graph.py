"""Where states go, drawn and tabulated: cycles as rings that run clockwise, transients as branches towards them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.thermostats.states import Thermostat
from tui_opt.figure import Axis, Figure, Layer, Path, Ref, Scatter
from tui_opt.kernels.finite_maps import Orbits, orbits
from tui_opt.result import Result

MOST_LABELLED = 12
_GAP = 1.0
_STATES_PER_RADIUS = 6.0


def add_cycles(result: Result, system: Thermostat) -> None:
    """Add cycles and transients: findings, tables, and the graph of the states."""
    found = orbits(system.target)
    sizes = [len(cycle) for cycle in found.cycles]
    result.add_finding("cycles", len(found.cycles), "cycles, fixed points among them")
    result.add_finding("fixed_points", sizes.count(1), "states that stay")
    result.add_finding("longest_cycle", max(sizes), "steps of the longest cycle", unit="steps")
    result.add_finding("recurrent_states", sum(sizes), f"of {system.states} states lie on a cycle")
    longest = max(found.steps_to_cycle)
    result.add_finding("longest_transient", longest, "most steps until a state is on its cycle", unit="steps")
    _add_tables(result, system, found)
    _add_graph(result, system, found)


def _add_tables(result: Result, system: Thermostat, found: Orbits) -> None:
    rows = []
    for number, cycle in enumerate(found.cycles):
        basin = [s for s in range(system.states) if found.cycle_of[s] == number]
        names = " > ".join(system.name(s) for s in (*cycle, cycle[0]))
        kind = "fixed point" if len(cycle) == 1 else "cycle"
        rows.append(
            (number, kind, len(cycle), names, len(basin), max(found.steps_to_cycle[s] for s in basin))
        )
    columns = ("cycle", "kind", "length", "states", "basin", "longest_transient")
    result.add_table("cycles", columns, rows, title="Cycles, and how many states end in each")
    states = [
        (system.name(s), system.name(system.target[s]), found.cycle_of[s], found.steps_to_cycle[s])
        for s in range(system.states)
    ]
    result.add_table(
        "states", ("state", "next", "cycle", "steps_to_cycle"), states, title="Where each state goes"
    )


def _add_graph(result: Result, system: Thermostat, found: Orbits) -> None:
    places = layout(system.target, found)
    text = "place of each state in the graph"
    result.add_array("graph_x", places[:, 0], ("state",), text=text)
    result.add_array("graph_y", places[:, 1], ("state",), text=text)
    layers: list[Layer] = []
    for name, on_cycle in (("cycle", True), ("transient", False)):
        starts = [
            s
            for s in range(system.states)
            if (found.steps_to_cycle[s] == 0) == on_cycle and system.target[s] != s
        ]
        if not starts:
            continue
        for axis, word in enumerate("xy"):
            ends = np.full((len(starts), 3), np.nan)
            ends[:, 0] = places[starts, axis]
            ends[:, 1] = places[[system.target[s] for s in starts], axis]
            array = f"{name}_{word}"
            result.add_array(
                array, ends.ravel(), (f"{name}_end",), text="ends of the graph's edges, NaN between"
            )
        label = "on a cycle, clockwise" if on_cycle else "transient, inwards"
        layers.append(Path(x=Ref(array=f"{name}_x"), y=Ref(array=f"{name}_y"), label=label))
    if system.states <= MOST_LABELLED:
        layers += [
            Scatter(x=(float(places[s, 0]),), y=(float(places[s, 1]),), label=system.name(s))
            for s in range(system.states)
        ]
    else:
        layers.append(Scatter(x=Ref(array="graph_x"), y=Ref(array="graph_y"), label="states"))
    result.add_figure(
        Figure(
            name="cycles",
            title="Where states go",
            x=_roomy(places[:, 0]),
            y=_roomy(places[:, 1]),
            layers=tuple(layers),
            caption="cycles run clockwise; transients lead inwards to them; a fixed point is the middle of its rays",
            notes=(),
        )
    )


def _roomy(places: NDArray[np.float64]) -> Axis:
    low, high = float(places.min()), float(places.max())
    margin = 0.06 * (high - low) or 1.0
    return Axis(low=low - margin, high=high + margin)


def layout(target: tuple[int, ...], found: Orbits) -> NDArray[np.float64]:
    """A place for each state, shape (states, 2), each cycle with its transients beside the last.

    A cycle is a ring, run through clockwise; a state k steps before it lies k further out, within the angle of the
    state it leads to.
    """
    states = len(target)
    before: list[list[int]] = [[] for _ in range(states)]
    for state, after in enumerate(target):
        if found.steps_to_cycle[state] > 0:
            before[after].append(state)
    leaves = [0] * states
    for state in sorted(range(states), key=lambda s: -found.steps_to_cycle[s]):
        leaves[state] = max(1, sum(leaves[s] for s in before[state]))
    places = np.zeros((states, 2))
    left = 0.0
    for number, cycle in enumerate(found.cycles):
        ring = 0.0 if len(cycle) == 1 else max(1.0, len(cycle) / _STATES_PER_RADIUS)
        depth = max(found.steps_to_cycle[s] for s in range(states) if found.cycle_of[s] == number)
        radius = ring + depth
        middle = left + radius
        left = middle + radius + _GAP
        total = sum(leaves[s] for s in cycle)
        begin = 0.0
        waiting: list[tuple[int, float, float]] = []
        for state in cycle:
            share = leaves[state] / total
            waiting.append((state, begin, share))
            begin += share
        while waiting:
            state, begin, share = waiting.pop()
            angle = 2 * math.pi * (begin + share / 2)
            out = ring + found.steps_to_cycle[state]
            places[state] = middle + out * math.sin(angle), out * math.cos(angle)
            inner = begin
            for s in before[state]:
                part = share * leaves[s] / leaves[state]
                waiting.append((s, inner, part))
                inner += part
    return places
