"""activations: localize for many activations, outputs and learning rates, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.experiments.ocr_localization.one_seed import Agreement, Learnt, Setting, answer, learn, steps_of
from tui_opt.experiments.ocr_localization.params import ActivationsParams
from tui_opt.experiments.ocr_localization.straying import chance, ran_away, worst
from tui_opt.experiments.ocr_localization.together import Together, groups, once
from tui_opt.experiments.ocr_localization.work import Work
from tui_opt.experiments.one_thread import linear_algebra_on_one_thread
from tui_opt.figure import Axis, Figure, Layer, Rule, Scatter
from tui_opt.kernels.localization.network import Network, random_network
from tui_opt.result import Result
from tui_opt.runner.context import Context

Task: TypeAlias = tuple[int, int]
"""Place of the setting, and number of the initial network."""

RELU_LIKE: Final = ("softplus", "relu", "leaky-relu")
"""Activations that are zero, or nearly, on one side and a line on the other, and never turn back."""
LEARNT: Final = 0.5
"""Part of the loss of answering one half to everything below which a network counts as having learnt."""
NAMED: Final = 5
"""Settings that a warning names."""
COLUMNS: Final = (
    ("r_weights", "correlation over all weights"),
    ("r_unit_shuffle", "of which pixels alone"),
    ("r_within_pixel", "within pixels"),
    ("null_within_pixel", "standard deviation of its null law"),
    ("r_biases", "correlation over the biases"),
    ("r_placebo_biases", "of the biases for a grouping that mixes the groups"),
    ("loss_phase_one", "mean loss over the counted part of phase one"),
    ("finite_fraction", "weights that have both shares"),
)


@dataclass(frozen=True)
class Trial:
    """A setting with the answers of its seeds."""

    activation: str
    output: str
    rate: float
    kept: list[Agreement]

    def mean(self, name: str) -> float:
        """Mean over the seeds that have a value."""
        known = self._known(name)
        return float(known.mean()) if known.size else float("nan")

    def stderr(self, name: str) -> float:
        """Its standard error, NaN for fewer than two."""
        known = self._known(name)
        with np.errstate(over="ignore"):  # losses of networks that ran away
            return float(known.std(ddof=1) / np.sqrt(known.size)) if known.size > 1 else float("nan")

    @property
    def has_learnt(self) -> bool:
        """Whether its networks learnt anything in phase one."""
        sane = not ran_away(self.mean("loss_phase_one"))
        return sane and self.mean("loss_second_half") < LEARNT * chance(self.output)

    @property
    def lost(self) -> list[float]:
        """Losses of its networks whose training ran away."""
        return [a.loss_phase_one for a in self.kept if ran_away(a.loss_phase_one)]

    def _known(self, name: str) -> NDArray[np.float64]:
        values = np.array([getattr(agreement, name) for agreement in self.kept], dtype=np.float64)
        return np.asarray(values[np.isfinite(values)])


@linear_algebra_on_one_thread
def compute(params: ActivationsParams, ctx: Context) -> Result:
    """Every network by itself, on as many threads as there are; finished ones are found in the checkpoint again."""
    lesson = Lesson.of(params)
    _ = lesson.pixels, lesson.phase_one, lesson.forks, lesson.constant_pixels  # before threads ask for them
    settings = [Setting(*setting, params.tally) for setting in params.settings]
    work = Work(ctx, len(settings) * params.seeds, steps_of(lesson))
    school = Together(lesson, params.tally, ctx)
    kept: list[list[Agreement]] = [[] for _ in settings]

    def initial(number: int) -> Network:
        # The same initial networks for every setting: differences between settings are not those of networks.
        return random_network(lesson.pixels.size, params.hidden, ctx.rng("network", number))

    def together(tasks: list[Task]) -> dict[Task, Learnt]:
        new = [(place, number) for place, number in tasks if ctx.checkpoint.get(f"{place}/{number}") is None]
        if not new:
            return {}
        learning = work.learning(len(new))
        networks = [initial(number) for _, number in new]
        learnt = school.learn(networks, [settings[place] for place, _ in new], learning.report)
        learning.end()
        return dict(zip(new, learnt, strict=True))

    def of(task: Task, ready: dict[Task, Learnt]) -> Agreement:
        place, number = task
        packed = ctx.checkpoint.get(f"{place}/{number}")
        if packed is not None:
            work.found()
            return Agreement.unpacked(packed)
        learnt = ready.pop(task, None)
        if learnt is None:
            learning = work.learning()
            learnt = learn(lesson, settings[place], initial(number), ctx.check, learning.report)
            learning.end()
        answering, shuffles = work.answering(), ctx.rng(f"shuffles {place}", number)
        agreement = answer(lesson, learnt, shuffles, ctx.check, answering.report).agreement
        ctx.checkpoint.put(f"{place}/{number}", agreement.packed())
        answering.end()
        return agreement

    def so_far() -> Result:
        return report(
            params,
            [Trial(s.activation, s.output, s.rate, k) for s, k in zip(settings, kept, strict=True) if k],
        )

    say = once(ctx.message)
    # Networks that learn together on a GPU may differ in their rates only.
    for alike in [list(range(len(settings)))] if ctx.device == "cpu" else _alike(settings):
        tasks = [(place, number) for place in alike for number in range(params.seeds)]
        for some, ready in groups(tasks, together, partial(school.size, params.hidden), ctx, say):
            for (place, _), agreement in zip(some, ctx.map(partial(of, ready=ready), some), strict=True):
                kept[place].append(agreement)
                ctx.partial(so_far)
    return so_far()


def _alike(settings: list[Setting]) -> list[list[int]]:
    """Places of the settings with the same activation and output."""
    places: dict[tuple[str, str], list[int]] = {}
    for place, setting in enumerate(settings):
        places.setdefault((setting.activation, setting.output), []).append(place)
    return list(places.values())


def report(params: ActivationsParams, trials: list[Trial]) -> Result:
    """Table, arrays and charts of the settings that have answers, and both kinds of activation compared."""
    result = Result()
    names = [f"{t.activation}-{t.output}" for t in trials]
    result.add_table(
        "activations",
        ("activation", "output", "learning_rate", *(name for name, _ in COLUMNS), "learnt"),
        [
            (t.activation, t.output, t.rate, *(t.mean(name) for name, _ in COLUMNS), t.has_learnt)
            for t in trials
        ],
    )
    result.add_array(
        "learning_rate", np.array([t.rate for t in trials]), ("setting",), text="of each setting"
    )
    for name, text in COLUMNS:
        result.add_array(
            name, np.array([t.mean(name) for t in trials]), ("setting",), text=f"{text}, mean over seeds"
        )
        errors = np.array([t.stderr(name) for t in trials])
        result.add_array(f"{name}_stderr", errors, ("setting",), text="standard error over seeds")
    _add_kinds(result, [t for t in trials if t.has_learnt], params.hidden)
    learnt = sum(t.has_learnt for t in trials)
    text = (
        f"Settings, of {len(trials)}, whose networks learnt: over the second half of phase one their loss is below "
        "half of that of answering one half."
    )
    result.add_finding("learnt", learnt, text)
    _warn_of(result, [t for t in trials if t.lost])
    result.headline = ["r2_weights_relu_like", "r2_weights_other", "r_biases_relu_like", "r_biases_other"]
    _add_figures(result, names, params)
    return result


def _warn_of(result: Result, strayed: list[Trial]) -> None:
    """Say in which settings training ran away: what stands in their rows is not of anything learnt."""
    if not strayed:
        return
    named = [f"{t.activation}-{t.output} at {t.rate:g}" for t in strayed[:NAMED]]
    others = len(strayed) - len(named)
    text = (
        f"Training ran away with {', '.join(named)}{f' and {others} more' if others else ''}: networks' mean loss in "
        f"phase one is {worst([loss for t in strayed for loss in t.lost])}. What their rows say is not of anything "
        "learnt. Lower their learning_rate."
    )
    result.add_finding("ran_away", len(strayed), text, kind="warning")


def _add_kinds(result: Result, learnt: list[Trial], hidden: int) -> None:
    """Means over the settings that learnt, for ReLU-like activations and the others."""
    questions = (
        ("r2_weights", "r_weights", True, "Square of the correlation over all weights"),
        (
            "r_unit_shuffle",
            "r_unit_shuffle",
            False,
            "What pixels alone give of the correlation over all weights",
        ),
        ("r_within_pixel", "r_within_pixel", False, "Correlation within pixels"),
        ("r_biases", "r_biases", False, "Correlation over the biases"),
    )
    kinds = (
        ("relu_like", "softplus, ReLU and leaky ReLU", [t for t in learnt if t.activation in RELU_LIKE]),
        ("other", "the other activations", [t for t in learnt if t.activation not in RELU_LIKE]),
    )
    for name, source, squared, words in questions:
        for kind, which, trials in kinds:
            values = np.array([t.mean(source) for t in trials])
            values = values[np.isfinite(values)] ** (2 if squared else 1)
            if not values.size:
                why = (
                    "it takes two hidden units or more, and there is one"
                    if hidden == 1
                    else "too few have shares"
                )
                none = (
                    f"{words}. It does not exist here: {why}."
                    if trials
                    else f"No setting with {which} learnt."
                )
                result.add_missing(f"{name}_{kind}", none)
                continue
            stderr = float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else None
            text = f"{words}, mean over the {values.size} settings with {which} that learnt; the spread is theirs."
            result.add_finding(f"{name}_{kind}", float(values.mean()), text, stderr=stderr)


def _add_figures(result: Result, names: list[str], params: ActivationsParams) -> None:
    """Every quantity against the learning rate, a mark for each pair of activation and output."""
    scale = "log" if max(params.learning_rate) > 3 * min(params.learning_rate) else "linear"
    titles = (
        ("r_within_pixel", "Correlation within pixels: what units keep"),
        ("r_weights", "Correlation over all weights"),
        ("r_unit_shuffle", "What pixels alone give"),
        ("r_biases", "Correlation over the biases"),
        ("loss_phase_one", "Loss of phase one"),
    )
    rates = result.arrays["learning_rate"].values
    for name, title in titles:
        layers: list[Layer] = []
        for label in dict.fromkeys(names):
            at = [i for i, other in enumerate(names) if other == label]
            points = result.arrays[name].values[at]
            errors = np.nan_to_num(result.arrays[f"{name}_stderr"].values[at])
            layers.append(Scatter(x=tuple(rates[at]), y=tuple(points), error=tuple(errors), label=label))
        if name != "loss_phase_one":
            layers.append(Rule(axis="y", value=0.0))
        result.add_figure(
            Figure(
                name=name,
                title=title,
                x=Axis(label="learning rate", scale=scale),
                y=Axis(label="loss" if name == "loss_phase_one" else "correlation"),
                layers=tuple(layers),
            )
        )
