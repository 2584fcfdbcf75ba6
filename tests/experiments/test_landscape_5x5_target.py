"""target: what is known of the paper's network, other targets, knots of other networks, and clear errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tui_opt.errors import CancelledError, ExperimentError
from tui_opt.experiments.landscape_5x5.params import TargetParams
from tui_opt.experiments.landscape_5x5.target import compute
from tui_opt.experiments.landscape_5x5.task import Task
from tui_opt.problems import ParameterErrors
from tui_opt.runner.context import Context
from tui_opt.runner.machine import kernel_cache
from tui_opt.scenario import registry


def target(**given: object) -> TargetParams:
    return TargetParams.check({"compared": 0, **given})


def context() -> Context:
    return Context("landscape-5x5/target", kernels=kernel_cache())


def test_the_paper_s_target() -> None:
    result = compute(target(compared=16, steps=0), context())
    expected = {
        "parameters": (136, 0),
        "knots": (35, 0),
        "samples": (341, 0),
        "y_min": (-0.9375, 1e-9),
        "y_max": (2.3375, 1e-9),
        "y_mean": (0.7116325, 5e-8),
        "y_variance": (0.5371589, 5e-8),
        "high_variance": (0.169265, 5e-7),
        "spline_mse": (0.1688916, 5e-8),
        "loss_built": (0.0, 1e-20),
        "norm_built": (51.098965, 5e-7),
        "norm_smallest": (12.063942, 5e-7),
        "knots_built_median": (33, 0),
    }
    for name, (value, tolerance) in expected.items():
        assert abs(result.findings[name].value - value) <= tolerance, name
    assert "part of high frequency" in result.findings["high_variance"].text
    assert result.arrays["weights"].values.shape == (136,)
    # Without biases every node of a random network switches at 0, if anywhere.
    assert set(result.arrays["knots_random"].values) <= {0.0, 1.0}
    declared = registry().scenario("landscape-5x5").experiment("target")
    assert set(result.findings) <= set(declared.findings)
    assert set(result.arrays) <= set(declared.arrays)


def test_trained_networks_have_more_knots() -> None:
    params = target(compared=20, steps=600, layers=2, heights=[1.0], width=3, learning_rate=0.05)
    result = compute(params, context())
    trained, random = (result.arrays[f"knots_{kind}"].values for kind in ("trained", "random"))
    assert trained.size == random.size == 20
    assert trained.max() >= 3 > random.max() == 1  # some die, and are straight
    rows = {row[0]: row for row in result.tables["knots"].rows}
    assert rows["trained"][-1] < rows["random"][-1]
    assert result.arrays["knots_trained_counts"].values.sum() == 20
    for kind in ("random", "trained"):
        assert (result.findings[f"knots_{kind}_median"].stderr or 0.0) > 0.0


def test_wider_networks_and_fewer_teeth() -> None:
    result = compute(target(width=8, teeth=4, points_between=3), context())
    # 8 pieces of 4 teeth, and the spline's bends at -1/3 and 1/3, which no tooth shares.
    assert result.findings["knots"].value == 11
    assert result.findings["samples"].value == 41
    assert result.arrays["weights"].values.size == result.findings["parameters"].value == 16 + 4 * 72 + 9
    assert result.findings["loss_built"].value < 1e-25


def test_an_expression_is_a_target() -> None:
    task = Task.of(target(target="sin(3*x)", points=51))
    assert np.allclose(task.y, np.sin(3 * np.linspace(-1, 1, 51)))
    result = compute(target(target="sin(3*x)", points=51), context())
    assert "weights" not in result.arrays
    assert result.findings["samples"].value == 51
    # Nothing splits it: what stands for its high frequencies is all of it, and the texts say so.
    assert result.findings["high_variance"].value == result.findings["y_variance"].value
    for text in (result.findings["high_variance"].text, result.arrays["high_frequency"].text):
        assert text.endswith("no part of a target that was not built is known to be of high frequency")
    assert compute(target(target="2", points=5), context()).findings["y_variance"].value == 0.0


def test_a_file_is_a_target(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("x,y\n1,2\n-1,0\n0,\n0.5,1\n")
    for given in ({"data": str(path)}, {"target": str(path)}):
        result = compute(target(**given), context())
        assert result.arrays["x"].values.tolist() == [-1, 0.5, 1]
        assert result.arrays["y"].values.tolist() == [0, 1, 2]
        assert result.warnings == ["1 row of the data file was left out for missing values."]
    path.write_text("x,y\n1,2\n-1,0\n0,\n,1\n")
    two = compute(target(data=str(path)), context()).warnings
    assert two == ["2 rows of the data file were left out for missing values."]
    path.write_text("x,y\n1,2\n")
    with pytest.raises(ExperimentError, match="has 1 row with numbers for x and y; it needs at least 2"):
        Task.of(target(data=str(path)))


def test_high_frequencies_found_are_the_share_of_the_sawtooth() -> None:
    task = Task.of(target())
    slow = np.interp(task.x, np.linspace(-1, 1, 7), [3.0, -1.0, 2.0, 0.0, 5.0, 1.0, -2.0])
    answers = np.stack([task.y, slow, slow + 0.25 * task.high])
    assert np.allclose(task.high_frequency(answers), [1.0, 0.0, 0.25], atol=1e-12)
    straight = Task.of(target(target="3*x"))
    assert np.isnan(straight.high_frequency(straight.y[None])).all()


def test_x_that_single_precision_cannot_tell_apart_is_refused_or_told(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"

    def rows(x: np.ndarray) -> TargetParams:
        path.write_text("x,y\n" + "".join(f"{one!r},{k % 3}\n" for k, one in enumerate(x.tolist())))
        return target(data=str(path))

    minutes = 1.7e9 + 60.0 * np.arange(100)
    said = r"Of the 100 different x .* only \d+ apart\. Shift and scale x, for instance to \[-1, 1\]"
    for x in (minutes, 1.0 + 1e-10 * np.arange(100)):
        with pytest.raises(ExperimentError, match=said):
            Task.of(rows(x))
        middle, half = (x[0] + x[-1]) / 2, (x[-1] - x[0]) / 2
        task = Task.of(rows((x - middle) / half))  # what the sentence asks for
        assert np.unique(task.x.astype(np.float32)).size == 100
        assert task.warnings == []
    assert Task.of(rows(1.7e9 + 3600.0 * np.arange(100))).warnings == []
    near = np.append(np.linspace(-1, 1, 100), 1 + 1e-12)
    assert compute(rows(near), context()).warnings == [
        "1 different x of the data file is the same as another in single precision, in which networks are trained."
    ]


def test_building_a_target_can_be_cancelled_all_the_way() -> None:
    """Of many layers it takes seconds."""

    def checks(layers: int, stop: int = -1) -> int:
        count = 0

        def check() -> None:
            nonlocal count
            count += 1
            if count == stop:
                raise CancelledError

        Task.of(target(layers=layers, points_between=0), check)
        return count

    whole = checks(15)
    assert whole > 2 * checks(5) > 10  # not by layers alone: by samples, too
    for stop in (1, whole // 2, whole):
        with pytest.raises(CancelledError):
            checks(15, stop)
    ctx = context()
    ctx.cancel()
    with pytest.raises(CancelledError):
        compute(target(), ctx)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"teeth": 3}, "power of two up to 16"),
        ({"width": 4}, "at least 5 for the hand-built network"),
        ({"width": 2, "heights": [1.0]}, r"and 1 for the spline's height\."),
        ({"width": 2, "heights": [1.0, 2.0]}, r"and 2 for the spline's heights\."),
        ({"heights": []}, "at least one height"),
        ({"target": "sin(z)"}, "z"),
        ({"layers": 20}, "training points, and at most .* fewer teeth than 524,288 by"),
        (
            {"width": 128, "teeth": 1, "heights": [0.5] * 30, "points_between": 100_000},
            "training points, and at most .* Give fewer points, or fewer heights",
        ),
    ],
)
def test_what_cannot_be_is_said(given: dict[str, object], text: str) -> None:
    with pytest.raises(ParameterErrors, match=text):
        target(**given)


def test_a_target_that_is_not_finite_is_said() -> None:
    with pytest.raises(ExperimentError, match="not a finite number at x = 0"):
        Task.of(target(target="1/x"))
