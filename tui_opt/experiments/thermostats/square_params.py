"""Parameters of the thermostat with continuous states. Defaults reproduce the source text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from tui_opt.experiments.thermostats.discrete_params import many
from tui_opt.params import OneOrMany, Params, Real, real
from tui_opt.problems import Problem


def one_or_two(params: Any) -> Iterable[Problem]:
    """Sides and centre are one number for both parts, or one for each."""
    for name in ("side", "centre"):
        given = getattr(params, name)
        if len(many(given)) > 2:
            yield Problem(name, "must be one number, or two: of the room and of the machine.", given)


class ContinuousSquareParams(Params):
    """Room and machine uniform on a box, R <- R - k T and T <- R."""

    gain: Real = real(
        0.3, low=-1e6, high=1e6, symbol="k", group="thermostat",
        help="Change of the room per step and unit of the machine's activity: R <- R - k T, T <- R.",
    )  # fmt: skip
    side: OneOrMany = real(
        0.1, low=1e-12, high=1e12, symbol="ε", log=True, group="law",
        help="Side of the square at t-1, or the sides along room and machine.",
    )  # fmt: skip
    centre: OneOrMany = real(
        10.0, low=-1e9, high=1e9, group="law", help="Its centre: both coordinates, or room and machine."
    )  # fmt: skip

    rules: ClassVar = (one_or_two,)

    @property
    def sides(self) -> tuple[float, float]:
        """Sides along room and machine."""
        given = many(self.side)
        return given[0], given[-1]

    @property
    def middle(self) -> tuple[float, float]:
        """Room and machine at the centre."""
        given = many(self.centre)
        return given[0], given[-1]
