"""widths: each kind of network is trained as by itself, larger ones come nearer, and errors are clear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from tui_opt.experiments.landscape_5x5.params import WidthsParams
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.experiments.landscape_5x5.training import drawn
from tui_opt.experiments.landscape_5x5.widths import compute
from tui_opt.kernels.networks.batched import BatchedTrainer
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.plain import loss, loss_and_gradient
from tui_opt.problems import ParameterErrors
from tui_opt.runner.context import Context
from tui_opt.runner.machine import kernel_cache, limited_threads
from tui_opt.scenario import registry

SMALL = {
    "layers": 2,
    "width": 3,
    "heights": [1.0],
    "widths": [3, 17],
    "depths": [2, 1],
    "models": 3,
    "steps": 50,
}
SMALL |= {"optimizer": "momentum", "outputs": 6}


def test_rows_that_are_left_out_are_told(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("x,y\n1,2\n-1,0\n0,\n0.5,1\n")
    given = {**SMALL, "widths": [3], "depths": [2], "steps": 2, "data": str(tmp_path / "points.csv")}
    result = compute(WidthsParams.check(given), Context("landscape-5x5/widths", kernels=kernel_cache()))
    assert result.warnings == ["1 row of the data file was left out for missing values."]


def test_kinds_are_trained_as_by_plain_steps() -> None:
    """Three nodes in lanes, seventeen by matrix products."""
    asked = WidthsParams.check(SMALL)
    ctx = Context("landscape-5x5/widths", seed=5, kernels=kernel_cache())
    result = compute(asked, ctx)
    task = Task.of(asked)
    for k, (layers, width) in enumerate(((2, 3), (1, 17))):
        layout = Layout(layers, width)
        w = drawn(layout, "glorot-uniform", 0, 3, ctx)
        velocity, least = np.zeros_like(w), np.full(3, np.inf)
        for step in range(1, 51):
            now, gradient = loss_and_gradient(layout, w, task.x, task.y)
            if step in result.arrays["t"].values:
                least = np.minimum(least, now)
            velocity = 0.9 * velocity - 0.01 * gradient
            w = w + velocity
        last = loss(layout, w, task.x, task.y)
        assert np.allclose(result.arrays["loss"].values[k], last, rtol=1e-4)
        assert np.allclose(result.arrays["least"].values[k, -1], np.minimum(least, last), rtol=1e-4)
        row = dict(zip(result.tables["widths"].columns, result.tables["widths"].rows[k], strict=True))
        assert (row["layers"], row["width"], row["parameters"]) == (layers, width, layout.size)
        assert row["loss_best"] == pytest.approx(last.min(), rel=1e-4)
        assert row["seconds"] > 0
        assert np.isfinite(result.findings[f"loss_median_{layers}x{width}"].value)
    assert set(result.arrays) <= set(registry().scenario("landscape-5x5").experiment("widths").arrays)


def test_products_have_one_thread_each_and_give_the_same_bits_whatever_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int, ...]] = []
    real = BatchedTrainer.loss_and_gradient

    def watched(self: BatchedTrainer, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        seen.append((torch.get_num_threads(), max(blas)))
        return real(self, w)

    given = {**SMALL, "widths": [17], "depths": [1], "models": 37, "steps": 4, "outputs": 2}
    monkeypatch.setattr(BatchedTrainer, "loss_and_gradient", watched)
    answers, before = [], torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(2 * threads)
        ctx = Context("landscape-5x5/widths", seed=5, threads=threads, kernels=kernel_cache())
        with limited_threads(threads):
            answers.append(compute(WidthsParams.check(given), ctx).arrays)
        assert torch.get_num_threads() == 2 * threads
    torch.set_num_threads(before)
    # A step that nobody asked for, then pieces of 16, 16 and 5.
    steps = [1 + 3 * 4, 1 + 3 * 4]
    assert len(seen) == sum(steps)
    assert {one for k, one in enumerate(seen) if k not in (0, steps[0])} == {(1, 1)}
    for name, array in answers[0].items():
        assert array.values.tobytes() == answers[1][name].values.tobytes(), name


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"widths": []}, "at least one width"),
        ({"depths": [1]}, "has 1 depth for 2 widths"),
        ({"widths": [5], "depths": [1, 2]}, "has 2 depths for 1 width"),
        ({"widths": [50], "depths": []}, "more than 40 layers"),
    ],
)
def test_what_cannot_be_is_said(given: dict[str, object], text: str) -> None:
    with pytest.raises(ParameterErrors, match=text):
        WidthsParams.check({**SMALL, **given})


@pytest.mark.slow
def test_ten_by_ten_comes_nearer_than_any_five_by_five() -> None:
    result = compute(WidthsParams.check({"steps": 12_000}), Context("w", threads=2, kernels=kernel_cache()))
    rows = {
        row[1]: dict(zip(result.tables["widths"].columns, row, strict=True))
        for row in result.tables["widths"].rows
    }
    assert rows[10]["least_median"] < 0.1 < rows[5]["least_best"]
