"""User mathematics: text to expression, exact derivative, register tape. Needs no numerical library."""

from __future__ import annotations

from tui_opt.expressions.errors import ExpressionError
from tui_opt.expressions.expression import Expression
from tui_opt.expressions.parse import parse
from tui_opt.expressions.tape import Instruction, Tape, assemble

__all__ = ["Expression", "ExpressionError", "Instruction", "Tape", "assemble", "parse"]
