"""One initial network: phase one with its tallies, the forks, the shares, and what agrees with what."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.kernels.localization.network import Network, Tallies, random_network
from tui_opt.kernels.localization.shares import (
    correlation,
    correlation_along,
    share,
    spread_of_forks,
    under_unit_permutations,
    within,
)
from tui_opt.kernels.localization.training import Check, train

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """How a network learns."""

    activation: str
    output: str
    rate: float
    tally: str


@dataclass(frozen=True)
class Shares:
    """Update shares and change shares of the hidden layer.

    Args:
        update_weights: [pixel, unit], share of the first group in the sums of absolute updates.
        change_weights: [pixel, unit], share of the first group's forks in the differences between forks.
        update_biases: [unit].
        change_biases: [unit].
    """

    update_weights: FloatArray
    change_weights: FloatArray
    update_biases: FloatArray
    change_biases: FloatArray

    def packed(self) -> FloatArray:
        """As one array, [2, pixel + 1, unit], for a checkpoint."""
        updates = np.vstack([self.update_weights, self.update_biases])
        return np.stack([updates, np.vstack([self.change_weights, self.change_biases])])

    @classmethod
    def unpacked(cls, packed: FloatArray) -> Shares:
        """From `packed`."""
        return cls(packed[0, :-1], packed[1, :-1], packed[0, -1], packed[1, -1])


@dataclass(frozen=True)
class Agreement:
    """What agrees with what, for one seed; correlations are Pearson's.

    Args:
        r_weights: update share against change share of all weights.
        r_biases: the same of the biases.
        r_within_pixel: of the weights, without the mean of each pixel: what units, not pixels, have in common.
        null_within_pixel: standard deviation of it with the units permuted, which leaves nothing in common.
        r_unit_shuffle: of all weights with the units permuted, mean: what pixels alone give.
        r_pixel_shuffle: with the pixels of each unit permuted, mean: what units alone give.
        r_placebo: for a grouping that mixes the groups, against the same forks.
        r_placebo_within: the same without the mean of each pixel.
        r_placebo_biases: the same of the biases.
        border_error: largest distance of a constant pixel's correlation from that of the biases.
        finite_fraction: of the weights, those that have both shares.
        no_update: weights that were never updated while updates were counted.
        no_change: weights that no exchange of digits changed.
        loss_phase_one: mean loss over the counted part of phase one.
    """

    r_weights: float
    r_biases: float
    r_within_pixel: float
    null_within_pixel: float
    r_unit_shuffle: float
    r_pixel_shuffle: float
    r_placebo: float
    r_placebo_within: float
    r_placebo_biases: float
    border_error: float
    finite_fraction: float
    no_update: float
    no_change: float
    loss_phase_one: float

    def packed(self) -> FloatArray:
        """As one array, for a checkpoint."""
        return np.array(list(asdict(self).values()))

    @classmethod
    def unpacked(cls, packed: FloatArray) -> Agreement:
        """From `packed`."""
        return cls(**dict(zip((f.name for f in fields(cls)), map(float, packed), strict=True)))


@dataclass(frozen=True)
class Seed:
    """The answer for one initial network; `pixel_correlation` is [pixel]."""

    shares: Shares
    agreement: Agreement
    pixel_correlation: FloatArray


def phase_one(
    lesson: Lesson, setting: Setting, rng: np.random.Generator, hidden: int, check: Check
) -> tuple[Network, Tallies]:
    """A network after phase one, and its updates by digit."""
    network = random_network(lesson.pixels.size, hidden, rng)
    begins = lesson.tally_begins(setting.tally)
    tallies = Tallies.of(network, len(lesson.digits))
    for part, counted in ((lesson.phase_one.part(0, begins), None), (lesson.phase_one.part(begins), tallies)):
        train(
            network,
            lesson.pixels,
            part.samples,
            part.classes,
            part.targets,
            activation=setting.activation,
            output=setting.output,
            rate=setting.rate,
            tallies=counted,
            check=check,
        )
    return network, tallies


def forks(lesson: Lesson, setting: Setting, network: Network, check: Check) -> list[Network]:
    """The network after each fork, in the order of the lesson's digits."""
    ends = []
    for sequence in lesson.forks:
        fork = network.copy()
        train(
            fork,
            lesson.pixels,
            sequence.samples,
            sequence.classes,
            sequence.targets,
            activation=setting.activation,
            output=setting.output,
            rate=setting.rate,
            check=check,
        )
        ends.append(fork)
    return ends


def one_seed(
    lesson: Lesson,
    setting: Setting,
    hidden: int,
    rng: np.random.Generator,
    shuffles: np.random.Generator,
    check: Check,
) -> Seed:
    """Everything for one initial network.

    Args:
        lesson: what is learnt.
        setting: how.
        hidden: units of the hidden layer.
        rng: draws the network.
        shuffles: draws the permutations.
        check: called now and then.
    """
    network, tallies = phase_one(lesson, setting, rng, hidden, check)
    ends = forks(lesson, setting, network, check)
    group = lesson.group
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # networks that diverged give shares that are not finite
        weights = np.stack([fork.weights for fork in ends])
        biases = np.stack([fork.biases for fork in ends])
        changes = [spread_of_forks(part) for part in (weights[:group], weights[group:])]
        bias_changes = [spread_of_forks(part) for part in (biases[:group], biases[group:])]
        sums = [part.sum(axis=0) for part in (tallies.weights[:group], tallies.weights[group:])]
        bias_sums = [part.sum(axis=0) for part in (tallies.biases[:group], tallies.biases[group:])]
        shares = Shares(share(*sums), share(*changes), share(*bias_sums), share(*bias_changes))
        placebo = placebo_group(group, len(lesson.digits))
        others = [i for i in range(len(lesson.digits)) if i not in placebo]
        mixed = share(tallies.weights[placebo].sum(axis=0), tallies.weights[others].sum(axis=0))
        mixed_biases = share(tallies.biases[placebo].sum(axis=0), tallies.biases[others].sum(axis=0))
    check()
    x, y = shares.update_weights, shares.change_weights
    shuffled, _ = under_unit_permutations(x, y, shuffles)
    inside_x, inside_y = within(x, y)
    _, null = under_unit_permutations(inside_x, inside_y, shuffles)
    check()
    by_pixel = correlation_along(x, y)
    bias_correlation = correlation(shares.update_biases, shares.change_biases)
    constant = lesson.constant_pixels
    border = np.abs(by_pixel[constant] - bias_correlation)
    agreement = Agreement(
        r_weights=correlation(x.ravel(), y.ravel()),
        r_biases=bias_correlation,
        r_within_pixel=_pooled(inside_x, inside_y),
        null_within_pixel=null,
        r_unit_shuffle=shuffled,
        r_pixel_shuffle=_pixel_shuffle(x, y, shuffles),
        r_placebo=correlation(mixed.ravel(), y.ravel()),
        r_placebo_within=_pooled(*within(mixed, y)),
        r_placebo_biases=correlation(mixed_biases, shares.change_biases),
        border_error=float(border.max()) if border.size else 0.0,
        finite_fraction=float(np.mean(np.isfinite(x) & np.isfinite(y))),
        no_update=float(np.sum(sums[0] + sums[1] == 0)),
        no_change=float(np.sum(changes[0] + changes[1] == 0)),
        loss_phase_one=tallies.loss / max(tallies.samples, 1),
    )
    return Seed(shares, agreement, by_pixel)


def placebo_group(group: int, digits: int) -> list[int]:
    """Places of the digits of a grouping that mixes both groups: every other digit of each."""
    return [*range(0, group, 2), *range(group, digits, 2)]


def _pooled(x: FloatArray, y: FloatArray) -> float:
    return correlation(x.ravel(), y.ravel())


def _pixel_shuffle(x: FloatArray, y: FloatArray, rng: np.random.Generator) -> float:
    return correlation(rng.permuted(x, axis=0).ravel(), y.ravel())
