"""Parameters of intervene."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from tui_opt.experiments.ocr_localization.params import (
    PIXELS,
    SIZES,
    Activation,
    OnePhaseParams,
    Output,
    hidden,
    learning_rate,
    lesson_problems,
    phase_one,
    seeds,
)
from tui_opt.params import Real, Whole, choice, real, whole
from tui_opt.problems import Problem


class InterveneParams(OnePhaseParams):
    """Does a local change in the data change the parameters locally?"""

    rest: ClassVar = ""  # nothing is asked of other images
    why_two: ClassVar = "all images of one may be changed or taken away, and the group must keep some"

    phase_one: Whole | Literal["auto"] = phase_one(
        "those of both groups' digits are learnt", most=SIZES["mnist"]
    )
    hidden: Whole = hidden()
    activation: Activation = choice("relu", group="network", help="Activation of the hidden units.")
    output: Output = choice("linear", group="network", help="Activation of both outputs.")
    learning_rate: Real = learning_rate(0.03)
    change: Literal["patch", "relabel", "remove"] = choice(
        "patch",
        group="change",
        help="What is done to the images of one digit: a bright square, the other group's label, or taking them away.",
    )
    digit: Whole = whole(7, low=0, high=9, group="change", help="The digit whose images are changed.")
    part: Real = real(
        1.0, above=0, high=1, group="change", help="Part of its images that are changed, the first ones."
    )
    patch_size: Whole = whole(2, low=1, high=28, unit="pixels", group="change", help="Side of the square.")
    patch_row: Whole = whole(
        0, low=0, high=27, group="change", help="Row of its upper left corner, from the top."
    )
    patch_col: Whole = whole(0, low=0, high=27, group="change", help="Column of its upper left corner.")
    resamples: Whole = whole(
        6, low=2, high=1000, log=True, group="sampling",
        help="Random halves of the images that every initial network is also trained on, for the shares of variance.",
    )  # fmt: skip
    seeds: Whole = seeds(20)

    @property
    def side(self) -> int:
        """Pixels per row."""
        return int(PIXELS[self.dataset] ** 0.5)


def _digit_is_learnt(params: InterveneParams) -> Iterable[Problem]:
    digits = (*params.group_a, *params.group_b)
    if params.digit not in digits:
        yield Problem(
            "digit",
            f"must be one of those learnt, {', '.join(map(str, digits))}, not {params.digit}.",
            params.digit,
        )


def _patch_fits(params: InterveneParams) -> Iterable[Problem]:
    if params.change != "patch":
        return
    if params.patch_size > params.side:
        said = f"must be at most {params.side}, the side of the images, not {params.patch_size}."
        yield Problem("patch_size", said, params.patch_size)
        return
    for name, start in (("patch_row", params.patch_row), ("patch_col", params.patch_col)):
        if start + params.patch_size > params.side:
            most = params.side - params.patch_size
            yield Problem(
                name,
                f"must be at most {most}, so that the square fits {params.side} pixels, not {start}.",
                start,
            )


InterveneParams.rules = (lesson_problems, _digit_is_learnt, _patch_fits)
