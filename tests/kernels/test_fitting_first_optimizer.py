"""A run can be stopped while PyTorch makes its first optimizer."""

from __future__ import annotations

import threading

import pytest

from tui_opt.kernels.fitting import first_optimizer
from tui_opt.kernels.fitting.first_optimizer import make_first_optimizer


class Stopped(Exception):
    pass


def test_it_waits_for_the_optimizer_and_can_be_stopped_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    free, made = threading.Event(), threading.Event()

    def slow() -> None:
        free.wait(30)
        made.set()

    monkeypatch.setattr(first_optimizer, "_make", slow)
    looks: list[int] = []

    def check() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        make_first_optimizer(check)
    assert not made.is_set()
    threading.Timer(0.1, free.set).start()
    make_first_optimizer(lambda: None)
    assert made.is_set()
