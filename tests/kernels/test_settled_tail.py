"""Once the law among the survivors is still, the rest of an escape curve follows without stepping."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tui_opt.kernels.escape import escape_curve, follow_exactly, single_atom, state_of
from tui_opt.kernels.passage import mean_passage, passage_by_linear_system, passage_by_rate, passage_by_tail
from tui_opt.kernels.quasistationary import trapped_cells
from tui_opt.kernels.settling import settled_tail
from tui_opt.kernels.transfer import ABSORBED, LOST, TransferOperator, advance, transfer_operator

PIT, BARRIER = 1.0074533029460346, 1.1959565136502517


def pair(w):
    """Gradients of the default pair."""
    well = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    return np.stack([well, well + 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)])


def leaky(w):
    """A pit whose walkers are thrown to no number on the far side now and then."""
    return np.where(w < 0.95, np.nan, pair(w))


def stepped(operator: TransferOperator, start: float, steps: list[int]):
    """Plain stepping of the cells to the end: the oracle. Starts as the curve does when no atom is followed."""
    mass = state_of(operator, single_atom(start))
    done, out = 0, []
    for n in steps:
        advance(operator, mass, n - done)
        done = n
        out.append((mass[ABSORBED], mass[LOST]))
    return np.array(out)


def settled(operator: TransferOperator, start: float, most: int = 100_000):
    """The tail, from the first moment that it is found, and the steps that took."""
    mass = state_of(operator, single_atom(start))
    for done in range(64, most, 64):
        before = mass.copy()
        advance(operator, mass, 64)
        tail = settled_tail(operator, before, mass, done)
        if tail is not None:
            return tail, done
    return None, most


@pytest.mark.parametrize("temperature", [0.007, 0.01, 0.012, 0.015])
def test_the_tail_agrees_with_stepping_to_the_end(temperature):
    operator = transfer_operator(pair, temperature, PIT, BARRIER, 400)
    tail, when = settled(operator, PIT)
    assert tail is not None
    assert when < 3000
    steps = [when + k for k in (0, 1, 10, 1000, 20_000)]
    exact = stepped(operator, PIT, steps)
    ours = np.array([[tail.absorbed_after(n), tail.lost_after(n)] for n in steps])
    np.testing.assert_allclose(ours, exact, rtol=1e-10, atol=1e-15)


def test_losses_decay_with_it():
    operator = transfer_operator(leaky, 0.015, PIT, BARRIER, 400)
    tail, when = settled(operator, PIT)
    assert tail is not None
    assert tail.lost_flux > 0
    steps = [when + 5, when + 500, when + 5000]
    ours = np.array([[tail.absorbed_after(n), tail.lost_after(n)] for n in steps])
    np.testing.assert_allclose(ours, stepped(operator, PIT, steps), rtol=1e-10)


def test_nothing_that_still_moves_is_called_settled():
    """A law that drifts slowly: right after the start, and one that two modes of different decay make up."""
    operator = transfer_operator(pair, 0.01, PIT, BARRIER, 400)
    start = state_of(operator, single_atom(PIT))
    later = start.copy()
    advance(operator, later, 1)
    assert settled_tail(operator, start, later, 1) is None
    drifting = start.copy()
    drifting[: operator.cells] = 1.0 / operator.cells
    moved = drifting.copy()
    moved[3] += 1e-9
    assert settled_tail(operator, drifting, moved, 64) is None


def test_walkers_on_a_plateau_do_not_freeze_the_escape_of_the_others():
    """At T = 0.5 one walker in 32 sticks on the plateau; the survivors' law settles there only once nothing escapes."""
    operator = transfer_operator(pair, 0.5, PIT, BARRIER, 800)
    steps = [20, 100, 1000, 50_000]
    curve = escape_curve(operator, PIT, steps)
    np.testing.assert_allclose(curve.probability, 31 / 32, atol=2e-3)
    assert np.all(np.diff(curve.probability) >= 0)


def test_a_curve_of_ten_million_steps_ends_at_certainty():
    operator = transfer_operator(pair, 0.015, PIT, BARRIER, 400)
    curve = escape_curve(operator, PIT, [1, 1000, 100_000, 10_000_000])
    assert curve.probability[-1] == pytest.approx(1.0, abs=1e-12)
    assert curve.probability[2] == pytest.approx(1.0, abs=1e-12)
    assert 0.3 < curve.probability[1] < 0.35
    assert curve.mass_error < 1e-12


@pytest.mark.parametrize("temperature", [0.007, 0.01, 0.013, 0.02])
def test_mean_passage_by_the_tail_agrees_with_the_linear_system(temperature):
    operator = transfer_operator(pair, temperature, PIT, BARRIER, 600)
    stages, trapped = follow_exactly(operator, PIT), trapped_cells(operator)
    tail = passage_by_tail(operator, stages, trapped)
    solved = passage_by_linear_system(operator, stages, trapped)
    assert tail is not None
    assert solved is not None
    assert tail.mean == pytest.approx(solved.mean, rel=1e-6 if temperature < 0.01 else 1e-9)


@pytest.mark.parametrize("temperature", [0.002, 0.004, 0.007])
def test_mean_passage_by_the_tail_agrees_with_the_rate_of_rare_escapes(temperature):
    operator = transfer_operator(pair, temperature, PIT, BARRIER, 600)
    tail = passage_by_tail(operator, follow_exactly(operator, PIT), trapped_cells(operator))
    rate = passage_by_rate(operator, PIT, None)
    assert tail is not None
    assert tail.mean == pytest.approx(rate.mean, rel=1e-6)


def test_no_tail_where_walkers_are_trapped():
    operator = transfer_operator(pair, 0.5, PIT, BARRIER, 800)
    assert passage_by_tail(operator, follow_exactly(operator, PIT), trapped_cells(operator)) is None


def banded(w):
    """Two datapoints near a pit so sharp that walkers alternate between two bands."""
    well = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    pit = 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)
    return np.stack([well + 1.1 * pit, well + 0.9 * pit])


@pytest.mark.parametrize(("barrier", "start"), [(1.06547, 1.02), (1.065478, 1.02), (1.065478, 0.97)])
def test_a_law_that_alternates_between_two_bands_is_not_taken_for_still(barrier, start):
    """It repeats itself every other step, and so after any even number of them."""
    operator = transfer_operator(banded, 0.0125, start, barrier, 2000)
    steps = [200, 1000, 1001]
    curve = escape_curve(operator, start, steps)
    mass = state_of(operator, follow_exactly(operator, start)[-1])
    done, plain = follow_exactly(operator, start)[-1].steps, []
    for n in steps:
        advance(operator, mass, n - done)
        done = n
        plain.append(mass[ABSORBED])
    np.testing.assert_allclose(curve.probability, plain, atol=1e-9)
    assert curve.probability[1] <= curve.probability[2]


def test_probabilities_never_fall_with_the_number_of_steps():
    """A leak towards a far barrier that has not arrived yet must not be taken for none."""
    operator = transfer_operator(pair, 0.004, PIT, 1.9, 2000)
    curve = escape_curve(operator, PIT, [1000, 100_000, 10_000_000])
    assert np.all(np.diff(curve.probability) > 0)
    mean = mean_passage(operator, PIT).mean
    assert curve.probability[-1] == pytest.approx(1e7 / mean, rel=1e-3)


def two_pits(w):
    """A pit before the pit: walkers have to leave both."""
    pit = 200 * (w - 1) * np.exp(-100 * (w - 1) ** 2)
    before = 400 * (w - 0.6) * np.exp(-100 * (w - 0.6) ** 2)
    well = 2 * (w - 2) * np.exp(-((w - 2) ** 2))
    return np.stack([well, well + pit + before])


@pytest.mark.parametrize(
    "temperature", [0.008, 0.01, *(pytest.param(t, marks=pytest.mark.slow) for t in (0.0035, 0.0045, 0.006))]
)
def test_two_pits_in_series_take_at_least_as_long_as_the_first(temperature):
    start = 0.60198
    first = mean_passage(transfer_operator(two_pits, temperature, start, 0.82, 800), start).mean
    both = mean_passage(transfer_operator(two_pits, temperature, start, BARRIER, 1200), start)
    assert np.isfinite(first)
    assert np.isnan(both.mean) or both.mean >= first
    assert both.reason or np.isfinite(both.mean)


def _creep_back(w: float, temperature: float) -> tuple[int, float]:
    """Steps until a walker far on the left, where both datapoints agree, is back at W >= 0, and where it then is."""
    steps = 0
    while w < 0.0:
        w -= temperature * 2 * (w - 2) * math.exp(-((w - 2) ** 2))
        steps += 1
    return steps, w


def _thrown_far(start: float, temperature: float, walkers: int, rng: np.random.Generator):
    """Places of those walkers that have not escaped after 2000 steps: all of them far on the left."""
    w = np.full(walkers, start)
    for _ in range(2000):
        w = w - temperature * np.where(rng.integers(0, 2, w.size) == 0, *pair(w))
        w = w[w <= BARRIER]
    return w


def test_walkers_that_creep_back_from_a_plateau_do_escape():
    """At T = 0.42 one in 64 is thrown to where it needs half a million steps to get back, and may be thrown again."""
    rng = np.random.default_rng(11)
    temperature, walkers = 0.42, 40_000
    first = _thrown_far(PIT, temperature, walkers, rng)
    assert first.size / walkers == pytest.approx(1 / 64, abs=0.003)
    wait, entry = _creep_back(float(first[0]), temperature)
    again = _thrown_far(entry, temperature, walkers, rng)
    chance = again.size / walkers
    wait_again, _ = _creep_back(float(again[0]), temperature)  # has a weight of one in 64: any will do
    true = (wait + chance / (1 - chance) * wait_again) / 64
    passage = mean_passage(transfer_operator(pair, temperature, PIT, BARRIER, 4000), PIT)
    # Finite, and within the 25 % that even spreading costs where rare long excursions make up the mean.
    assert passage.mean == pytest.approx(true, rel=0.25)
