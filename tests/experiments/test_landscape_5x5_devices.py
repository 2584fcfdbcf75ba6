"""Chunks shared by several devices, with processors in their place: the same networks, whoever fails or is full."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tui_opt.device import Gpu
from tui_opt.errors import CancelledError, ExperimentError
from tui_opt.experiments.landscape_5x5 import train, training
from tui_opt.experiments.landscape_5x5.devices import devices_of, shared, workers_on
from tui_opt.experiments.landscape_5x5.params import TrainParams
from tui_opt.kernels.networks.batched import BatchedTrainer
from tui_opt.kernels.networks.lanes import unreported
from tui_opt.result import Result
from tui_opt.runner.context import Context, Silent

SMALL = {"layers": 2, "width": 3, "heights": [1.0], "models": 70, "steps": 20, "outputs": 3, "restarts": 1}
GPUS = [Gpu(k, "one", 80 << 30, free << 30) for k, free in enumerate((10, 40, 1, 70))]


def test_the_run_s_own_gpu_comes_first_then_those_with_most_memory() -> None:
    assert devices_of("cpu", "all", GPUS) == ["cpu"]
    assert devices_of("cuda:1", 1, GPUS) == ["cuda:1"]
    assert devices_of("cuda:1", "all", GPUS) == ["cuda:1", "cuda:3", "cuda:0"]  # the third is full
    assert devices_of("cuda:0", 2, GPUS) == ["cuda:0", "cuda:3"]
    assert devices_of("cuda:0", 9, GPUS[:1]) == ["cuda:0"]


def test_a_device_that_cannot_be_used_is_left_out_but_for_the_run_s_own() -> None:
    said: list[str] = []

    def make(device: str) -> str:
        if device == "b":
            raise RuntimeError("no driver\nand a trace")
        return device.upper()

    assert workers_on(["a", "b", "c"], make, said.append) == ["A", "C"]
    assert said == ["b is left out: no driver"]
    with pytest.raises(RuntimeError):
        workers_on(["b", "a"], make, said.append)


def test_answers_are_in_order_and_both_workers_work() -> None:
    both = threading.Barrier(2, timeout=10)

    def work(item: int, worker: str) -> tuple[int, str]:
        if item < 2:
            both.wait()  # passed only if two threads are at it
        time.sleep(0.01 * (item % 3))
        return item * item, worker

    answers = list(shared(range(7), ["a", "b"], work, lambda text: None))
    assert [square for square, _ in answers] == [k * k for k in range(7)]
    assert {worker for _, worker in answers} == {"a", "b"}


def test_the_others_take_over_what_a_failed_one_was_at() -> None:
    said: list[str] = []

    def work(item: int, worker: str) -> int:
        if worker == "bad":
            raise RuntimeError("lost the bus")
        time.sleep(0.02)
        return item

    assert list(shared(range(5), ["good", "bad"], work, said.append)) == [0, 1, 2, 3, 4]
    assert said == ["A device is left out, the others go on: lost the bus"]
    with pytest.raises(RuntimeError, match="lost the bus"):
        list(shared(range(5), ["bad", "bad"], work, said.append))


@pytest.mark.parametrize("error", [CancelledError(), ExperimentError("no answer")])
def test_what_is_meant_for_the_run_ends_it(error: Exception) -> None:
    def work(item: int, worker: str) -> int:
        if item == 3:
            raise error
        time.sleep(0.01)
        return item

    with pytest.raises(type(error)):
        list(shared(range(6), ["a", "b"], work, lambda text: None))


def test_a_consumer_that_stops_leaves_no_threads() -> None:
    before = threading.active_count()
    answers = shared(range(50), ["a"], lambda item, worker: item, lambda text: None, in_background=True)
    assert next(answers) == 0
    answers.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


class Devices:
    """Processors that count the networks they were given, in place of GPUs; some are full, some fail."""

    def __init__(self, room: int = 10**9, broken: str = "") -> None:
        self.room, self.broken = room, broken
        self.pieces: dict[str, list[int]] = {}

    def trainer(self, task: Any, ctx: Context, optimizer: str, device: str) -> Any:
        outer, inner = self, BatchedTrainer(task.layout, task.x, task.y)

        class OnProcessor:
            def train(
                self,
                crowd: Any,
                rule: Any,
                steps: int,
                check: Any,
                part: slice = slice(None),
                report: Any = None,
            ) -> Any:
                number = len(crowd.networks[part])
                if number > outer.room:
                    raise MemoryError
                if device == outer.broken and number > 1:
                    raise RuntimeError("broken")
                outer.pieces.setdefault(device, []).append(number)
                return inner.train(crowd, rule, steps, check, part, report or unreported)

        return training.InPieces(OnProcessor(), 10**6)


def trained(
    monkeypatch: pytest.MonkeyPatch,
    devices: Devices,
    gpus: object,
    said: list[str],
    here: Sequence[Gpu] = GPUS[:2],
) -> Result:
    class Recorder(Silent):
        def message(self, text: str) -> None:
            said.append(text)

    monkeypatch.setattr(train, "gpus", lambda: here)
    monkeypatch.setattr(train, "trainer_for", devices.trainer)
    monkeypatch.setattr(training, "LEAST_ON_A_GPU", 16)
    ctx = Context("landscape-5x5/train", seed=3, device="cuda:0", recorder=Recorder())
    return train.compute(TrainParams.check({**SMALL, "chunk": 16, "gpus": gpus}), ctx)


def test_two_devices_train_the_networks_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    alone = trained(monkeypatch, Devices(), 1, said)
    for devices, gpus in ((Devices(), 2), (Devices(room=5), "all"), (Devices(broken="cuda:1"), 2)):
        both = trained(monkeypatch, devices, gpus, said)
        for name in ("networks", "loss", "loss_quantiles", "distance_matched"):
            assert np.allclose(both.arrays[name].values, alone.arrays[name].values, atol=1e-6), name
        assert both.findings["model_steps_per_second"].value > 0
        assert max(devices.pieces["cuda:0"]) <= min(devices.room, 16)
    assert [text for text in said if "left out" in text] == ["A device is left out, the others go on: broken"]
    trained(monkeypatch, Devices(), 3, said)
    assert said[-1] == "3 GPUs were asked for; 2 can be used here, and share the chunks."
    trained(monkeypatch, Devices(), 2, said, GPUS[:1])
    assert said[-1] == "2 GPUs were asked for; 1 can be used here, and takes all chunks."


def test_a_network_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MemoryError):
        trained(monkeypatch, Devices(room=0), 1, [])
