"""Charts of a million points against charts of a thousand, and what a frame costs the line to the terminal."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text
from textual.app import App, ComposeResult

from tui_opt import figure
from tui_opt.figure import Axis, Figure, Heatmap, Line, Ref, Scatter
from tui_opt.render import figure_text
from tui_opt.result import Result
from tui_opt.runner import files
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.tui.changed_cells import only_changes
from tui_opt.tui.strips import text_strips
from tui_opt.tui.widgets.picture import Picture

WIDTH, HEIGHT = 120, 40
FEW, MANY = 1_000, 1_000_000
ROUNDS = 9
FRAMES = 8


def _ref(name: str) -> Ref:
    return Ref(array=name)


def _figure(layer: Any) -> Figure:
    return Figure(name="f", title="A chart", x=Axis(label="t", unit="s"), y=Axis(label="W"), layers=(layer,))


def _series(points: int) -> dict[str, np.ndarray]:
    t = np.linspace(0, 60, points)
    noise = 0.05 * np.random.default_rng(0).standard_normal(points)
    orbit = {"u": np.cos(1.01 * t) * (1 + 0.3 * np.sin(0.37 * t)), "v": np.sin(t)}
    return {"t": t, "w": orbit["v"] + noise, **orbit}


FIGURES = {
    "line": _figure(Line(x=_ref("t"), y=_ref("w"), label="noisy sine")),
    "path": _figure(figure.Path(x=_ref("v"), y=_ref("u"), label="orbit")),
    "scatter": _figure(Scatter(x=_ref("w"), y=_ref("u"), label="points")),
}


def _result(kind: str, points: int) -> Result:
    result = Result()
    for name, values in _series(points).items():
        result.add_array(name, values, ("t",))
    result.add_figure(FIGURES[kind])
    return result


def _draw(drawn: Figure, arrays: dict[str, Any]) -> Text:
    return figure_text(drawn, arrays, width=WIDTH, height=HEIGHT)


def _interleaved(*works: Callable[[], object]) -> list[float]:
    """The best seconds of each."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for i, work in enumerate(works):
            began = time.perf_counter()
            work()
            best[i] = min(best[i], time.perf_counter() - began)
    return best


def _row(name: str, seconds: float, peer: str, peer_seconds: float) -> dict[str, Any]:
    return {
        "name": name,
        "seconds": seconds,
        "peer": peer,
        "peer_seconds": peer_seconds,
        "ratio": seconds / peer_seconds,
    }


def _in_memory(kind: str) -> dict[str, Any]:
    many, few = (_series(points) for points in (MANY, FEW))
    seconds = _interleaved(lambda: _draw(FIGURES[kind], many), lambda: _draw(FIGURES[kind], few))
    return _row(f"{kind} of {MANY} points in memory", seconds[0], f"{FEW} points", seconds[1])


def _from_a_run(kind: str, store: Path) -> dict[str, Any]:
    """From the run directory to the text, as an app does it."""
    runs = []
    for points in (MANY, FEW):
        run = RunDirectory.create(store, "a", kind, "", claim=True, durable=False)
        run.write_result(_result(kind, points), {})
        runs.append(run)

    def show(run: RunDirectory) -> None:
        result = run.preview()
        assert result is not None
        _draw(result.figures[0], result.values())

    seconds = _interleaved(*(lambda run=run: show(run) for run in runs))
    return _row(f"{kind} of a run of {MANY} points", seconds[0], f"run of {FEW} points", seconds[1])


def _writing(kind: str, store: Path) -> dict[str, Any]:
    run = RunDirectory.create(store, "a", kind, "", claim=True, durable=False)
    result = _result(kind, MANY)
    seconds = _interleaved(
        lambda: run.write_result(result, {}),
        lambda: files.write_arrays(store / "peer.npz", result.values(), sync=False),
    )
    return _row(f"write {kind} of {MANY} points with its preview", seconds[0], "its arrays", seconds[1])


def _bytes(text: Text) -> int:
    console = Console(width=WIDTH, color_system="256", force_terminal=True, legacy_windows=False, _environ={})
    with console.capture() as capture:
        console.print(text, end="", soft_wrap=True)
    return len(capture.get().encode())


def _stream() -> list[Text]:
    """Four series of 200 points, of which each frame shows a little more."""
    x = np.linspace(0, 1, 200)
    layers = tuple(Line(x=_ref("x"), y=_ref(f"y{k}"), label=f"series {k}") for k in range(4))
    axes = {"x": Axis(label="x", low=0, high=1), "y": Axis(label="y", low=-1.3, high=1.3)}
    drawn = Figure(name="s", title="Streaming", layers=layers, **axes)
    frames = []
    for shown in np.linspace(100, 190, FRAMES).astype(int):
        arrays = {
            "x": x,
            **{f"y{k}": np.where(np.arange(200) < shown, np.sin(6 * x + k), np.nan) for k in range(4)},
        }
        frames.append(_draw(drawn, arrays))
    return frames


def _heat() -> Text:
    x = np.linspace(0, 1, 300)
    z = np.sin(5 * x)[None, :] * np.cos(7 * x)[:, None] + x[None, :]
    return _draw(_figure(Heatmap(x=_ref("x"), y=_ref("x"), z=_ref("z"), label="loss")), {"x": x, "z": z})


class _Sheet(App[None]):
    """A picture that fills the screen, and the bytes of each repaint."""

    CSS = "Picture { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[int] = []

    def compose(self) -> ComposeResult:
        yield Picture()

    def _display(self, screen: Any, renderable: Any) -> None:
        renderable = only_changes(renderable)
        if hasattr(renderable, "render_segments"):
            self.sent.append(len(renderable.render_segments(self.console).encode()))
        super()._display(screen, renderable)


async def _repaints(frames: list[Text]) -> list[int]:
    app = _Sheet()
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        await pilot.pause()
        repaints = []
        for frame in frames:
            app.sent.clear()
            app.query_one(Picture).show(text_strips(list(frame.split("\n")), WIDTH))
            await pilot.pause()
            repaints.append(sum(app.sent))
    return repaints


def measure() -> list[dict[str, Any]]:
    """Best of interleaved rounds; bytes in 256 colours at 120x40, those of repaints as Textual would send them."""
    frames = _stream()
    repaints = asyncio.run(_repaints(frames))
    sizes = [
        {"name": "bytes of a frame of four curves", "bytes": _bytes(frames[-1]), "budget": 14_000},
        {"name": "bytes of a frame of a heatmap", "bytes": _bytes(_heat()), "budget": 45_000},
        {
            "name": "bytes of a repaint of four growing curves",
            "bytes": max(repaints[1:]),
            "peer": "the first paint",
            "peer_bytes": repaints[0],
            "ratio": max(repaints[1:]) / repaints[0],
        },
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        timed = [_in_memory(kind) for kind in FIGURES] + [_from_a_run(kind, store) for kind in FIGURES]
        return [*timed, _writing("line", store), *sizes]


if __name__ == "__main__":
    for row in measure():
        print(row)
