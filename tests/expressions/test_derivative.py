from __future__ import annotations

import math

import mpmath
import pytest

from tui_opt.expressions import parse
from tui_opt.expressions.functions import FUNCTIONS, UNARY


def derivative(text: str, **variables: float) -> float:
    names = list(variables)
    return parse(text, names).derivative(names[0]).value(**variables)


MP = {
    "neg": lambda x: -x,
    "abs": abs,
    "sign": mpmath.sign,
    "step": lambda x: mpmath.mpf(x > 0),
    "relu": lambda x: max(x, 0),
    "log2": lambda x: mpmath.log(x, 2),
    "log10": lambda x: mpmath.log(x, 10),
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
}


@pytest.mark.parametrize("name", sorted(UNARY - {"neg"}))
@pytest.mark.parametrize("point", [0.3, 0.8, -0.4, 2.7])
def test_every_function_against_a_numerical_derivative_in_forty_digits(name: str, point: float) -> None:
    function = MP.get(name) or getattr(mpmath, name)
    value = parse(f"{name}(W)", ["W"]).value(W=point)
    with mpmath.workdps(40):
        if math.isnan(value):
            assert not isinstance(function(mpmath.mpf(point)), mpmath.mpf)  # outside the real domain
            return
        expected = mpmath.diff(function, point)
        second = mpmath.diff(function, point, 2)
    expression = parse(f"{name}(W)", ["W"]).derivative("W")
    assert expression.value(W=point) == pytest.approx(float(expected), rel=1e-12, abs=1e-12)
    assert expression.derivative("W").value(W=point) == pytest.approx(float(second), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (
            "-exp(-(W-2)^2)-exp(-100*(W-1)^2)",
            lambda w: -mpmath.exp(-((w - 2) ** 2)) - mpmath.exp(-100 * (w - 1) ** 2),
        ),
        ("W^3*sin(W)/(1+W^2)", lambda w: w**3 * mpmath.sin(w) / (1 + w**2)),
        ("W^-2 + W^0.5 + W^2.5", lambda w: w**-2 + mpmath.sqrt(w) + w ** mpmath.mpf("2.5")),
        ("2^W + W^W + W^(2*W)", lambda w: mpmath.mpf(2) ** w + w**w + w ** (2 * w)),
        (
            "atan2(W, 2) + atan2(3, W) + hypot(W, 1)",
            lambda w: mpmath.atan2(w, 2) + mpmath.atan2(3, w) + mpmath.hypot(w, 1),
        ),
        ("log(W^2+1)/sqrt(W)", lambda w: mpmath.log(w**2 + 1) / mpmath.sqrt(w)),
        (
            "min(W^2, 3*W) + max(sin(W), W/4, 0.1)",
            lambda w: min(w**2, 3 * w) + max(mpmath.sin(w), w / 4, mpmath.mpf("0.1")),
        ),
        ("gate(W-1, W^2) + 2/W", lambda w: (w**2 if w > 1 else 0) + 2 / w),
        ("pow(W, 3) - -W^64", lambda w: w**3 + w**64),
    ],
)
@pytest.mark.parametrize("point", [0.35, 1.1, 1.9])
def test_compositions_against_a_numerical_derivative_in_forty_digits(
    text: str, reference, point: float
) -> None:  # type: ignore[no-untyped-def]
    expression = parse(text, ["W"])
    with mpmath.workdps(40):
        for order in (1, 2, 3):
            expression = expression.derivative("W")
            expected = float(mpmath.diff(reference, mpmath.mpf(point), order))
            assert expression.value(W=point) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_gradient_of_the_two_losses_is_the_closed_form() -> None:
    slope = parse("-exp(-(W-2)^2)-exp(-100*(W-1)^2)", ["W"]).derivative("W")
    assert str(slope) == "exp(-(W - 2)^2)*(2*(W - 2)) - exp(-100*(W - 1)^2)*(-200*(W - 1))"


def test_kinks_follow_the_convention() -> None:
    assert derivative("abs(W)", W=0.0) == 0.0
    assert derivative("relu(W)", W=0.0) == 0.0
    assert derivative("max(2*W, 3*W)", W=0.0) == 3.0
    assert derivative("min(2*W, 3*W)", W=0.0) == 2.0
    assert derivative("step(W) + sign(W)", W=0.0) == 0.0


def test_a_branch_that_is_not_taken_cannot_spoil_the_slope() -> None:
    assert derivative("min(exp(W), 10)", W=1000.0) == 0.0
    assert derivative("relu(-exp(W))", W=1000.0) == 0.0


@pytest.mark.parametrize(
    ("text", "written"), [("3*W + 0*V", "3"), ("W^1", "1"), ("V^2", "0"), ("W*V", "V"), ("--W", "1")]
)
def test_simplification(text: str, written: str) -> None:
    assert str(parse(text, ["W", "V"]).derivative("W")) == written


def test_folding_never_hides_an_infinity() -> None:
    expression = parse("W*10^400", ["W"])
    assert str(expression) == "W*10^400"
    assert math.isinf(expression.derivative("W").value(W=1.0))


def test_partial_derivatives_commute() -> None:
    expression = parse("exp(W*V)*sin(W+V^2)/(W^2+V^2)", ["W", "V"])
    one = expression.derivative("W").derivative("V").value(W=0.7, V=1.3)
    other = expression.derivative("V").derivative("W").value(W=0.7, V=1.3)
    assert one == pytest.approx(other, rel=1e-13)


@pytest.mark.parametrize("unit", ["sin({})*0.5", "({})^2", "({})/W", "exp(-({}))"])
def test_derivatives_of_the_deepest_input_stay_small(unit: str) -> None:
    text = "W"
    for _ in range(60):
        text = unit.format(text)
    expression = parse(text, ["W"])
    size = len(expression.nodes)
    second = expression.derivative("W").derivative("W")
    assert len(second.nodes) < 25 * size
    assert parse_length(second) > 0


def test_derivatives_of_the_longest_input_stay_small() -> None:
    terms = "max(" + ",".join(f"sin(W*{k})*W^{k}" for k in range(1, 220)) + ")"
    expression = parse(terms, ["W"])
    assert len(expression.nodes) > 1000
    assert len(expression.derivative("W").derivative("W").nodes) < 25 * len(expression.nodes)


def parse_length(expression) -> int:  # type: ignore[no-untyped-def]
    """Printing must be quick too, although shared parts are written out in full."""
    return len(str(expression))


def test_every_derivative_that_can_be_written_reads_back() -> None:
    for name in sorted(FUNCTIONS):
        text = f"{name}(W^2+1)" if FUNCTIONS[name].most == 1 else f"{name}(W^2, V-W)"
        slope = parse(text, ["W", "V"]).derivative("W")
        assert parse(str(slope), ["W", "V"]) == slope


def test_an_undeclared_variable_is_refused() -> None:
    with pytest.raises(ValueError, match="not a variable"):
        parse("W", ["W"]).derivative("V")


def test_values_demand_the_declared_variables() -> None:
    with pytest.raises(TypeError, match="exactly"):
        parse("W", ["W"]).value(V=1.0)
