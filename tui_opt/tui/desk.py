"""Everything of the app that may have to wait: the store, the workers, what stands on disk. One thread, and letters."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tui_opt.errors import OptexploreError
from tui_opt.traces import unexpected
from tui_opt.tui.letters import Began, Cost, Free, Loaded, Notice, Opened, RunsChanged, Seen
from tui_opt.tui.mailbox import Mailbox

if TYPE_CHECKING:
    from tui_opt.runner.live import Scratch
    from tui_opt.runner.run_directory import RunDirectory
    from tui_opt.runner.workforce import Workforce
    from tui_opt.scenario import Scenario
    from tui_opt.scenario_file import ScenarioFile
    from tui_opt.store import RunRow
    from tui_opt.tui.run_view import RunView
    from tui_opt.watch import Watch

POLL = 0.25
#: a look at a store of many thousand runs takes a while; it is given at most this share of the time.
LOOKING_SHARE = 0.1


class Desk:
    """Carries out what the interface asks for, in order, on a thread of its own.

    Args:
        store: the folder of runs.
        processes: processes for a sweep.
        mailbox: where answers go.
    """

    def __init__(self, store: Path, processes: int, mailbox: Mailbox) -> None:
        self.store = store
        self._processes = processes
        self._mailbox = mailbox
        self._requests: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
        self._ready = False
        self._watched: Path | None = None
        self._watched_live = False
        self._view: RunView | None = None
        self._looked = 0.0
        self._latest: tuple[ScenarioFile, int, bool] | None = None
        self._latest_lock = threading.Lock()
        self._rows: tuple[RunRow, ...] = ()
        self._trouble = ""
        self._subject = 0
        self._coming: list[str] = []
        self._declared: set[str] = set()
        #: the runs this app has started, by id, with their names.
        self.started: dict[str, str] = {}

    # --- asked by the interface, from its thread; none of these waits ---------------------------------------

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self) -> None:
        """Let the workers go on alone, and stop."""
        self._requests.put(None)

    def join(self, timeout: float) -> None:
        """Wait until it has stopped; an app that is left at once has never started it."""
        if self._thread.is_alive():
            self._thread.join(timeout)

    def run(self, file: ScenarioFile, subject: int) -> None:
        """Queue a run and look at it."""
        name = f"{file.scenario.name} {file.experiment.name}"
        self._coming.append(name)
        self._ask(lambda: self._run(file, name, subject))

    def run_live(self, file: ScenarioFile, subject: int, *, allowed: bool) -> None:
        """Say what a run would take, and run it where it is cheap and `allowed`; only the newest request counts."""
        with self._latest_lock:
            waiting = self._latest is not None
            self._latest = file, subject, allowed
        if not waiting:
            self._ask(self._run_latest)

    def keep_live(self, path: Path) -> None:
        """Make a run of live mode one of the store."""
        self._ask(lambda: self._keep(path))

    def look_at(self, path: Path | None, subject: int) -> None:
        """Look at a run from now on, or at none."""
        self._ask(lambda: self._look_at(path, subject))

    def cancel(self, path: Path) -> None:
        """Stop a run, in up to three steps."""
        self._ask(lambda: self._cancel(path))

    def resume(self, path: Path, subject: int) -> None:
        """Queue a run that ended without a result again, and look at it."""
        self._ask(lambda: self._resume(path, subject))

    def remove(self, path: Path) -> None:
        """Delete a run."""
        self._ask(lambda: self._remove(path))

    def move(self, run_id: str, places: int) -> None:
        """Move a queued run towards the front (negative) or the back."""
        self._ask(lambda: self._move(run_id, places))

    def open_file(self, path: Path, *, from_run: bool = False) -> None:
        """Read a scenario file for the form."""
        self._ask(lambda: self._open(path, from_run))

    def save_file(self, path: Path, text: str) -> None:
        """Write a scenario file."""
        self._ask(lambda: self._save(path, text))

    def warm(self, scenario: str, experiment: str) -> None:
        """Let the interactive worker import what an experiment needs."""
        self._ask(lambda: self._workforce.warm(scenario, experiment))

    def declare(self, scenario: Scenario) -> None:
        """Import the declarations of a scenario's parameters here, before a form shows them on the interface's thread.

        Those of scenarios that nobody looks at are not imported: together they would take some megabytes.
        """
        if scenario.name not in self._declared:
            self._declared.add(scenario.name)
            self._ask(lambda: _declare(scenario))

    def soon(self, work: Callable[[], None]) -> None:
        """Do something that may wait, such as writing a file."""
        self._ask(work)

    def active_of_ours(self) -> list[str]:
        """The names of the runs that this app started and that have not ended yet, as far as is known.

        Runs that others started go on whatever this app does, so nobody is asked about them.
        """
        states = {row.id: row.state for row in self._rows}
        started = list(self.started.items())
        return [
            name for run_id, name in started if states.get(run_id, "queued") in ("queued", "running")
        ] + list(self._coming)

    def cancel_ours(self) -> None:
        """Ask every run this app started to stop, and say that the app is free to leave."""
        self._ask(self._cancel_ours)

    # --- the thread -----------------------------------------------------------------------------------------

    def _ask(self, request: Callable[[], None]) -> None:
        self._requests.put(request)

    def _work(self) -> None:
        self._guarded(self._open_shop)
        pause = POLL
        due = time.monotonic()
        while True:
            if time.monotonic() >= due:
                began = time.monotonic()
                self._guarded(self._poll_again)
                pause = max(POLL, (time.monotonic() - began) / LOOKING_SHARE)
                due = time.monotonic() + pause
            try:
                request = self._requests.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                continue
            if request is None:
                break
            self._guarded(request)
        self._guarded(self._close_shop)

    def _guarded(self, request: Callable[[], None]) -> None:
        """Carry out a request; what goes wrong becomes a sentence, and the thread goes on."""
        try:
            request()
        except OptexploreError as error:
            self._say(str(error), wrong=True)
        except Exception as error:
            sentence = unexpected(error)
            self._say(f"{sentence[0].upper()}{sentence[1:]}", wrong=True)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        self._mailbox.put("wrong" if wrong else "notice", Notice(text, wrong))

    def _open_shop(self) -> None:
        from tui_opt.device import gpus
        from tui_opt.locations import shipped_scenarios
        from tui_opt.runner.live import Scratch
        from tui_opt.runner.machine import available_cores
        from tui_opt.runner.queue import INTERACTIVE
        from tui_opt.runner.workforce import Workforce
        from tui_opt.scenario import registry
        from tui_opt.tui.presets import read_presets
        from tui_opt.tui.words import amount
        from tui_opt.watch import Watch

        self._watch: Watch = Watch(self.store)
        self._workforce: Workforce = Workforce(self.store, processes=self._processes, changed=self._changed)
        self._scratch: Scratch = Scratch(self.store)
        self._ready = True
        scenarios = registry().scenarios
        presets = read_presets(shipped_scenarios(), scenarios)
        devices = [
            f"cpu {amount(available_cores(), 'thread')}",
            *(f"cuda:{g.index} {g.name}" for g in gpus()),
        ]
        broken = [f"The plugin {p.name!r} is skipped: {p.reason}" for p in registry().broken]
        self._mailbox.put("loaded", Loaded(scenarios, presets, "   ".join(devices), broken))
        for first in list(scenarios.values())[:1]:
            _declare(first)
        self._workforce.ensure(INTERACTIVE)  # so that the first change finds it at work
        self._poll_again()

    def _close_shop(self) -> None:
        if self._ready:
            self._scratch.close()
            self._workforce.close()

    def _changed(self, path: Path) -> None:
        """A worker says that a run has changed; called from a thread of the workforce."""
        if path == self._watched:
            self._ask(self._refresh)

    # --- looking --------------------------------------------------------------------------------------------

    def _poll_again(self) -> None:
        """Look at the store; what stands in the way of that is said once, and not four times a second."""
        if not self._ready:
            return
        try:
            self._poll()
        except OptexploreError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                raise
        else:
            self._trouble = ""

    def _poll(self) -> None:
        rows = self._watch.poll()
        if rows is not None:
            self._rows = tuple(rows)
            self._mailbox.put("runs", RunsChanged(self._rows))
        for lane in {row.lane for row in self._rows if row.state == "queued" and row.lane}:
            self._workforce.ensure(lane)  # where its worker has ended or was killed
        self._poll_watched()

    def _poll_watched(self) -> None:
        """Look at the watched run where more of it is to come, also where somebody else has taken it up again."""
        watched, view = self._watched, self._view
        if watched is None:
            return
        if self._watched_live and (view is None or view.state == "queued"):
            from tui_opt.runner.queue import INTERACTIVE

            self._workforce.ensure(INTERACTIVE)
        listed = next((row.state for row in self._rows if row.id == watched.name), None)
        if view is None or view.active or (listed is not None and listed != view.state):
            self._refresh()

    def _look_at(self, path: Path | None, subject: int) -> None:
        self._watch_run(path, subject, live=False)
        self._refresh()

    def _watch_run(self, path: Path | None, subject: int, *, live: bool) -> None:
        self._watched, self._subject, self._watched_live, self._view = path, subject, live, None

    def _refresh(self) -> None:
        """Look at the watched run again, and tell the interface where that brings something new."""
        from tui_opt.tui.run_view import look

        if self._watched is None:
            return
        before = self._view
        if before is not None and before.final:
            return
        view = look(self._watched, before, live=self._watched_live)
        if before is not None and view.status == before.status and view.log == before.log:
            return
        self._view = view
        self._mailbox.put("view", Seen(view, self._subject))

    # --- runs -----------------------------------------------------------------------------------------------

    def _run(self, file: ScenarioFile, name: str, subject: int) -> None:
        from tui_opt.runner.planning import plan
        from tui_opt.runner.queue import enqueue, lane_of

        try:
            settled = plan(file)
            run = enqueue(settled, self.store)
            self.started[run.id] = name
        finally:
            self._coming.remove(name)
        self._begin(run, lane_of(settled), subject)
        self._refresh()  # it may wait for its turn

    def _begin(self, run: RunDirectory, lane: str, subject: int, *, live: bool = False) -> None:
        self._mailbox.put("began", Began(run.path, live, subject))
        self._watch_run(run.path, subject, live=live)
        self._workforce.wake(lane, run)

    def _run_latest(self) -> None:
        from tui_opt.runner.planning import plan
        from tui_opt.runner.queue import INTERACTIVE, lane_of

        with self._latest_lock:
            latest, self._latest = self._latest, None
        if latest is None:
            return
        file, subject, allowed = latest
        settled = plan(file)
        seconds = settled.expected_seconds
        cheap = lane_of(settled) == INTERACTIVE
        self._mailbox.put("cost", Cost(seconds, cheap))
        if cheap and allowed:
            self._begin(self._scratch.request(settled), INTERACTIVE, subject, live=True)

    def _keep(self, path: Path) -> None:
        from tui_opt.runner.run_directory import RunDirectory

        kept = self._scratch.keep(RunDirectory(path))
        if self._watched == path:
            self._mailbox.put("began", Began(kept.path, False, self._subject))
            self._look_at(kept.path, self._subject)
        self._say(f"Kept as {kept.id}.")
        self._poll()

    def _cancel(self, path: Path) -> None:
        from tui_opt.runner.cancelling import cancel
        from tui_opt.runner.run_directory import RunDirectory

        def work() -> None:
            try:
                state = cancel(RunDirectory(path), tell=self._say)
                self._say(f"The run {path.name} is {state}.")
            except OptexploreError as error:
                self._say(str(error), wrong=True)

        threading.Thread(target=work, name="cancel", daemon=True).start()

    def _cancel_ours(self) -> None:
        from tui_opt.runner.queue import withdraw
        from tui_opt.runner.run_directory import RunDirectory

        for run_id in self.started:
            with contextlib.suppress(OptexploreError, OSError):
                run = RunDirectory(self.store / run_id)
                if not withdraw(run) and run.status()["state"] == "running":
                    run.request_cancel()
        self._mailbox.put("free", Free())

    def _resume(self, path: Path, subject: int) -> None:
        from tui_opt.runner.planning import plan
        from tui_opt.runner.queue import lane_of, requeue
        from tui_opt.runner.run_directory import RunDirectory
        from tui_opt.scenario_file import read_file

        run = RunDirectory(path)
        settled = plan(read_file(path / "scenario.toml"))
        requeue(run, settled)
        self.started[run.id] = f"{settled.file.scenario.name} {settled.file.experiment.name}"
        self._begin(run, lane_of(settled), subject)
        self._refresh()

    def _remove(self, path: Path) -> None:
        from tui_opt.runner.run_directory import RunDirectory
        from tui_opt.store import Store

        Store(self.store).remove(RunDirectory(path))
        if self._watched == path:
            self._look_at(None, self._subject)
        self._say(f"Removed {path.name}.")
        self._poll()

    def _move(self, run_id: str, places: int) -> None:
        from tui_opt.runner.queue import move

        move(self.store, run_id, places)
        self._poll()

    # --- files ----------------------------------------------------------------------------------------------

    def _open(self, path: Path, from_run: bool) -> None:
        from tui_opt.scenario_file import read_file

        self._mailbox.put("opened", Opened(read_file(path), from_run))

    def _save(self, path: Path, text: str) -> None:
        from tui_opt.runner.files import write_text

        try:
            write_text(path, text)
        except OSError as error:
            self._say(f"{path} cannot be written: {error.strerror or error}.", wrong=True)
            return
        self._say(f"Saved as {path}.")


def _declare(scenario: Scenario) -> None:
    for experiment in scenario.experiments:
        experiment.params.specs()
