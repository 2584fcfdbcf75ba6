"""Walkers without a barrier: replayed choices, any cut, statistics in plain NumPy, agreement with the chain."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from tui_opt.expressions import assemble, parse
from tui_opt.kernels.chain import advance, chain_on_edges, state_of_masses
from tui_opt.kernels.ensembles import (
    ABOVE,
    BELOW,
    COUNT,
    LOST,
    follow,
    joined,
    plain_walk,
    repeated_walk,
    statistics,
    tabulated_walk,
)
from tui_opt.kernels.laws import TruncatedNormal, masses_of, moments
from tui_opt.kernels.one_step import updated
from tui_opt.kernels.tabulated import tabulate
from tui_opt.kernels.tape import Program, evaluate
from tui_opt.kernels.walkers import BLOCK, choices, first_passage

PAIR = ("-exp(-(W-2)^2)", "-exp(-(W-2)^2)-exp(-100*(W-1)^2)")
KEY = 0x0123_4567_89AB_CDEF
INITIAL = TruncatedNormal(0.5, 0.175, 0.0)
EDGES = np.linspace(-0.5, 3.0, 141)


def program(*losses):
    return Program(assemble([parse(loss, ["W"]).derivative("W") for loss in losses]))


DEFAULT = program(*PAIR)


def gradients(w):
    return evaluate(DEFAULT, np.ascontiguousarray(w)[None])


def walks(temperature):
    table = tabulate(updated(gradients, temperature, 0), -1.5, 4.0)
    return {
        1: plain_walk(partial(first_passage, DEFAULT), temperature, KEY),
        4: repeated_walk(DEFAULT, temperature, 4, KEY),
        0: tabulated_walk(table, KEY),
    }


WALKS = walks(0.02)


@pytest.mark.parametrize("substeps", [1, 4, 0])
def test_walkers_replay_their_choices(substeps):
    walk, maps = WALKS[substeps], updated(gradients, 0.02, substeps)
    w = INITIAL.sample(5, 0, 70)
    before = w.copy()
    walk(w, 40, 120, 20)
    for i in (0, 33, 69):
        x = before[i : i + 1]
        for j in choices(KEY, 40 + i, 20, 2, first_step=120):
            x = maps(x)[j]
        assert w[i] == pytest.approx(x[0], rel=1e-8)


def test_one_substep_is_a_plain_step():
    w = INITIAL.sample(5, 0, 300)
    v = w.copy()
    WALKS[1](w, 7, 3, 150)
    repeated_walk(DEFAULT, 0.02, 1, KEY)(v, 7, 3, 150)
    np.testing.assert_array_equal(w, v)


def test_three_datapoints_draw_alike_in_steps_and_tables():
    three = program("(W-1)^2", "W^2/3", "(W+1)^2/5")
    maps = updated(lambda w: evaluate(three, np.ascontiguousarray(w)[None]), 0.3)
    w = np.linspace(-1, 1, 500)
    v = w.copy()
    plain_walk(partial(first_passage, three), 0.3, KEY)(w, 11, 5, 40)
    tabulated_walk(tabulate(maps, -3.0, 3.0), KEY)(v, 11, 5, 40)
    np.testing.assert_allclose(w, v, atol=1e-12)


@pytest.mark.parametrize("substeps", [1, 4, 0])
def test_any_cut_into_groups_slices_and_threads_gives_the_same_numbers(substeps):
    walk, outputs, n = WALKS[substeps], [0, 7, 30], 5 * BLOCK + 300
    whole = follow(walk, INITIAL.sample(5, 0, n), 0, outputs, EDGES)

    def group(first):
        size = min(2 * BLOCK, n - first)
        return follow(walk, INITIAL.sample(5, first, size), first, outputs, EDGES)

    with ThreadPoolExecutor(2) as pool:
        parts = joined(list(pool.map(group, range(0, n, 2 * BLOCK))))
    np.testing.assert_array_equal(parts.blocks, whole.blocks)
    np.testing.assert_array_equal(parts.counts, whole.counts)
    sliced = INITIAL.sample(5, 0, n)
    for begin, end in ((0, 7), (7, 19), (19, 30)):
        walk(sliced, 0, begin, end - begin)
    np.testing.assert_array_equal(follow(walk, sliced, 0, [0], EDGES).blocks[0], whole.blocks[2])


def test_statistics_are_those_of_numpy():
    w = np.random.default_rng(1).normal(1, 0.5, 3000) ** 3
    w[[5, 1500, 2999]] = np.inf, np.nan, 1e70
    record = follow(lambda *_: None, w, 0, [0], EDGES)
    kept = w[np.abs(w) < 1e60]
    n = kept.size
    found = statistics(record)
    assert found.mean[0] == pytest.approx(kept.mean(), rel=1e-13)
    assert found.sd[0] == pytest.approx(kept.std(ddof=1), rel=1e-13)
    assert found.mean_error[0] == pytest.approx(kept.std(ddof=1) / np.sqrt(n), rel=1e-13)
    mu2, mu4 = kept.var(), ((kept - kept.mean()) ** 4).mean()
    expected = np.sqrt((mu4 - mu2**2 * (n - 3) / (n - 1)) / n) / (2 * kept.std(ddof=1))
    assert found.sd_error[0] == pytest.approx(expected, rel=1e-12)
    assert found.lost[0] == 3 / 3000
    counts = record.counts[0]
    np.testing.assert_array_equal(counts[:-3], np.histogram(kept, EDGES)[0])
    assert counts[ABOVE] == (kept > EDGES[-1]).sum()
    assert counts[BELOW] == (kept < EDGES[0]).sum()
    assert counts[LOST] == 3
    assert record.blocks[0, :, COUNT].tolist() == [BLOCK - 1, BLOCK - 1, 3000 - 2 * BLOCK - 1]


def test_one_walker_has_a_mean_and_no_spread():
    found = statistics(follow(lambda w, *_: None, np.array([0.3]), 0, [0], np.linspace(0, 1, 9)))
    assert found.mean[0] == pytest.approx(0.3)
    assert np.isnan([found.sd[0], found.mean_error[0], found.sd_error[0]]).all()


def test_uneven_edges_are_counted_as_numpy_does():
    edges = np.append(np.linspace(0, 1, 30) ** 3, 5.0)
    w = np.concatenate([np.random.default_rng(1).uniform(-0.1, 1.2, 5000), edges])
    record = follow(lambda *_: None, w, 0, [0], edges)
    np.testing.assert_array_equal(record.counts[0, :-3], np.histogram(w, edges)[0])


def test_the_standard_error_of_the_spread_is_its_scatter():
    found = [
        statistics(follow(lambda *_: None, INITIAL.sample(k, 0, 2000), 0, [0], EDGES)) for k in range(300)
    ]
    sd = np.array([one.sd[0] for one in found])
    mean = np.array([one.mean[0] for one in found])
    assert np.mean([one.sd_error[0] for one in found]) == pytest.approx(sd.std(), rel=0.15)
    assert np.mean([one.mean_error[0] for one in found]) == pytest.approx(mean.std(), rel=0.15)


def test_walkers_that_diverge_are_lost():
    cubic = program("-W^4/4")
    w = np.linspace(0.5, 3, 2000)
    record = follow(plain_walk(partial(first_passage, cubic), 0.5, KEY), w, 0, [0, 60], EDGES)
    found = statistics(record)
    assert found.lost.tolist() == [0.0, 1.0]
    assert np.isnan(found.mean[1])
    assert np.isnan(found.sd_error[1])
    table = tabulate(updated(lambda w: np.stack([-w]), 0.5), -4.0, 4.0)
    w = np.array([1.0, -1.0, 0.0, np.nan])
    tabulated_walk(table, KEY)(w, 0, 0, 10)
    assert w[:3].tolist() == [np.inf, -np.inf, pytest.approx(0, abs=1e-10)]
    assert np.isnan(w[3])


@pytest.mark.parametrize(("temperature", "substeps"), [(0.02, 1), (0.02, 4), (0.02, 0), (0.5, 1)])
def test_walkers_agree_with_the_chain(temperature, substeps):
    n, steps = 200_000, 20
    walk = WALKS[substeps] if temperature == 0.02 else repeated_walk(DEFAULT, temperature, substeps, KEY)
    edges = np.linspace(-4, 7, 4001) if temperature == 0.5 else np.linspace(-0.1, 2.2, 1501)
    found = statistics(follow(walk, INITIAL.sample(5, 0, n), 0, [steps], edges))
    chain = chain_on_edges(updated(gradients, temperature, substeps), edges)
    state = state_of_masses(chain, masses_of(INITIAL, edges)[0])
    advance(chain, state, steps)
    mean, sd = moments(edges, state[: chain.cells])
    assert abs(mean - found.mean[0]) < 4 * found.mean_error[0] + 1e-4
    assert abs(sd - found.sd[0]) < 4 * found.sd_error[0] + 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.005, 0.02, 0.05, 0.1])
def test_a_million_walkers_agree_with_fifteen_hundred_cells(temperature):
    outputs = [10, 50, 100]
    edges = np.linspace(-0.5, 3, 1501)
    walk = plain_walk(partial(first_passage, DEFAULT), temperature, KEY)
    found = statistics(follow(walk, INITIAL.sample(5, 0, 1_000_000), 0, outputs, edges))
    chain = chain_on_edges(updated(gradients, temperature), edges)
    state = state_of_masses(chain, masses_of(INITIAL, edges)[0])
    done = 0
    for k, steps in enumerate(outputs):
        advance(chain, state, steps - done)
        done = steps
        mean, sd = moments(edges, state[: chain.cells])
        assert abs(mean - found.mean[k]) < 2e-3
        assert abs(sd - found.sd[k]) < 4e-3


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="must begin with a block"):
        follow(WALKS[1], np.zeros(5), 3, [0], EDGES)
    with pytest.raises(ValueError, match="increasing"):
        follow(WALKS[1], np.zeros(5), 0, [3, 3], EDGES)
    with pytest.raises(ValueError, match="at least 1"):
        repeated_walk(DEFAULT, 0.1, 0, KEY)
    with pytest.raises(ValueError, match="must not be negative"):
        WALKS[0](np.zeros(5), -1, 0, 3)
