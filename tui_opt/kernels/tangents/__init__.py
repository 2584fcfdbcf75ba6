"""Tangents of dynamical systems with some nodes held: the engine behind Comp and Op.

system = System(size, value, product)              # two functions, or
system = tape_system({"a": "10*(b-a)", ...})       # expressions (tui_opt.experiments.node_systems)
question = Question(initial, steps, perturbed=1, held=(0,), integrator="rk4", dt=0.01)
tangents = follow(system, question)                # W, ln|X-W|, ln|Y-W| and signs at every output
answer = compare(tangents.log_x, tangents.sign_x, tangents.log_y, tangents.sign_y)   # Op, sign of Comp
beside = differences(system, question, [1e-5])     # the same by finite differences
"""

from __future__ import annotations

from tui_opt.kernels.tangents.comparison import Comparison, case, compare
from tui_opt.kernels.tangents.differences import Differences, breakdown_time, differences
from tui_opt.kernels.tangents.follow import Tangents, blank, follow
from tui_opt.kernels.tangents.system import Question, System, TapeSystem, held_indices

__all__ = [
    "Comparison",
    "Differences",
    "Question",
    "System",
    "Tangents",
    "TapeSystem",
    "blank",
    "breakdown_time",
    "case",
    "compare",
    "differences",
    "follow",
    "held_indices",
]
