"""Exact Hessians of the mean squared error of small ReLU networks.

Away from kinks the output is multilinear in the layers. Written with a constant 1 beside the activations of each layer,
the derivative by what lies between layers m - 1 and m is a_(m-1) x delta_m, and that again by the layer l < m before it

    d^2 out / (dW_l dW_m) = a_(l-1) x (d a_(m-1) / d z_l) x delta_m :

no differentiation is left to do, only sums over samples. With r the residual,

    H = 2/S (J'J + sum_s r_s d^2 out_s).

At a kink, where a node is 0 on a sample, there is no Hessian. The loss still has a curvature in each direction, which
is that of the side the direction leads to; what is meant by the largest curvature there is the largest of these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.networks.layout import Layout

FloatArray: TypeAlias = NDArray[np.float64]

MOST_TURNS: Final = 30
SHARES_OF_A_TURN: Final = (1.0, 0.5, 0.25, 0.125, 0.03, 0.01)
"""Parts of the way to a side's leading direction that are tried, until one is steeper."""
AT_A_KINK: Final = 1e-12
"""A node's input below this part of its layer's largest is 0 but for rounding: scaling a network must not switch it."""


def hessian(
    layout: Layout,
    network: FloatArray,
    x: FloatArray,
    y: FloatArray,
    towards: FloatArray | None = None,
    *,
    kinks: float = 0.0,
    check: Check = unchecked,
) -> FloatArray:
    """The Hessian of one network's mean squared error, [parameter, parameter], symmetric.

    Args:
        layout: its shape.
        network: [parameter].
        x: [sample].
        y: [sample].
        towards: [parameter], the direction whose side is taken where the network is at a kink.
        kinks: the slope of a ReLU at 0 where no direction is given.
        check: called for every pair of layers.
    """
    parts = layout.parts(network)
    switched = _pattern(layout, network, x, towards, kinks)
    samples = x.size
    one = np.ones((samples, 1))
    inputs, masks = [np.hstack([x[:, None], one])], []  # activations with a 1 beside them, by layer
    z = inputs[0] @ np.vstack(parts[0])
    for weights, mask in zip(map(np.vstack, parts[1:]), switched, strict=True):
        masks.append(mask)
        inputs.append(np.hstack([z * masks[-1], one]))
        z = inputs[-1] @ weights
    residual = z[:, 0] - y
    errors = [np.ones((samples, 1))]  # d out / d z by layer, from the last to the first
    for (weights, _), mask in zip(reversed(parts[1:]), reversed(masks), strict=True):
        errors.append(mask * (errors[-1] @ weights.T))
    errors.reverse()
    blocks = [slice(w.start, b.stop) for w, b in layout.slices]
    jacobian = np.empty((samples, layout.size))
    for block, a, delta in zip(blocks, inputs, errors, strict=True):
        jacobian[:, block] = (a[:, :, None] * delta[:, None, :]).reshape(samples, -1)
    second = np.zeros((layout.size, layout.size))
    for low in range(layout.layers):
        weighted = residual[:, None] * inputs[low]
        # d a_(high-1) / d z_low, [sample, node of low, node of high - 1]
        through = masks[low][:, :, None] * np.eye(layout.width)
        for high in range(low + 1, layout.layers + 1):
            check()
            if high > low + 1:
                through = (through @ parts[high - 1][0]) * masks[high - 1][:, None, :]
            outer = through[:, :, :, None] * errors[high][:, None, None, :]
            mixed = weighted.T @ outer.reshape(samples, -1)
            mixed = mixed.reshape(weighted.shape[1] * layout.width, layout.width * errors[high].shape[1])
            columns = slice(blocks[high].start, blocks[high].start + mixed.shape[1])  # biases do not come in
            second[blocks[low], columns] = mixed
    return np.asarray((2.0 / samples) * (jacobian.T @ jacobian + second + second.T))


def _pattern(
    layout: Layout, network: FloatArray, x: FloatArray, towards: FloatArray | None, kinks: float
) -> list[FloatArray]:
    """Which nodes are on, 1 or 0, [sample, node] by layer, on the side that a direction leads to."""
    value, motion = x[:, None], np.zeros((x.size, 1))
    masks = []
    moves = layout.parts(np.zeros_like(network) if towards is None else towards)
    for (weights, biases), (turn, shift) in zip(layout.parts(network)[:-1], moves[:-1], strict=True):
        z = value @ weights + biases
        dz = motion @ weights + value @ turn + shift
        size = AT_A_KINK * np.abs(z).max(initial=0.0)
        side = np.full_like(z, kinks) if towards is None else (dz > 0).astype(float)
        mask = np.where(np.abs(z) <= size, side, z > 0)
        masks.append(mask)
        value, motion = z * mask, dz * mask
    return masks


def largest_curvature(
    layout: Layout,
    network: FloatArray,
    x: FloatArray,
    y: FloatArray,
    check: Check = unchecked,
    report: Callable[[], None] = unchecked,
) -> tuple[float, FloatArray]:
    """The largest curvature of the loss in any direction, to the side that it leads to, and the direction.

    Away from kinks this is the Hessian's largest eigenvalue. At one, a direction chooses the side, that side's Hessian
    has a leading direction, and so on until they agree; begun to both sides. The leading direction of a side may lie
    beyond it, where the loss is less steep: then only a part of the way is gone, so that the curvature never falls.
    What is found is a maximum that no turn improves, which is proven to be the largest only away from kinks.

    Args:
        layout: the network's shape.
        network: [parameter].
        x: [sample].
        y: [sample].
        check: called within every Hessian, and before its eigenvectors.
        report: called after every leading direction found, of which there are mostly five, and three at the least.
    """
    best, direction = -np.inf, np.zeros(layout.size)

    def towards(side: FloatArray | None) -> FloatArray:
        return hessian(layout, network, x, y, side, check=check)

    def leading(matrix: FloatArray) -> FloatArray:
        check()
        vector = np.asarray(np.linalg.eigh(matrix)[1][:, -1])
        report()
        return vector

    first = leading(towards(None))
    for now in (first, -first):
        here = towards(now)
        curvature = float(now @ here @ now)
        for _ in range(MOST_TURNS):
            ahead = leading(here)
            ahead = ahead if ahead @ now >= 0 else -ahead
            if ahead @ now > 1 - 1e-12:
                break
            # The last one is a step of power iteration, for where the steepest direction lies between two sides.
            places = [now + share * (ahead - now) for share in SHARES_OF_A_TURN] + [here @ now]
            for place in places:
                turned = place / max(float(np.linalg.norm(place)), np.finfo(float).tiny)
                there = towards(turned)
                steeper = float(turned @ there @ turned)
                if steeper > curvature + 1e-10 * abs(curvature):
                    break
            else:
                break
            now, here, curvature = turned, there, steeper
        if curvature > best:
            best, direction = curvature, now
    return best, direction


def gauss_newton(layout: Layout, network: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """The part of the Hessian without second derivatives of the output, which is all of it at a perfect fit."""
    return hessian(layout, network, x, _answers(layout, network, x))


def _answers(layout: Layout, network: FloatArray, x: FloatArray) -> FloatArray:
    from tui_opt.kernels.networks.plain import outputs

    return outputs(layout, network, x)


def kink_margin(layout: Layout, network: FloatArray, x: FloatArray) -> float:
    """Least distance of any node from switching on any sample, as a change of its input; 0 at a kink."""
    values = x[:, None]
    least = np.inf
    for weights, biases in layout.parts(network)[:-1]:
        z = values @ weights + biases
        least = min(least, float(np.abs(z).min()))
        values = np.maximum(z, 0.0)
    return least
