from __future__ import annotations

import math
import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tui_opt.expressions import ExpressionError, parse
from tui_opt.expressions.arithmetic import SCALAR
from tui_opt.expressions.functions import FUNCTIONS


def value(text: str, **variables: float) -> float:
    return parse(text, list(variables)).value(**variables)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-W^2", -9.0),
        ("-W**2", -9.0),
        ("2^3^2", 512.0),
        ("2^-W", 0.125),
        ("(W-2)^2", 1.0),
        ("1 - 2 - W", -4.0),
        ("8/4/W", 8 / 4 / 3),
        ("1_000.5e-1 + .5", 100.55),
        ("min(4, W, 5) + max(1, W)", 6.0),
        ("ln(e) + log10(100) + log2(8)", 6.0),
        ("sin(pi/2) + cos(tau)", 2.0),
        ("arctan2(1, 1) - atan2(1, 1)", 0.0),
        ("W\n + 1", 4.0),
        ("+W", 3.0),
        ("pow(W, 2) - hypot(3, 4) + cbrt(27)", 7.0),
        ("step(W) + step(0) + step(-W) + relu(-W) + sign(-W) + gate(0, 1/0)", 0.0),
    ],
)
def test_values(text: str, expected: float) -> None:
    assert value(text, W=3.0) == pytest.approx(expected, rel=1e-15, abs=1e-15)


def test_a_variable_hides_a_constant() -> None:
    assert value("e + pi", e=10.0) == 10.0 + math.pi


def test_a_variable_may_have_the_name_of_a_function() -> None:
    assert value("step + step(step)", step=3.0) == 4.0


def test_names_in_other_normal_forms_are_the_declared_variable() -> None:
    assert value("2*µ", µ=3.0) == 6.0
    micro = chr(0xB5)  # the parser of Python reports U+03BC for it
    assert parse(f"{micro}+1", [micro]).value(**{micro: 2.0}) == 3.0


@pytest.mark.parametrize(
    ("text", "marked", "words"),
    [
        ("1 + 2W", "2W", "2*W"),
        ("3(W+1)", "3(", "3*(…)"),
        ("(W)(W)", ")(", "(…)*(…)"),
        ("W (W+1)", "W", "W*(…)"),
        ("W²+1", "²", "^2"),
        ("1+exp W", "exp W", "exp("),
        ("1+exp", "exp", "exp(…)"),
        ("|W|", "|", "abs(x)"),
        ("(W+1", "(", "never closed"),
        ("W+1)", ")", "closes nothing"),
        ("w+1", "w", "Did you mean 'W'"),
        ("exq(W)", "exq", "Did you mean 'exp'"),
        ("W +", "+", "ends too early"),
        ("W ^^ 2", "^", "missing before"),
        ("sin(W, 2)", "sin(W, 2)", "1 argument"),
        ("max(W)", "max(W)", "2 or more"),
        ("0,5", "0,5", "0.5"),
        ("2*()", "()", "empty"),
        ("W=2", "=", "equation"),
        ("W<2", "<", "step(x)"),
        ("1e999*W", "1e999", "too large"),
        ("1e-999*W", "1e-999", "too small"),
        ("9" * 400, "9" * 400, "too large"),
        ("007", "007", "leading zeros"),
        ("2j", "2j", "Complex"),
        ("True", "True", "reserved"),
        ("None + W", "None", "reserved"),
        ("W.real", ".", "attributes"),
        ("W // 2", "//", "floor division"),
        ("W % 2", "%", "remainder"),
        ("'a'", "'", "quoted"),
        ("W\0", "\0", "U+0000"),
        ("W # 1", "#", "not allowed"),
        ("... + W", ".", "attributes"),
        ("__import__('os')", "'", "quoted"),
        ("__import__(W)", "__import__", "not known"),
        ("θ + W", "θ", "the variable is W"),
        ("θ*W + exq(W)", "θ", "not known"),
    ],
)
def test_what_is_refused_is_marked_and_explained(text: str, marked: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, ["W"])
    error = caught.value
    assert words.lower() in error.message.lower()
    assert text[error.start : error.end] == marked
    assert error.source == text
    assert error.message[0].isupper() or error.message[0] == "'"
    assert error.message.endswith((".", "?"))


def test_marks_point_into_the_users_text_past_powers_and_wide_letters() -> None:
    text = "θ^2 + θ^3 - zz^2"
    with pytest.raises(ExpressionError) as caught:
        parse(text, ["θ"])
    assert text[caught.value.start : caught.value.end] == "zz"
    lines = caught.value.explain().split("\n")
    assert lines[1] == text
    assert lines[2] == " " * 12 + "^^"


def test_a_long_text_is_explained_in_a_window_with_the_mark_in_it() -> None:
    text = "W+" * 50 + "zz" + "+W" * 50
    with pytest.raises(ExpressionError) as caught:
        parse(text, ["W"])
    _, line, mark = caught.value.explain().split("\n")
    assert len(line) < 80
    assert line[mark.index("^") : mark.rindex("^") + 1] == "zz"


def test_errors_survive_pickling() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse("1+zz", ["W"])
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.message, again.source, again.start, again.end) == (
        caught.value.message,
        "1+zz",
        2,
        4,
    )
    assert again.explain() == caught.value.explain()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("W" + "+W" * 6000, "characters"),
        ("(" * 201 + "W" + ")" * 201, "nested"),
        ("-" * 9000 + "W", "nested"),
        ("sin(" * 199 + "-W^2" + ")" * 199, "nested"),
        ("+".join(["W"] * 300), "nested"),
        ("max(" + ",".join(["W"] * 2000) + ")", "2000"),
        ("^".join(["W"] * 4000), "nested"),
    ],
)
def test_limits(text: str, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        parse(text, ["W"])


def test_just_within_the_limits() -> None:
    assert value("sin(" * 199 + "W" + ")" * 199, W=0.0) == 0.0
    assert value("max(" + ",".join(["W"] * 1999) + ")", W=2.0) == 2.0
    assert value("(" * 200 + "W" + ")" * 200, W=2.0) == 2.0
    assert value("W" + " " * 9999, W=2.0) == 2.0


def test_a_caller_deep_in_the_stack_still_gets_the_one_error() -> None:
    def dive(levels: int) -> None:
        if levels:
            dive(levels - 1)
        else:
            parse("sin(" * 150 + "W" + ")" * 150, ["W"])

    limit = sys.getrecursionlimit()
    with pytest.raises(ExpressionError, match="nested"):
        dive(limit - 250)


@pytest.mark.parametrize("names", [["2x"], ["lambda"], ["a", "a"], [""], "W"])
def test_unusable_variables_are_refused(names: list[str]) -> None:
    with pytest.raises(ExpressionError):
        parse("1", names)


PIECES = [*"WV0123456789.eE+-*/^(), |²θ\n_=<'\"[]{}#\\:@!~%&;\0", "**", "exp(", "max(", "lambda ", "1j", "if"]


@settings(max_examples=examples(400))
@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=30).map("".join)))
def test_any_text_is_an_expression_or_an_expression_error(text: str) -> None:
    try:
        expression = parse(text, ["W", "V"])
    except ExpressionError as error:
        mark, explained = (error.start, error.end), error.explain()
    else:
        mark, explained = None, ""
        assert isinstance(expression.value(W=1.5, V=-0.5), float)
        assert parse(str(expression), ["W", "V"]) == expression
        assert pickle.loads(pickle.dumps(expression)) == expression
        expression.derivative("W").value(W=1.5, V=-0.5)
    if mark is not None:
        assert 0 <= mark[0] <= mark[1] <= len(text)
        assert "^" in explained


# A second implementation to compare with: texts and values built side by side, never through the package's
# parser, graph or tape.
def _leaves() -> st.SearchStrategy[tuple[str, float]]:
    numbers = st.floats(0.1, 9.0).map(lambda number: (repr(number), number))
    return st.one_of(numbers, st.just(("W", 1.25)), st.just(("V", -0.75)), st.just(("pi", math.pi)))


def _grown(inner: st.SearchStrategy[tuple[str, float]]) -> st.SearchStrategy[tuple[str, float]]:
    def infix(a: tuple[str, float], symbol: str, b: tuple[str, float]) -> tuple[str, float]:
        ops = {"+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow", "**": "pow"}
        return f"({a[0]}) {symbol} ({b[0]})", SCALAR[ops[symbol]](a[1], b[1])

    def call(name: str, a: tuple[str, float], b: tuple[str, float]) -> tuple[str, float]:
        function = FUNCTIONS[name]
        if function.most == 1:
            return f"{name}({a[0]})", SCALAR[function.op](a[1])
        return f"{name}({a[0]},{b[0]})", SCALAR[function.op](a[1], b[1])

    symbols = st.sampled_from(["+", "-", "*", "/", "^", "**"])
    return st.one_of(
        st.builds(infix, inner, symbols, inner),
        st.builds(call, st.sampled_from(sorted(FUNCTIONS)), inner, inner),
        inner.map(lambda a: (f"-({a[0]})", -a[1])),
    )


@settings(max_examples=examples(300))
@given(st.recursive(_leaves(), _grown, max_leaves=8))
def test_random_trees_have_the_value_of_an_independent_evaluation(tree: tuple[str, float]) -> None:
    text, expected = tree
    expression = parse(text, ["W", "V"])
    computed = expression.value(W=1.25, V=-0.75)
    assert parse(str(expression), ["W", "V"]) == expression
    if math.isfinite(expected) and 1e-250 < abs(expected) < 1e250 and _well_conditioned(text):
        assert computed == pytest.approx(expected, rel=1e-9)
    elif math.isnan(expected):
        assert not math.isfinite(computed) or not _well_conditioned(text)


def _well_conditioned(text: str) -> bool:
    """Whether a change of one ulp inside (x^3 as a product, say) stays one outside."""
    fragile = ("-", "tan", "sin", "cos", "step", "sign", "gate", "heav", "log", "ln", "a", "^", "**", "relu")
    return not any(word in text for word in fragile)


def test_parsing_needs_no_numerical_library() -> None:
    code = (
        "import sys, tui_opt.expressions as x\n"
        "e = x.parse('-exp(-(W-2)^2)', ['W']); e.derivative('W').value(W=1.0); x.assemble([e])\n"
        "bad = {'numpy', 'numba', 'scipy', 'torch', 'pydantic', 'sympy'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
