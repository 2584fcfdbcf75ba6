"""Parameters of match-units and influence."""

from __future__ import annotations

from typing import ClassVar, Literal

from tui_opt.experiments.ocr_localization.params import (
    Activation,
    OnePhaseParams,
    Output,
    hidden,
    learning_rate,
    lesson_problems,
    seeds,
)
from tui_opt.params import Real, Whole, choice, whole


class MatchUnitsParams(OnePhaseParams):
    """Can units that do the same be found by their updates?"""

    rest: ClassVar = "the images on which units are compared"
    why_two: ClassVar = (
        "units are compared by their mean answers digit by digit, and over few digits many agree by chance"
    )

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
    seeds: Whole = seeds(10, "Pairs of independent initial networks")

    rules: ClassVar = (lesson_problems,)


class InfluenceParams(OnePhaseParams):
    """Which digits help which, by TracIn, and do tallies agree with it?"""

    rest: ClassVar = "the images on which influence is measured"
    why_two: ClassVar = "how a digit influences the others of its group is asked"

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
