"""intervene: participation ratios and shares of variance against closed forms, and changes that are what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tui_opt.errors import ExperimentError
from tui_opt.experiments.ocr_localization import intervene
from tui_opt.experiments.ocr_localization.intervene_params import InterveneParams
from tui_opt.kernels.localization import network
from tui_opt.kernels.localization.changes import participation_ratio, variance_shares
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context

SMALL: dict[str, Any] = {"hidden": 15, "seeds": 4, "epochs": 1, "resamples": 3}


def run(threads: int = 1, **params: Any) -> Result:
    return intervene.compute(
        InterveneParams.check({**SMALL, **params}), Context("intervene", threads=threads)
    )


@pytest.fixture(scope="module")
def patched() -> Result:
    return run()


def test_the_participation_ratio_counts_equal_entries() -> None:
    change = np.zeros(50)
    change[[3, 7, 8, 30, 49]] = -2.0
    assert participation_ratio(change) == pytest.approx(5 / 50)
    assert participation_ratio(1e-200 * change) == pytest.approx(5 / 50)
    normal = np.random.default_rng(0).normal(size=200_000)
    assert participation_ratio(normal) == pytest.approx(1 / 3, rel=0.02)
    assert np.isnan(participation_ratio(np.zeros(3)))


def test_shares_of_variance_are_those_that_were_put_in() -> None:
    rng = np.random.default_rng(1)
    init, data = 2.0 * rng.normal(size=(30, 1, 4000)), 1.0 * rng.normal(size=(1, 20, 4000))
    found = variance_shares(init + data + 0.5 * rng.normal(size=(30, 20, 4000)))
    assert found.init == pytest.approx(4 / 5.25, abs=0.01)
    assert found.data == pytest.approx(1 / 5.25, abs=0.01)
    assert found.both == pytest.approx(0.25 / 5.25, abs=0.005)
    assert found.init + found.data + found.both == pytest.approx(1)
    with pytest.raises(ValueError, match="two initialisations and two data sets"):
        variance_shares(np.zeros((1, 5, 3)))


def test_findings_agree_with_each_other_and_threads_do_not_matter(patched: Result) -> None:
    value = {name: finding.value for name, finding in patched.findings.items()}
    for prefix in ("variance", "movement"):
        assert sum(value[f"{prefix}_share_{part}"] for part in ("data", "init", "both")) == pytest.approx(1)
    assert value["variance_share_init"] > value["movement_share_init"]
    assert 1 / 975 <= value["participation_ratio"] <= 1
    change = patched.arrays["change"].values
    assert change.shape == (15 * 64 + 15,)
    pixels = np.sqrt(np.square(change[: 15 * 64]).reshape(64, 15).mean(axis=1)).reshape(8, 8)[::-1]
    assert np.allclose(patched.arrays["pixel_change"].values, pixels)
    assert {n: f.value for n, f in run(threads=2).findings.items()} == value


def test_a_square_is_put_on_the_images_of_one_digit_and_the_control_is_as_large() -> None:
    seen: list[Any] = []

    def learn(params: Any, start: Any, taught: Any, ctx: Any, report: Any) -> Any:
        seen.append(taught)
        return start

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervene, "_learn", learn)
        run(seeds=1, patch_size=3, patch_row=5, patch_col=0, digit=6, part=0.5)
    plain, changed, control = seen[:3]
    sums = [taught.images.sums for taught in (plain, changed, control)]
    different = np.flatnonzero(sums[1] != sums[0])
    assert changed.images.columns.size > plain.images.columns.size
    assert (
        len(different) == len(np.flatnonzero(sums[2] != sums[0])) == 45
    )  # half of the 91 sixes of phase one, less
    # None of the control's pixels was drawn on before.
    assert control.images.columns.size - plain.images.columns.size == 9 * len(different)
    assert np.allclose((sums[2] - sums[0])[sums[2] != sums[0]], 9 * 16 / 17)


def test_labels_and_images_are_changed_in_equal_number() -> None:
    seen: list[Any] = []

    def learn(params: Any, start: Any, taught: Any, ctx: Any, report: Any) -> Any:
        seen.append(taught)
        return start

    for change in ("relabel", "remove"):
        seen.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(intervene, "_learn", learn)
            run(seeds=1, change=change)
        plain, changed, control = seen[:3]
        if change == "relabel":
            assert (changed.targets != plain.targets).sum() == (control.targets != plain.targets).sum() == 90
        else:
            assert plain.order.size - changed.order.size == plain.order.size - control.order.size == 90


def test_what_cannot_be_changed_is_said() -> None:
    for params, key in (({"digit": 3}, "digit"), ({"patch_row": 7}, "patch_row"), ({"part": 0.0}, "part")):
        with pytest.raises(ParameterErrors) as caught:
            InterveneParams.check(params)
        assert [problem.key for problem in caught.value.problems] == [f"params.{key}"]
    with pytest.raises(ExperimentError, match="none at all"):
        run(part=1e-4)
    with pytest.raises(
        ExperimentError, match=r"no 7 and no 8 among the images of phase one\. Raise phase_one"
    ):
        run(phase_one=7)


def test_all_images_can_be_learnt_for_none_are_asked_for_later() -> None:
    assert np.isfinite(run(phase_one=1797).findings["participation_ratio"].value)
    with pytest.raises(ParameterErrors, match="at most 1,797 of digits, not 1798: there are no more"):
        InterveneParams.check({"phase_one": 1798})


def test_networks_that_diverge_are_left_out_and_one_seed_has_no_variance() -> None:
    result = run(learning_rate=60.0)
    assert result.findings["diverged"].value > 0
    assert np.isnan(run(seeds=1).findings["variance_share_data"].value)


def test_networks_that_ran_away_are_left_out_though_their_parameters_are_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = run(learning_rate=1.0)
    assert result.findings["diverged"].value == 4
    assert "beyond 1,000 or no numbers" in result.warnings[0]
    assert "diverged" not in run().findings
    monkeypatch.setattr(network, "FAR", np.inf)
    assert "diverged" not in run(learning_rate=1.0).findings
