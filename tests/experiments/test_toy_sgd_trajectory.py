"""trajectory: iterates to 1e-9, what they tend to, and how they scale."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tui_opt
from tui_opt.figure import resolve
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.runner.in_memory import run_in_memory
from tui_opt.scenario_file import check_document

WELL = "-exp(-(W-2)^2)"
PIT = "-exp(-(W-2)^2)-exp(-100*(W-1)^2)"
PAIR = [WELL, PIT]

# Iterates from W = 0 by an independent program.
PATHS = {
    1.0: "0 .07326255555 .1673677653 .2948675741 .4811136236 .7835479208 1.337503936 2.191785434 1.822066624 "
    "2.166843021 1.84231757",
    0.2: "0 .01465251111 .03007233353 .04633458173 .06352519149 .08174299033 .1011022639 .1217359608 "
    ".1437997268 .1674770231 .1929856774",
    0.5: "0 .03663127778 .07821048739 .1260445091 .1819743201 .2486799281 .3302125424 .4329587016 .56742669 "
    ".7514313963 1.014083275 1.387068983 1.808041674",
}


def trajectory(**params: object) -> Result:
    return tui_opt.run("toy-sgd", "trajectory", **params)


@pytest.mark.parametrize("temperature", PATHS)
def test_iterates_are_those_of_an_independent_program(temperature: float) -> None:
    expected = np.array(PATHS[temperature].split(), dtype=float)
    path = trajectory(temperature=temperature).arrays["w"].values[0]
    np.testing.assert_allclose(path[: expected.size], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("temperature", "tolerance", "steps"),
    [
        (0.2, 1e-2, 35),
        (0.2, 1e-3, 40),
        (0.2, 1e-6, 53),
        (0.2, 1e-10, 71),
        (0.5, 1e-2, 13),
        (0.5, 1e-3, 14),
        (0.5, 1e-6, 14),
        (0.5, 1e-10, 15),
        (1.0, 1e-2, 2497),
    ],
)
def test_steps_to_tolerance(temperature: float, tolerance: float, steps: int) -> None:
    result = trajectory(temperature=temperature, tolerance=tolerance, steps=2600)
    assert result.findings["steps_to_tolerance"].value == steps


def test_the_multiplier_is_that_of_the_minimum_reached() -> None:
    for temperature in (0.2, 0.5, 1.0):
        findings = trajectory(temperature=temperature).findings
        assert findings["multiplier"].value == pytest.approx(1 - 2 * temperature, abs=1e-12)
        assert findings["optimal_temperature"].value == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("steps", [100, 1000, 10_000])
def test_at_temperature_one_the_distance_falls_like_half_the_inverse_root_of_n(steps: int) -> None:
    distance = abs(trajectory(temperature=1.0, steps=steps).findings["final_w"].value - 2)
    assert distance * 2 * math.sqrt(steps) == pytest.approx(
        {100: 0.9925, 1000: 0.9985, 10_000: 0.99978}[steps], abs=1e-4
    )


def test_above_temperature_one_the_path_ends_on_the_known_cycle() -> None:
    result = trajectory(temperature=1.05, steps=1000)
    assert result.findings["period"].value == 2
    half = math.sqrt(math.log(1.05))
    assert sorted(result.arrays["w"].values[0, -2:]) == pytest.approx([2 - half, 2 + half], abs=1e-9)


@pytest.mark.parametrize(("temperature", "period"), [(0.02, 1), (0.0225, 2), (0.025, 2), (0.03, 4)])
def test_descent_into_the_pit_rests_or_cycles(temperature: float, period: int) -> None:
    result = trajectory(losses=PAIR, temperature=temperature, steps=2000)
    assert result.findings["period"].value == period
    ends = {0.02: (1.0074533029,), 0.0225: (0.98098, 1.03849), 0.025: (0.97250, 1.05412)}
    if temperature in ends:
        last = np.unique(np.round(result.arrays["w"].values[0, -period:], 10))
        assert last == pytest.approx(ends[temperature], abs=1e-5)


def test_at_temperature_a_twentieth_descent_leaves_the_pit_and_below_the_crisis_it_does_not() -> None:
    left = trajectory(losses=PAIR, temperature=0.05, steps=400)
    path = left.arrays["w"].values[0]
    assert left.findings["final_w"].value == pytest.approx(2.0, abs=1e-9)
    inside = np.flatnonzero((path > 0.9) & (path < 1.18))
    assert 75 <= inside[0] <= 95
    assert inside.size > 10
    kept = trajectory(losses=PAIR, temperature=0.047, steps=3000)
    assert kept.arrays["w"].values[0, 500:].min() > 0.88
    assert kept.arrays["w"].values[0, 500:].max() < 1.1743101791
    assert math.isnan(kept.findings["period"].value)
    assert "chaotic" in kept.findings["period"].text


def test_leaps_to_the_plateau_reach_no_minimum() -> None:
    findings = trajectory(temperature=100.0, steps=50).findings
    assert findings["final_w"].value == pytest.approx(7.32625, abs=1e-4)
    assert math.isnan(findings["multiplier"].value)
    assert "reaches no minimum" in findings["multiplier"].text


@pytest.mark.parametrize("scale", [10.0, 0.25])
def test_scaling_w_scales_temperature_by_its_square_and_the_path_with_it(scale: float) -> None:
    plain = trajectory(losses=PAIR, start=[0.0, 1.3], temperature=0.02, steps=200)
    scaled = trajectory(
        losses=[text.replace("W", f"(W/{scale})") for text in PAIR],
        start=[0.0, 1.3 * scale],
        temperature=0.02 * scale**2,
        steps=200,
    )
    np.testing.assert_allclose(
        scaled.arrays["w"].values, scale * plain.arrays["w"].values, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("method", ["gd", "newton"])
def test_scaling_the_loss(method: str) -> None:
    plain = trajectory(losses=[WELL], start=[2.3], method=method, temperature=0.5, steps=10)
    temperature = 0.5 / 4 if method == "gd" else 0.5
    scaled = trajectory(losses=[f"4*({WELL})"], start=[2.3], method=method, temperature=temperature, steps=10)
    np.testing.assert_allclose(scaled.arrays["w"].values, plain.arrays["w"].values, rtol=0, atol=1e-12)


def test_newtons_method_is_its_closed_form_and_its_factor_ignores_units() -> None:
    plain = trajectory(losses=[WELL], start=[2.3], method="newton", temperature=1.0, steps=4)
    x = [0.3]
    for _ in range(4):
        x.append(-2 * x[-1] ** 3 / (1 - 2 * x[-1] ** 2))
    np.testing.assert_allclose(plain.arrays["w"].values[0], 2 + np.array(x), rtol=0, atol=1e-12)
    wide = trajectory(losses=["-exp(-(W/10-2)^2)"], start=[23.0], method="newton", temperature=1.0, steps=4)
    np.testing.assert_allclose(wide.arrays["w"].values, 10 * plain.arrays["w"].values, rtol=0, atol=1e-11)
    assert plain.findings["multiplier"].value == 0


def test_descent_tends_to_the_gradient_flow_at_first_order() -> None:
    flow = 0.08440626560209624  # of dW/dt = -L' from 0 at t = 1, by an ODE solver at 1e-12
    errors = [
        abs(trajectory(losses=PAIR, temperature=t, steps=round(1 / t)).findings["final_w"].value - flow)
        for t in (0.02, 0.01, 0.005)
    ]
    ratios = np.array(errors[:-1]) / errors[1:]
    assert ratios == pytest.approx([2.0, 2.0], abs=0.02)


def test_a_diverging_path_is_reported() -> None:
    result = trajectory(losses=["W^4"], start=[3.0], temperature=1.0, steps=20)
    assert any("leaves the finite numbers at step" in text for text in result.warnings)
    assert not math.isfinite(result.findings["final_w"].value)
    for figure in result.figures:
        for layer in figure.layers:
            resolve(layer.x, result.values())


def test_sgd_replicas_follow_the_two_maps_and_their_fair_mean() -> None:
    result = trajectory(losses=PAIR, start=[1.0, 1.3], method="sgd", temperature=0.02, steps=3, replicas=4000)
    w = result.arrays["w"].values
    assert w.shape == (2, 4, 4000)
    x = 1.3
    slope = 2 * (x - 2) * math.exp(-((x - 2) ** 2))
    images = [x - 0.02 * slope, x - 0.02 * (slope + 200 * (x - 1) * math.exp(-100 * (x - 1) ** 2))]
    assert np.abs(w[1, 1][:, None] - images).min(axis=1).max() < 1e-12
    share = np.mean(np.abs(w[1, 1] - images[0]) < np.abs(w[1, 1] - images[1]))
    assert abs(share - 0.5) < 4 * 0.5 / math.sqrt(4000)
    assert not np.array_equal(w[0, 2] - w[0, 1] > 0, w[1, 2] - w[1, 1] > 0)  # each start has draws of its own


def test_sgd_leaves_the_pit() -> None:
    result = trajectory(losses=PAIR, start=[1.0], method="sgd", temperature=0.05, steps=300, replicas=200)
    final = result.findings["final_w"]
    assert final.value == pytest.approx(2.0, abs=1e-4)
    assert final.stderr is not None
    assert math.isnan(result.findings["steps_to_tolerance"].value)


def test_seeds_choose_the_draws_and_threads_do_not() -> None:
    document = {
        "scenario": "toy-sgd",
        "experiment": "trajectory",
        "params": {"losses": PAIR, "start": [1.0], "method": "sgd", "temperature": 0.02, "replicas": 50},
    }
    one, two, other = (
        run_in_memory(check_document(document | {"seed": seed}, "test"), threads).arrays["w"].values
        for seed, threads in ((3, 1), (3, 2), (4, 1))
    )
    assert one.tobytes() == two.tobytes()
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("method", ["gd", "sgd", "newton"])
@pytest.mark.parametrize("start", [[2.2], [0.5, 2.2, 3.0]])
def test_figures_draw_arrays_that_are_there(method: str, start: list[float]) -> None:
    result = trajectory(losses=PAIR, start=start, method=method, temperature=0.05, steps=30, replicas=5)
    names = [figure.name for figure in result.figures]
    assert names == ["iterates", "landscape", "cobweb"][: 2 if method == "sgd" else 3]
    for figure in result.figures:
        for layer in figure.layers:
            x = resolve(layer.x, result.values())
            if layer.kind == "band":
                assert resolve(layer.low, result.values()).shape == x.shape
            else:
                assert resolve(layer.y, result.values()).shape == x.shape


@pytest.mark.parametrize(("temperature", "steps"), [(1e-3, 100), (1e-5, 20)])
def test_a_slow_path_is_on_its_way_to_the_minimum_downhill(temperature: float, steps: int) -> None:
    findings = trajectory(losses=PAIR, start=[0.0], temperature=temperature, steps=steps).findings
    assert math.isnan(findings["period"].value)
    assert "still on its way" in findings["period"].text
    curvature = 97.61656  # L'' at the pit
    assert findings["multiplier"].value == pytest.approx(1 - temperature * curvature, abs=1e-7)
    assert findings["optimal_temperature"].value == pytest.approx(1 / curvature, rel=1e-6)


@pytest.mark.parametrize(
    "loss", ["(W-0.1)^4", *(pytest.param(loss, marks=pytest.mark.slow) for loss in ("W^4", "W^6"))]
)
def test_a_minimum_without_curvature_has_no_optimal_temperature(loss: str) -> None:
    gd = trajectory(losses=[loss], start=[0.9], temperature=0.05, steps=200).findings
    assert gd["multiplier"].value == 1.0
    assert "more slowly than by any constant factor" in gd["multiplier"].text
    assert math.isnan(gd["optimal_temperature"].value)
    assert "curvature vanishes" in gd["optimal_temperature"].text
    newton = trajectory(losses=[loss], start=[0.9], method="newton", temperature=1.0, steps=20).findings
    assert math.isnan(newton["multiplier"].value)
    assert "order of the minimum" in newton["multiplier"].text


def test_newton_falls_by_its_order_at_a_quartic() -> None:
    path = trajectory(losses=["W^4"], start=[0.9], method="newton", temperature=1.0, steps=10)
    w = path.arrays["w"].values[0]
    np.testing.assert_allclose(w[1:] / w[:-1], 1 - 1 / 3, rtol=1e-12)


def test_a_kink_has_no_multiplier() -> None:
    findings = trajectory(losses=["abs(W-0.3)"], start=[1.0], temperature=0.011, steps=200).findings
    assert math.isnan(findings["multiplier"].value)
    assert "is a kink" in findings["multiplier"].text


def test_a_path_that_only_passes_by_the_minimum_has_not_reached_it() -> None:
    steps = trajectory(temperature=1.155, tolerance=0.01, steps=6).findings["steps_to_tolerance"]
    assert math.isnan(steps.value)
    assert "at step 6 but leaves again" in steps.text


def test_replicas_at_different_minima_have_no_common_multiplier() -> None:
    result = trajectory(losses=PAIR, start=[1.0], method="sgd", temperature=0.005, steps=20, replicas=400)
    assert result.findings["multiplier"].text.endswith("W = 1.00745 in one step, 1 - T L''")
    mixed = trajectory(losses=PAIR, start=[1.0, 1.3], method="sgd", temperature=0.035, steps=25, replicas=400)
    final = mixed.arrays["w"].values[0, -1]
    # The maximum between the two minima.
    left = float(np.mean(final < 1.1743101791))
    assert 0.05 < left < 0.95
    for name in ("multiplier", "optimal_temperature", "steps_to_tolerance"):
        finding = mixed.findings[name]
        assert math.isnan(finding.value)
        assert f"{left:.4g} near W = 1.00745" in finding.text
        assert f"{1 - left:.4g} near W = 2" in finding.text


def test_many_replicas_are_walked_in_short_slices_with_a_check_before_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[int] = []
    check = Context.check

    def counting_walk(program: object, now: np.ndarray, part: np.ndarray, *rest: object) -> None:
        assert done.pop() == 0  # a check came before
        assert part.size - now.size <= 200_000
        part[:] = now

    def counting_check(ctx: Context) -> None:
        done[:] = [0]
        check(ctx)

    monkeypatch.setattr("tui_opt.experiments.toy_sgd.trajectory.walk", counting_walk)
    monkeypatch.setattr(Context, "check", counting_check)
    result = trajectory(losses=PAIR, start=[1.0], method="sgd", temperature=0.02, steps=10, replicas=50_000)
    assert result.findings["final_w"].value == 1.0
