"""trajectory: the state against references, equilibria, and what steps do to them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import tui_opt
from tui_opt.errors import UsageError
from tui_opt.figure import resolve
from tui_opt.kernels.tangents.lorenz import Lorenz
from tui_opt.result import Result


def trajectory(**params: object) -> Result:
    return tui_opt.run("lorenz", "trajectory", **params)


def test_the_state_agrees_with_an_adaptive_solver() -> None:
    found = trajectory(duration=5.0, dt=0.005, sigma=9.0, rho=25.0, beta=2.0, initial=[1.0, 2.0, 3.0])
    t = found.arrays["t"].values
    solved = solve_ivp(Lorenz(9.0, 25.0, 2.0).slope, (0, 5), [1, 2, 3], t_eval=t, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(found.arrays["state"].values, solved.y.T, rtol=0, atol=2e-4)
    assert found.arrays["state"].dims == ("t", "axis")
    assert found.findings["final_c"].value == found.arrays["state"].values[-1, 2]


def test_figures_draw_what_is_there() -> None:
    found = trajectory(duration=2.0)
    assert [f.name for f in found.figures] == ["series", "portrait-ac", "portrait-ab", "portrait-bc"]
    for figure in found.figures:
        for layer in figure.layers:
            assert resolve(layer.x, found.values()).shape == resolve(layer.y, found.values()).shape == (201,)  # type: ignore[union-attr]


def test_two_equilibria_and_a_saddle() -> None:
    found = trajectory(rho=20.0, duration=1.0)
    assert (found.findings["equilibria"].value, found.findings["stable_equilibria"].value) == (3.0, 2.0)
    kinds = [row[4] for row in found.tables["equilibria"].rows]
    assert kinds == ["saddle", "stable", "stable"]
    assert not found.warnings


def test_euler_steps_that_lose_an_equilibrium_are_warned_of() -> None:
    found = trajectory(rho=20.0, duration=1.0, integrator="euler")
    assert found.findings["stable_in_steps"].value == 0.0
    assert any("0 states at rest are stable" in warning for warning in found.warnings)


def test_how_long_the_steps_can_be_trusted() -> None:
    """With the fourth power of the step less an error to begin with, chaos takes ln(10)/0.9 longer per digit."""
    coarse, fine = (trajectory(duration=40.0, dt=dt).findings["reliable_until"].value for dt in (0.01, 0.001))
    assert 12 < coarse < 20
    assert coarse + 6 < fine < 35
    regular = trajectory(duration=40.0, rho=0.8).findings["reliable_until"]
    assert regular.value == 40.0
    assert "all the time" in regular.text


def test_a_trajectory_that_runs_away_is_said() -> None:
    found = trajectory(sigma=-10.0, rho=0.8)
    assert found.findings["diverged_at"].value == pytest.approx(0.9)
    assert found.warnings
    assert np.isnan(found.findings["final_a"].value)
    assert np.isfinite(found.arrays["state"].values[89]).all()


def test_the_last_step_does_not_pass_the_duration() -> None:
    assert trajectory(duration=0.025).arrays["t"].values == pytest.approx([0.0, 0.01, 0.02])
    assert trajectory(duration=0.3, dt=0.1).arrays["t"].values == pytest.approx([0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"initial": [1.0, 2.0]}, "three numbers"),
        ({"duration": 0.001}, "at least one step"),
        ({"duration": 1e6, "dt": 1e-6}, "at most"),
        ({"integrator": "rk5"}, "rk4"),
    ],
)
def test_bad_parameters_are_sentences(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        trajectory(**given)


@pytest.mark.parametrize(
    ("beta", "rho", "number"), [(-1.0, 28.0, 1), (-1.0, 0.5, 3), (0.0, 28.0, 1), (2.0, 1.0, 1)]
)
def test_equilibria_where_there_are_any(beta: float, rho: float, number: int) -> None:
    found = trajectory(beta=beta, rho=rho, duration=0.1, initial=[0.1, 0.1, 0.1])
    assert found.findings["equilibria"].value == number


def test_states_near_the_largest_numbers() -> None:
    found = trajectory(sigma=0.0, beta=1000.0, initial=[1e6, 1.0, 1e6], dt=0.1, duration=1.0)
    assert found.findings["final_c"].value != 0.0
