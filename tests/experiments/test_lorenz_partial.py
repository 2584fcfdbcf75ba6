"""What the lorenz experiments show while they run: results that can be drawn, with NaN where nothing is known yet."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from tui_opt.figure import resolve
from tui_opt.kernels.tangents import compiled
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.scenario import registry

GIVEN = {
    "trajectory": {"duration": 1.0},
    "op": {"duration": 1.0, "deltas": []},
    "rates": {"duration": 2.0, "transient": 0.1, "trajectories": 3},
}


@pytest.mark.parametrize("name", list(GIVEN))
def test_partial_results_can_be_drawn(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "SLICE_SECONDS", 5e-5)
    experiment = registry().scenario("lorenz").experiment(name)
    shown: list[Result] = []
    ctx = Context(f"lorenz/{name}")
    monkeypatch.setattr(ctx, "partial", lambda make: shown.append(copy.deepcopy(make())))
    whole = experiment.load_compute()(experiment.params.check(GIVEN[name]), ctx)
    assert len(shown) > 2
    for result in shown:
        for figure in result.figures:
            for layer in figure.layers:
                if layer.kind in ("line", "path"):
                    assert resolve(layer.x, result.values()).shape == resolve(layer.y, result.values()).shape
    if name != "rates":
        first = shown[0].arrays["state"].values
        assert np.isnan(first[-1]).all()
        known = ~np.isnan(first[:, 0])
        np.testing.assert_array_equal(first[known], whole.arrays["state"].values[known])
    assert set(whole.findings) <= set(experiment.findings)
    assert set(whole.arrays) <= set(experiment.arrays)
    assert ctx.now.fraction > 0.9


@pytest.mark.parametrize("name", ["trajectory", "op", "op-landscape", "rates"])
def test_warm_parameters_are_allowed_and_small(name: str) -> None:
    experiment = registry().scenario("lorenz").experiment(name)
    params = experiment.params.check(dict(experiment.warm))
    assert experiment.estimate(params).seconds < 0.2
