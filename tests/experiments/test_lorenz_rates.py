"""rates: exponents within their standard errors, exact rates, and what cannot be averaged."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tui_opt
from tui_opt.experiments.lorenz.params import RatesParams
from tui_opt.experiments.lorenz.rates import compute, estimate, exact_rate, kaplan_yorke
from tui_opt.kernels.tangents.lorenz import Lorenz
from tui_opt.result import Result
from tui_opt.runner.context import Context


def rates(**params: object) -> Result:
    return tui_opt.run("lorenz", "rates", **params)


def within(result: Result, name: str, value: float, more: float = 0.0) -> bool:
    found = result.findings[name]
    assert found.stderr is not None
    return abs(found.value - value) < 3 * math.hypot(found.stderr, more)


def test_rates_of_the_usual_system() -> None:
    found = rates(duration=300.0)
    assert within(found, "lyapunov_1", 0.9056)
    assert within(found, "lyapunov_2", 0.0)
    assert within(found, "lyapunov_3", -14.5723, 1e-3)
    assert within(found, "held_rate", -1.8006, 0.0012)
    assert within(found, "conditional_2", -1.8661, 0.0012)
    assert within(found, "op_rate", -2.7055, 0.002)
    assert found.findings["dimension"].value == pytest.approx(2.062, abs=0.002)
    assert found.findings["lyapunov_1"].stderr < 0.01  # type: ignore[operator]
    assert abs(found.findings["trace_error"].value) < 3e-4
    assert "held_rate_exact" not in found.findings
    assert found.arrays["op_rate_mean"].values[-1] == pytest.approx(found.findings["op_rate"].value)


@pytest.mark.parametrize(
    ("held", "perturbed", "measured", "exact"),
    [
        ("b", "c", "c", -8 / 3),
        ("b", "a", "a", -10.0),
        ("b", "a", "c", -8 / 3),
        (["a", "b"], "c", "c", -8 / 3),
        (["a", "c"], "b", "b", -1.0),
        (["b", "c"], "a", "a", -10.0),
        ("c", "a", "b", 0.0),
    ],
)
def test_exact_rates_are_met(held: object, perturbed: str, measured: str, exact: float) -> None:
    found = rates(held=held, perturbed=perturbed, measured=measured, duration=100.0)
    assert found.findings["held_rate_exact"].value == pytest.approx(exact)
    assert within(found, "held_rate", exact)
    # The orbit's part of Op / t is the Lyapunov exponent.
    assert within(found, "op_rate", exact - 0.9056)


def test_around_a_stable_equilibrium_rates_are_eigenvalues() -> None:
    found = rates(rho=0.8, duration=200.0, trajectories=2)
    slow = (-11 + math.sqrt(121 - 4 * 10 * (1 - 0.8))) / 2
    assert found.findings["lyapunov_1"].value == pytest.approx(slow, abs=1e-5)
    assert found.findings["held_rate"].value == pytest.approx(-1.0, abs=1e-6)
    assert found.findings["op_rate"].value == pytest.approx(-1.0 - slow, abs=1e-5)


def test_a_trajectory_on_the_axis_keeps_its_copies_there() -> None:
    """From a = b = 0 a change of c decays at rate beta, and never leaves the axis, though rho = 28."""
    found = rates(initial=[0.0, 0.0, 5.0], held=["a", "b"], perturbed="c", measured="c", duration=20.0)
    assert found.findings["free_rate"].value == pytest.approx(-8 / 3, abs=1e-6)
    assert found.findings["op_rate"].value == pytest.approx(0.0, abs=1e-9)
    assert found.findings["lyapunov_1"].value == pytest.approx(11.8277, abs=1e-2)


def test_nothing_held_has_the_rate_of_the_perturbation() -> None:
    found = rates(held=[], duration=50.0, trajectories=8)
    assert found.findings["op_rate"].value == pytest.approx(0.0, abs=1e-9)
    assert found.findings["held_rate"].value == pytest.approx(found.findings["lyapunov_1"].value, abs=1e-9)


def test_what_never_arrives_has_no_rate() -> None:
    found = rates(held="b", perturbed="c", measured="a", duration=10.0, trajectories=2)
    assert found.findings["held_rate"].value == -math.inf
    assert found.findings["op_rate"].value == -math.inf
    assert found.warnings


def test_a_system_that_runs_away_has_no_rates() -> None:
    found = rates(sigma=-10.0, rho=0.8, duration=10.0, trajectories=2)
    assert math.isnan(found.findings["lyapunov_1"].value)
    assert found.warnings


def test_threads_change_no_bits() -> None:
    params = RatesParams.check({"duration": 5.0, "transient": 1.0, "trajectories": 130})
    one, many = (compute(params, Context("lorenz/rates", threads=n)) for n in (1, 3))
    assert one.findings["op_rate"].value == many.findings["op_rate"].value
    assert one.arrays["held_rate_mean"].values.tobytes() == many.arrays["held_rate_mean"].values.tobytes()


def test_one_trajectory_and_one_block_have_no_standard_error() -> None:
    assert math.isnan(estimate(np.ones((1, 1))).stderr)
    found = rates(duration=0.01, transient=0.0, trajectories=1)
    assert math.isnan(found.findings["lyapunov_1"].stderr)  # type: ignore[arg-type]


def test_standard_errors_cover_the_scatter_they_speak_of() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        values = estimate(rng.normal(1.0, 0.5, size=(20, 16)))
        hits += abs(values.value - 1.0) < 2 * values.stderr
    assert 940 < hits < 985  # two errors hold 95 % of normal means; the larger of two estimates a few more
    shared = estimate(np.repeat(rng.normal(size=(20, 1)), 16, axis=1))
    assert shared.stderr == pytest.approx(
        1 / math.sqrt(20), rel=0.5
    )  # copies that were not parted say nothing


def test_known_rates_and_dimensions() -> None:
    assert exact_rate(Lorenz(), (0,), 1, 1, (1, 1, 1)) is None
    assert exact_rate(Lorenz(), (2,), 0, 0, (0, 0, 1)) is None
    assert exact_rate(Lorenz(rho=0.5), (2,), 0, 0, (1, 1, 1)) is None
    assert exact_rate(Lorenz(), (1,), 2, 0, (1, 1, 1)) is None
    assert kaplan_yorke([0.9056, 0.0, -14.5723]) == pytest.approx(2.0621, abs=1e-4)
    assert kaplan_yorke([-0.1, -1.0, -2.0]) == 0.0
    assert kaplan_yorke([1.0, 0.5, 0.1]) == 3.0
