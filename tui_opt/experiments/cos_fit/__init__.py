"""cos-fit: why gradient descent misses two parameters, and what finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_opt.experiments.cos_fit.descents import BASIN_MAP, FIT, LOSS_CURVE, OVERPARAMETERISED
from tui_opt.scenario import Estimate, Experiment, Scenario, later

if TYPE_CHECKING:
    from tui_opt.experiments.cos_fit.solve_params import SolveParams

_HERE = "tui_opt.experiments.cos_fit"
# Costs on the reference machine, one core.
_SECONDS_PER_SOLUTION = 0.06
_SECONDS_PER_SAMPLE = 1.5e-6
_BYTES_PER_SAMPLE = 400
_MOST_SCANNED_SAMPLES = 1 << 20


def _solve(p: SolveParams) -> Estimate:
    # How many rows a file has is known when it is read.
    samples = 0 if p.data else p.samples
    seconds = p.seeds * (_SECONDS_PER_SOLUTION + _SECONDS_PER_SAMPLE * samples)
    return Estimate(
        seconds, 250_000_000 + _BYTES_PER_SAMPLE * min(samples, _MOST_SCANNED_SAMPLES) + 100 * samples
    )


SOLVE = Experiment(
    name="solve",
    title="Find the parameters without a start",
    summary="Frequencies by a scan, everything linear eliminated, Gauss-Newton, error bars and the Cramér-Rao bound.",
    params=later(f"{_HERE}.solve_params:SolveParams"),
    compute=f"{_HERE}.solve:compute",
    estimate=_solve,
    # Findings are named after the parameters of the model, arrays after its columns.
    headline=("a", "b", "cramer_rao_ratio", "seconds"),
    warm={"samples": 400},
)

SCENARIO = Scenario(
    name="cos-fit",
    title="Why gradient descent misses two parameters",
    experiments=(LOSS_CURVE, FIT, BASIN_MAP, SOLVE, OVERPARAMETERISED),
)
