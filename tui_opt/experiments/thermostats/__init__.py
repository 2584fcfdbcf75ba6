"""thermostats: how much a machine narrows down what its room will do."""

from __future__ import annotations

from tui_opt.experiments.thermostats.distributions import DISTRIBUTIONS
from tui_opt.experiments.thermostats.loops import LOOPS
from tui_opt.scenario import Scenario

SCENARIO = Scenario(
    name="thermostats",
    title="How much a thermostat optimizes its room",
    experiments=(*DISTRIBUTIONS, *LOOPS),
)
