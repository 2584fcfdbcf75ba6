"""Minibatch descent of a mean squared error in its few parameters, from many starts at once, in float64.

What makes it fast: all starts go through the same shuffled rows of an epoch while these are in the cache; values and
derivatives of a row of LANES samples are computed together, the named parts without a call into the C library.

The updates are those of torch.optim.SGD (plain and with momentum) and torch.optim.Adam.
References: B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; D. P. Kingma and
J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.fitting.parts import CODES, FloatArray, folded, value_and_slope
from tui_opt.kernels.lanes import LANES, row
from tui_opt.kernels.tape import PROGRAM_TYPES, Program, evaluate, execute, workspace

IntArray: TypeAlias = NDArray[np.int64]
Rule: TypeAlias = Literal["sgd", "momentum", "adam"]
RULES: Final = {"sgd": 0, "momentum": 1, "adam": 2}
_SGD: Final = 0
_MOMENTUM: Final = 1
_ADAM: Final = 2
_LOOK: Final = 3
_TAPE: Final = 4
"""Code in place of the first part where the model is a tape."""


@dataclass(frozen=True)
class Update:
    """How a gradient changes the parameters.

    Attributes:
        rule: which of `RULES`.
        learning_rate: step size.
        momentum: factor on the last step's direction.
        beta1, beta2, epsilon: of Adam.
    """

    rule: Rule
    learning_rate: float
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    @property
    def numbers(self) -> FloatArray:
        """As the kernel reads it."""
        return np.array([self.learning_rate, self.momentum, self.beta1, self.beta2, self.epsilon])


class NamedFit:
    """y against h1(p0 u) + h2(p1 v), or h1(p0 u) alone.

    Args:
        parts: h1, and h2 where there is one; of `CODES`.
        columns: u, and v; [samples] each.
        y: [samples].
    """

    def __init__(self, parts: tuple[str, ...], columns: tuple[FloatArray, ...], y: FloatArray) -> None:
        self.parts = parts
        self.parameters = len(parts)
        self.codes = np.array([CODES[p] for p in (*parts, "none")[:2]], dtype=np.int64)
        self.inputs = np.ascontiguousarray(np.array([columns[0], columns[-1]], dtype=np.float64))
        self.y = np.ascontiguousarray(y, dtype=np.float64)
        self.largest = np.max(np.abs(self.inputs), axis=1, initial=0.0)
        self.program = _NO_PROGRAM


class TapeFit:
    """y against a program whose outputs are the value and its derivatives by the last variables, the parameters.

    Args:
        program: variables are the columns and then the parameters.
        columns: [columns, samples].
        y: [samples].
    """

    def __init__(self, program: Program, columns: FloatArray, y: FloatArray) -> None:
        self.parameters = program.outputs.size - 1
        if program.n_variables != len(columns) + self.parameters:
            raise ValueError(f"The program has {program.n_variables} variables for {len(columns)} columns.")
        self.codes = np.array([_TAPE, 0], dtype=np.int64)
        self.inputs = np.ascontiguousarray(columns, dtype=np.float64)
        self.y = np.ascontiguousarray(y, dtype=np.float64)
        self.largest = np.zeros(2)
        self.loaded = program
        self.program = program.arrays


Fit: TypeAlias = NamedFit | TapeFit
_NO_PROGRAM: Final = (np.zeros((0, 4), dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.int64), 0, 0)


@row
def _row_values(
    codes: IntArray,
    largest: FloatArray,
    code: IntArray,
    outputs: IntArray,
    columns: int,
    inputs: FloatArray,
    begin: int,
    count: int,
    p: FloatArray,
    operands: FloatArray,
    found: FloatArray,
) -> None:
    """found[0] = model, found[1 + k] = its derivative by p[k], for the samples from `begin`; [1 + P, LANES].

    Lanes beyond `count` repeat the first sample.
    """
    if codes[0] == _TAPE:
        for k in range(columns):
            for i in range(LANES):
                operands[k, i] = inputs[k, begin + i] if i < count else inputs[k, begin]
        for k in range(p.size):
            for i in range(LANES):
                operands[columns + k, i] = p[k]
        execute(code, operands)
        for k in range(outputs.size):
            for i in range(LANES):
                found[k, i] = operands[outputs[k], i]
        return
    for k in range(p.size):
        if count == LANES:
            x = inputs[k, begin : begin + LANES]
        else:
            x = operands[k, :LANES]
            for i in range(count):
                x[i] = inputs[k, begin + i]
            for i in range(count, LANES):
                x[i] = inputs[k, begin]
        value_and_slope(
            codes[k], p[k], x, largest[k], found[0] if k == 0 else operands[2, :LANES], found[1 + k]
        )
    if p.size == 2:
        value, other = found[0], operands[2]
        for i in range(LANES):
            value[i] += other[i]


@row
def _gradient(
    codes: IntArray,
    largest: FloatArray,
    code: IntArray,
    outputs: IntArray,
    columns: int,
    inputs: FloatArray,
    y: FloatArray,
    begin: int,
    end: int,
    p: FloatArray,
    operands: FloatArray,
    found: FloatArray,
    terms: FloatArray,
    gradient: FloatArray,
) -> float:
    """The mean squared error over samples [begin, end), and its gradient."""
    loss = 0.0
    gradient[:] = 0.0
    for start in range(begin, end, LANES):
        count = min(LANES, end - start)
        _row_values(codes, largest, code, outputs, columns, inputs, start, count, p, operands, found)
        residual, here = found[0], y[start : start + count]
        if count == LANES:
            for i in range(LANES):
                residual[i] -= here[i]
        else:
            for i in range(count):
                residual[i] -= here[i]
            for i in range(count, LANES):
                residual[i] = 0.0
        for k in range(p.size):
            slope = found[1 + k]
            for i in range(LANES):
                terms[i] = residual[i] * slope[i]
            for i in range(count, LANES):
                terms[i] = 0.0  # a slope that is no number would make 0 times itself one
            gradient[k] += folded(terms)
        for i in range(LANES):
            terms[i] = residual[i] * residual[i]
        loss += folded(terms)
    for k in range(p.size):
        gradient[k] *= 2.0 / (end - begin)
    return loss / (end - begin)


@numba.njit(
    f"void(int64[::1], float64[::1], {PROGRAM_TYPES}, float64[:, ::1], float64[::1], int64, int64, float64[::1], "
    "int64, float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, :, ::1], float64[:, ::1])",
    nogil=True, cache=True, error_model="numpy",
)  # fmt: skip
def _epoch(
    codes: IntArray,
    largest: FloatArray,
    code: IntArray,
    constants: FloatArray,
    outputs: IntArray,
    n_variables: int,
    n_operands: int,
    inputs: FloatArray,
    y: FloatArray,
    batch: int,
    rule: int,
    numbers: FloatArray,
    steps_before: int,
    p: FloatArray,
    first: FloatArray,
    second: FloatArray,
    path: FloatArray,
    losses: FloatArray,
) -> None:
    """One epoch of every start; `path` and `losses` are filled where they have room for it.

    With the rule `_LOOK` nothing moves, and `path` is filled with gradients.
    """
    operands = workspace(constants, n_variables, max(n_operands, 3))
    found, terms = np.empty((1 + p.shape[1], LANES)), np.empty(LANES)
    columns = n_variables - p.shape[1]
    gradient = np.empty(p.shape[1])
    rate, momentum, beta1, beta2, epsilon = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    for s in range(p.shape[0]):
        step = steps_before
        for begin in range(0, y.size, batch):
            end = min(begin + batch, y.size)
            loss = _gradient(
                codes,
                largest,
                code,
                outputs,
                columns,
                inputs,
                y,
                begin,
                end,
                p[s],
                operands,
                found,
                terms,
                gradient,
            )
            step += 1
            for k in range(p.shape[1]):
                g = gradient[k]
                if rule == _MOMENTUM:
                    first[s, k] = momentum * first[s, k] + g
                    p[s, k] -= rate * first[s, k]
                elif rule == _ADAM:
                    first[s, k] = beta1 * first[s, k] + (1.0 - beta1) * g
                    second[s, k] = beta2 * second[s, k] + (1.0 - beta2) * g * g
                    root = np.sqrt(second[s, k]) / np.sqrt(1.0 - beta2**step) + epsilon
                    p[s, k] -= rate / (1.0 - beta1**step) * first[s, k] / root
                elif rule == _SGD:
                    p[s, k] -= rate * g
            at = step - steps_before - 1
            if at < path.shape[1]:
                for k in range(p.shape[1]):
                    path[s, at, k] = gradient[k] if rule == _LOOK else p[s, k]
                losses[s, at] = loss


@numba.njit(
    "void(int64[::1], float64[::1], float64[:, ::1], float64[::1], float64[::1], float64[:, ::1])",
    nogil=True, cache=True, error_model="numpy",
)  # fmt: skip
def _named_rows(
    codes: IntArray, largest: FloatArray, inputs: FloatArray, y: FloatArray, p: FloatArray, rows: FloatArray
) -> None:
    """rows[0] = model - y, rows[1 + k] = derivative by p[k], for a named model."""
    x, value, slope = np.zeros(LANES), np.empty(LANES), np.empty(LANES)
    for start in range(0, y.size, LANES):
        count = min(LANES, y.size - start)
        for i in range(count):
            rows[0, start + i] = -y[start + i]
        for k in range(p.size):
            for i in range(count):
                x[i] = inputs[k, start + i]
            value_and_slope(codes[k], p[k], x, largest[k], value, slope)
            for i in range(count):
                rows[0, start + i] += value[i]
                rows[1 + k, start + i] = slope[i]


@dataclass
class State:
    """Where all starts are.

    Attributes:
        p: [starts, parameters].
        first, second: moments of the gradients, as the rule needs them.
        steps: updates made so far.
    """

    p: FloatArray
    first: FloatArray
    second: FloatArray
    steps: int = 0

    @classmethod
    def at(cls, starts: FloatArray) -> State:
        """At the starts, [starts, parameters], before any update."""
        p = np.array(starts, dtype=np.float64, ndmin=2, order="C")
        return cls(p, np.zeros_like(p), np.zeros_like(p))

    def part(self, some: slice) -> State:
        """Some of the starts; what is done to them is done here too."""
        return State(self.p[some], self.first[some], self.second[some], self.steps)


def shuffled(fit: Fit, order: IntArray) -> tuple[FloatArray, FloatArray]:
    """Columns and y with their rows in another order."""
    return np.ascontiguousarray(fit.inputs[:, order]), fit.y[order]


def steps_per_epoch(samples: int, batch: int) -> int:
    """Updates of an epoch: the last batch may be smaller."""
    return -(-samples // min(batch, samples))


def epoch(
    fit: Fit,
    state: State,
    update: Update,
    batch: int,
    rows: tuple[FloatArray, FloatArray],
    path: FloatArray | None = None,
    losses: FloatArray | None = None,
) -> None:
    """Go once through the rows, in place.

    Args:
        fit: the model and its samples.
        state: advanced by `steps_per_epoch` updates.
        update: the rule.
        batch: samples per update; at least 1.
        rows: of `shuffled`, or of the fit itself.
        path: [starts, steps, parameters], filled with the parameters after every update.
        losses: [starts, steps], filled with each batch's loss before its update.
    """
    inputs, y = rows
    batch = min(batch, y.size)
    if path is None or losses is None:
        path, losses = np.empty((state.p.shape[0], 0, fit.parameters)), np.empty((state.p.shape[0], 0))
    _epoch(
        fit.codes, fit.largest, *fit.program, inputs, y, batch, RULES[update.rule], update.numbers, state.steps,
        state.p, state.first, state.second, path, losses,
    )  # fmt: skip
    state.steps += steps_per_epoch(y.size, batch)


def losses_and_gradients(fit: Fit, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The mean squared error over all samples at p[n, parameters], [n], and its gradient, [n, parameters]."""
    p = np.array(p, dtype=np.float64, ndmin=2, order="C")
    n, parameters = p.shape
    gradient, loss, unused = np.empty((n, 1, parameters)), np.empty((n, 1)), np.empty((n, parameters))
    _epoch(
        fit.codes, fit.largest, *fit.program, fit.inputs, fit.y, fit.y.size, _LOOK, np.zeros(5), 0, p, unused, unused,
        gradient, loss,
    )  # fmt: skip
    return loss[:, 0], gradient[:, 0]


def residuals_and_jacobian(fit: Fit, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Model less y, [samples], and its derivatives by the parameters, [samples, parameters]."""
    p = np.asarray(p, dtype=np.float64)
    if isinstance(fit, TapeFit):
        values = np.broadcast_to(p[:, None], (p.size, fit.y.size))
        rows = evaluate(fit.loaded, np.concatenate([fit.inputs, values]))
        return rows[0] - fit.y, rows[1:].T
    rows = np.empty((1 + p.size, fit.y.size))
    _named_rows(fit.codes, fit.largest, fit.inputs, fit.y, np.ascontiguousarray(p), rows)
    return rows[0], rows[1:].T
