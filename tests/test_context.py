"""The context: streams by key, partial results in measure, answers in order, checkpoints."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_opt.errors import CancelledError
from tui_opt.figure import Figure, Line, Ref
from tui_opt.result import Result
from tui_opt.runner import context as module
from tui_opt.runner.context import (
    PARTIAL_MOST_BYTES,
    PARTIAL_SHARE,
    Checkpoint,
    Context,
    PrefixedPieces,
    Silent,
)
from tui_opt.runner.streams import generator, stream_key


class Kept(Silent):
    """A recorder that remembers what it was given."""

    def __init__(self) -> None:
        self.partials: list[Result] = []
        self.saved: list[dict[str, Any]] = []
        self.stored: dict[str, Any] = {}
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def partial(self, result: Result) -> None:
        self.partials.append(result)

    def load_checkpoint(self) -> dict[str, Any]:
        return dict(self.stored)

    def save_checkpoint(self, arrays: dict[str, Any]) -> None:
        self.stored = dict(arrays)
        self.saved.append(dict(arrays))


class Clock:
    """A clock that moves only when told to."""

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


# --- randomness -------------------------------------------------------------------------------------------


def draws(ctx: Context, keys: list[tuple[str, int]]) -> dict[tuple[str, int], list[float]]:
    return {key: ctx.rng(*key).random(3).tolist() for key in keys}


@given(st.permutations([(name, block) for name in ("walkers", "start") for block in range(4)]))
def test_streams_do_not_depend_on_the_order_in_which_they_are_asked_for(keys: list[tuple[str, int]]) -> None:
    assert draws(Context("a/b", seed=5), keys) == draws(Context("a/b", seed=5), sorted(keys))


def test_streams_differ_in_every_part_of_their_key() -> None:
    parts = itertools.product((0, 1, 2**63 - 1), ("a/b", "a/bc"), ("s", "t", "c|s"), (0, 1, 10))
    keys = list(parts)
    assert len({stream_key(*key) for key in keys}) == len(keys)
    assert len({generator(*key).random() for key in keys}) == len(keys)
    assert all(0 <= stream_key(*key) < 2**64 for key in keys)


def test_a_stream_is_the_same_for_ever() -> None:
    # Stored runs are reproduced from their seeds, so these numbers may never change.
    assert stream_key(0, "toy-sgd/escape", "walkers", 0) == 3158201039194286717
    assert generator(0, "toy-sgd/escape", "walkers", 0).integers(0, 2**32, 3).tolist() == [
        170625641,
        2245493790,
        2143189627,
    ]


# --- map --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_map_answers_in_the_order_of_the_items(threads: int) -> None:
    ctx = Context("a/b", seed=1, threads=threads)

    def one(item: int) -> tuple[int, float]:
        time.sleep(0.002 * (item % 3))  # the later ones of each three are ready first
        return item, float(ctx.rng("x", item).random())

    expected = [(i, float(Context("a/b", seed=1).rng("x", i).random())) for i in range(20)]
    assert list(ctx.map(one, range(20))) == expected


@pytest.mark.parametrize("threads", [1, 3])
def test_map_stops_at_a_cancel(threads: int) -> None:
    ctx = Context("a/b", threads=threads)
    begun: list[int] = []

    def one(item: int) -> int:
        begun.append(item)
        if item == 2:
            ctx.cancel()
        return item

    with pytest.raises(CancelledError):
        list(ctx.map(one, range(1000)))
    assert len(begun) <= 3 + threads


@pytest.mark.parametrize("threads", [1, 3])
def test_map_passes_an_error_on_and_starts_nothing_more(threads: int) -> None:
    begun: list[int] = []

    def one(item: int) -> int:
        begun.append(item)
        time.sleep(0.001)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(Context("a/b", threads=threads).map(one, range(1000)))
    assert len(begun) < 1000


def test_check_raises_only_after_a_cancel() -> None:
    ctx = Context("a/b")
    ctx.check()
    seen = [ctx.cancelled]
    ctx.cancel()
    seen.append(ctx.cancelled)
    assert seen == [False, True]
    with pytest.raises(CancelledError):
        ctx.check()


# --- partial results --------------------------------------------------------------------------------------


@given(st.floats(0.0001, 0.5), st.floats(0.001, 0.3))
def test_partials_take_at_most_their_share_and_come_at_most_four_times_a_second(
    cost: float, step: float
) -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", clock)
        ctx = Context("a/b", recorder=Kept())
        began, spent, moments = clock.time, 0.0, []

        def make() -> Result:
            nonlocal spent
            moments.append(clock.time)
            # What the earlier ones took is paid for before the next one begins.
            assert spent <= PARTIAL_SHARE * (clock.time - began) + 1e-9
            clock.time += cost
            spent += cost
            return Result()

        for _ in range(2000):
            clock.time += step
            ctx.partial(make)
    assert moments
    assert all(b - a >= 0.25 - 1e-9 for a, b in itertools.pairwise(moments))
    # And nobody waits longer than the rules ask for.
    wait = max(0.25, cost / PARTIAL_SHARE) + step + cost
    assert clock.time - moments[-1] <= wait + 1e-6


def curves(count: int, points: int) -> Result:
    """Many curves in one array."""
    result = Result()
    result.add_array("x", np.arange(float(points)), ("x",))
    result.add_array("y", np.zeros((count, points)), ("curve", "x"))
    layers = tuple(Line(x=Ref(array="x"), y=Ref(array="y", index=(k,))) for k in range(count))
    result.add_figure(Figure(name="f", title="", layers=layers))
    return result


def test_a_large_partial_is_reduced_to_what_its_figures_show(clock: Clock) -> None:
    kept = Kept()
    ctx = Context("a/b", recorder=kept)
    clock.time += 1
    ctx.partial(lambda: curves(2, PARTIAL_MOST_BYTES // 8))
    (shown,) = kept.partials
    assert 0 < sum(a.values.nbytes for a in shown.arrays.values()) <= PARTIAL_MOST_BYTES
    assert [type(layer) for layer in shown.figures[0].layers] == [Line, Line]


def test_a_partial_that_is_too_large_even_so_is_not_shown(clock: Clock) -> None:
    kept = Kept()
    ctx = Context("a/b", recorder=kept)
    clock.time += 1
    ctx.partial(lambda: curves(400, 1000))
    assert kept.partials == []


def test_partials_of_two_threads_do_not_overlap() -> None:
    ctx = Context("a/b", recorder=Kept())
    inside = threading.Event()
    leave = threading.Event()
    calls: list[str] = []

    def slow() -> Result:
        calls.append("slow")
        inside.set()
        leave.wait(10)
        return Result()

    def quick() -> Result:
        calls.append("quick")
        return Result()

    thread = threading.Thread(target=ctx.partial, args=(slow,))
    thread.start()
    inside.wait(10)
    ctx.partial(quick)
    leave.set()
    thread.join()
    assert calls == ["slow"]


# --- checkpoints ------------------------------------------------------------------------------------------


def test_pieces_are_written_now_and_then_and_at_the_end(clock: Clock) -> None:
    kept = Kept()
    checkpoint = Checkpoint(kept, interval=5.0)
    checkpoint.put("a", np.array([1.0]))
    assert kept.saved == []
    clock.time += 5.0
    checkpoint.put("b", np.array([2.0]))
    assert [set(s) for s in kept.saved] == [{"a", "b"}]
    checkpoint.put("c", np.array([3.0]))
    checkpoint.flush()
    checkpoint.flush()  # nothing new, nothing written
    assert [set(s) for s in kept.saved] == [{"a", "b"}, {"a", "b", "c"}]


def test_a_resumed_run_finds_the_pieces_again() -> None:
    kept = Kept()
    first = Checkpoint(kept)
    for i in range(3):
        first.put(f"block-{i}", np.array([float(i)]))
    first.put("other", np.array([9.0]))
    first.flush()
    second = Checkpoint(kept)
    assert second.get("block-1") == np.array([1.0])
    assert second.get("block-7") is None
    second.drop("block-")
    assert second.get("block-1") is None
    assert second.get("other") == np.array([9.0])


def test_a_checkpoint_that_cannot_be_written_is_said_once_and_costs_nothing_else() -> None:
    class Full(Kept):
        full = True

        def save_checkpoint(self, arrays: dict[str, Any]) -> None:
            if self.full:
                raise OSError(28, "No space left on device")
            super().save_checkpoint(arrays)

    kept = Full()
    checkpoint = Checkpoint(kept, interval=0.0)
    for i in range(3):
        checkpoint.put(f"block-{i}", np.array([i]))
    checkpoint.flush()
    assert [m for m in kept.messages if "No space left" in m] == kept.messages
    assert len(kept.messages) == 1
    kept.full = False
    checkpoint.flush()
    assert [set(s) for s in kept.saved] == [{"block-0", "block-1", "block-2"}]


def test_nobody_waits_for_a_checkpoint_that_is_being_written() -> None:
    writing, go_on = threading.Event(), threading.Event()

    class Slow(Kept):
        def save_checkpoint(self, arrays: dict[str, Any]) -> None:
            writing.set()
            assert go_on.wait(30)
            super().save_checkpoint(arrays)

    checkpoint = Checkpoint(Slow(), interval=0.0)
    writer = threading.Thread(target=checkpoint.put, args=("a", np.array([1.0])))
    writer.start()
    assert writing.wait(30)
    checkpoint.put("b", np.array([2.0]))  # would hang here
    assert checkpoint.get("a") == np.array([1.0])
    go_on.set()
    writer.join()


def test_a_part_of_a_checkpoint_sees_only_itself() -> None:
    whole = Checkpoint(Kept())
    one, two = PrefixedPieces(whole, "1|"), PrefixedPieces(whole, "2|")
    one.put("a", np.array([1.0]))
    two.put("a", np.array([2.0]))
    assert (one.get("a"), two.get("a"), whole.get("1|a")) == (
        np.array([1.0]),
        np.array([2.0]),
        np.array([1.0]),
    )
    one.drop("")
    assert one.get("a") is None
    assert two.get("a") == np.array([2.0])


def test_checkpoints_may_be_used_from_many_threads() -> None:
    kept = Kept()
    checkpoint = Checkpoint(kept, interval=0.0)

    def work(worker: int) -> None:
        for i in range(50):
            checkpoint.put(f"{worker}-{i}", np.array([i]))
            assert checkpoint.get(f"{worker}-{i}") is not None

    threads = [threading.Thread(target=work, args=(w,)) for w in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept.stored) == 200


def test_progress_is_a_fraction_whatever_is_said() -> None:
    ctx = Context("a/b")
    said: list[tuple[float, float, float]] = [(1, 4, 0.25), (5, 4, 1.0), (-1, 4, 0.0), (1, 0, 0.0)]
    for done, total, fraction in said:
        ctx.progress(done, total)
        assert ctx.now.fraction == fraction
    ctx.progress(1, 2, "walkers")
    ctx.progress(2, 2)
    assert ctx.now.what == "walkers"
