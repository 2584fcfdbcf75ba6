"""Many Lorenz trajectories at once against the plain engine, closed forms and reference values."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tui_opt.kernels.tangents import Question, compare, follow
from tui_opt.kernels.tangents import lorenz_lanes as lanes
from tui_opt.kernels.tangents.lorenz import A, B, C, Lorenz, equilibria, hopf_rho
from tui_opt.kernels.tangents.lorenz_lanes import LANES, TILE, LaneTangents, follow_lanes, relevant

FloatArray = NDArray[np.float64]
LORENZ = Lorenz()


def starts(number: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(3, number)) * 10 + [[0], [0], [27]]


def question(steps: int = 300, number: int = 70, **more: Any) -> Question:
    return Question(
        **{"initial": starts(number), "steps": steps, "perturbed": B, "held": (A,), "dt": 0.01, **more}
    )


def op_of(found: LaneTangents) -> tuple[FloatArray, FloatArray]:
    answer = compare(found.log_x, found.sign_x, found.log_y, found.sign_y)
    return answer.op, answer.sign


@pytest.mark.parametrize("integrator", ["rk4", "euler"])
@pytest.mark.parametrize("rule", ["stage", "node"])
@pytest.mark.parametrize(
    ("held", "perturbed", "until"),
    [
        ((A,), B, math.inf),
        ((A,), C, 0.5),
        ((B,), A, math.inf),
        ((C,), A, 0.2),
        ((A, C), B, math.inf),
        ((), B, 0.5),
    ],
)
def test_lanes_agree_with_the_plain_engine(
    integrator: Any, rule: Any, held: tuple[int, ...], perturbed: int, until: float
) -> None:
    dt = 0.01 if integrator == "rk4" else 0.002
    asked = question(
        90,
        integrator=integrator,
        rule=rule,
        held=held,
        perturbed=perturbed,
        held_until=until,
        dt=dt,
        every=90,
    )
    measured = C if C not in held else B
    ours = follow_lanes(LORENZ, asked, measured)
    theirs = follow(LORENZ.system(), asked)
    np.testing.assert_allclose(ours.state, theirs.state[-1], rtol=0, atol=1e-9)
    for name in ("log_x", "sign_x"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name)[-1], rtol=0, atol=1e-8)
    for name in ("log_y", "sign_y"):
        np.testing.assert_allclose(
            getattr(ours, name)[measured], getattr(theirs, name)[-1, measured], rtol=0, atol=1e-8
        )


def test_the_map_of_the_reference() -> None:
    """Mean and median over 512 x 512 starts, here on every eighth per axis; both move by their sampling error."""
    axis = np.linspace(-20, 20, 512)[4::8]
    a, b = np.meshgrid(axis, axis)
    asked = question(1000, initial=np.stack([a.ravel(), b.ravel(), np.full(a.size, 27.0)]))
    op, sign = (x[B] for x in op_of(follow_lanes(LORENZ, asked, B)))
    error = float(op.std() / math.sqrt(op.size))
    assert float(op.mean()) == pytest.approx(-26.0384, abs=4 * error)
    assert float(np.median(op)) == pytest.approx(-26.5263, abs=6 * error)
    assert np.mean(sign < 0) == pytest.approx(0.5201, abs=0.03)
    assert (op < 0).all()


@pytest.mark.slow
def test_the_whole_map_of_the_reference() -> None:
    axis = np.linspace(-20, 20, 512)
    a, b = np.meshgrid(axis, axis)
    asked = question(1000, initial=np.stack([a.ravel(), b.ravel(), np.full(a.size, 27.0)]))
    op, sign = (x[B] for x in op_of(follow_lanes(LORENZ, asked, B)))
    assert float(op.mean()) == pytest.approx(-26.0384, abs=2e-4)
    assert float(np.median(op)) == pytest.approx(-26.5263, abs=2e-4)
    assert np.mean(sign < 0) == pytest.approx(0.5201, abs=1e-4)
    assert (float(op.min()), float(op.max())) == (
        pytest.approx(-39.773, abs=0.01),
        pytest.approx(-9.892, abs=0.01),
    )


def test_a_lane_does_not_know_of_the_others() -> None:
    """Alone, in a block that is not full, among many tiles, or in short slices: the same bits."""
    asked = question(100, TILE + 3)
    together = follow_lanes(LORENZ, asked, B)
    for lane in (0, LANES, TILE - 1, TILE, TILE + 2):
        alone = follow_lanes(LORENZ, replace(asked, initial=asked.initial[:, lane : lane + 1]), B)
        for name in ("state", "log_x", "log_y"):
            assert getattr(alone, name)[:, 0].tobytes() == getattr(together, name)[:, lane].tobytes()


def test_slices_change_no_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = question(130, held_until=0.77)
    whole = follow_lanes(LORENZ, asked, B)
    monkeypatch.setattr(lanes, "SLICE_SECONDS", 0.0)
    checks: list[int] = []
    sliced = follow_lanes(LORENZ, asked, B, lambda: checks.append(1))
    assert len(checks) == 5 + 4  # 77 and 53 steps, 16 at once
    assert sliced.log_y.tobytes() == whole.log_y.tobytes()


def test_a_check_ends_it() -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        follow_lanes(LORENZ, question(), B, stop)


def test_long_courses_neither_overflow_nor_underflow() -> None:
    """After 1000 units of time |v| is beyond e^800 and |u| below e^-1500; the sum of the rates is the trace's share."""
    found = follow_lanes(LORENZ, question(100_000, 8), B)
    assert np.isfinite(found.log_x).all()
    assert float(found.log_x.mean()) / 1000 == pytest.approx(0.905, abs=0.01)
    assert float(found.log_y[1:].mean()) / 1000 == pytest.approx(-1.80, abs=0.02)


@pytest.mark.parametrize(
    ("held", "measured", "rate"),
    [((A, B), C, -8 / 3), ((A, C), B, -1.0), ((B, C), A, -10.0), ((B,), A, -10.0)],
)
def test_what_decays_alone_decays_at_its_own_rate(held: tuple[int, ...], measured: int, rate: float) -> None:
    """With b held, a decays alone and c does not let it be seen any more: it keeps a scale of its own."""
    asked = question(20_000, 3, held=held, perturbed=measured)
    found = follow_lanes(LORENZ, asked, measured)
    one_step = sum((rate * 0.01) ** k / math.factorial(k) for k in range(5))  # of RK4
    np.testing.assert_allclose(found.log_y[measured], 20_000 * math.log(one_step), rtol=1e-12)
    assert (found.sign_y[measured] == 1).all()


def test_which_nodes_reach_a_measured_one() -> None:
    assert relevant((A,), B) == (B, C)
    assert relevant((B,), A) == (A,)
    assert relevant((B,), C) == (A, C)
    assert relevant((C,), A) == (A, B)
    assert relevant((), A) == (A, B, C)
    assert relevant((B, C), A) == (A,)
    asked = question(50, held=(B,), perturbed=C)
    found = follow_lanes(LORENZ, asked, A)
    assert (found.log_y[A] == -np.inf).all()  # c reaches a only through b
    assert (op_of(found)[0][A] == -np.inf).all()


def test_the_same_in_y_as_in_x_where_nothing_is_held() -> None:
    found = follow_lanes(LORENZ, question(held=()), B)
    np.testing.assert_allclose(found.log_y, found.log_x, rtol=0, atol=1e-12)


def test_a_course_that_leaves_the_numbers_is_nan() -> None:
    asked = question(200, dt=1.0, initial=np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]))
    found = follow_lanes(LORENZ, asked, B)
    assert np.isnan(found.state[:, 0]).all()
    assert np.isnan(found.log_x[:, 0]).all()


def test_only_lanes_of_the_flow() -> None:
    with pytest.raises(ValueError, match=r"start at \[3, lane\]"):
        follow_lanes(LORENZ, question(initial=np.ones(3)), B)


def test_equilibria_and_their_stability() -> None:
    """One below rho = 1; then a saddle and two that are stable up to 470/19."""
    (origin,) = equilibria(Lorenz(rho=0.8), 0.01, "rk4")
    assert (origin.kind, origin.kept) == ("stable", True)
    assert hopf_rho(LORENZ) == pytest.approx(470 / 19)
    for rho, side in ((24.7, "stable"), (24.8, "saddle"), (28.0, "saddle")):
        found = equilibria(Lorenz(rho=rho), 0.001, "rk4")
        assert [e.kind for e in found] == ["saddle", side, side]
        for e in found:
            np.testing.assert_allclose(Lorenz(rho=rho).slope(0, e.place), 0.0, atol=1e-12)
    np.testing.assert_allclose(found[0].eigenvalues.real, [11.8277, -8 / 3, -22.8277], atol=1e-4)


@pytest.mark.parametrize(("dt", "rho"), [(0.02, 12.32), (0.01, 16.03), (0.005, 19.23), (0.001, 23.32)])
def test_explicit_euler_moves_the_loss_of_stability(dt: float, rho: float) -> None:
    below, above = (equilibria(Lorenz(rho=rho + off), dt, "euler")[1] for off in (-0.02, 0.02))
    assert (below.kind, below.kept) == ("stable", True)
    assert (above.kind, above.kept) == ("stable", False)
    assert abs(above.multipliers[0]) > 1
