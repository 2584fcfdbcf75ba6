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
from typing import Any, Final

import numpy as np

from tui_opt.kernels import lanes, philox, walkers
from tui_opt.kernels.tape import UNARY_OPS, TapeLike, check
from tui_opt.kernels.walkers import FloatArray, IntArray, check_walkers

Kernel = Callable[[FloatArray, IntArray, int, int, int, float, float, int, int], None]
"""`first_passage` of `tui_opt.kernels.walkers` without its program."""

_INFIX: Final = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_LANE_NAMES: Final = {"min": "minimum", "max": "maximum", "pow": "power"}
_IN_LANES: Final = frozenset({"exp", "log", "sign", "step", "relu", "gate", "sigmoid", "softplus", "cbrt"})

LANES: Final = 256
"""Lanes per group: positions, steps and bits of one group take 8 KB of the first-level cache."""

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
                    at = passed[i]
{gradients}
                    y = v0 - temperature * lanes.select(at < 0, g, 0.0)
                    x[i] = y
                    passes = (at < 0) & (direction * y > threshold)
                    passed[i] = lanes.select(passes, np.int64(s + 1), at)
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
        lines.append(f"g = lanes.select(choice == np.uint64({number}), {names[output]}, g)")
    bits = _bits_per_choice(datapoints)
    content = repr(
        (tape.constants, [tuple(line) for line in tape.instructions], tape.outputs, tape.registers)
    )
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


def load(source: str, directory: Path) -> Kernel:
    """The compiled kernel of `source`, which `emit` wrote; compiled once per directory and processor.

    The module is kept as `walkers_<hash>.py` with the compiler's cache beside it. What is executed is
    `source` itself: a file with other content is replaced, never run. The directory must be the user's own,
    since the compiler trusts its cache files there.
    """
    name = f"walkers_{hashlib.sha256(source.encode()).hexdigest()[:32]}"
    path = directory.resolve() / f"{name}.py"
    with _LOADING:
        kernel = _LOADED.get(path)
        if kernel is None:
            _write(path, source.encode())
            kernel = _LOADED[path] = _checked(_import(name, path, source.encode()).first_passage)
    return kernel


def specialise(tape: TapeLike, directory: Path) -> Kernel:
    """A compiled `first_passage` for the gradients on `tape`, cached in `directory`."""
    return load(emit(tape), directory)


_LOADING: Final = threading.Lock()
_LOADED: Final[dict[Path, Kernel]] = {}


def _operation(op: str, a: str, b: str) -> str:
    if op in _INFIX:
        return f"{a} {_INFIX[op]} {b}"
    if op == "neg":
        return f"-{a}"
    if op == "abs":
        return f"abs({a})"
    module = "lanes" if op in _IN_LANES or op in _LANE_NAMES else "math"
    arguments = a if op in UNARY_OPS else f"{a}, {b}"
    return f"{module}.{_LANE_NAMES.get(op, op)}({arguments})"


def _literal(constant: float) -> str:
    """A float literal that reads back as the same bits; `check` has refused inf and NaN."""
    return f"({constant!r})" if constant < 0.0 else repr(constant)


def _bits_per_choice(datapoints: int) -> int:
    """As `tui_opt.kernels.walkers.bits_per_choice`, decided while the source is written."""
    power_of_two = datapoints & (datapoints - 1) == 0
    return max(1, datapoints.bit_length() - 1) if power_of_two else 32


def _kernels_digest() -> str:
    """Changes with the helpers a kernel inlines, so that a stale compiled kernel is never found."""
    digest = hashlib.sha256()
    for module in (lanes, philox, walkers):
        digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()[:16]


def _checked(compiled: Callable[..., None]) -> Kernel:
    def first_passage(
        w: FloatArray,
        passage_step: IntArray,
        first_walker: int,
        first_step: int,
        steps: int,
        temperature: float,
        barrier: float,
        direction: int,
        key: int,
    ) -> None:
        check_walkers(w, passage_step, first_walker, first_step, steps, direction)
        bits = np.uint64(key)
        compiled(w, passage_step, first_walker, first_step, steps, temperature, barrier, direction, bits)

    return first_passage


class _Verified(importlib.abc.SourceLoader):
    """Imports bytes we hold under the path where they stand, and reads no other file."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        self._content = content

    def get_filename(self, fullname: str) -> str:
        return str(self._path)

    def get_data(self, path: str | bytes) -> bytes:
        if str(path) != str(self._path):
            raise OSError("only the verified source is read; there is no bytecode file")
        return self._content


def _import(name: str, path: Path, content: bytes) -> Any:
    specification = importlib.util.spec_from_loader(name, _Verified(path, content))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # where the compiler looks for it when it reads its cache
    specification.loader.exec_module(module)
    return module


def _write(path: Path, content: bytes) -> None:
    """Put `content` at `path` unless it is there; a reader sees the whole file or none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.is_file() and path.read_bytes() == content:
            return  # untouched: a new modification time would make the compiler's cache stale
    except OSError:
        pass
    handle, temporary = tempfile.mkstemp(prefix=path.stem, suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
