"""run-length: the run out of the pit, its exact probability, and questions without an answer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tui_opt
from tui_opt.errors import ExperimentError
from tui_opt.figure import resolve
from tui_opt.result import Result
from tui_opt.scenario_file import ScenarioFileError

WELL = "-exp(-(W-2)^2)"
PAIR = [WELL, "-exp(-(W-2)^2)-exp(-100*(W-1)^2)"]
DEEPER = [WELL, "-exp(-(W-2)^2)-2*exp(-100*(W-1)^2)"]
MIRRORED = [text.replace("W", "(-W)") for text in PAIR]


def run_length(**params: object) -> Result:
    return tui_opt.run("toy-sgd", "run-length", **params)


def value(result: Result, name: str) -> float:
    return result.findings[name].value


def test_the_sources_run() -> None:
    result = run_length()
    path = (1.0036973969, 1.040621, 1.078838, 1.118268, 1.158790, 1.200246)
    np.testing.assert_allclose(result.arrays["w"].values, path, rtol=0, atol=1e-6)
    assert value(result, "start_w") == pytest.approx(1.0036973969, abs=1e-9)
    assert value(result, "barrier_w") == pytest.approx(1.1959565137, abs=1e-9)
    assert value(result, "run_length") == 5
    assert value(result, "run_end_w") == pytest.approx(1.2002455510174337, abs=1e-9)
    assert value(result, "run_probability") == pytest.approx(0.810109599196358, abs=1e-12)
    assert value(result, "mean_wait") == pytest.approx(62, abs=1e-9)


@pytest.mark.parametrize(
    ("start", "end"),
    [(1.0, 1.195973), (1.004, 1.200595), ("minimum", 1.204577), ("datapoint-minimum", 1.200246)],
)
def test_the_run_from_other_starts(start: float | str, end: float) -> None:
    result = run_length(start=start)
    assert value(result, "run_length") == 5
    assert value(result, "run_end_w") == pytest.approx(end, abs=1e-6)


def test_a_pit_twice_as_deep_needs_one_more() -> None:
    result = run_length(losses=DEEPER)
    assert value(result, "run_length") == 6
    assert value(result, "run_end_w") == pytest.approx(1.240259231051045, abs=1e-9)
    assert value(result, "barrier_w") == pytest.approx(1.2149222672, abs=1e-9)
    assert value(result, "run_probability") == pytest.approx(0.5460936192499457, abs=1e-12)


@pytest.mark.parametrize(
    ("temperature", "length"), [(0.048961, 5), (0.061414, 5), (0.04896, 6), (0.061415, 4)]
)
def test_five_is_right_on_a_range_of_temperatures(temperature: float, length: int) -> None:
    assert value(run_length(temperature=temperature), "run_length") == length


def test_the_length_times_temperature_tends_to_the_time_of_the_flow() -> None:
    flow_time = 0.24150824192202205  # integral of dW / |l0'| from the minimum to the maximum of l1
    for temperature in (0.005, 0.0025, 0.001):
        length = value(run_length(temperature=temperature), "run_length")
        assert 0 <= length * temperature - flow_time + temperature / 2 <= 2 * temperature


def test_the_probability_is_the_share_of_all_sequences() -> None:
    length = 5
    sequences = itertools.product((0, 1), repeat=12)
    having = sum("1" * length in "".join(map(str, draws)) for draws in sequences)
    assert value(run_length(steps=12), "run_probability") == pytest.approx(having / 2**12, abs=1e-15)


def test_three_datapoints_make_a_run_rarer() -> None:
    two = run_length(losses=PAIR)
    three = run_length(losses=[*PAIR, PAIR[1]], start=1.0036973969363092, barrier=1.1959565136502514)
    assert value(three, "run_length") == value(two, "run_length") == 5
    assert value(three, "mean_wait") == pytest.approx((3**5 - 1) * 3 / 2, rel=1e-12)


def test_a_mirrored_pit_is_left_to_the_left() -> None:
    plain, mirrored = run_length(), run_length(losses=MIRRORED)
    assert value(mirrored, "run_end_w") == pytest.approx(-value(plain, "run_end_w"), abs=1e-9)
    assert value(mirrored, "barrier_w") == pytest.approx(-value(plain, "barrier_w"), abs=1e-9)
    assert value(mirrored, "run_probability") == value(plain, "run_probability")


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"losses": [WELL]}, "There is no pit to escape from: the mean loss has a single minimum, at W = 2,"),
        ({"losses": ["W"]}, "There is no pit to escape from: the mean loss has no minimum"),
        ({"term": 1}, "is a stationary point of l1: descending it alone goes nowhere"),
        ({"term": 1, "start": 1.01, "temperature": 0.005}, "Descending l1 alone never leaves the pit"),
        ({"temperature": 3.0}, "There is no barrier at temperature 3"),
        ({"start": 1.5}, "lies beyond the barrier"),
        ({"start": 1.1, "barrier": 1.1}, "they must be two different places"),
    ],
)
def test_questions_without_an_answer_are_refused_in_words(params: dict[str, object], sentence: str) -> None:
    with pytest.raises(ExperimentError, match=sentence):
        run_length(**params)


def test_a_term_that_is_not_there_is_refused() -> None:
    with pytest.raises(ScenarioFileError, match="must be from 0 to 1"):
        run_length(term=2)


def test_figures_draw_arrays_that_are_there() -> None:
    result = run_length()
    assert [figure.name for figure in result.figures] == ["run", "probability"]
    for figure in result.figures:
        for layer in figure.layers:
            if layer.kind != "rule":
                assert resolve(layer.x, result.values()).shape == resolve(layer.y, result.values()).shape
    assert np.all(np.diff(result.arrays["probability"].values) >= 0)
