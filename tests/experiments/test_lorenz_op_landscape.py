"""op-landscape: single starts against the plain engine, partial maps, and maps without numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tui_opt
from tui_opt.errors import UsageError
from tui_opt.experiments.lorenz import op_landscape as module
from tui_opt.experiments.lorenz.op_landscape import compute
from tui_opt.experiments.lorenz.params import OpLandscapeParams
from tui_opt.figure import Heatmap, resolve
from tui_opt.kernels.tangents import Question, compare, follow
from tui_opt.kernels.tangents.lorenz import Lorenz
from tui_opt.kernels.tangents.lorenz_gpu import UnavailableError
from tui_opt.result import Result
from tui_opt.runner.context import Context


def landscape(**params: object) -> Result:
    return tui_opt.run("lorenz", "op-landscape", **params)


def test_every_start_is_in_its_place() -> None:
    found = landscape(
        points=12, axis_x="c", axis_y="a", x_min=10.0, x_max=30.0, y_min=-5.0, y_max=8.0, initial=[9.0, 2.5, 9.0],
        held=["b"], perturbed="a", measured="c", time=0.7, rho=25.0,
    )  # fmt: skip
    assert found.arrays["op"].dims == ("y", "x")
    x, y, op = (found.arrays[name].values for name in ("x", "y", "op"))
    for i, j in ((0, 0), (3, 11), (10, 2)):
        plain = follow(Lorenz(rho=25.0).system(), Question(np.array([y[i], 2.5, x[j]]), 70, 0, (1,), dt=0.01))
        answer = compare(plain.log_x, plain.sign_x, plain.log_y, plain.sign_y)
        assert op[i, j] == pytest.approx(answer.op[-1, 2], abs=1e-9)
        assert found.arrays["sign"].values[i, j] == answer.sign[-1, 2]
    assert found.findings["op_mean"].value == pytest.approx(op.mean())
    assert found.findings["op_median"].value == pytest.approx(np.median(op))
    assert found.findings["positive_op_fraction"].value == np.mean(op > 0)


def test_the_map_of_the_reference() -> None:
    found = landscape(points=64)
    error = float(found.arrays["op"].values.std()) / 64
    assert found.findings["op_mean"].value == pytest.approx(-26.0384, abs=4 * error)
    assert found.findings["negative_sign_fraction"].value == pytest.approx(0.5201, abs=0.03)
    assert found.findings["symmetry_error"].value < 1e-9
    assert 0 < found.findings["step_error"].value < 0.2
    heat = found.figures[0].layers[0]
    assert isinstance(heat, Heatmap)
    assert heat.diverging
    assert (heat.low, heat.high) == (-heat.high, heat.high)  # type: ignore[operator]
    assert resolve(heat.z, found.values()).shape == (64, 64)


def test_threads_and_bands_change_no_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    params = OpLandscapeParams.check({"points": 40, "time": 1.0})
    one = compute(params, Context("lorenz/op-landscape", threads=1))
    monkeypatch.setattr(module, "TILE", 300)
    many = compute(params, Context("lorenz/op-landscape", threads=3))
    assert one.arrays["op"].values.tobytes() == many.arrays["op"].values.tobytes()


def test_a_coarse_map_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PREVIEW", 10)
    monkeypatch.setattr(module, "TILE", 90)
    shown: list[Result] = []
    ctx = Context("lorenz/op-landscape")
    monkeypatch.setattr(ctx, "partial", lambda make: shown.append(make()))
    found = compute(OpLandscapeParams.check({"points": 30, "time": 1.0}), ctx)
    op = found.arrays["op"].values
    first = shown[0].arrays["op"].values
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first[1::3, 1::3], op[1::3, 1::3])  # exact at its own starts
    np.testing.assert_array_equal(first[1::3, 2::3], op[1::3, 1::3])
    assert len(shown) == 11
    np.testing.assert_array_equal(shown[-1].arrays["op"].values, op)
    assert not shown[0].findings


def test_finished_rows_are_found_again() -> None:
    params = OpLandscapeParams.check({"points": 16, "time": 0.5})
    ctx = Context("lorenz/op-landscape")
    ctx.checkpoint.put("rows/0", np.full((2, 16, 16), 7.0))
    assert (compute(params, ctx).arrays["op"].values == 7.0).all()


def test_a_gpu_that_cannot_be_used_is_said_and_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    import tui_opt.kernels.tangents.lorenz_gpu as gpu

    def unavailable(*_: object) -> None:
        raise UnavailableError("The kernel cannot be compiled here.")

    monkeypatch.setattr(gpu, "follow_on", unavailable)
    said: list[str] = []
    ctx = Context("lorenz/op-landscape", device="cuda:0")
    monkeypatch.setattr(ctx, "message", said.append)
    params = OpLandscapeParams.check({"points": 16, "time": 0.5})
    found = compute(params, ctx)
    plain = compute(params, Context("lorenz/op-landscape"))
    assert found.arrays["op"].values.tobytes() == plain.arrays["op"].values.tobytes()
    assert said == ["The kernel cannot be compiled here. The map is computed on the CPU."]


@pytest.mark.parametrize(
    "given", [{"measured": "a"}, {"held": ["b"], "perturbed": "c", "measured": "a"}], ids=["held", "cut off"]
)
def test_an_infinite_comp_everywhere_is_said(given: dict[str, object]) -> None:
    found = landscape(points=10, time=0.5, **given)
    assert (found.arrays["op"].values == -np.inf).all()
    assert math.isnan(found.findings["op_mean"].value)
    assert found.findings["undefined_fraction"].value == 1.0
    assert any("Comp is infinite" in warning for warning in found.warnings)


def test_starts_on_the_axis_have_no_op() -> None:
    """From a = b = 0 a change of c never reaches b; elsewhere it does."""
    found = landscape(
        points=9, perturbed="c", measured="b", x_min=-4.0, x_max=4.0, y_min=-4.0, y_max=4.0, time=1.0
    )
    undefined = np.argwhere(np.isnan(found.arrays["op"].values))
    assert undefined.tolist() == [[4, 4]]
    assert found.findings["undefined_fraction"].value == pytest.approx(1 / 81)


def test_a_window_and_duration_in_place_of_time() -> None:
    free = landscape(points=9, held_until=0.0, time=1.0)
    assert (free.arrays["op"].values == 0.0).all()
    ours, theirs = landscape(points=9, duration=1.0), landscape(points=9, time=1.0)
    np.testing.assert_array_equal(ours.arrays["op"].values, theirs.arrays["op"].values)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"axis_y": "a"}, "must differ"),
        ({"x_min": 30.0}, "must be below"),
        ({"perturbed": "a"}, "'a' is held"),
        ({"time": 0.001}, "at least one step"),
        ({"measured": ["a", "b"]}, "one of 'a', 'b', 'c'"),
    ],
)
def test_bad_parameters_are_sentences(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        landscape(**given)
