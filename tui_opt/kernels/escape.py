"""Escape probabilities of SGD walkers: exact atoms first, then the transfer operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import FloatArray, TermField, evaluate_terms
from tui_opt.kernels.settling import CHECK_EVERY, Tail, settled_tail
from tui_opt.kernels.transfer import ABSORBED, LOST, TransferOperator, advance, mass_at

MAX_ATOMS = 1 << 20
"""Atoms carried when that reaches a requested number of steps exactly."""
ENOUGH_ATOMS = 1 << 14
"""Atoms carried otherwise: enough for a point start not to feel the cells."""
MAX_EXACT_STEPS = 200
"""Steps after which even few atoms are handed over: a step on cells is cheaper than calling the gradients."""


@dataclass
class Atoms:
    """Distinct weighted places of walkers after `steps` steps, and what was absorbed and lost by then.

    Attributes:
        places: [a], not yet absorbed.
        weights: [a], probabilities.
        absorbed: probability of having passed the barrier.
        lost: probability of a place that is not a number.
        steps: steps taken.
    """

    places: FloatArray
    weights: FloatArray
    absorbed: float = 0.0
    lost: float = 0.0
    steps: int = 0


def single_atom(start: float) -> Atoms:
    """All probability at one place."""
    return Atoms(np.array([float(start)]), np.array([1.0]))


def advance_atoms(
    atoms: Atoms, gradients: TermField, temperature: float, barrier: float, side: float
) -> Atoms:
    """One exact step of every atom under every map; equal places are not merged.

    The weights are powers of 1/N times sums, exact in double precision while N is a power of two.
    """
    slopes = evaluate_terms(gradients, atoms.places)
    with np.errstate(all="ignore"):
        places = (atoms.places - temperature * slopes).ravel()
    weights = np.tile(atoms.weights / slopes.shape[0], slopes.shape[0])
    passed = side * (places - barrier) > 0
    lost = ~np.isfinite(places) & ~passed
    keep = ~(passed | lost)
    return Atoms(
        places[keep],
        weights[keep],
        atoms.absorbed + float(weights[passed].sum()),
        atoms.lost + float(weights[lost].sum()),
        atoms.steps + 1,
    )


def merge_atoms(atoms: Atoms) -> Atoms:
    """Add up the weights of atoms at exactly the same place."""
    places, inverse = np.unique(atoms.places, return_inverse=True)
    weights = np.asarray(np.bincount(np.ravel(inverse), atoms.weights, places.size), dtype=np.float64)
    return Atoms(places, weights, atoms.absorbed, atoms.lost, atoms.steps)


@dataclass(frozen=True)
class EscapeCurve:
    """Probabilities of escape and what shows that they can be trusted.

    Attributes:
        steps: [n], as they were asked for.
        probability: [n], of having passed the barrier within so many steps.
        lost: probability of having left on the other side or to no number, after the last step.
        mass_error: largest deviation of the total probability from 1.
        least_mass: smallest probability of a cell at the end; 0 or more.
    """

    steps: NDArray[np.int64]
    probability: FloatArray
    lost: float
    mass_error: float
    least_mass: float


def escape_curve(
    operator: TransferOperator,
    start: float,
    steps: Sequence[int],
    between: Callable[[int], None] | None = None,
) -> EscapeCurve:
    """Probability of having passed the barrier within each of `steps` steps.

    The walkers are followed exactly as long as their distinct places are few (and to the last requested
    number of steps that 2^20 of them reach), then handed to the cells.

    Args:
        operator: the chain on cells.
        start: where all walkers begin.
        steps: numbers of steps, in any order, each 0 or more.
        between: called with the number of steps done, every few tens of milliseconds; what it raises ends
            the work.

    Returns: the probabilities in the order of `steps`, with their checks.
    Raises: ValueError for a negative number of steps.
    """
    wanted = np.asarray(steps, dtype=np.int64)
    if wanted.size and wanted.min() < 0:
        raise ValueError(f"steps contains {wanted.min()}; each must be 0 or more.")
    ordered = [int(n) for n in np.unique(wanted)]
    atoms, found = _exact_phase(operator, start, ordered, between)
    mass = state_of(operator, atoms)
    mass_error = abs(float(mass.sum()) - 1.0)
    done = atoms.steps
    tail: Tail | None = None
    for n in ordered:
        while done < n and tail is None:
            count = min(CHECK_EVERY, n - done)
            before = mass.copy() if count == CHECK_EVERY else None
            advance(operator, mass, count)
            done += count
            if between is not None:
                between(done)
            if before is not None:
                tail = settled_tail(operator, before, mass, done)
        if n not in found:
            found[n] = float(mass[ABSORBED]) if tail is None else tail.absorbed_after(n)
            mass_error = max(mass_error, abs(float(mass.sum()) - 1.0))
    probability = np.array([found[int(n)] for n in wanted])
    lost = float(mass[LOST]) if tail is None else tail.lost_after(ordered[-1])
    return EscapeCurve(wanted, probability, lost, mass_error, float(mass.min()))


def escape_probabilities(operator: TransferOperator, start: float, steps: Sequence[int]) -> FloatArray:
    """The probabilities of `escape_curve` alone, P[len(steps)]."""
    return escape_curve(operator, start, steps).probability


def state_of(operator: TransferOperator, atoms: Atoms) -> FloatArray:
    """The state vector mass[cells + 2] that holds the atoms and what they have lost."""
    mass = mass_at(operator, atoms.places, atoms.weights)
    mass[ABSORBED] += atoms.absorbed
    mass[LOST] += atoms.lost
    return mass


@dataclass(frozen=True)
class HalvedEstimate:
    """A number from the full and the halved grid.

    Attributes:
        value: from all cells.
        difference: |value - value with half the cells|; an upper estimate of the error of `value`, which
            converges between first and second order.
        extrapolated: (4 value - halved) / 3, exact where the error is second order.
    """

    value: FloatArray
    difference: FloatArray
    extrapolated: FloatArray


def with_halved_grid(measure: Callable[[int], FloatArray], cells: int) -> HalvedEstimate:
    """Compare `measure(cells)` with `measure(cells // 2)`: the accuracy of any result of the operator."""
    value = np.asarray(measure(cells), dtype=np.float64)
    halved = np.asarray(measure(cells // 2), dtype=np.float64)
    return HalvedEstimate(value, np.abs(value - halved), (4 * value - halved) / 3)


def follow_exactly(operator: TransferOperator, start: float, limit: int = ENOUGH_ATOMS) -> list[Atoms]:
    """Atoms after 0, 1, 2, ... exact steps from `start`, as long as there are at most `limit` of them."""
    stages = [single_atom(start)]
    while len(stages) <= MAX_EXACT_STEPS and stages[-1].places.size:
        atoms = _affordable(operator, stages[-1], limit)
        if atoms.places.size * operator.terms > limit:
            break
        stages.append(_step(operator, atoms))
    return stages


def _exact_phase(
    operator: TransferOperator, start: float, ordered: list[int], between: Callable[[int], None] | None
) -> tuple[Atoms, dict[int, float]]:
    """Follow atoms to the last requested step within MAX_ATOMS, and beyond it as long as there are few."""
    found: dict[int, float] = {}
    atoms = single_atom(start)
    horizon = ordered[-1] if ordered else 0
    branching = np.log(max(operator.terms, 2))
    exact_until = max((n for n in ordered if n * branching <= np.log(MAX_ATOMS) + 1e-9), default=0)
    while True:
        if atoms.steps in ordered:
            found[atoms.steps] = atoms.absorbed
        if atoms.steps >= min(horizon, MAX_EXACT_STEPS):
            break
        limit = MAX_ATOMS if atoms.steps < exact_until else ENOUGH_ATOMS
        atoms = _affordable(operator, atoms, limit)
        if atoms.places.size * operator.terms > limit:
            break
        atoms = _step(operator, atoms)
        if between is not None and atoms.places.size > 1000:
            between(atoms.steps)
    return atoms, found


def _affordable(operator: TransferOperator, atoms: Atoms, limit: int) -> Atoms:
    """Merge equal places only when another step would exceed the limit: sorting costs more than a step."""
    return merge_atoms(atoms) if atoms.places.size * operator.terms > limit else atoms


def _step(operator: TransferOperator, atoms: Atoms) -> Atoms:
    return advance_atoms(atoms, operator.gradients, operator.temperature, operator.barrier, operator.side)
