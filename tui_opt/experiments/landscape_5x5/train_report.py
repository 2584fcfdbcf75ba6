"""What train says: losses over time and at the end, mean output, what was found of the sawtooth, distances."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.landscape_5x5.examined import (
    Trained,
    count_error,
    quantile_error,
    quantiles,
    share_error,
)
from tui_opt.experiments.landscape_5x5.params import TrainParams
from tui_opt.experiments.landscape_5x5.task import RUN_AWAY, Task
from tui_opt.experiments.landscape_5x5.train_figures import add_figures
from tui_opt.result import Result

FloatArray: TypeAlias = NDArray[np.float64]
SingleArray: TypeAlias = NDArray[np.float32]

QUANTILES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
HALF = 0.5


def report(
    params: TrainParams,
    task: Task,
    times: NDArray[np.int64],
    losses: list[SingleArray],
    found: Trained,
    speed: float,
) -> Result:
    """Arrays, findings and charts.

    Args:
        params: what was asked.
        task: what was to be learnt.
        times: [time], steps.
        losses: of chunks of networks, [time, network]; NaN where not computed yet.
        found: the networks that were looked at.
        speed: model-steps a second.
    """
    result = Result()
    result.headline = ["loss_median", "loss_best", "dead_fraction", "sawtooth_median"]
    result.add_array("x", task.x, ("x",), text="training points")
    result.add_array("y", task.y, ("x",), text="the target there")
    _add_over_time(result, times, losses)
    _add_models(result, params, found)
    mean = found.mean if found.count else np.full_like(found.mean, np.nan)
    result.add_array("output_mean", mean, ("x",), text="mean output of the networks that did not diverge")
    result.add_array("output_sd", found.sd, ("x",), text="standard deviation of their outputs")
    result.add_array("output_low", mean - found.sd, ("x",), text="mean less one standard deviation")
    result.add_array("output_high", mean + found.sd, ("x",), text="mean and one standard deviation")
    best = found.best if len(found.best) else np.full((1, task.x.size), np.nan)
    result.add_array("output_best", best[0], ("x",), text="output of the network with the least loss")
    result.add_array("outputs_best", best, ("rank", "x"), text="outputs of the best networks")
    _add_loss_findings(result, task, found)
    _add_shares(result, task, found)
    _add_distances(result, params, found)
    result.add_finding("model_steps_per_second", speed, "steps of one network a second, all threads together")
    for text in task.warnings:
        result.warn(text)
    add_figures(result, task, found)
    return result


def _add_over_time(result: Result, times: NDArray[np.int64], losses: list[SingleArray]) -> None:
    shares = np.array(QUANTILES)
    rows = np.full((times.size, shares.size), np.nan)
    for k in range(times.size):
        there = [chunk[k] for chunk in losses if not np.isnan(chunk[k]).all()]
        if there:
            now = np.concatenate(there).astype(np.float64)
            rows[k] = quantiles(np.where(np.isfinite(now), now, np.inf), shares)
    result.add_array("t", times.astype(np.float64), ("t",), text="steps")
    result.add_array("quantile", shares, ("quantile",), text="share of the networks with at most this loss")
    result.add_array(
        "loss_quantiles", rows, ("t", "quantile"), text="quantiles of the loss before each of these steps"
    )


def _add_models(result: Result, params: TrainParams, found: Trained) -> None:
    """One number per network."""
    described = {
        "loss": (found.loss, "mean squared error, in double precision; infinite where a network diverged"),
        "dead": (found.dead.astype(np.float64), "1 where the output is constant"),
        "distance_sorted": (
            found.distance_sorted,
            "to the built network, both of smallest norm, nodes sorted",
        ),
        "distance_matched": (found.distance_matched, "to the built network, nodes in the nearest order"),
        "sawtooth_coefficient": (
            found.high_frequency,
            "share of the target's high frequencies: 1 is all, 0 none",
        ),
    }
    for name, (values, text) in described.items():
        result.add_array(name, values, ("model",), text=text)
    result.add_array("knots", found.knots, ("counted",), text="interior knots of the first networks")
    result.add_array(
        "networks", found.networks, ("model", "parameter"), text="the networks, in single precision"
    )


def _add_loss_findings(result: Result, task: Task, found: Trained) -> None:
    number = max(1, found.loss.size)
    if not found.loss.size:
        return
    constant = float(task.y.var())
    result.add_finding("loss_best", float(found.loss.min()), "least loss of all networks")
    for name, share in (("loss_low", 0.1), ("loss_median", 0.5), ("loss_high", 0.9)):
        value = float(quantiles(found.loss, np.array([share]))[0])
        text = "median loss" if share == 0.5 else f"{share:.0%} of the networks have at most this loss"
        result.add_finding(name, value, text, stderr=quantile_error(found.loss, share))
    dead = float(found.dead.mean())
    result.add_finding(
        "dead_fraction", dead, f"networks whose output is constant; at best their loss is {constant:.6g}",
        stderr=float(share_error(dead, number)),
    )  # fmt: skip
    alive = found.loss[~found.dead]
    if alive.size:
        result.add_finding(
            "loss_median_alive",
            float(np.median(alive)),
            "median loss of the others",
            stderr=quantile_error(alive, 0.5),
        )
    diverged = float(np.mean(~np.isfinite(found.loss)))
    text = f"networks that became infinite, or whose loss is above {RUN_AWAY:g} times that of answering 0"
    result.add_finding("diverged_fraction", diverged, text, kind="accuracy")
    if diverged:
        result.warn(f"{diverged:.1%} of the networks diverged: the learning rate is too large for them.")
    result.add_finding(
        "spline_mse", task.spline_error, "loss of the best spline of low frequency, for comparison"
    )
    result.add_finding(
        "below_spline_fraction",
        float(np.mean(found.loss < task.spline_error)),
        "networks better than that spline",
    )
    if found.knots.size:
        result.add_finding(
            "knots_median",
            float(np.median(found.knots)),
            "median of the interior knots",
            stderr=count_error(found.knots),
        )


def _why_no_share(task: Task, found: Trained) -> str:
    if not np.any(np.isfinite(found.loss) & ~found.dead):
        return "there is no live network"
    if np.abs(task.high).max() <= 1e-9 * max(1.0, np.abs(task.y).max()):
        return "the target has no high frequencies"
    return "of the target's high frequencies nothing is left beside a spline with knots at its corners and between them"


def _add_shares(result: Result, task: Task, found: Trained) -> None:
    known = found.high_frequency[np.isfinite(found.high_frequency) & ~found.dead]
    if not known.size:
        result.add_missing("sawtooth_median", _why_no_share(task, found))
        return
    for name, share in (("sawtooth_low", 0.05), ("sawtooth_median", 0.5), ("sawtooth_high", 0.95)):
        value = float(quantiles(known, np.array([share]))[0])
        text = f"{share:.0%} of the live networks have found at most this share of the high frequencies"
        result.add_finding(name, value, text, stderr=quantile_error(known, share))
    result.add_finding("sawtooth_largest", float(known.max()), "the largest share that any network found")
    half = float(np.mean(known > HALF))
    result.add_finding(
        "sawtooth_above_half",
        half,
        "live networks that found more than half of it",
        stderr=float(share_error(half, known.size)),
    )


def _add_distances(result: Result, params: TrainParams, found: Trained) -> None:
    for name in ("sorted", "matched"):
        values = getattr(found, f"distance_{name}")
        known = values[np.isfinite(values)]
        if known.size:
            result.add_finding(
                f"distance_{name}_median", float(np.median(known)), f"median distance to the built one, nodes {name}",
                stderr=quantile_error(known, 0.5),
            )  # fmt: skip
        else:
            why = (
                "the target was not built"
                if not params.is_built
                else "the built network is wider, or every network diverged"
            )
            result.add_missing(f"distance_{name}_median", why)
