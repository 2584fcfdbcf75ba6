"""own-system: Op of any system that is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_opt.scenario import Estimate, Experiment, Scenario, later

if TYPE_CHECKING:
    from tui_opt.experiments.own_system.params import OpParams

_HERE = "tui_opt.experiments.own_system"
# Costs on the reference machine, one core, of a node in a step: its tangents, and its finite differences.
_SECONDS_PER_NODE = 3e-7
_SECONDS_PER_DIFFERENCE = 1e-7
_STAGES = {"rk4": 4, "euler": 1, "map": 1}


def _op(p: OpParams) -> Estimate:
    nodes, steps = len(p.nodes), p.count
    per_step = nodes * nodes * _SECONDS_PER_NODE + nodes * len(p.deltas) * _SECONDS_PER_DIFFERENCE
    outputs = steps // p.output_every + 2
    memory = outputs * nodes * 8 * (8 + 4 * len(p.deltas)) + 8 * steps * len(p.noise)
    ways = 1 if p.is_map or p.noise else 3  # with half the step too
    return Estimate(0.1 + steps * _STAGES[p.stepping] * ways * per_step, 50_000_000 + memory)


OP = Experiment(
    name="op",
    title="Op of a held set in a system of your own",
    summary="Any map or flow in expressions: W, exact tangents X-W and Y-W, Op with its sign, and finite differences.",
    params=later(f"{_HERE}.params:OpParams"),
    compute=f"{_HERE}.op:compute",
    estimate=_op,
    headline=(),
    warm={"steps": 10},
)

SCENARIO = Scenario(
    name="own-system",
    title="Op in a system of your own",
    experiments=(OP,),
)
