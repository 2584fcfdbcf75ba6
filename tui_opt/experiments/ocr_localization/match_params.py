"""Parameters of match-units and influence."""

from __future__ import annotations

from typing import ClassVar, Literal

from tui_opt.experiments.ocr_localization.params import (
    Activation,
    LessonParams,
    Output,
    hidden,
    learning_rate,
    lesson_problems,
    seeds,
)
from tui_opt.params import Real, Whole, choice, whole


class MatchUnitsParams(LessonParams):
    """Can units that do the same be found by their updates?"""

    hidden_a: Whole = hidden()
    hidden_b: Whole = hidden()
    activation: Activation = choice("relu", group="network", help="Activation of the hidden units.")
    output: Output = choice("linear", group="network", help="Activation of both outputs.")
    learning_rate: Real = learning_rate(0.03)
    signature: Literal["raw", "rank", "normalised"] = choice(
        "rank",
        group="question",
        help="What is compared: sizes of updates image by image, their ranks, or divided by the error of the outputs.",
    )
    seeds: Whole = seeds(10)

    rules: ClassVar = (lesson_problems,)


class InfluenceParams(LessonParams):
    """Which digits help which, by TracIn, and do tallies agree with it?"""

    hidden: Whole = hidden()
    activation: Activation = choice("relu", group="network", help="Activation of the hidden units.")
    output: Output = choice("linear", group="network", help="Activation of both outputs.")
    learning_rate: Real = learning_rate(0.01)
    checkpoints: Whole = whole(
        20,
        low=1,
        high=100,
        group="question",
        help="Networks along phase one that are summed over; 1 is the last.",
    )
    seeds: Whole = seeds(10)

    rules: ClassVar = (lesson_problems,)
