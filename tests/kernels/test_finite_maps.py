"""Maps of finitely many states: laws, marginals, cycles and transients against stepping one state at a time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tui_opt.kernels.finite_maps import decorrelated, marginals, orbits, product, pushed

maps = st.integers(1, 12).flatmap(lambda n: st.lists(st.integers(0, n - 1), min_size=n, max_size=n))


def walk(target: list[int], state: int, steps: int) -> int:
    for _ in range(steps):
        state = target[state]
    return state


@given(maps)
def test_orbits_are_what_walking_shows(target: list[int]) -> None:
    found = orbits(target)
    n = len(target)
    on_cycle = {walk(target, s, n) for s in range(n)}
    assert sorted(s for cycle in found.cycles for s in cycle) == sorted(on_cycle)
    for number, cycle in enumerate(found.cycles):
        assert cycle[0] == min(cycle)
        assert [target[s] for s in cycle] == [*cycle[1:], cycle[0]]
        assert all(found.cycle_of[s] == number for s in cycle)
    for state in range(n):
        steps = found.steps_to_cycle[state]
        assert walk(target, state, steps) in found.cycles[found.cycle_of[state]]
        assert steps == 0 or walk(target, state, steps - 1) not in on_cycle


@given(maps, st.data())
def test_a_law_goes_where_its_states_go(target: list[int], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(0, 9), min_size=len(target), max_size=len(target)).filter(any))
    law = tuple(Fraction(w, sum(weights)) for w in weights)
    matrix = np.zeros((len(target), len(target)))
    matrix[target, range(len(target))] = 1.0
    expected = matrix @ np.array([float(p) for p in law])
    after = pushed(law, target)
    assert sum(after) == 1
    np.testing.assert_allclose([float(p) for p in after], expected, atol=1e-15)


def test_marginals_and_products() -> None:
    law = tuple(Fraction(k, 21) for k in range(1, 7))
    rows, columns = marginals(law, 3)
    values = np.array([float(p) for p in law]).reshape(2, 3)
    np.testing.assert_allclose([float(p) for p in rows], values.sum(axis=1))
    np.testing.assert_allclose([float(p) for p in columns], values.sum(axis=0))
    assert decorrelated(law, 3) == product(rows, columns)
    assert marginals(decorrelated(law, 3), 3) == (rows, columns)
