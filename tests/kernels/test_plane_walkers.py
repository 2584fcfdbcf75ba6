"""Walkers in the plane: the plain loop they must equal, independence of cuts, statistics, lost walkers."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.expressions import assemble, parse
from tui_opt.kernels.ensembles import joined, statistics
from tui_opt.kernels.plane_walkers import follow_pairs, walk_pairs
from tui_opt.kernels.tape import Program, evaluate
from tui_opt.kernels.walkers import choices

LOSSES = ("exp(W1*W2/9)+W1^2", "W2^2*(1+W1^2)", "W1*W2+W2")
KEY = 0x1234567890ABCDEF
EDGES = (np.linspace(-1.0, 1.0, 21), np.linspace(-2.0, 1.0, 13))


def program(losses):
    parsed = [parse(text, ("W1", "W2")) for text in losses]
    return Program(assemble([e.derivative(v) for e in parsed for v in ("W1", "W2")]))


def starts(n):
    return np.random.default_rng(5).normal(0, 0.4, (2, n))


@pytest.mark.parametrize("losses", [LOSSES, LOSSES[:2], ("W1^2/2+W2^2/2",), ("W1*W2", "-W1*W2")])
def test_every_walker_is_where_a_plain_loop_takes_it(losses):
    ours, steps, n = program(losses), 40, 300
    w = starts(n)
    walk_pairs(ours, w, 2048, 7, steps, 0.05, KEY)
    plain = starts(n)
    drawn = np.array([choices(KEY, 2048 + i, steps, len(losses), 7) for i in range(n)])
    for s in range(steps):
        g = evaluate(ours, plain).reshape(len(losses), 2, n)
        plain = plain - 0.05 * g[drawn[:, s], :, np.arange(n)].T
    np.testing.assert_allclose(w, plain, rtol=0, atol=1e-13)


def test_statistics_do_not_depend_on_groups():
    ours, outputs = program(LOSSES), [0, 3, 20]
    w = starts(3000)
    whole = follow_pairs(ours, 0.05, KEY, w.copy(), 0, outputs, EDGES)
    groups = [
        follow_pairs(ours, 0.05, KEY, w[:, a:b].copy(), a, outputs, EDGES)
        for a, b in ((0, 2048), (2048, 3000))
    ]
    moved = w.copy()
    walk_pairs(ours, moved, 0, 0, 20, 0.05, KEY)
    for axis in range(2):
        both = joined([group[axis] for group in groups])
        assert np.array_equal(both.blocks, whole[axis].blocks)
        assert np.array_equal(both.counts, whole[axis].counts)
        found = statistics(whole[axis])
        assert found.mean[-1] == pytest.approx(moved[axis].mean(), abs=1e-14)
        assert found.sd[-1] == pytest.approx(moved[axis].std(ddof=1), abs=1e-14)
        counted = np.histogram(moved[axis], EDGES[axis])[0]
        assert np.array_equal(whole[axis].counts[-1, : counted.size], counted)
        assert whole[axis].counts[-1].sum() == 3000


def test_a_walker_that_is_lost_on_one_axis_is_lost_on_both():
    ours = program(["-exp(W1)"])
    w = np.array([[0.1, 400.0, 0.2], [0.0, 0.5, 0.1]])
    records = follow_pairs(ours, 0.5, KEY, w, 0, [0, 3], EDGES)
    for record in records:
        assert record.counts[0, -1] == 0
        assert record.counts[1, -1] == 1
        assert record.blocks[1, 0, 0] == 2


def test_refusals():
    with pytest.raises(ValueError, match="shape"):
        walk_pairs(program(LOSSES), np.zeros(4), 0, 0, 1, 0.1, KEY)
    with pytest.raises(ValueError, match="2 variables"):
        walk_pairs(Program(assemble([parse("W", ("W",))])), np.zeros((2, 4)), 0, 0, 1, 0.1, KEY)
    with pytest.raises(ValueError, match="not be negative"):
        walk_pairs(program(LOSSES), np.zeros((2, 4)), 0, -1, 1, 0.1, KEY)
    with pytest.raises(ValueError, match="begin with a block"):
        follow_pairs(program(LOSSES), 0.1, KEY, np.zeros((2, 4)), 5, [1], EDGES)
    with pytest.raises(ValueError, match="increasing"):
        follow_pairs(program(LOSSES), 0.1, KEY, np.zeros((2, 4)), 0, [2, 2], EDGES)
