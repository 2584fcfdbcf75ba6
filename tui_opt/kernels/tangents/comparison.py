"""Comp and Op: how much a held set changes what comes of a perturbation.

Comp(A; n, m) = (X-W)_m / (Y-W)_m in the limit of a small perturbation of n, and Op = -ln|Comp|. Op is positive where
the nodes A, free to react, make the change of m smaller. The sign of Comp is reported beside it.

| v_m  | u_m  | Comp      | Op      |
|------|------|-----------|---------|
| 0    | not 0| 0         | inf     | the change is undone completely
| not 0| 0    | infinite  | -inf    | held, nothing of the change arrives: also where m itself is held
| 0    | 0    | undefined | NaN     | the change never arrives
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tui_opt.kernels.tangents.system import FloatArray, SignArray

UNDONE: Final = "undone"
INFINITE: Final = "infinite"
UNDEFINED: Final = "undefined"
LOST: Final = "lost"


@dataclass(frozen=True)
class Comparison:
    """Arrays of one shape.

    Attributes:
        op: -ln|Comp|; -inf where Comp is infinite, inf where it is 0, NaN where it is undefined or unknown.
        sign: of Comp: -1 or 1; 0 where Comp is 0, NaN where it is infinite, undefined or unknown.
    """

    op: FloatArray
    sign: FloatArray


def compare(
    log_x: FloatArray, sign_x: FloatArray | SignArray, log_y: FloatArray, sign_y: FloatArray | SignArray
) -> Comparison:
    """Op and the sign of Comp from the logarithms and signs of v_m and u_m."""
    with np.errstate(invalid="ignore"):
        op = log_y - log_x  # inf - inf of two zeros is NaN
        sign = np.multiply(sign_x, sign_y, dtype=np.float64)
    unknown = np.isnan(log_x) | ~np.isfinite(log_y)
    return Comparison(op, np.where(unknown, np.nan, sign))


def case(log_x: float, log_y: float) -> str:
    """Which of the cases a pair is: empty where Op is a number."""
    if np.isnan(log_x) or np.isnan(log_y):
        return LOST
    if log_x == -np.inf:
        return UNDEFINED if log_y == -np.inf else UNDONE
    return INFINITE if log_y == -np.inf else ""
