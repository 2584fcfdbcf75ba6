"""One initial network: phase one with its tallies, the forks, the shares, and what agrees with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.ocr_localization.lesson import Lesson, Sequence
from tui_opt.kernels.localization.borders import border_error, clear_units, rounding_of_changes
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
Report: TypeAlias = Callable[[int], None]
Half: TypeAlias = tuple[list[int], list[int]]


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
        update_weights: [pixel, unit], share of the first group in the sums of absolute updates; for a constant pixel
            those of the biases, which are the same (see `kernels.localization.borders`).
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
        r_pixel_shuffle: with the pixels of each unit permuted, once: what units alone give.
        r_placebo: for a grouping that mixes the groups, against the same forks. The other half's share is what this
            one's leaves of 1, so that its sign depends on which is called the first.
        r_placebo_within: the same without the mean of each pixel.
        r_placebo_biases: the same of the biases.
        border_error: largest distance of a constant pixel's correlation from that of the biases, over the units whose
            changes stand above rounding, of shares that are found for the weights themselves.
        border_units: how many these are.
        finite_fraction: of the weights, those that have both shares.
        no_update: weights without an update share, never updated while updates were counted: 0/0.
        no_change: weights without a change share, which no exchange of digits changed: 0/0.
        loss_phase_one: mean loss over the counted part of phase one.
        loss_second_half: the same over its second half, whichever part is counted: whether anything was learnt.
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
    border_units: float
    finite_fraction: float
    no_update: float
    no_change: float
    loss_phase_one: float
    loss_second_half: float

    def packed(self) -> FloatArray:
        """As one array, for a checkpoint."""
        return np.array(list(asdict(self).values()))

    @classmethod
    def unpacked(cls, packed: FloatArray) -> Agreement:
        """From `packed`."""
        return cls(**dict(zip((f.name for f in fields(cls)), map(float, packed), strict=True)))


@dataclass(frozen=True)
class Seed:
    """The answer for one initial network.

    Args:
        shares: of the groups.
        agreement: of the shares.
        pixel_correlation: [pixel].
        tally: sums of absolute updates by digit, of each pixel's weights and of the biases last, [digit, pixel + 1,
            unit]; of the biases alone, [digit, 1, unit], where those of weights are not kept.
    """

    shares: Shares
    agreement: Agreement
    pixel_correlation: FloatArray
    tally: FloatArray


@dataclass(frozen=True)
class Learnt:
    """What training leaves of one initial network.

    Args:
        tallies: absolute updates over the counted part of phase one, by digit.
        loss: mean over the second half of phase one.
        ends: the network after each fork, in the order of the lesson's digits.
    """

    tallies: Tallies
    loss: float
    ends: list[Network]


def steps_of(lesson: Lesson) -> int:
    """Steps that one network takes, phase one and all forks."""
    return lesson.phase_one.samples.size + sum(fork.samples.size for fork in lesson.forks)


def learn(
    lesson: Lesson, setting: Setting, network: Network, check: Check, report: Report = lambda steps: None
) -> Learnt:
    """Take one network through phase one, and copies of it through the forks.

    Args:
        lesson: what is learnt.
        setting: how.
        network: the initial one, which is changed.
        check: called now and then.
        report: told how many steps were taken since it was told last.
    """
    tallies = Tallies.of(network, len(lesson.digits))

    def take(pupil: Network, sequence: Sequence, counted: Tallies | None) -> float:
        return train(
            pupil,
            lesson.pixels,
            sequence.samples,
            sequence.classes,
            sequence.targets,
            activation=setting.activation,
            output=setting.output,
            rate=setting.rate,
            tallies=counted,
            check=check,
            report=report,
        )

    begins, half = lesson.tally_begins(setting.tally), lesson.tally_begins("second-half")
    take(network, lesson.phase_one.part(0, begins), None)
    take(network, lesson.phase_one.part(begins, half), tallies)
    loss = take(network, lesson.phase_one.part(half), tallies)
    ends = [network.copy() for _ in lesson.forks]
    for end, sequence in zip(ends, lesson.forks, strict=True):
        take(end, sequence, None)
    return Learnt(tallies, loss, ends)


def one_seed(
    lesson: Lesson,
    setting: Setting,
    hidden: int,
    rng: np.random.Generator,
    shuffles: np.random.Generator,
    check: Check,
    report: Report = lambda steps: None,
) -> Seed:
    """Everything for one initial network.

    Args:
        lesson: what is learnt.
        setting: how.
        hidden: units of the hidden layer.
        rng: draws the network.
        shuffles: draws the permutations.
        check: called now and then.
        report: told how many steps were taken since it was told last.
    """
    network = random_network(lesson.pixels.size, hidden, rng)
    return answer(lesson, learn(lesson, setting, network, check, report), shuffles, check)


def answer(
    lesson: Lesson,
    learnt: Learnt,
    shuffles: np.random.Generator,
    check: Check,
    told: Callable[[float], None] = lambda part: None,
) -> Seed:
    """Shares of what was learnt, and what agrees with what.

    Args:
        lesson: what was learnt.
        learnt: what training left.
        shuffles: draws the permutations.
        check: called between parts that take little each.
        told: how much more of it is done, as often; parts of 1.
    """

    def passed(part: float) -> None:
        check()
        told(part)

    pairs = sum(n * (n - 1) // 2 for n in (lesson.group, len(lesson.digits) - lesson.group))
    tallies, ends = learnt.tallies, learnt.ends
    group = lesson.group
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # networks that diverged give shares that are not finite
        weights, biases = [fork.weights for fork in ends], np.stack([fork.biases for fork in ends])
        changes = [
            spread_of_forks(part, lambda: passed(0.3 / pairs)) for part in (weights[:group], weights[group:])
        ]
        bias_changes = [spread_of_forks(part) for part in (biases[:group], biases[group:])]
        sums = [part.sum(axis=0) for part in (tallies.weights[:group], tallies.weights[group:])]
        bias_sums = [part.sum(axis=0) for part in (tallies.biases[:group], tallies.biases[group:])]
        passed(0.05)
        shares = Shares(share(*sums), share(*changes), share(*bias_sums), share(*bias_changes))
        passed(0.0)
        halves = placebo_halves(lesson.digits, group)
        mixed = share(*(_evenly(tallies.weights, half) for half in halves))
        mixed_biases = share(*(_evenly(tallies.biases, half) for half in halves))
    passed(0.05)
    x, y = shares.update_weights, shares.change_weights
    constant = lesson.constant_pixels
    steps = max(fork.samples.size for fork in lesson.forks)
    borders = np.stack([part[constant] for part in weights])
    rounding = rounding_of_changes(biases, borders, lesson.pixels.constant, steps)
    clear = clear_units(bias_changes[0] + bias_changes[1], rounding)
    border = border_error(x[constant], y[constant], shares.update_biases, shares.change_biases, clear)
    # A constant pixel's weights have their bias's shares, which rounding leaves better: they are a ratio of larger
    # numbers. What was found for the weights themselves stays in `border_error`.
    x[constant], y[constant] = shares.update_biases, shares.change_biases
    mixed[constant] = mixed_biases
    nothing = [
        _without(of_weights, of_biases, constant)
        for of_weights, of_biases in ((sums, bias_sums), (changes, bias_changes))
    ]
    passed(0.1)
    shuffled, _ = under_unit_permutations(x, y, shuffles, check)
    passed(0.1)
    inside_x, inside_y = within(x, y)
    _, null = under_unit_permutations(inside_x, inside_y, shuffles, check)
    passed(0.1)
    by_pixel = correlation_along(x, y)
    bias_correlation = correlation(shares.update_biases, shares.change_biases)
    pooled, inside = _pooled(x, y), _pooled(inside_x, inside_y)
    passed(0.1)
    pixel_shuffle = _pixel_shuffle(x, y, shuffles)
    passed(0.1)
    placebo, placebo_within = _pooled(mixed, y), _pooled(*within(mixed, y))
    passed(0.1)
    agreement = Agreement(
        r_weights=pooled,
        r_biases=bias_correlation,
        r_within_pixel=inside,
        null_within_pixel=null,
        r_unit_shuffle=shuffled,
        r_pixel_shuffle=pixel_shuffle,
        r_placebo=placebo,
        r_placebo_within=placebo_within,
        r_placebo_biases=correlation(mixed_biases, shares.change_biases),
        border_error=border,
        border_units=float(clear.sum()),
        finite_fraction=float(np.mean(np.isfinite(x) & np.isfinite(y))),
        no_update=nothing[0],
        no_change=nothing[1],
        loss_phase_one=tallies.loss / max(tallies.samples, 1),
        loss_second_half=learnt.loss,
    )
    return Seed(
        shares, agreement, by_pixel, np.concatenate([tallies.weights, tallies.biases[:, None]], axis=1)
    )


def _without(of_weights: list[FloatArray], of_biases: list[FloatArray], constant: NDArray[np.bool_]) -> float:
    """Weights whose share is 0/0, where those of constant pixels have their bias's."""
    none = of_weights[0] + of_weights[1] == 0
    none[constant] = of_biases[0] + of_biases[1] == 0
    return float(none.sum())


def placebo_halves(digits: tuple[int, ...], group: int) -> tuple[Half, Half]:
    """A grouping that mixes both groups: every other digit of each, from the least one, against the others.

    Args:
        digits: the first group's, then the second's.
        group: how many are in the first.

    Returns: for either half, the places of its digits of the first group, and of those of the second.
    """
    places = range(group), range(group, len(digits))
    first, second = (sorted(part, key=digits.__getitem__) for part in places)
    return (first[::2], second[::2]), (first[1::2], second[1::2])


def _evenly(tallies: FloatArray, half: Half) -> FloatArray:
    """Sums of updates over half a placebo, [digit, ...] -> [...]; both groups have the same part in it, however many
    digits of them there are."""
    return np.asarray(sum(tallies[part].sum(axis=0) / len(part) for part in half))


def _pooled(x: FloatArray, y: FloatArray) -> float:
    return correlation(x.ravel(), y.ravel())


def _pixel_shuffle(x: FloatArray, y: FloatArray, rng: np.random.Generator) -> float:
    return correlation(rng.permuted(x, axis=0).ravel(), y.ravel())
