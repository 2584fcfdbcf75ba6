"""Estimates against what is really learnt, and against the sizes of the arrays that are really made."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tui_opt.datasets import load, missing
from tui_opt.experiments.ocr_localization import costs, influence, intervene, localize, match_units
from tui_opt.experiments.ocr_localization.intervene_params import InterveneParams
from tui_opt.experiments.ocr_localization.lesson import Lesson
from tui_opt.experiments.ocr_localization.match_params import InfluenceParams, MatchUnitsParams
from tui_opt.experiments.ocr_localization.params import LocalizeParams
from tui_opt.kernels.localization import changes
from tui_opt.runner.context import Context
from tui_opt.scenario import Experiment, registry

FIVE: dict[str, Any] = {"group_a": [0, 1, 2, 3, 4], "group_b": [5, 6, 7, 8, 9]}


def experiment(name: str) -> Experiment:
    return registry().scenario("ocr-localization").by_name[name]


def test_digits_are_as_often_as_they_are_counted() -> None:
    for name, counts in costs.COUNTS.items():
        if not missing(name):
            data = load(name)
            assert tuple(np.bincount(data.labels, minlength=10)) == counts
            assert (data.images > 0).sum(axis=1).mean() == pytest.approx(costs.DRAWN[name], abs=0.5)


@pytest.mark.parametrize("dataset", ["digits", "mnist"])
@pytest.mark.parametrize(
    "params",
    [{}, {"phase_one": 1500}, {"phase_one": 1700, **FIVE}, {"epochs": 3, "group_a": [0, 3, 5]}],
)
def test_steps_are_those_of_the_lesson(dataset: str, params: dict[str, Any]) -> None:
    if why := missing(dataset):
        pytest.skip(why)
    asked = LocalizeParams.check({"dataset": dataset, **params})
    lesson, expected = Lesson.of(asked), costs.LessonSize.of(asked)
    lengths = [fork.samples.size for fork in lesson.forks]
    for really, estimated in (
        (lesson.phase_one.samples.size, expected.steps),
        (sum(lengths), expected.forks),
        (max(lengths), expected.fork),
        (lesson.held_out.samples.size, expected.held),
    ):
        assert estimated == pytest.approx(really, rel=0.05, abs=12)
    assert (expected.digits, expected.pixels) == (len(lesson.digits), lesson.pixels.size)


CASES: list[tuple[Callable[..., Any], Callable[..., float], Any, dict[str, Any]]] = [
    (
        localize.compute,
        lambda p: costs.localize_bytes(p, p.seeds, 8 * p.seeds + 2 * (len(p.group_a) + len(p.group_b))),
        LocalizeParams,
        {"hidden": 800, "seeds": 3, "epochs": 1},
    ),
    (
        localize.compute,
        lambda p: costs.localize_bytes(p, p.seeds, 8 * p.seeds + 2 * (len(p.group_a) + len(p.group_b))),
        LocalizeParams,
        {"hidden": 800, "seeds": 3, "epochs": 1, "activation": "relu", "learning_rate": 0.01, **FIVE},
    ),
    (intervene.compute, costs.intervene_bytes, InterveneParams, {"hidden": 600, "seeds": 4, "epochs": 1}),
    (
        intervene.compute,
        costs.intervene_bytes,
        InterveneParams,
        {"hidden": 100, "seeds": 3, "epochs": 1, "resamples": 200, "learning_rate": 0.01},
    ),
    (
        match_units.compute,
        costs.match_units_bytes,
        MatchUnitsParams,
        {"hidden_a": 300, "hidden_b": 200, "seeds": 2, "phase_one": 1700, "epochs": 20, **FIVE},
    ),
    (
        match_units.compute,
        costs.match_units_bytes,
        MatchUnitsParams,
        {"hidden_a": 1000, "hidden_b": 900, "seeds": 2, "epochs": 1, "signature": "normalised"},
    ),
    (
        influence.compute,
        costs.influence_bytes,
        InfluenceParams,
        {"hidden": 800, "seeds": 2, "epochs": 1, "checkpoints": 2, "learning_rate": 0.003, **FIVE},
    ),
]


@pytest.mark.parametrize(("compute", "bytes_of", "kind", "params"), CASES)
def test_bytes_are_those_of_the_arrays_at_the_peak(
    compute: Callable[..., Any],
    bytes_of: Callable[..., float],
    kind: Any,
    params: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What NumPy takes at most, one network at a time, against what is counted without slices and data."""
    monkeypatch.setattr(costs, "at_once", lambda number: min(number, 1))
    monkeypatch.setattr(costs, "_SLICE", 0)
    monkeypatch.setattr(changes, "ENTRIES", 1 << 14)
    asked = kind.check(params)
    narrow = {name: 3 for name in params if name.startswith("hidden")}
    compute(kind.check({**params, **narrow}), Context("costs"))  # data are read, and kernels loaded
    tracemalloc.start()
    try:
        compute(asked, Context("costs"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.9 * peak < bytes_of(asked) < 2.5 * peak


@pytest.mark.parametrize("name", ["localize", "intervene", "match-units", "influence", "activations"])
def test_estimates_grow_with_the_images_and_the_digits(name: str) -> None:
    asked = experiment(name)

    def of(**params: Any) -> Any:
        return asked.estimate(asked.params.check({"dataset": "mnist", **params}))

    few, many, more = of(phase_one=6000), of(phase_one=50_000), of(phase_one=50_000, **FIVE)
    if name not in ("localize", "activations"):  # whose forks learn what phase one does not
        assert many.seconds > 3 * few.seconds
    assert more.seconds > 1.5 * many.seconds
    assert more.bytes > many.bytes
    if name == "match-units":
        assert more.bytes - many.bytes > 8 * (0.59 * 50_000 / 2) * 200 * 2
