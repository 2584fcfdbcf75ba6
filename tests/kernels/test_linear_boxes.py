"""Boxes under linear maps: areas, trapezoids against quadrature and sampling, and what does not change."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_opt.kernels.linear_boxes import (
    Pair,
    Square,
    area,
    box,
    box_covariance,
    carried,
    determinant,
    mapped,
    times,
    transposed,
    trapezoid_density,
    trapezoid_entropy,
    uncorrelated,
    widths,
)

fractions = st.fractions(-5, 5, max_denominator=12)
lengths = st.fractions(Fraction(1, 20), 5, max_denominator=20)
matrices = st.tuples(st.tuples(fractions, fractions), st.tuples(fractions, fractions))


@settings(max_examples=25)
@given(st.tuples(lengths, lengths), matrices)
def test_areas_scale_with_the_determinant(sides: Pair, matrix: Square) -> None:
    assert area(box(sides)) == sides[0] * sides[1]
    assert area(mapped(box(sides), matrix)) == abs(determinant(matrix)) * sides[0] * sides[1]


@settings(max_examples=25)
@given(matrices, matrices)
def test_products_of_matrices(first: Square, second: Square) -> None:
    points = box((Fraction(1), Fraction(3)))
    assert mapped(points, times(first, second)) == mapped(mapped(points, second), first)
    assert determinant(times(first, second)) == determinant(first) * determinant(second)
    assert transposed(transposed(first)) == first


@pytest.mark.parametrize("of", [(1, 0.3), (0.3, 1), (1, 1), (2, 1e-3), (1, 5), (1, 0)])
def test_a_trapezoid_has_the_entropy_of_its_density(of: tuple[float, float]) -> None:
    exact = (Fraction(of[0]), Fraction(of[1]))
    entropy = trapezoid_entropy(exact)
    assert entropy is not None
    edges = np.linspace(-(sum(of)) / 2, sum(of) / 2, 2_000_001)
    x = 0.5 * (edges[1:] + edges[:-1])
    density = trapezoid_density(x, exact)
    step = edges[1] - edges[0]
    assert density.sum() * step == pytest.approx(1.0, abs=1e-6)
    inside = density[density > 0]
    assert entropy.in_nats() == pytest.approx(-(inside * np.log(inside)).sum() * step, abs=1e-5)


@pytest.mark.parametrize("gain", [0.3, 1.0, 2.5])
def test_a_trapezoid_is_what_sampling_shows(gain: float) -> None:
    """R - kT for uniform R and T: a histogram's entropy within four standard errors, and its bins too."""
    rng = np.random.default_rng(7)
    samples = 400_000
    of = (Fraction(1, 10), Fraction(gain) / 10)
    x = rng.uniform(-0.05, 0.05, samples) - gain * rng.uniform(-0.05, 0.05, samples)
    surprise = -np.log(trapezoid_density(x, of))
    entropy = trapezoid_entropy(of)
    assert entropy is not None
    assert abs(surprise.mean() - entropy.in_nats()) < 4 * surprise.std() / math.sqrt(samples)
    edges = np.linspace(-0.05 * (1 + gain), 0.05 * (1 + gain), 21)
    counts = np.histogram(x, edges)[0]
    fine = np.linspace(edges[0], edges[-1], 20 * 500 + 1)
    middles = 0.5 * (fine[1:] + fine[:-1])
    shares = trapezoid_density(middles, of).reshape(20, 500).mean(axis=1) * (edges[1] - edges[0])
    errors = (counts / samples - shares) / np.sqrt(shares * (1 - shares) / samples)
    assert np.abs(errors).max() < 4.5


def test_no_spread_has_no_entropy() -> None:
    nothing = (Fraction(0), Fraction(0))
    assert trapezoid_entropy(nothing) is None
    with pytest.raises(ValueError, match="no density"):
        trapezoid_density(np.zeros(1), nothing)


@settings(max_examples=25)
@given(st.tuples(lengths, lengths), matrices)
def test_covariances_are_those_of_the_corners(sides: Pair, matrix: Square) -> None:
    """A uniform law on a parallelogram has a third of the covariance of its corners."""
    found = carried(box_covariance(sides), matrix)
    corners = mapped(box(sides), matrix)
    for i in range(2):
        for j in range(2):
            assert found[i][j] == sum((p[i] * p[j] for p in corners), Fraction(0)) / 12
    assert uncorrelated(found)[0][1] == 0
    assert widths(matrix[0], sides)[0] == abs(matrix[0][0]) * sides[0]


# --- any number of dimensions ---------------------------------------------------------------------------------


def decorrelated(covariance: np.ndarray, split: int) -> np.ndarray:
    apart = covariance.copy()
    apart[:split, split:] = apart[split:, :split] = 0.0
    return apart


def log_det(covariance: np.ndarray) -> float:
    return float(np.linalg.slogdet(covariance)[1])


def invertible(rng: np.random.Generator, dims: int) -> np.ndarray:
    """A random map with singular values from 0.3 to 3, whose determinants keep their digits."""
    left, right = (np.linalg.qr(rng.normal(size=(dims, dims)))[0] for _ in range(2))
    return left @ np.diag(rng.uniform(0.3, 3.0, dims)) @ right


@pytest.mark.parametrize("dims", [2, 3, 5, 8])
def test_adjusted_is_zero_for_normal_laws_under_any_invertible_map(dims: int) -> None:
    """ln det of the covariance, and so the entropy of normal laws, for parts of any sizes and maps that change."""
    rng = np.random.default_rng(dims)
    for split in range(1, dims):
        for _ in range(20):
            first, second = invertible(rng, dims), invertible(rng, dims)
            spread = np.diag(rng.uniform(0.1, 3.0, dims))
            now = first @ spread @ first.T
            after, apart = second @ now @ second.T, decorrelated(now, split)
            after_apart = second @ apart @ second.T
            optimizing = log_det(after_apart) - log_det(after)
            assert optimizing - (log_det(apart) - log_det(now)) == pytest.approx(0.0, abs=1e-10)
            assert optimizing > 1e-6  # it is the adjustment that makes it zero


@pytest.mark.slow
def test_adjusted_is_zero_for_uniform_laws_by_counting_cells() -> None:
    """Three dimensions and no closed form: entropies of histograms of samples, before and after a map."""
    rng = np.random.default_rng(2)
    samples, cells = 2_000_000, 24
    first = np.array([[1.0, -0.3, 0.2], [1.0, 0.1, 0.0], [0.4, 0.5, 1.0]])
    second = np.array([[0.9, -0.4, 0.0], [0.3, 1.1, 0.2], [0.0, 0.2, 0.8]])
    now = rng.uniform(-1, 1, (samples, 3)) @ first.T
    apart = np.column_stack([now[:, :1], now[rng.permutation(samples), 1:]])

    def entropy(points: np.ndarray) -> float:
        counts, edges = np.histogramdd(points, bins=cells)
        shares = counts[counts > 0] / samples
        volume = math.prod(float(e[1] - e[0]) for e in edges)
        return float(-(shares * np.log(shares)).sum() + math.log(volume))

    gained = entropy(apart @ second.T) - entropy(now @ second.T)
    had = entropy(apart) - entropy(now)
    assert had > 0.3
    assert gained - had == pytest.approx(0.0, abs=0.05)  # edges of the bodies are smeared over cells


def test_trace_and_one_variance_are_not_zero() -> None:
    """What the determinant leaves invariant, other sizes of a covariance do not."""
    k = Fraction(3, 10)
    matrix = ((Fraction(1), -k), (Fraction(1), Fraction(0)))
    now = carried(box_covariance((Fraction(1), Fraction(1))), matrix)
    after, apart = carried(now, matrix), uncorrelated(now)
    later = carried(apart, matrix)
    ratio = [
        (later[0][0] + later[1][1])
        * (now[0][0] + now[1][1])
        / (after[0][0] + after[1][1])
        / (apart[0][0] + apart[1][1]),
        later[0][0] * now[0][0] / after[0][0] / apart[0][0],
        determinant(later) * determinant(now) / determinant(after) / determinant(apart),
    ]
    assert [float(r) for r in ratio[:2]] == pytest.approx([math.exp(0.306956), math.exp(0.710242)], rel=1e-6)
    assert ratio[2] == 1
