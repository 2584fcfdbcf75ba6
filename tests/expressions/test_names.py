"""The names a text uses, whatever they mean."""

from __future__ import annotations

import pytest

from tui_opt.expressions import ExpressionError
from tui_opt.expressions.names import free_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A*cos(a*x1+p) + exp(b*x2)", "A a x1 p b x2"),
        ("x + x*y^2 - y", "x y"),
        ("cos(pi*t) + e", "pi t e"),
        ("3.5", ""),
        ("exp(exp)", None),
        ("c + c(2)", None),
    ],
)
def test_names_in_order(text, names):
    if names is None:
        with pytest.raises(ExpressionError):
            free_names(text)
    else:
        assert free_names(text) == tuple(names.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cos(a*x", "never closed"),
        ("2x", "write 2*x"),
        ("sine(x)", "is not known"),
        ("x = 1", "'=' is not allowed"),
        ("__import__('os')", "Quoted text"),
        ("", "empty"),
    ],
)
def test_what_is_no_expression_is_explained(text, said):
    with pytest.raises(ExpressionError, match=said.replace("*", r"\*")):
        free_names(text)
