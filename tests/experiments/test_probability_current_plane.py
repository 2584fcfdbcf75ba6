"""plane: closed circulations and moments, laws with and without an energy, divergence, broken losses, names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tui_opt
from tui_opt.errors import CancelledError, ExperimentError
from tui_opt.experiments.probability_current import PLANE
from tui_opt.experiments.probability_current.params import PLANE_PAIR, PlaneParams
from tui_opt.experiments.probability_current.plane import compute
from tui_opt.figure import Heatmap, resolve
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context

FEW = {"cells": 32, "walkers": 2000, "steps": 12, "output_every": 4}


def plane(**params: Any) -> Result:
    return tui_opt.run("probability-current", "plane", **{**FEW, **params})


def found(result: Result, name: str) -> float:
    return result.findings[name].value


def curve(result: Result, name: str) -> np.ndarray:
    return result.arrays[name].values


def bowls(h1: float, h2: float, rho: float, strength: float = 1.0) -> list[str]:
    """Bowls with curvatures h1 and h2 whose gradients differ by constants, S² = strength² [[1, rho], [rho, 1]]."""
    a, b = strength * np.sqrt(1 + rho), strength * np.sqrt(1 - rho)
    pushes = [(a, a), (-a, -a), (b, -b), (-b, b)]
    return [f"{h1}*W1^2/2+{h2}*W2^2/2-({x!r})*W1-({y!r})*W2" for x, y in np.array(pushes).tolist()]


def closed(h1: float, h2: float, rho: float, temperature: float) -> tuple[np.ndarray, float]:
    """Covariance of the final law, C = A C A + T² S², and T [H, C]₁₂ / 2 √det C."""
    a, noise = 1 - temperature * np.array([h1, h2]), np.array([[1, rho], [rho, 1]])
    covariance = temperature**2 * noise / (1 - np.outer(a, a))
    turning = temperature * (h1 - h2) * covariance[0, 1] / (2 * np.sqrt(np.linalg.det(covariance)))
    return covariance, turning


@pytest.mark.parametrize(
    ("h1", "h2", "rho", "temperature"),
    [(1.0, 2.0, 0.5, 0.1), (1.0, 3.0, -0.8, 0.5), (5.0, 0.7, 0.3, 0.05), (2.0, 1.0, 0.9, 0.2)],
)
def test_the_circulation_of_linear_gradients_is_the_closed_form(
    h1: float, h2: float, rho: float, temperature: float
) -> None:
    result = plane(losses=bowls(h1, h2, rho), temperature=temperature, walkers=0)
    covariance, turning = closed(h1, h2, rho, temperature)
    # The law is given up as settled where 1e-4 of its spread may still come.
    assert found(result, "circulation") == pytest.approx(turning, rel=1e-5)
    assert found(result, "circulation_error") < 1e-6
    # S⁻² F = (2/T) S⁻² H W, whose curl is the difference of the entries beside the diagonal.
    matrix = 2 / temperature * np.linalg.inv([[1, rho], [rho, 1]]) @ np.diag([h1, h2])
    defect = abs(matrix[1, 0] - matrix[0, 1]) * np.sqrt(np.linalg.det(covariance))
    assert found(result, "energy_defect") == pytest.approx(defect, rel=1e-5)
    assert found(result, "noise_rank") == 2
    assert found(result, "circulation_share") > 0.05


@pytest.mark.parametrize(("h1", "h2", "rho"), [(1.0, 2.0, 0.0), (1.5, 1.5, 0.7)])
def test_nothing_circulates_where_there_is_an_energy(h1: float, h2: float, rho: float) -> None:
    """Noise that commutes with the curvature: isotropic noise, or curvature the same in all directions."""
    result = plane(losses=bowls(h1, h2, rho), temperature=0.1, walkers=0)
    assert abs(found(result, "circulation")) < 1e-12
    assert found(result, "energy_defect") < 1e-9
    assert found(result, "circulation_share") < 0.2 * max(h1, h2)


def test_an_energy_that_is_no_bowl() -> None:
    """Constant isotropic noise on a bent valley has one, correlated noise has not."""
    valley = "W1^4/4-W1^2/2+0.3*W1*W2+W2^2+0.2*W1^2*W2"
    sides = [(1.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0)]
    same = [f"{valley}-({x})*W1-({y})*W2" for x, y in sides]
    along = [
        f"{valley}-({x})*W1-({y})*W2" for x, y in (np.array(sides) * [[1.2], [1.2], [0.7], [0.7]]).tolist()
    ]
    even, odd = (plane(losses=losses, temperature=0.02, walkers=0) for losses in (same, along))
    assert abs(found(even, "circulation")) < 1e-5
    assert found(even, "energy_defect") < 1e-9
    assert abs(found(odd, "circulation")) > 4e-4
    assert found(odd, "energy_defect") > 0.1


def test_the_same_whatever_the_noise_is_measured_in() -> None:
    """A law far narrower than the start gets cells of its own size."""
    faint = plane(losses=bowls(1, 2, 0.5, 1e-5), temperature=0.1, walkers=0)
    assert found(faint, "circulation") == pytest.approx(closed(1, 2, 0.5, 0.1)[1], rel=1e-6)
    assert np.ptp(curve(faint, "end_w1")) < 1e-3


def test_the_law_over_time_is_that_of_the_walkers() -> None:
    result = plane(losses=PLANE_PAIR, temperature=0.05, walkers=20_000, cells=64, output_every=3)
    t, mean = curve(result, "t"), curve(result, "mean")
    assert list(t) == [0, 3, 6, 9, 12]
    assert curve(result, "density").shape == (5, 64, 64)
    assert mean.shape == curve(result, "sd").shape == (5, 2)
    assert found(result, "mean_z_operator") < 4.5
    assert found(result, "sd_z_operator") < 4.5
    assert found(result, "mean_error_operator") == np.abs(mean - curve(result, "mean_monte_carlo")).max()
    error = np.abs(curve(result, "sd") - curve(result, "sd_monte_carlo")).max()
    assert found(result, "sd_error_operator") == error
    assert found(result, "mass_error_operator") <= 1e-12
    assert found(result, "min_density_operator") >= 0
    area = np.ptp(curve(result, "w1")) * np.ptp(curve(result, "w2")) / 63**2
    assert curve(result, "density").sum(axis=(1, 2)) * area == pytest.approx(np.ones(5), abs=1e-9)
    for axis in (1, 2):
        side = np.diff(curve(result, f"w{axis}"))[0]
        middles, rows = curve(result, f"w{axis}"), curve(result, f"density_w{axis}")
        assert (rows * middles).sum(axis=1) * side == pytest.approx(mean[:, axis - 1], abs=side)
    # T max|H|: of the pit at (1, 0.1), 50 (1 - 50 r² ...) exp(-25 r²) at its bottom, and the well's 2 at most.
    assert found(result, "validity") == pytest.approx(0.05 * 50.7, rel=0.01)


@pytest.mark.slow
def test_standard_deviations_within_a_percent_on_512_cells_per_axis() -> None:
    result = plane(cells=512, steps=60, output_every=10, walkers=1_000_000)
    assert found(result, "sd_relative_error_operator") < 0.01
    assert found(result, "mean_error_operator") < 2e-3
    assert found(result, "mass_error_operator") <= 1e-12


@pytest.mark.slow
def test_default_parameters_within_a_percent() -> None:
    result = plane(cells=256, steps=60, output_every=10, walkers=1_000_000)
    assert found(result, "sd_relative_error_operator") < 0.01


def test_cells_are_divided_where_they_change_a_spread() -> None:
    rough = plane(losses=PLANE_PAIR, temperature=0.1, walkers=0, steps=20)
    assert found(rough, "cells_followed") > 32
    assert curve(rough, "density").shape[1:] == (32, 32)
    smooth = plane(losses=bowls(1, 2, 0.5), temperature=0.1, walkers=0)
    assert found(smooth, "cells_followed") == 32
    assert found(smooth, "sd_grid_error_operator") < 1e-12


def test_gradients_that_jump_agree_with_the_walkers_within_what_cells_are_said_to_add() -> None:
    """Cells as narrow as a part of a kick would have to be: the mean is off by many of the walkers' standard errors."""
    kinks = ["abs(W1)+W2^2", "W1^2+abs(W2-0.5)"]
    start = {"initial_mean": [0.3, 0.1], "initial_sd": [0.1, 0.3]}
    result = plane(
        losses=kinks, temperature=0.1, walkers=200_000, cells=64, steps=30, output_every=30, **start
    )
    mean = result.findings["mean_error_operator"]
    assert mean.stderr is not None
    assert mean.value > 6 * mean.stderr
    for name in ("mean_z_operator", "sd_z_operator"):
        assert found(result, name) < 4.5
        assert "The cells' own error dominates" in result.findings[name].text
    # The mean is what asks for finer cells here, and for more than there are.
    assert found(result, "cells_followed") == 256
    assert found(result, "sd_grid_error_operator") < 0.05
    assert any("change a mean by" in sentence for sentence in result.warnings)


def test_a_law_that_has_contracted_asks_for_no_cells() -> None:
    result = plane(losses=["(W1-1)^2+W2^2", "2*(W1-1)^2+0.5*W2^2"], temperature=0.2, steps=60, walkers=0)
    assert (curve(result, "sd")[-1] < 1e-8).all()
    assert found(result, "cells_followed") == 32
    assert result.warnings == []


def test_a_law_that_ends_in_a_point() -> None:
    for losses in (["W1^2+W2^2"], ["W1^2+W2^2", "W1^2+W2^2"], PLANE_PAIR):
        result = plane(losses=losses, temperature=0.1, walkers=0)
        assert found(result, "circulation") == 0.0
        assert "point" in result.findings["circulation"].text
        assert np.isnan(found(result, "energy_defect"))


def test_two_datapoints_that_agree_on_a_line() -> None:
    """Both descend W2 alike: in the end the law lies on the axis of W1."""
    result = plane(losses=["(W1-1)^2+W2^2", "(W1+1)^2+W2^2"], temperature=0.1)
    assert found(result, "circulation") == 0.0
    assert "line" in result.findings["circulation"].text
    assert found(result, "noise_rank") == 1


def test_constant_losses_move_nothing() -> None:
    result = plane(losses=["1", "2"])
    np.testing.assert_allclose(curve(result, "mean"), np.array([[0.5, 0.0]] * 4), atol=1e-12)
    np.testing.assert_allclose(curve(result, "sd"), 0.175, rtol=1e-9)
    assert abs(found(result, "circulation")) < 1e-15
    assert found(result, "circulation_share") == 0.0
    assert found(result, "noise_rank") == 0


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        (["-W1^4", "-W2^4"], "has left the cells"),
        (["sqrt(W1)", "W1^2+W2^2"], "no finite place"),
        (["1e200*W1^2", "W2^2"], "no finite place"),
    ],
)
def test_what_diverges_or_is_undefined_is_counted_and_said(losses: list[str], words: str) -> None:
    result = plane(losses=losses, temperature=0.1, steps=5, output_every=1)
    assert any(words in sentence for sentence in result.warnings)
    assert found(result, "outside_operator") > 0.05
    assert found(result, "mass_error_operator") <= 1e-12
    assert np.isfinite(curve(result, "density")).all()
    for name, finding in result.findings.items():
        assert np.isfinite(finding.value) or "left" in finding.text, name


def test_cells_that_do_not_resolve_a_pole_are_warned_of() -> None:
    result = plane(losses=["1/W1", "W2^2+W1^2"], temperature=0.05, steps=6, walkers=0)
    assert any("do not resolve" in sentence for sentence in result.warnings)


def test_a_tail_that_diverges_takes_no_cells_from_what_stays() -> None:
    """A bent valley whose walls throw back what starts high up on them: only far tails ever get there."""
    valley = "100*(W2-W1^2)^2+(1-W1)^2"
    result = plane(losses=[valley, valley + "+W1"], temperature=0.001, initial_mean=[0.0, 0.5], cells=64)
    assert found(result, "outside_operator") < 1e-6
    assert found(result, "mean_z_operator") < 4.5
    assert found(result, "sd_z_operator") < 4.5
    assert np.ptp(curve(result, "w1")) < 4


def test_given_ends_hold_and_what_leaves_them_is_said() -> None:
    losses = bowls(1, 2, 0.0)
    result = plane(losses=losses, temperature=0.1, w1_min=-0.4, w1_max=0.7, w2_min=-0.3)
    side = np.diff(curve(result, "w1"))[0]
    assert curve(result, "w1")[[0, -1]] == pytest.approx([-0.4 + side / 2, 0.7 - side / 2])
    assert curve(result, "w2")[0] > -0.3
    assert any("has left the cells" in sentence for sentence in result.warnings)
    assert np.isnan(found(result, "mean_error_operator"))
    with pytest.raises(ExperimentError, match="hold only 0 of the initial law"):
        plane(losses=losses, w1_min=50.0)


def test_one_number_stands_for_both_axes() -> None:
    losses = bowls(1, 2, 0.5)
    one = plane(losses=losses, initial_mean=0.3, initial_sd=0.2, walkers=0)
    two = plane(losses=losses, initial_mean=[0.3, 0.3], initial_sd=[0.2, 0.2], walkers=0)
    assert np.array_equal(curve(one, "density"), curve(two, "density"))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"initial_mean": [0.1, 0.2, 0.3]}, "two numbers"),
        ({"initial_sd": [0.1]}, "two numbers"),
        ({"initial_sd": [0.1, 0.0]}, "above 0"),
        ({"steps": 0}, "at least 1"),
        ({"cells": 8}, "at least 16"),
        ({"w2_min": 1.0, "w2_max": 0.5}, "must be below w2_max"),
        ({"losses": ["W^2"]}, "not known"),
        ({"losses": []}, "losses"),
    ],
)
def test_what_cannot_be_asked_is_a_problem_of_the_form(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterErrors, match=words):
        PlaneParams.check(params)


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 0.1},
        {"losses": bowls(1, 2, 0.5), "walkers": 1},
        {"losses": ["-W1^4", "1"]},
        {"losses": bowls(1, 2, 0.5), "steps": 1},
    ],
)
def test_names_are_declared_and_figures_draw_what_is_there(params: dict[str, Any]) -> None:
    result = plane(**params)
    assert set(result.findings) <= set(PLANE.findings)
    assert set(result.arrays) <= set(PLANE.arrays)
    assert set(PLANE.headline) <= set(PLANE.findings)
    values = result.values()
    maps = 0
    for figure in result.figures:
        for layer in figure.layers:
            if isinstance(layer, Heatmap):
                maps += 1
                shape = resolve(layer.z, values).shape
                assert shape == (resolve(layer.y, values).size, resolve(layer.x, values).size)
            elif layer.kind == "line":
                assert resolve(layer.x, values).shape == resolve(layer.y, values).shape
    assert maps >= curve(result, "map_t").size


def test_the_maps_show_the_law_at_every_output() -> None:
    result = plane(losses=bowls(1, 2, 0.5), temperature=0.1, walkers=0)
    names = [figure.name for figure in result.figures]
    assert [name for name in names if name.startswith("density")] == [
        "density",
        "density-t0",
        "density-t4",
        "density-t8",
    ]
    assert list(curve(result, "map_t")) == [0, 4, 8, 12]
    # The one shown first is the last; those without a moment are not pictures over time.
    moments = {figure.name: figure.moment for figure in result.figures}
    assert {name: moments.pop(name) for name in names if name.startswith("density")} == {
        "density": 12, "density-t0": 0, "density-t4": 4, "density-t8": 8,
    }  # fmt: skip
    assert set(moments.values()) == {None}


def test_partial_results_follow_the_law() -> None:
    titles = []

    class Watching(Context):
        def partial(self, make: Any) -> None:
            titles.append(next(f.title for f in make().figures if f.name == "density"))

    params = {**FEW, "walkers": 0, "losses": bowls(1, 2, 0.5)}
    compute(PlaneParams.check(params), Watching("probability-current/plane"))
    assert titles == [f"Density of W1 and W2 at t = {t}" for t in (0, 4, 8, 12)]


@pytest.mark.parametrize("looks", [2, 60, 200])
def test_it_can_be_cancelled(looks: int) -> None:
    class Stopped(Context):
        seen = 0

        def check(self) -> None:
            self.seen += 1
            if self.seen > looks:
                raise CancelledError

    with pytest.raises(CancelledError):
        compute(PlaneParams.check(FEW), Stopped("probability-current/plane"))


def test_a_device_gives_the_same_law_and_one_without_room_leaves_it_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The device's step, in torch on the CPU here."""
    import torch

    from tui_opt.kernels import plane_torch

    params = PlaneParams.check({**FEW, "walkers": 0, "losses": bowls(1, 2, 0.5)})
    said: list[str] = []

    class OnDevice(Context):
        def message(self, text: str) -> None:
            said.append(text)

    def run(device: str) -> Result:
        return compute(params, OnDevice("probability-current/plane", device=device))

    step, moved = plane_torch.advance_on, []

    def on_torch_s_cpu(device: str, *rest: Any) -> None:
        moved.append(device)
        step("cpu", *rest)

    def no_room(device: str, *rest: Any) -> None:
        moved.append(device)
        raise torch.OutOfMemoryError

    monkeypatch.setattr(plane_torch, "advance_on", on_torch_s_cpu)
    plain, there = run("cpu"), run("cuda:0")
    assert set(moved) == {"cuda:0"}
    np.testing.assert_allclose(curve(there, "density"), curve(plain, "density"), atol=1e-7)
    np.testing.assert_allclose(curve(there, "sd"), curve(plain, "sd"), rtol=1e-11)
    moved.clear()
    monkeypatch.setattr(plane_torch, "advance_on", no_room)
    without = run("cuda:0")
    assert moved == ["cuda:0"]
    assert np.array_equal(curve(without, "density"), curve(plain, "density"))
    assert said == ["cuda:0 has no room for 32 x 32 cells: they are moved on the CPU."]


def test_the_declared_trial_run_is_small() -> None:
    result = tui_opt.run("probability-current", "plane", **PLANE.warm)
    assert found(result, "mass_error_operator") <= 1e-12


def test_the_estimate_grows_with_the_work() -> None:
    small, large = (PLANE.estimate(PlaneParams.check(p)) for p in ({}, {"steps": 600}))
    assert large.seconds > small.seconds > 0
    memory = PLANE.estimate(PlaneParams.check({"steps": 1_000_000, "output_every": 1})).bytes
    assert memory > 8 * 256**2 * 1_000_000


def test_the_estimate_counts_the_images_of_many_losses() -> None:
    few, many = (PlaneParams.check({"losses": ["W1^2", "W2^2"] * n, "cells": 1024}) for n in (1, 20))
    more = PLANE.estimate(many).bytes - PLANE.estimate(few).bytes
    assert more >= 38 * 2 * 8 * 1024**2
