"""The tangent engine against the plain way, closed forms, many digits, and reference values."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tui_opt.experiments.node_systems import tape_system
from tui_opt.kernels.tangents import Question, System, Tangents, TapeSystem, compare, follow, held_indices

FloatArray = NDArray[np.float64]
FIELDS = ("state", "log_x", "sign_x", "log_y", "sign_y")
SIGMA, BETA = 10.0, 8 / 3
A, B, C = 0, 1, 2


def lorenz_tape(rho: float = 28.0) -> TapeSystem:
    return tape_system({"a": f"{SIGMA!r}*(b-a)", "b": f"a*({rho!r}-c)-b", "c": f"a*b-{BETA!r}*c"})


def lorenz_functions(rho: float = 28.0) -> System:
    def value(t: float, s: FloatArray) -> FloatArray:
        a, b, c = s
        return np.array([SIGMA * (b - a), a * (rho - c) - b, a * b - BETA * c])

    def product(t: float, s: FloatArray, v: FloatArray) -> FloatArray:
        (a, b, c), (x, y, z) = s, v
        return np.array([SIGMA * (y - x), (rho - c) * x - y - a * z, b * x + a * y - BETA * z])

    return System(3, value, product)


def question(steps: int = 1000, dt: float = 0.01, **more: Any) -> Question:
    return Question(**{"initial": np.ones(3), "perturbed": B, "held": (A,), "steps": steps, "dt": dt, **more})


def op_of(found: Tangents) -> FloatArray:
    return compare(found.log_x, found.sign_x, found.log_y, found.sign_y).op


def assert_same(ours: Tangents, theirs: Tangents, tolerance: float) -> None:
    for name in FIELDS:
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=0, atol=tolerance, err_msg=name
        )


@pytest.mark.parametrize("integrator", ["rk4", "euler", "map"])
@pytest.mark.parametrize("rule", ["stage", "node"])
@pytest.mark.parametrize(("held", "perturbed"), [((A,), B), ((B,), A), ((A, C), B), ((), C)])
def test_compiled_and_plain_agree(integrator: Any, rule: Any, held: tuple[int, ...], perturbed: int) -> None:
    asked = question(
        90, 0.005, integrator=integrator, rule=rule, held=held, perturbed=perturbed, held_until=0.3, every=7
    )
    if integrator == "map":  # the logistic map drives two others
        updates = {"a": "3.9*a*(1-a)", "b": "0.5*b+a*c+0.001*t", "c": "cos(b)-0.3*c"}

        def value(t: float, s: FloatArray) -> FloatArray:
            a, b, c = s
            return np.array([3.9 * a * (1 - a), 0.5 * b + a * c + 0.001 * t, np.cos(b) - 0.3 * c])

        def product(t: float, s: FloatArray, v: FloatArray) -> FloatArray:
            (a, b, c), (x, y, z) = s, v
            return np.array([3.9 * (1 - 2 * a) * x, c * x + 0.5 * y + a * z, -np.sin(b) * y - 0.3 * z])

        asked = replace(asked, initial=np.array([0.3, 1.0, 1.0]), steps=40, held_until=25)
        ours, theirs = follow(tape_system(updates), asked), follow(System(3, value, product), asked)
    else:
        ours, theirs = follow(lorenz_tape(), asked), follow(lorenz_functions(), asked)
    np.testing.assert_array_equal(ours.t, theirs.t)
    assert_same(ours, theirs, 1e-9)


def test_lanes_are_trajectories_of_their_own() -> None:
    rng = np.random.default_rng(1)
    starts = rng.normal(size=(3, 4))
    together = follow(lorenz_functions(), question(40, initial=starts, held_until=0.2))
    for lane in range(4):
        alone = follow(lorenz_functions(), question(40, initial=starts[:, lane], held_until=0.2))
        for name in FIELDS:
            np.testing.assert_allclose(getattr(together, name)[..., lane], getattr(alone, name), atol=1e-12)


# t, Op(b), sign, Op(c), sign of the continuous system, as `taylor` has them, independent of any Runge-Kutta scheme.
REFERENCE = {
    0.8: [
        (0.5, -0.0270468609, 1, -0.6055426954, 1),
        (1, -0.2226934032, 1, -0.7482610320, 1),
        (2, -0.8570861380, 1, -1.1905022338, 1),
        (5, -3.1600810123, 1, -3.4089729408, 1),
        (10, -7.1889032871, 1, -7.4431611621, 1),
    ],
    28.0: [
        (0.5, 0.4749827258, -1, -2.2666751912, 1),
        (1, -1.5800519830, 1, 0.8502526960, 1),
        (2, -4.2501427898, -1, -2.6292916193, -1),
        (5, -9.4778513619, -1, -8.6787513308, 1),
        (10, -17.6072714094, 1, -18.5801870237, -1),
    ],
}


@pytest.mark.parametrize("rho", [0.8, 28.0])
@pytest.mark.parametrize(("dt", "tolerance"), [(0.01, 1e-3), (0.001, 1e-6)])
def test_stage_hold_converges_to_the_flow(rho: float, dt: float, tolerance: float) -> None:
    per_unit = round(1 / dt)
    found = follow(lorenz_tape(rho), question(10 * per_unit, dt))
    op = compare(found.log_x, found.sign_x, found.log_y, found.sign_y)
    for t, op_b, sign_b, op_c, sign_c in REFERENCE[rho]:
        k = round(t * per_unit)
        assert op.op[k, B:] == pytest.approx([op_b, op_c], abs=tolerance)
        assert list(op.sign[k, B:]) == [sign_b, sign_c]
    if rho == 28.0 and dt == 0.001:
        np.testing.assert_allclose(found.state[-1], [-4.9026875411, -3.7438729211, 24.6908581038], atol=1e-6)


def taylor(rho: float, times: list[float]) -> list[tuple[list[float], list[float]]]:
    """Op and sign of b and c (A = a, b perturbed) by Taylor series of order 16 in 28 digits, from (1, 1, 1)."""
    order, step = 16, Decimal("0.02")
    with localcontext() as context:
        context.prec = 28
        sigma, beta, drive, zero, one = Decimal(10), Decimal(8) / 3, Decimal(str(rho)), Decimal(0), Decimal(1)
        now = [[one, one, one], [zero, one, zero], [zero, one, zero]]
        found = []
        for number in range(1, round(max(times) / 0.02) + 1):
            (a, b, c), v, u = [[[x] for x in vector] for vector in now]
            for k in range(order):

                def product(p: list[Decimal], q: list[Decimal], k: int = k) -> Decimal:
                    return sum((p[i] * q[k - i] for i in range(k + 1)), Decimal(0))

                slopes = [
                    sigma * (b[k] - a[k]),
                    drive * a[k] - b[k] - product(a, c),
                    product(a, b) - beta * c[k],
                ]
                for x, y, z in (v, u):
                    slopes += [
                        zero if x is u[0] else sigma * (y[k] - x[k]),
                        drive * x[k] - y[k] - product(a, z) - product(c, x),
                        product(b, x) + product(a, y) - beta * z[k],
                    ]
                for series, slope in zip((a, b, c, *v, *u), slopes, strict=True):
                    series.append(slope / (k + 1))
            now = [
                [sum(t * step**k for k, t in enumerate(x)) for x in vector] for vector in ([a, b, c], v, u)
            ]
            if any(round(t / 0.02) == number for t in times):
                ratios = [now[1][m] / now[2][m] for m in (1, 2)]
                found.append(([float(-abs(r).ln()) for r in ratios], [math.copysign(1.0, r) for r in ratios]))
    return found


def test_references_by_taylor_series_in_many_digits() -> None:
    for rho, rows in ((28.0, REFERENCE[28.0]), (0.8, REFERENCE[0.8][:2])):
        for (ops, signs), row in zip(taylor(rho, [row[0] for row in rows]), rows, strict=True):
            assert ops == pytest.approx([row[1], row[3]], abs=1e-10)
            assert signs == [row[2], row[4]]


def test_stage_hold_is_of_fourth_order_and_node_hold_of_first() -> None:
    exact = -4.2501427898

    def error(dt: float, rule: Any) -> float:
        found = follow(lorenz_tape(), question(round(2 / dt), dt, rule=rule))
        return abs(float(op_of(found)[-1, B]) - exact)

    assert 12 < error(0.01, "stage") / error(0.005, "stage") < 20
    assert 1.7 < error(0.001, "node") / error(0.0005, "node") < 2.3
    assert error(0.001, "node") > 1e4 * error(0.001, "stage")


def test_after_the_window_op_is_on_a_plateau_that_all_nodes_share() -> None:
    found = follow(lorenz_tape(), question(30_000, 0.001, held_until=10.0))
    op = op_of(found)
    assert op[12_000, B] == pytest.approx(-14.9180988674, abs=1e-5)
    assert op[25_000, B] == pytest.approx(-16.8335240999, abs=1e-5)
    np.testing.assert_allclose(op[-1], -16.8335297693, atol=1e-5)
    assert set(found.sign_x[-1] * found.sign_y[-1]) == {-1.0}


def test_the_window_ends_with_the_last_output_that_lies_in_it() -> None:
    assert question(100, 0.1, held_until=0.3).held_steps == 3
    assert question(100, 0.1, held_until=0.35).held_steps == 3
    assert question(100, 0.1, held_until=0.0).held_steps == 0
    assert question(100, 0.1).held_steps == 100
    never = follow(lorenz_tape(), question(100, held_until=0.0))
    np.testing.assert_array_equal(never.log_x, never.log_y)


def test_a_linear_map_has_powers_of_its_matrix() -> None:
    k = 0.02
    updates = {"room": f"room-{k}*heat+3*sin(t)", "heat": "room-25"}
    asked = Question(np.array([35.0, 10.0]), 1000, 0, (1,), integrator="map")
    found = follow(tape_system(updates), asked)
    fast, slow = (1 - math.sqrt(1 - 4 * k)) / 2, (1 + math.sqrt(1 - 4 * k)) / 2
    steps = np.arange(1, 1001)
    exact = (steps + 1) * math.log(slow) + np.log1p(-((fast / slow) ** (steps + 1))) - math.log(slow - fast)
    np.testing.assert_allclose(found.log_x[1:, 0], exact, rtol=0, atol=1e-11)
    np.testing.assert_allclose(found.log_y[:, 0], 0.0, atol=1e-12)
    assert found.log_x[-1, 0] == pytest.approx(-20.607089919, abs=1e-9)


def test_a_component_far_below_the_others_is_kept() -> None:
    """Under one scale for the whole vector, b would be 0 after 200 steps and its Op a wrong infinity."""
    asked = Question(np.ones(3), 3000, 0, integrator="map")
    found = follow(
        tape_system({"a": "0.5*a", "b": "0.001*b+0.01*c", "c": "0.01*c"}), replace(asked, perturbed=2)
    )
    assert found.log_x[-1, 2] == pytest.approx(3000 * math.log(0.01), abs=1e-8)
    assert found.log_x[-1, 1] == pytest.approx(3000 * math.log(0.01) + math.log(0.01 / 0.009), abs=1e-8)
    both = follow(tape_system({"a": "0.001*a", "b": "2*b+a"}), replace(asked, initial=np.zeros(2)))
    assert both.log_x[-1, 0] == pytest.approx(3000 * math.log(0.001), abs=1e-8)
    assert both.log_x[-1, 1] == pytest.approx(3000 * math.log(2) - math.log(1.999), abs=1e-8)


def test_symmetry_of_the_axes_a_and_b() -> None:
    start = np.array([1.3, -0.7, 12.0])
    ours = follow(lorenz_tape(), question(initial=start))
    mirrored = follow(lorenz_tape(), question(initial=start * [-1, -1, 1]))
    np.testing.assert_allclose(op_of(mirrored)[1:], op_of(ours)[1:], rtol=0, atol=1e-9)


def test_volumes_shrink_as_the_trace_says() -> None:
    """The determinant of the full tangent, from the three columns, is exp(-(sigma + 1 + beta) t)."""
    columns = []
    for node in range(3):
        found = follow(lorenz_tape(), question(400, 0.001, perturbed=node, held=(), every=400))
        columns.append(found.sign_x[-1] * np.exp(found.log_x[-1]))
    sign, log = np.linalg.slogdet(np.array(columns))
    assert (sign, log) == (1.0, pytest.approx(-(SIGMA + 1 + BETA) * 0.4, abs=1e-7))


# --- what has no number -----------------------------------------------------------------------------------------------


def test_a_perturbation_that_never_arrives_is_undefined() -> None:
    found = follow(lorenz_tape(), question(100, initial=np.array([0.0, 0.0, 5.0]), perturbed=C))
    op = compare(found.log_x, found.sign_x, found.log_y, found.sign_y)
    assert np.isnan(op.op[1:, B]).all()
    assert np.isnan(op.sign[1:, B]).all()
    assert (op.op[1:, C] == 0.0).all()


def test_a_measured_node_that_is_held_has_an_infinite_comp() -> None:
    found = follow(lorenz_tape(), question(100))
    op = compare(found.log_x, found.sign_x, found.log_y, found.sign_y)
    assert (op.op[1:, A] == -np.inf).all()
    assert np.isnan(op.sign[1:, A]).all()


def test_a_state_that_leaves_the_numbers_is_said_and_left_out() -> None:
    asked = Question(np.array([2.0, 1.0]), 50, 0, integrator="map")
    functions = System(
        2,
        lambda t, s: np.array([s[0] ** 2, s[1] + s[0]]),
        lambda t, s, v: np.array([2 * s[0] * v[0], v.sum()]),
    )
    for system in (tape_system({"a": "a^2", "b": "b+a"}), functions):
        with np.errstate(over="ignore"):
            found = follow(system, asked)
        assert found.state_lost == 10  # 2^(2^10) is the first power above the largest double
        assert np.isfinite(found.log_x[9]).all()
        assert np.isnan(found.log_x[10:]).all()


def test_a_derivative_that_is_infinite_is_said() -> None:
    asked = Question(np.array([0.0, 1.0]), 5, 1, integrator="map")
    found = follow(tape_system({"a": "cbrt(a)+0*b", "b": "a+b"}), asked)
    assert (found.state_lost, found.tangent_lost) == (None, None)  # b does not move a: its slope is not asked
    found = follow(tape_system({"a": "cbrt(a)+0*b", "b": "a+b"}), replace(asked, perturbed=0))
    assert (found.state_lost, found.tangent_lost) == (None, 1)
    assert np.isnan(found.log_x[1:]).all()
    np.testing.assert_array_equal(found.state[-1], [0.0, 1.0])


def test_questions_that_make_no_sense_are_sentences() -> None:
    with pytest.raises(ValueError, match="perturbed node is held"):
        question(held=(B,))
    with pytest.raises(ValueError, match="no node 3"):
        question(held=(3,))
    with pytest.raises(ValueError, match="must be a positive finite number"):
        question(dt=0.0)
    with pytest.raises(ValueError, match="must be finite"):
        question(initial=np.array([1.0, np.nan, 1.0]))
    with pytest.raises(ValueError, match="no node 'd'; there are a, b, c"):
        held_indices("abc", ["d"])
    with pytest.raises(ValueError, match="3 nodes, and the question names 2"):
        follow(lorenz_tape(), question(initial=np.ones(2)))
    with pytest.raises(ValueError, match="cannot be called 't'"):
        tape_system({"t": "1"})
    assert held_indices("abc", ["c", "a"]) == (0, 2)


# --- many digits ------------------------------------------------------------------------------------------------------


def tangents_in_many_digits(steps: int, dt: float, rho: float) -> tuple[list[float], list[float], FloatArray]:
    """ln|v| and ln|u| (b perturbed, a held, RK4 in every stage) along the float64 trajectory of our own steps."""
    scheme = ((0.0, 1 / 6), (0.5, 1 / 3), (0.5, 1 / 3), (1.0, 1 / 6))
    state = [1.0, 1.0, 1.0]
    with localcontext() as context:
        context.prec = 45
        zero, one, h, sigma, beta = Decimal(0), Decimal(1), Decimal(dt), Decimal(SIGMA), Decimal(BETA)
        x, y = [zero, one, zero], [zero, one, zero]
        for _ in range(steps):
            slope, total = [0.0] * 3, [0.0] * 3
            slope_x, slope_y = [zero] * 3, [zero] * 3
            total_x, total_y = [zero] * 3, [zero] * 3
            for reach, weight in scheme:
                a, b, c = (state[i] + reach * dt * slope[i] for i in range(3))
                slope = [SIGMA * (b - a), a * (rho - c) - b, a * b - BETA * c]
                total = [total[i] + weight * slope[i] for i in range(3)]
                r, w = Decimal(reach) * h, Decimal(weight)
                p, q, s, g = Decimal(a), Decimal(b), Decimal(c), Decimal(rho)
                v = [x[i] + r * slope_x[i] for i in range(3)]
                u = [y[i] + r * slope_y[i] for i in range(3)]
                slope_x = [
                    sigma * (v[1] - v[0]), (g - s) * v[0] - v[1] - p * v[2], q * v[0] + p * v[1] - beta * v[2]
                ]  # fmt: skip
                slope_y = [zero, -u[1] - p * u[2], p * u[1] - beta * u[2]]
                total_x = [total_x[i] + w * slope_x[i] for i in range(3)]
                total_y = [total_y[i] + w * slope_y[i] for i in range(3)]
            state = [state[i] + dt * total[i] for i in range(3)]
            x, y = [x[i] + h * total_x[i] for i in range(3)], [y[i] + h * total_y[i] for i in range(3)]
        logs = [[float(abs(number).ln()) if number else -math.inf for number in vector] for vector in (x, y)]
        signs = np.array([[float(number.compare(zero)) for number in vector] for vector in (x, y)])
    return logs[0], logs[1], signs


@pytest.mark.parametrize("steps", [500, pytest.param(100_000, marks=pytest.mark.slow)])
def test_tangents_in_many_digits(steps: int) -> None:
    log_x, log_y, signs = tangents_in_many_digits(steps, 0.01, 28.0)
    found = follow(lorenz_tape(), question(steps, every=steps))
    np.testing.assert_allclose(found.log_x[-1], log_x, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.log_y[-1, 1:], log_y[1:], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.sign_x[-1], signs[0])
    np.testing.assert_array_equal(found.sign_y[-1], signs[1])
    if steps == 100_000:
        assert log_x[B] > 709  # beyond the largest double, as the other is below the smallest
        assert log_y[B] < -745
