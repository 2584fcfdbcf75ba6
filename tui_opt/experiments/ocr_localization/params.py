"""Parameters of the ocr-localization experiments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal, TypeAlias

from tui_opt.params import Many, ManyWhole, Params, Real, Whole, choice, real, whole
from tui_opt.problems import Problem

Activation: TypeAlias = Literal["softplus", "relu", "leaky-relu", "sigmoid", "tanh", "silu"]
Output: TypeAlias = Literal["linear", "softplus", "relu", "sigmoid", "softmax"]

#: samples of the first phase, and passes through both, where a data set's own are asked for.
PHASE_ONE = {"digits": 900, "mnist": 12_000}
EPOCHS = {"digits": 5, "mnist": 1}
#: images there are, so that a phase that leaves nothing for the second is refused before anything is read.
SIZES = {"digits": 1797, "mnist": 60_000}
PIXELS = {"digits": 64, "mnist": 784}


def dataset() -> Any:
    """Which images."""
    return choice(
        "digits",
        group="data",
        help="Handwritten digits: `digits` (8 x 8, with scikit-learn) or `mnist` (28 x 28, see `optexplore data`).",
    )


def group(default: tuple[int, ...], which: str) -> Any:
    """The digits of a group."""
    return whole(default, low=0, high=9, group="data", help=f"Digits of the {which} group, two or more.")


def hidden(default: int = 100) -> Any:
    """Width of the hidden layer."""
    return whole(default, low=1, high=4096, symbol="H", log=True, group="network", help="Hidden units.")


def learning_rate(default: float | tuple[float, ...] = 0.1) -> Any:
    """Step size."""
    return real(
        default,
        above=0,
        high=100,
        symbol="η",
        log=True,
        group="network",
        help="Learning rate of one sample's update.",
    )


def phase_one(taken: str = "from which phase one takes its digits", most: int = SIZES["mnist"] - 1) -> Any:
    """Samples of phase one: what is `taken` from the first images, and how many there may be."""
    return whole(
        "auto",
        low=2,
        high=most,
        group="training",
        help=f"First images of the data set, {taken}; `auto` is 900 of digits and 12,000 of MNIST.",
    )


def epochs(through: str = "the images in each phase") -> Any:
    """Passes."""
    return whole(
        "auto",
        low=1,
        high=1000,
        group="training",
        help=f"Passes through {through}; `auto` is 5 for digits and 1 for MNIST.",
    )


def seeds(default: int, what: str = "Independent initial networks") -> Any:
    """Repetitions."""
    return whole(
        default, low=1, high=10_000, log=True, group="sampling",
        help=f"{what}; the spread over them is the standard error.",
    )  # fmt: skip


class LessonParams(Params):
    """What is learnt, by what network, how: shared by every experiment."""

    #: what the images after phase one are, and why a group needs two digits: messages are of what an experiment has.
    rest: ClassVar[str] = "the images of the forks"
    why_two: ClassVar[str] = "a fork is trained without each of the others"

    dataset: Literal["digits", "mnist"] = dataset()
    group_a: ManyWhole = group((1, 7), "first")
    group_b: ManyWhole = group((6, 8), "second")
    phase_one: Whole | Literal["auto"] = phase_one()
    epochs: Whole | Literal["auto"] = epochs()

    @property
    def phase_one_images(self) -> int:
        """`phase_one` as a number."""
        return PHASE_ONE[self.dataset] if self.phase_one == "auto" else int(self.phase_one)

    @property
    def passes(self) -> int:
        """`epochs` as a number."""
        return EPOCHS[self.dataset] if self.epochs == "auto" else int(self.epochs)


class OnePhaseParams(LessonParams):
    """A lesson that ends with phase one."""

    phase_one: Whole | Literal["auto"] = phase_one("those of both groups' digits are learnt")
    epochs: Whole | Literal["auto"] = epochs("the images that are learnt")


def lesson_problems(params: LessonParams) -> Iterable[Problem]:
    """Groups that overlap or are too small, and a phase one that leaves nothing."""
    for name, digits in (("group_a", params.group_a), ("group_b", params.group_b)):
        if len(set(digits)) != len(digits):
            yield Problem(name, f"must not name a digit twice, unlike {list(digits)}.", list(digits))
        elif len(digits) < 2:
            yield Problem(
                name,
                f"needs two digits or more, not {list(digits)}: {params.why_two}.",
                list(digits),
            )
    both = sorted(set(params.group_a) & set(params.group_b))
    if both:
        yield Problem(
            "group_b", f"shares {', '.join(map(str, both))} with group_a; a digit is in one of them."
        )
    images = SIZES[params.dataset]
    most = images - 1 if params.rest else images
    if params.phase_one_images > most:
        why = f"the rest are {params.rest}" if params.rest else "there are no more"
        text = f"must be at most {most:,} of {params.dataset}, not {params.phase_one}: {why}."
        yield Problem("phase_one", text, params.phase_one)


class LocalizeParams(LessonParams):
    """Do parameters that one group of digits updated most change most with that group?"""

    hidden: Whole = hidden()
    activation: Activation = choice("softplus", group="network", help="Activation of the hidden units.")
    output: Output = choice(
        "linear",
        group="network",
        help="Activation of both outputs; softmax goes with cross-entropy, the others with half the squared error.",
    )
    learning_rate: Real = learning_rate()
    tally: Literal["second-half", "full"] = choice(
        "second-half",
        group="training",
        help="Which part of phase one is counted: the source counts its second half.",
    )
    seeds: Whole = seeds(20)

    rules: ClassVar = (lesson_problems,)


class ActivationsParams(LessonParams):
    """The same question for many activations, outputs and learning rates."""

    hidden: Whole = hidden()
    activation: tuple[Activation, ...] = choice(
        ("softplus", "relu", "leaky-relu", "sigmoid", "tanh", "silu"),
        least=1,
        group="network",
        help="Activations of the hidden units.",
    )
    output: tuple[Output, ...] = choice(
        ("linear", "sigmoid"), least=1, group="network", help="Activations of the outputs."
    )
    learning_rate: Many = learning_rate((0.01, 0.03, 0.1))
    combine: Literal["product", "paired"] = choice(
        "product",
        group="network",
        help="Every combination of the three lists, or the first of each, the second of each, and so on.",
    )
    tally: Literal["second-half", "full"] = choice(
        "second-half", group="training", help="Which part of phase one is counted."
    )
    seeds: Whole = seeds(5)

    @property
    def settings(self) -> list[tuple[str, str, float]]:
        """Activation, output and learning rate of each setting."""
        if self.combine == "paired":
            return list(zip(self.activation, self.output, self.learning_rate, strict=True))
        return [(a, o, r) for a in self.activation for o in self.output for r in self.learning_rate]


def _equally_long(params: ActivationsParams) -> Iterable[Problem]:
    lengths = {"activation": len(params.activation), "output": len(params.output)}
    lengths["learning_rate"] = len(params.learning_rate)
    if params.combine == "paired" and len(set(lengths.values())) > 1:
        text = ", ".join(f"{name} has {number}" for name, number in lengths.items())
        yield Problem("combine", f"paired needs lists of one length, but {text}.", params.combine)


def _each_once(params: ActivationsParams) -> Iterable[Problem]:
    if params.combine == "paired" and not len(params.activation) == len(params.output) == len(
        params.learning_rate
    ):
        return
    if len(set(params.settings)) < len(params.settings):
        name = next(
            (n for n in ("activation", "output") if len(set(getattr(params, n))) < len(getattr(params, n))),
            "",
        )
        name = name if name and params.combine == "product" else "learning_rate"
        yield Problem(name, "gives a setting twice; each must be another one.", list(getattr(params, name)))


ActivationsParams.rules = (lesson_problems, _equally_long, _each_once)
