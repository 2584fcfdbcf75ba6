"""Training in pieces that fit the memory: the same networks as at once, halved where a device is full."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

import numpy as np
import pytest

from tui_opt.kernels.networks.batched import (
    ROOM_ON_A_PROCESSOR,
    BatchedTrainer,
    bytes_of_network,
    room,
)
from tui_opt.kernels.networks.initial import random_networks
from tui_opt.kernels.networks.lanes import Crowd, Rule, unreported
from tui_opt.kernels.networks.layout import Layout
from tui_opt.kernels.networks.pieces import Apart, InPieces, networks_apart

LAYOUT = Layout(2, 3)
X = np.linspace(-1, 1, 21)
Y = np.abs(X)


class Full:
    """A device with room for so many networks."""

    def __init__(self, most: int) -> None:
        self.most, self.inner = most, BatchedTrainer(LAYOUT, X, Y)
        self.pieces: list[int] = []

    def train(
        self, crowd: Crowd, rule: Rule, steps: int, check: Any, part: slice, report: Any = unreported
    ) -> Any:
        self.pieces.append(len(crowd.networks[part]))
        if self.pieces[-1] > self.most:
            raise MemoryError
        return self.inner.train(crowd, rule, steps, check, part, report)


@pytest.mark.parametrize(
    ("most", "pieces"), [(100, [23]), (9, [23, 12, 6, 6, 6, 5]), (1, [23, 12, 6, 3, 2, *[1] * 23])]
)
def test_pieces_make_the_steps_of_the_whole(most: int, pieces: list[int]) -> None:
    start = random_networks(LAYOUT, "torch", 30, np.random.default_rng(0))
    whole, cut = Crowd.beginning(start, "adadelta"), Crowd.beginning(start, "adadelta")
    rule, part = Rule("adadelta", 1.0), slice(4, 27)
    expected = BatchedTrainer(LAYOUT, X, Y).train(whole, rule, 7, part=part)
    device = Full(most)
    told: list[int] = []
    found = InPieces(device, 10**6).train(cut, rule, 7, part=part, report=told.append)
    assert device.pieces == pieces
    assert sum(told) == 7 * 23
    assert np.array_equal(found, expected)
    assert np.array_equal(cut.networks, whole.networks)
    assert np.array_equal(cut.state, whole.state)
    assert np.array_equal(cut.networks[:4], start[:4].astype(np.float32))


@pytest.mark.parametrize("layout", [Layout(1, 17), Layout(5, 20)])
def test_a_network_alone_takes_the_very_steps_it_takes_among_others(layout: Layout) -> None:
    start = random_networks(layout, "torch", 3, np.random.default_rng(1))
    among, alone = Crowd.beginning(start, "adam"), Crowd.beginning(start, "adam")
    trainer, rule, x = BatchedTrainer(layout, X, Y), Rule("adam", 0.01), slice(2, 3)
    assert np.array_equal(trainer.train(alone, rule, 50, part=x), trainer.train(among, rule, 50)[x])
    assert np.array_equal(alone.networks[x], among.networks[x])


def test_steps_of_a_piece_that_failed_under_way_are_not_counted_twice() -> None:
    class Filling(Full):
        """Full after two of four steps."""

        def train(
            self, crowd: Crowd, rule: Rule, steps: int, check: Any, part: slice, report: Any = unreported
        ) -> Any:
            number = len(crowd.networks[part])
            if number > self.most:
                report(number)
                report(number)
                raise MemoryError
            return super().train(crowd, rule, steps, check, part, report)

    told: list[int] = []
    crowd = Crowd.beginning(np.zeros((10, LAYOUT.size)), "gd")
    InPieces(Filling(3), 100).train(crowd, Rule("gd", 0.1), 4, report=told.append)
    assert sum(told) == 40
    assert min(told) > 0


def test_a_network_that_does_not_fit_is_said() -> None:
    crowd = Crowd.beginning(np.zeros((3, LAYOUT.size)), "gd")
    with pytest.raises(MemoryError):
        InPieces(Full(0), 2).train(crowd, Rule("gd", 0.1), 1)


def test_activations_of_a_piece_fit_the_room() -> None:
    layout, samples = Layout(10, 20), 341
    most = room("cpu") // bytes_of_network(layout, samples)
    assert 1 < most < 1000
    held = most * samples * layout.width * layout.layers * 4
    assert 0.5 * ROOM_ON_A_PROCESSOR < held < ROOM_ON_A_PROCESSOR


def test_pieces_of_threads_do_not_depend_on_chunks_and_wait_for_memory() -> None:
    sizes = [networks_apart(Layout(5, width), 341) for width in (1, 17, 64, 128)]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], networks_apart(Layout(5, 128), 10**6)) == (16, 1)
    assert all(16 % size == 0 for size in sizes)

    class Counting:
        inside = most = 0

        def train(self, crowd: Crowd, *_: Any) -> Any:
            with lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
                if self.inside == 2:
                    met.set()
            met.wait(5)
            with lock:
                self.inside -= 1
            return np.zeros(1)

    lock, met, device = Lock(), Event(), Counting()
    apart = Apart(device, 4, 2)
    crowd = Crowd.beginning(np.zeros((10, 22)), "gd")
    assert apart.pieces(10) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda part: apart.train(crowd, Rule("gd", 0.1), 1, part=part), apart.pieces(10)))
    assert device.most == 2
