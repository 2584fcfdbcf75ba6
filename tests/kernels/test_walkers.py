from __future__ import annotations

import itertools
import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tui_opt.expressions import Expression, assemble, parse
from tui_opt.kernels.lanes import LANES
from tui_opt.kernels.tape import Program
from tui_opt.kernels.walkers import choices, first_passage, walk

PAIR = ("-exp(-(W-2)^2)", "-exp(-(W-2)^2)-exp(-100*(W-1)^2)")
PIT, BARRIER, KEY = 1.0074533029, 1.1959565137, 0x0123_4567_89AB_CDEF


def gradients(*losses: str) -> list[Expression]:
    return [parse(loss, ["W"]).derivative("W") for loss in losses]


def program(*losses: str) -> Program:
    return Program(assemble(gradients(*losses)))


DEFAULT = program(*PAIR)


def run(n: int, steps: int, temperature: float, start: float = PIT) -> tuple[np.ndarray, np.ndarray]:
    w, passage_step = np.full(n, start), np.full(n, -1)
    first_passage(DEFAULT, w, passage_step, 0, 0, steps, temperature, BARRIER, 1, KEY)
    return w, passage_step


@pytest.mark.parametrize(
    ("losses", "barrier", "direction"),
    [
        (PAIR, BARRIER, 1),
        (PAIR, 0.97, -1),
        (("W^2/2",), 0.5, -1),
        (("W^2", "(W-1)^2", "(W+1)^2"), 1.05, 1),
        (("W", "-W", "2*W", "W^2", "-1"), 1.3, 1),
        (tuple(f"(W-{k})^2/9" for k in range(8)), 2.2, 1),
    ],
)
def test_walkers_replay_their_choices(losses: tuple[str, ...], barrier: float, direction: int) -> None:
    n, steps, temperature = LANES + 3, 150, 0.02
    slopes = gradients(*losses)
    w, passage_step = np.full(n, 1.01), np.full(n, -1)
    first_passage(program(*losses), w, passage_step, 40, 0, steps, temperature, barrier, direction, KEY)
    path = np.empty((steps + 1, n))
    walk(program(*losses), np.full(n, 1.01), path, 40, 0, steps, temperature, KEY)
    for i in (0, 1, 100, n - 1):
        # Step by step from where the kernel was: the pit is chaotic, and would blow up the rounding of a path.
        x, passed = 1.01, -1
        for step, j in enumerate(choices(KEY, 40 + i, steps, len(losses)), start=1):
            assert path[step, i] == pytest.approx(x - temperature * slopes[j].value(W=x), rel=0.0, abs=4e-15)
            x = path[step, i]
            if direction * x > direction * barrier:
                passed = step
                break
        assert passage_step[i] == passed
        assert w[i] == x


def test_the_escape_probability_is_that_of_all_sequences_of_ten_flips() -> None:
    slopes, temperature, n = gradients(*PAIR), 0.05, 100_000
    escaped = 0
    for flips in itertools.product((0, 1), repeat=10):
        x = PIT
        for j in flips:
            x = x - temperature * slopes[j].value(W=x)
            if x > BARRIER:
                escaped += 1
                break
    exact = escaped / 2**10
    assert 0.1 < exact < 0.9
    _, passage_step = run(n, 10, temperature)
    error = math.sqrt(exact * (1 - exact) / n)
    assert abs((passage_step > 0).mean() - exact) < 4 * error


@pytest.mark.slow
def test_the_escape_probability_of_a_hundred_steps() -> None:
    n = 400_000
    _, passage_step = run(n, 100, 0.02)  # 0.497159 by six million walkers and by the transfer operator
    assert abs((passage_step > 0).mean() - 0.49718) < 4 * math.sqrt(0.25 / n)


@settings(max_examples=examples(15))
@given(
    st.lists(st.integers(0, 700), max_size=4),
    st.lists(st.integers(0, 300), max_size=5),
)
def test_any_cut_into_walkers_and_steps_gives_the_same_bits(walkers: list[int], steps: list[int]) -> None:
    n, total, temperature = 700, 300, 0.02
    expected_w, expected_step = run(n, total, temperature)
    w, passage_step = np.full(n, PIT), np.full(n, -1)
    for first, last in itertools.pairwise([0, *sorted(walkers), n]):
        for begin, end in itertools.pairwise([0, *sorted(steps), total]):
            part = slice(first, last)
            first_passage(
                DEFAULT, w[part], passage_step[part], first, begin, end - begin, temperature, BARRIER, 1, KEY
            )
    np.testing.assert_array_equal(w, expected_w)
    np.testing.assert_array_equal(passage_step, expected_step)


def test_threads_give_the_same_bits() -> None:
    n, steps = 8 * LANES, 200
    expected_w, expected_step = run(n, steps, 0.02)
    w, passage_step = np.full(n, PIT), np.full(n, -1)

    def part(first: int) -> None:
        cut = slice(first, first + LANES)
        first_passage(DEFAULT, w[cut], passage_step[cut], first, 0, steps, 0.02, BARRIER, 1, KEY)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(part, range(0, n, LANES)))
    np.testing.assert_array_equal(w, expected_w)
    np.testing.assert_array_equal(passage_step, expected_step)


def test_paths_use_the_bits_of_first_passage_and_can_be_cut() -> None:
    n, steps = LANES + 20, 90
    w, path = np.full(n, PIT), np.empty((steps + 1, n))
    walk(DEFAULT, w, path, 7, 33, steps, 0.02, KEY)
    np.testing.assert_array_equal(path[0], PIT)
    np.testing.assert_array_equal(path[-1], w)
    beyond = path > BARRIER
    expected = np.where(beyond.any(axis=0), 33 + beyond.argmax(axis=0), -1)
    v, passage_step = np.full(n, PIT), np.full(n, -1)
    first_passage(DEFAULT, v, passage_step, 7, 33, steps, 0.02, BARRIER, 1, KEY)
    np.testing.assert_array_equal(passage_step, expected)
    u, first, second = np.full(n, PIT), np.empty((41, n)), np.empty((51, n))
    walk(DEFAULT, u, first, 7, 33, 40, 0.02, KEY)
    walk(DEFAULT, u, second, 7, 73, 50, 0.02, KEY)
    np.testing.assert_array_equal(np.vstack([first, second[1:]]), path)


def test_a_walker_that_has_passed_rests_where_it_passed() -> None:
    w, passage_step = run(2000, 400, 0.02)
    early = passage_step[(passage_step > 0) & (passage_step < 100)].size
    assert early > 100
    _, at_100 = run(2000, 100, 0.02)
    w_100, _ = run(2000, 100, 0.02)
    done = at_100 > 0
    np.testing.assert_array_equal(w[done], w_100[done])
    assert (w[passage_step > 0] > BARRIER).all()
    assert (w[passage_step < 0] <= BARRIER).all()


def test_walkers_that_passed_before_are_left_alone_and_the_others_go_on_beside_them() -> None:
    """Also where the gradient is not finite at the barrier, where lanes at rest are parked."""
    losses = program("log(W-2)", "W")
    w = np.array([1e300, 1.0, math.nan, -5.0, 2.0, math.inf, -math.inf, 1.5])
    passage_step = np.array([3, -1, 9, 2, 7, 1, 4, -1])
    before, at_rest = w.copy(), passage_step > 0
    first_passage(losses, w, passage_step, 0, 20, 100, 0.01, 2.0, 1, KEY)
    np.testing.assert_array_equal(w[at_rest], before[at_rest])
    np.testing.assert_array_equal(passage_step[at_rest], [3, 9, 2, 7, 1, 4])
    alone, alone_step = np.array([1.0]), np.array([-1])
    first_passage(losses, alone, alone_step, 1, 20, 100, 0.01, 2.0, 1, KEY)
    assert (w[1], passage_step[1]) == (alone[0], alone_step[0])
    assert alone[0] != 1.0


@pytest.mark.parametrize("barrier", [math.inf, math.nan])
def test_nobody_is_beyond_infinity_or_nowhere(barrier: float) -> None:
    w, passage_step = np.full(5, PIT), np.full(5, -1)
    first_passage(DEFAULT, w, passage_step, 0, 0, 50, 0.02, barrier, 1, KEY)
    path = np.empty((51, 5))
    walk(DEFAULT, np.full(5, PIT), path, 0, 0, 50, 0.02, KEY)
    np.testing.assert_array_equal(w, path[-1])
    assert (passage_step == -1).all()


def test_a_walker_that_starts_beyond_the_barrier_passes_with_its_first_step() -> None:
    w, passage_step = np.array([3.0]), np.array([-1])
    first_passage(program("W"), w, passage_step, 0, 6, 5, 0.25, 1.0, 1, KEY)
    assert (w[0], passage_step[0]) == (2.75, 7)


def test_a_walker_that_is_not_a_number_never_passes() -> None:
    bad = program("log(W)", "W^2")
    w, passage_step = np.array([math.nan, 1.0, -math.inf]), np.full(3, -1)
    first_passage(bad, w, passage_step, 0, 0, 300, 0.5, 1e9, 1, KEY)
    assert math.isnan(w[0])
    assert passage_step[0] == -1
    _, step = np.full(1, math.nan), np.full(1, -1)
    first_passage(program("1"), _, step, 0, 0, 5, 1.0, 0.0, -1, KEY)
    assert step[0] == -1


def test_the_barrier_itself_is_not_beyond() -> None:
    w, passage_step = np.array([0.0]), np.array([-1])
    first_passage(program("-W"), w, passage_step, 0, 0, 5, 0.25, 1.0, 1, KEY)  # 0.25 a step, exactly
    assert (w[0], passage_step[0]) == (1.25, 5)


@pytest.mark.parametrize("datapoints", [1, 2, 3, 4, 5, 8, 10, 16])
def test_choices_are_uniform_and_independent(datapoints: int) -> None:
    drawn = np.concatenate([choices(KEY, walker, 400, datapoints) for walker in range(100)])
    assert set(drawn.tolist()) == set(range(datapoints))
    for numbers, cells in ((drawn, datapoints), (drawn[:-1] * datapoints + drawn[1:], datapoints**2)):
        counts = np.bincount(numbers, minlength=cells)
        expected = numbers.size / cells
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert chi_square <= cells + 5 * math.sqrt(2 * cells)


def test_choices_can_begin_anywhere() -> None:
    for datapoints in (2, 3, 8):
        whole = choices(KEY, 5, 500, datapoints)
        np.testing.assert_array_equal(choices(KEY, 5, 100, datapoints, first_step=137), whole[137:237])


def test_keys_and_walkers_have_streams_of_their_own() -> None:
    streams = [choices(key, walker, 128, 2) for key in (1, 2, 2**63) for walker in (0, 1, 2**40)]
    agreements = Counter(int((a == b).sum()) for a, b in itertools.combinations(streams, 2))
    assert max(agreements) < 64 + 5 * math.sqrt(32)
    assert min(agreements) > 64 - 5 * math.sqrt(32)


@pytest.mark.parametrize(
    ("w", "passage_step", "words", "changes"),
    [
        (np.zeros(3), np.full(2, -1), "must agree", {}),
        (np.zeros(6)[::2], np.full(3, -1), "contiguous", {}),
        (np.zeros(3, np.float32), np.full(3, -1), "float64", {}),
        (np.zeros(3), np.full(3, -1, np.int32), "int64", {}),
        (np.zeros(3), np.full(3, -1), "negative", {"steps": -1}),
        (np.zeros(3), np.full(3, -1), "direction", {"direction": 0}),
    ],
)
def test_wrong_arguments_are_refused(w, passage_step, words: str, changes: dict[str, int]) -> None:  # type: ignore[no-untyped-def]
    arguments = {
        "first_walker": 0,
        "first_step": 0,
        "steps": 1,
        "temperature": 0.1,
        "barrier": 1.0,
        "direction": 1,
    }
    with pytest.raises(ValueError, match=words):
        first_passage(DEFAULT, w, passage_step, **(arguments | changes), key=KEY)


def test_programs_of_two_variables_and_paths_of_another_shape_are_refused() -> None:
    two = Program(assemble([parse("W+V", ["W", "V"])]))
    with pytest.raises(ValueError, match="variables"):
        first_passage(two, np.zeros(1), np.full(1, -1), 0, 0, 1, 0.1, 1.0, 1, KEY)
    with pytest.raises(ValueError, match="path must be"):
        walk(DEFAULT, np.zeros(2), np.zeros((3, 3)), 0, 0, 2, 0.1, KEY)
