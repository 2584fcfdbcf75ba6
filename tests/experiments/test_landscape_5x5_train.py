"""train: against plain steps, the same whatever chunk, threads or interruption, and what is said of the networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tui_opt.errors import CancelledError, ExperimentError
from tui_opt.experiments.landscape_5x5.examined import Trained, count_error, examine, quantiles, share_error
from tui_opt.experiments.landscape_5x5.params import TrainParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.train import compute
from tui_opt.experiments.landscape_5x5.training import drawn, output_times
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.matching import permuted
from tui_opt.kernels.networks.pieces import InPieces
from tui_opt.kernels.networks.plain import loss, loss_and_gradient, outputs
from tui_opt.kernels.networks.scaling import scaled
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.runner.machine import kernel_cache
from tui_opt.scenario import registry
from tui_opt.scene import prepare

SMALL = {"layers": 2, "width": 3, "heights": [1.0], "models": 40, "steps": 120, "outputs": 5, "restarts": 2}
LAYOUT = Layout(2, 3)


def params(**given: object) -> TrainParams:
    return TrainParams.check({**SMALL, **given})


class Kept:
    """A recorder that keeps checkpoints, and cancels after some partial results."""

    def __init__(self, pieces: dict[str, NDArray[Any]] | None = None, after: int = 10**9) -> None:
        self.pieces, self.left, self.partials = dict(pieces or {}), after, 0
        self.context: Context | None = None

    def message(self, text: str) -> None: ...

    def partial(self, result: Result) -> None:
        self.partials += 1

    def load_checkpoint(self) -> dict[str, NDArray[Any]]:
        return dict(self.pieces)

    def save_checkpoint(self, arrays: dict[str, NDArray[Any]]) -> None:
        self.pieces = dict(arrays)


@pytest.fixture(scope="module")
def kernels() -> Path | None:
    return kernel_cache()  # one for all tests


def context(kernels: Path | None, threads: int = 1, recorder: Kept | None = None) -> Context:
    return Context("landscape-5x5/train", seed=3, threads=threads, kernels=kernels, recorder=recorder)


def test_networks_are_those_of_plain_steps(kernels: Path | None) -> None:
    asked = params(learning_rate=0.02)
    result = compute(asked, context(kernels))
    task = Task.of(asked)
    w = drawn(LAYOUT, "glorot-uniform", 0, 40, context(kernels))
    velocity = np.zeros_like(w)
    for _ in range(120):
        velocity = 0.9 * velocity - 0.02 * loss_and_gradient(LAYOUT, w, task.x, task.y)[1]
        w = w + velocity
    expected = loss(LAYOUT, w, task.x, task.y)
    assert np.median(np.abs(result.arrays["loss"].values / expected - 1)) < 1e-5
    assert result.findings["loss_median"].value == pytest.approx(np.median(expected), rel=1e-5)
    assert result.findings["loss_best"].value == pytest.approx(expected.min(), rel=1e-4)
    answers = outputs(LAYOUT, result.arrays["networks"].values.astype(float), task.x)
    for name, wanted in {
        "output_mean": answers.mean(axis=0),
        "output_sd": answers.std(axis=0, ddof=1),
        "output_best": answers[np.argmin(result.arrays["loss"].values)],
    }.items():
        assert np.allclose(result.arrays[name].values, wanted, atol=1e-12), name
    dead = np.ptp(answers, axis=1) < 1e-12
    assert result.findings["dead_fraction"].value == dead.mean() > 0
    assert np.array_equal(result.arrays["dead"].values, dead)
    rows = result.arrays["loss_quantiles"].values
    assert rows.shape == (5, 9)
    assert np.all(np.diff(rows, axis=1) >= 0)
    assert result.arrays["t"].values[-1] == 120
    declared = registry().scenario("landscape-5x5").experiment("train")
    assert set(result.findings) <= set(declared.findings)
    assert set(result.arrays) <= set(declared.arrays)


def test_the_same_networks_whatever_the_chunk_the_threads_and_their_number(kernels: Path | None) -> None:
    whole = compute(params(), context(kernels))
    pieces = compute(params(chunk=16), context(kernels, threads=3))
    fewer = compute(params(models=21), context(kernels))
    for name in ("networks", "loss", "distance_matched", "loss_quantiles", "sawtooth_coefficient"):
        assert np.array_equal(whole.arrays[name].values, pieces.arrays[name].values, equal_nan=True), name
    assert np.array_equal(whole.arrays["networks"].values[:21], fewer.arrays["networks"].values)
    assert np.array_equal(
        whole.arrays["distance_matched"].values[:21], fewer.arrays["distance_matched"].values
    )
    for name in ("output_mean", "output_sd"):
        assert np.allclose(whole.arrays[name].values, pieces.arrays[name].values, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["adadelta", "adam"])
def test_a_run_that_was_stopped_goes_on_where_it_was(
    optimizer: str, kernels: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_opt.experiments.landscape_5x5 import train

    asked = params(optimizer=optimizer, chunk=32)
    whole = compute(asked, context(kernels))
    recorder = Kept()
    ctx = context(kernels, recorder=recorder)
    keep, calls = train._keep, []

    def stop_in_the_second_chunk(*arguments: Any) -> None:
        keep(*arguments)
        calls.append(arguments)
        if len(calls) == 7:  # four in the first chunk, then three
            raise CancelledError

    monkeypatch.setattr(train, "_keep", stop_in_the_second_chunk)
    with pytest.raises(CancelledError):
        compute(asked, ctx)
    ctx.checkpoint.flush()
    calls.clear()
    resumed = compute(asked, context(kernels, recorder=Kept(recorder.pieces)))
    assert len(calls) == 1  # one output was left but the last
    for name in ("networks", "loss", "loss_quantiles"):
        assert np.array_equal(resumed.arrays[name].values, whole.arrays[name].values, equal_nan=True)


def test_networks_that_do_the_same_as_the_built_one_are_at_no_distance() -> None:
    task = Task.of(params())
    assert task.built is not None
    rng = np.random.default_rng(0)
    orders = rng.permuted(np.broadcast_to(np.arange(3), (4, 2, 3)), axis=2)
    copies = np.repeat(task.built[None], 4, axis=0)
    copies = scaled(LAYOUT, permuted(LAYOUT, copies, orders), rng.normal(0, 0.5, (4, 2, 3)))
    found = examine(task, copies.astype(np.float32), 0, 20, Context("landscape-5x5/train"))
    assert found.distance_matched.max() < 1e-5
    assert np.allclose(found.high_frequency, 1.0, atol=1e-5)
    assert found.loss.max() < 1e-9
    assert not found.dead.any()


def test_networks_that_diverged_are_counted(kernels: Path | None) -> None:
    result = compute(params(optimizer="gd", learning_rate=50.0), context(kernels))
    share = result.findings["diverged_fraction"].value
    assert 0 < share <= 1
    assert np.mean(np.isinf(result.arrays["loss"].values)) == share
    assert "learning rate is too large" in result.warnings[0]
    # Finite and huge is diverged as well, and neither dead nor a part of the mean output.
    huge = examine(
        Task.of(params()), np.full((2, LAYOUT.size), 1e8, dtype=np.float32), 0, 1, context(kernels)
    )
    assert np.isinf(huge.loss).all()
    assert not huge.dead.any()
    assert huge.count == 0
    assert np.isfinite(result.arrays["output_mean"].values).all() == (share < 1)


def test_no_networks_have_no_mean_and_one_has_no_spread(kernels: Path | None) -> None:
    none = compute(params(optimizer="gd", learning_rate=1e6, models=3), context(kernels))
    assert none.findings["diverged_fraction"].value == 1
    for name in ("output_mean", "output_sd", "output_low", "output_high"):
        assert np.isnan(none.arrays[name].values).all()
    assert "no live network" in none.findings["sawtooth_median"].text
    one = compute(params(models=1), context(kernels))
    assert np.isfinite(one.arrays["output_mean"].values).all()
    assert np.isnan(one.arrays["output_sd"].values).all()
    for result in (none, one):
        for figure in result.figures:
            assert prepare(figure, result.values())


def test_why_no_share_of_the_high_frequencies_is_found(kernels: Path | None) -> None:
    # Every tooth's knot is one of those of the spline that is taken away.
    all_taken = compute(params(heights=[0.5, -0.5]), context(kernels))
    assert "nothing is left beside a spline" in all_taken.findings["sawtooth_median"].text
    flat = compute(params(amplitude=0.0), context(kernels))
    assert "the target has no high frequencies" in flat.findings["sawtooth_median"].text


def test_targets_beyond_single_precision_are_refused(kernels: Path | None) -> None:
    with pytest.raises(
        ExperimentError, match=r"1e20\*x is beyond 1e\+15 at x = -?1; networks are trained in single"
    ):
        compute(params(target="1e20*x"), context(kernels))
    compute(params(target="1e14*x", steps=1), context(kernels))


@pytest.mark.parametrize(
    "given",
    [
        {"target": "sin(3*x)", "points": 30},
        {"width": 17, "heights": [1.0] * 16, "models": 3, "steps": 5},
        {"width": 20, "models": 3, "steps": 5},
    ],
)
def test_other_targets_and_widths(given: dict[str, object], kernels: Path | None) -> None:
    result = compute(params(**given), context(kernels))
    assert np.isfinite(result.findings["loss_median"].value)
    has_built = "width" in given and given["width"] == 20
    assert np.isfinite(result.findings["distance_matched_median"].value) == has_built


def test_parts_come_together_as_the_whole() -> None:
    task = Task.of(params())
    ctx = Context("landscape-5x5/train")
    networks = drawn(LAYOUT, "he-normal", 0, 48, ctx).astype(np.float32)
    whole = examine(task, networks, 0, 1, ctx, quickly=True)
    parts = [examine(task, networks[a:b], a, 1, ctx, quickly=True) for a, b in ((0, 16), (16, 48))]
    together = Trained.nothing(task).with_more(parts[0]).with_more(parts[1])
    for name in ("mean", "sd", "best", "best_loss", "loss"):
        assert np.allclose(getattr(together, name), getattr(whole, name), atol=1e-13), name


def test_times_and_quantiles() -> None:
    times = output_times(50_000, 60)
    assert (times[0], times[-1], times.size) == (1, 50_000, 60)
    assert output_times(1, 60).tolist() == [1]
    assert np.isinf(quantiles(np.array([1.0, np.inf, np.inf]), np.array([0.0, 1.0]))).tolist() == [
        False,
        True,
    ]


def test_the_error_of_a_median_of_whole_numbers_is_that_of_drawing_them_again() -> None:
    rng = np.random.default_rng(0)
    values = rng.poisson(20, 400)
    medians = np.median(rng.poisson(20, (2000, 400)), axis=1)
    error = count_error(values)
    assert error is not None
    # A median of whole numbers is one: what it would be with halves in between is off by up to 1/2 more.
    assert error == pytest.approx(np.sqrt(np.pi / 2 * 20 / 400), rel=0.3)
    assert medians.std() < 2 * error
    assert count_error(np.full(100, 7.0)) == pytest.approx(0.05)
    assert count_error(np.arange(9.0)) is None


def test_the_error_of_a_share_holds_where_none_or_all_were_found() -> None:
    """Against Wilson's interval as its inequality defines it: (p - q)^2 <= q (1 - q) / n."""
    for found, number in ((0, 20), (20, 20), (7, 20), (300, 1000)):
        share = found / number
        q = np.linspace(0, 1, 400_001)
        inside = q[(share - q) ** 2 <= q * (1 - q) / number]
        assert share_error(share, number) == pytest.approx((inside[-1] - inside[0]) / 2, abs=1e-5)
    assert np.isnan(share_error(np.nan, 0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "median", "dead"), [("momentum", 0.147, (0.13, 0.23)), ("adadelta", 0.126, (0.07, 0.17))]
)
def test_the_paper_s_networks_at_full_length(
    optimizer: str, median: float, dead: tuple[float, float], kernels: Path | None
) -> None:
    asked = TrainParams.check({"optimizer": optimizer, "restarts": 2})
    result = compute(asked, context(kernels, threads=2))
    assert result.findings["loss_median"].value == pytest.approx(median, abs=0.01)
    assert dead[0] <= result.findings["dead_fraction"].value <= dead[1]
    assert result.findings["loss_best"].value > 0.03


def test_on_a_gpu_the_fused_kernel_is_taken_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU none can: each refusal leads to matrix products, with a sentence in the log."""
    from tui_opt.experiments.landscape_5x5 import training
    from tui_opt.kernels.networks import batched

    made: list[str] = []

    class OnProcessor(batched.BatchedTrainer):
        def __init__(self, layout: Layout, x: Any, y: Any, device: str) -> None:
            made.append(device)
            super().__init__(layout, x, y, "cpu")

    monkeypatch.setattr(batched, "BatchedTrainer", OnProcessor)
    monkeypatch.setattr(batched, "room", lambda device: 1_000_000)
    said: list[str] = []
    recorder = Kept()
    monkeypatch.setattr(recorder, "message", said.append)
    ctx = Context("landscape-5x5/train", device="cuda:99", recorder=recorder)
    for optimizer in ("momentum", "adam"):
        trainer = training.trainer_for(Task.of(params()), ctx, optimizer)
        assert isinstance(trainer, InPieces)
        assert 1 < trainer.most < 1000
    assert made == ["cuda:99", "cuda:99"]
    assert ctx.now.what == "compiling for cuda:99"  # while the fused kernel was tried
    assert len(said) == 1
    assert "matrix products instead" in said[0]
    assert training.chunk_size(1000, "cpu") == 1008
    assert training.chunk_size(1000, "cuda:0") == training.LEAST_ON_A_GPU
    whole = compute(params(models=5, steps=20), ctx)
    assert np.allclose(
        whole.arrays["loss"].values,
        compute(params(models=5, steps=20), Context("landscape-5x5/train", kernels=kernel_cache()))
        .arrays["loss"]
        .values,
        rtol=1e-4,
    )


@pytest.mark.parametrize(
    ("optimizer", "constants"),
    [("adadelta", ("rho", "epsilon")), ("adam", ("beta1", "beta2", "epsilon")), ("momentum", ("momentum",))],
)
def test_the_most_extreme_constants_are_none_of_their_own_in_single_precision(
    kernels: Path | None, optimizer: str, constants: tuple[str, ...]
) -> None:
    """Beyond them a decay would be 1 and epsilon 0, and networks infinite at any learning rate."""
    fields = params().model_json_schema()["properties"]
    for most in (True, False):
        given = {name: fields[name]["bounds"]["le" if most else "ge"] for name in constants}
        given |= {"epsilon": fields["epsilon"]["bounds"]["ge"]} if "epsilon" in constants else {}
        asked = params(models=16, steps=30, restarts=1, optimizer=optimizer, learning_rate=1e-4, **given)
        result = compute(asked, Context("landscape-5x5/train", seed=1, kernels=kernels))
        assert result.findings["diverged_fraction"].value == 0.0, given
    for name in constants:
        for value in (1e-300,) if name == "epsilon" else (0.99999999, 1.0):
            with pytest.raises(ParameterErrors, match=name):
                params(**{name: value})
