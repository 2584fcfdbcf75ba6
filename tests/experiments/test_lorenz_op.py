"""op: references, invariances, what has no number, and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tui_opt
from tui_opt.errors import UsageError
from tui_opt.figure import resolve
from tui_opt.kernels.tangents import Question, compare, follow
from tui_opt.kernels.tangents.lorenz import Lorenz
from tui_opt.result import Result

REFERENCE = {10: (-17.6072714094, -18.5801870237), 5: (-9.4778513619, -8.6787513308)}


def op(**params: object) -> Result:
    return tui_opt.run("lorenz", "op", **params)


@pytest.mark.parametrize(("dt", "tolerance"), [(0.01, 1e-3), (0.001, 1e-6)])
def test_references_of_the_continuous_system(dt: float, tolerance: float) -> None:
    found = op(dt=dt, deltas=[])
    for t, values in REFERENCE.items():
        assert found.arrays["op"].values[:, round(t / dt)] == pytest.approx(values, abs=tolerance)
    assert found.findings["op_final_b"].value == pytest.approx(REFERENCE[10][0], abs=tolerance)
    assert (found.findings["sign_final_b"].value, found.findings["sign_final_c"].value) == (1.0, -1.0)
    error = found.findings["op_step_error_b"].value
    assert abs(found.findings["op_final_b"].value - REFERENCE[10][0]) < 1.3 * error + 5e-9
    assert found.arrays["op"].dims == ("measured", "t")
    assert "op_finite_difference" not in found.arrays


def test_the_plain_engine_agrees_whatever_the_parameters() -> None:
    found = op(
        sigma=7.0, rho=22.0, beta=1.5, initial=[2.0, -1.0, 15.0], held=["c"], perturbed="a", measured=["a", "b"],
        held_until=0.5, duration=1.0, dt=0.005, deltas=[],
    )  # fmt: skip
    asked = Question(np.array([2.0, -1.0, 15.0]), 200, 0, (2,), 0.5, dt=0.005)
    plain = follow(Lorenz(7.0, 22.0, 1.5).system(), asked)
    answer = compare(plain.log_x, plain.sign_x, plain.log_y, plain.sign_y)
    np.testing.assert_allclose(found.arrays["op"].values, answer.op[:, :2].T, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.arrays["sign"].values, answer.sign[:, :2].T)


def test_op_is_the_difference_of_the_logarithms() -> None:
    found = op(deltas=[], duration=2.0).values()
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found["op"], found["log_y"] - found["log_x"])
    shown = np.where(np.isnan(found["op_positive_b"]), found["op_negative_b"], found["op_positive_b"])
    np.testing.assert_array_equal(shown[1:], found["op"][0, 1:])


def test_the_same_system_written_down_gives_the_same_numbers() -> None:
    ours = op(duration=10.0, deltas=[1e-5], held_until=6.0)
    theirs = tui_opt.run(
        "own-system", "op", nodes={"a": "10*(b-a)", "b": "a*(28-c)-b", "c": "a*b-8/3*c"},
        initial={"a": 1.0, "b": 1.0, "c": 1.0}, held=["a"], perturbed="b", measured=["b", "c"], dt=0.01,
        duration=10.0, deltas=[1e-5], held_until=6.0,
    )  # fmt: skip
    for name in ("state", "op", "log_x", "log_y", "op_finite_difference"):
        np.testing.assert_allclose(theirs.arrays[name].values, ours.arrays[name].values, rtol=0, atol=1e-12)


def test_symmetry() -> None:
    start = [1.7, -0.4, 20.0]
    ours = op(initial=start, deltas=[]).arrays["op"].values
    mirrored = op(initial=[-start[0], -start[1], start[2]], deltas=[]).arrays["op"].values
    np.testing.assert_allclose(mirrored, ours, rtol=0, atol=1e-9)


def test_the_volume_of_the_full_tangent() -> None:
    found = op(dt=0.002, deltas=[])
    assert found.findings["log_volume"].value == pytest.approx(-(10 + 1 + 8 / 3) * 10, abs=1e-4)
    assert abs(found.findings["trace_error"].value) < 1e-4


def test_after_the_window_all_axes_share_a_plateau() -> None:
    found = op(held_until=10.0, duration=30.0, measured=["a", "b", "c"], deltas=[])
    for axis in "abc":
        assert found.findings[f"op_final_{axis}"].value == pytest.approx(-16.83353, abs=1e-3)
        assert found.findings[f"sign_final_{axis}"].value == -1.0
    (flag,) = found.warnings
    assert "a is measured and held up to t = 10" in flag


def test_a_measured_axis_that_is_held_is_flagged() -> None:
    found = op(measured=["a", "b"], deltas=[], duration=1.0)
    assert found.findings["op_final_a"].value == -math.inf
    assert "Comp is infinite" in found.findings["op_final_a"].text
    assert math.isnan(found.findings["sign_final_a"].value)
    assert any("measured and held" in warning for warning in found.warnings)


def test_a_measured_axis_is_flagged_where_the_window_covers_the_run() -> None:
    found = op(measured=["a"], held_until=1.0, deltas=[], duration=1.0)
    assert found.findings["op_final_a"].value == -math.inf
    assert any("nothing of the change ever arrives" in warning for warning in found.warnings)
    assert not op(measured=["b"], held_until=1.0, deltas=[], duration=1.0).warnings


def test_nothing_held_is_an_op_of_zero() -> None:
    found = op(held=[], deltas=[1e-5], duration=1.0)
    assert (found.arrays["op"].values[:, 1:] == 0.0).all()
    assert (found.arrays["sign"].values[:, 1:] == 1.0).all()


def test_a_change_that_never_arrives_is_undefined() -> None:
    found = op(initial=[0.0, 0.0, 5.0], perturbed="c", measured="b", deltas=[], duration=1.0)
    assert math.isnan(found.findings["op_final_b"].value)
    assert "0/0" in found.findings["op_final_b"].text


def test_differences_and_where_they_break_down() -> None:
    found = op(duration=35.0, deltas=[1e-3, 1e-5, 1e-7])
    table = found.tables["breakdown"]
    assert table.columns == ("delta", "x_time", "y_time")
    deltas, x, y = (np.array(column, dtype=float) for column in zip(*table.rows, strict=True))
    assert list(deltas) == [1e-3, 1e-5, 1e-7]
    assert 17 < x[0] < x[1] < x[2] < 30
    assert 14 > y[0] > y[1] > y[2] > 6
    exact, differences = found.arrays["op"].values, found.arrays["op_finite_difference"].values
    assert differences.shape == (3, 2, 3501)
    assert np.nanmedian(np.abs(differences[1, :, 1:500] - exact[:, 1:500])) < 1e-4
    assert (differences[2, 0, 2500:] == -np.inf).mean() > 0.9  # y - w has sunk below the rounding of w
    np.testing.assert_allclose(found.arrays["x_difference"].values[:, 0, 0], deltas, rtol=1e-8)


def test_long_runs_keep_fewer_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui_opt.experiments.lorenz.course.MOST_OUTPUTS", 100)
    found = op(duration=10.0, deltas=[1e-5])
    assert found.arrays["t"].values.size == 101
    assert found.findings["op_final_b"].value == pytest.approx(REFERENCE[10][0], abs=1e-3)


def test_figures_draw_what_is_there() -> None:
    found = op(duration=1.0, held_until=0.5)
    assert [f.name for f in found.figures] == [
        "op-b", "op-c", "growth-b", "growth-c", "differences-b", "differences-c", "series", "portrait-ac",
    ]  # fmt: skip
    values = found.values()
    for figure in found.figures:
        for layer in figure.layers:
            if layer.kind in ("line", "path"):
                assert resolve(layer.x, values).shape == resolve(layer.y, values).shape


def test_one_name_will_do() -> None:
    assert "op_final_c" in op(held="b", perturbed="a", measured="c", deltas=[], duration=0.1).findings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"held": ["b"]}, "'b' is held"),
        ({"held": ["a", "d"]}, "'a', 'b', 'c'"),
        ({"measured": []}, "at least 1"),
        ({"measured": ["b", "b"]}, "more than once"),
        ({"deltas": [0.0]}, "perturbation of 0"),
        ({"held_until": -1.0}, "at least 0"),
    ],
)
def test_bad_parameters_are_sentences(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        op(**given)
