"""fit: the runs of the thread to their digits, every optimizer from the same start, and endings told as they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tui_opt.errors import CancelledError
from tui_opt.experiments.cos_fit.fit import compute
from tui_opt.experiments.cos_fit.fit_params import FitParams
from tui_opt.figure import Rule, resolve
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context, Silent

UNIFORM = {"x_distribution": "uniform", "x_scale": 10.0}
TINY = {"samples": 300, "epochs": 2, "batch": 100, "surface": 5}


def fit(seed: int = 0, **params: Any) -> Result:
    given = {"surface": 5, **params}
    return compute(FitParams.check(given), Context("cos-fit/fit", seed=seed))


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def test_adam_of_the_thread_reaches_its_digits() -> None:
    result = fit(**UNIFORM, optimizer="adam", learning_rate=1e-3)
    assert value(result, "final_a") == pytest.approx(0.5829995, abs=3e-7)
    assert value(result, "final_b") == pytest.approx(0.112, abs=3e-7)
    assert 1e-12 < value(result, "final_loss") < 6e-12
    assert value(result, "converged") == 1.0
    # The float32 floor: an ulp of a is 6e-8, and every value is a float32.
    assert np.float32(value(result, "final_a")) == value(result, "final_a")


def test_adam_in_double_precision_goes_on_below_the_floor() -> None:
    result = fit(**UNIFORM, optimizer="adam", learning_rate=1e-3, precision="float64")
    assert value(result, "final_loss") < 1e-21


@pytest.mark.slow
def test_sgd_of_the_thread_lies_within_two_deviations() -> None:
    """Post: a = 0.5868821, b = 0.0258954, loss 0.0027335 after 50 epochs."""
    result = fit(**UNIFORM, epochs=50, seeds=8)
    for name, stated in (("a", 0.5868821144), ("b", 0.0258953553), ("loss", 0.0027335386)):
        mean, sd = value(result, f"final_{name}"), value(result, f"sd_{name}")
        assert abs(stated - mean) < 2.5 * sd, name
        assert result.findings[f"final_{name}"].stderr == pytest.approx(sd / math.sqrt(8))
    assert value(result, "converged") == 0.0


def test_sgd_of_the_thread_is_slow_not_stuck() -> None:
    result = fit(**UNIFORM, epochs=50)
    assert value(result, "final_a") == pytest.approx(0.58701, abs=4e-4)
    assert value(result, "final_b") == pytest.approx(0.0258, abs=5e-4)
    assert value(result, "converged") == 0.0
    text = result.findings["converged"].text
    assert "still on its way" in text
    assert "b is" in text
    # The curvature by b is E x2^2 e^(2 b x2) 2, and a's is 59 times as large.
    b = 0.112
    exact = 2 * sum((2 * b) ** (2 * k) / math.factorial(2 * k) / (2 * k + 3) for k in range(8))
    assert value(result, "curvature_b") == pytest.approx(exact, rel=0.05)
    assert value(result, "time_constant_b") == pytest.approx(
        1 / (1e-4 * value(result, "curvature_b")), rel=1e-3
    )
    assert 50 < value(result, "condition_number") < 65


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "lbfgs", "least-squares"])
def test_every_optimizer_from_the_same_start(optimizer: str) -> None:
    rates = {"sgd": 0.02, "momentum": 0.01, "adam": 0.01}
    # Ten times the samples per update in b would do as well: these rates are the largest that settle.
    result = fit(
        optimizer=optimizer, samples=2000, learning_rate=rates.get(optimizer, 1.0), epochs=80, batch=100
    )
    path = result.arrays["parameters"].values
    assert result.arrays["parameters"].dims == ("step", "name")
    np.testing.assert_array_equal(path[0], [0.7, 0.02])
    assert len(path) == len(result.arrays["loss"].values) == len(result.arrays["step"].values)
    assert value(result, "final_a") == pytest.approx(0.583, abs=1e-4)
    assert value(result, "final_b") == pytest.approx(0.112, abs=1e-3)
    assert value(result, "converged") == 1.0
    assert value(result, "final_loss_all") < 1e-6
    assert not result.warnings


def test_the_first_loss_is_that_of_the_start() -> None:
    result = fit(**TINY)
    loss = result.arrays["loss"].values
    whole = fit(**{**TINY, "batch": 300, "precision": "float64"}).arrays["loss"].values
    assert whole[0] == pytest.approx(
        whole[1], rel=1e-12
    )  # the first batch is all samples, before the first update
    assert loss[0] == pytest.approx(whole[0])
    np.testing.assert_array_equal(result.arrays["epoch_loss"].values, loss[::3])
    np.testing.assert_array_equal(result.arrays["epoch"].values, [0, 1, 2])


def test_wide_x_is_stuck_behind_a_ridge() -> None:
    result = fit(x_scale=500.0)
    assert "ridge" in result.findings["converged"].text
    assert value(result, "final_loss") > 0.8
    assert any("ridge" in w for w in result.warnings)


def test_exponentials_are_thrown_out() -> None:
    """`Should be an easy minimization problem`: at the start the step is a thousand times too large."""
    result = fit(**UNIFORM, model="exp+exp")
    assert value(result, "final_a") < -50
    assert "thrown" in result.findings["converged"].text
    assert value(result, "stable_learning_rate") < 2e-6
    narrow = fit(
        model="exp+exp",
        x_distribution="uniform",
        x_scale=1.0,
        learning_rate=0.05,
        epochs=100,
        batch=100,
        samples=2000,
    )
    assert value(narrow, "converged") == 1.0


def test_roots_slow_exact_and_out_of_the_numbers() -> None:
    roots = {**UNIFORM, "model": "sqrt+exp"}
    slow = fit(**roots)
    assert value(slow, "final_a") == pytest.approx(0.6765, abs=2e-3)
    assert "still on its way" in slow.findings["converged"].text
    assert fit(**roots, learning_rate=0.1).findings["error_a"].value == pytest.approx(0, abs=1e-6)
    lost = fit(**roots, learning_rate=1.0)
    assert math.isnan(value(lost, "final_a"))
    text = lost.findings["converged"].text
    assert "left the numbers" in text
    assert "root of a negative" in text
    assert value(lost, "least_a") < 0
    thrown = fit(**roots, learning_rate=0.1, start=[1e-4, 0.02])
    assert value(thrown, "most_a") > 20


def test_roots_of_a_normal_law_leave_rows_out_and_say_so() -> None:
    result = fit(model="sqrt+exp", **{**TINY, "samples": 400})
    assert any("left out" in w for w in result.warnings)
    repeated = fit(model="sqrt+exp", seeds=3, **{**TINY, "samples": 400})
    assert repeated.arrays["final_parameters"].values.shape == (3, 2)


def test_seeds_repeat_with_samples_of_their_own() -> None:
    one, three = fit(**TINY), fit(**TINY, seeds=3)
    np.testing.assert_allclose(three.arrays["parameters"].values, one.arrays["parameters"].values, rtol=1e-6)
    ends = three.arrays["final_parameters"].values
    assert np.unique(ends[:, 0]).size == 3
    assert value(three, "final_a") == pytest.approx(ends[:, 0].mean())
    again = fit(**TINY, seeds=3)
    np.testing.assert_array_equal(again.arrays["final_parameters"].values, ends)


def test_noise_moves_the_target_to_the_samples_own_minimum() -> None:
    result = fit(optimizer="least-squares", noise=1.0, samples=500)
    assert value(result, "converged") == 1.0
    assert abs(value(result, "final_b") - 0.112) > 1e-3


def test_equations_and_one_parameter() -> None:
    own = fit(
        optimizer="least-squares",
        model="y = A*cos(a*x1+p)+exp(b*x2)",
        true_values={"A": 1.5, "p": 0.3},
        start=[1.0, 0.7, 0.0, 0.0],
    )
    np.testing.assert_allclose(own.arrays["parameters"].values[-1], [1.5, 0.583, 0.3, 0.112], atol=1e-8)
    named = fit(**TINY, precision="float64")
    text = fit(**TINY, precision="float64", model="y = cos(a*x1) + exp(b*x2)")
    np.testing.assert_allclose(
        text.arrays["parameters"].values, named.arrays["parameters"].values, rtol=1e-12
    )
    single = fit(optimizer="lbfgs", model="cos")
    assert single.arrays["parameters"].values.shape[1] == 1
    assert value(single, "final_a") == pytest.approx(0.583, abs=1e-8)
    assert {figure.name for figure in single.figures} == {"surface", "loss", "parameters"}


def test_the_map_is_the_loss_and_the_path_lies_on_it() -> None:
    result = fit(**{**TINY, "surface": 7})
    a, b = result.arrays["surface_a"].values, result.arrays["surface_b"].values
    loss = result.arrays["surface_loss"].values
    assert loss.shape == (7, 7)
    assert a[0] < 0.583 < 0.7 < a[-1]
    assert b[0] < 0.02 < 0.112 < b[-1]
    least = np.unravel_index(np.argmin(loss), loss.shape)
    assert abs(a[least[1]] - 0.583) <= a[1] - a[0]
    for figure in result.figures:
        for layer in figure.layers:
            if not isinstance(layer, Rule):
                assert resolve(layer.x, result.values()).size >= 1


def test_what_goes_wrong_is_said() -> None:
    for params, what in (
        ({"start": [0.7]}, "values for 2 parameters"),
        (
            {"model": "y = A*cos(a*x1)", "true_values": {"A": 1.0}, "start": [0.7, 0.1, 0.2]},
            "values for 2 parameters",
        ),
        ({"optimizer": "newton"}, "optimizer"),
        ({"learning_rate": 0.0}, "above 0"),
    ):
        with pytest.raises(ParameterErrors, match=what):
            fit(**params)


def test_partial_results_and_cancelling() -> None:
    class Kept(Silent):
        results: list[Result] = []  # noqa: RUF012

        def partial(self, result: Result) -> None:
            self.results.append(result)

    compute(FitParams.check(TINY), Context("cos-fit/fit", recorder=Kept()))
    assert Kept.results
    assert "parameters" in Kept.results[0].arrays
    stopped = Context("cos-fit/fit")
    stopped.cancel()
    for optimizer in ("sgd", "lbfgs"):
        with pytest.raises(CancelledError):
            compute(FitParams.check({**TINY, "optimizer": optimizer}), stopped)
