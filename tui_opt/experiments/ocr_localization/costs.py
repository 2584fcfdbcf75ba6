"""What experiments take before anything is read: images, steps, seconds on one core, and bytes of the largest arrays.

Bytes are of what is at hand at once: `Estimate`s add the program itself. Arrays of one number for every image or unit
are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tui_opt.runner.machine import available_cores

if TYPE_CHECKING:
    from tui_opt.experiments.ocr_localization.intervene_params import InterveneParams
    from tui_opt.experiments.ocr_localization.match_params import InfluenceParams, MatchUnitsParams
    from tui_opt.experiments.ocr_localization.params import ActivationsParams, LessonParams, LocalizeParams

PROGRAM: Final = 250_000_000
"""Bytes of the program with its libraries and compiled kernels."""
HELD_OUT: Final = 4000
"""Images after phase one that are looked at, where nothing is learnt from them."""
#: images of each digit, and pixels of an image that are drawn on.
COUNTS: Final = {
    "digits": (178, 182, 177, 183, 181, 182, 181, 179, 174, 180),
    "mnist": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
}
DRAWN: Final = {"digits": 33, "mnist": 150}
#: seconds of a unit's part of a step on the reference machine, on one core.
STEP: Final = {"digits": 3e-8, "mnist": 1e-7}
UNTRAINED: Final = 8
"""Networks that localize's control without learning takes at most."""
RANK, MULTIPLY, ENTRY, AUGMENT, CHANGE = 2.2e-7, 2e-11, 2e-9, 2e-10, 3e-7
"""Seconds of ranking an entry, of a product in a matrix product, of an entry that is read and written, of a cube of
units matched, and of a parameter of a changed network that is looked at."""
SLICE: Final = 300_000_000
"""Weights, times images, of which gradients are found between two looks at whether to stop."""
_DOUBLE: Final = 8
_STORED: Final = 12
"""Bytes of a drawn pixel without its zeros."""
_SLICE: Final = 48_000_000
"""Bytes that are at hand while large arrays are gone through slice by slice, at most."""


@dataclass(frozen=True)
class LessonSize:
    """How much is learnt, from how often digits are.

    Args:
        images: of the groups' digits in phase one.
        steps: phase one.
        forks: steps of all forks.
        fork: steps of the longest.
        held: images that are looked at after phase one.
        digits: of both groups.
        pixels: of an image.
    """

    images: float
    steps: float
    forks: float
    fork: float
    held: float
    digits: int
    pixels: int

    @classmethod
    def of(cls, p: LessonParams) -> LessonSize:
        """From parameters."""
        from tui_opt.experiments.ocr_localization.params import PIXELS, SIZES

        counts, size = COUNTS[p.dataset], SIZES[p.dataset]
        first, second = ([counts[digit] / size for digit in group] for group in (p.group_a, p.group_b))
        share = sum(first) + sum(second)
        rest = size - p.phase_one_images
        forks = [one + sum(second) for one in first] + [one + sum(first) for one in second]
        images = p.phase_one_images * share
        return cls(
            images,
            images * p.passes,
            rest * sum(forks) * p.passes,
            rest * max(forks, default=0.0) * p.passes,
            min(HELD_OUT, rest) * share,
            len(p.group_a) + len(p.group_b),
            PIXELS[p.dataset],
        )

    def network(self, hidden: int) -> int:
        """Bytes of the hidden layer."""
        return _DOUBLE * (self.pixels + 1) * hidden


def at_once(number: int) -> int:
    """Networks that are learnt at once on this machine, of so many."""
    return min(number, available_cores())


def _images(p: LessonParams, lesson: LessonSize) -> float:
    """Bytes of the data set, and of the groups' digits without their zeros, while these are taken out."""
    size = sum(COUNTS[p.dataset])
    slice_of = min(_SLICE, 12 * size * lesson.pixels)
    chosen = size * lesson.images / max(p.phase_one_images, 1)
    return size * (lesson.pixels + 40) + chosen * (lesson.pixels + DRAWN[p.dataset] * _STORED) + slice_of


def _read(p: LessonParams, lesson: LessonSize) -> float:
    """Seconds of reading the data and taking out zeros."""
    return 0.2 + 1e-9 * _images(p, lesson)


# --- localize and activations ---------------------------------------------------------------------------------


def answers(lesson: LessonSize, hidden: int) -> float:
    """Seconds that shares and correlations of one trained network take."""
    entries = lesson.pixels * hidden
    return entries * (ENTRY * (4 * lesson.digits + lesson.digits**2 + 100) + 8 * MULTIPLY * hidden)


def untrained(seeds: int) -> int:
    """Networks of localize's control without learning: the first ones, and none beside a single network.

    One network without learning would tell nothing of the one that learns, as their spread is not known.
    """
    return min(seeds, UNTRAINED) if seeds > 1 else 0


def localize_seconds(p: LocalizeParams | ActivationsParams, networks: int) -> float:
    """Phase one, all forks, and what is asked of every network."""
    lesson = LessonSize.of(p)
    each = (lesson.steps + lesson.forks) * p.hidden * STEP[p.dataset] + answers(lesson, p.hidden)
    return _read(p, lesson) + networks * (0.01 + each)


def localize_bytes(p: LocalizeParams | ActivationsParams, networks: int, kept: float) -> float:
    """Tallies and ends of networks at once, what is made of them, and so many layers kept of each."""
    lesson = LessonSize.of(p)
    layer = lesson.network(p.hidden)
    learning = at_once(networks) * (layer * (4 * lesson.digits + 16) + 7 * _DOUBLE * p.hidden**2)
    orders = 3 * _DOUBLE * (lesson.steps + lesson.forks + lesson.fork)
    return _images(p, lesson) + orders + learning + kept * layer


# --- intervene ------------------------------------------------------------------------------------------------


def intervene_seconds(p: InterveneParams) -> float:
    """Every network on every data set, and what is said of the ends."""
    lesson = LessonSize.of(p)
    steps = lesson.steps * (3 + 0.5 * p.resamples)
    parameters = (lesson.pixels + 1) * p.hidden
    looked = parameters * (CHANGE + 3 * ENTRY * p.resamples)
    return _read(p, lesson) + p.seeds * (steps * p.hidden * STEP[p.dataset] + looked)


def intervene_bytes(p: InterveneParams) -> float:
    """Ends of all networks, those that are learnt, and three sets of images."""
    lesson = LessonSize.of(p)
    layer, sets = lesson.network(p.hidden), 3 + p.resamples
    ends = layer * (p.seeds * (sets + 1) + 2 * at_once(p.seeds) * (sets + 1))
    drawn = DRAWN[p.dataset] + (p.patch_size**2 if p.change == "patch" else 0)
    images = lesson.images * (3 * lesson.pixels + drawn * 3 * _STORED)
    orders = _DOUBLE * lesson.steps * (3 + 0.5 * p.resamples + 3 * at_once(p.seeds))
    data = sum(COUNTS[p.dataset]) * (lesson.pixels + 2)
    return data + images + orders + ends + 12 * layer + min(_SLICE, 4 * sets * layer)


# --- match-units ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MatchSeconds:
    """What one pair of networks takes; all but learning both trained and untrained.

    Args:
        learning: phase one.
        signature: of both networks' units.
        hidden: their activations on new images.
        likeness: correlations of signatures.
        activation: correlations of activations.
        matching: by both.
    """

    learning: float
    signature: float
    hidden: float
    likeness: float
    activation: float
    matching: float

    @property
    def answering(self) -> float:
        """All but learning."""
        once = self.signature + self.hidden + self.likeness + self.activation + self.matching
        return 2 * once


def match_seconds(
    p: MatchUnitsParams, steps: float, counted: float, held: float, pixels: int
) -> MatchSeconds:
    """Of one pair.

    Args:
        p: what is asked.
        steps: phase one.
        counted: steps whose updates are signatures.
        held: images that units are compared on.
        pixels: of an image.
    """
    units, table = p.hidden_a + p.hidden_b, p.hidden_a * p.hidden_b
    each = RANK if p.signature == "rank" else 3 * ENTRY
    least = min(p.hidden_a, p.hidden_b)
    return MatchSeconds(
        learning=(steps + counted) * units * STEP[p.dataset],
        signature=counted * units * each,
        hidden=held * units * (pixels * MULTIPLY + 10 * ENTRY),
        likeness=counted * (table * MULTIPLY + 3 * units * ENTRY),
        activation=held * (table * MULTIPLY + 3 * units * ENTRY),
        matching=2 * table * (least * AUGMENT + 4 * ENTRY),
    )


def match_units_seconds(p: MatchUnitsParams) -> float:
    """Pairs of networks, trained and not."""
    lesson = LessonSize.of(p)
    pair = match_seconds(p, lesson.steps, lesson.steps / 2, lesson.held, lesson.pixels)
    return _read(p, lesson) + p.seeds * (0.01 + pair.learning + pair.answering)


def match_units_bytes(p: MatchUnitsParams) -> float:
    """Traces and signatures of both networks, their standard forms, activations, and tables of pairs of units."""
    lesson = LessonSize.of(p)
    units, counted, table = p.hidden_a + p.hidden_b, lesson.steps / 2, p.hidden_a * p.hidden_b
    widest = max(p.hidden_a, p.hidden_b)
    of_images = 2 * counted * units + counted * widest + lesson.held * (2 * units + lesson.pixels)
    slice_of = min(_SLICE, 3 * _DOUBLE * counted * widest)
    pair = _DOUBLE * (of_images + 8 * table) + 3 * lesson.network(units) + slice_of
    orders = 6 * _DOUBLE * lesson.steps
    return _images(p, lesson) + orders + at_once(p.seeds) * pair + 8 * _DOUBLE * table


# --- influence ------------------------------------------------------------------------------------------------


def influence_seconds(p: InfluenceParams) -> float:
    """Phase one, and gradients of the images learnt and of new ones at every checkpoint."""
    lesson = LessonSize.of(p)
    gradients = p.checkpoints * (lesson.images + lesson.held)
    each = (lesson.steps + gradients) * p.hidden * STEP[p.dataset]
    entries = lesson.digits**2 * lesson.pixels * p.hidden
    return _read(p, lesson) + p.seeds * (0.01 + each + p.checkpoints * entries * MULTIPLY)


def influence_bytes(p: InfluenceParams) -> float:
    """Tallies, gradients of both sets of images, and slices of images."""
    lesson = LessonSize.of(p)
    layer = lesson.network(p.hidden)
    slice_of = min(max(lesson.images, lesson.held), max(1, SLICE // (lesson.pixels * p.hidden)))
    each = lesson.digits * layer * 6 + _DOUBLE * slice_of * (3 * lesson.pixels + 6 * p.hidden)
    return _images(p, lesson) + 3 * _DOUBLE * lesson.steps + at_once(p.seeds) * each
