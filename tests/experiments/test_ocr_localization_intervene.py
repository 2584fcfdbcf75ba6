"""intervene: participation ratios and shares of variance against closed forms, and changes that are what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tui_opt.errors import CancelledError, ExperimentError
from tui_opt.experiments.ocr_localization import intervene
from tui_opt.experiments.ocr_localization.intervene_params import InterveneParams
from tui_opt.kernels.localization import changes, network
from tui_opt.kernels.localization.changes import Analysis, Variance, participation_ratio, variance_analysis
from tui_opt.kernels.localization.scattering import scatter
from tui_opt.problems import ParameterErrors
from tui_opt.result import Result
from tui_opt.runner.context import Context

FloatArray = NDArray[np.float64]

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


def plain_shares(parameters: FloatArray) -> Variance:
    """The analysis of one table as it is written down, [init, data, parameter]."""
    inits, sets = parameters.shape[:2]
    whole = parameters.mean(axis=(0, 1))
    by_init = parameters.mean(axis=1) - whole
    by_data = parameters.mean(axis=0) - whole
    rest = parameters - whole - by_init[:, None] - by_data[None]
    ms_init = sets * np.square(by_init).sum() / (inits - 1)
    ms_data = inits * np.square(by_data).sum() / (sets - 1)
    ms_both = np.square(rest).sum() / ((inits - 1) * (sets - 1))
    init, data = (ms_init - ms_both) / sets, (ms_data - ms_both) / inits
    total = init + data + ms_both
    return Variance(data / total, init / total, ms_both / total)


def plain_analysis(parameters: FloatArray) -> Analysis:
    """The same of the whole table, and of what is left of it without each initialisation."""
    number = len(parameters) if len(parameters) > 2 else 0
    return Analysis(
        plain_shares(parameters),
        tuple(plain_shares(np.delete(parameters, i, axis=0)) for i in range(number)),
    )


def assert_close(found: Analysis, plain: Analysis) -> None:
    assert len(found.without) == len(plain.without)
    for one, other in zip((found.shares, *found.without), (plain.shares, *plain.without), strict=True):
        for part in ("data", "init", "both"):
            assert getattr(one, part) == pytest.approx(getattr(other, part), rel=1e-10, abs=1e-12)


def test_shares_of_variance_are_those_that_were_put_in() -> None:
    rng = np.random.default_rng(1)
    init, data = 2.0 * rng.normal(size=(30, 1, 4000)), 1.0 * rng.normal(size=(1, 20, 4000))
    table = init + data + 0.5 * rng.normal(size=(30, 20, 4000))
    begun = -2.0 * rng.normal(size=(30, 4000))
    for found, of_init in zip(variance_analysis(table, begun), (4, 8), strict=True):
        whole = of_init + 1.25
        assert found.shares.init == pytest.approx(of_init / whole, abs=0.01)
        assert found.shares.data == pytest.approx(1 / whole, abs=0.01)
        assert found.shares.both == pytest.approx(0.25 / whole, abs=0.005)
        assert found.shares.init + found.shares.data + found.shares.both == pytest.approx(1)
    for few in (np.zeros((1, 5, 3)), np.zeros((5, 1, 3))):
        with pytest.raises(ValueError, match="two initialisations and two data sets"):
            variance_analysis(few, few[:, 0])


@pytest.mark.parametrize("wild", ["nothing", "start", "end", "both"])
@pytest.mark.parametrize("inits", [2, 3, 4, 25])
def test_leaving_out_is_found_from_sums_as_it_is_by_leaving_out(
    inits: int, wild: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small movements far from zero, and a network that weighs a million times what all others do."""
    monkeypatch.setattr(changes, "ENTRIES", 96)  # several slices of parameters, the last one shorter
    rng = np.random.default_rng(inits)
    starts = 5.0 + rng.normal(size=(inits, 50))
    moves = 1e-2 * (rng.normal(size=(inits, 1, 50)) + 0.3 * rng.normal(size=(inits, 5, 50)))
    ends = starts[:, None] + moves + 1e-3 * rng.normal(size=(1, 5, 50))
    if wild in ("start", "both"):
        starts[1] += 1e3 * rng.normal(size=50)
        ends[1] += starts[1]
    if wild in ("end", "both"):
        ends[-1] += 1e3 * rng.normal(size=(5, 50))
    found = variance_analysis(ends, starts)
    assert_close(found[0], plain_analysis(ends))
    assert_close(found[1], plain_analysis(ends - starts[:, None]))


def test_a_table_is_read_so_often_whatever_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "ENTRIES", 4 * 10)
    rng = np.random.default_rng(0)
    for inits in (5, 50):
        looks: list[float] = []
        variance_analysis(
            rng.normal(size=(inits, 4, 100)), rng.normal(size=(inits, 100)), lambda: None, looks.append
        )
        assert len(looks) == 2 * 10 * inits
        assert sum(looks) == pytest.approx(1)


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


@pytest.mark.parametrize("place", [(5, 0), (3, 3)])
def test_a_square_is_put_on_the_images_of_one_digit_and_the_control_is_as_large(
    place: tuple[int, int],
) -> None:
    """Also where images have ink under the square, which leaves less to brighten."""
    seen: list[Any] = []

    def learn(params: Any, start: Any, taught: Any, ctx: Any, report: Any) -> Any:
        seen.append(taught)
        return start

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervene, "_learn", learn)
        result = run(seeds=1, patch_size=3, patch_row=place[0], patch_col=place[1], digit=6, part=0.5)
    plain, changed, control = (dense_of(taught.images) for taught in seen[:3])
    number = 45  # half of the 91 sixes of phase one, less
    of_square, of_control = changed - plain, control - plain
    rows, others = (np.flatnonzero(one.any(axis=1)) for one in (of_square, of_control))
    assert len(rows) == len(others) == number
    under = (np.arange(3)[:, None] * 8 + np.arange(3) + place[0] * 8 + place[1]).ravel()
    assert np.array_equal(np.flatnonzero(of_square.any(axis=0)), under)
    assert (changed[np.ix_(rows, under)] == 16).all()
    assert (of_square.sum() < number * 9 * 16 * 0.6) == (place == (3, 3))
    # The very amounts, image by image: not only their sum.
    assert np.array_equal(np.sort(of_control[others], axis=1), np.sort(of_square[rows], axis=1))
    assert np.count_nonzero(of_control.any(axis=0)) > 40
    text = result.findings["participation_ratio"].text
    assert f"adds {of_square.sum() / 17 / number:.3g} to an image's inputs" in text
    assert "room" not in result.findings["participation_ratio_control"].text


def dense_of(pixels: Any) -> NDArray[np.int64]:
    """Grey values of sparse images of the digits."""
    whole = np.zeros((len(pixels.sums), 64), dtype=np.int64)
    rows = np.repeat(np.arange(len(pixels.sums)), np.diff(pixels.starts))
    whole[rows, pixels.columns] = np.rint(pixels.values * 17)
    return whole


def test_amounts_that_no_pixel_has_room_for_are_spread_and_what_is_lost_is_counted() -> None:
    images = np.array([[4, 9, 10], [10, 10, 9], [0, 0, 0]], dtype=np.uint8)
    before = images.astype(int)
    lost = scatter(images, np.array([[7, 0, 0], [3, 1, 0], [2, 10, 4]]), 10, np.random.default_rng(0))
    added = images - before
    assert added[0].sum() == 7
    assert added[1].tolist() == [0, 0, 1]
    assert sorted(added[2].tolist()) == [2, 4, 10]
    assert lost == 3
    assert images.max() <= 10


def test_where_brightness_goes_is_drawn_evenly_among_pixels_with_room() -> None:
    images = np.tile(np.array([0, 5, 8, 0], dtype=np.uint8), (6000, 1))
    scatter(images, np.tile([6, 4], (6000, 1)), 10, np.random.default_rng(3))
    added = images - np.array([0, 5, 8, 0])
    assert set(np.unique(added[:, 1])) == {0, 4}
    assert not added[:, 2].any()
    for pixel in (0, 3):
        assert (added[:, pixel] == 6).mean() == pytest.approx(1 / 2, abs=0.03)
        assert (added[:, pixel] == 4).mean() == pytest.approx(1 / 4, abs=0.03)


def test_a_control_without_room_says_so() -> None:
    """Whole images made white: others have as much room only where they are as dark."""
    text = run(seeds=1, patch_size=8).findings["participation_ratio_control"].text
    assert "they have room for" in text


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


def test_a_report_can_be_stopped_and_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last tenth of every network's work is what the report says of it, and stopping is heard while it is made."""
    monkeypatch.setattr(changes, "ENTRIES", 512)
    ctx = Context("intervene")
    done: list[float] = []
    reported = intervene.report

    def report(*given: Any) -> Result:
        if given[0].seeds == len(given[2]):
            done.append(ctx.now.done)
            progress = ctx.progress
            monkeypatch.setattr(
                ctx,
                "progress",
                lambda at, *rest: (progress(at, *rest), done.append(at)),
            )
            monkeypatch.setattr(ctx, "check", stop)
        return reported(*given[:4], ctx.check, *given[5:])

    def stop() -> None:
        if len(done) > 10:
            raise CancelledError

    monkeypatch.setattr(intervene, "report", report)
    with pytest.raises(CancelledError):
        intervene.compute(InterveneParams.check(SMALL), ctx)
    assert done[0] == pytest.approx(0.9 * 4)
    assert len(done) > 10
    assert done == sorted(done)
    assert done[-1] < 4


def test_finished_networks_are_found_again_and_count_as_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    params, ctx = InterveneParams.check(SMALL), Context("intervene")
    first = intervene.compute(params, ctx)
    assert ctx.now.done == pytest.approx(4)
    monkeypatch.setattr(intervene, "train", None)  # a call would fail
    again = intervene.compute(params, ctx)
    assert ctx.now.done == pytest.approx(4)
    assert {n: f.value for n, f in first.findings.items()} == {n: f.value for n, f in again.findings.items()}
