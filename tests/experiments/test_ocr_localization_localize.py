"""localize: its numbers against each other, the theorem of constant inputs, and what cannot be learnt."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tui_opt.datasets import load
from tui_opt.errors import CancelledError, ExperimentError
from tui_opt.experiments.ocr_localization import straying
from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.experiments.ocr_localization.localize import compute
from tui_opt.experiments.ocr_localization.match_params import InfluenceParams, MatchUnitsParams
from tui_opt.experiments.ocr_localization.one_seed import Setting, answer, learn, placebo_halves
from tui_opt.experiments.ocr_localization.params import LocalizeParams
from tui_opt.figure import resolve
from tui_opt.kernels.localization.network import Network, random_network
from tui_opt.kernels.localization.shares import correlation, share, spread_of_forks
from tui_opt.kernels.localization.training import train
from tui_opt.params import Params
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context
from tui_opt.scenario import Experiment, registry

SMALL: dict[str, Any] = {"hidden": 20, "seeds": 3, "epochs": 1}


def localize(threads: int = 1, seed: int = 0, **params: Any) -> Result:
    return compute(LocalizeParams.check({**SMALL, **params}), Context("localize", seed=seed, threads=threads))


@pytest.fixture(scope="module")
def small() -> Result:
    return localize(activation="relu", learning_rate=0.03)


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def test_findings_are_those_of_the_arrays(small: Result) -> None:
    x, y = (small.arrays[f"{kind}_share_weights"].values for kind in ("update", "change"))
    assert x.shape == y.shape == (3, 20, 64)
    r = []
    for a, b in zip(x, y, strict=True):
        both = np.isfinite(a) & np.isfinite(b)
        r.append(np.corrcoef(a[both], b[both])[0, 1])
    assert value(small, "r_weights") == pytest.approx(np.mean(r), abs=1e-12)
    assert value(small, "r2_weights") == pytest.approx(np.mean(np.square(r)), abs=1e-12)
    stderr = small.findings["r_weights"].stderr
    assert stderr == pytest.approx(np.std(r, ddof=1) / np.sqrt(3), abs=1e-12)
    fraction = np.mean(np.isfinite(x) & np.isfinite(y))
    assert value(small, "finite_fraction") == pytest.approx(fraction, abs=1e-15)


def test_pixels_that_are_never_drawn_on_have_the_correlation_of_the_biases(small: Result) -> None:
    lesson = Lesson.of(LocalizeParams.check(SMALL))
    data = load("digits")
    chosen = np.isin(data.labels, [1, 7, 6, 8])
    assert np.array_equal(lesson.constant_pixels, data.images[chosen].max(axis=0) == 0)
    assert value(small, "border_error") < 1e-9
    x, y = (small.arrays[f"{kind}_share_biases"].values for kind in ("update", "change"))
    by_seed = []
    for a, b in zip(x, y, strict=True):
        both = np.isfinite(a) & np.isfinite(b)
        by_seed.append(np.corrcoef(a[both], b[both])[0, 1])
    corner = small.arrays["pixel_correlation"].values[0, 0]
    assert corner == pytest.approx(np.mean(by_seed), abs=1e-9)
    assert value(small, "r_biases") == pytest.approx(corner, abs=1e-9)


def test_tallies_by_digit_are_there_for_any_grouping(small: Result) -> None:
    biases, weights = small.arrays["tally_biases"].values, small.arrays["tally_weights"].values
    assert small.arrays["digit"].values.tolist() == [1, 7, 6, 8]
    assert (biases.shape, weights.shape) == ((3, 4, 20), (4, 20, 64))
    for tallies, kind in ((biases[0], "biases"), (weights, "weights")):
        shares = share(tallies[:2].sum(axis=0), tallies[2:].sum(axis=0))
        np.testing.assert_allclose(small.arrays[f"update_share_{kind}"].values[0], shares, rtol=1e-12)
    mixed = [share(one[[0, 2]].sum(axis=0), one[[1, 3]].sum(axis=0)) for one in biases]
    changes = small.arrays["change_share_biases"].values
    placebo = [correlation(a, b) for a, b in zip(mixed, changes, strict=True)]
    assert value(small, "r_placebo_biases") == pytest.approx(np.mean(placebo), abs=1e-12)


def test_nearly_dead_units_have_no_shares_of_rounding_at_the_border() -> None:
    """A large rate leaves units that hardly learn: found for the weights, their shares would be anything."""
    params = LocalizeParams.check({"seeds": 3})
    lesson, raw, found = Lesson.of(params), [], compute(params, Context("localize"))
    for number in range(3):
        network = random_network(64, 100, Context("localize").rng("network", number))
        learnt = learn(lesson, Setting("softplus", "linear", 0.1, "second-half"), network, lambda: None)
        weights, biases = (
            np.stack([getattr(end, part) for end in learnt.ends]) for part in ("weights", "biases")
        )
        of_weights, of_biases = (
            share(spread_of_forks(part[:2]), spread_of_forks(part[2:])) for part in (weights[:, 0], biases)
        )
        raw.append(np.nanmax(np.abs(of_weights - of_biases)))
        change = found.arrays["change_share_biases"].values[number]
        assert np.array_equal(change, of_biases, equal_nan=True)
    assert max(raw) > 1e-7
    assert value(found, "border_error") < 1e-9
    assert "100%" not in found.findings["border_error"].text
    corner = found.arrays["pixel_correlation"].values[0, 0]
    assert corner == pytest.approx(value(found, "r_biases"), abs=1e-12)


def test_results_do_not_depend_on_threads_and_do_on_the_seed() -> None:
    one, two = localize(), localize(threads=2)
    for name, finding in one.findings.items():
        assert two.findings[name].value == finding.value or np.isnan(finding.value)
    assert value(localize(seed=1), "r_weights") != value(one, "r_weights")


def test_the_control_without_learning_is_that_of_gradients_of_the_initial_network() -> None:
    """Plainly: sums of gradients at one place, from every image, and no network that moves."""
    lesson = Lesson.of(LocalizeParams.check({**SMALL, "epochs": 2}))

    def gradients(net: Network, sequence: Any) -> tuple[np.ndarray, np.ndarray]:
        x = lesson.inputs(sequence)
        z = x @ net.weights + net.biases
        error = np.maximum(z, 0) @ net.output_weights.T + net.output_biases - np.eye(2)[sequence.targets]
        return x, error @ net.output_weights * (z > 0)

    def plain(number: int) -> float:
        net = random_network(64, 20, Context("localize").rng("network", number))
        counted = lesson.phase_one.part(lesson.tally_begins("second-half"))
        x, back = gradients(net, counted)
        first = (counted.classes < 2)[:, None]
        update = share(x.T @ np.abs(back * first), x.T @ np.abs(back * ~first))
        ends = [-(a.T @ b) for a, b in (gradients(net, fork) for fork in lesson.forks)]
        change = share(np.abs(ends[0] - ends[1]), np.abs(ends[2] - ends[3]))
        return correlation(update.ravel(), change.ravel())

    expected = (plain(0) + plain(1)) / 2
    found = localize(activation="relu", learning_rate=0.03, seeds=2, epochs=2)
    assert value(found, "r_weights_untrained") == pytest.approx(expected, abs=2e-3)
    assert abs(value(found, "r_weights") - expected) > 0.02
    assert "Networks that learn nothing have" in found.findings["z_within_pixel"].text
    alone = localize(seeds=1).findings
    assert "ask for two seeds" in alone["r_within_untrained"].text
    assert "learn nothing" not in alone["z_within_pixel"].text


def test_both_parts_of_phase_one_can_be_counted(small: Result) -> None:
    full = localize(activation="relu", learning_rate=0.03, tally="full")
    assert value(full, "loss_phase_one") > value(small, "loss_phase_one")
    assert value(full, "r_data_only") != value(small, "r_data_only")


def exact_data_only(lesson: Lesson) -> float:
    """Both shares from the images alone, in fractions; with all of phase one counted."""
    images = lesson.data.images.astype(int)
    counted = lesson.phase_one
    x, y = [], []
    for pixel in range(images.shape[1]):
        drawn = images[counted.samples, pixel] + 1
        first = int(drawn[counted.classes < lesson.group].sum())
        x.append(first / int(drawn.sum()))
        means = []
        for digit in lesson.digits:
            later = np.flatnonzero(lesson.data.labels[lesson.phase_one_images :] == digit)
            means.append(Fraction(int(images[lesson.phase_one_images + later, pixel].sum()), int(later.size)))
        a, b = (
            Fraction(sum(abs(p - q) for p, q in itertools.combinations(part, 2)))
            / max(len(part) * (len(part) - 1) // 2, 1)
            for part in (means[: lesson.group], means[lesson.group :])
        )
        y.append(float(a / (a + b)) if a + b else np.nan)
    both = np.isfinite(y)
    return float(np.corrcoef(np.array(x)[both], np.array(y)[both])[0, 1])


def test_images_alone_give_no_share_to_pixels_that_are_the_same() -> None:
    given = {
        "group_a": [1, 6, 7],
        "group_b": [8, 5],
        "phase_one": 699,
        "epochs": 2,
        "tally": "full",
        "seeds": 1,
    }
    result = localize(**given, hidden=2)
    lesson = Lesson.of(LocalizeParams.check({**SMALL, **given}))
    assert value(result, "r_data_only") == pytest.approx(exact_data_only(lesson), abs=1e-12)


def test_a_placebo_has_as_much_of_both_groups_in_whatever_order_they_are_given() -> None:
    assert placebo_halves((1, 7, 6, 8), 2) == (([0], [2]), ([1], [3]))
    assert placebo_halves((7, 1, 8, 6), 2) == (([1], [3]), ([0], [2]))
    assert placebo_halves((3, 0, 5, 9, 4), 3) == (([1, 2], [4]), ([0], [3]))
    given = {"seeds": 2, "hidden": 30}
    one = localize(**given, group_a=[0, 3, 5], group_b=[4, 9])
    tallies, changes = one.arrays["tally_biases"].values, one.arrays["change_share_biases"].values
    halves = (tallies[:, 0] + tallies[:, 2]) / 2 + tallies[:, 3], tallies[:, 1] + tallies[:, 4]
    expected = np.mean([correlation(share(a, b), c) for a, b, c in zip(*halves, changes, strict=True)])
    assert value(one, "r_placebo_biases") == pytest.approx(expected, abs=1e-12)
    assert "0, 4, 5 against 3, 9" in one.findings["r_placebo"].text


def test_what_is_counted_as_0_over_0_is_what_is_dropped() -> None:
    result = localize(learning_rate=0.1, seeds=20, hidden=100, epochs=5)
    for name, kind in (("no_update", "update"), ("no_change", "change")):
        undefined = np.isnan(result.arrays[f"{kind}_share_weights"].values)
        assert value(result, name) == undefined.sum()
    assert value(result, "no_change") > 0


def test_the_verdict_in_words_comes_first(small: Result) -> None:
    assert next(iter(small.findings)) == "z_within_pixel"
    assert "which pixels are drawn on, not where" in small.findings["z_within_pixel"].text


def test_a_small_effect_in_many_networks_is_more_than_chance() -> None:
    """Each network's is within its null law, and their mean many standard errors from zero."""
    result = localize(
        learning_rate=0.05, seeds=60, hidden=100, activation="softplus", output="linear", epochs=5
    )
    inside, z = result.findings["r_within_pixel"], result.findings["z_within_pixel"]
    assert inside.value / value(result, "null_within_pixel") < 3
    assert inside.stderr is not None
    assert inside.value > 8 * inside.stderr
    assert z.value == pytest.approx(inside.value / value(result, "null_within_pixel") * np.sqrt(60), rel=0.05)
    assert "units that one group updated more do change more with it" in z.text
    one = localize(learning_rate=0.05, seeds=1, hidden=100, activation="softplus", output="linear", epochs=5)
    assert "no more than chance" in one.findings["z_within_pixel"].text


def test_groups_may_be_larger_and_other_digits() -> None:
    result = localize(group_a=[0, 2, 3], group_b=[4, 9], seeds=2)
    assert np.isfinite(value(result, "r_weights"))
    lesson = Lesson.of(LocalizeParams.check({**SMALL, "group_a": [0, 2, 3], "group_b": [4, 9]}))
    taught = [sorted({lesson.digits[c] for c in fork.classes}) for fork in lesson.forks]
    assert taught == [[0, 4, 9], [2, 4, 9], [3, 4, 9], [0, 2, 3, 4], [0, 2, 3, 9]]
    assert [set(fork.targets[fork.classes < 3]) | {0} for fork in lesson.forks] == [{0}] * 5


def test_networks_that_diverge_are_counted_and_said() -> None:
    result = localize(learning_rate=50.0, activation="relu", seeds=2)
    assert value(result, "finite_fraction") < 0.5
    assert "mostly_undefined" in result.findings
    assert any("learning_rate" in warning for warning in result.warnings)


def test_training_that_ran_away_is_said_though_every_loss_is_a_number() -> None:
    result = localize(learning_rate=1.5, activation="relu", tally="full", seeds=4)
    assert 1e10 < value(result, "loss_phase_one") < np.inf
    assert value(result, "ran_away") == 4
    assert any(
        w.startswith("Training ran away in 4 of 4") and "Lower learning_rate" in w for w in result.warnings
    )
    no_number = localize(learning_rate=50.0, activation="relu", seeds=2)
    assert value(no_number, "ran_away") == 2
    assert "no finite number" in no_number.findings["ran_away"].text


def test_networks_that_learn_nothing_have_not_run_away(small: Result) -> None:
    hardly_moved = localize(learning_rate=1e-6)
    assert value(hardly_moved, "loss_phase_one") > 1  # what softplus units have to begin with
    assert value(hardly_moved, "learnt_nothing") == 3
    assert "ran_away" not in hardly_moved.findings
    dead = localize(learning_rate=10.0, output="relu", seeds=2)
    assert value(dead, "loss_phase_one") == pytest.approx(0.5, abs=1e-3)
    assert value(dead, "learnt_nothing") == 2
    assert not {"ran_away", "learnt_nothing"} & set(small.findings)
    assert small.warnings == []


def test_what_networks_begin_with_is_not_held_against_them() -> None:
    """Where all of phase one is counted, most of the loss may be of its first images; the second half says the rest."""
    wide: dict[str, Any] = {"hidden": 100, "epochs": 2, "seeds": 1, "activation": "softplus"}
    whole, half = (localize(**wide, learning_rate=0.05, tally=tally) for tally in ("full", "second-half"))
    assert value(half, "loss_phase_one") < 0.125 < 0.25 < value(whole, "loss_phase_one")
    assert whole.warnings == half.warnings == []


@pytest.mark.parametrize("activation", ["softplus", "relu", "tanh"])
def test_no_network_has_run_away_before_it_learns(activation: str) -> None:
    """The wildest are those of one unit, whose output weights are largest."""
    lesson = Lesson.of(LocalizeParams.check({}))
    few, rng = lesson.phase_one.part(0, 40), np.random.default_rng(0)
    losses = [
        train(
            random_network(64, 1, rng),
            lesson.pixels,
            few.samples,
            few.classes,
            few.targets,
            activation=activation,
            output="linear",
            rate=0.0,
        )
        for _ in range(2000)
    ]
    assert max(losses) < straying.ABSURD / 2


def test_one_unit_and_one_seed_have_no_null_and_no_spread() -> None:
    result = localize(hidden=1, seeds=1)
    assert np.isnan(value(result, "z_within_pixel"))
    assert np.isnan(value(result, "r_cross_seed"))
    assert "two networks or more, and there is one" in result.findings["r_cross_seed"].text
    assert result.findings["r_weights"].stderr is None
    assert np.isfinite(value(result, "r_weights"))
    for name in ("r_unit_shuffle", "null_within_pixel", "r_within_pixel", "r_biases", "r_placebo_within"):
        assert np.isnan(value(result, name)), name
        assert "two hidden units or more, and there is one" in result.findings[name].text, name
    assert np.isfinite(value(localize(hidden=2, seeds=1), "r_unit_shuffle"))


def test_every_figure_draws_arrays_that_are_there(small: Result) -> None:
    values = small.values()
    assert [figure.name for figure in small.figures] == ["weights", "biases", "pixels", "seeds"]
    for figure in small.figures:
        for layer in figure.layers:
            if layer.kind in ("heatmap", "density"):
                sizes = resolve(layer.y, values).size, resolve(layer.x, values).size
                edges = int(layer.kind == "density")
                assert resolve(layer.z if layer.kind == "heatmap" else layer.counts, values).shape == (
                    sizes[0] - edges,
                    sizes[1] - edges,
                )
            elif layer.kind == "scatter":
                assert resolve(layer.x, values).shape == resolve(layer.y, values).shape


@pytest.mark.parametrize(
    ("params", "key"),
    [
        ({"group_a": [1, 1]}, "group_a"),
        ({"group_a": [1]}, "group_a"),
        ({"group_b": [1, 8]}, "group_b"),
        ({"group_a": [1, 10]}, "group_a[1]"),
        ({"phase_one": 1797}, "phase_one"),
        ({"activation": "softmax"}, "activation"),
    ],
)
def test_what_cannot_be_learnt_is_said(params: dict[str, Any], key: str) -> None:
    with pytest.raises(ParameterErrors) as caught:
        LocalizeParams.check(params)
    assert [problem.key for problem in caught.value.problems] == [f"params.{key}"]


@pytest.mark.parametrize(
    "experiment", registry().scenario("ocr-localization").experiments, ids=lambda e: e.name
)
def test_forks_are_spoken_of_only_where_there_are_some(experiment: Experiment) -> None:
    params, has_forks = experiment.params, experiment.name in ("localize", "activations")
    one_digit = _said(params, {"group_a": [1], "group_b": [7, 6]})
    assert ("a fork is trained" in one_digit) == has_forks
    no_rest = _said(params, {"phase_one": 1798})
    assert ("the images of the forks" in no_rest) == has_forks
    helps = " ".join(spec.help for spec in params.specs().values())
    assert ("in each phase" in helps) == has_forks
    if not has_forks:
        assert "fork" not in one_digit + no_rest + helps


def _said(params: type[Params], given: dict[str, Any]) -> str:
    with pytest.raises(ParameterErrors) as caught:
        params.check(given)
    return str(caught.value)


def test_a_phase_without_a_digit_is_a_sentence() -> None:
    with pytest.raises(
        ExperimentError, match="There is no 7 and no 6 and no 8 among the images of phase one"
    ):
        localize(phase_one=4)
    for params, rest in (
        (LocalizeParams, "of the forks"),
        (MatchUnitsParams, "on which units are compared"),
        (InfluenceParams, "on which influence is measured"),
    ):
        with pytest.raises(ExperimentError, match=rf"among the images {rest}\. Change phase_one"):
            Lesson.of(params.check({"phase_one": 1796}))


@pytest.mark.slow
def test_digits_reproduce_the_reference() -> None:
    """Twenty networks scatter by 0.05 about their mean; two hundred by 0.014."""
    result = compute(LocalizeParams.check({"seeds": 200}), Context("localize", seed=0, threads=2))
    assert value(result, "r_weights") == pytest.approx(0.33, abs=0.05)
    assert value(result, "r_within_pixel") == pytest.approx(0.27, abs=0.05)
    assert value(result, "r_placebo_biases") < -0.2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "output", "rate", "within", "scatter"),
    [
        ("softplus", "linear", 0.05, 0.070, 0.003),
        ("relu", "linear", 0.03, 0.070, 0.004),
        ("sigmoid", "sigmoid", 0.1, 0.118, 0.003),
        ("sigmoid", "linear", 0.1, 0.041, 0.002),
    ],
)
def test_the_page_s_correlations_within_pixels(
    activation: str, output: str, rate: float, within: float, scatter: float
) -> None:
    """Other networks than the page's 300, of which there are a third: three standard errors of the difference."""
    given = {"activation": activation, "output": output, "learning_rate": rate, "seeds": 100}
    result = compute(LocalizeParams.check(given), Context("localize", seed=1, threads=2))
    assert value(result, "r_within_pixel") == pytest.approx(within, abs=3 * scatter * np.sqrt(1 + 3))
    assert value(result, "z_within_pixel") > 10


def test_what_is_asked_of_a_network_can_be_stopped_between_its_parts_and_shows_in_the_progress() -> None:
    lesson = Lesson.of(LocalizeParams.check(SMALL))
    setting = Setting("relu", "linear", 0.03, "second-half")
    learnt = learn(lesson, setting, random_network(64, 20, np.random.default_rng(0)), lambda: None)
    told: list[float] = []
    answer(lesson, learnt, np.random.default_rng(0), lambda: None, told.append)
    assert len(told) > 10
    assert min(told) >= 0
    assert 0.9 < sum(told) <= 1 + 1e-12
    for last in range(len(told)):
        looks = []

        def stop(looks: list[int] = looks, last: int = last) -> None:
            looks.append(1)
            if len(looks) > last:
                raise CancelledError

        with pytest.raises(CancelledError):
            answer(lesson, learnt, np.random.default_rng(0), stop)
    ctx, done = Context("localize"), []
    progress = ctx.progress
    ctx.progress = lambda at, *rest: (progress(at, *rest), done.append(at))  # type: ignore[method-assign]
    compute(LocalizeParams.check({**SMALL, "seeds": 1}), ctx)
    assert done == sorted(done)
    assert len([at for at in done if 0.9 < at < 1]) > 10
