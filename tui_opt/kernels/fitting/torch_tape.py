"""A register tape in torch operations, so that a model a user wrote can be fitted by torch's own optimizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import torch

from tui_opt.kernels.tape import TapeLike, check

Tensor: TypeAlias = torch.Tensor


def _step(x: Tensor) -> Tensor:
    return (x > 0).to(x.dtype) + 0.0 * torch.where(torch.isnan(x), x, torch.zeros_like(x))


def _gate(c: Tensor, x: Tensor) -> Tensor:
    return torch.where(torch.isnan(c), c, torch.where(c > 0, x, torch.zeros_like(x)))


def _power(a: Tensor, b: Tensor) -> Tensor:
    return torch.pow(a, b)


_BINARY: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "min": torch.minimum,
    "max": torch.maximum,
    "gate": _gate,
    "pow": _power,
    "atan2": torch.atan2,
    "hypot": torch.hypot,
}
_UNARY: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "neg": torch.neg,
    "abs": torch.abs,
    "sqrt": torch.sqrt,
    "exp": torch.exp,
    "log": torch.log,
    "sign": torch.sign,
    "step": _step,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softplus": torch.nn.functional.softplus,
    "cbrt": lambda x: torch.sign(x) * torch.pow(torch.abs(x), 1.0 / 3.0),
    "expm1": torch.expm1,
    "log1p": torch.log1p,
    "log2": torch.log2,
    "log10": torch.log10,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "erf": torch.erf,
}


class TorchModel:
    """A checked tape of one output as a function of tensors.

    Raises: ValueError for an operation, operand or constant that no checked tape has.
    """

    def __init__(self, tape: TapeLike) -> None:
        check(tape)
        self._tape = tape

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """The first output at tensors that broadcast together, one per variable; gradients flow through it."""
        tape = self._tape
        like = inputs[0]
        operands: list[Tensor] = [*inputs]
        operands += [torch.tensor(c, dtype=like.dtype, device=like.device) for c in tape.constants]
        operands += [like] * tape.registers  # set before they are read, as `check` made sure
        for op, target, a, b in tape.instructions:
            if op in _BINARY:
                operands[target] = _BINARY[op](operands[a], operands[b])
            else:
                operands[target] = _UNARY[op](operands[a])
        return operands[tape.outputs[0]]
