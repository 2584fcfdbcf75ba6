"""match-units: units of two networks matched by their updates, and how alike their answers to new images are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.experiments.ocr_localization.match_params import MatchUnitsParams
from tui_opt.figure import Axis, Density, Figure, Heatmap, Histogram, Ref
from tui_opt.kernels.localization.network import random_network
from tui_opt.kernels.localization.responses import (
    correlations_between,
    matched,
    pair_scores,
    passes,
    profiles,
    signatures,
)
from tui_opt.kernels.localization.shares import correlation
from tui_opt.kernels.localization.training import train
from tui_opt.result import Result
from tui_opt.runner.context import Context

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]

CELLS: Final = 80
BINS: Final = 40
SCORES: Final = ("match_score", "match_score_untrained", "match_score_random", "match_score_oracle")


@dataclass(frozen=True)
class Half:
    """One network's units.

    Args:
        signature: [image of the counted part, unit].
        hidden: activations, [held-out image, unit].
        profile: mean activations, [digit, unit].
        diverged: whether its parameters are no longer finite.
    """

    signature: FloatArray
    hidden: FloatArray
    profile: FloatArray
    diverged: bool = False


@dataclass(frozen=True)
class Pair:
    """Two networks: how alike their units are by signature and by activation, and the matching.

    Args:
        likeness: correlation of signatures, [unit a, unit b].
        activation: correlation of activations, [unit a, unit b].
        rows: matched units of a.
        columns: matched units of b.
        scores: correlation of the profiles of each matched pair.
        chance: mean correlation of profiles over all pairs.
        oracle: mean of those matched by activation.
        diverged: whether one of the networks did, so that the rest means nothing.
    """

    likeness: FloatArray
    activation: FloatArray
    rows: IntArray
    columns: IntArray
    scores: FloatArray
    chance: float
    oracle: float
    diverged: bool

    @property
    def agreement(self) -> float:
        """Correlation, over all pairs of units, of likeness by signature and by activation."""
        return correlation(self.likeness.ravel(), self.activation.ravel())


def compute(params: MatchUnitsParams, ctx: Context) -> Result:
    """Pairs of networks that learnt the same images, and the same pairs before they learnt anything."""
    lesson = Lesson.of(params)
    _ = lesson.pixels, lesson.phase_one, lesson.held_out  # made before threads ask for them

    def of(number: int) -> tuple[Pair, Pair]:
        return tuple(  # type: ignore[return-value]
            pair_of(
                _half(params, lesson, "a", number, rate, ctx),
                _half(params, lesson, "b", number, rate, ctx),
            )
            for rate in (params.learning_rate, 0.0)
        )

    found: list[tuple[Pair, Pair]] = []
    ctx.progress(0, params.seeds, "pairs of networks")
    for pairs in ctx.map(of, range(params.seeds)):
        found.append(pairs)
        ctx.progress(len(found), params.seeds, "pairs of networks")
        if len(found) < params.seeds:
            ctx.partial(lambda: report(params, found))
    return report(params, found)


def _half(
    params: MatchUnitsParams, lesson: Lesson, which: str, number: int, rate: float, ctx: Context
) -> Half:
    """One network after phase one; at rate 0 it learns nothing, and its signatures are those of its initial weights."""
    units = params.hidden_a if which == "a" else params.hidden_b
    network = random_network(lesson.pixels.size, units, ctx.rng(f"network {which}", number))
    begins = lesson.tally_begins("second-half")
    first, counted = lesson.phase_one.part(0, begins), lesson.phase_one.part(begins)
    trace = np.zeros((counted.samples.size, units + 1))
    for part, kept in ((first, None), (counted, trace)):
        train(
            network,
            lesson.pixels,
            part.samples,
            part.classes,
            part.targets,
            activation=params.activation,
            output=params.output,
            rate=rate,
            trace=kept,
            check=ctx.check,
        )
    held = lesson.held_out
    with np.errstate(all="ignore"):
        hidden = passes(network, lesson.inputs(held), held.targets, params.activation, params.output).hidden
    return Half(
        np.nan_to_num(signatures(trace, params.signature)),
        np.nan_to_num(hidden),
        np.nan_to_num(profiles(hidden, held.classes, len(lesson.digits))),
        diverged=not network.is_finite,
    )


def pair_of(a: Half, b: Half) -> Pair:
    """Match the units of two networks and judge the matching."""
    likeness = correlations_between(a.signature, b.signature)
    activation = correlations_between(a.hidden, b.hidden)
    rows, columns = matched(likeness)
    best = matched(activation)
    return Pair(
        likeness,
        activation,
        rows,
        columns,
        pair_scores(a.profile[:, rows], b.profile[:, columns]),
        float(correlations_between(a.profile, b.profile).mean()),
        float(pair_scores(a.profile[:, best[0]], b.profile[:, best[1]]).mean()),
        a.diverged or b.diverged,
    )


def report(params: MatchUnitsParams, found: list[tuple[Pair, Pair]]) -> Result:
    """Scores over the pairs of networks that are done, and the first pair's matching."""
    result = Result()
    lost = sum(pair.diverged for pair, _ in found)
    if lost:
        text = f"Networks diverged in {lost} of {len(found)} pairs, which are left out. Lower learning_rate."
        result.add_finding("diverged", lost, text, kind="warning")
    known = [pairs for pairs in found if not pairs[0].diverged]
    trained, untrained = [pair[0] for pair in known], [pair[1] for pair in known]
    values = {
        "match_score": [float(p.scores.mean()) for p in trained],
        "match_score_untrained": [float(p.scores.mean()) for p in untrained],
        "match_score_random": [p.chance for p in trained],
        "match_score_oracle": [p.oracle for p in trained],
        "signature_agreement": [p.agreement for p in trained],
        "signature_agreement_untrained": [p.agreement for p in untrained],
        "gain": [float(p.scores.mean() - q.scores.mean()) for p, q in known],
    }
    texts = {
        "match_score": "Correlation of mean activations by digit, over units matched by their updates, on new images.",
        "match_score_untrained": "The same for the initial networks: random features that respond alike.",
        "match_score_random": "The same for units paired at random, mean over all pairings.",
        "match_score_oracle": "The same for units matched by their activations on the new images: the best there is.",
        "signature_agreement": "Correlation, over all pairs of units, of likeness by updates and by activations.",
        "signature_agreement_untrained": "The same for the initial networks.",
        "gain": "match_score less that of the initial networks: what learning the same images adds.",
    }
    for name, numbers in values.items():
        finite = np.array([number for number in numbers if np.isfinite(number)])
        if not finite.size:
            why = "no unit varies" if numbers else "every network diverged"
            result.add_missing(name, f"{texts[name]} It does not exist here: {why}.")
            continue
        stderr = float(finite.std(ddof=1) / np.sqrt(finite.size)) if finite.size > 1 else None
        result.add_finding(name, float(finite.mean()), texts[name], stderr=stderr)
        result.add_array(f"{name}_by_seed", np.array(numbers), ("seed",), text=texts[name])
    first = (known or found)[0][0]
    result.add_table(
        "matches",
        ("unit_a", "unit_b", "signature_correlation", "activation_correlation", "profile_correlation"),
        [
            (int(i), int(j), float(first.likeness[i, j]), float(first.activation[i, j]), float(score))
            for i, j, score in zip(first.rows, first.columns, first.scores, strict=True)
        ],
    )
    result.headline = list(SCORES)
    _add_figures(result, first)
    return result


def _add_figures(result: Result, pair: Pair) -> None:
    order = np.argsort(-pair.likeness[pair.rows, pair.columns], kind="stable")
    rows, columns = pair.rows[order], pair.columns[order]
    result.add_array(
        "likeness", pair.likeness[np.ix_(rows, columns)], ("rank_a", "rank_b"), text="matched on the diagonal"
    )
    ranks = np.arange(rows.size, dtype=float)
    result.add_array("rank_a", ranks, ("rank_a",), text="units of a, best matches first")
    result.add_array("rank_b", ranks, ("rank_b",), text="their matches")
    edges = np.linspace(-1.0, 1.0, CELLS + 1)
    counts, _, _ = np.histogram2d(pair.activation.ravel(), pair.likeness.ravel(), bins=(edges, edges))
    result.add_array("edge", edges, ("edge",), text="edges of the cells")
    result.add_array(
        "pair_counts", counts, ("activation_cell", "signature_cell"), text="pairs of units per cell"
    )
    bins = np.linspace(-1.0, 1.0, BINS + 1)
    result.add_array("score_edge", bins, ("score_edge",), text="edges of the histogram")
    result.add_array(
        "score_counts",
        np.histogram(pair.scores, bins)[0].astype(float),
        ("score_cell",),
        text="matched pairs",
    )
    result.add_figure(
        Figure(
            name="likeness",
            title="Likeness of units by their updates, matched ones on the diagonal, first pair",
            x=Axis(label="unit of b"),
            y=Axis(label="unit of a"),
            layers=(
                Heatmap(
                    x=Ref(array="rank_b"),
                    y=Ref(array="rank_a"),
                    z=Ref(array="likeness"),
                    diverging=True,
                    low=-1.0,
                    high=1.0,
                ),
            ),
        )
    )
    result.add_figure(
        Figure(
            name="agreement",
            title="Pairs of units: likeness by updates and by activations, first pair",
            x=Axis(label="by updates", low=-1.0, high=1.0),
            y=Axis(label="by activations", low=-1.0, high=1.0),
            layers=(
                Density(
                    x=Ref(array="edge"), y=Ref(array="edge"), counts=Ref(array="pair_counts"), label="pairs"
                ),
            ),
        )
    )
    result.add_figure(
        Figure(
            name="scores",
            title="Scores of the matched pairs, first pair of networks",
            x=Axis(label="correlation of mean activations by digit", low=-1.0, high=1.0),
            y=Axis(label="pairs of units"),
            layers=(
                Histogram(
                    edges=Ref(array="score_edge"), counts=Ref(array="score_counts"), label="matched pairs"
                ),
            ),
        )
    )
