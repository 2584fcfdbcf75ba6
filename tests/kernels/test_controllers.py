"""Controllers in closed loop: gradients, Adam, Op against differences, closed forms and products of Jacobians."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from tui_opt.kernels.controller_training import NAMES, Trainer, gradients
from tui_opt.kernels.controllers import (
    Controllers,
    ablation_losses,
    differences_of_output,
    draw,
    draw_states,
    follow_loops,
    op_of_neurons,
    op_of_output,
    rank_correlation,
)
from tui_opt.kernels.plants import LEAK, LEAKY_ROOM, PENDULUM, PLANTS, Plant

STEPS = 12
EACH = pytest.mark.parametrize("plant", PLANTS.values(), ids=list(PLANTS))


def networks(plant: Plant, hidden: int = 5, seeds: int = 3) -> Controllers:
    return draw(plant, hidden, [np.random.default_rng([7, i]) for i in range(seeds)])


def starts(plant: Plant, count: int = 6, seeds: int = 3) -> np.ndarray:
    return np.stack([draw_states(plant, count, np.random.default_rng([8, i])) for i in range(seeds)], axis=1)


@EACH
def test_slopes_of_a_plant_are_its_derivative(plant: Plant) -> None:
    s, u = starts(plant)[:, 0], np.linspace(-1, 1, 6)
    exact = plant.slopes(s)
    for j in range(len(plant.axes)):
        step = np.zeros_like(s)
        step[j] = 1e-6
        up, down = (np.stack(plant.step(s + sign * step, u, np.sin)) for sign in (1, -1))
        np.testing.assert_allclose(exact[:, j], (up - down) / 2e-6, rtol=0, atol=1e-8)
    up, down = (np.stack(plant.step(s, u + sign * 1e-6, np.sin)) for sign in (1, -1))
    expected = np.array(plant.input_slope)[:, None] * np.ones_like(s)
    np.testing.assert_allclose((up - down) / 2e-6, expected, rtol=0, atol=1e-8)


@EACH
def test_gradients_through_time_are_those_of_the_loss(plant: Plant) -> None:
    begin, states = networks(plant), starts(plant)
    loss, slopes = gradients(plant, begin, states, STEPS)
    np.testing.assert_allclose(loss, follow_loops(plant, begin, states, STEPS).loss(plant), rtol=1e-12)
    generator = np.random.default_rng(0)
    for name, slope in zip(NAMES, slopes, strict=True):
        value = getattr(begin, name)
        direction = generator.standard_normal(value.shape)
        losses = [
            follow_loops(plant, replace(begin, **{name: value + h * direction}), states, STEPS).loss(plant)
            for h in (1e-6, -1e-6)
        ]
        along = (slope * direction).reshape(3, -1).sum(axis=1)
        np.testing.assert_allclose(along, (losses[0] - losses[1]) / 2e-6, rtol=1e-6, atol=1e-8)


def loss_in_torch(plant: Plant, leaves: list[torch.Tensor], states: np.ndarray, steps: int) -> torch.Tensor:
    """The loss [seed], written as the equations are; torch records every operation."""
    w1, b1, w2, b2 = leaves
    s: tuple[torch.Tensor, ...] = tuple(torch.from_numpy(np.ascontiguousarray(part)) for part in states)
    cost = torch.zeros_like(s[0])
    for _ in range(steps):
        inner = sum(s[i][:, :, None] * w1[:, i, None, :] for i in range(len(s))) + b1[:, None, :]
        u = (torch.tanh(inner) * w2[:, None, :]).sum(-1) + b2[:, None]
        s = plant.step(s, u, torch.sin)
        cost = cost + plant.control_weight * u**2
        for i, weight in enumerate(plant.weights):
            cost = cost + weight * s[i] ** 2
    return cost.mean(dim=1) / steps


@EACH
def test_gradients_are_those_of_torch(plant: Plant) -> None:
    begin, states = networks(plant), starts(plant)
    leaves = [torch.from_numpy(getattr(begin, name)).requires_grad_() for name in NAMES]
    expected = loss_in_torch(plant, leaves, states, STEPS)
    loss, slopes = gradients(plant, begin, states, STEPS)
    np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=1e-12)
    for slope, theirs in zip(slopes, torch.autograd.grad(expected.sum(), leaves), strict=True):
        np.testing.assert_allclose(slope, theirs.numpy(), rtol=1e-9, atol=1e-12)


def test_updates_are_those_of_adam() -> None:
    """As the algorithm is printed, with the gradients of each place."""
    begin, states = networks(PENDULUM), starts(PENDULUM)
    ours = Trainer(PENDULUM, begin, states, STEPS, 0.03, clip=np.inf)
    values = [getattr(begin, name).copy() for name in NAMES]
    means, squares = [np.zeros_like(v) for v in values], [np.zeros_like(v) for v in values]
    for t in range(1, 11):
        ours.update()
        _, slopes = gradients(PENDULUM, Controllers(*values), states, STEPS)
        for k, g in enumerate(slopes):
            means[k] = 0.9 * means[k] + 0.1 * g
            squares[k] = 0.999 * squares[k] + 0.001 * g**2
            corrected = means[k] / (1 - 0.9**t), squares[k] / (1 - 0.999**t)
            values[k] = values[k] - 0.03 * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
    for name, value in zip(NAMES, values, strict=True):
        np.testing.assert_allclose(getattr(ours.controllers(), name), value, rtol=1e-9, atol=1e-12)


def test_a_seed_without_a_finite_gradient_stays_and_others_go_on() -> None:
    begin, states = networks(PENDULUM), starts(PENDULUM)
    lost = replace(begin, w2=begin.w2 * np.array([1.0, 1e300, 1.0])[:, None])
    trainer = Trainer(PENDULUM, lost, states, 200, 0.03)
    trainer.update()
    after = trainer.controllers()
    np.testing.assert_array_equal(after.w2[1], lost.w2[1])
    assert np.all(np.isfinite(after.w2[[0, 2]]))
    assert not np.array_equal(after.w2[0], lost.w2[0])


def test_a_gradient_is_clipped_seed_by_seed_and_seeds_are_strangers() -> None:
    begin, states = networks(LEAKY_ROOM), starts(LEAKY_ROOM)
    together = Trainer(LEAKY_ROOM, begin, states, STEPS, 0.05, clip=0.1)
    alone = Trainer(
        LEAKY_ROOM,
        Controllers(*(getattr(begin, n)[1:2] for n in NAMES)),
        states[:, 1:2],
        STEPS,
        0.05,
        clip=0.1,
    )
    losses = [(together.update()[1], alone.update()[0]) for _ in range(15)]
    np.testing.assert_allclose([a for a, _ in losses], [b for _, b in losses], rtol=1e-9)
    assert losses[-1][0] < losses[0][0]
    first = Trainer(LEAKY_ROOM, begin, states, STEPS, 0.05, clip=0.1)
    first.update()
    lengths = sum(np.sum(m.reshape(3, -1) ** 2, axis=1) for m in first._means)
    assert np.all(np.sqrt(lengths) <= 0.1 * 0.1 * (1 + 1e-12))  # (1 - 0.9) times the clipped gradient


def test_a_checkpoint_goes_on_where_it_was() -> None:
    begin, states = networks(PENDULUM), starts(PENDULUM)
    through = Trainer(PENDULUM, begin, states, STEPS, 0.03)
    for _ in range(4):
        through.update()
    resumed = Trainer(PENDULUM, begin, states, STEPS, 0.03)
    resumed.restore(through.state())
    assert resumed.done == 4
    np.testing.assert_array_equal(through.update(), resumed.update())
    np.testing.assert_array_equal(through.state(), resumed.state())


@EACH
def test_op_is_what_finite_differences_give(plant: Plant) -> None:
    begin = networks(plant)
    loops = follow_loops(plant, begin, starts(plant), STEPS)
    x, y = differences_of_output(plant, begin, loops, 1e-6)
    answer = op_of_output(plant, begin, loops)
    np.testing.assert_allclose(answer.op, np.log(np.abs(y[-1] / x[-1])), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(answer.sign, np.sign(y[-1] * x[-1]))


@EACH
def test_op_of_a_neuron_is_what_playing_it_again_gives(plant: Plant) -> None:
    """Y with the activations of one neuron taken from W, in a plain loop."""
    begin = networks(plant)
    start = starts(plant)
    loops = follow_loops(plant, begin, start, STEPS)
    answer = op_of_neurons(plant, begin, loops)
    beside = start.copy()
    beside[0] += 1e-6
    x = follow_loops(plant, begin, beside, STEPS).states[-1, 0] - loops.states[-1, 0]
    for neuron in (0, 3):
        s = beside
        for t in range(STEPS):
            h = begin.hidden(s)
            h[:, :, neuron] = loops.hidden[t, :, :, neuron]
            s = np.stack(plant.step(s, begin.output(h), np.sin))
        y = s[0] - loops.states[-1, 0]
        np.testing.assert_allclose(answer.op[neuron], np.log(np.abs(y / x)), rtol=0, atol=1e-3)
        np.testing.assert_array_equal(answer.sign[neuron], np.sign(y * x))


def test_a_linear_controller_has_a_closed_form() -> None:
    """u = -(3 + 2) r from two neurons: one step multiplies a change by 1 - dt (leak + gain of what reacts)."""
    small, gains, steps = 1e-7, np.array([3.0, 2.0]), 400
    linear = Controllers(np.full((1, 1, 2), small), np.zeros((1, 2)), -gains[None] / small, np.zeros(1))
    loops = follow_loops(LEAKY_ROOM, linear, np.array([[1.0, -2.0]]), steps)

    def factor(gain: float) -> float:
        return steps * np.log(1 - LEAKY_ROOM.dt * (LEAK + gain))

    np.testing.assert_allclose(
        op_of_output(LEAKY_ROOM, linear, loops).op, factor(0.0) - factor(5.0), rtol=0, atol=1e-8
    )
    found = op_of_neurons(LEAKY_ROOM, linear, loops).op
    np.testing.assert_allclose(found[0], factor(2.0) - factor(5.0), rtol=0, atol=1e-8)
    np.testing.assert_allclose(found[1], factor(3.0) - factor(5.0), rtol=0, atol=1e-8)


def test_ablation_replaces_a_neuron_by_its_mean() -> None:
    begin, start = networks(LEAKY_ROOM), starts(LEAKY_ROOM)
    loops = follow_loops(LEAKY_ROOM, begin, start, STEPS)
    found = ablation_losses(LEAKY_ROOM, begin, loops)
    for neuron in range(5):
        mean = loops.hidden[..., neuron].mean(axis=(0, 2))
        # The same as no weight on the neuron and its mean in the bias.
        w2, b2 = begin.w2.copy(), begin.b2 + begin.w2[:, neuron] * mean
        w2[:, neuron] = 0.0
        without = follow_loops(LEAKY_ROOM, replace(begin, w2=w2, b2=b2), start, STEPS)
        expected = without.loss(LEAKY_ROOM) - loops.loss(LEAKY_ROOM)
        np.testing.assert_allclose(found[:, neuron], expected, rtol=1e-9, atol=1e-12)


def test_rank_correlation_is_spearman_s() -> None:
    generator = np.random.default_rng(2)
    for _ in range(10):
        a, b = generator.integers(0, 5, (2, 9)).astype(float)
        assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert np.isnan(rank_correlation(np.ones(4), np.arange(4.0)))
