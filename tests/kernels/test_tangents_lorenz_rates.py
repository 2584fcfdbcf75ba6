"""Rates of growth against a plain orthogonalisation of exact step derivatives, and against what is known exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tui_opt.kernels.tangents import Question
from tui_opt.kernels.tangents import lorenz_rates as module
from tui_opt.kernels.tangents.follow import step_and_derivative
from tui_opt.kernels.tangents.lorenz import A, B, C, Lorenz
from tui_opt.kernels.tangents.lorenz_rates import RateQuestion, rates

FloatArray = NDArray[np.float64]
LORENZ = Lorenz()


def question(
    held: tuple[int, ...] = (A,), perturbed: int = B, measured: int = B, number: int = 5, **more: Any
) -> RateQuestion:
    starts = np.random.default_rng(1).normal(size=(3, number)) * 8 + [[0], [0], [27]]
    asked = {
        "starts": starts, "integrator": "rk4", "rule": "stage", "dt": 0.01,
        "transient": 12, "block": 30, "blocks": 3, **more,
    }  # fmt: skip
    return RateQuestion(perturbed=perturbed, measured=measured, held=held, **asked)


def plain(asked: RateQuestion, lane: int) -> tuple[FloatArray, FloatArray]:
    """Rates of the full frame [3, block] and of the free nodes' [free, block] by NumPy's QR after every step."""
    steps = asked.transient + asked.block * asked.blocks
    course = Question(
        asked.starts[:, lane], steps, asked.perturbed, asked.held, integrator=asked.integrator, dt=asked.dt,
        rule=asked.rule,
    )  # fmt: skip
    state, free = course.initial, [k for k in range(3) if k not in asked.held]
    first = asked.perturbed
    full = np.eye(3)[:, [first, *(k for k in range(3) if k != first)]]
    part = np.eye(3)[:, [first, *(k for k in free if k != first)]]
    logs: list[list[FloatArray]] = [[], []]
    for step in range(steps):
        state, derivative, held = step_and_derivative(LORENZ.system(), course, step, state, course.mask())
        full, r = np.linalg.qr(derivative @ full)
        part, s = np.linalg.qr(held @ part)
        logs[0].append(np.log(np.abs(np.diag(r))))
        logs[1].append(np.log(np.abs(np.diag(s))))

    def per_block(entries: list[FloatArray]) -> FloatArray:
        kept = np.array(entries[asked.transient :]).reshape(asked.blocks, asked.block, -1)
        return np.asarray(kept.sum(axis=1).T / (asked.block * asked.dt))

    return per_block(logs[0]), per_block(logs[1])


@pytest.mark.parametrize(
    ("held", "perturbed", "more"),
    [
        ((A,), B, {}),
        ((A,), C, {"rule": "node"}),
        ((C,), A, {"integrator": "euler", "dt": 0.004}),
        ((A, B), C, {}),
        ((), C, {}),
    ],
)
def test_rates_agree_with_plain_ones(held: tuple[int, ...], perturbed: int, more: dict[str, Any]) -> None:
    asked = question(held, perturbed, perturbed, **more)
    found = rates(LORENZ, asked)
    for lane in (0, 4):
        full, free = plain(asked, lane)
        np.testing.assert_allclose(found.full[:, :, lane], full, rtol=0, atol=1e-7)
        number = min(2, len(free))
        np.testing.assert_allclose(found.free[:number, :, lane], free[:number], rtol=0, atol=1e-7)
        np.testing.assert_allclose(found.held[:, lane], free[0], rtol=0, atol=1e-7)
    if len(held) == 2:
        assert np.isnan(found.free[1]).all()


def standard_error(values: FloatArray) -> float:
    return float(max(
        values.mean(axis=1).std(ddof=1) / np.sqrt(len(values)),
        values.mean(axis=0).std(ddof=1) / np.sqrt(values.shape[1]),
    ))  # fmt: skip


def test_lyapunov_exponents_of_the_usual_system() -> None:
    """0.9056 (Viswanath 1998; Sprott 2003), 0 along the flow, and the trace for their sum."""
    asked = question(number=64, transient=2000, block=1000, blocks=20)
    found = rates(LORENZ, asked)
    means = found.full.mean(axis=(1, 2))
    errors = [standard_error(x) for x in found.full]
    assert max(errors) < 0.005
    assert abs(means[0] - 0.9056) < 3 * errors[0]
    assert abs(means[1]) < 3 * errors[1]
    assert means.sum() == pytest.approx(LORENZ.trace, abs=3e-4)
    assert found.full.sum(axis=0).max() - found.full.sum(axis=0).min() < 2e-3
    y = found.held.mean()
    assert abs(y + 1.8006) < 3 * np.hypot(standard_error(found.held), 0.0012)
    op = found.held - found.full[0]
    assert abs(op.mean() + 2.7055) < 3 * np.hypot(standard_error(op), 0.002)
    assert found.free.sum(axis=0).mean() == pytest.approx(-11 / 3, abs=3e-5)


@pytest.mark.parametrize(
    ("held", "perturbed", "measured", "rate"),
    [
        ((A, B), C, C, -8 / 3),
        ((A, C), B, B, -1.0),
        ((B, C), A, A, -10.0),
        ((B,), C, C, -8 / 3),
        ((B,), A, C, -8 / 3),
        ((B,), A, A, -10.0),
    ],
)
def test_exact_conditional_rates(held: tuple[int, ...], perturbed: int, measured: int, rate: float) -> None:
    asked = question(held, perturbed, measured, transient=500, block=1000, blocks=2)
    found = rates(LORENZ, asked)
    np.testing.assert_allclose(found.held, rate, rtol=0, atol=2e-4)


def test_with_c_held_the_state_itself_is_the_tangent() -> None:
    """(a, b) obeys a linear equation then, which the tangent obeys too: its rate is 0 while w is bounded."""
    asked = question((C,), A, A, number=64, transient=2000, block=1000, blocks=10)
    found = rates(LORENZ, asked)
    assert abs(found.held.mean()) < max(3 * standard_error(found.held), 0.01)
    state = Question(np.array([1.0, 2.0, 20.0]), 1, A, (C,), integrator="rk4", dt=0.01)
    after, _, held = step_and_derivative(LORENZ.system(), state, 0, state.initial, state.mask())
    np.testing.assert_allclose((held @ [1.0, 2.0, 0.0])[:2], after[:2], rtol=0, atol=1e-14)


def test_what_never_reaches_a_node_has_no_rate() -> None:
    assert (rates(LORENZ, question((B,), C, A)).held == -np.inf).all()
    assert (rates(LORENZ, question((A,), B, A)).held == -np.inf).all()


def test_slices_and_more_trajectories_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = question(number=70)
    whole = rates(LORENZ, asked)
    told: list[int] = []
    monkeypatch.setattr(module, "SLICE_SECONDS", 0.0)
    sliced = rates(LORENZ, asked, told=lambda number, so_far: told.append(number))
    np.testing.assert_allclose(sliced.full, whole.full, rtol=0, atol=1e-12)
    assert told == [1, 2, 3]
    few = rates(LORENZ, question(number=70, starts=asked.starts[:, :3]))
    assert few.held.tobytes() == np.ascontiguousarray(whole.held[:, :3]).tobytes()


def test_a_perturbed_node_cannot_be_held() -> None:
    with pytest.raises(ValueError, match="perturbed node is held"):
        rates(LORENZ, question((B,), B))
