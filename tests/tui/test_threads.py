"""Between the interface and its threads: letters that replace each other, pages of which the newest is drawn."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from rich.text import Text

from tui_opt.tui import painting
from tui_opt.tui.drawing import Drawer
from tui_opt.tui.letters import Drawn
from tui_opt.tui.mailbox import Mailbox
from tui_opt.tui.strips import text_strips

PATIENCE = 120.0


def wait_until(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_the_bell_rings_once_until_the_box_is_emptied():
    rings = []
    box = Mailbox(lambda: rings.append(1))
    for k in range(1000):
        box.put("progress", k)
    box.put("result", "done")
    assert rings == [1]
    assert box.take() == [999, "done"]
    assert box.take() == []
    box.put("progress", 0)
    assert rings == [1, 1]


def test_a_letter_that_replaces_another_stands_behind_those_that_came_before_it():
    box = Mailbox(lambda: None)
    box.put("began", "old run began")
    box.put("view", "of the old run")
    box.put("began", "new run began")
    assert box.take() == ["of the old run", "new run began"]


def test_letters_from_many_threads_are_neither_lost_nor_torn():
    box = Mailbox(lambda: None)

    def write(name: int) -> None:
        for k in range(500):
            box.put((name, k), (name, k))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    found = []
    while any(thread.is_alive() for thread in threads):
        found += box.take()
    found += box.take()
    assert sorted(found) == [(name, k) for name in range(4) for k in range(500)]


@pytest.fixture
def drawer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPTEXPLORE_CACHE_DIR", str(tmp_path))
    box = Mailbox(lambda: None)
    made = Drawer(box, painting.failed)
    made.start()
    yield made, box
    made.close()


def test_of_several_requests_for_a_place_the_newest_is_drawn(drawer):
    made, box = drawer
    hold, drawn = threading.Event(), []

    def page(k: int):
        def draw():
            hold.wait(PATIENCE)
            drawn.append(k)
            return text_strips([Text(str(k))], 5)

        return draw

    made.ask("chart", 0, page(0))
    wait_until(lambda: not made._wanted)  # the first is being drawn
    for k in range(1, 50):
        made.ask("chart", k, page(k))
    made.ask("facts", 7, page(7))
    hold.set()
    wait_until(lambda: len(drawn) == 3)
    assert drawn == [0, 49, 7]
    letters = {}
    wait_until(lambda: [letters.update({x.place: x.ticket}) for x in box.take()] or len(letters) == 2)
    assert letters == {"chart": 49, "facts": 7}


def test_a_page_that_cannot_be_drawn_is_a_sentence_and_costs_no_other(drawer, tmp_path):
    made, box = drawer

    def broken():
        raise RuntimeError("no such colour")

    found = []
    made.ask("chart", 1, broken)
    made.ask("log", 1, lambda: text_strips([Text("fine")], 4))
    wait_until(lambda: found.extend(box.take()) or len(found) == 2)
    first, second = sorted(found, key=lambda letter: letter.place)
    assert isinstance(first, Drawn)
    text = " ".join(strip.text.strip() for strip in first.strips)
    assert text.startswith("This page could not be drawn. The details are in")
    assert "RuntimeError" not in text
    assert "no such colour" in (tmp_path / "last-error.txt").read_text()
    assert second.strips[0].text == "fine"
