"""What end-state finds: moments, distances, rates of escape, which model is nearest, and what the source claims."""

from __future__ import annotations

import math

import numpy as np

from tui_opt.experiments.probability_current.end_state_laws import CHAIN, NAMES, End, Ends
from tui_opt.experiments.probability_current.setting import DIFFUSION_LIMIT, OPERATOR
from tui_opt.kernels.end_states import average, density_of_intervals, difference_beyond_a_cell, log_density
from tui_opt.kernels.laws import wasserstein
from tui_opt.result import FindingKind, Result

RATE_AMISS = 0.1
"""|ln| of a ratio of rates from which a rate counts as wrong."""
CASCADE_LEVELS = (1, 2, 4, 8)
MOST_INTERVALS = 4096


def add_findings(result: Result, ends: Ends) -> None:
    """Add them for the models that are known so far."""
    if ends.question.side:
        _add_rates(result, ends)
    for model, end in ends.found.items():
        _add_moments(result, ends, model, end)
        _add_distances(result, ends, model, end)
        _add_balance(result, ends, model, end)
    _add_closest(result, ends)
    _add_exact(result, ends)
    _add_comparison(result, ends)


def _add_rates(result: Result, ends: Ends) -> None:
    chain = ends.chain
    for model, end in ends.found.items():
        text = f"probability of escape per step once the law has settled, {NAMES[model]}"
        if end.log_rate == -math.inf:
            text = f"nothing escapes, {NAMES[model]}: {'; '.join(end.notes)}"
        rate = math.exp(end.log_rate)
        if rate == 0.0 and math.isfinite(end.log_rate):
            text += ": below the smallest double, see its logarithm"
        result.add_finding(f"escape_rate_{model}", rate, text, unit="1/steps")
        text = f"ln of the rate of escape, {NAMES[model]}"
        result.add_finding(f"log_escape_rate_{model}", end.log_rate, text)
        if model == OPERATOR or chain is None or not math.isfinite(chain.log_rate):
            continue
        away = end.log_rate - chain.log_rate
        result.add_finding(f"log_rate_ratio_{model}", away, _times(model, away))


def _times(model: str, log_ratio: float) -> str:
    """How many times as often a model escapes, in words."""
    text = f"ln of the ratio of rates: {NAMES[model]}"
    if not math.isfinite(log_ratio):
        return f"{text} never escapes, the exact chain does"
    power = log_ratio / math.log(10)
    factor = f"{math.exp(log_ratio):.3g}" if abs(power) < 4 else f"10^{power:.2f}"
    return f"{text} escapes {factor} times as often as {CHAIN}"


def _add_moments(result: Result, ends: Ends, model: str, end: End) -> None:
    kind = "quasi-stationary" if ends.question.side else "stationary"
    text = f"mean of the {kind} law, {NAMES[model]}"
    result.add_finding(f"stationary_mean_{model}", end.mean, text, unit="W")
    text = f"standard deviation of the {kind} law, {NAMES[model]}"
    result.add_finding(f"stationary_sd_{model}", end.sd, text, unit="W")


def _add_distances(result: Result, ends: Ends, model: str, end: End) -> None:
    """How far a model's law is from the exact one; of the chain on cells, how far from the closed form."""
    chain, against = ends.chain, ends.reference_name
    exact = ends.reference(end.edges)
    if exact is None or (model == OPERATOR and against == CHAIN):
        return
    kind: FindingKind = "accuracy" if model == OPERATOR else "finding"
    text = f"largest difference of the distribution function from {against}'s, {NAMES[model]}"
    if chain is not None and ends.point:
        away = difference_beyond_a_cell(chain.edges, chain.masses, end.edges, end.masses)
        text += ", shifts within a cell aside"
    else:
        places = end.edges if chain is None else np.union1d(end.edges, chain.edges)
        reference = ends.reference(places)
        away = float(np.max(np.abs(end.cdf(places) - reference))) if reference is not None else math.nan
    result.add_finding(f"ks_{model}", away, text, kind=kind)
    text = f"Wasserstein distance to {against}, {NAMES[model]}"
    result.add_finding(
        f"distance_{model}", wasserstein(end.edges, end.masses, exact), text, unit="W", kind=kind
    )


def _add_balance(result: Result, ends: Ends, model: str, end: End) -> None:
    """Mean gradient and mean gradient variance under the law.

    Where nothing leaves, a step changes the mean of W by -T times the mean of G: it must vanish for SGD, as for Ito.
    """
    system, name = ends.question.setting.system, NAMES[model]
    text = f"mean of G under the law, {name}"
    if not ends.question.reflecting and ends.question.params.substeps == 1:
        text += f"; 0 for SGD{' while escapes are rare' if ends.question.side else ''}, and for Ito"
    gradient = average(system.gradient(end.centres), end.masses)
    result.add_finding(f"mean_gradient_{model}", gradient, text, unit="L/W")
    variance = system.gradient_variance(end.centres)
    uniform = average(variance, np.diff(end.edges))
    if uniform > 0 and math.isfinite(uniform):
        text = (
            f"mean of S² under the law over its mean over the cells, {name}; below 1 where the noise is low"
        )
        result.add_finding(f"variance_ratio_{model}", average(variance, end.masses) / uniform, text)


def _add_closest(result: Result, ends: Ends) -> None:
    """Which diffusion is nearest to the exact chain: by its law, and by its rate."""
    diffusions = [m for m in ends.found if m != OPERATOR]

    def sizes(quantity: str) -> dict[str, float]:
        found = {m: result.findings.get(f"{quantity}_{m}") for m in diffusions}
        return {m: abs(f.value) for m, f in found.items() if f is not None and math.isfinite(f.value)}

    beyond = ends.question.setting.validity(ends.question.edges) > DIFFUSION_LIMIT
    distances, ratios = sizes("ks"), sizes("log_rate_ratio")
    if len(distances) > 1 and not ends.point:
        best = min(distances, key=lambda m: distances[m])
        text = (
            f"Of the diffusions {NAMES[best]} is nearest to the law of {ends.reference_name}; its KS distance"
        )
        if beyond:
            text += " (T is beyond their domain: which one is nearest says little)"
        result.add_finding("closest_ks", distances[best], text)
    if len(ratios) > 1:
        best = min(ratios, key=lambda m: ratios[m])
        text = f"Of the diffusions {NAMES[best]} is nearest to the rate of {CHAIN}; |ln| of their ratio"
        if ratios[best] > RATE_AMISS:
            text += ": none of them has the right rate"
        result.add_finding("closest_rate", ratios[best], text)


def _add_exact(result: Result, ends: Ends) -> None:
    """Closed forms, where every update is affine."""
    exact = ends.exact
    if exact is None:
        return
    text = "of the exact law, in closed form: every update is affine"
    result.add_finding("exact_mean", exact.mean, f"mean {text}", unit="W")
    result.add_finding("exact_sd", exact.sd, f"standard deviation {text}", unit="W")
    if exact.cascade is None:
        return
    cascade = exact.cascade
    text = "dimension of the exact law: entropy of the draw over the mean of ln 1/|slope|"
    if exact.singular:
        text += "; the law is singular and has no density, so laws are compared by distribution functions"
    result.add_finding("dimension", cascade.dimension, text)
    result.add_finding("support_min", cascade.low, "left end of the exact law's support", unit="W")
    result.add_finding("support_max", cascade.high, "right end of the exact law's support", unit="W")
    w = ends.question.edges
    result.add_array("cdf_exact", cascade.cdf(w), ("w_edge",), text="distribution function, exact law")
    for level in CASCADE_LEVELS:
        if cascade.weights.size**level > MOST_INTERVALS:
            break
        edges, density = density_of_intervals(*cascade.level(level))
        dims = (f"cascade_w_{level}",)
        result.add_array(
            dims[0], edges, dims, unit="W", text=f"ends of the intervals after {level} divisions"
        )
        text = f"mass over width after {level} divisions of the support"
        result.add_array(f"cascade_{level}", density, (f"interval_{level}",), unit="1/W", text=text)


def _add_comparison(result: Result, ends: Ends) -> None:
    """Two places: the ratio of densities, and the distribution functions."""
    places = np.array(ends.question.params.compare)
    if not places.size:
        return
    setting = ends.question.setting
    noise = float(np.nanmax(np.sqrt(setting.system.gradient_variance(places)), initial=0.0))
    half_width = 0.5 * setting.temperature * noise
    result.add_array("compare", places, ("compare",), unit="W", text="places compared")
    for model, end in ends.found.items():
        text = f"distribution function there, {NAMES[model]}"
        result.add_array(f"compare_cdf_{model}", end.cdf(places), ("compare",), text=text)
        first, second = (log_density(end.edges, end.masses, float(w), half_width) for w in places)
        text = (
            f"ln P({places[0]:g}) - ln P({places[1]:g}), {NAMES[model]}; densities over a step of the noise"
        )
        ratio = first - second if math.isfinite(first) or math.isfinite(second) else math.nan
        result.add_finding(f"log_density_ratio_{model}", ratio, text)
    if ends.exact is not None and ends.exact.cascade is not None:
        text = "distribution function there, exact law"
        result.add_array("compare_cdf_exact", ends.exact.cascade.cdf(places), ("compare",), text=text)
