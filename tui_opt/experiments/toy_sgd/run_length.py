"""run-length: how many equal draws in a row leave the pit, and how likely such a run is."""

from __future__ import annotations

import numpy as np

from tui_opt.errors import ExperimentError
from tui_opt.experiments.datapoints import FloatArray, System
from tui_opt.experiments.pits import Question
from tui_opt.experiments.toy_sgd.params import RunLengthParams
from tui_opt.figure import Axis, Figure, Line, Ref, Rule, Scatter
from tui_opt.kernels.runs import mean_wait, run_length, run_probability
from tui_opt.result import Result
from tui_opt.runner.context import Context

CURVE_POINTS = 100
# A first step shorter than this is the rounding of a start that is meant to be at rest; an unstable one would grow it.
AT_REST = 1e-12


def compute(params: RunLengthParams, ctx: Context) -> Result:
    """Descend one datapoint until the barrier is passed; exact statistics of such a run among fair draws."""
    system = System.from_texts(params.losses)
    question = Question(system, params.start, params.barrier, params.w_min, params.w_max)
    way = question.way(params.temperature)

    def gradient(w: FloatArray) -> FloatArray:
        return np.asarray(system.gradients(w)[params.term])

    if abs(params.temperature * float(gradient(np.array([way.start]))[0])) < AT_REST:
        raise ExperimentError(
            f"The start W = {way.start:.6g} is a stationary point of l{params.term}: descending it alone goes nowhere. "
            "Choose another term or start."
        )
    run = run_length(gradient, way.start, way.barrier, params.temperature)
    ctx.check()
    if run.steps is None:
        raise ExperimentError(
            f"Descending l{params.term} alone never leaves the pit from W = {way.start:.6g}: {run.reason} Choose "
            "another term, temperature, start or barrier."
        )
    chance = 1.0 / system.terms
    draws = np.unique(np.geomspace(1, max(params.steps, 10 * run.steps), CURVE_POINTS).astype(np.int64))
    probability = np.empty(draws.size)
    for i, n in enumerate(draws):
        ctx.check()
        ctx.progress(i, draws.size, "run statistics")
        probability[i] = run_probability(run.steps, int(n), chance)
    result = Result()
    result.add_array("step", np.arange(run.path.size, dtype=np.float64), ("step",))
    result.add_array("w", run.path, ("step",), unit="W", text=f"descending l{params.term} repeatedly")
    result.add_array("draws", draws.astype(np.float64), ("draws",))
    result.add_array(
        "probability", probability, ("draws",), text="of at least one such run within so many draws"
    )
    result.add_finding(
        "run_length", run.steps, f"consecutive descents of l{params.term} that pass the barrier"
    )
    result.add_finding("run_end_w", run.end, "where the run ends", unit="W")
    result.add_finding(
        "run_probability",
        run_probability(run.steps, params.steps, chance),
        f"of at least one run of {run.steps} among {params.steps} fair draws (exact)",
    )
    result.add_finding(
        "mean_wait", mean_wait(run.steps, chance), "draws until the first such run ends (exact)", unit="steps"
    )
    result.add_finding("start_w", way.start, "where the run begins", unit="W")
    result.add_finding("barrier_w", way.barrier, "place beyond which the walker has escaped", unit="W")
    path = Figure(
        name="run",
        title=f"Descending l{params.term} again and again",
        x=Axis(label="step"),
        y=Axis(label="W"),
        layers=(
            Line(x=Ref(array="step"), y=Ref(array="w")),
            Scatter(x=Ref(array="step"), y=Ref(array="w"), label="W"),
            Rule(axis="y", value=way.barrier, label="barrier"),
        ),
    )
    chances = Figure(
        name="probability",
        title=f"Probability of a run of {run.steps} within n draws",
        x=Axis(label="draws n", scale="log"),
        y=Axis(label="probability", low=0.0, high=1.0),
        layers=(
            Line(x=Ref(array="draws"), y=Ref(array="probability")),
            Rule(axis="x", value=float(params.steps), label=f"{params.steps} draws"),
        ),
    )
    result.add_figure(path)
    result.add_figure(chances)
    return result
