"""overparameterised: networks against plain torch, success against width, what lies out of range, resuming, errors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tui_opt.errors import CancelledError, ExperimentError
from tui_opt.experiments.cos_fit import overparameterised as module
from tui_opt.experiments.cos_fit.overparameterised import compute
from tui_opt.experiments.cos_fit.overparameterised_params import OverparameterisedParams
from tui_opt.figure import Rule, resolve
from tui_opt.kernels.fitting.networks import Networks, bytes_of, parameters_of, train
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context, Silent

SMALL: dict[str, Any] = {
    "x_distribution": "uniform", "x_scale": 10.0, "samples": 600, "batch": 100, "epochs": 40, "widths": [1, 8],
    "seeds": 4, "starts": 20, "test_samples": 300,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Any:
    """Networks as small as these are slowed by more threads, most of all on a machine that is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def networks(seed: int = 0, **params: Any) -> Result:
    return compute(
        OverparameterisedParams.check({**SMALL, **params}), Context("cos-fit/overparameterised", seed=seed)
    )


def value(result: Result, name: str) -> float:
    return result.findings[name].value


# --- the kernel -------------------------------------------------------------------------------------------------


def plain(generator: np.random.Generator, width: int) -> torch.nn.Sequential:
    """A network of torch's own layers with the same weights."""
    model = torch.nn.Sequential(
        torch.nn.Linear(2, width),
        torch.nn.Tanh(),
        torch.nn.Linear(width, width),
        torch.nn.Tanh(),
        torch.nn.Linear(width, 1),
    )
    for layer in model:
        if isinstance(layer, torch.nn.Linear):
            bound = 1 / math.sqrt(layer.in_features)
            weight = generator.uniform(-bound, bound, (layer.in_features, layer.out_features))
            bias = generator.uniform(-bound, bound, (1, layer.out_features))
            with torch.no_grad():
                layer.weight.copy_(torch.tensor(weight.T))
                layer.bias.copy_(torch.tensor(bias[0]))
    return model


def test_networks_train_as_torch_s_own_do() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((120, 2)).astype(np.float32)
    y = np.sin(x[:, 0]) + x[:, 1]
    orders = [np.array([np.random.default_rng((e, k)).permutation(120) for k in (0, 1)]) for e in range(3)]
    made = Networks.drawn([np.random.default_rng(k) for k in (0, 1)], 2, 5, 2, "tanh")
    train(made, x, y, 1e-2, 50, 3, lambda e: orders[e])
    places = rng.standard_normal((7, 2)).astype(np.float32)
    found = made.outputs(places)
    for k in (0, 1):
        model = plain(np.random.default_rng(k), 5)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=9)
        for e in range(3):
            for begin in range(0, 120, 50):
                rows = orders[e][k][begin : begin + 50]
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(
                    model(torch.tensor(x[rows]))[:, 0], torch.tensor(y[rows])
                ).backward()
                optimizer.step()
                schedule.step()
        np.testing.assert_allclose(
            found[k], model(torch.tensor(places))[:, 0].detach().numpy(), rtol=1e-3, atol=1e-4
        )
    assert sum(p.numel() for p in plain(rng, 5).parameters()) == parameters_of(2, 5, 2)


@pytest.mark.parametrize("activation", ["tanh", "relu", "sin"])
def test_activations_and_losses(activation: str) -> None:
    x = np.linspace(-2, 2, 90, dtype=np.float32)[:, None]
    y = np.sin(2 * x[:, 0])

    def order(e: int) -> NDArray[np.int64]:
        return np.array([np.random.default_rng((e, k)).permutation(90) for k in range(2)])

    made = Networks.drawn([np.random.default_rng(k) for k in range(2)], 1, 16, 1, activation)  # type: ignore[arg-type]
    history = train(made, x, y, 2e-2, 30, 60, order)
    assert history.shape == (60, 2)
    assert history[-1].max() < 0.1 * history[0].min()
    assert np.mean((made.outputs(x) - y) ** 2) == pytest.approx(float(history[-1].mean()), rel=0.3)
    assert bytes_of(1, 16, 1, 30) > 16 * parameters_of(1, 16, 1)


# --- the experiment -----------------------------------------------------------------------------------------------


def test_wide_networks_fit_where_narrow_ones_and_half_of_the_models_do_not() -> None:
    result = networks()
    assert value(result, "success_narrowest") == 0.0
    assert value(result, "success_widest") == 1.0
    assert value(result, "width_half") == value(result, "width_all") == 8.0
    assert value(result, "parameters_all") == parameters_of(2, 8, 2)
    # Of starts on [0, 2], those below the ridge at 1.045 find the minimum.
    assert value(result, "success_model") == pytest.approx(0.52, abs=0.08)
    table = result.tables["widths"]
    assert [row[:3] for row in table.rows] == [(1, 7, 0.0), (8, 105, 1.0)]
    losses = result.arrays["test_loss"].values
    assert table.rows[1][4] == pytest.approx(float(np.median(losses[1])))
    assert losses[1].max() < 0.05 * value(result, "variance") < losses[0].min()


def test_fitting_the_range_is_not_finding_the_parameters() -> None:
    """Out of range a network's error is as large as the best constant's or worse; that of the model is nothing."""
    result = networks()
    assert value(result, "outside_widest") > 0.5
    assert value(result, "outside_model") < 1e-6
    x, target, output = (result.arrays[name].values for name in ("x", "target", "output"))
    inside = (x > 0.5) & (x < 9.5)
    assert np.abs(output[1] - target)[inside].max() < 0.3
    assert np.abs(output[1] - target)[x > 13].max() > 0.5


def test_a_target_that_oscillates_too_fast_defeats_networks_too() -> None:
    result = networks(x_distribution="normal", x_scale=100.0, widths=[16], epochs=10)
    assert value(result, "success_widest") == 0.0
    assert math.isinf(value(result, "width_half"))


def test_seeds_own_their_networks() -> None:
    few, more = networks(seeds=2, epochs=3), networks(seeds=4, epochs=3)
    np.testing.assert_allclose(
        more.arrays["test_loss"].values[:, :2], few.arrays["test_loss"].values, rtol=1e-3
    )
    assert np.unique(more.arrays["test_loss"].values[1]).size == 4


def test_memory_cuts_the_networks_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = networks(epochs=2)
    monkeypatch.setattr(module, "MOST_BYTES", {"cpu": 2 * bytes_of(2, 8, 2, 100), "cuda": 1})
    cut = networks(epochs=2)
    np.testing.assert_allclose(cut.arrays["test_loss"].values, whole.arrays["test_loss"].values, rtol=1e-3)


def test_a_run_that_was_stopped_goes_on_where_it_was() -> None:
    class Kept(Silent):
        pieces: dict[str, NDArray[Any]] = {}  # noqa: RUF012
        results: list[Result] = []  # noqa: RUF012

        def load_checkpoint(self) -> dict[str, NDArray[Any]]:
            return dict(self.pieces)

        def save_checkpoint(self, arrays: dict[str, NDArray[Any]]) -> None:
            self.pieces.update(arrays)

        def partial(self, result: Result) -> None:
            self.results.append(result)

    recorder = Kept()
    ctx = Context("cos-fit/overparameterised", recorder=recorder)
    first = compute(OverparameterisedParams.check({**SMALL, "epochs": 2}), ctx)
    ctx.checkpoint.flush()
    assert {"model", "width 1/0", "width 8/0"} <= set(recorder.pieces)
    assert recorder.results
    again = compute(
        OverparameterisedParams.check({**SMALL, "epochs": 2}),
        Context("cos-fit/overparameterised", recorder=recorder),
    )
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array.values, again.arrays[name].values)
    assert first.tables["widths"] == again.tables["widths"]  # the seconds too: nothing was trained anew


def test_data_of_one_s_own_and_equations(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 6, 300)
    file = tmp_path / "d.csv"
    np.savetxt(file, np.column_stack([x, np.cos(x)]), delimiter=",", header="u,y", comments="")
    result = networks(
        data=str(file), model="y = cos(f*u)", start=[0.9], start_min=0.5, start_max=1.5, batch=20
    )
    assert "target" not in result.arrays
    assert "outside_model" not in result.findings
    assert np.isnan(result.arrays["outside_loss"].values).all()
    assert value(result, "success_widest") == 1.0
    own = networks(model="y = A*cos(a*x1)", true_values={"A": 2.0}, start=[1.0, 0.6], epochs=2, widths=[2])
    assert len(own.tables["widths"].rows) == 1
    few = tmp_path / "few.csv"
    few.write_text("u,y\n1,2\n2,3\n")
    with pytest.raises(ExperimentError, match="too few"):
        networks(data=str(few), model="y = cos(f*u)", start=[0.9])


def test_figures_cancelling_and_what_goes_wrong() -> None:
    result = networks(epochs=2)
    assert {figure.name for figure in result.figures} == {"success", "loss", "curves", "history"}
    for figure in result.figures:
        for layer in figure.layers:
            if not isinstance(layer, Rule):
                assert resolve(layer.x, result.values()).size >= 1
    stopped = Context("cos-fit/overparameterised")
    stopped.cancel()
    with pytest.raises(CancelledError):
        compute(OverparameterisedParams.check(SMALL), stopped)
    for params, what in (
        ({"widths": [4, 4]}, "more than once"),
        ({"widths": []}, "empty"),
        ({"start_min": 5.0}, "below start_max"),
        ({"threshold": 0.0}, "above 0"),
    ):
        with pytest.raises(ParameterErrors, match=what):
            networks(**params)
    with pytest.raises(ExperimentError, match="nothing to fit"):
        networks(model="cos", frequency=0.0, start=[0.7])
