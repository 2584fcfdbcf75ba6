"""Torch's tape against the compiled one, torch's descent against the compiled one, and how endings are judged."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tui_opt.expressions import assemble, parse
from tui_opt.kernels.fitting.ending import hessian, ridge_between, time_constants, where_lost
from tui_opt.kernels.fitting.minibatch import NamedFit, State, Update, epoch, losses_and_gradients, shuffled
from tui_opt.kernels.fitting.torch_descent import TorchPaths, descend
from tui_opt.kernels.fitting.torch_tape import TorchModel
from tui_opt.kernels.tape import Program, evaluate

RNG = np.random.default_rng(2)
X1, X2 = RNG.uniform(0, 10, 700), RNG.uniform(-1, 1, 700)
Y = np.cos(0.583 * X1) + np.exp(0.112 * X2)
MODEL = TorchModel(assemble([parse("cos(a*x1)+exp(b*x2)", ("x1", "x2", "a", "b"))]))
EXPRESSIONS = (
    "u+v*u-v/u", "min(u,v)+max(u,v)",
    "u^v", "abs(u)^0.5-sqrt(abs(v))", "exp(-u)*log(abs(v)+1)", "sign(u)+step(v)+relu(u)",
    "sigmoid(u)+softplus(v)+cbrt(u)", "expm1(u)+log1p(abs(v))+log2(abs(u)+1)+log10(abs(v)+1)", "sin(u)+cos(v)+tan(u)",
    "asin(tanh(u))+acos(tanh(v))+atan(u)", "sinh(u)+cosh(v)", "asinh(u)+acosh(1+abs(v))+atanh(tanh(u))", "erf(u)",
    "atan2(u,v)+hypot(u,v)", "-u+3.5",
)  # fmt: skip


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_operations_are_those_of_the_tape(text: str) -> None:
    points = np.random.default_rng(0).uniform(0.1, 2.0, (2, 50)) * np.where(np.arange(50) % 2, 1.0, -1.0)
    if text == "u^v":
        points = np.abs(points)
    expression = parse(text, ("u", "v"))
    found = TorchModel(assemble([expression]))([torch.from_numpy(row) for row in points])
    plain = evaluate(Program(assemble([expression])), points)[0]
    np.testing.assert_allclose(found.expand(50).numpy(), plain, rtol=1e-12, atol=1e-13)


def order(seeds: tuple[int, ...]) -> object:
    return lambda e: np.array([np.random.default_rng((e, s)).permutation(X1.size) for s in seeds])


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam"])
def test_double_precision_is_the_compiled_descent(rule: str) -> None:
    update = Update(rule, 3e-3)  # type: ignore[arg-type]
    columns, y = np.stack([[X1, X2]] * 2), np.stack([Y] * 2)
    found = descend(MODEL, columns, y, np.array([0.7, 0.02]), update, 64, 3, order((0, 1)), "float64")  # type: ignore[arg-type]
    fit = NamedFit(("cos", "exp"), (X1, X2), Y)
    for seed in (0, 1):
        state = State.at(np.array([[0.7, 0.02]]))
        for e in range(3):
            epoch(
                fit, state, update, 64, shuffled(fit, np.random.default_rng((e, seed)).permutation(X1.size))
            )
        np.testing.assert_allclose(found.path[seed, -1], state.p[0], rtol=1e-9)
    assert not np.array_equal(found.path[0], found.path[1])


def test_repetitions_do_not_see_each_other_and_epochs_are_told() -> None:
    told: list[int] = []

    def tell(known: TorchPaths) -> None:
        told.append(known.epochs)
        assert np.isfinite(known.path[:, : known.epochs * 2]).all()
        assert np.isnan(known.path[:, known.epochs * 2 :]).all()

    arguments = (np.array([0.7, 0.02]), Update("adam", 1e-2), 512, 3)
    both = descend(
        MODEL, np.stack([[X1, X2]] * 2), np.stack([Y] * 2), *arguments, order((0, 1)), each_epoch=tell
    )  # type: ignore[arg-type]
    alone = descend(MODEL, np.array([[X1, X2]]), Y[None], *arguments, order((1,)))  # type: ignore[arg-type]
    assert told == [1, 2, 3]
    np.testing.assert_allclose(both.path[1], alone.path[0], rtol=1e-6)
    assert np.unique(np.float32(alone.path) - alone.path).tolist() == [0.0]


# --- endings ----------------------------------------------------------------------------------------------------


def fit(s: float = 10.0, part: str = "cos") -> NamedFit:
    x = np.random.default_rng(4).uniform(0, s, 4000)
    x2 = np.random.default_rng(5).uniform(-1, 1, 4000)
    function = {"cos": np.cos, "sqrt": np.sqrt, "exp": np.exp}[part]
    return NamedFit((part, "exp"), (x, x2), function(0.583 * x) + np.exp(0.112 * x2))


def test_the_hessian_at_the_minimum_is_gauss_and_newton_s() -> None:
    here = fit()
    x, x2 = here.inputs
    jacobian = np.column_stack([-x * np.sin(0.583 * x), x2 * np.exp(0.112 * x2)])
    np.testing.assert_allclose(
        hessian(here, np.array([0.583, 0.112])), 2 * jacobian.T @ jacobian / x.size, rtol=1e-6, atol=1e-6
    )


def test_ridges_on_the_way() -> None:
    here, target = fit(), np.array([0.583, 0.112])
    assert ridge_between(here, np.array([0.7, 0.02]), target) is None
    assert ridge_between(here, np.array([0.95, 0.1]), target) is None
    ridge = ridge_between(here, np.array([1.35, 0.1]), target)
    assert ridge is not None
    assert 1.0 < ridge.place[0] < 1.1  # the first ridge of x uniform on [0, 10) is at 1.0446
    losses = losses_and_gradients(here, np.array([ridge.place, [1.35, 0.1]]))[0]
    assert ridge.loss == losses[0] > losses[1]


def test_where_paths_are_lost() -> None:
    roots = fit(part="sqrt")
    path = np.array([[0.7, 0.0], [-0.2, 0.1], [np.nan, np.nan]])
    lost = where_lost(roots, path)
    assert lost is not None
    assert (lost.step, lost.without_value) == (2, roots.y.size)
    np.testing.assert_allclose(lost.jump, [-0.9, 0.1])
    grown = where_lost(fit(part="exp"), np.array([[0.5, 0.0], [200.0, 0.0], [np.nan, 0.0]]))
    assert grown is not None
    assert grown.without_value == 0 < grown.overflowing
    assert where_lost(roots, path[:2]) is None


def test_time_constants_are_those_of_a_parabola() -> None:
    """x <- (1 - T k) x."""
    found = time_constants(np.array([2.0, 0.01, 30.0, 0.0, 10.0]), 0.1)
    assert found[0] == pytest.approx(-1 / math.log(0.8))
    assert found[1] == pytest.approx(-1 / math.log(0.999))
    assert math.isnan(found[2])
    assert math.isinf(found[3])
    assert found[4] == 0.0
    assert time_constants(np.array([0.01]), 0.1, 0.9)[0] == pytest.approx(100, rel=0.01)
