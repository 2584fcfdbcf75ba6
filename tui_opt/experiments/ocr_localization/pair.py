"""Two networks' units: how alike they are by their updates and by their answers, and the matching."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.kernels.localization.responses import correlations_between, matched, mean_of_known, pair_scores

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Half:
    """One network's units.

    Args:
        signature: [image of the counted part, unit].
        hidden: activations, [held-out image, unit].
        profile: mean activations, [digit, unit].
        diverged: whether its parameters are no longer finite, or absurdly large.
    """

    signature: FloatArray
    hidden: FloatArray
    profile: FloatArray
    diverged: bool = False


class Looks(Protocol):
    """Each is called after every slice of its work with how much more of it is done; parts of 1."""

    def likeness(self, part: float) -> None:
        """Correlations of signatures."""

    def activation(self, part: float) -> None:
        """Correlations of activations."""

    def matching(self, part: float) -> None:
        """A matching by either."""


@dataclass(frozen=True)
class Matching:
    """How alike the units of two networks are, and the matching.

    Args:
        likeness: correlation of signatures, [unit a, unit b].
        activation: correlation of activations, [unit a, unit b].
        rows: matched units of a.
        columns: matched units of b.
        scores: correlation of the profiles of each matched pair, NaN where a unit answers all digits alike.
        chance: mean correlation of profiles over all pairs of units that do not.
        oracle: mean of those matched by activation.
    """

    likeness: FloatArray
    activation: FloatArray
    rows: IntArray
    columns: IntArray
    scores: FloatArray
    chance: float
    oracle: float

    @classmethod
    def of(cls, a: Half, b: Half, looks: Looks) -> Matching:
        """Match the units of two networks by signatures, and judge the matching."""
        likeness = correlations_between(a.signature, b.signature, looks.likeness)
        activation = correlations_between(a.hidden, b.hidden, looks.activation)
        rows, columns = matched(likeness)
        looks.matching(1.0)
        best = matched(activation)
        looks.matching(1.0)
        return cls(
            likeness,
            activation,
            rows,
            columns,
            pair_scores(a.profile[:, rows], b.profile[:, columns]),
            _chance(a.profile, b.profile),
            mean_of_known(pair_scores(a.profile[:, best[0]], b.profile[:, best[1]])),
        )

    @property
    def agreement(self) -> float:
        """Correlation, over all pairs of units, of likeness by signature and by activation."""
        return _correlation(self.likeness, self.activation)

    def packed(self) -> tuple[FloatArray, FloatArray]:
        """As two arrays, for a checkpoint: [2, unit a, unit b], and [3, matched] with what is one number last."""
        pairs = np.stack([self.rows, self.columns, self.scores])
        ends = np.array([[self.chance], [self.oracle], [0.0]])
        return np.stack([self.likeness, self.activation]), np.hstack([pairs, ends])

    @classmethod
    def unpacked(cls, tables: FloatArray, pairs: FloatArray) -> Matching:
        """From `packed`."""
        rows, columns = pairs[:2, :-1].astype(np.int64)
        return cls(
            tables[0], tables[1], rows, columns, pairs[2, :-1], float(pairs[0, -1]), float(pairs[1, -1])
        )


@dataclass(frozen=True)
class Scores:
    """What one pair of networks says, trained and before; named as the findings that are their means.

    Args:
        match_score: mean over matched pairs of the correlation of profiles.
        match_score_untrained: the same of the initial networks.
        match_score_random: mean over all pairs.
        match_score_oracle: mean over pairs matched by their activations.
        signature_agreement: correlation of likeness by signature and by activation.
        signature_agreement_untrained: the same of the initial networks.
        diverged: 1 where a network did, so that the rest means nothing.
    """

    match_score: float
    match_score_untrained: float
    match_score_random: float
    match_score_oracle: float
    signature_agreement: float
    signature_agreement_untrained: float
    diverged: float

    @classmethod
    def of(cls, trained: Matching, untrained: Matching, diverged: bool) -> Scores:
        """What both matchings come to."""
        return cls(
            mean_of_known(trained.scores),
            mean_of_known(untrained.scores),
            trained.chance,
            trained.oracle,
            trained.agreement,
            untrained.agreement,
            float(diverged),
        )

    @property
    def gain(self) -> float:
        """What learning the same images adds."""
        return self.match_score - self.match_score_untrained

    def packed(self) -> FloatArray:
        """As one array, for a checkpoint."""
        return np.array(list(asdict(self).values()))

    @classmethod
    def unpacked(cls, packed: FloatArray) -> Scores:
        """From `packed`."""
        return cls(**dict(zip((f.name for f in fields(cls)), map(float, packed), strict=True)))


def _correlation(x: FloatArray, y: FloatArray) -> float:
    """Of all entries of two tables of numbers, row by row: they are large, and no copies are made of them."""
    mean_x, mean_y = x.mean(), y.mean()
    sums = np.zeros(3)
    for one, other in zip(x, y, strict=True):
        one, other = one - mean_x, other - mean_y
        sums += one @ one, other @ other, one @ other
    norm = np.sqrt(sums[0] * sums[1])
    return float(sums[2] / norm) if x.size > 1 and norm > 0 else float("nan")


def _chance(a: FloatArray, b: FloatArray) -> float:
    """Mean correlation of every column of a that varies with every such column of b; NaN without any."""
    a, b = (x[:, np.ptp(x, axis=0) > 0] for x in (a, b))
    return float(correlations_between(a, b).mean()) if a.size and b.size else float("nan")
