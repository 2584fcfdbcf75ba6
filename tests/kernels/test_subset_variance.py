"""Gradient variance of a part of the datapoints: against variances by hand and over all subsets."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from tui_opt.kernels.subset_variance import average_over_subsets, variance_of_first


def test_variances_of_the_first_datapoints() -> None:
    slopes = np.random.default_rng(5).normal(3, 1, 7)

    def gradients(w: np.ndarray) -> np.ndarray:
        return slopes[:, None] * w + slopes[:, None] ** 2

    w = np.linspace(-1, 2, 11)
    by_hand = [gradients(w)[: n + 1].var(axis=0) for n in range(7)]
    np.testing.assert_allclose(variance_of_first(gradients, w), by_hand, rtol=1e-10, atol=1e-12)


def test_subsets_have_the_variance_that_their_size_allows() -> None:
    values = np.random.default_rng(6).normal(0, 1, 6)
    by_hand = [np.mean([np.var(part) for part in combinations(values, n)]) for n in range(1, 7)]
    np.testing.assert_allclose(average_over_subsets(values.var(), 6), by_hand, rtol=1e-12, atol=1e-15)
