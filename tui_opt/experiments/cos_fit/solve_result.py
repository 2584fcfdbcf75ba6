"""What solve reports: every parameter with its error, how the error compares with the bound, and what to beware of."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.cos_fit.solve_answer import Answer, Repetitions
from tui_opt.experiments.cos_fit.solve_figures import add_figures
from tui_opt.experiments.cos_fit.solve_params import SolveParams
from tui_opt.experiments.cos_fit.solve_warnings import add_warnings
from tui_opt.kernels.fitting.exponential_sums import MOST_DIRECT
from tui_opt.result import Result

FloatArray = NDArray[np.float64]

MOST_SIGMA = 6.0
"""A repetition counts as a success where every parameter is within so many bounds of the truth."""
EXACT = 1e-6
"""… or within so much of it relatively, for samples without noise."""
WORDS = {"linear": "eliminated", "frequency": "scanned", "phase": "refined", "other": "refined"}


def result_of(answer: Answer, params: SolveParams) -> Result:
    """Findings, tables, arrays and figures."""
    result = Result()
    _add_parameters(result, answer)
    _add_bound(result, answer)
    _add_search(result, answer)
    _add_data(result, answer, params)
    add_warnings(result, answer)
    result.headline = [*answer.names[:3], "cramer_rao_ratio"]
    add_figures(result, answer)
    return result


def _add_parameters(result: Result, answer: Answer) -> None:
    kinds, errors = answer.solution.structure.kinds, answer.errors
    many = answer.repetitions
    values = answer.solution.fit.values
    stated = errors
    if many is not None:
        n = len(many.values)
        values, stated = many.values.mean(axis=0), many.values.std(axis=0, ddof=1) / math.sqrt(n)
    rows: list[tuple[str | float | None, ...]] = []
    truth = None if answer.samples.truth is None else answer.truth_like(answer.solution.fit.values)
    for k, name in enumerate(answer.names):
        text = f"{name} ({kinds[name]}, {WORDS[kinds[name]]}), by {answer.solution.method}"
        if many is not None:
            text = f"mean over {len(many.values)} repetitions of {text}"
        result.add_finding(name, float(values[k]), text, stderr=float(stated[k]))
        bound = None if answer.bound is None else float(np.sqrt(answer.bound[k, k]))
        known = None if truth is None else float(truth[k])
        rows.append((name, kinds[name], float(answer.solution.fit.values[k]), float(errors[k]), known, bound))
    columns = ("parameter", "kind", "estimate", "stderr", "truth", "bound")
    result.add_table("parameters", columns, rows, title="Parameters of the seed's own samples")
    result.add_array(
        "estimate", answer.solution.fit.values, ("parameter",), text="estimates, in the model's order"
    )
    scale = np.where(np.isfinite(errors) & (errors > 0), errors, 1.0)
    result.add_array(
        "correlation", answer.covariance / np.outer(scale, scale), ("parameter", "other_parameter"),
        text="correlation of the estimates",
    )  # fmt: skip


def _measured(answer: Answer) -> int:
    """The parameter whose error is compared with the bound: the first that is scanned, or refined, or any."""
    kinds = [answer.solution.structure.kinds[name] for name in answer.names]
    return next((kinds.index(kind) for kind in ("frequency", "other") if kind in kinds), 0)


def _add_bound(result: Result, answer: Answer) -> None:
    k = _measured(answer)
    name = answer.names[k]
    many = answer.repetitions
    noise = answer.samples.noise
    if many is not None:
        _add_spread(result, answer, many)
    elif answer.bound is not None and noise and not 0 < answer.bound[k, k] < math.inf:
        result.add_missing("cramer_rao_ratio", f"The samples do not determine {name}: the bound is infinite.")
    elif answer.bound is not None and noise:
        ratio = answer.errors[k] / math.sqrt(answer.bound[k, k])
        free = answer.rows.count - len(answer.names)
        text = f"error bar of {name} over the Cramér-Rao bound at the truth; 1 is the best there is"
        spread = ratio / math.sqrt(2 * free) if free > 0 else math.nan
        result.add_finding("cramer_rao_ratio", ratio, text, stderr=spread, kind="accuracy")
    elif answer.bound is None:
        robust = _robust_errors(answer)
        text = (
            f"error bar of {name} that allows for noise of any kind, over that for equal normal noise, which is the "
            "Cramér-Rao bound at the estimate; far from 1 the noise is uneven or the model does not fit"
        )
        result.add_finding("cramer_rao_ratio", robust[k] / answer.errors[k], text, kind="accuracy")
    else:
        result.add_missing("cramer_rao_ratio", "The samples have no noise, so the Cramér-Rao bound is 0.")
    if many is None and answer.bound is not None:
        away = answer.solution.fit.values - answer.truth_like(answer.solution.fit.values)
        bounds = np.sqrt(np.diag(answer.bound))
        if noise and np.isfinite(bounds).all():
            text = "largest distance of an estimate from the truth, in bounds"
            result.add_finding("worst_z", float(np.max(np.abs(away) / bounds)), text, kind="accuracy")
        success = float(_successes(answer, answer.solution.fit.values[None, :], bounds[None, :])[0])
        text = f"1 where every parameter is within {MOST_SIGMA:g} bounds of the truth (or a millionth of it)"
        result.add_finding("success_rate", success, text)


def _robust_errors(answer: Answer) -> FloatArray:
    """Standard errors without the assumption of equal noise, [p]: the sandwich G^-1 (sum r^2 J J^T) G^-1.

    Reference: H. White, Econometrica 48, 817, 1980.
    """
    rows, values = answer.rows, answer.solution.fit.values
    middle = np.zeros((values.size, values.size))
    for first in range(0, rows.count, 65_536):
        block = slice(first, first + 65_536)
        table = rows(values, block)
        weighted = table[1:] * (rows.y[block] - table[0])
        middle += weighted @ weighted.T
    if not math.isfinite(answer.variance) or answer.variance == 0:
        return np.full(values.size, np.nan)
    inverse = answer.covariance / answer.variance
    factor = rows.count / max(1, rows.count - values.size)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(np.diag(inverse @ middle @ inverse) * factor))


def _add_spread(result: Result, answer: Answer, many: Repetitions) -> None:
    """The spread of the repetitions against the bound of each."""
    n = len(many.values)
    away = many.values - np.array([answer.truth_like(v) for v in many.values])
    successes = _successes(answer, many.values, many.bounds)
    text = (
        f"share of {n} repetitions with every parameter within {MOST_SIGMA:g} bounds of the truth "
        "(or a millionth of it)"
    )
    rate = float(successes.mean())
    result.add_finding("success_rate", rate, text, stderr=math.sqrt(max(rate * (1 - rate), 0.0) / n))
    dims = ("seed", "parameter")
    result.add_array(
        "estimates", many.values, dims, text="estimates of each repetition, in the model's order"
    )
    result.add_array("bounds", many.bounds, dims, text="their Cramér-Rao bounds, as standard errors")
    if not answer.samples.noise:
        result.add_missing("cramer_rao_ratio", "The samples have no noise, so the Cramér-Rao bound is 0.")
        return
    z = away / many.bounds
    rms = np.sqrt(np.mean(z**2, axis=0))
    k = _measured(answer)
    of = f"{answer.names[k]} over {n} repetitions"
    text = f"rms distance from the truth in Cramér-Rao bounds, {of}; 1 is the best there is"
    result.add_finding(
        "cramer_rao_ratio", float(rms[k]), text, stderr=float(rms[k] / math.sqrt(2 * n)), kind="accuracy"
    )
    text = f"mean squared distance from the truth over the bound's variance, {of}"
    share = float(rms[k] ** 2)
    result.add_finding("variance_ratio", share, text, stderr=share * math.sqrt(2 / n), kind="accuracy")
    result.add_finding(
        "worst_z", float(np.abs(z).max()), f"largest distance of {z.size} estimates from the truth, in bounds",
        kind="accuracy",
    )  # fmt: skip
    result.add_table(
        "spread",
        ("parameter", "mean_z", "rms_z", "stderr"),
        [
            (name, float(z[:, i].mean()), float(rms[i]), float(rms[i] / math.sqrt(2 * n)))
            for i, name in enumerate(answer.names)
        ],
        title=f"Distances from the truth in Cramér-Rao bounds over {n} repetitions",
    )  # fmt: skip


def _successes(answer: Answer, values: FloatArray, bounds: FloatArray) -> NDArray[np.bool_]:
    """Whether every parameter of a repetition is where it should be, [seed]."""
    truth = np.array([answer.truth_like(v) for v in values])
    allowed = MOST_SIGMA * np.where(np.isfinite(bounds), bounds, np.inf) + EXACT * np.maximum(
        np.abs(truth), 1e-3
    )
    return np.asarray((np.abs(values - truth) <= allowed).all(axis=1))


def _add_search(result: Result, answer: Answer) -> None:
    search, many = answer.solution.search, answer.repetitions
    text = f"time for an answer without drawing or reading the samples; {answer.solution.method}"
    seconds = answer.seconds if many is None else float(np.median(many.seconds))
    result.add_finding("seconds", seconds, text if many is None else f"median {text}", unit="s")
    text = "standard deviation of the residuals, by as many degrees of freedom as are left"
    sd = math.sqrt(answer.variance) if answer.variance >= 0 else math.nan
    free = answer.rows.count - len(answer.names)
    spread = sd / math.sqrt(2 * free) if free > 0 else None
    result.add_finding("residual_sd", sd, text, stderr=spread)
    result.add_finding(
        "starts_tried", search.starts, "starts that were tried for what is refined", kind="accuracy"
    )
    if not search.scans:
        return
    first = search.scans[0]
    cells = sum(s.scan.grid.size for s in search.scans)
    few = first.rows * first.scan.grid.size <= MOST_DIRECT
    way = (
        "directly" if first.scan.exact or few else "by a nonuniform FFT, the least minima once more directly"
    )
    rows = f" on {first.rows:,} of the rows" if first.rows < answer.rows.count else ""
    result.add_finding("grid_points", cells, f"frequencies scanned, {way}{rows}", kind="accuracy")
    wanted = first.ranges[0]
    named = first.wave.frequencies[0]
    text = f"spacing of the scanned frequencies of {named}, 1/(2 rms): an eighth of the basin's half-width"
    result.add_finding("grid_step", wanted.step, text, kind="accuracy")
    why = "as asked" if wanted.asked else "from the data's spacing and extent"
    result.add_finding(
        "frequency_max",
        wanted.highest,
        f"largest frequency of {named} that was scanned, {why}",
        kind="accuracy",
    )
    text = (
        "by how many residual variances the oscillation improves the fit; in noise alone the best one reaches"
    )
    result.add_finding(
        "oscillation_gain", search.gain, f"{text} about {search.chance - 10:.3g}", kind="accuracy"
    )
    if math.isfinite(search.lead):
        other = ", ".join(f"{n} = {v:.6g}" for n, v in search.runner_up.items())
        text = "by how many residual variances the next best minimum is worse" + (
            f" ({other})" if other else ", at least"
        )
        result.add_finding("runner_up_gap", search.lead, text, kind="accuracy")


def _add_data(result: Result, answer: Answer, params: SolveParams) -> None:
    samples = answer.samples
    result.add_finding(
        "samples_used", samples.count, f"rows of {samples.source} that were used", kind="accuracy"
    )
    if samples.dropped:
        text = (
            f"{samples.dropped} of {samples.rows} rows of {samples.source} were left out: a value is missing or not "
            "finite"
        )
        result.add_finding("samples_dropped", samples.dropped, text, kind="warning")
    else:
        result.add_finding("samples_dropped", 0, "rows left out because a value is missing", kind="accuracy")
    model = f"{samples.model.text.target} = {samples.model.text.right}"
    columns = ("source", "rows", "used", "sha256", "model")
    row = (params.data or samples.source, samples.rows, samples.count, samples.sha256, model)
    result.add_table("data", columns, [row], title="Data and model")
