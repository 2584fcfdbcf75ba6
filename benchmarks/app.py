"""The app in a pseudo-terminal beside a bare Textual app: first frame, keys, idleness, live changes, memory."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks._app import (
    BARE_APP,
    CHART,
    EVERYTHING,
    FORM,
    Watched,
    app,
    finished,
    folder_of_runs,
    go_to_parameter,
    open_experiment,
    press,
    quantile,
    ratio_row,
    row,
)
from tests.tui.terminal import APP, Terminal
from tui_opt.runner.planning import plan
from tui_opt.runner.queue import enqueue
from tui_opt.scenario_file import read_text

ROUNDS = 11
KEYS = 80
CHANGES = 20
IDLE_SECONDS = 10.0
MEGA = 1_000_000
EXPERIMENTS = ("landscape", "trajectory", "run-length", "escape", "escape-law")

LANDSCAPE = 'scenario = "toy-sgd"\nexperiment = "landscape"\n[params]\npoints = {points}\nw_max = {w_max}\n'
#: keeps all cores busy for a while, and shows a partial result for every temperature.
STREAMING = """
scenario = "toy-sgd"
experiment = "escape"
[params]
temperature = [{temperatures}]
steps = 2000
method = "monte-carlo"
walkers = 150000
"""


def measure() -> list[dict[str, Any]]:
    """All rows."""
    return [
        *_first_frame(),
        *_idle(),
        *_keys(),
        *_live("landscape", "w_max"),
        *_live("trajectory", "temperature"),
        *_series(),
        *_memory(),
    ]


def _seconds_to(command: tuple[str, ...], word: bytes, environment: dict[str, str]) -> float:
    with Terminal(command, environment) as terminal:
        return terminal.moment_of(word) - terminal.started


def _first_frame() -> list[dict[str, Any]]:
    """From the start of the process until the tree, or the word, has been written."""
    ours, bare = [], []
    with folder_of_runs() as environment:
        for _ in range(ROUNDS):
            ours.append(_seconds_to(APP, b"landscape", environment))
            bare.append(_seconds_to(BARE_APP, b"hello", environment))
    return [ratio_row("first frame", ours[1:], bare[1:], 1.5, "a bare Textual app")]


def _written(terminal: Terminal, seconds: float) -> float:
    """Bytes a second while nobody does anything."""
    before = len(terminal.output)
    time.sleep(seconds)
    return (len(terminal.output) - before) / seconds


def _idle() -> list[dict[str, Any]]:
    """Bytes a second, just started and with a finished run on the stage."""
    with folder_of_runs() as environment, app(environment) as terminal:
        terminal.wait_quiet(2.0)  # the presets come into the tree a moment after the rest
        fresh = _written(terminal, IDLE_SECONDS)
        open_experiment(terminal, "landscape")
        press(terminal, "r")
        terminal.wait_for("done in")
        press(terminal, "escape", quiet=6.0)  # what is said is taken away after a while
        shown = _written(terminal, IDLE_SECONDS)
    return [
        row("idle, just started", fresh, 0.0, "B/s"),
        row("idle, a finished run on the stage", shown, 0.0, "B/s"),
    ]


def _keys() -> list[dict[str, Any]]:
    """Keys that move the form's cursor while a run that takes all cores shows partial results."""
    temperatures = ", ".join(f"{0.01 + 0.00005 * i:.5f}" for i in range(400))
    with folder_of_runs() as environment:
        store = Path(environment["OPTEXPLORE_RUNS_DIR"])
        enqueue(plan(read_text(STREAMING.format(temperatures=temperatures))), store)
        with app(environment) as terminal:
            terminal.press("4")
            terminal.wait_for("go on with it")
            terminal.press("enter")
            terminal.wait_for("to go")
            terminal.press("3")
            terminal.wait_for("edit")
            terminal.press("end")
            time.sleep(1.0)
            streamed, began = len(terminal.output), time.monotonic()
            presses = _press_in_turn(terminal, "up", "down")
            rate = (len(terminal.output) - streamed) / (time.monotonic() - began)
            still = "to go" in terminal.text
            first, last = Watched(terminal, FORM).answers(presses, 0.15)
            terminal.press("x")
            terminal.wait_for("cancelled")
            terminal.wait_quiet(0.5)
        with Terminal(BARE_APP, environment) as bare:
            bare.wait_for("hello")
            bare.wait_quiet(0.5)
            bare_presses = _press_in_turn(bare, "up", "down")
            bare_first, bare_last = Watched(bare, EVERYTHING).answers(bare_presses, 0.15)
    peer = {"peer": "a bare Textual app, with no run"}
    more = {"streamed_bytes_per_second": rate, "streaming_to_the_end": still}
    return [
        row(
            f"key to {what} byte, {name}, while a run streams",
            quantile(values, share),
            bar,
            "s",
            **peer,
            peer_value=quantile(peers, share),
            ratio=quantile(values, share) / quantile(peers, share),
            **more,
        )
        for what, name, share, values, peers, bar in (
            ("first", "median", 0.5, first, bare_first, 0.05),
            ("first", "p95", 0.95, first, bare_first, 0.05),
            ("last", "p95", 0.95, last, bare_last, 0.1),
        )
    ]


def _press_in_turn(terminal: Terminal, *keys: str) -> list[float]:
    """Press keys at moments that keep no step with the chart's frames."""
    presses = []
    for i in range(KEYS):
        presses.append(terminal.press(keys[i % len(keys)]))
        time.sleep(0.17 + 0.013 * (i % 7))
    return presses


def _live(experiment: str, parameter: str) -> list[dict[str, Any]]:
    """From a step of a parameter to the last cell of the changed chart, the worker warm."""
    with folder_of_runs() as environment, app(environment) as terminal:
        open_experiment(terminal, experiment)
        go_to_parameter(terminal, parameter)
        terminal.press("right")  # the first one may still import something
        terminal.wait_quiet(1.5)
        presses = []
        for i in range(CHANGES):
            presses.append(terminal.press("right" if i % 4 < 2 else "left"))
            time.sleep(1.0 + 0.017 * (i % 5))
        _, last = Watched(terminal, CHART).answers(presses, 0.95)
    name = f"live change of {experiment} to its chart"
    return [
        row(f"{name}, median", statistics.median(last), 0.3, "s"),
        row(f"{name}, p95", quantile(last, 0.95), 0.3, "s"),
    ]


def _series() -> list[dict[str, Any]]:
    """Runs of a million points against runs of a thousand: opened from the list, and turned to another figure."""
    runs = [(MEGA, 4), (1000, 5), (MEGA, 5), (1000, 4)]  # each differs from the last one opened
    opened: dict[int, list[float]] = {1000: [], MEGA: []}
    turned: dict[int, list[float]] = {1000: [], MEGA: []}
    presses: list[tuple[dict[int, list[float]], int, float]] = []
    with folder_of_runs() as environment:
        for points, w_max in reversed(runs):  # the list shows the newest first
            finished(environment, LANDSCAPE.format(points=points, w_max=w_max))
        with app(environment) as terminal:
            for turn in range(1 + CHANGES // 4):
                press(terminal, "4", "home")
                for points, _ in runs:
                    entered = terminal.press("enter")
                    time.sleep(1.0)
                    pressed = terminal.press("]")
                    time.sleep(0.8)
                    press(terminal, "[", "4", "down", quiet=0.4)
                    if turn:  # the first time something may be imported
                        presses += [(opened, points, entered), (turned, points, pressed)]
            watched = Watched(terminal, CHART)
    for kept, points, pressed in presses:
        answer = watched.answer(pressed, 0.75)
        if answer is not None:
            kept[points].append(answer[1])
    peer = "the same with 1,000 points"
    return [
        ratio_row("key to the chart of a run of 1,000,000 points", opened[MEGA], opened[1000], 1.5, peer),
        ratio_row("key to its other figure", turned[MEGA], turned[1000], 1.5, peer),
    ]


def _memory() -> list[dict[str, Any]]:
    """The app's memory after everything of toy-sgd was opened and run, and a series of a million points shown."""
    with folder_of_runs() as environment:
        finished(environment, LANDSCAPE.format(points=MEGA, w_max=5))
        with app(environment) as terminal, Terminal(BARE_APP, environment) as bare:
            start = psutil.Process(terminal.process.pid).memory_full_info()
            for experiment in EXPERIMENTS:
                open_experiment(terminal, experiment)
                press(terminal, "2", "r")
                terminal.wait_for("done in")
                press(terminal, "escape", *("right",) * 4, *("left",) * 4, "]")
            press(terminal, "4", "end", "enter", "]", quiet=1.0)
            used = psutil.Process(terminal.process.pid).memory_full_info()
            peer = psutil.Process(bare.process.pid).memory_full_info()
    return [
        row(
            "memory of the app after all of toy-sgd",
            used.rss / 1e6,
            90.0,
            "MB RSS",
            pss=used.pss / 1e6,
            uss=used.uss / 1e6,
            at_start=start.rss / 1e6,
            peer="a bare Textual app",
            peer_value=peer.rss / 1e6,
            ratio=used.rss / peer.rss,
        )
    ]


if __name__ == "__main__":
    for one in measure():
        print(one)
