"""The scenario `gated`: scatter of the example, whose time is up when the file `OPTEXPLORE_TEST_GATE` is there.

However slow the machine is, tests meet such a run under way, and then it ends at once.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bouncing_ball import SCENARIO as BALL

if TYPE_CHECKING:
    from bouncing_ball import ScatterParams

    from tui_opt.result import Result
    from tui_opt.runner.context import Context


def scatter(params: ScatterParams, ctx: Context) -> Result:
    """Mean rest time over balls with random restitution, at leisure or at once."""
    import bouncing_ball.compute as plain

    plain._spend = _wait  # type: ignore[attr-defined]
    return plain.scatter(params, ctx)


def _wait(seconds: float, ctx: Context) -> None:
    gate = Path(os.environ["OPTEXPLORE_TEST_GATE"])
    end = time.monotonic() + seconds
    while time.monotonic() < end and not gate.exists():
        ctx.check()
        time.sleep(0.01)


EXPERIMENT = dataclasses.replace(BALL.by_name["scatter"], compute="gated:scatter")
SCENARIO = dataclasses.replace(BALL, name="gated", experiments=(EXPERIMENT,))
