"""controller: Op through training, what is kept on the way, and what it says about neurons."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tui_opt.errors import CancelledError
from tui_opt.experiments.thermostats.loops import CONTROLLER
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context, Silent

SMALL: dict[str, Any] = {
    "iterations": 30,
    "horizon": 30,
    "seeds": 3,
    "states": 8,
    "test_states": 8,
    "hidden": 6,
}


class Keeping(Silent):
    """Keeps checkpoints and partial results in memory."""

    def __init__(self) -> None:
        self.pieces: dict[str, NDArray[Any]] = {}
        self.partials: list[Result] = []

    def partial(self, result: Result) -> None:
        self.partials.append(result)

    def load_checkpoint(self) -> dict[str, NDArray[Any]]:
        return dict(self.pieces)

    def save_checkpoint(self, arrays: dict[str, NDArray[Any]]) -> None:
        self.pieces = dict(arrays)


def run(context: Context | None = None, **given: Any) -> Result:
    params = CONTROLLER.params.check({**SMALL, **given})
    result: Result = CONTROLLER.load_compute()(params, context or Context("thermostats/controller"))
    assert set(result.findings) == set(CONTROLLER.findings)
    assert set(result.arrays) <= set(CONTROLLER.arrays)
    return result


def value(result: Result, name: str) -> float:
    return result.findings[name].value


@pytest.fixture(scope="module")
def room() -> Result:
    return run()


def test_training_makes_op_positive(room: Result) -> None:
    assert room.arrays["op_median"].values.shape == (3, 31)
    assert value(room, "op_after") > 2.0 > value(room, "op_before")
    assert value(room, "loss_after") < value(room, "loss_before")
    assert value(room, "positive_op_fraction") == 1.0
    assert value(room, "difference_error") < 1e-4
    np.testing.assert_allclose(
        np.median(room.arrays["op"].values, axis=1), room.arrays["op_median"].values[:, -1], atol=1e-12
    )


def test_findings_are_medians_over_seeds_with_their_spread(room: Result) -> None:
    last = room.arrays["op_median"].values[:, -1]
    finding = room.findings["op_after"]
    assert finding.value == np.median(last)
    assert finding.stderr == pytest.approx(math.sqrt(math.pi / 2) * np.std(last, ddof=1) / math.sqrt(3))


def test_untrained_networks_have_either_sign(room: Result) -> None:
    finding = room.findings["untrained_positive_fraction"]
    assert 0.3 < finding.value < 0.7
    assert finding.stderr == pytest.approx(0.031, abs=0.002)


def test_neurons_are_ranked(room: Result) -> None:
    assert room.arrays["neuron_op"].values.shape == (3, 6)
    for name in ("neuron_rank_correlation", "neuron_rank_correlation_before", "weight_rank_correlation"):
        assert -1.0 <= value(room, name) <= 1.0
        assert room.findings[name].stderr is not None
    assert len(room.tables["neurons"].rows) == 18


def test_a_seed_is_the_same_among_few_and_many(room: Result) -> None:
    one = run(seeds=1)
    np.testing.assert_allclose(
        one.arrays["op_median"].values[0], room.arrays["op_median"].values[0], rtol=1e-6, atol=1e-6
    )
    assert one.findings["op_after"].stderr is None
    other = run(Context("thermostats/controller", seed=5), seeds=1)
    assert not np.allclose(one.arrays["op_median"].values, other.arrays["op_median"].values)


def test_the_pendulum_falls_without_control_and_not_with_it() -> None:
    result = run(plant="pendulum", iterations=40, horizon=60, seeds=1)
    alone = np.abs(result.arrays["course_alone"].values[:, -1])
    with_it = np.abs(result.arrays["course"].values[..., -1])
    assert np.median(alone) > 1.0 > 10 * np.median(with_it)
    assert value(result, "op_after") > 2.0


def test_a_run_that_was_stopped_goes_on() -> None:
    class Stopping(Context):
        calls = 0

        def check(self) -> None:
            self.calls += 1
            if self.calls > 2500:
                raise CancelledError
            super().check()

    recorder = Keeping()
    context = Stopping("thermostats/controller", recorder=recorder)
    with pytest.raises(CancelledError):
        run(context, seeds=1)
    context.checkpoint.flush()
    assert recorder.pieces["trainer"][0] == 25
    assert np.isnan(recorder.pieces["op"][0, -1])
    assert recorder.partials
    assert recorder.partials[0].figures
    resumed = run(Context("thermostats/controller", recorder=recorder), seeds=1)
    straight = run(seeds=1)
    for name in ("op_median", "loss", "neuron_op"):
        np.testing.assert_allclose(resumed.arrays[name].values, straight.arrays[name].values, rtol=1e-9)


def test_one_neuron_cannot_be_ranked() -> None:
    result = run(hidden=1, iterations=1, seeds=1)
    assert math.isnan(value(result, "neuron_rank_correlation"))
    assert "nothing to rank" in result.findings["neuron_rank_correlation"].text


def test_a_training_that_diverges_is_said() -> None:
    result = run(learning_rate=10.0, iterations=5, horizon=60, seeds=2)
    assert all(math.isfinite(f.value) or f.text for f in result.findings.values())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"plant": "rooms"}, "leaky-room"),
        ({"seeds": 0}, "at least 1"),
        ({"hidden": 512, "horizon": 5000, "states": 100, "seeds": 256}, "activations"),
        ({"learning_rate": 0.0}, "above 0"),
    ],
)
def test_wrong_parameters_are_sentences(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterErrors, match=said):
        run(**given)
