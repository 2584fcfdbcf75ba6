"""Walkers stopped half-way go on where they were, and take the same path as if nobody had stopped them."""

from __future__ import annotations

import numpy as np
import pytest

from tui_opt.errors import CancelledError
from tui_opt.experiments.datapoints import System
from tui_opt.experiments.pits import Way
from tui_opt.experiments.toy_sgd import sampling
from tui_opt.experiments.toy_sgd.params import PAIR
from tui_opt.experiments.toy_sgd.sampling import Sample, chunks, passage_kernel, sample_escapes
from tui_opt.runner.context import Context, Silent

WAY = Way(1.0074533029, 1.1959565137)
STEPS = (50, 400)


class Memory(Silent):
    """A recorder whose checkpoint outlives its context."""

    def __init__(self) -> None:
        self.kept: dict[str, np.ndarray] = {}

    def load_checkpoint(self):
        return dict(self.kept)

    def save_checkpoint(self, arrays):
        self.kept = dict(arrays)


class Impatient(Context):
    """Asked to stop at the given look."""

    def __init__(self, stop_at: int, **rest) -> None:
        super().__init__("toy-sgd/escape", **rest)
        self.looks = 0
        self.stop_at = stop_at

    def check(self) -> None:
        self.looks += 1
        if self.looks > self.stop_at:
            raise CancelledError


def sample(ctx: Context, reports: list[float] | None = None) -> Sample:
    system = System.from_texts(PAIR)
    kernel = passage_kernel(system, ctx, 0.0)
    report = (lambda share: None) if reports is None else reports.append
    return sample_escapes(kernel, WAY, 0.02, STEPS, 5000, ctx, "walkers", report)


@pytest.mark.parametrize("stop_at", [1, 5, 9, 14])
def test_a_stopped_sample_goes_on_bit_for_bit(monkeypatch, stop_at):
    whole = sample(Context("toy-sgd/escape"))
    monkeypatch.setattr(sampling, "STEPS_IN_A_SLICE", 4096 * 40)
    monkeypatch.setattr(sampling, "SLICES_BETWEEN_CHECKPOINTS", 1)
    memory = Memory()
    first = Impatient(stop_at, recorder=memory)
    with pytest.raises(CancelledError):
        sample(first)
    first.checkpoint.flush()
    if stop_at > 1:
        assert memory.kept
    second = Impatient(10_000, recorder=memory)
    again = sample(second)
    np.testing.assert_array_equal(again.packed(), whole.packed())
    fresh = Impatient(10_000)
    sample(fresh)
    assert second.looks < fresh.looks or stop_at == 1


def test_progress_ends_at_one_and_never_falls():
    reports: list[float] = []
    sample(Context("toy-sgd/escape", threads=2), reports)
    assert reports[-1] == pytest.approx(1.0)
    assert reports == sorted(reports)


@pytest.mark.parametrize("walkers", [1, 1024, 5000, 10_000_000])
def test_chunks_cover_all_walkers_in_whole_blocks(walkers):
    cut = list(chunks(walkers))
    assert sum(count for _, count in cut) == walkers
    assert all(first % sampling.BLOCK == 0 for first, _ in cut)
    assert [first for first, _ in cut] == [sum(c for _, c in cut[:i]) for i in range(len(cut))]
