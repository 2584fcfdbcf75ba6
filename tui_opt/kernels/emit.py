"""A first-passage kernel specialised to one tape, for jobs that repay a few seconds of compilation.

The source is written from a checked tape alone: operations come from a fixed table, operands become numbers,
constants become float literals, and names of variables never appear; so no text a user typed reaches the
compiler. It runs the same operations in the same order as the interpreter, and gives the same bits.

What makes it fast: everything a lane does in a step is one straight line of code inside one vectorised loop,
so intermediate values live in registers and nothing is decoded.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numba
import numpy as np

from tui_opt.kernels import lanes, philox, walkers
from tui_opt.kernels.tape import UNARY_OPS, TapeLike, check
from tui_opt.kernels.walkers import FloatArray, IntArray, check_walkers

Kernel = Callable[[FloatArray, IntArray, int, int, int, float, float, int, int], None]
"""`first_passage` of `tui_opt.kernels.walkers` without its program."""

_INFIX: Final = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_LANE_NAMES: Final = {"min": "minimum", "max": "maximum", "pow": "power"}
_IN_LANES: Final = frozenset({"exp", "log", "sign", "step", "relu", "gate", "sigmoid", "softplus", "cbrt"})

_TEMPLATE: Final = '''\
"""First-passage walkers for tape {digest}, kernels {kernels}. Written by a program; edits are discarded."""

import math

import numba
import numpy as np

from tui_opt.kernels import lanes
from tui_opt.kernels.walkers import choice_of, draw

LANES = {lanes}
BITS = np.uint64({bits})
PER_WORD = {per_word}
PER_DRAW = {per_draw}
DATAPOINTS = np.uint64({datapoints})


@numba.njit(
    "void(float64[::1], int64[::1], int64, int64, int64, float64, float64, int64, uint64)",
    nogil=True,
    cache=True,
    error_model="numpy",
)
def first_passage(w, passage_step, first_walker, first_step, steps, temperature, barrier, direction, key):
    x = np.empty(LANES)
    passed = np.empty(LANES, dtype=np.int64)
    words = np.empty((2, LANES), dtype=np.uint64)
    threshold = direction * barrier
    last = first_step + steps
    for start in range(0, w.size, LANES):
        width = min(LANES, w.size - start)
        for i in range(LANES):
            x[i] = w[start + i] if i < width else 0.0
            passed[i] = passage_step[start + i] if i < width else 0
        step = first_step
        while step < last:
            block = step // PER_DRAW
            until = min(last, (block + 1) * PER_DRAW)
            under_way = 0
            for i in range(LANES):
                under_way += 1 if (passed[i] < 0) & (x[i] == x[i]) else 0
            if under_way == 0:
                break
            draw(words, np.uint64(first_walker + start), np.uint64(block), key)
            for s in range(step, until):
                position = s - block * PER_DRAW
                word = words[position // PER_WORD]
                shift = np.uint64(position % PER_WORD) * BITS
                for i in range(LANES):
                    v0 = x[i]
{gradients}
                    y = v0 - temperature * g
                    under = passed[i] < 0
                    x[i] = y if under else v0
                    passed[i] = s + 1 if under & (direction * y > threshold) else passed[i]
            step = until
        for i in range(width):
            w[start + i] = x[i]
            passage_step[start + i] = passed[i]
'''


def emit(tape: TapeLike) -> str:
    """The source of a module whose `first_passage` is specialised to the gradients on `tape`.

    Raises ValueError where the tape is not one that the interpreter would run, or has not one variable.
    """
    check(tape)
    if len(tape.variables) != 1:
        raise ValueError(f"The gradients have {len(tape.variables)} variables; walkers have one.")
    names = ["v0"]
    names += [_literal(constant) for constant in tape.constants]
    names += [f"r{register}" for register in range(tape.registers)]
    lines = [f"{names[t]} = {_operation(op, names[a], names[b])}" for op, t, a, b in tape.instructions]
    lines.append(f"g = {names[tape.outputs[0]]}")
    datapoints = len(tape.outputs)
    if datapoints > 1:
        lines.append("choice = choice_of(word[i], shift, BITS, DATAPOINTS)")
    for number, output in enumerate(tape.outputs[1:], start=1):
        lines.append(f"g = {names[output]} if choice == np.uint64({number}) else g")
    bits = _bits_per_choice(datapoints)
    content = repr((tape.constants, [tuple(line) for line in tape.instructions], tape.outputs))
    return _TEMPLATE.format(
        digest=hashlib.sha256(content.encode()).hexdigest()[:16],
        kernels=_kernels_digest(),
        lanes=LANES,
        bits=bits,
        per_word=64 // bits,
        per_draw=128 // bits,
        datapoints=datapoints,
        gradients="\n".join(" " * 20 + line for line in lines),
    )


LANES: Final = 256
"""Lanes per group: positions, steps and bits of one group take 8 KB of the first-level cache."""


def load(source: str, directory: Path) -> Kernel:
    """Compile `source`, which `emit` wrote, or take it compiled from `directory`.

    The module is kept as `walkers_<hash>.py` with the compiler's cache beside it. What is executed is
    `source` itself: a file with other content is replaced, never run. The directory must be the user's own,
    since the compiler's cache files in it are trusted.
    """
    name = f"walkers_{hashlib.sha256(source.encode()).hexdigest()[:32]}"
    with _LOADING:
        module = _LOADED.get((name, directory))
        if module is None:
            module = _LOADED[(name, directory)] = _import(name, source, directory)
    return module.first_passage_checked  # type: ignore[no-any-return]
