"""What the loss of phase one says against its own results: training ran away, or nothing was learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tui_opt.result import Result

_CHANCE: Final = {"softmax": float(np.log(2.0))}
ABSURD: Final = 100.0
"""Mean loss beyond which training ran away: initial networks have less than half of it, of a single unit too."""


def chance(output: str) -> float:
    """The loss of answering one half to everything."""
    return _CHANCE.get(output, 0.25)


def ran_away(loss: float) -> bool:
    """Whether a mean loss is no number, or larger than any that a network has by itself."""
    return not loss < ABSURD


def worst(losses: Sequence[float]) -> str:
    """The largest of some losses that ran away, in words."""
    finite = [loss for loss in losses if np.isfinite(loss)]
    return f"up to {max(finite):.2g}" if finite else "no finite number"


def warn_of(result: Result, losses: Sequence[float], late: Sequence[float], output: str) -> None:
    """Warnings for networks whose shares are not of anything learnt.

    Args:
        result: gets them.
        losses: mean losses of the networks over the counted part of phase one.
        late: the same over its second half: of all of it, what networks begin with may be most.
        output: activation of the outputs, which says what answering one half costs.
    """
    half = chance(output)
    lost = [loss for loss in losses if ran_away(loss)]
    if lost:
        text = (
            f"Training ran away in {len(lost)} of {len(losses)} networks: their mean loss over the counted part of "
            f"phase one is {worst(lost)}, where answering one half to everything has {half:.2g}. Their shares are of "
            "steps that overshot, not of anything learnt. Lower learning_rate."
        )
        result.add_finding("ran_away", len(lost), text, kind="warning")
    dull = sum(half <= end and loss < ABSURD for loss, end in zip(losses, late, strict=True))
    if dull:
        text = (
            f"{dull} of {len(losses)} networks answer no better in the second half of phase one than one half to "
            f"everything, which has a mean loss of {half:.2g}: what their shares agree on is not anything learnt. "
            "Lower learning_rate where it is large, for steps that overshoot leave units dead; raise it, or epochs, "
            "where it is small."
        )
        result.add_finding("learnt_nothing", dull, text, kind="warning")
