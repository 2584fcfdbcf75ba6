"""Parameters of controller: a plant, the network that learns to regulate it, and how it is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from tui_opt.params import Params, Real, Whole, choice, real, whole
from tui_opt.problems import Problem

MOST_ACTIVATIONS = 30_000_000
"""Activations that back-propagation through time keeps, some 1.5 GB."""


class ControllerParams(Params):
    """A small tanh network, trained by back-propagation through time."""

    plant: Literal["leaky-room", "pendulum"] = choice(
        "leaky-room", group="system",
        help="A room that leaks to the cold, or a pendulum upside down, which falls without control.",
    )  # fmt: skip
    hidden: Whole = whole(8, low=1, high=512, log=True, group="network", help="Hidden tanh neurons.")
    iterations: Whole = whole(300, low=1, high=100_000, log=True, group="training", help="Updates by Adam.")
    learning_rate: Real = real(0.03, above=0, high=10, log=True, group="training", help="Step size of Adam.")
    states: Whole = whole(
        16,
        low=1,
        high=4096,
        log=True,
        group="training",
        help="Initial states that each network is trained on.",
    )
    horizon: Whole = whole(
        60, low=2, high=5000, log=True, group="time",
        help="Steps a loop is followed, in training and for Op.",
    )  # fmt: skip
    test_states: Whole = whole(
        32,
        low=1,
        high=4096,
        log=True,
        group="question",
        help="Other initial states, over which Op's median is taken.",
    )
    seeds: Whole = whole(
        4, low=1, high=256, log=True, group="question", help="Networks trained independently."
    )

    def _fits(self: Any) -> Iterable[Problem]:
        for name in ("states", "test_states"):
            kept = self.seeds * getattr(self, name) * self.hidden * self.horizon
            if kept > MOST_ACTIVATIONS:
                text = (
                    f"keeps {kept:,} activations (seeds x {name} x hidden x horizon); at most "
                    f"{MOST_ACTIVATIONS:,} are allowed: lower one of them."
                )
                yield Problem(name, text, getattr(self, name))

    rules: ClassVar = (_fits,)
