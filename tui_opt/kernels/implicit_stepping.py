"""Evolution of a density on cells by implicit steps, and the length of a step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from tui_opt.kernels.callables import Check, FloatArray, evaluate, unchecked
from tui_opt.kernels.fokker_planck import Equation
from tui_opt.kernels.fokker_planck_generator import Barrier, Generator
from tui_opt.kernels.jumps import jumps
from tui_opt.kernels.tridiagonal_stepping import STAGE, SUBSTEPS, backward_euler, splits, tr_bdf2


class Scheme(Enum):
    """How masses are advanced in time."""

    BACKWARD_EULER = "backward-euler"
    TR_BDF2 = "tr-bdf2"


RELATIVE_STEP = {Scheme.BACKWARD_EULER: 0.01, Scheme.TR_BDF2: 0.1}
"""Time step over the fastest time scale. Measured on the two-datapoint pair with a pit at T = 0.005 to 0.1: errors
in L1 below 3e-4 and 2e-6."""
MAX_STEPS = 50_000
COARSE_STEPS, COARSE_OUTPUTS = 200, 41
VISITED = 1e-8
"""A cell that holds this fraction of the mass counts as visited."""
SLICE = 3e6
"""Cells times steps whose solves take some 30 ms on an ordinary core."""


@dataclass(frozen=True)
class Evolution:
    """Masses at output times.

    Attributes:
        mass: [t, cells], >= 0.
        absorbed: [t], mass that has passed the barrier.
        least: least mass of any cell after any step.
        undershoot: least mass of any cell in a step that was then redone; 0 when there was none.
        redone: steps of TR-BDF2 that were redone by backward Euler.
        mass_error: largest deviation of the total mass from the initial one, as a fraction of it.
        steps: steps taken.
    """

    mass: FloatArray
    absorbed: FloatArray
    least: float
    undershoot: float
    redone: int
    mass_error: float
    steps: int


def evolve(
    generator: Generator,
    mass: FloatArray,
    times: FloatArray,
    dt: float,
    scheme: Scheme = Scheme.TR_BDF2,
    check: Check = unchecked,
) -> Evolution:
    """Advance masses from time 0 through output times. The GIL is released.

    Args:
        generator: rates per SGD step.
        mass: [cells] at time 0, >= 0.
        times: [t], SGD steps, increasing, >= 0.
        dt: longest step, in SGD steps; between outputs steps are equal and land on them exactly. See `step_size`.
        scheme: backward Euler or TR-BDF2.
        check: called every few tens of milliseconds.

    Returns: masses at the times, and what can be said about positivity and conservation.
    Raises: ValueError for masses, times or a step that make no sense.
    """
    mass = np.ascontiguousarray(mass, dtype=np.float64)
    times = np.ascontiguousarray(times, dtype=np.float64)
    if mass.shape != (generator.cells,) or not np.all(np.isfinite(mass)) or mass.min() < 0 or mass.sum() <= 0:
        raise ValueError(
            f"mass has shape {mass.shape} for {generator.cells} cells; it must hold one finite number >= 0 per cell, "
            "and not all may be 0."
        )
    if times.ndim != 1 or not np.all(np.isfinite(times)) or np.any(np.diff(times, prepend=0.0) < 0):
        raise ValueError("times must be finite, >= 0 and in increasing order.")
    if not (dt > 0 and math.isfinite(dt)):
        raise ValueError(f"dt is {dt}; it must be a positive finite number of steps.")
    chain = _Chain.of(generator)
    stepper = _Stepper(chain, scheme, float(mass.min()))
    state, now = chain.enter(mass), 0.0
    whole = float(state.sum())
    kept = np.empty((times.size, state.size))
    for row, then in enumerate(times.tolist()):
        count = math.ceil((then - now) / dt * (1 - 1e-12))
        if count:
            stepper.advance(state, (then - now) / count, count, check)
        kept[row], now = state, then
    error = float(np.abs(kept.sum(axis=1) - whole).max(initial=0.0)) / whole
    inside, absorbed = chain.leave(kept)
    return Evolution(
        inside, absorbed, stepper.least, stepper.undershoot, stepper.redone, error, stepper.steps
    )


def step_size(
    equation: Equation,
    generator: Generator,
    mass: FloatArray,
    duration: float,
    scheme: Scheme = Scheme.TR_BDF2,
    check: Check = unchecked,
) -> float:
    """A time step for `evolve`: a small part of the fastest time scale of the drift where there is mass.

    In every cell that ever holds mass, found by a coarse run, time scales are 1 / |u'| of the drift and 1 / |D''| of
    the noise; at the start also the time in which the initial law moves or widens by its own width. The equation
    means little within an SGD step, so the noise and jumps of the drift count as no faster than 1, the start as no
    faster than 1/10.

    Args:
        equation, generator, mass: what will be evolved.
        duration: SGD steps, positive.
        scheme: backward Euler needs shorter steps.
        check: called now and then.

    Returns: dt in SGD steps, at most `duration` and at least a `MAX_STEPS`th of it.
    Raises: ValueError as `evolve` does.
    """
    if not (duration > 0 and math.isfinite(duration)):
        raise ValueError(f"duration is {duration}; it must be a positive finite number of steps.")
    times = np.linspace(0.0, duration, COARSE_OUTPUTS)
    coarse = evolve(generator, mass, times, duration / COARSE_STEPS, Scheme.BACKWARD_EULER, check)
    visited = coarse.mass.max(axis=0) > VISITED * float(np.sum(mass))
    centres = generator.centres
    drift, diffusivity = evaluate(equation.drift, centres), evaluate(equation.diffusivity, centres)
    slope = np.abs(np.gradient(drift, centres))
    # Across a jump it tells of the width of the cells, and of no time scale.
    after = np.searchsorted(centres, jumps(equation.drift, centres))
    broken = np.concatenate([after - 1, after])
    slope[broken] = np.minimum(slope[broken], 1.0)
    noise = np.minimum(np.abs(np.gradient(evaluate(equation.diffusivity_slope, centres), centres)), 1.0)
    rates = np.maximum(slope, noise)
    share = mass / np.sum(mass)
    mean = float(share @ centres)
    spread = max(math.sqrt(float(share @ (centres - mean) ** 2)), float(generator.widths.min()))
    transient = float(share @ np.abs(drift)) / spread + 2 * float(share @ diffusivity) / spread**2
    fastest = max(float(rates[visited].max(initial=0.0)), min(transient, 10.0))
    longest = RELATIVE_STEP[scheme] / fastest if fastest > 0 else math.inf
    return max(min(longest, duration), duration / MAX_STEPS)


@dataclass(frozen=True)
class _Chain:
    """The rates between neighbours with what lies beyond the barrier as one more cell, from which nothing returns."""

    right: FloatArray
    left: FloatArray
    barrier: Barrier

    @classmethod
    def of(cls, generator: Generator) -> _Chain:
        right, left, barrier = generator.right, generator.left, generator.barrier
        if barrier is Barrier.RIGHT:
            right, left = np.append(right, generator.out), np.append(left, 0.0)
        elif barrier is Barrier.LEFT:
            right, left = np.append(0.0, right), np.append(generator.out, left)
        return cls(right, left, barrier)

    def enter(self, mass: FloatArray) -> FloatArray:
        """mass[cells] as a state, nothing absorbed yet; a copy."""
        ends = {Barrier.NONE: (0, 0), Barrier.LEFT: (1, 0), Barrier.RIGHT: (0, 1)}
        return np.pad(mass, ends[self.barrier])

    def leave(self, states: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Masses and what is absorbed, of states[t, cells (+ 1)]."""
        if self.barrier is Barrier.NONE:
            return states, np.zeros(states.shape[0])
        if self.barrier is Barrier.RIGHT:
            return states[:, :-1], states[:, -1]
        return states[:, 1:], states[:, 0]


class _Stepper:
    """Steps of one scheme, and what `Evolution` tells of them.

    The fractions of a step are kept as long as its length is the same but for rounding.
    """

    def __init__(self, chain: _Chain, scheme: Scheme, least: float) -> None:
        self.chain, self.scheme = chain, scheme
        self.least, self.undershoot, self.redone, self.steps = least, 0.0, 0, 0
        self.dt = 0.0

    def advance(self, state: FloatArray, dt: float, count: int, check: Check) -> None:
        """`count` steps in place, in slices."""
        if not math.isclose(dt, self.dt, rel_tol=1e-12):
            self._prepare(dt)
        per_slice = max(1, int(SLICE / state.size))
        for done in range(0, count, per_slice):
            check()
            steps = min(per_slice, count - done)
            if self.scheme is Scheme.BACKWARD_EULER:
                least = backward_euler(state, *self.split, steps)
            else:
                rates = self.chain.right, self.chain.left
                least, low, redone = tr_bdf2(state, *self.split, *self.short, *rates, self.dt, steps)
                self.undershoot, self.redone = min(self.undershoot, low), self.redone + redone
            self.least, self.steps = min(self.least, least), self.steps + steps

    def _prepare(self, dt: float) -> None:
        self.dt = dt
        stage = STAGE if self.scheme is Scheme.TR_BDF2 else 1.0
        self.split = splits(self.chain.right, self.chain.left, stage * dt)
        self.short = splits(self.chain.right, self.chain.left, dt / SUBSTEPS)
