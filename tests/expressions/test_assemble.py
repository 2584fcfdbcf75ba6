from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_opt.expressions import assemble, parse
from tui_opt.expressions.arithmetic import divide, power
from tui_opt.expressions.functions import UNARY
from tui_opt.expressions.tape import run

PAIR = ("-exp(-(W-2)^2)", "-exp(-(W-2)^2)-exp(-100*(W-1)^2)")


def test_common_parts_are_computed_once_across_outputs() -> None:
    tape = assemble([parse(loss, ["W"]).derivative("W") for loss in PAIR])
    assert [instruction.op for instruction in tape.instructions].count("exp") == 2
    assert len(tape.instructions) == 13
    assert tape.registers == 4


def test_registers_are_reused_and_never_written_while_read() -> None:
    text = "W"
    for k in range(1, 60):
        text = f"sin({text})+W/{k}"
    tape = assemble([parse(text, ["W"])])
    assert tape.registers <= 4
    assert all(target not in (a, b) for _, target, a, b in tape.instructions)


@pytest.mark.parametrize(
    ("power_of", "products"), [("W^2", 1), ("W^3", 2), ("W^10", 4), ("W^64", 6), ("W^-3", 2)]
)
def test_integer_powers_are_products(power_of: str, products: int) -> None:
    ops = [instruction.op for instruction in assemble([parse(power_of, ["W"])]).instructions]
    assert "pow" not in ops
    assert ops.count("mul") == products


def test_outputs_may_be_variables_constants_and_repeated() -> None:
    expressions = [parse(text, ["W", "V"]) for text in ("V", "3", "W+V", "W+V", "W^0")]
    assert run(assemble(expressions), [1.0, 2.0]) == [2.0, 3.0, 3.0, 3.0, 1.0]


def test_sums_keep_the_order_in_which_they_are_written() -> None:
    assert parse("0.1+0.2+W", ["W"]).value(W=0.3) == 0.1 + 0.2 + 0.3
    assert parse("W+(0.2+0.3)", ["W"]).value(W=0.1) == 0.1 + (0.2 + 0.3)
    assert parse("W+0.2+0.3", ["W"]).value(W=0.1) == 0.1 + 0.2 + 0.3


def test_digests_tell_tapes_apart() -> None:
    texts = ["W+1", "W+2", "W-1", "1-W", "W", "1"]
    digests = {assemble([parse(text, ["W"])]).digest() for text in texts}
    assert len(digests) == len(texts)
    assert assemble([parse("W + 1", ["W"])]).digest() == assemble([parse("W+1.0", ["W"])]).digest()


def test_expressions_of_one_tape_share_their_variables() -> None:
    with pytest.raises(ValueError, match="same variables"):
        assemble([parse("W", ["W"]), parse("V", ["V"])])
    with pytest.raises(ValueError, match="at least one"):
        assemble([])


EXTREMES = [0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan]


@given(st.sampled_from(EXTREMES), st.sampled_from(EXTREMES))
def test_scalar_division_and_power_are_those_of_ieee_754(a: float, b: float) -> None:
    numpy = pytest.importorskip("numpy")
    with numpy.errstate(all="ignore"):
        for ours, theirs in (
            (divide(a, b), float(numpy.divide(a, b))),
            (power(a, b), float(numpy.float64(numpy.power(numpy.array([a]), numpy.array([b]))[0]))),
        ):
            assert ours == theirs or (math.isnan(ours) and math.isnan(theirs))
            if ours == 0.0:
                assert math.copysign(1.0, ours) == math.copysign(1.0, theirs)


@given(st.floats())
def test_no_value_raises(w: float) -> None:
    for name in UNARY - {"neg"}:
        parse(f"{name}(W)", ["W"]).value(W=w)
    for text in ("W^W", "W^-3", "W^0.5", "1/W", "W-W", "min(W,1)", "max(1,W)", "atan2(W,W)", "hypot(W,W)"):
        parse(text, ["W"]).value(W=w)


def test_values_of_ieee_corners() -> None:
    def at(text: str, w: float) -> float:
        return parse(text, ["W"]).value(W=w)

    assert at("1/W", 0.0) == math.inf
    assert at("1/W", -0.0) == -math.inf
    assert at("exp(W)", 1000.0) == math.inf
    assert math.isnan(at("log(W)", -1.0))
    assert at("log(W)", 0.0) == -math.inf
    assert math.isnan(at("min(W, 1)", math.nan))
    assert math.isnan(at("max(1, W)", math.nan))
    assert math.isnan(at("gate(W, 1)", math.nan))
