from __future__ import annotations

import math

import mpmath
import numba
import numpy as np
import pytest

from tui_opt.expressions.arithmetic import SCALAR
from tui_opt.kernels import lanes
from tui_opt.kernels.lanes import LANES


@numba.njit(error_model="numpy")
def exp_loop(x, y):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = lanes.exp(x[i])


@numba.njit(error_model="numpy")
def log_loop(x, y):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = lanes.log(x[i])


@numba.njit(error_model="numpy")
def exp_rows(x, y):  # type: ignore[no-untyped-def]
    for start in range(0, x.size, LANES):
        lanes.exp_row(y[start : start + LANES], x[start : start + LANES])


def applied(loop, x):  # type: ignore[no-untyped-def]
    y = np.empty_like(x)
    loop(x, y)
    return y


def worst_ulp(loop, reference, x) -> float:  # type: ignore[no-untyped-def]
    worst = 0.0
    with mpmath.workprec(120):
        for point, value in zip(x, applied(loop, x), strict=True):
            exact = reference(mpmath.mpf(float(point)))
            worst = max(worst, float(abs((mpmath.mpf(float(value)) - exact) / math.ulp(float(exact)))))
    return worst


EXP_RANGES = [(-745.0, -708.0), (-708.0, 709.7), (-354.0, 354.0), (-1.0, 1.0), (-1e-8, 1e-8)]


@pytest.mark.parametrize(("low", "high"), EXP_RANGES)
def test_exp_is_within_one_ulp(low: float, high: float) -> None:
    x = np.random.default_rng(1).uniform(low, high, 3000)
    assert worst_ulp(exp_loop, mpmath.exp, x) <= 1.0


@pytest.mark.parametrize(("low", "high"), [(-744.0, 709.0), (-0.7, 0.7), (-0.02, 0.02)])
def test_log_is_within_one_ulp(low: float, high: float) -> None:
    x = np.exp(np.random.default_rng(2).uniform(low, high, 3000))
    assert worst_ulp(log_loop, mpmath.log, x) <= 1.0


def test_exp_at_the_corners() -> None:
    x = np.array(
        [0.0, -0.0, np.inf, -np.inf, np.nan, 1e308, -1e308, 709.782712893384, 709.7827128933841, -746.0]
    )
    expected = [1.0, 1.0, np.inf, 0.0, np.nan, np.inf, 0.0, 1.797693134862273e308, np.inf, 0.0]
    np.testing.assert_allclose(applied(exp_loop, x), expected, rtol=1e-15)
    assert applied(exp_loop, np.array([-745.13]))[0] == 5e-324


def test_log_at_the_corners() -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -1.0, -5e-324, 1.0, 5e-324])
    expected = [-np.inf, -np.inf, np.inf, np.nan, np.nan, np.nan, np.nan, 0.0, math.log(5e-324)]
    np.testing.assert_allclose(applied(log_loop, x), expected, rtol=1e-15)


NEAR_2_52 = 0.5 * 2.0**52 / math.log2(math.e)  # where adding 1.5 * 2^52 leaves another power of two


@pytest.mark.parametrize(
    "outsider",
    [
        0.0,
        354.5,
        355.0,
        -354.5,
        -355.5,
        700.1,
        -745.0,
        -2000.0,
        1e300,
        math.inf,
        -math.inf,
        math.nan,
        -NEAR_2_52,
    ],
)
def test_rows_of_exp_have_the_bits_of_single_exps(outsider: float) -> None:
    x = np.random.default_rng(3).uniform(-354.0, 354.0, 2 * LANES)
    x[17] = outsider
    np.testing.assert_array_equal(applied(exp_rows, x), applied(exp_loop, x))


CORNERS = [0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 1e308, 5e-324, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize(("op", "name"), [("min", "minimum"), ("max", "maximum"), ("gate", "gate")])
def test_choices_between_two_numbers(op: str, name: str) -> None:
    function = getattr(lanes, name)

    @numba.njit(error_model="numpy")
    def call(a, b):  # type: ignore[no-untyped-def]
        return function(a, b)

    for a in CORNERS:
        for b in CORNERS:
            np.testing.assert_array_equal(call(a, b), SCALAR[op](a, b), strict=False)


@pytest.mark.parametrize("op", ["sign", "step", "relu"])
def test_shapes_of_one_number(op: str) -> None:
    function = getattr(lanes, op)

    @numba.njit(error_model="numpy")
    def call(x):  # type: ignore[no-untyped-def]
        return function(x)

    for x in CORNERS:
        np.testing.assert_array_equal(call(x), SCALAR[op](x), strict=False)
