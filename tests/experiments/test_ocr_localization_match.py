"""match-units and influence: batches against single steps, known matchings, gradients summed one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.kernels.test_localization import LEVELS, images
from tui_opt.errors import CancelledError
from tui_opt.experiments.ocr_localization import influence, match_units
from tui_opt.experiments.ocr_localization.match_params import InfluenceParams, MatchUnitsParams
from tui_opt.kernels.localization import network, responses
from tui_opt.kernels.localization.network import Network, random_network
from tui_opt.kernels.localization.pixels import dense, sparse
from tui_opt.kernels.localization.responses import (
    activations,
    class_gradients,
    correlations_between,
    matched,
    mean_of_known,
    pair_scores,
    passes,
    signatures,
    tracin,
)
from tui_opt.kernels.localization.training import train
from tui_opt.result import Result
from tui_opt.runner.context import Context

SMALL: dict[str, Any] = {"seeds": 2, "epochs": 1}


def match(threads: int = 1, **params: Any) -> Result:
    asked = MatchUnitsParams.check({**SMALL, "hidden_a": 12, "hidden_b": 9, **params})
    return match_units.compute(asked, Context("match-units", threads=threads))


# --- passes and gradients -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "output"),
    [
        ("relu", "linear"),
        ("softplus", "softmax"),
        ("silu", "sigmoid"),
        ("tanh", "softplus"),
        ("leaky-relu", "relu"),
    ],
)
def test_a_batch_has_the_gradients_of_single_steps(activation: str, output: str) -> None:
    """A step at rate 1 changes the parameters by minus the gradient, and its trace is that of the hidden biases."""
    rng = np.random.default_rng(3)
    pictures, start = images(12, 10), random_network(10, 5, rng)
    x, targets = dense(pictures, LEVELS), rng.integers(0, 2, 12)
    of = passes(start, x, targets, activation, output)
    for i in range(12):
        one, trace = start.copy(), np.zeros((1, 6))
        step = np.array([i])
        train(
            one, sparse(pictures, LEVELS), step, step * 0, targets[step], activation=activation, output=output,
            rate=1.0, trace=trace,
        )  # fmt: skip
        assert np.allclose(start.biases - one.biases, of.hidden_error[i], atol=1e-13)
        assert np.allclose(start.output_biases - one.output_biases, of.output_error[i], atol=1e-13)
        assert np.allclose(trace[0, :-1], np.abs(of.hidden_error[i]), atol=1e-13)
        assert trace[0, -1] == pytest.approx(np.linalg.norm(of.output_error[i]))


def test_influence_is_the_mean_over_pairs_of_images() -> None:
    rng = np.random.default_rng(8)
    start = random_network(10, 5, rng)
    x, classes = dense(images(9, 10), LEVELS), np.array([0, 0, 0, 1, 1, 1, 1, 2, 2])
    y, others = dense(images(6, 10, seed=2), LEVELS), np.array([0, 1, 1, 2, 2, 2])

    def gradients(inputs: np.ndarray, of: np.ndarray) -> list[np.ndarray]:
        found = passes(start, inputs, of % 2, "silu", "softmax")
        flat = []
        for row, h, error, out in zip(
            inputs, found.hidden, found.hidden_error, found.output_error, strict=True
        ):
            first, second = np.outer(np.append(row, 1), error), np.outer(np.append(h, 1), out)
            flat.append(np.concatenate([first.ravel(), second.ravel()]))
        return flat

    one, two = gradients(x, classes), gradients(y, others)
    whole, by_unit = tracin(
        class_gradients(x, passes(start, x, classes % 2, "silu", "softmax"), classes, 3),
        class_gradients(y, passes(start, y, others % 2, "silu", "softmax"), others, 3),
    )
    for a in range(3):
        for b in range(3):
            products = [
                one[i] @ two[j] for i in np.flatnonzero(classes == a) for j in np.flatnonzero(others == b)
            ]
            assert whole[a, b] == pytest.approx(np.mean(products), rel=1e-12)
            units = [
                (
                    one[i].reshape(-1)[: 11 * 5].reshape(11, 5) * two[j].reshape(-1)[: 11 * 5].reshape(11, 5)
                ).sum(axis=0)
                for i in np.flatnonzero(classes == a)
                for j in np.flatnonzero(others == b)
            ]
            assert np.allclose(by_unit[a, b], np.mean(units, axis=0), rtol=1e-12)


# --- matching -------------------------------------------------------------------------------------------------


def test_permuted_units_are_found_again() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(40, 7))
    order = rng.permutation(7)
    likeness = correlations_between(a, 3.0 * a[:, order] + 1.0)
    rows, columns = matched(likeness)
    assert np.array_equal(order[columns], rows)
    assert np.allclose(pair_scores(a[:, rows], a[:, order][:, columns]), 1.0)
    assert np.allclose(np.corrcoef(a.T), correlations_between(a, a))
    assert correlations_between(np.ones((5, 1)), a[:5]).tolist() == [[0.0] * 7]


def test_slices_of_units_and_images_give_what_the_whole_does(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    trace, other = rng.random((31, 8)).round(1), rng.random((31, 5))
    trace[:, 3] = 0.5
    net, x = random_network(10, 5, rng), dense(images(12, 10), LEVELS)
    for small in (False, True):
        if small:
            for name in ("RANKED", "SCALED", "MULTIPLIED"):
                monkeypatch.setattr(responses, name, 70)
        looks: list[float] = []
        for kind in ("raw", "rank", "normalised"):
            found = signatures(trace, kind, looks.append)
            plain = {
                "raw": trace[:, :-1],
                "rank": stats.rankdata(trace[:, :-1], axis=0),
                "normalised": trace[:, :-1] / np.maximum(trace[:, -1:], 1e-300),
            }
            assert np.array_equal(found, plain[kind])
        found = correlations_between(trace, other, looks.append)
        assert not found[3].any()
        varying = [0, 1, 2, 4, 5, 6, 7]
        expected = np.corrcoef(trace[:, varying].T, other.T)[:7, 7:]
        assert np.allclose(found[varying], expected, atol=1e-14)
        hidden = activations(net, x, "softplus", looks.append)
        assert np.allclose(hidden, passes(net, x, np.zeros(12, int), "softplus", "linear").hidden, atol=1e-14)
        assert sum(looks) == pytest.approx(5)
        assert (len(looks) > 20) == small


def test_what_is_asked_of_a_pair_can_be_stopped_anywhere_and_shows_in_the_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("RANKED", "SCALED", "MULTIPLIED"):
        monkeypatch.setattr(responses, name, 2000)
    stages = ("signature", "hidden", "likeness", "activation", "matching")
    for stage in stages:
        ctx = Context("match-units")
        inside = getattr(match_units._Looks, stage)

        def stop(self: Any, part: float, ctx: Context = ctx, inside: Any = inside) -> None:
            ctx.cancel()
            inside(self, part)

        with monkeypatch.context() as patch:
            patch.setattr(match_units._Looks, stage, stop)
            with pytest.raises(CancelledError):
                match_units.compute(MatchUnitsParams.check({**SMALL, "hidden_a": 30, "hidden_b": 20}), ctx)
    ctx, done = Context("match-units"), []
    progress = ctx.progress

    def keep(at: float, total: float, what: str = "") -> None:
        done.append(at)
        progress(at, total, what)

    monkeypatch.setattr(ctx, "progress", keep)
    match_units.compute(MatchUnitsParams.check({"seeds": 1, "hidden_a": 30, "hidden_b": 20}), ctx)
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1)
    assert max(np.diff(done)) < 0.3
    assert len(set(done)) > 100


def test_ranks_and_norms_take_away_what_all_units_share() -> None:
    rng = np.random.default_rng(1)
    own, hard = rng.random((200, 3)), 100.0 ** rng.random((200, 1))
    trace = np.hstack([own * hard, hard])
    assert correlations_between(signatures(trace, "raw"), signatures(trace, "raw"))[0, 1] > 0.4
    assert np.allclose(signatures(trace, "normalised"), own)
    assert np.array_equal(np.sort(signatures(trace, "rank"), axis=0)[:, 0], np.arange(1, 201))


def test_two_copies_of_a_network_match_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    def twin(pixels: int, units: int, rng: np.random.Generator) -> Network:
        return random_network(pixels, units, np.random.default_rng(5))

    monkeypatch.setattr(match_units, "random_network", twin)
    result = match(hidden_b=12, signature="raw")
    value = {name: finding.value for name, finding in result.findings.items()}
    varying = result.tables["matches"]
    rows = [dict(zip(varying.columns, row, strict=True)) for row in varying.rows]
    assert all(row["unit_a"] == row["unit_b"] for row in rows if row["signature_correlation"])
    assert value["match_score"] == pytest.approx(value["match_score_oracle"])
    assert value["signature_agreement"] <= 1


def test_findings_are_those_of_the_seeds_whatever_the_threads() -> None:
    one, two = match(), match(threads=2)
    assert {n: f.value for n, f in one.findings.items()} == {n: f.value for n, f in two.findings.items()}
    scores = one.arrays["match_score_by_seed"].values
    assert one.findings["match_score"].value == pytest.approx(scores.mean())
    assert one.findings["gain"].value == pytest.approx(
        (scores - one.arrays["match_score_untrained_by_seed"].values).mean()
    )
    assert len(one.tables["matches"].rows) == 9
    assert -1 <= one.findings["match_score_random"].value <= one.findings["match_score_oracle"].value <= 1


def test_networks_that_diverge_are_left_out_and_counted() -> None:
    result = match(learning_rate=80.0, activation="softplus")
    assert result.findings["diverged"].value == 2
    assert np.isnan(result.findings["match_score"].value)
    assert np.isnan(result.findings["match_score_oracle"].value)
    assert "diverged" not in match().findings


@pytest.mark.parametrize("experiment", ["match-units", "influence"])
def test_networks_that_ran_away_are_left_out_though_their_parameters_are_numbers(
    experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = {"learning_rate": 1.5, "seeds": 4}
    alone = InfluenceParams.check({**SMALL, **wild, "hidden": 10, "checkpoints": 2})

    def diverged() -> float:
        pairs = experiment == "match-units"
        result = match(**wild) if pairs else influence.compute(alone, Context("influence"))
        return result.findings["diverged"].value if "diverged" in result.findings else 0.0

    left_out = diverged()
    monkeypatch.setattr(network, "FAR", np.inf)
    assert diverged() < left_out


# --- influence ------------------------------------------------------------------------------------------------


def test_the_matrix_is_scaled_and_its_blocks_are_averaged() -> None:
    params = InfluenceParams.check({**SMALL, "hidden": 10, "checkpoints": 3})
    result = influence.compute(params, Context("influence"))
    matrix = result.arrays["tracin"].values
    assert np.abs(matrix).max() <= 1
    same = [matrix[0, 1], matrix[1, 0], matrix[2, 3], matrix[3, 2]]
    assert result.findings["tracin_same_group"].value == pytest.approx(np.mean(same), abs=1e-12)
    assert result.findings["tracin_own"].value == pytest.approx(np.diag(matrix).mean(), abs=1e-12)
    assert [row[0] for row in result.tables["tracin"].rows] == ["1", "7", "6", "8"]
    shares = result.arrays["tally_share"].values  # NaN for a unit that never answers
    assert np.all((shares >= 0) & (shares <= 1) | np.isnan(shares))


def test_influence_is_the_same_however_many_images_are_taken_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = InfluenceParams.check({**SMALL, "hidden": 10, "checkpoints": 2})
    whole = influence.compute(params, Context("influence"))
    monkeypatch.setattr(influence, "SLICE", 640 * 17)  # seventeen images
    parts = influence.compute(params, Context("influence"))
    for name, array in whole.arrays.items():
        np.testing.assert_allclose(
            parts.arrays[name].values, array.values, rtol=1e-10, atol=1e-13, err_msg=name
        )


def test_diverged_networks_have_no_influence() -> None:
    params = InfluenceParams.check({**SMALL, "hidden": 10, "learning_rate": 80.0})
    result = influence.compute(params, Context("influence"))
    assert result.findings["diverged"].value == 2
    assert np.isnan(result.findings["tracin_own"].value)
    wide = InfluenceParams.check({**SMALL, "hidden": 20, "learning_rate": 50.0})
    assert (
        influence.compute(wide, Context("influence")).findings["diverged"].value == 2
    )  # and no overflow is told


def test_dead_networks_have_not_diverged() -> None:
    dead = {"activation": "relu", "output": "relu", "learning_rate": 1.0, "checkpoints": 1}
    result = influence.compute(InfluenceParams.check({**SMALL, "hidden": 10, **dead}), Context("influence"))
    assert "diverged" not in result.findings
    assert result.findings["dead"].value == 2
    assert "every network diverged or is dead" in result.findings["tracin_own"].text


def test_finished_networks_are_not_learnt_again(monkeypatch: pytest.MonkeyPatch) -> None:
    params = InfluenceParams.check({**SMALL, "hidden": 10, "checkpoints": 2})
    ctx = Context("influence")
    first = influence.compute(params, ctx)
    monkeypatch.setattr(influence, "train", None)  # a call would fail
    again = influence.compute(params, ctx)
    for name, array in first.arrays.items():
        assert np.array_equal(array.values, again.arrays[name].values, equal_nan=True), name


def test_rounding_does_not_choose_between_matchings_that_are_as_good() -> None:
    rng = np.random.default_rng(5)
    likeness = np.round(rng.uniform(-1, 1, (12, 9)), 1)  # with many that are equal
    pairings = {
        tuple(matched(likeness + noise)[1])
        for noise in (0.0, *(rng.uniform(-1e-15, 1e-15, likeness.shape) for _ in range(20)))
    }
    assert len(pairings) == 1


def test_units_that_answer_all_digits_alike_have_no_score() -> None:
    """They are no match that failed, and must not draw the mean towards 0."""
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 4, 3))
    a[:, 1] = 0.7
    scores = pair_scores(a, b)
    assert np.isnan(scores[1])
    plain = [np.corrcoef(a[:, k], b[:, k])[0, 1] for k in (0, 2)]
    np.testing.assert_allclose(scores[[0, 2]], plain, atol=1e-12)
    assert mean_of_known(scores) == pytest.approx(np.mean(plain))
    assert np.isnan(mean_of_known(scores[1:2]))
