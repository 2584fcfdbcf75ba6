"""Where the laws of diffusion models are over a time: they reach farther than the walkers of any bounded chain."""

from __future__ import annotations

import numpy as np

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.fokker_planck import Equation
from tui_opt.kernels.fokker_planck_generator import generator_on_edges
from tui_opt.kernels.implicit_stepping import Scheme, evolve
from tui_opt.kernels.laws import TruncatedNormal, masses_of

TAIL = 1e-13
"""Mass at a wall that asks for more room."""
CELLS, STEPS, LOOKS = 400, 200, 41
WIDEN = 0.25
"""Part of the width by which a side is moved out."""
MOST_LOOKS = 24


def interval_of_diffusion(
    equation: Equation,
    law: TruncatedNormal,
    duration: float,
    low: float,
    high: float,
    check: Check = unchecked,
) -> tuple[float, float]:
    """Widen an interval until the law of a diffusion does not reach its walls.

    The law is followed coarsely between reflecting walls; a side is moved out while its outermost cells ever hold
    mass, and no farther than where the drift and the noise are finite.

    Args:
        equation: drift and diffusivity.
        law: at time 0.
        duration: SGD steps, positive.
        low, high: ends of an interval that holds the initial law.
        check: called now and then.

    Returns: low and high, each at most as far inside as given.
    """
    times = np.linspace(0.0, duration, LOOKS)
    for _ in range(MOST_LOOKS):
        edges = np.linspace(low, high, CELLS + 1)
        generator = generator_on_edges(equation, edges)
        moved = evolve(
            generator, masses_of(law, edges)[0], times, duration / STEPS, Scheme.BACKWARD_EULER, check
        )
        held = moved.mass.max(axis=0)
        room = WIDEN * (high - low)
        wider_low = low - room if held[:2].max() > TAIL and _finite(equation, low - room, low) else low
        wider_high = high + room if held[-2:].max() > TAIL and _finite(equation, high, high + room) else high
        if (wider_low, wider_high) == (low, high):
            break
        low, high = wider_low, wider_high
    return low, high


def _finite(equation: Equation, low: float, high: float) -> bool:
    """Whether drift and diffusivity are finite on an interval, as far as its nodes say."""
    nodes = np.linspace(low, high, CELLS + 1)
    fields = (equation.drift, equation.diffusivity, equation.diffusivity_slope)
    return all(bool(np.all(np.isfinite(field(nodes)))) for field in fields)
