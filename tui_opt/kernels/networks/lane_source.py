"""The source of the kernel that trains networks in lanes, written for a layout.

Everything of sixteen networks lies in one buffer, layer after layer: weights and biases, their gradients, and the
activations of a few samples, which the backward pass replaces by errors. A layer is one loop body over the lanes in
which every sample's errors stay in registers and every weight and gradient is loaded once. All places in it are at
constant distances, so that the compiler needs no checks whether they overlap; the inner layers share one body, which is
short enough for what the processor keeps of decoded instructions. Sums are fused multiply-adds in the order written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tui_opt.kernels.networks.layout import Layout

LANES: Final = 16
REGISTERS: Final = 32
MOST_SAMPLES: Final = 4
GRADIENT_ONLY: Final = 3
"""The optimizer of the kernel that takes no step, and leaves the gradient in its state."""


_NAME: Final = re.compile(r"\b[a-z]\w*\b")


def samples_at_once(layout: Layout) -> int:
    """Samples of a pass: as many as have their errors, and what else a layer needs, in registers."""
    return max(1, min(MOST_SAMPLES, (REGISTERS - 2) // (layout.width + 2)))


@dataclass(frozen=True)
class Places:
    """Where things are in the buffer, in vectors of LANES numbers.

    Args:
        layout: the networks' shape.
    """

    layout: Layout

    @property
    def activations(self) -> int:
        """Vectors of a layer's activations, of all samples of a pass."""
        return self.layout.width * samples_at_once(self.layout)

    def parameters(self, layer: int) -> int:
        """Number of a layer's weights and biases."""
        inputs, outputs = self.layout.sizes[layer]
        return (inputs + 1) * outputs

    def start(self, layer: int) -> int:
        """The first weight of a layer; its gradients follow its biases, its activations those."""
        return sum(2 * self.parameters(before) + self.activations for before in range(layer))

    @property
    def loss(self) -> int:
        """The loss, the last of all."""
        return self.start(self.layout.layers) + 2 * self.parameters(self.layout.layers)


def buffer_size(layout: Layout) -> int:
    """Numbers in the buffer."""
    return LANES * (Places(layout).loss + 1)


def source(layout: Layout) -> str:
    """The module that trains networks of a layout."""
    places, samples = Places(layout), samples_at_once(layout)
    layers = range(layout.layers + 1)
    values = {
        "layers": layout.layers,
        "width": layout.width,
        "lanes": LANES,
        "size": layout.size,
        "samples": samples,
        "loss": places.loss * LANES,
        "gradient_only": GRADIENT_ONLY,
        "constants": _constants(places),
        "parameters": tuple(places.parameters(layer) for layer in layers),
        "starts": tuple(places.start(layer) for layer in layers),
        "last": places.start(layout.layers) * LANES,
        "inner": places.start(1) * LANES,
        "stride": (places.start(2) - places.start(1)) * LANES if layout.layers > 1 else 0,
        "samples_loaded": "\n".join(
            f"            x{r} = xs[s + {r}]\n            y{r} = ys[s + {r}]\n            c{r} = counts[s + {r}]"
            for r in range(samples)
        ),
        "first_forward": _body(_first_forward(places), "A", 16),
        "inner_forward": _inner(_inner_forward(places), "B", layout),
        "output": _body(_output(places), "C", 16),
        "inner_backward": _inner(_inner_backward(places), "D", layout),
        "first_backward": _body(_first_backward(places), "E", 16),
    }
    return _MODULE.format(**values)


def _body(lines: Iterator[str], name: str, columns: int) -> str:
    """The lines of a loop over the lanes, `p` being the place of a lane in the layer."""
    return "\n".join(
        " " * columns + line.replace("[p ", f"[p{name} ") for line in _each_name_once(lines, name)
    )


def _inner(lines: Iterator[str], name: str, layout: Layout) -> str:
    """The body of the inner layers; of networks without any, whose buffer may end before it would, nothing."""
    return _body(lines, name, 20) if layout.layers > 1 else " " * 20 + "pass"


def _at(place: int) -> str:
    """A vector of the buffer, `place` vectors after where the layer begins."""
    return f"b[p + C{place}]" if place >= 0 else f"b[p - C{-place}]"


def _constants(places: Places) -> str:
    """Distances in the buffer. As calls in the loop each would be typed by itself, and compiling take twice as long."""
    return "\n".join(f"C{place} = np.uint64({LANES * place})" for place in range(places.loss + 1))


def _each_name_once(lines: Iterator[str], body: str) -> Iterator[str]:
    """The same lines with a new name wherever a name is given a new value, which the compiler would do far slower."""
    version: dict[str, int] = {}
    for line in lines:
        left, right = line.split(" = ", 1)
        right = _NAME.sub(lambda m: f"{m[0]}_{body}{version[m[0]]}" if m[0] in version else m[0], right)
        if _NAME.fullmatch(left):
            version[left] = version.get(left, -1) + 1
            left = f"{left}_{body}{version[left]}"
        yield f"{left} = {right}"


def _activation(places: Places, layer_end: int, node: int, sample: int) -> str:
    """An activation of the layer whose part of the buffer ends at `layer_end`."""
    samples = samples_at_once(places.layout)
    return _at(layer_end - places.activations + node * samples + sample)


def _first_forward(places: Places) -> Iterator[str]:
    width, end = places.layout.width, places.start(1)
    for j in range(width):
        yield f"t = {_at(j)}"
        yield f"h = {_at(width + j)}"
        for r in range(samples_at_once(places.layout)):
            yield f"z = h + x{r} * t"
            yield f"{_activation(places, end, j, r)} = rectified(z)"


def _inner_forward(places: Places) -> Iterator[str]:
    """One layer from its inputs, which end where it begins, at `base`."""
    width, samples = places.layout.width, range(samples_at_once(places.layout))
    parameters = width * (width + 1)
    end = 2 * parameters + places.activations
    for i in range(width):
        for r in samples:
            yield f"a{i}_{r} = {_activation(places, 0, i, r)}"
    for j in range(width):
        yield f"t = {_at(width * width + j)}"
        for r in samples:
            yield f"z{r} = t"
        for i in range(width):
            yield f"t = {_at(i * width + j)}"
            for r in samples:
                yield f"z{r} = z{r} + a{i}_{r} * t"
        for r in samples:
            yield f"{_activation(places, end, j, r)} = rectified(z{r})"


def _output(places: Places) -> Iterator[str]:
    """The output, the loss, the output layer's gradients, and the last hidden layer's errors."""
    width, samples = places.layout.width, range(samples_at_once(places.layout))
    start = places.start(places.layout.layers)
    for i in range(width):
        for r in samples:
            yield f"a{i}_{r} = {_activation(places, start, i, r)}"
    yield f"t = {_at(start + width)}"
    for r in samples:
        yield f"o{r} = t - y{r}"
    for i in range(width):
        yield f"t = {_at(start + i)}"
        for r in samples:
            yield f"o{r} = o{r} + a{i}_{r} * t"
    yield f"s = {_at(places.loss)}"
    for r in samples:
        yield f"e{r} = o{r} * c{r}"
        yield f"s = s + o{r} * e{r}"
        yield f"e{r} = two * e{r}"
    yield f"{_at(places.loss)} = s"
    gradients = start + width + 1
    yield f"g = {_at(gradients + width)}"
    for r in samples:
        yield f"g = g + e{r}"
    yield f"{_at(gradients + width)} = g"
    for i in range(width):
        yield f"t = {_at(start + i)}"
        yield f"g = {_at(gradients + i)}"
        for r in samples:
            yield f"g = g + a{i}_{r} * e{r}"
            yield f"{_activation(places, start, i, r)} = masked(t * e{r}, a{i}_{r})"
        yield f"{_at(gradients + i)} = g"


def _inner_backward(places: Places) -> Iterator[str]:
    """Gradients of one layer from its errors, and the errors of the layer before in place of its activations."""
    width, samples = places.layout.width, range(samples_at_once(places.layout))
    parameters = width * (width + 1)
    end = 2 * parameters + places.activations
    for j in range(width):
        bias = _at(parameters + width * width + j)
        yield f"g = {bias}"
        for r in samples:
            yield f"d{j}_{r} = {_activation(places, end, j, r)}"
            yield f"g = g + d{j}_{r}"
        yield f"{bias} = g"
    for i in range(width):
        for r in samples:
            yield f"a{r} = {_activation(places, 0, i, r)}"
        for j in range(width):
            yield f"t = {_at(i * width + j)}"
            gradient = _at(parameters + i * width + j)
            yield f"g = {gradient}"
            for r in samples:
                yield f"g = g + a{r} * d{j}_{r}"
                yield f"h{r} = t * d{j}_{r}" if j == 0 else f"h{r} = h{r} + t * d{j}_{r}"
            yield f"{gradient} = g"
        for r in samples:
            yield f"{_activation(places, 0, i, r)} = masked(h{r}, a{r})"


def _first_backward(places: Places) -> Iterator[str]:
    width, end = places.layout.width, places.start(1)
    for j in range(width):
        yield f"g = {_at(2 * width + j)}"
        yield f"h = {_at(3 * width + j)}"
        for r in range(samples_at_once(places.layout)):
            yield f"d = {_activation(places, end, j, r)}"
            yield f"g = g + x{r} * d"
            yield "h = h + d"
        yield f"{_at(2 * width + j)} = g"
        yield f"{_at(3 * width + j)} = h"


_MODULE: Final = '''\
"""{layers} x {width} networks in {lanes} lanes. Written by a program; edits are discarded."""

import numba
import numpy as np

from tui_opt.kernels.vector_width import widest_vectors

U = np.uint64
F = np.float32
LANES = {lanes}
SIZE = {size}
PARAMETERS = {parameters}
STARTS = {starts}
LOSS = {loss}
{constants}
OPTIONS = {{"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {{"contract", "nsz"}}}}
# Part of the caller's code: the process that compiles would else call a function of its own, and those that find the
# caller in the cache the copy in there, whose products may be fused with other sums.
PART = {{**OPTIONS, "forceinline": True}}


@numba.njit(**PART)
def rectified(z):
    return z if z > F(0) else F(0)


@numba.njit(**PART)
def masked(value, activation):
    return value if activation > F(0) else F(0)


@numba.njit(**OPTIONS)
def enter(networks, b):
    place = 0
    for layer in range({layers} + 1):
        for q in range(PARAMETERS[layer]):
            for k in range(LANES):
                b[(STARTS[layer] + q) * LANES + k] = networks[min(k, networks.shape[0] - 1), place]
            place += 1


@numba.njit(**OPTIONS)
def leave(b, shift, networks):
    place = 0
    for layer in range({layers} + 1):
        for q in range(PARAMETERS[layer]):
            for k in range(networks.shape[0]):
                networks[k, place] = b[(STARTS[layer] + shift * PARAMETERS[layer] + q) * LANES + k]
            place += 1


@numba.njit(**OPTIONS)
def enter_state(state, v):
    for q in range(SIZE):
        for k in range(LANES):
            v[q * LANES + k] = state[min(k, state.shape[0] - 1), q]


@numba.njit(**OPTIONS)
def leave_state(v, state):
    for k in range(state.shape[0]):
        for q in range(SIZE):
            state[k, q] = v[q * LANES + k]


@numba.njit(**PART)
def momentum(b, v, rate, mu):
    widest_vectors()
    place = 0
    for layer in range({layers} + 1):
        n = PARAMETERS[layer] * LANES
        first = STARTS[layer] * LANES
        for q in range(n):
            v[place + q] = mu * v[place + q] - rate * b[first + n + q]
            b[first + q] += v[place + q]
        place += n


@numba.njit(**PART)
def adadelta(b, squares, moves, rate, rho, epsilon):
    widest_vectors()
    rest = F(1) - rho
    place = 0
    for layer in range({layers} + 1):
        n = PARAMETERS[layer] * LANES
        first = STARTS[layer] * LANES
        for q in range(n):
            g = b[first + n + q]
            square = rho * squares[place + q] + rest * g * g
            move = g * np.sqrt((moves[place + q] + epsilon) / (square + epsilon))
            squares[place + q] = square
            b[first + q] -= rate * move
            moves[place + q] = rho * moves[place + q] + rest * move * move
        place += n


@numba.njit(**PART)
def adam(b, means, squares, rate, epsilon, beta1, beta2, power):
    widest_vectors()
    step = F(rate / (1.0 - np.float64(beta1) ** power))
    scale = F(1.0 / (1.0 - np.float64(beta2) ** power))
    place = 0
    for layer in range({layers} + 1):
        n = PARAMETERS[layer] * LANES
        first = STARTS[layer] * LANES
        for q in range(n):
            g = b[first + n + q]
            mean = beta1 * means[place + q] + (F(1) - beta1) * g
            square = beta2 * squares[place + q] + (F(1) - beta2) * g * g
            means[place + q] = mean
            squares[place + q] = square
            b[first + q] -= step * mean / (np.sqrt(square * scale) + epsilon)
        place += n


@numba.njit(**OPTIONS)
def train(optimizer, networks, state, xs, ys, counts, steps, taken, constants, loss, b):
    widest_vectors()
    zero = F(0)
    two = F(2)
    rate, mu, rho, epsilon = constants[0], constants[1], constants[2], constants[3]
    first_state, second_state = np.zeros(SIZE * LANES, F), np.zeros(SIZE * LANES, F)
    enter(networks, b)
    enter_state(state[0], first_state)
    if state.shape[0] > 1:
        enter_state(state[1], second_state)
    for t in range(steps):
        for layer in range({layers} + 1):
            first = (STARTS[layer] + PARAMETERS[layer]) * LANES
            for q in range(first, first + PARAMETERS[layer] * LANES):
                b[q] = zero
        for q in range(LOSS, LOSS + LANES):
            b[q] = zero
        for s in range(0, xs.size, {samples}):
{samples_loaded}
            for k in range(U(LANES)):
                pA = k
{first_forward}
            base = U({inner})
            for _ in range({layers} - 1):
                for k in range(U(LANES)):
                    pB = base + k
{inner_forward}
                base += U({stride})
            for k in range(U(LANES)):
                pC = k
{output}
            for _ in range({layers} - 1):
                base -= U({stride})
                for k in range(U(LANES)):
                    pD = base + k
{inner_backward}
            for k in range(U(LANES)):
                pE = k
{first_backward}
        if optimizer == 0:
            momentum(b, first_state, rate, mu)
        elif optimizer == 1:
            adadelta(b, first_state, second_state, rate, rho, epsilon)
        elif optimizer == 2:
            adam(b, first_state, second_state, rate, epsilon, constants[4], constants[5], taken + t + 1)
    if optimizer == {gradient_only}:
        leave(b, 1, state[0])
    else:
        leave(b, 0, networks)
        leave_state(first_state, state[0])
        if state.shape[0] > 1:
            leave_state(second_state, state[1])
    for k in range(loss.size):
        loss[k] = b[LOSS + k]
'''
