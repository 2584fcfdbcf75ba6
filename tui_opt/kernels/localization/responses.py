"""What hidden units respond to, which units of two networks are alike, and which images pull which way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats
from scipy.optimize import linear_sum_assignment

from tui_opt.kernels.localization.network import LEAK, Network

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
Signature: TypeAlias = Literal["raw", "rank", "normalised"]
Look: TypeAlias = Callable[[float], None]
"""Called after every slice of some work with how much more of it is done; parts of 1."""

RANKED: Final = 200_000
"""Entries ranked between two looks at whether to stop."""
SCALED: Final = 2_000_000
"""Entries whose means and norms are taken between two looks."""
MULTIPLIED: Final = 500_000_000
"""Products between two looks."""
DIGITS: Final = 12
"""Of correlations that are compared."""
STANDARDISED: Final = 0.1
"""Part of finding correlations that is taking means and norms of each side."""


def _unseen(part: float) -> None:
    """Nobody looks."""


def activation_of(kind: str, z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """f(z) and f'(z) of many units and images at once."""
    if kind == "softplus":
        return np.logaddexp(0.0, z), special.expit(z)
    if kind == "relu":
        return np.maximum(z, 0.0), (z > 0).astype(float)
    if kind == "leaky-relu":
        return np.where(z > 0, z, LEAK * z), np.where(z > 0, 1.0, LEAK)
    s = special.expit(z)
    if kind == "sigmoid":
        return s, s * (1.0 - s)
    if kind == "silu":
        return z * s, s + z * s * (1.0 - s)
    if kind == "tanh":
        t = np.tanh(z)
        return t, 1.0 - t * t
    return z, np.ones_like(z)


@dataclass(frozen=True)
class Passes:
    """A network's answers to images, forward and backward.

    Args:
        hidden: [image, unit], activations.
        hidden_error: [image, unit], dl/dz of the hidden units.
        output_error: [image, output], dl/dz of the outputs.
    """

    hidden: FloatArray
    hidden_error: FloatArray
    output_error: FloatArray


def passes(network: Network, inputs: FloatArray, targets: IntArray, activation: str, output: str) -> Passes:
    """Forward and backward through all images at once.

    Args:
        network: is not changed.
        inputs: [image, pixel].
        targets: [image], the output that should be 1.
        activation: of the hidden units.
        output: of the outputs; softmax goes with the cross-entropy.
    """
    hidden, slope = activation_of(activation, inputs @ network.weights + network.biases)
    z = hidden @ network.output_weights.T + network.output_biases
    wanted = np.eye(network.output_biases.size)[targets]
    if output == "softmax":
        error = special.softmax(z, axis=1) - wanted
    else:
        value, out_slope = activation_of(output, z)
        error = (value - wanted) * out_slope
    return Passes(hidden, (error @ network.output_weights) * slope, error)


def activations(network: Network, inputs: FloatArray, activation: str, look: Look = _unseen) -> FloatArray:
    """Activations of the hidden units, [image, unit], as those of `passes`; some images after the other.

    Args:
        network: is not changed.
        inputs: [image, pixel].
        activation: of the hidden units.
        look: called after every slice of the images.
    """
    images, height = len(inputs), max(1, MULTIPLIED // network.weights.size)
    found = np.empty((images, network.biases.size))
    for first in range(0, images, height):
        part = slice(first, first + height)
        found[part] = activation_of(activation, inputs[part] @ network.weights + network.biases)[0]
        look(len(found[part]) / images)
    return found


# --- matching -------------------------------------------------------------------------------------------------


def signatures(trace: FloatArray, kind: Signature, look: Look = _unseen) -> FloatArray:
    """Signatures of hidden units from the sizes of their biases' updates, image by image.

    All units share that some images are harder than others, which says nothing about a unit.

    Args:
        trace: [image, unit + 1], sizes of updates, and in the last column the norm of the outputs' error.
        kind: the sizes themselves, their ranks over the images, or divided by the outputs' error.
        look: called after every slice of the units.

    Returns: [image, unit].
    """
    sizes = trace[:, :-1]
    if kind == "rank":
        images, units = sizes.shape
        width = max(1, RANKED // max(images, 1))
        ranks = np.empty((images, units))
        for first in range(0, units, width):
            part = slice(first, first + width)
            ranks[:, part] = stats.rankdata(sizes[:, part], axis=0)
            look(min(width, units - first) / units)
        return ranks
    if kind == "normalised":
        sizes = sizes / np.maximum(trace[:, -1:], np.finfo(float).tiny)
    look(1.0)
    return np.asarray(sizes)


def correlations_between(a: FloatArray, b: FloatArray, look: Look = _unseen) -> FloatArray:
    """Correlation of every column of a with every column of b, over their rows; 0 for a column that does not vary.

    Args:
        a: [row, column].
        b: [row, column].
        look: called after every slice of the columns.
    """
    one, other = (_standard(side, lambda part: look(STANDARDISED * part)) for side in (a, b))
    height = max(1, MULTIPLIED // max(b.size, 1))
    found = np.empty((a.shape[1], b.shape[1]))
    for first in range(0, a.shape[1], height):
        part = slice(first, first + height)
        found[part] = one[:, part].T @ other
        look((1.0 - 2 * STANDARDISED) * len(found[part]) / len(found))
    return found


def _standard(x: FloatArray, look: Look = _unseen) -> FloatArray:
    rows, columns = x.shape
    found, width = np.empty((rows, columns)), max(1, SCALED // max(rows, 1))
    for first in range(0, columns, width):
        part = slice(first, first + width)
        away = x[:, part] - x[:, part].mean(axis=0)
        norm = np.sqrt(np.square(away).sum(axis=0))
        np.divide(away, norm, out=away, where=norm > 0)
        found[:, part] = away
        look(min(width, columns - first) / columns)
    return found


def profiles(hidden: FloatArray, classes: IntArray, number: int) -> FloatArray:
    """Mean activation of every unit by class, [class, unit]."""
    return np.stack([hidden[classes == c].mean(axis=0) for c in range(number)])


def matched(likeness: FloatArray) -> tuple[IntArray, IntArray]:
    """The pairing of rows with columns whose sum is largest (Kuhn 1955); of unequal numbers some stay alone.

    Units that few images update are alike to others to the last digit: which of these they get must not be a matter of
    rounding, which is not the same on every machine.
    """
    rows, columns = linear_sum_assignment(-np.round(likeness, DIGITS))
    return np.asarray(rows), np.asarray(columns)


def pair_scores(a: FloatArray, b: FloatArray) -> FloatArray:
    """Correlation of each column of a with the same column of b; NaN where one does not vary."""
    one, other = _standard(a), _standard(b)
    varies = one.any(axis=0) & other.any(axis=0)
    return np.where(varies, (one * other).sum(axis=0), np.nan)


def mean_of_known(values: FloatArray) -> float:
    """The mean of those that are numbers; NaN of none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


# --- influence ------------------------------------------------------------------------------------------------


def class_gradients(
    inputs: FloatArray, of: Passes, classes: IntArray, number: int
) -> tuple[FloatArray, FloatArray]:
    """Mean gradient of each class.

    Returns: that of the hidden layer, [class, pixel + 1, unit] with the biases last; and that of the output layer,
        [class, unit + 1, output].
    """
    hidden, output = [], []
    with_one = np.hstack([of.hidden, np.ones((len(of.hidden), 1))])
    for c in range(number):
        chosen = classes == c
        error = of.hidden_error[chosen] / max(int(chosen.sum()), 1)
        hidden.append(np.vstack([inputs[chosen].T @ error, error.sum(axis=0)]))
        output.append(with_one[chosen].T @ of.output_error[chosen] / max(int(chosen.sum()), 1))
    return np.stack(hidden), np.stack(output)


def tracin(
    train: tuple[FloatArray, FloatArray], held: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Inner products of mean gradients, of which TracIn is the sum over checkpoints, times the learning rate.

    The mean over pairs of images of the product of their gradients is the product of their means.
    Pruthi, Liu, Kale, Sundararajan (2020), Estimating training data influence by tracing gradient descent, eq. 1.

    Args:
        train: gradients of the classes learnt, as from `class_gradients`.
        held: of those held out.

    Returns: over all parameters, [class learnt, class held out]; and each hidden unit's own part of it, over its
        weights and bias, [class learnt, class held out, unit].
    """
    by_unit = np.einsum("apu,bpu->abu", train[0], held[0], optimize=True)
    return by_unit.sum(axis=2) + np.einsum("auo,buo->ab", train[1], held[1]), by_unit
