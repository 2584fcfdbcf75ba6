"""On a GPU networks learn together, and say the same; torch's CPU stands in for one here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from tui_opt.errors import CancelledError
from tui_opt.experiments.ocr_localization import (
    ACTIVATIONS,
    INFLUENCE,
    INTERVENE,
    LOCALIZE,
    MATCH_UNITS,
    match_units,
)
from tui_opt.kernels.localization import batched, courses, training
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.scenario import Experiment

SMALL: dict[str, dict[str, Any]] = {
    "localize": {"hidden": 12, "seeds": 3, "epochs": 1, "activation": "relu", "learning_rate": 0.03},
    "activations": {
        "hidden": 8,
        "seeds": 2,
        "epochs": 1,
        "activation": ["relu", "silu"],
        "output": ["softmax"],
        "learning_rate": [0.01, 0.03],
    },
    "intervene": {"hidden": 8, "seeds": 3, "epochs": 1, "resamples": 2, "change": "remove"},
    "match-units": {"hidden_a": 9, "hidden_b": 7, "seeds": 3, "epochs": 1},
    "influence": {"hidden": 8, "seeds": 2, "epochs": 1, "checkpoints": 2},
}
ON_GPU = (LOCALIZE, ACTIVATIONS, INTERVENE, MATCH_UNITS)


ONE_SETTING = {"activation": ["relu"], "output": ["linear"], "learning_rate": [0.01]}


class Listening(Context):
    """Keeps what it is told."""

    def __init__(self, device: str = "cpu", threads: int = 1) -> None:
        super().__init__("ocr-localization/test", device=device, threads=threads)
        self.said: list[str] = []
        self.shown: list[float] = []

    def message(self, text: str) -> None:
        self.said.append(text)

    def progress(self, done: float, total: float, what: str = "") -> None:
        self.shown.append(done / total)
        super().progress(done, total, what)


def run(experiment: Experiment, ctx: Context, **params: Any) -> Result:
    asked = experiment.params.check({**SMALL[experiment.name], **params})
    return experiment.load_compute()(asked, ctx)


def of_seeds(experiment: Experiment, seeds: int) -> dict[str, Any]:
    """Parameters of so many networks, or pairs of them, that have the same to do."""
    return {"seeds": seeds, **(ONE_SETTING if experiment is ACTIVATIONS else {})}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Devices that courses were put on."""
    real, put = courses.Courses, []

    def on_torch_s_cpu(some: Any, device: str) -> courses.Courses:
        put.append(device)
        return real(some, "cpu")

    monkeypatch.setattr(batched, "unusable", lambda device: "")
    monkeypatch.setattr(batched, "free_bytes", lambda device: 10**9)
    monkeypatch.setattr(courses, "Courses", on_torch_s_cpu)
    return put


def assert_same(one: Result, other: Result) -> None:
    assert set(one.findings) == set(other.findings)
    for name, finding in one.findings.items():
        np.testing.assert_allclose(other.findings[name].value, finding.value, rtol=0, atol=1e-9, err_msg=name)
    for name, array in one.arrays.items():
        if not name.endswith("counts"):
            np.testing.assert_allclose(
                other.arrays[name].values, array.values, rtol=0, atol=1e-9, err_msg=name
            )


@pytest.mark.parametrize("experiment", ON_GPU, ids=lambda e: e.name)
def test_a_gpu_says_what_the_processor_says(experiment: Experiment, gpu: list[str]) -> None:
    plain, there = Listening(), Listening("cuda:0", threads=2)
    counted = {"tally": "full"} if experiment is ACTIVATIONS else {}
    assert_same(run(experiment, plain, **counted), run(experiment, there, **counted))
    assert set(gpu) == {"cuda:0"}
    assert there.said == []
    assert there.shown[-1] == pytest.approx(1.0)
    assert "cuda" in experiment.devices


WIDE: dict[str, dict[str, Any]] = {
    "localize": {"hidden": 300},
    "activations": {"hidden": 300, **ONE_SETTING},
    "match-units": {"hidden_a": 90, "hidden_b": 70, "epochs": 5},
    "influence": {"hidden": 300},
}


@pytest.mark.parametrize("experiment", [LOCALIZE, ACTIVATIONS, MATCH_UNITS, INFLUENCE], ids=lambda e: e.name)
def test_results_are_the_same_bits_whatever_threads_linear_algebra_may_have(experiment: Experiment) -> None:
    results = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            results.append(
                run(experiment, Context("ocr-localization/test"), seeds=1, **WIDE[experiment.name])
            )
    one, two = results
    assert {n: f.value for n, f in one.findings.items() if np.isfinite(f.value)} == {
        n: f.value for n, f in two.findings.items() if np.isfinite(f.value)
    }
    for name, array in one.arrays.items():
        assert array.values.tobytes() == two.arrays[name].values.tobytes(), name


@pytest.mark.slow
def test_after_all_of_mnist_they_still_agree(gpu: list[str]) -> None:
    """Sixty thousand steps of a network that is not chaotic."""
    if missing := LOCALIZE.missing(LOCALIZE.params.check({"dataset": "mnist"})):
        pytest.skip(missing)
    params = {"dataset": "mnist", "hidden": 40, "seeds": 2, "learning_rate": 0.01, "epochs": "auto"}
    assert_same(run(LOCALIZE, Listening(), **params), run(LOCALIZE, Listening("cuda:0"), **params))
    assert gpu


def test_groups_are_as_large_as_memory_allows_and_change_nothing(
    gpu: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, groups = run(LOCALIZE, Listening("cuda:0")), []
    each = max(batched.bytes_on_device(1, 64, 12, classes=4), batched.bytes_on_device(4, 64, 12))
    monkeypatch.setattr(batched, "free_bytes", lambda device: 2 * each + 1)
    learn = batched.train_together

    def counted(some: Any, networks: Any, **more: Any) -> Any:
        groups.append(len(networks[0]))
        return learn(some, networks, **more)

    monkeypatch.setattr(batched, "train_together", counted)
    parts = run(LOCALIZE, Listening("cuda:0"))
    # Three networks, each also without learning; trainings of each: uncounted, both halves if counted, forks.
    assert groups == [2] * 12
    assert_same(whole, parts)


def test_without_room_groups_are_halved_and_in_the_end_the_processor_learns(
    gpu: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, learn, room = run(LOCALIZE, Listening()), batched.train_together, [1]

    def crowded(some: Any, networks: Any, **more: Any) -> Any:
        if len(networks[0]) > room[0]:
            raise torch.OutOfMemoryError
        return learn(some, networks, **more)

    monkeypatch.setattr(batched, "train_together", crowded)
    ctx = Listening("cuda:0")
    assert_same(plain, run(LOCALIZE, ctx))
    assert ctx.said == [
        "cuda:0 has no room for 6 networks together: going on with 3.",
        "cuda:0 has no room for 3 networks together: going on with 1.",
    ]
    room[0] = 0
    ctx = Listening("cuda:0")
    alone = run(LOCALIZE, ctx)
    assert ctx.said[-1] == "cuda:0 has no room for a network of this size: it learns on the CPU."
    for name, finding in plain.findings.items():
        assert alone.findings[name].value == finding.value


def test_a_pytorch_without_cuda_is_said_and_the_processor_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    ctx = Listening("cuda:0")
    run(LOCALIZE, ctx, seeds=1)
    assert ctx.said == [
        "This PyTorch is built without CUDA and cannot use cuda:0. Networks learn on the CPU."
    ]
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert "PyTorch does not see cuda:7" in batched.unusable("cuda:7")
    assert batched.unusable("cuda:0") == ""


@pytest.mark.parametrize("experiment", ON_GPU, ids=lambda e: e.name)
def test_a_run_goes_on_where_another_device_stopped(
    experiment: Experiment, gpu: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seeds on one, the third on the other: the same pieces, and none is learnt again."""
    plain = run(experiment, Listening(), **of_seeds(experiment, 3))
    for first, second in (("cuda:0", "cpu"), ("cpu", "cuda:0")):
        ctx = Listening(first)
        run(experiment, ctx, **of_seeds(experiment, 2))
        trained, learn = [], batched.train_together
        with monkeypatch.context() as patch:

            def counted(
                some: Any, networks: Any, learn: Any = learn, trained: Any = trained, **more: Any
            ) -> Any:
                trained.append(len(networks[0]))
                return learn(some, networks, **more)

            patch.setattr(batched, "train_together", counted)
            ctx.device = second
            assert_same(plain, run(experiment, ctx, **of_seeds(experiment, 3)))
        networks = 2 if experiment in (MATCH_UNITS, LOCALIZE) else 1  # one that learns, and one that does not
        assert set(trained) == (set() if second == "cpu" else {networks})


# --- progress, and going on, on the processor ----------------------------------------------------------------

ALL = (*ON_GPU, INFLUENCE)


class Counted:
    """The compiled steps, counted; a run is asked to stop when there were too many."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps, self.most, self.ctx = 0, float("inf"), Context("ocr-localization/test")
        self._descend = training._descend
        monkeypatch.setattr(training, "SLICE", 100_000)  # a hundred steps or so between two looks, or fewer
        monkeypatch.setattr(training, "LOOK", 1e-5)
        monkeypatch.setattr(training, "_descend", self)

    def __call__(self, *args: Any) -> None:
        self._descend(*args)
        self.steps += args[5].size
        if self.steps > self.most:
            self.ctx.cancel()


@pytest.mark.parametrize("experiment", ALL, ids=lambda e: e.name)
def test_progress_moves_within_a_network(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    Counted(monkeypatch)
    ctx = Listening()
    run(experiment, ctx, **of_seeds(experiment, 1))
    assert len({round(share, 6) for share in ctx.shown if 0 < share < 0.9}) > 8
    assert ctx.shown == sorted(ctx.shown)
    assert (ctx.shown[0], ctx.shown[-1]) == (0.0, pytest.approx(1.0))


@pytest.mark.parametrize("experiment", ALL, ids=lambda e: e.name)
def test_a_run_that_was_stopped_goes_on_by_seed(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within the third: the first two are not learnt again, and the numbers are those of a whole run."""
    counted, params = Counted(monkeypatch), of_seeds(experiment, 3)
    whole = run(experiment, Listening(), **params)
    each = counted.steps / 3
    counted.steps, counted.most, counted.ctx = 0, 2.3 * each, Listening()
    with pytest.raises(CancelledError):
        run(experiment, counted.ctx, **params)
    assert 2.3 * each < counted.steps < 3 * each
    resumed = Listening()
    resumed.checkpoint = counted.ctx.checkpoint
    counted.steps, counted.most = 0, float("inf")
    again = run(experiment, resumed, **params)
    assert counted.steps == each
    for name, finding in whole.findings.items():
        np.testing.assert_equal(again.findings[name].value, finding.value)
    for name, array in whole.arrays.items():
        assert np.array_equal(again.arrays[name].values, array.values, equal_nan=True), name


def test_the_matching_shown_is_of_the_first_pair_that_did_not_diverge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first seed's networks begin with numbers that overflow: it is left out, also by a run that goes on."""
    first_of, initial = ["network a", "network b"], match_units.random_network

    def broken(pixels: int, units: int, rng: Any) -> Any:
        network = initial(pixels, units, rng)
        if first_of:
            first_of.pop()
            network.weights *= 1e200
        return network

    monkeypatch.setattr(match_units, "random_network", broken)
    ctx = Listening()
    some = run(MATCH_UNITS, ctx)
    monkeypatch.setattr(match_units, "random_network", initial)
    assert some.findings["diverged"].value == 1
    monkeypatch.setattr(match_units, "_learn", None)
    again = run(MATCH_UNITS, ctx)
    shown = [np.array(result.tables["matches"].rows, dtype=float) for result in (again, some)]
    assert np.array_equal(*shown, equal_nan=True)
    monkeypatch.undo()
    whole = run(MATCH_UNITS, Listening())
    assert whole.tables["matches"].rows != some.tables["matches"].rows
    scores = whole.arrays["match_score_by_seed"].values
    assert np.array_equal(some.arrays["match_score_by_seed"].values, scores[1:])
