"""Gradient descent on one image at a time, with sums of the absolute updates of every parameter by class.

An image is a constant plus some 150 pixels that differ from it. The constant's part of an update is the same for all
weights of a unit: it is carried as one number per unit and added when the weights are asked for, and so is the sum of
a unit's weights, which is all that the constant's part of its input needs. What is left touches the drawn pixels only:
the arithmetic is exact, and five times less of it. The same holds for the sums of absolute updates, for inputs are
positive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeAlias

import numba as nb
import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.localization.network import FUNCTIONS, LEAK, OUTPUTS, Network, Tallies
from tui_opt.kernels.localization.pixels import Pixels

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
Check: TypeAlias = Callable[[], None]

SLICE: Final = 50_000_000
"""Multiplications before the first look at whether to stop."""
LOOK: Final = 0.06
"""Seconds between two looks."""
FOLD: Final = 1 << 17
"""Steps after which what is carried is added to the weights: rounding of running sums must not add up."""

_LINEAR, _SOFTPLUS, _RELU, _LEAKY, _SIGMOID, _TANH, _SILU, _SOFTMAX = range(len(FUNCTIONS))
_SOURCE = nb.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@_SOURCE
def _apply(kind: int, z: FloatArray, value: FloatArray, slope: FloatArray) -> None:
    """value = f(z) and slope = f'(z), in place."""
    for i in range(z.size):
        x = z[i]
        if kind == _SOFTPLUS:
            small = np.exp(-abs(x))
            value[i] = max(x, 0.0) + np.log1p(small)
            slope[i] = 1.0 / (1.0 + small) if x >= 0.0 else small / (1.0 + small)
        elif kind == _RELU:
            value[i] = max(x, 0.0)
            slope[i] = 1.0 if x > 0.0 else 0.0
        elif kind == _LEAKY:
            value[i] = x if x > 0.0 else LEAK * x
            slope[i] = 1.0 if x > 0.0 else LEAK
        elif kind in (_SIGMOID, _SILU):
            small = np.exp(-abs(x))
            s = 1.0 / (1.0 + small) if x >= 0.0 else small / (1.0 + small)
            if kind == _SIGMOID:
                value[i] = s
                slope[i] = s * (1.0 - s)
            else:
                value[i] = x * s
                slope[i] = s + x * s * (1.0 - s)
        elif kind == _TANH:
            t = np.tanh(x)
            value[i] = t
            slope[i] = 1.0 - t * t
        else:
            value[i] = x
            slope[i] = 1.0


@_SOURCE
def _receive(columns: NDArray[np.int32], x: FloatArray, weights: FloatArray, z: FloatArray) -> None:
    """Add what the drawn pixels give every unit; eight at a time, so that z is read and written an eighth as often."""
    eights = x.size // 8 * 8
    for place in range(0, eights, 8):
        x0, line0 = x[place + 0], weights[columns[place + 0]]
        x1, line1 = x[place + 1], weights[columns[place + 1]]
        x2, line2 = x[place + 2], weights[columns[place + 2]]
        x3, line3 = x[place + 3], weights[columns[place + 3]]
        x4, line4 = x[place + 4], weights[columns[place + 4]]
        x5, line5 = x[place + 5], weights[columns[place + 5]]
        x6, line6 = x[place + 6], weights[columns[place + 6]]
        x7, line7 = x[place + 7], weights[columns[place + 7]]
        for h in range(z.size):
            z[h] += (x0 * line0[h] + x1 * line1[h] + x2 * line2[h] + x3 * line3[h]) + (
                x4 * line4[h] + x5 * line5[h] + x6 * line6[h] + x7 * line7[h]
            )
    for place in range(eights, x.size):
        line = weights[columns[place]]
        for h in range(z.size):
            z[h] += x[place] * line[h]


@_SOURCE
def _output_error(kind: int, z: FloatArray, target: int, value: FloatArray, error: FloatArray) -> float:
    """dl/dz of the outputs into `error`; the loss: half the squared error, or cross-entropy behind a softmax."""
    loss = 0.0
    if kind == _SOFTMAX:
        most = z.max()
        total = 0.0
        for i in range(z.size):
            value[i] = np.exp(z[i] - most)
            total += value[i]
        for i in range(z.size):
            value[i] /= total
            error[i] = value[i] - (1.0 if i == target else 0.0)
        return float(np.log(total) - (z[target] - most))
    _apply(kind, z, value, error)
    for i in range(z.size):
        away = value[i] - (1.0 if i == target else 0.0)
        error[i] *= away
        loss += 0.5 * away * away
    return loss


@_SOURCE
def _descend(
    starts: IntArray,
    columns: NDArray[np.int32],
    values: FloatArray,
    sums: FloatArray,
    constant: float,
    samples: IntArray,
    classes: IntArray,
    targets: IntArray,
    hidden: int,
    output: int,
    rate: float,
    weights: FloatArray,
    carried: FloatArray,
    unit_sums: FloatArray,
    biases: FloatArray,
    output_weights: FloatArray,
    output_biases: FloatArray,
    tally: FloatArray,
    tally_carried: FloatArray,
    loss: FloatArray,
    trace: FloatArray,
    counted: bool,
) -> None:
    pixels, units = weights.shape
    z, active, slope, error = np.empty(units), np.empty(units), np.empty(units), np.empty(units)
    out, out_value, out_error = np.empty(OUTPUTS), np.empty(OUTPUTS), np.empty(OUTPUTS)
    for step in range(samples.size):
        image = samples[step]
        of_class = classes[step]
        first, last = starts[image], starts[image + 1]
        drawn = sums[image]
        for h in range(units):
            whole = unit_sums[h] + pixels * carried[h]
            z[h] = biases[h] + constant * whole + drawn * carried[h]
        _receive(columns[first:last], values[first:last], weights, z)
        _apply(hidden, z, active, slope)
        for o in range(OUTPUTS):
            total = output_biases[o]
            for h in range(units):
                total += output_weights[o, h] * active[h]
            out[o] = total
        loss[step] = _output_error(output, out, targets[step], out_value, out_error)
        for h in range(units):
            back = 0.0
            for o in range(OUTPUTS):
                back += out_error[o] * output_weights[o, h]
            error[h] = back * slope[h]
        if trace.shape[0] > 0:
            size = 0.0
            for o in range(OUTPUTS):
                size += out_error[o] * out_error[o]
            trace[step, units] = np.sqrt(size)
            for h in range(units):
                trace[step, h] = abs(error[h])
        for h in range(units):
            error[h] *= rate
        for o in range(OUTPUTS):
            change = rate * out_error[o]
            output_biases[o] -= change
            for h in range(units):
                output_weights[o, h] -= change * active[h]
        for h in range(units):
            biases[h] -= error[h]
            carried[h] -= constant * error[h]
            unit_sums[h] -= drawn * error[h]
        if counted:
            for h in range(units):
                active[h] = abs(error[h])
                tally_carried[of_class, h] += active[h]
            for place in range(first, last):
                x = values[place]
                line = weights[columns[place]]
                counts = tally[of_class, columns[place]]
                for h in range(units):
                    line[h] -= x * error[h]
                    counts[h] += x * active[h]
        else:
            for place in range(first, last):
                x = values[place]
                line = weights[columns[place]]
                for h in range(units):
                    line[h] -= x * error[h]


def _first_slice(pixels: Pixels, samples: IntArray, units: int) -> int:
    """Steps that should take less than `LOOK`."""
    drawn = int((pixels.starts[samples + 1] - pixels.starts[samples]).sum())
    return max(1, int(SLICE / (units * (3 * drawn / max(samples.size, 1) + 30))))


def train(
    network: Network,
    pixels: Pixels,
    samples: IntArray,
    classes: IntArray,
    targets: IntArray,
    *,
    activation: str,
    output: str,
    rate: float,
    tallies: Tallies | None = None,
    trace: FloatArray | None = None,
    check: Check = lambda: None,
    report: Callable[[int], None] = lambda steps: None,
) -> float:
    """Descend the loss of one image after the other.

    Args:
        network: is changed.
        pixels: the images.
        samples: [step], the image of each step.
        classes: [step], the class its update is counted under, from 0.
        targets: [step], the output that should be 1; the other should be 0.
        activation: of the hidden units, one of `FUNCTIONS` but softmax.
        output: of the output units; with softmax the loss is the cross-entropy, else half the squared error.
        rate: learning rate.
        tallies: absolute updates are added here, None where they are not wanted.
        trace: [step, unit + 1], takes |dl/dz| of each hidden unit, which is its bias's update over the learning rate,
            and in its last column the norm of dl/dz of the outputs; None where it is not wanted.
        check: called at least every tenth of a second, as long as a single step takes less.
        report: told as often how many steps were taken since it was told last.

    Returns: the mean loss of the samples, each before its update.
    """
    units = network.biases.size
    carried, unit_sums = np.zeros(units), network.weights.sum(axis=0)
    if tallies is None:
        tally, tally_biases = np.zeros((0, 0, 0)), np.zeros((0, 0))
    else:
        tally, tally_biases = tallies.weights, np.zeros_like(tallies.biases)
    losses, none = np.empty(samples.size), np.empty((0, 0))
    begin, steps = 0, _first_slice(pixels, samples, units)
    while begin < samples.size:
        check()
        began = time.perf_counter()
        part = slice(begin, min(begin + steps, begin + FOLD - begin % FOLD, samples.size))
        _descend(
            pixels.starts,
            pixels.columns,
            pixels.values,
            pixels.sums,
            pixels.constant,
            samples[part],
            classes[part],
            targets[part],
            FUNCTIONS.index(activation),
            FUNCTIONS.index(output),
            rate,
            network.weights,
            carried,
            unit_sums,
            network.biases,
            network.output_weights,
            network.output_biases,
            tally,
            tally_biases,
            losses[part],
            none if trace is None else trace[part],
            tallies is not None,
        )
        taken, begin = part.stop - begin, part.stop
        report(taken)
        # How long steps take is not known beforehand: wide layers wait for memory, and others use the machine, too.
        fitting = int(taken * LOOK / max(time.perf_counter() - began, 1e-9))
        steps = max(1, min(fitting, 2 * steps))
        if begin % FOLD == 0:
            network.weights += carried
            carried[:] = 0.0
            unit_sums = network.weights.sum(axis=0)
    network.weights += carried
    total = float(losses.sum())
    if tallies is not None:
        tallies.biases += tally_biases
        tallies.weights += pixels.constant * tally_biases[:, None, :]
        tallies.loss += total
        tallies.samples += samples.size
    return total / max(samples.size, 1)
