"""What localize says: arrays, findings with their spread over seeds, the controls beside them, and a verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.experiments.ocr_localization.localize_figures import add_figures
from tui_opt.experiments.ocr_localization.one_seed import Agreement, Seed, placebo_halves
from tui_opt.experiments.ocr_localization.params import LocalizeParams
from tui_opt.experiments.ocr_localization.straying import warn_of
from tui_opt.kernels.localization.borders import CLEAR
from tui_opt.kernels.localization.shares import contrast_of_data, correlation, shares_of_data
from tui_opt.result import Result

FloatArray: TypeAlias = NDArray[np.float64]

SIGNIFICANT: Final = 3.0
"""Standard deviations of the null law beyond which a correlation is more than chance."""

#: what is found by comparing units; with a single one it does not exist, whatever that unit learnt.
_OF_UNITS: Final = frozenset(
    {
        "r_biases",
        "r2_biases",
        "r_within_pixel",
        "r_unit_shuffle",
        "r_placebo_within",
        "r_placebo_biases",
        "null_within_pixel",
    }
)

_MEANINGS: Final = {
    "r_weights": "Correlation of update share and change share over all weights of the hidden layer.",
    "r_biases": "The same of the hidden layer's biases.",
    "r_within_pixel": "Of the weights, without each pixel's mean: what is left without all that pixels alone explain.",
    "r_unit_shuffle": "Of the weights with the hidden units permuted, mean over permutations: what pixels alone give.",
    "r_cross_seed": "Update shares of one network against change shares of another: again what pixels alone give.",
    "r_pixel_shuffle": "Of the weights with each unit's pixels permuted once: what units alone give.",
    "r_data_only": "The same two shares from the images alone, without any network.",
    "r_placebo": "For a grouping that mixes the two groups, against the same forks.",
    "r_placebo_within": "The same without each pixel's mean.",
    "r_placebo_biases": "The same of the biases.",
    "r_weights_untrained": "r_weights of networks that learn nothing: how gradients of one network agree.",
    "r_within_untrained": "The same without each pixel's mean.",
    "r_biases_untrained": "The same of the biases.",
}

#: of each control without learning, what it is of.
_LEARNT: Final = {
    "r_weights_untrained": "r_weights",
    "r_within_untrained": "r_within_pixel",
    "r_biases_untrained": "r_biases",
}


def report(params: LocalizeParams, lesson: Lesson, done: list[Seed], untrained: list[Seed]) -> Result:
    """The result of the networks that are done.

    Args:
        params: what was asked.
        lesson: what was learnt.
        done: networks that learnt it.
        untrained: the first of them again, taken through it without learning.
    """
    result = Result()
    _add_arrays(result, lesson, done)
    kept = [seed.agreement for seed in done]

    def add(name: str, values: list[float], text: str, *, kind: str = "finding") -> tuple[float, float]:
        return _add(result, name, values, text, _why_none(name, params, len(done)), kind=kind)

    for name in ("r_weights", "r_biases"):
        add(name, [getattr(a, name) for a in kept], _MEANINGS[name])
        squares = [getattr(a, name) ** 2 for a in kept]
        add(name.replace("r_", "r2_"), squares, f"Square of {name}, mean over seeds.")
    for name in ("r_within_pixel", "r_unit_shuffle"):
        add(name, [getattr(a, name) for a in kept], _MEANINGS[name])
    add("r_cross_seed", _across_seeds(done), _MEANINGS["r_cross_seed"])
    data_only = _data_only(lesson, params.tally)
    _add(
        result,
        "r_data_only",
        [data_only],
        _MEANINGS["r_data_only"],
        "no pixel has both, or one does not vary",
    )
    for name in ("r_pixel_shuffle", "r_placebo", "r_placebo_within", "r_placebo_biases"):
        text = _MEANINGS[name] + (_placebo_words(lesson) if name == "r_placebo" else "")
        add(name, [getattr(a, name) for a in kept], text)
    still = [seed.agreement for seed in untrained]
    if still or params.seeds == 1:
        _add_untrained(result, params, still)
    add(
        "null_within_pixel",
        [a.null_within_pixel for a in kept],
        "Standard deviation of r_within_pixel when hidden units are permuted, which leaves nothing to find.",
        kind="accuracy",
    )
    _add_verdict(result, params, kept, still)
    # In words what the other numbers are worth: nobody should have to look for it below them.
    result.findings = {"z_within_pixel": result.findings.pop("z_within_pixel"), **result.findings}
    _add_accuracy(result, params, lesson, kept)
    _add_table(result)
    result.headline = ["r_weights", "r_unit_shuffle", "r_within_pixel", "z_within_pixel", "r_biases"]
    add_figures(result, lesson, done)
    return result


def _add_arrays(result: Result, lesson: Lesson, done: list[Seed]) -> None:
    def stacked(read: Callable[[Seed], FloatArray]) -> FloatArray:
        return np.stack([read(seed) for seed in done])

    result.add_array(
        "seed", np.arange(len(done), dtype=float), ("seed",), text="number of the initial network"
    )
    dims = ("seed", "unit", "pixel")
    updates = stacked(lambda seed: seed.shares.update_weights.T)
    result.add_array(
        "update_share_weights", updates, dims, text="share of group_a in the sums of absolute updates"
    )
    changes = stacked(lambda seed: seed.shares.change_weights.T)
    result.add_array(
        "change_share_weights", changes, dims, text="share of group_a in the differences of forks"
    )
    biases = stacked(lambda seed: seed.shares.update_biases)
    result.add_array("update_share_biases", biases, ("seed", "unit"), text="the same of the biases")
    biases = stacked(lambda seed: seed.shares.change_biases)
    result.add_array("change_share_biases", biases, ("seed", "unit"), text="the same of the biases")
    result.add_array(
        "digit", np.array(lesson.digits, dtype=float), ("digit",), text="group_a's, then group_b's"
    )
    biases = stacked(lambda seed: seed.tally[:, -1])
    text = "sum of absolute updates by digit, of the biases"
    result.add_array("tally_biases", biases, ("seed", "digit", "unit"), text=text)
    weights = done[0].tally[:, :-1].transpose(0, 2, 1).copy()
    text = (
        "sum of absolute updates by digit, of the weights, first seed: any grouping's shares follow from it"
    )
    result.add_array("tally_weights", weights, ("digit", "unit", "pixel"), text=text)
    side = lesson.data.side
    by_pixel = stacked(lambda seed: seed.pixel_correlation)
    known = np.isfinite(by_pixel)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, by_pixel, 0.0).sum(axis=0) / known.sum(axis=0)
    text = "correlation of both shares over the weights of a pixel, mean over seeds"
    result.add_array("pixel_correlation", mean.reshape(side, side), ("row", "col"), text=text)
    result.add_array("row", np.arange(side, dtype=float), ("row",), text="from the top")
    result.add_array("col", np.arange(side, dtype=float), ("col",), text="from the left")


def _why_none(name: str, params: LocalizeParams, networks: int) -> str:
    """Why a correlation does not exist, should no network have one."""
    if name in _OF_UNITS and params.hidden == 1:
        return "it takes two hidden units or more, and there is one"
    if name == "r_cross_seed" and networks == 1:
        return "it takes two networks or more, and there is one"
    return "no pair has both shares, or one does not vary"


def _add(
    result: Result, name: str, values: list[float], text: str, why_none: str, *, kind: str = "finding"
) -> tuple[float, float]:
    """Add the mean over seeds with its standard error; seeds without a value are left out."""
    known = np.array([v for v in values if np.isfinite(v)])
    if not known.size:
        result.add_missing(name, f"{text} It does not exist here: {why_none}.")
        return float("nan"), float("nan")
    with np.errstate(over="ignore"):  # losses of networks that ran away
        mean = float(known.mean())
        stderr = float(known.std(ddof=1) / np.sqrt(known.size)) if known.size > 1 else None
    result.add_finding(name, mean, text, stderr=stderr, kind="accuracy" if kind == "accuracy" else "finding")
    return mean, float("nan") if stderr is None else stderr


def _across_seeds(done: list[Seed]) -> list[float]:
    if len(done) < 2:
        return []
    pairs = zip(done, [*done[1:], done[0]], strict=True)
    return [correlation(a.shares.update_weights.ravel(), b.shares.change_weights.ravel()) for a, b in pairs]


def _placebo_words(lesson: Lesson) -> str:
    """Which grouping it is, and what its sign is worth."""
    halves = [
        ", ".join(str(digit) for digit in sorted(lesson.digits[i] for part in half for i in part))
        for half in placebo_halves(lesson.digits, lesson.group)
    ]
    return (
        f" Here {halves[0]} against {halves[1]}; called the other way round it has the other sign, so it is its size "
        "that counts."
    )


def _data_only(lesson: Lesson, tally: str) -> float:
    sums, counts = lesson.sums_by_digit(lesson.phase_one.part(lesson.tally_begins(tally)))
    # An input is a grey value and one more, over their number.
    update = shares_of_data(sums + counts[:, None], lesson.group)
    return correlation(update, contrast_of_data(*lesson.later_sums_by_digit, lesson.group))


def _add_untrained(result: Result, params: LocalizeParams, still: list[Agreement]) -> None:
    """What is there before anything is learnt."""
    networks = "the first network" if len(still) == 1 else f"the first {len(still)} networks"
    for name, learnt in _LEARNT.items():
        if not still:
            why = "beside a single network it would tell nothing; ask for two seeds or more"
            result.add_missing(name, f"{_MEANINGS[name]} It does not exist here: {why}.")
            continue
        text = f"{_MEANINGS[name]} Of {networks}, at a learning rate that moves no parameter by much."
        _add(result, name, [getattr(a, learnt) for a in still], text, _why_none(learnt, params, len(still)))


def _without_learning(inside: FloatArray, still: list[Agreement]) -> str:
    """What is left within pixels of networks that learnt, against those that did not."""
    known = np.array([a.r_within_pixel for a in still if np.isfinite(a.r_within_pixel)])
    if not known.size:
        return ""
    words = f" Networks that learn nothing have {known.mean():.3f} within pixels"
    if known.size < 2 or inside.size < 2:
        return f"{words}: only what goes beyond that can be about what was learnt."
    difference = float(inside.mean() - known.mean())
    stderr = float(np.sqrt(inside.var(ddof=1) / inside.size + known.var(ddof=1) / known.size))
    apart = f"{abs(difference):.3f} ± {stderr:.3f}"
    if abs(difference) <= SIGNIFICANT * stderr:
        return f"{words}, which differs by {apart}: it does not tell what was learnt."
    if difference < 0:
        return (
            f"{words}, more by {apart}: it is how gradients of one network agree, and no sign of knowledge."
        )
    return f"{words}, less by {apart}: so much came with learning."


def _add_verdict(
    result: Result, params: LocalizeParams, kept: list[Agreement], still: list[Agreement]
) -> None:
    """How far above its null law the part that belongs to units is, and in words what that means."""
    known = [a for a in kept if np.isfinite(a.r_within_pixel) and a.null_within_pixel > 0]
    if not known:
        why = _why_none("r_within_pixel", params, len(kept))
        result.add_missing("z_within_pixel", f"Within pixels there is nothing to tell from chance: {why}.")
        return
    values = np.array([a.r_within_pixel for a in known])
    inside = float(values.mean())
    # Under the null law networks are independent, and so the variance of their mean is that of their sum over n².
    null = float(np.sqrt(sum(a.null_within_pixel**2 for a in known))) / len(known)
    z = inside / null
    scatter = float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else 0.0
    networks = "the network" if len(known) == 1 else f"the mean of {len(known)} networks"
    beyond = f"{abs(z):.1f} standard deviations beyond chance for {networks}"
    if abs(z) <= SIGNIFICANT:
        words = f"that is no more than chance, whose standard deviation for {networks} is {null:.2g}"
    elif abs(inside) <= SIGNIFICANT * scatter:
        words = f"{beyond}, but no more than three standard errors of how networks scatter, {scatter:.2g}"
    else:
        more = "more" if z > 0 else "less"
        words = f"units that one group updated more do change {more} with it, {beyond}"
        if len(known) > 1:
            words += f" ({abs(z) / np.sqrt(len(known)):.1f} for a single one)"
    whole, pixels = result.findings["r_weights"].value, result.findings["r_unit_shuffle"].value
    text = (
        f"Of the correlation {whole:.3f} of all weights, permuted units keep {pixels:.3f}: that part says which pixels "
        f"are drawn on, not where a network keeps what it learnt. Within pixels {inside:.3f} is left; {words}."
        + _without_learning(values, still)
    )
    result.add_finding("z_within_pixel", z, text)


def _add_accuracy(result: Result, params: LocalizeParams, lesson: Lesson, kept: list[Agreement]) -> None:
    losses = [a.loss_phase_one for a in kept]
    text = "Mean loss over the counted part of phase one."
    if diverged := sum(not np.isfinite(loss) for loss in losses):
        text = f"{text[:-1]}, of those of the {len(losses)} networks that did not diverge; {diverged} did."
    _add(result, "loss_phase_one", losses, text, "the networks diverged")
    warn_of(result, losses, [a.loss_second_half for a in kept], params.output)
    fraction = float(np.mean([a.finite_fraction for a in kept]))
    text = "Of the weights of all seeds, those that have both shares; the others are in no correlation."
    result.add_finding("finite_fraction", fraction, text, kind="accuracy")
    for name, words in (
        ("no_update", "never updated while updates were counted"),
        ("no_change", "changed by no fork"),
    ):
        number = float(sum(getattr(a, name) for a in kept))
        result.add_finding(name, number, f"Weights {words}, over all seeds: 0/0, dropped.", kind="accuracy")
    if lesson.constant_pixels.any():
        known = [a.border_error for a in kept if np.isfinite(a.border_error)]
        units = sum(a.border_units for a in kept) / (len(kept) * params.hidden)
        text = (
            "Largest distance between the correlation of a pixel that nothing is ever drawn on and that of the biases. "
            "They are equal: a constant input's weights take its multiple of every update of the bias. Over the "
            f"{units:.0%} of the units that the forks change by more than {CLEAR:,.0f} times their rounding: what "
            "hardly learns any more has shares that are ratios of roundings."
        )
        if known:
            result.add_finding("border_error", max(known), text, kind="accuracy")
        else:
            why = "it takes two such units or more, whose shares differ"
            result.add_missing("border_error", f"{text} It does not exist here: {why}.")
    if fraction < 0.5:
        result.add_finding(
            "mostly_undefined",
            1 - fraction,
            f"{1 - fraction:.0%} of the weights have no share: units died, networks diverged, or the updates are "
            "smaller than the weights' rounding. Change learning_rate.",
            kind="warning",
        )


def _add_table(result: Result) -> None:
    rows = []
    for name, meaning in _MEANINGS.items():
        finding = result.findings.get(name)
        if finding is None:
            continue  # the control comes last
        rows.append((name, finding.value, finding.stderr, meaning))
    result.add_table("controls", ("correlation", "value", "stderr", "of what"), rows)
