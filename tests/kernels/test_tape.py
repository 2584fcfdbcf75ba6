from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tui_opt.expressions import Instruction, Tape, assemble, parse
from tui_opt.expressions.functions import BINARY, UNARY
from tui_opt.expressions.tape import run
from tui_opt.kernels.lanes import LANES
from tui_opt.kernels.tape import OPCODES, UNARY_OPS, Program, check, evaluate

CORNERS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    3.0,
    -7.25,
    1e-300,
    1e300,
    800.0,
    -800.0,
    math.inf,
    -math.inf,
    math.nan,
]


def test_every_operation_of_expressions_is_known() -> None:
    assert set(OPCODES) == UNARY | BINARY
    assert UNARY_OPS == UNARY


@pytest.mark.parametrize("op", sorted(UNARY | BINARY))
def test_every_operation_agrees_with_python_floats(op: str) -> None:
    tape = Tape(("a", "b"), (), (Instruction(op, 2, 0, 1 if op in BINARY else 0),), (2,), 1)
    rng = np.random.default_rng(4)
    pairs = np.array([(a, b) for a in CORNERS for b in CORNERS] + list(rng.uniform(-3.0, 3.0, (300, 2)))).T
    expected = np.array([run(tape, pair)[0] for pair in pairs.T.tolist()])
    computed = evaluate(Program(tape), pairs)[0]
    np.testing.assert_array_equal(np.isnan(computed), np.isnan(expected))
    np.testing.assert_allclose(computed, expected, rtol=2e-15, atol=5e-324)
    if op in ("add", "sub", "mul", "div", "neg", "abs", "sqrt", "min", "max", "gate"):
        np.testing.assert_array_equal(
            np.signbit(computed), np.signbit(expected) | np.isnan(expected) & np.signbit(computed)
        )


@pytest.mark.parametrize("n", [0, 1, LANES - 1, LANES, LANES + 1, 3 * LANES + 5])
def test_any_number_of_points(n: int) -> None:
    program = Program(assemble([parse(text, ["x", "y"]) for text in ("x*y+2", "y", "3", "x-y")]))
    x, y = np.random.default_rng(5).normal(size=(2, n))
    values = evaluate(program, np.array([x, y]))
    np.testing.assert_array_equal(values, np.array([x * y + 2.0, y, np.full(n, 3.0), x - y]).reshape(4, n))


TEXTS = st.recursive(
    st.sampled_from(["W", "V", "2", "0.3", "pi"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})"),
        st.tuples(st.sampled_from(["exp", "sin", "log", "tanh", "abs", "sigmoid", "relu"]), inner).map(
            lambda t: f"{t[0]}({t[1]})"
        ),
        inner.map(lambda t: f"({t})^3"),
        st.tuples(inner, inner).map(lambda t: f"max({t[0]},{t[1]})"),
    ),
    max_leaves=12,
)


@settings(max_examples=examples(60))
@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_random_expressions_agree_with_their_values(texts: list[str]) -> None:
    expressions = [parse(text, ["W", "V"]) for text in texts]
    points = np.random.default_rng(6).uniform(-2.0, 2.0, (2, 20))
    values = evaluate(Program(assemble(expressions)), points)
    for row, expression in zip(values, expressions, strict=True):
        expected = np.array([expression.value(W=w, V=v) for w, v in points.T])
        near = np.array([expression.value(W=w * (1 + 1e-12), V=v) for w, v in points.T])
        with np.errstate(invalid="ignore"):  # inf - inf
            calm = np.isfinite(expected) & (np.abs(near - expected) <= 1e-6 * np.abs(expected))
        np.testing.assert_allclose(row[calm], expected[calm], rtol=1e-9, atol=1e-12)


GOOD = assemble([parse("exp(W)*2", ["W"])])


@pytest.mark.parametrize(
    ("tape", "words"),
    [
        (replace(GOOD, instructions=(Instruction("system", 2, 0, 0),)), "unknown operation 'system'"),
        (replace(GOOD, instructions=(Instruction("exp", 0, 0, 0),)), "not one of its registers"),
        (replace(GOOD, instructions=(Instruction("exp", 99, 0, 0),)), "not one of its registers"),
        (replace(GOOD, instructions=(Instruction("exp", 2, 3, 3),)), "before it is set"),
        (replace(GOOD, instructions=(Instruction("exp", 2, -1, 0),)), "before it is set"),
        (replace(GOOD, instructions=(Instruction("exp", 2, 0.0, 0),)), "before it is set"),  # type: ignore[arg-type]
        (
            replace(GOOD, instructions=(Instruction("exp", 2, 0, 0), Instruction("neg", 2, 2, 2))),
            "overwrites",
        ),
        (replace(GOOD, outputs=()), "no outputs"),
        (replace(GOOD, outputs=(7,)), "never set"),
        (replace(GOOD, constants=(math.nan,)), "finite"),
        (replace(GOOD, constants=("2",)), "finite"),  # type: ignore[arg-type]
    ],
)
def test_a_tape_that_no_assembler_wrote_is_refused(tape: Tape, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check(tape)


def test_inputs_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        evaluate(Program(GOOD), np.zeros((2, 5)))
