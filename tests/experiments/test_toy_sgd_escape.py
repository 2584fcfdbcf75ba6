"""escape: the exact chain against all sequences, independent programs and Monte Carlo, and what cannot be answered."""

from __future__ import annotations

import itertools
import math
from functools import cache
from typing import Any

import numpy as np
import pytest

import tui_opt
from tui_opt.errors import ExperimentError
from tui_opt.experiments.toy_sgd.escape import compute
from tui_opt.experiments.toy_sgd.params import EscapeParams
from tui_opt.figure import resolve
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.runner.in_memory import run_in_memory
from tui_opt.scenario_file import check_document

WELL = "-exp(-(W-2)^2)"
PAIR = (WELL, "-exp(-(W-2)^2)-exp(-100*(W-1)^2)")
LOST_AT_HALF = 1 / 32

# P within 100, 1000, 10000 steps by an independent program with 8000 cells.
OPERATOR = {
    0.01: (1.828e-5, 2.539e-4, 2.607e-3),
    0.012: (9.414e-4, 0.012302, 0.11904),
    0.014: (0.012909, 0.14632, 0.80017),
    0.015: (0.032653, 0.32482, 0.98147),
    0.02: (0.49722, 0.99946, 1.0),
    0.025: (0.96499, 1.0, 1.0),
}
HOT = {0.05: 0.999999, 0.1: 0.99991, 0.2: 0.9558, 0.5: 0.96875}
MEAN_STEPS = {
    0.005: 8.64e12, 0.006: 8.63e10, 0.007: 3.083e9, 0.009: 2.823e7, 0.01: 3.819e6, 0.011: 4.878e5, 0.013: 1.901e4,
    0.014: 6217, 0.015: 2520, 0.02: 141.6, 0.025: 34.35, 0.03: 14.3, 0.05: 9.43, 0.07: 11.1,
}  # fmt: skip
# Independent Monte Carlo: mean and standard error.
MEAN_STEPS_SAMPLED = {0.02: (141.49, 0.29), 0.025: (34.36, 0.05), 0.03: (14.309, 0.015), 0.05: (9.425, 0.012)}


def escape(**params: object) -> Result:
    return tui_opt.run("toy-sgd", "escape", **params)


@cache
def cold() -> Result:
    return escape(temperature=list(OPERATOR), method="operator")


@cache
def both() -> Result:
    return escape(temperature=[0.0125, 0.02, 0.05, 0.2, 0.5], steps=[100, 600], walkers=40_000, cells=2000)


def element(result: Result, name: str, *index: int) -> float:
    return float(result.arrays[name].values[index])


def test_default_cells_agree_with_an_independent_program() -> None:
    np.testing.assert_allclose(cold().arrays["escape_operator"].values, list(OPERATOR.values()), rtol=0.005)


def test_hot_walkers_agree_with_an_independent_program() -> None:
    result = escape(temperature=list(HOT), steps=[100], method="operator")
    np.testing.assert_allclose(result.arrays["escape_operator"].values[:, 0], list(HOT.values()), atol=3e-3)


def test_mass_is_kept_and_nothing_is_negative() -> None:
    for result in (cold(), both()):
        assert result.findings["mass_error"].value <= 1e-12
        assert result.findings["min_mass"].value >= 0
        values = result.arrays["escape_operator"].values
        assert values.min() >= 0
        assert values.max() <= 1 + 1e-12
        assert np.all(np.diff(values, axis=1) >= -1e-15)


@pytest.mark.parametrize(
    ("temperature", "probability", "tolerance"),
    [
        (0.02, 0.07712173461914062, 1e-12),
        (0.2, 0.9468994140625, 1e-12),
        (0.5, 0.96875, 1e-12),
        # On these a difference of 1e-14 in an exponential flips a few of the 2^20 sequences.
        (0.03, 0.8061933517456055, 5e-6),
        (0.05, 0.919525146484375, 5e-6),
        (0.1, 0.7345209121704102, 5e-6),
    ],
)
def test_twenty_steps_are_exact(temperature: float, probability: float, tolerance: float) -> None:
    result = escape(temperature=temperature, steps=[20], method="operator", cells=500)
    assert result.findings["escape_probability"].value == pytest.approx(probability, abs=tolerance)


def test_three_datapoints_are_counted_over_all_their_sequences() -> None:
    steps, temperature, start, barrier = 7, 0.04, 1.04, 1.12
    losses = ["(W^2-1)^2", "(W^2-1)^2-0.2*exp(-100*(W-1)^2)", "(W^2-1)^2-0.5*exp(-100*(W-1)^2)"]

    def gradient(w: float, depth: float) -> float:
        return 4 * w * (w * w - 1) + 200 * depth * (w - 1) * math.exp(-100 * (w - 1) ** 2)

    escaped = 0
    for draws in itertools.product((0.0, 0.2, 0.5), repeat=steps):
        w = start
        for depth in draws:
            w -= temperature * gradient(w, depth)
            if w > barrier:
                escaped += 1
                break
    result = escape(
        losses=losses,
        start=start,
        barrier=barrier,
        temperature=temperature,
        steps=[steps],
        cells=200,
        walkers=30_000,
    )
    assert 0 < escaped < 3**steps
    assert result.findings["escape_probability"].value == pytest.approx(escaped / 3**steps, abs=1e-12)
    assert abs(result.findings["monte_carlo_z"].value) < 4


def test_monte_carlo_agrees_with_the_exact_chain() -> None:
    result = both()
    exact, share = (result.arrays[n].values for n in ("escape_operator", "escape_monte_carlo"))
    error = np.sqrt(np.clip(exact * (1 - exact), 0, None) / 40_000)
    assert np.all(np.abs(share - exact) <= 4 * error + 1e-9)
    sure = error > 2e-4
    np.testing.assert_allclose(result.arrays["escape_stderr"].values[sure], error[sure], rtol=0.2)


def test_sampled_mean_steps_agree_with_the_linear_algebra() -> None:
    result = escape(temperature=0.05, steps=[2000], walkers=40_000)
    sampled = result.findings["mean_escape_steps_monte_carlo"]
    assert sampled.stderr is not None
    assert abs(sampled.value - result.findings["mean_escape_steps"].value) < 4 * sampled.stderr + 0.02


@pytest.mark.parametrize(
    "temperatures",
    [[0.005, 0.02, 0.05], pytest.param(list(MEAN_STEPS), marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_mean_steps_agree_with_an_independent_program(temperatures: list[float]) -> None:
    result = escape(temperature=temperatures, steps=[1], method="operator")
    for temperature, found in zip(temperatures, result.arrays["mean_escape_steps"].values, strict=True):
        relative = 0.005 if temperature <= 0.025 else 0.03
        assert found == pytest.approx(MEAN_STEPS[temperature], rel=relative), temperature
        if temperature in MEAN_STEPS_SAMPLED:
            mean, stderr = MEAN_STEPS_SAMPLED[temperature]
            assert abs(found - mean) < 4 * stderr + 0.001 * mean, temperature


def test_halving_the_cells_bounds_the_error() -> None:
    errors = []
    for cells in (250, 500, 1000):
        findings = escape(temperature=0.015, steps=[1000], method="operator", cells=cells).findings
        errors.append(abs(findings["escape_probability"].value - 0.32481))
        assert errors[-1] < findings["grid_error"].value + 1e-5
    assert errors[0] > 4 * errors[2]


def test_the_barrier_is_the_maximum_of_the_pits_own_datapoint() -> None:
    for temperature in (0.005, 0.05, 0.5):
        findings = escape(temperature=temperature, steps=[1], method="operator", cells=100).findings
        assert findings["barrier_w"].value == pytest.approx(1.1959565137, abs=1e-9)
        assert findings["start_w"].value == pytest.approx(1.0074533029, abs=1e-9)


def test_counting_at_the_maximum_of_the_mean_loss_counts_walkers_that_come_back() -> None:
    at_top = escape(temperature=0.02, steps=[100], barrier=1.1743101791, method="operator")
    assert at_top.findings["escape_probability"].value == pytest.approx(0.585, abs=1e-3)


@pytest.mark.parametrize("scale", [4.0, 0.5])
def test_scaling_w_scales_temperature_by_its_square(scale: float) -> None:
    plain = escape(temperature=0.02, steps=[50, 200], method="operator", cells=1000)
    scaled = escape(
        losses=[text.replace("W", f"(W/{scale})") for text in PAIR],
        temperature=0.02 * scale**2,
        steps=[50, 200],
        method="operator",
        cells=1000,
        w_min=-10 * scale,
        w_max=10 * scale,
    )
    for name in ("escape_operator", "mean_escape_steps"):
        np.testing.assert_allclose(scaled.arrays[name].values, plain.arrays[name].values, rtol=1e-6)
    assert scaled.findings["barrier_w"].value == pytest.approx(
        scale * plain.findings["barrier_w"].value, abs=1e-9
    )


def test_a_pit_on_the_other_side_is_left_to_the_left() -> None:
    mirrored = [text.replace("W", "(-W)") for text in PAIR]
    plain, other = (
        escape(losses=losses, temperature=0.02, steps=[100], walkers=20_000, cells=1000)
        for losses in (PAIR, mirrored)
    )
    assert other.findings["barrier_w"].value == pytest.approx(-plain.findings["barrier_w"].value, abs=1e-9)
    exact = plain.findings["escape_probability"].value
    assert other.findings["escape_probability"].value == pytest.approx(exact, rel=1e-6)
    assert abs(other.findings["monte_carlo_z"].value) < 4


# --- where there is no answer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"losses": [WELL]}, "There is no pit to escape from: the mean loss has a single minimum, at W = 2,"),
        ({"temperature": 3.0}, "There is no barrier at temperature 3"),
        ({"temperature": [3.0, 4.0]}, "There is no barrier at temperature 3"),
        ({"start": 1.5}, "lies beyond the barrier"),
    ],
)
def test_questions_without_an_answer_are_refused_in_words(params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ExperimentError, match=sentence):
        escape(**{"temperature": 0.02, "steps": [10], "cells": 100, "walkers": 100} | params)


def test_a_temperature_without_a_barrier_is_left_out_with_its_reason() -> None:
    result = escape(temperature=[0.02, 3.0], steps=[100], walkers=1000, cells=500)
    assert np.isnan(result.arrays["escape_operator"].values[1]).all()
    assert np.isnan(result.arrays["escape_monte_carlo"].values[1]).all()
    assert np.isfinite(result.arrays["escape_operator"].values[0]).all()
    assert any(text.startswith("T = 3 is left out. There is no barrier") for text in result.warnings)


def test_walkers_lost_to_the_plateau_are_reported() -> None:
    result = escape(temperature=0.5, steps=[100], walkers=20_000)
    findings = result.findings
    assert findings["escape_probability"].value == pytest.approx(1 - LOST_AT_HALF, abs=1e-12)
    assert findings["lost_probability"].value == pytest.approx(LOST_AT_HALF, abs=1e-12)
    assert findings["mean_escape_steps"].value == math.inf
    assert "never escapes" in findings["mean_escape_steps"].text
    assert any("fraction 0.0312 of the walkers never escapes" in text for text in result.warnings)


def test_every_walker_lost() -> None:
    """Where no datapoint ever pushes outward nothing escapes, and both methods say so."""
    result = escape(
        losses=["W^2", "2*W^2"], start=1.0, barrier=2.0, temperature=0.1, steps=[50], walkers=500, cells=200
    )
    assert result.findings["escape_probability"].value == 0
    assert result.findings["escape_probability_monte_carlo"].value == 0
    assert not math.isfinite(result.findings["mean_escape_steps"].value)
    assert result.findings["mean_escape_steps"].text


def test_walkers_that_diverge_are_lost_not_escaped() -> None:
    result = escape(
        losses=["-W^4", "-2*W^4"],
        start=-1.0,
        barrier=1.0,
        temperature=0.5,
        steps=[50],
        walkers=500,
        cells=200,
    )
    assert result.findings["escape_probability"].value == 0
    assert result.findings["escape_probability_monte_carlo"].value == 0
    assert result.findings["lost_probability"].value == pytest.approx(1)


# --- one answer however it is computed ------------------------------------------------------------------------------

DOCUMENT = {
    "scenario": "toy-sgd",
    "experiment": "escape",
    "seed": 5,
    "params": {"temperature": [0.015, 0.02, 0.05], "steps": [50, 300], "walkers": 9000, "cells": 500},
}


def test_results_do_not_depend_on_threads() -> None:
    one, two = (run_in_memory(check_document(DOCUMENT, "test"), threads) for threads in (1, 2))
    assert set(one.arrays) == set(two.arrays)
    for name, array in one.arrays.items():
        assert array.values.tobytes() == two.arrays[name].values.tobytes(), name
    assert one.document() == two.document()


class Kept:
    """A recorder whose checkpoint is a dict."""

    def __init__(self, pieces: dict[str, Any] | None = None) -> None:
        self.pieces = dict(pieces or {})

    def message(self, text: str) -> None:
        """Not looked at."""

    def partial(self, result: Result) -> None:
        """Not looked at."""

    def load_checkpoint(self) -> dict[str, Any]:
        return dict(self.pieces)

    def save_checkpoint(self, arrays: dict[str, Any]) -> None:
        self.pieces = dict(arrays)


def test_a_run_goes_on_from_its_checkpoint_with_the_same_bits() -> None:
    params = EscapeParams.check(DOCUMENT["params"])

    def run(recorder: Kept) -> tuple[Result, Kept]:
        ctx = Context("toy-sgd/escape", seed=5, recorder=recorder)
        result = compute(params, ctx)
        ctx.checkpoint.flush()
        return result, recorder

    whole, recorder = run(Kept())
    assert len(recorder.pieces) >= 6
    half = {key: recorder.pieces[key] for key in sorted(recorder.pieces)[::2]}
    again, _ = run(Kept(half))
    for name, array in whole.arrays.items():
        assert array.values.tobytes() == again.arrays[name].values.tobytes(), name
    # The kept pieces are really used: a falsified one shows.
    key = next(k for k in half if k.startswith("walkers"))
    falsified, _ = run(Kept({**half, key: half[key] * 0}))
    sampled = "escape_monte_carlo"
    assert not np.array_equal(falsified.arrays[sampled].values, whole.arrays[sampled].values)


def test_a_walker_does_not_depend_on_how_many_others_there_are() -> None:
    few, many = (
        escape(temperature=0.02, steps=[100], walkers=n, method="monte-carlo").findings["escape_probability"]
        for n in (4096, 8192)
    )
    assert few.value * 4096 <= many.value * 8192 <= few.value * 4096 + 4096


@pytest.mark.parametrize("method", ["operator", "monte-carlo", "both"])
@pytest.mark.parametrize("temperature", [0.02, [0.02], [0.015, 0.02, 3.0]])
@pytest.mark.parametrize("steps", [1, [10, 100], list(range(1, 12))])
def test_figures_draw_arrays_that_are_there(method: str, temperature: Any, steps: Any) -> None:
    result = escape(temperature=temperature, steps=steps, method=method, walkers=200, cells=64)
    expected = {"operator": {"escape_operator"}, "monte-carlo": {"escape_monte_carlo", "escape_stderr"}}
    wanted = set.union(*expected.values()) if method == "both" else expected[method]
    assert wanted <= set(result.arrays)
    assert any(figure.name == "probability" for figure in result.figures)
    for figure in result.figures:
        for layer in figure.layers:
            if layer.kind != "rule":
                assert resolve(layer.x, result.values()).shape == resolve(layer.y, result.values()).shape


@pytest.mark.slow
def test_a_million_walkers_agree_with_the_exact_chain() -> None:
    result = escape(temperature=[0.0125, 0.015, 0.02, 0.025, 0.1], steps=[100], walkers=1_000_000, cells=8000)
    exact, share = (result.arrays[n].values for n in ("escape_operator", "escape_monte_carlo"))
    error = np.sqrt(exact * (1 - exact) / 1_000_000)
    assert np.all(np.abs(share - exact) < 4 * error + 1e-4 * exact)
