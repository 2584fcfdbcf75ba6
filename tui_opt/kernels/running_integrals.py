"""Integrals of several functions between many nodes at once, adaptively and vectorised.

Every interval is integrated by Gauss-Legendre on the whole and on its two halves, and halved where the two disagree.
All intervals that are left are treated in one evaluation of the functions.

Reference: Davis & Rabinowitz (1984), Methods of Numerical Integration, section 6.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tui_opt.kernels.callables import Check, FloatArray, TermField, evaluate_terms, unchecked

POINTS = 10
MAX_DEPTH = 24
MAX_INTERVALS = 100_000
CHUNK = 20_000


@dataclass(frozen=True)
class Integrals:
    """Integrals between neighbouring nodes.

    Attributes:
        values: [k, nodes - 1]; inf or NaN where a function is.
        error: [k], sum of the last changes where an interval was halved for the last time.
    """

    values: FloatArray
    error: FloatArray


def integrals_between(
    functions: TermField,
    nodes: FloatArray,
    tolerance: float = 1e-12,
    depth: int = MAX_DEPTH,
    check: Check = unchecked,
) -> Integrals:
    """Integrate functions over each interval between neighbouring nodes.

    Args:
        functions: w[n] -> value[k, n].
        nodes: [n], strictly increasing or strictly decreasing; the ends are never evaluated.
        tolerance: relative change at which an interval is not halved any more.
        depth: halvings at most; few where the functions are known to fewer digits than `tolerance` asks for.
        check: called now and then.

    Returns: the integrals and their errors.
    """
    x, weight = np.polynomial.legendre.leggauss(POINTS)
    nodes = np.asarray(nodes, dtype=np.float64)
    if nodes.size < 2:
        count = evaluate_terms(functions, nodes).shape[0]
        return Integrals(np.empty((count, 0)), np.zeros(count))
    left, right, owner = nodes[:-1], nodes[1:], np.arange(nodes.size - 1)
    whole = _gauss(functions, left, right, x, weight, check)
    total = np.zeros_like(whole)
    error = np.zeros(whole.shape[0])
    for level in range(depth + 1):
        middle = left + 0.5 * (right - left)
        parts = _gauss(
            functions, np.concatenate([left, middle]), np.concatenate([middle, right]), x, weight, check
        )
        first, second = parts[:, : left.size], parts[:, left.size :]
        with np.errstate(all="ignore"):
            change = np.abs(first + second - whole)
            small = change <= tolerance * (np.abs(first) + np.abs(second))
        finite = np.isfinite(first + second).all(axis=0)
        done = small.all(axis=0) | (middle == left) | (middle == right) | ~finite
        if level == depth or 2 * np.count_nonzero(~done) > MAX_INTERVALS:
            done[:] = True
        with np.errstate(invalid="ignore"):
            for k in range(total.shape[0]):
                np.add.at(total[k], owner[done], (first + second)[k, done])
            error += np.where(np.isfinite(change[:, done]), change[:, done], 0.0).sum(axis=1)
        go = ~done
        if not go.any():
            break
        left, right = np.concatenate([left[go], middle[go]]), np.concatenate([middle[go], right[go]])
        owner = np.concatenate([owner[go], owner[go]])
        whole = np.concatenate([first[:, go], second[:, go]], axis=1)
    return Integrals(total, error)


def _gauss(
    functions: TermField, left: FloatArray, right: FloatArray, x: FloatArray, weight: FloatArray, check: Check
) -> FloatArray:
    parts = []
    for begin in range(0, left.size, CHUNK):
        check()
        a, b = left[begin : begin + CHUNK], right[begin : begin + CHUNK]
        half = 0.5 * (b - a)
        w = (a + half)[:, None] + half[:, None] * x
        values = evaluate_terms(functions, w.ravel()).reshape(-1, *w.shape)
        with np.errstate(all="ignore"):
            parts.append((values @ weight) * half)
    return np.concatenate(parts, axis=1)
