"""What match-units says: scores over pairs of networks with their controls, and one pair's matching."""

from __future__ import annotations

from typing import Final

import numpy as np

from tui_opt.experiments.ocr_localization.pair import Matching, Scores
from tui_opt.figure import Axis, Density, Figure, Heatmap, Histogram, Ref
from tui_opt.kernels.localization.network import FAR
from tui_opt.result import Result

CELLS: Final = 80
BINS: Final = 40
HEADLINE: Final = ("match_score", "match_score_untrained", "match_score_random", "match_score_oracle")


def report(found: list[Scores], first: Matching) -> Result:
    """Scores over the pairs of networks that are done, and the matching of the first that did not diverge."""
    result = Result()
    lost = sum(scores.diverged > 0 for scores in found)
    if lost:
        text = (
            f"Networks diverged in {lost} of {len(found)} pairs, which are left out: parameters are beyond {FAR:,.0f} "
            "or no numbers. Lower learning_rate."
        )
        result.add_finding("diverged", lost, text, kind="warning")
    known = [scores for scores in found if not scores.diverged]
    texts = {
        "match_score": (
            "Correlation of mean activations by digit, over units matched by their updates, on new images; without "
            "units that answer all digits alike, such as dead ones."
        ),
        "match_score_untrained": "The same for the initial networks: random features that respond alike.",
        "match_score_random": "The same for units paired at random, mean over all pairings.",
        "match_score_oracle": "The same for units matched by their activations on the new images themselves.",
        "signature_agreement": "Correlation, over all pairs of units, of likeness by updates and by activations.",
        "signature_agreement_untrained": "The same for the initial networks.",
        "gain": (
            "match_score less that of the initial networks, over pairs that have both: what learning the same images "
            "adds."
        ),
    }
    for name in texts:
        numbers = [float(getattr(scores, name)) for scores in known]
        finite = np.array([number for number in numbers if np.isfinite(number)])
        if not finite.size:
            why = "no unit varies" if numbers else "every network diverged"
            result.add_missing(name, f"{texts[name]} It does not exist here: {why}.")
            continue
        stderr = float(finite.std(ddof=1) / np.sqrt(finite.size)) if finite.size > 1 else None
        result.add_finding(name, float(finite.mean()), texts[name], stderr=stderr)
        result.add_array(f"{name}_by_seed", np.array(numbers), ("seed",), text=texts[name])
    result.add_table(
        "matches",
        ("unit_a", "unit_b", "signature_correlation", "activation_correlation", "profile_correlation"),
        [
            (int(i), int(j), float(first.likeness[i, j]), float(first.activation[i, j]), float(score))
            for i, j, score in zip(first.rows, first.columns, first.scores, strict=True)
        ],
    )
    still = int(np.isnan(first.scores).sum())
    if still:
        text = f"In {still} of {first.scores.size} matched pairs of the first networks a unit answers all digits alike."
        result.add_finding("constant_pairs", still, text, kind="warning")
    result.headline = list(HEADLINE)
    _add_figures(result, first)
    return result


def _add_figures(result: Result, pair: Matching) -> None:
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
