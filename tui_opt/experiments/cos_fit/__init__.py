"""cos-fit: why gradient descent misses two parameters, and what finds them."""

from __future__ import annotations

from tui_opt.scenario import Scenario

_HERE = "tui_opt.experiments.cos_fit"

SCENARIO = Scenario(
    name="cos-fit",
    title="Why gradient descent misses two parameters",
    experiments=(),
)
