"""Gradient variance of a part of the datapoints: whether S² grows with their number."""

from __future__ import annotations

import numpy as np

from tui_opt.kernels.callables import FloatArray, TermField, evaluate_terms


def variance_of_first(gradients: TermField, w: FloatArray) -> FloatArray:
    """S²[j, n] of the first j + 1 datapoints alone, divided by their number.

    Args:
        gradients: g_j, w[n] -> [j, n].
        w: places, [n].
    """
    terms = evaluate_terms(gradients, w)
    count = np.arange(1.0, len(terms) + 1)[:, None]
    with np.errstate(all="ignore"):
        # About the mean of all, so that little cancels.
        away = terms - terms.mean(axis=0)
        mean = np.cumsum(away, axis=0) / count
        return np.asarray(np.maximum(np.cumsum(away**2, axis=0) / count - mean**2, 0.0))


def average_over_subsets(variance: float, count: int) -> FloatArray:
    """Mean S² of 1, 2, ... of `count` datapoints over all subsets, [count], from the S² of all of them.

    Args:
        variance: S² of all, divided by their number.
        count: number of datapoints, at least 2.

    Reference: Cochran (1977), Sampling Techniques, theorem 2.4: S² of n of N is (1 - 1/n) / (1 - 1/N) of theirs.
    """
    n = np.arange(1.0, count + 1)
    return np.asarray(variance * (1 - 1 / n) / (1 - 1 / count))
