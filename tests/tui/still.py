"""The app with time standing still: a desk that asks nobody, and a run whose numbers are always the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from tests.tui.driving import Driver
from tui_opt.figure import Axis, Figure, Heatmap, Line, Ref, Rule, Scatter
from tui_opt.locations import shipped_scenarios
from tui_opt.result import Result
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.scenario import built_in
from tui_opt.scenario_file import ScenarioFile, read_file
from tui_opt.store import RunRow
from tui_opt.tui.app import OptexploreApp
from tui_opt.tui.desk import Desk
from tui_opt.tui.letters import Began, Cost, Loaded, Opened, RunsChanged, Seen
from tui_opt.tui.mailbox import Mailbox
from tui_opt.tui.presets import read_presets
from tui_opt.tui.run_view import RunView

STORE = Path("/store")
#: the scenarios of the tree, so that no picture changes when another one ships.
SHOWN = ("toy-sgd", "probability-current")
RUN = "20260101T120000Z-toy-sgd-escape-abcdef"


def row(name: str, experiment: str, state: str, **more: object) -> RunRow:
    """A line of the list."""
    made = RunRow(name, f"/store/{name}", "toy-sgd", experiment, state, 0.0, name, None, None)
    return RunRow(**{**made.__dict__, **more})  # type: ignore[arg-type]


ROWS = (
    row("a", "trajectory", "done", elapsed=0.02),
    row("b", "escape-law", "failed", error="The run needs more memory than this machine has free."),
    row("c", "escape", "queued", order=1.0),
    row("d", "run-length", "lost"),
    row("e", "escape", "running", progress=0.43, eta=12.0),
    row(RUN, "escape", "done", elapsed=0.41),
)


def result() -> Result:
    """A line with errors, a rule, and a heatmap."""
    made = Result(headline=["escape_probability", "mean_escape_steps"])
    t = np.linspace(0.01, 0.025, 16)
    p = 1 / (1 + np.exp(-(t - 0.016) / 0.0012))
    made.add_array("temperature", t, ("temperature",), unit="W²/L")
    made.add_array("escape", p, ("temperature",))
    made.add_array("error", np.full(16, 0.02), ("temperature",))
    grid = np.linspace(-1, 1, 40)
    made.add_array("x", grid, ("x",))
    made.add_array("z", np.exp(-4 * (grid[:, None] ** 2 + grid[None, :] ** 2)), ("y", "x"))
    x, y = Ref(array="temperature"), Ref(array="escape")
    layers = (
        Line(x=x, y=y, label="operator"),
        Scatter(x=x, y=y, error=Ref(array="error"), label="Monte Carlo ±1 se"),
        Rule(axis="x", value=0.016, label="half"),
    )
    made.add_figure(
        Figure(
            name="probability",
            title="Probability of leaving the pit",
            x=Axis(label="T", unit="W²/L"),
            y=Axis(label="probability"),
            layers=layers,
        )
    )
    heat = Heatmap(x=Ref(array="x"), y=Ref(array="x"), z=Ref(array="z"), label="density", unit="1/W²")
    made.add_figure(Figure(name="density", title="Density", layers=(heat,)))
    made.add_finding("escape_probability", 0.32482, "probability of escape", stderr=0.0015)
    made.add_finding("mean_escape_steps", 2520.42, "mean number of steps", unit="steps")
    made.warn("The diffusion limit does not hold here.")
    return made


def view(state: str = "done", file: ScenarioFile | None = None) -> RunView:
    """The run, done or half-way."""
    status = {"state": state, "progress": 0.43, "eta": 12.0, "elapsed": 0.41, "what": "walkers", "partial": 1}
    log = ("compiling (first use only)",)
    return RunView(RunDirectory(STORE / RUN), status, file, "", result(), state == "done", (), log, False)


class StillDesk(Desk):
    """Answers at once, with the same every time."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(STORE, 1, mailbox)
        self.asked: list[str] = []

    def start(self) -> None:
        scenarios = {name: scenario for name, scenario in built_in().items() if name in SHOWN}
        self._mailbox.put(
            "loaded", Loaded(scenarios, read_presets(shipped_scenarios(), scenarios), "cpu 2 threads", ())
        )
        self._mailbox.put("runs", RunsChanged(ROWS))
        self._rows = ROWS

    def close(self) -> None:
        self.asked.append("close")

    def warm(self, scenario: str, experiment: str) -> None:
        self.asked.append(f"warm {experiment}")

    def soon(self, work: Callable[[], None]) -> None:
        self.asked.append("soon")

    def run_live(self, file: ScenarioFile, subject: int, *, allowed: bool) -> None:
        self._mailbox.put("cost", Cost(0.41, True))

    def run(self, file: ScenarioFile, subject: int) -> None:
        self.asked.append("run")
        self._mailbox.put("began", Began(STORE / RUN, False, subject))
        self._mailbox.put("view", Seen(view("running", file), subject))

    def look_at(self, path: Path | None, subject: int) -> None:
        if path is not None and path.name == RUN:
            self._mailbox.put("view", Seen(view(), subject))

    def open_file(self, path: Path, *, from_run: bool = False) -> None:
        self._mailbox.put("opened", Opened(read_file(path), from_run))

    def cancel(self, path: Path) -> None:
        self.asked.append(f"cancel {path.name}")

    def resume(self, path: Path, subject: int) -> None:
        self.asked.append(f"resume {path.name}")

    def remove(self, path: Path) -> None:
        self.asked.append(f"remove {path.name}")

    def move(self, run_id: str, places: int) -> None:
        self.asked.append(f"move {run_id} {places}")

    def save_file(self, path: Path, text: str) -> None:
        self.asked.append(f"save {path}")


def drive_still(
    flow: Callable[[Driver, StillDesk], Awaitable[None]], size: tuple[int, int] = (120, 40)
) -> None:
    """Run a flow on the app over a still desk."""

    async def main() -> None:
        app = OptexploreApp(STORE)
        desk = StillDesk(app.mailbox)
        app.desk = app._main._desk = desk
        async with app.run_test(size=size) as pilot:
            driver = Driver(app, pilot)
            await driver.until(lambda: driver.main.bench is not None and driver.main.presets)
            await flow(driver, desk)

    asyncio.run(main())
