"""Which order of a network's nodes is meant: sorted by norm, or matched to another network's.

Nodes of a layer can be exchanged without changing the function. Sorting gives each network an order of its own, which
noise can turn over; matching chooses, for a given other network, the order that brings the two nearest.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tui_opt.kernels.callables import Check, unchecked
from tui_opt.kernels.networks.layout import Layout

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

MOST_LISTED: Final = 6
"""Up to this width all orders of a layer are compared at once; wider ones are assigned by the Hungarian method."""
MOST_ROUNDS: Final = 50


def permuted(layout: Layout, networks: FloatArray, orders: IntArray) -> FloatArray:
    """Networks in another order of nodes: node i of a layer is the one that was at orders[network, layer, i]."""
    networks = networks.copy()
    for layer in range(layout.layers):
        order = orders[:, layer]
        parts = layout.parts(networks)
        (weights, biases), (after, _) = parts[layer], parts[layer + 1]
        weights[:] = np.take_along_axis(weights, order[:, None, :], axis=2)
        biases[:] = np.take_along_axis(biases, order, axis=1)
        after[:] = np.take_along_axis(after, order[:, :, None], axis=1)
    return networks


def sorted_nodes(layout: Layout, networks: FloatArray) -> FloatArray:
    """Every layer's nodes by the norm of their input weights, the smallest first (Gamst and Walker 2017, 3.3)."""
    orders = [
        np.argsort(np.square(weights).sum(axis=-2), axis=1) for weights, _ in layout.parts(networks)[:-1]
    ]
    # A layer's norms do not depend on the order of the layer before.
    return permuted(layout, networks, np.stack(orders, axis=1))


def matched_nodes(
    layout: Layout,
    networks: FloatArray,
    target: FloatArray,
    rng: np.random.Generator,
    restarts: int = 20,
    check: Check = unchecked,
    report: Callable[[], None] = unchecked,
) -> FloatArray:
    """Networks with their nodes in the order nearest to a target.

    One layer after the other takes its best order while the others stay, until none changes; the first start is the
    order given, the others are drawn.

    Args:
        layout: the networks' shape.
        networks: [network, parameter].
        target: [parameter], or one for every network.
        rng: draws the starts.
        restarts: number of starts.
        check: called in every round of each.
        report: called after each.

    Returns: [network, parameter]; its distance to the target is never larger than the one given.
    """
    target = np.broadcast_to(target, networks.shape)
    number = len(networks)
    shape = (number, layout.layers, layout.width)
    best = networks.copy()
    distance = np.square(best - target).sum(axis=1)
    for start in range(restarts):
        orders = np.broadcast_to(np.arange(layout.width), shape)
        if start:
            orders = rng.permuted(orders, axis=2)
        found = _descend(layout, permuted(layout, networks, np.ascontiguousarray(orders)), target, check)
        now = np.square(found - target).sum(axis=1)
        nearer = now < distance
        best[nearer], distance[nearer] = found[nearer], now[nearer]
        report()
    return best


def _descend(layout: Layout, networks: FloatArray, target: FloatArray, check: Check) -> FloatArray:
    moving = np.arange(len(networks))
    networks = networks.copy()
    for _ in range(MOST_ROUNDS):
        check()
        changed = np.zeros(moving.size, dtype=bool)
        for layer in range(layout.layers):
            overlap = _overlap(layout, networks[moving], target[moving], layer)
            order = _assigned(overlap)
            changes = np.any(order != np.arange(layout.width), axis=1)
            if changes.any():
                orders = np.broadcast_to(
                    np.arange(layout.width), (moving.size, layout.layers, layout.width)
                ).copy()
                orders[:, layer] = order
                networks[moving] = permuted(layout, networks[moving], orders)
                changed |= changes
        moving = moving[changed]
        if not moving.size:
            break
    return networks


def _overlap(layout: Layout, networks: FloatArray, target: FloatArray, layer: int) -> FloatArray:
    """Inner products of everything at a target's node with everything at a network's, [network, target's, own]."""
    mine, theirs = layout.parts(networks), layout.parts(target)
    inside = np.swapaxes(theirs[layer][0], -1, -2) @ mine[layer][0]
    biases = theirs[layer][1][:, :, None] * mine[layer][1][:, None, :]
    outside = theirs[layer + 1][0] @ np.swapaxes(mine[layer + 1][0], -1, -2)
    return np.asarray(inside + biases + outside)


def _assigned(overlap: FloatArray) -> IntArray:
    """For each target's node the own one, so that overlaps sum to most; the given order where it is as good."""
    width = overlap.shape[-1]
    if width <= MOST_LISTED:
        listed = np.array(list(permutations(range(width))))
        sums = overlap[:, np.arange(width)[None, :], listed].sum(axis=2)
        best = np.argmax(sums, axis=1)  # the first of equals, and the given order is the first of all
        gain = sums[np.arange(len(sums)), best] - sums[:, 0]
        scale = np.abs(overlap).sum(axis=(1, 2))
        return np.asarray(listed[np.where(gain > 1e-12 * scale, best, 0)])
    found = np.empty(overlap.shape[:2], dtype=np.int64)
    for i, one in enumerate(overlap):
        _, columns = linear_sum_assignment(-one)
        better = one[np.arange(width), columns].sum() > np.trace(one) + 1e-12 * np.abs(one).sum()
        found[i] = columns if better else np.arange(width)
    return found
