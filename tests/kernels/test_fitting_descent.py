"""Minibatch descent against torch, gradients against differences, the two kinds of model against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tui_opt.expressions import assemble, parse
from tui_opt.kernels.fitting.batch_fits import lbfgs, least_squares_fit
from tui_opt.kernels.fitting.minibatch import (
    Fit,
    NamedFit,
    State,
    TapeFit,
    Update,
    epoch,
    losses_and_gradients,
    residuals_and_jacobian,
    shuffled,
    steps_per_epoch,
)
from tui_opt.kernels.tape import Program

A, B = 0.583, 0.112
RNG = np.random.default_rng(5)
X1, X2 = RNG.uniform(0, 10, 1337), RNG.uniform(-1, 1, 1337)
TRUTH = {"cos": np.cos(A * X1), "exp": np.exp(A * X1), "sqrt": np.sqrt(A * X1)}


def named(part: str = "cos", noise: float = 0.0) -> NamedFit:
    y = TRUTH[part] + np.exp(B * X2) + noise * np.random.default_rng(6).standard_normal(X1.size)
    return NamedFit((part, "exp"), (X1, X2), y)


def tape(part: str = "cos") -> TapeFit:
    model = parse(f"{part}(a*x1)+exp(b*x2)", ("x1", "x2", "a", "b"))
    program = Program(assemble((model, model.derivative("a"), model.derivative("b"))))
    return TapeFit(program, np.array([X1, X2]), named(part).y)


@pytest.mark.parametrize("part", ["cos", "exp", "sqrt"])
def test_losses_gradients_and_jacobians(part: str) -> None:
    p = np.array([[0.5, 0.02], [0.7, -0.3]])
    for fit in (named(part), tape(part)):
        loss, gradient = losses_and_gradients(fit, p)
        for k, place in enumerate(p):
            function = {"cos": np.cos, "exp": np.exp, "sqrt": np.sqrt}[part]
            residual = function(place[0] * X1) + np.exp(place[1] * X2) - fit.y
            assert loss[k] == pytest.approx(np.mean(residual**2), rel=1e-13)
            found, jacobian = residuals_and_jacobian(fit, place)
            np.testing.assert_allclose(found, residual, rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(gradient[k], 2 * jacobian.T @ residual / X1.size, rtol=1e-11)
            for j in range(2):
                h = np.zeros(2)
                h[j] = 1e-6
                up, down = losses_and_gradients(fit, np.array([place + h, place - h]))[0]
                assert gradient[k, j] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-7)


def by_torch(
    fit: NamedFit, update: Update, batch: int, order: np.ndarray, start: list[float]
) -> tuple[np.ndarray, list[float]]:
    a, b = (torch.nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in start)
    rules = {
        "sgd": lambda: torch.optim.SGD([a, b], lr=update.learning_rate),
        "momentum": lambda: torch.optim.SGD([a, b], lr=update.learning_rate, momentum=update.momentum),
        "adam": lambda: torch.optim.Adam([a, b], lr=update.learning_rate),
    }
    optimizer = rules[update.rule]()
    x1, x2, y = (torch.from_numpy(v[order]) for v in (X1, X2, fit.y))
    path, losses = [], []
    for begin in range(0, y.numel(), batch):
        some = slice(begin, begin + batch)
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(torch.cos(a * x1[some]) + torch.exp(b * x2[some]), y[some])
        loss.backward()
        optimizer.step()
        path.append([a.item(), b.item()])
        losses.append(loss.item())
    return np.array(path), losses


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam"])
def test_updates_are_torch_s(rule: str) -> None:
    update, order = Update(rule, 3e-3), np.random.default_rng(1).permutation(X1.size)  # type: ignore[arg-type]
    for fit in (named(), tape()):
        state = State.at(np.array([[0.7, 0.02], [0.9, 0.5]]))
        steps = steps_per_epoch(X1.size, 100)
        path, losses = np.empty((2, steps, 2)), np.empty((2, steps))
        epoch(fit, state, update, 100, shuffled(fit, order), path, losses)
        assert state.steps == steps == 14
        for s, start in enumerate(([0.7, 0.02], [0.9, 0.5])):
            expected, expected_losses = by_torch(named(), update, 100, order, start)
            np.testing.assert_allclose(path[s], expected, rtol=1e-11)
            np.testing.assert_allclose(losses[s], expected_losses, rtol=1e-11)
            np.testing.assert_array_equal(state.p[s], path[s, -1])


def test_starts_do_not_see_each_other() -> None:
    fit, update = named(noise=0.1), Update("adam", 1e-2)
    together = State.at(np.array([[0.2, 0.0], [0.7, 0.02], [1.5, 0.3]]))
    alone = State.at(np.array([[1.5, 0.3]]))
    for k in range(3):
        rows = shuffled(fit, np.random.default_rng(k).permutation(X1.size))
        epoch(fit, together, update, 512, rows)
        epoch(fit, alone, update, 512, rows)
    np.testing.assert_array_equal(together.p[2], alone.p[0])


def test_a_model_of_one_parameter_and_values_that_are_no_numbers() -> None:
    single = NamedFit(("cos",), (X1,), TRUTH["cos"])
    assert losses_and_gradients(single, np.array([[A]]))[0][0] < 1e-30
    state = State.at(np.array([[0.6]]))
    for _ in range(300):
        epoch(single, state, Update("sgd", 5e-3), X1.size, (single.inputs, single.y))
    assert state.p[0, 0] == pytest.approx(A, abs=1e-9)
    lost = State.at(np.array([[-0.1, 0.0]]))
    roots = named("sqrt")
    epoch(roots, lost, Update("sgd", 1e-3), 512, (roots.inputs, roots.y))
    assert np.isnan(lost.p[0, 0])


@pytest.mark.parametrize("method", [lbfgs, least_squares_fit])
@pytest.mark.parametrize("fit", [named(), tape()], ids=["named", "tape"])
def test_batch_fits_reach_the_minimum(method: object, fit: Fit) -> None:
    found = method(fit, np.array([0.7, 0.02]))  # type: ignore[operator]
    np.testing.assert_allclose(found.path[-1], [A, B], atol=1e-9)
    np.testing.assert_array_equal(found.path[0], [0.7, 0.02])
    assert found.losses[-1] < 1e-18
    assert found.evaluations < 60
    assert np.all(np.diff(found.losses) <= 1e-18)
    assert not found.failed


def test_least_squares_of_noisy_data_is_where_the_gradient_vanishes() -> None:
    fit = named(noise=0.5)
    for found in (lbfgs(fit, np.array([0.6, 0.1])), least_squares_fit(fit, np.array([0.6, 0.1]))):
        gradient = losses_and_gradients(fit, found.path[-1])[1][0]
        assert np.abs(gradient).max() < 1e-6


def test_batch_fits_that_cannot_go_on_say_so() -> None:
    roots = named("sqrt")
    for method in (lbfgs, least_squares_fit):
        assert method(roots, np.array([-0.5, 0.0])).failed
    few = NamedFit(("cos", "exp"), (X1[:1], X2[:1]), named().y[:1])
    assert least_squares_fit(few, np.array([0.6, 0.1])).losses[-1] < 1e-12

    def stop() -> None:
        raise KeyboardInterrupt

    for method in (lbfgs, least_squares_fit):
        with pytest.raises(KeyboardInterrupt):
            method(roots, np.array([0.7, 0.02]), check=stop)


def test_a_program_must_fit_its_columns() -> None:
    with pytest.raises(ValueError, match="variables"):
        TapeFit(tape().loaded, np.array([X1]), X1)
