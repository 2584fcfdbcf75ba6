"""The scaling of a ReLU network's nodes that makes its parameters smallest, at the same function.

A node's inputs and bias may be multiplied by c > 0 and its outputs divided by c. With c = exp(u) the squared norm is

    F(u) = sum W_ij^2 exp(2 (u_j - u_i)) + sum b_j^2 exp(2 u_j),

a sum of exponentials of linear functions and so convex: Newton's method finds its minimum, where every node's inputs
(with the bias) have the norm of its outputs, which is the certificate. A node without inputs, or without outputs, has
no smallest scaling; it does nothing, and is taken away, with whatever that leaves without inputs or outputs.

Badrinarayanan, Mishra, Cipolla (2015), Symmetry-invariant optimization in deep networks; Gamst and Walker (2017).
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.networks.layout import Layout

FloatArray: TypeAlias = NDArray[np.float64]

SWEEPS: Final = 4
"""Rounds of exact minimisation over one layer's nodes after the other, before Newton's method."""
MOST_STEPS: Final = 100
NEAR: Final = 1e-3
"""Newton steps below this, in every logarithm, are always taken."""
TOLERANCE: Final = 1e-13
"""Largest |in^2 - out^2| of a node, as a part of the network's squared norm, at which it is balanced."""


def without_idle_nodes(layout: Layout, networks: FloatArray) -> FloatArray:
    """The same functions, with every parameter of a node that has no inputs or no outputs set to 0.

    Args:
        layout: the networks' shape.
        networks: [network, parameter].
    """
    networks = networks.copy()
    parts = layout.parts(networks)
    changed = True
    while changed:
        changed = False
        for layer in range(layout.layers):
            (weights, biases), (after, _) = parts[layer], parts[layer + 1]
            no_inputs = ~np.any(weights, axis=-2) & (biases <= 0)  # a negative bias alone never switches on
            idle = no_inputs | ~np.any(after, axis=-1)
            used = np.any(weights, axis=-2) | (biases != 0) | np.any(after, axis=-1)
            if np.any(idle & used):
                changed = True
                weights *= ~idle[:, None, :]
                biases *= ~idle
                after *= ~idle[:, :, None]
    return networks


def balance(layout: Layout, networks: FloatArray) -> FloatArray:
    """|in|^2 - |out|^2 of every hidden node, [network, layer, node]; zero at the smallest scaling."""
    parts = layout.parts(networks)
    return np.stack(
        [
            np.square(parts[layer][0]).sum(axis=-2)
            + np.square(parts[layer][1])
            - np.square(parts[layer + 1][0]).sum(axis=-1)
            for layer in range(layout.layers)
        ],
        axis=-2,
    )


def scaled(layout: Layout, networks: FloatArray, logarithms: FloatArray) -> FloatArray:
    """Every node's inputs times exp(u) and its outputs over it; `logarithms` is u, [network, layer, node]."""
    networks = networks.copy()
    factors = np.exp(logarithms)
    parts = layout.parts(networks)
    for layer, (weights, biases) in enumerate(parts):
        if layer < layout.layers:
            weights *= factors[:, layer, None, :]
            biases *= factors[:, layer]
        if layer > 0:
            weights /= factors[:, layer - 1, :, None]
    return networks


def smallest(layout: Layout, networks: FloatArray) -> FloatArray:
    """The scaling with the smallest norm, idle nodes taken away; the function stays to rounding.

    Args:
        layout: the networks' shape.
        networks: [network, parameter].

    Returns: networks of the same functions, [network, parameter].
    """
    found = without_idle_nodes(layout, networks)
    for _ in range(SWEEPS):
        for layer in range(layout.layers):
            found = _balanced_layer(layout, found, layer)
    unfinished = np.arange(len(found))
    for _ in range(MOST_STEPS):
        gradient, hessian = _derivatives(layout, found[unfinished])
        norm = np.square(found[unfinished]).sum(axis=1)
        wrong = np.abs(gradient).max(axis=1, initial=0.0) > 2 * TOLERANCE * np.maximum(
            norm, np.finfo(float).tiny
        )
        unfinished = unfinished[wrong]
        if not unfinished.size:
            break
        step = -np.linalg.solve(hessian[wrong], gradient[wrong][..., None])[..., 0]
        # F is self-concordant enough: a step of at most 1 in every logarithm stays where its model holds.
        step /= np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True))
        shape = (unfinished.size, layout.layers, layout.width)
        moved = scaled(layout, found[unfinished], step.reshape(shape))
        # Near the minimum the norm no longer tells better from worse, and the step converges by itself.
        good = (np.square(moved).sum(axis=1) <= norm[wrong]) | (np.abs(step).max(axis=1) < NEAR)
        found[unfinished[good]] = moved[good]
        rest = unfinished[~good]
        for layer in range(layout.layers):
            found[rest] = _balanced_layer(layout, found[rest], layer)
    return found


def _balanced_layer(layout: Layout, networks: FloatArray, layer: int) -> FloatArray:
    """The smallest scaling of one layer's nodes, the others kept: c^2 = |out| / |in|."""
    parts = layout.parts(networks)
    inside = np.square(parts[layer][0]).sum(axis=-2) + np.square(parts[layer][1])
    outside = np.square(parts[layer + 1][0]).sum(axis=-1)
    alive = (inside > 0) & (outside > 0)
    logarithms = np.zeros((len(networks), layout.layers, layout.width))
    ratio = np.divide(outside, inside, out=np.ones_like(inside), where=alive)
    logarithms[:, layer] = 0.25 * np.log(ratio)
    return scaled(layout, networks, logarithms)


def _derivatives(layout: Layout, networks: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Gradient [network, node] and Hessian [network, node, node] of F at u = 0, nodes layer by layer."""
    nodes = layout.layers * layout.width
    parts = layout.parts(networks)
    hessian = np.zeros((len(networks), nodes, nodes))
    diagonal = np.arange(nodes)
    for layer in range(layout.layers):
        here = slice(layer * layout.width, (layer + 1) * layout.width)
        squares = np.square(parts[layer + 1][0])
        inside = np.square(parts[layer][0]).sum(axis=-2) + np.square(parts[layer][1])
        hessian[:, diagonal[here], diagonal[here]] += 4.0 * (inside + squares.sum(axis=-1))
        if layer + 1 < layout.layers:
            after = slice(here.stop, here.stop + layout.width)
            hessian[:, here, after] -= 4.0 * squares
            hessian[:, after, here] -= 4.0 * np.swapaxes(squares, -1, -2)
    gradient = 2.0 * balance(layout, networks).reshape(len(networks), nodes)
    idle = hessian[:, diagonal, diagonal] == 0
    hessian[:, diagonal, diagonal] += idle
    return gradient, hessian
