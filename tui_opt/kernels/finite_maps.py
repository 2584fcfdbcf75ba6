"""Maps of finitely many states: where laws go, how the two parts of a state are decorrelated, cycles and transients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Law = tuple[Fraction, ...]
"""Probabilities of the states; of two parts, row by row: state `row * columns + column`."""


def pushed(law: Law, target: Sequence[int]) -> Law:
    """The law one step later.

    Args:
        law: probability of each state.
        target: the state that follows each state.
    """
    after = [Fraction(0)] * len(law)
    for state, p in enumerate(law):
        after[target[state]] += p
    return tuple(after)


def marginals(law: Law, columns: int) -> tuple[Law, Law]:
    """The laws of the row and of the column by themselves."""
    rows = len(law) // columns
    return (
        tuple(sum(law[r * columns : (r + 1) * columns], Fraction(0)) for r in range(rows)),
        tuple(sum(law[c::columns], Fraction(0)) for c in range(columns)),
    )


def product(rows: Law, columns: Law) -> Law:
    """The law of two independent parts."""
    return tuple(p * q for p in rows for q in columns)


def decorrelated(law: Law, columns: int) -> Law:
    """The law with the same marginals and independent parts."""
    return product(*marginals(law, columns))


@dataclass(frozen=True)
class Orbits:
    """Where every state ends.

    Args:
        cycles: the states of each cycle in their order, a fixed point being a cycle of one; by their smallest state.
        cycle_of: the number of the cycle that each state ends in.
        steps_to_cycle: steps until it is there, 0 on the cycle.
    """

    cycles: tuple[tuple[int, ...], ...]
    cycle_of: tuple[int, ...]
    steps_to_cycle: tuple[int, ...]


def orbits(target: Sequence[int]) -> Orbits:
    """Cycles and transients of a map.

    Args:
        target: the state that follows each state.
    """
    states = len(target)
    after = list(range(states))
    for _ in range(states):
        after = [target[s] for s in after]  # after as many steps as there are states, all are on cycles
    recurrent = sorted(set(after))
    cycle_of, steps = [-1] * states, [0] * states
    cycles: list[tuple[int, ...]] = []
    for first in recurrent:
        if cycle_of[first] >= 0:
            continue
        cycle = [first]
        while target[cycle[-1]] != first:
            cycle.append(target[cycle[-1]])
        for s in cycle:
            cycle_of[s] = len(cycles)
        cycles.append(tuple(cycle))
    for state in range(states):
        way = [state]
        while cycle_of[way[-1]] < 0:
            way.append(target[way[-1]])
        for s in reversed(way[:-1]):
            cycle_of[s], steps[s] = cycle_of[target[s]], steps[target[s]] + 1
    return Orbits(tuple(cycles), tuple(cycle_of), tuple(steps))
