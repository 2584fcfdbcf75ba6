from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tui_opt.expressions import Instruction, Tape, assemble, parse
from tui_opt.kernels import emit as emit_module
from tui_opt.kernels.emit import emit, load, specialise
from tui_opt.kernels.lanes import LANES
from tui_opt.kernels.tape import Program
from tui_opt.kernels.walkers import first_passage

PAIR = ("-exp(-(W-2)^2)", "-exp(-(W-2)^2)-exp(-100*(W-1)^2)")


def tape_of(*losses: str) -> Tape:
    return assemble([parse(loss, ["W"]).derivative("W") for loss in losses])


def assert_same_bits(tape: Tape, directory: Path, n: int = LANES + 44, steps: int = 200) -> None:
    kernel, program = specialise(tape, directory), Program(tape)
    start = np.random.default_rng(8).uniform(-6.0, 8.0, n)
    start[:4] = [1.0, np.nan, np.inf, 1e300]
    results = []
    for direction, barrier in ((1, 1.2), (-1, -0.5)):
        for advance in (kernel, lambda *rest: first_passage(program, *rest)):
            w, passage_step = start.copy(), np.full(n, -1)
            advance(w, passage_step, 11, 0, 37, 0.03, barrier, direction, 2**64 - 5)
            advance(w, passage_step, 11, 37, steps - 37, 0.03, barrier, direction, 2**64 - 5)
            results.append((w, passage_step))
        (w, passage_step), (expected_w, expected_step) = results[-2:]
        np.testing.assert_array_equal(w, expected_w)
        np.testing.assert_array_equal(passage_step, expected_step)
        assert (passage_step > 0).any()


@pytest.mark.parametrize(
    "losses",
    [
        PAIR,
        (
            "exp(W)^2*0 + W^3 - exp(exp(W/9))",
            "sin(exp(-W^2)) + exp(0.3)*W + exp(10^400)*0*W",
            "tanh(W)*erf(W)",
        ),
        ("max(W^2, abs(W-1)) + sigmoid(W) + softplus(W)", "log(W^2+1) + W^4/40", "sqrt(W^2+1)", "-W"),
        ("relu(W) + min(W, 2*W)", "atan2(W, 2)^2 + cbrt(W^2+1)*hypot(W, 1) + 1.5^W"),
        ("W^2/2",),
        ("W^2", "(W-3)^2*(W+1)^2 - exp(W-2)*(W-2)", "sin(W-2)*(W-2)"),
    ],
)
def test_the_specialised_kernel_has_the_bits_of_the_interpreter(
    losses: tuple[str, ...], tmp_path: Path
) -> None:
    assert_same_bits(tape_of(*losses), tmp_path)


def test_only_numbers_and_known_operations_reach_the_source() -> None:
    tape = assemble([parse("sin(theta_of_the_user)*1e-7+0.1", ["theta_of_the_user"])])
    source = emit(tape)
    assert "theta_of_the_user" not in source
    assert "1e-07" in source
    calls = {
        node.func.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert calls <= {"uint64", "int64", "njit", "zeros", "empty", "sin", "select"}


GOOD = tape_of(*PAIR)


@pytest.mark.parametrize(
    "tape",
    [
        replace(GOOD, instructions=(Instruction("__import__('os').abort", 5, 0, 0),)),
        replace(GOOD, constants=("__import__('os').abort()",)),  # type: ignore[arg-type]
        replace(GOOD, outputs=("0]; import os",)),  # type: ignore[arg-type]
        replace(GOOD, variables=("W", "V")),
    ],
)
def test_a_forged_tape_is_refused(tape: Tape) -> None:
    with pytest.raises(ValueError):
        emit(tape)


def test_sources_differ_where_tapes_or_helpers_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    assert emit(GOOD) == emit(tape_of(*PAIR))
    assert emit(GOOD) != emit(tape_of(PAIR[0], PAIR[1].replace("100", "101")))
    before = emit(GOOD)
    monkeypatch.setattr(emit_module, "_kernels_digest", lambda: "another version")
    assert emit(GOOD) != before


SMALL = tape_of("W^2", "W")


def _module_path(directory: Path) -> Path:
    (path,) = directory.glob("walkers_*.py")
    return path


def test_a_foreign_file_is_replaced_and_never_run(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    load(emit(SMALL), first)
    good = _module_path(first)
    second.mkdir()
    forged = second / good.name
    forged.write_text("raise SystemExit('this must not run')\n")
    kernel = load(emit(SMALL), second)
    assert forged.read_text() == good.read_text() == emit(SMALL)
    w, passage_step = np.ones(1), np.full(1, -1)
    kernel(w, passage_step, 0, 0, 1, 0.0, 2.0, 1, 3)
    assert w[0] == 1.0
    assert not list(second.glob("*.tmp"))


_CHILD = """
import sys
from pathlib import Path
import numpy as np
from numba.core import config
from tui_opt.expressions import assemble, parse
from tui_opt.kernels.emit import specialise

# Beside its module is where the compiler keeps its files unless it is told otherwise.
config.CACHE_DIR = ""
tape = assemble([parse(loss, ["W"]).derivative("W") for loss in ("W^2", "W")])
w, passage_step = np.ones(1), np.full(1, -1)
specialise(tape, Path(sys.argv[1]))(w, passage_step, 0, 0, 10, 0.1, 5.0, 1, 3)
print(w[0].hex())
"""


def _start_child(directory: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _CHILD, str(directory)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _compiled(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in directory.rglob("*.nbc")}


@pytest.mark.slow
def test_processes_may_specialise_at_once_and_share_the_compiled_code(tmp_path: Path) -> None:
    children = [_start_child(tmp_path) for _ in range(2)]
    answers = [child.communicate(timeout=240)[0].strip() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert _module_path(tmp_path).read_text() == emit(SMALL)
    compiled = _compiled(tmp_path)
    assert compiled
    third = _start_child(tmp_path)
    answers.append(third.communicate(timeout=240)[0].strip())
    assert third.returncode == 0
    assert _compiled(tmp_path) == compiled  # nothing was compiled again
    w, passage_step = np.ones(1), np.full(1, -1)
    first_passage(Program(SMALL), w, passage_step, 0, 0, 10, 0.1, 5.0, 1, 3)
    assert answers == [float(w[0]).hex()] * 3


def test_the_same_tape_is_loaded_once(tmp_path: Path) -> None:
    assert specialise(SMALL, tmp_path) is specialise(SMALL, tmp_path)


def test_arguments_are_checked_as_those_of_the_interpreter(tmp_path: Path) -> None:
    kernel = specialise(SMALL, tmp_path)
    with pytest.raises(ValueError, match="must agree"):
        kernel(np.zeros(3), np.full(2, -1), 0, 0, 1, 0.1, 1.0, 1, 3)
