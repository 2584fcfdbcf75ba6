"""What the app shows when things come late, in another order, or from somebody else."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import psutil

from tests.tui.driving import Driver
from tests.tui.still import RUN, STORE, StillDesk, drive_still, view
from tests.tui.test_app_flows import SCATTER, _processes, drive
from tui_opt.runner.planning import plan
from tui_opt.runner.queue import enqueue, requeue
from tui_opt.runner.run_directory import RunDirectory
from tui_opt.runner.workforce import Workforce
from tui_opt.scenario_file import read_text
from tui_opt.store import Store
from tui_opt.tui.letters import Began, Seen
from tui_opt.tui.widgets.run_list import RunList

__all__ = ["_processes"]  # the fixture holds here too


def workers(store: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if str(store) in (p.info["cmdline"] or [])]


def test_a_second_app_shows_what_the_workers_of_the_first_do_for_it(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    first = Workforce(store)
    first.ensure("interactive")
    first.ensure("cpu")
    assert first.settle("interactive", 30)
    assert first.settle("cpu", 30)

    async def flow(d: Driver) -> None:
        await d.open("bouncing-ball", "drop")
        await d.until("done (live)")
        await d.until("Peak heights")
        await d.press("r")
        await d.until(lambda: d.bench.view is not None and d.bench.view.final and not d.bench.view.live)
        await d.until("done in")
        assert len(workers(store)) == 2

    try:
        drive(store, flow)
    finally:
        first.close()
        assert first.join(30)


def test_a_run_that_waits_says_so_and_one_taken_up_elsewhere_is_followed(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    settled = plan(read_text(SCATTER.format(seconds=20)), threads=1)
    (tmp_path / "slow.toml").write_text(SCATTER.format(seconds=20))

    async def flow(d: Driver) -> None:
        d.app.desk.run(settled.file, 0)
        await d.until(lambda: any(r.state == "running" for r in Store(store).rows()))
        await d.press("o", *"slow.toml", "enter")
        await d.until(lambda: d.bench.draft is not None)
        await d.press("r")
        await d.until("The run waits for its turn.")
        await d.press("x")
        await d.until("It was cancelled.")
        await d.press("2")
        path = d.bench.view.run.path
        other = next(r for r in Store(store).rows() if r.state == "running")
        d.app.desk.cancel(Path(other.run_dir))
        requeue(RunDirectory(path), settled)  # as another process does
        await d.until(lambda: d.bench.view is not None and d.bench.view.state == "running")
        d.app.desk.cancel(path)
        await d.until(lambda: not any(r.state == "running" for r in Store(store).rows()))

    drive(store, flow)


def test_a_live_run_whose_worker_is_killed_is_told_or_done_again(tmp_path: Path) -> None:
    store = tmp_path / "runs"

    async def flow(d: Driver) -> None:
        await d.open("bouncing-ball", "drop")
        await d.until(lambda: d.bench.view is not None and d.bench.view.final)
        (worker,) = workers(store)
        worker.send_signal(signal.SIGSTOP)
        await d.press("down", "right")
        await asyncio.sleep(0.3)
        worker.send_signal(signal.SIGKILL)
        await d.until(
            lambda: (
                d.bench.view is not None
                and (d.bench.view.state == "lost" or (d.bench.view.final and workers(store) != [worker]))
            )
        )
        await d.until(lambda: "lost" in d.text or d.bench.view.final)

    drive(store, flow)


def test_letters_that_answer_an_older_wish_change_nothing() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        await d.open("toy-sgd", "escape")
        await d.press("r")
        await d.until("to go")
        subject = d.bench._subject
        await d.press("4", "end", "enter")  # another run, of which the still desk never tells
        wanted = d.bench._run_path
        d.bench.receive(Began(STORE / RUN, False, subject))
        d.bench.receive(Seen(view("running"), subject))
        assert d.bench._run_path == wanted
        assert d.bench.view is None

    drive_still(flow)


def test_a_key_after_a_pane_s_number_is_that_pane_s() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        await d.open("toy-sgd", "landscape")
        before = d.bench.draft
        screen = d.main
        screen.show_pane("stage")
        assert screen.focused is screen.query_one("#stage")  # at once, not when there is time
        screen.show_pane("parameters")
        assert screen.focused is screen.query_one("#form").focus_target
        screen.show_pane("runs")
        assert screen.focused is screen.query_one("#runs")
        assert d.bench.draft is before

    drive_still(flow)


def test_the_cursor_follows_its_run_while_the_list_is_used() -> None:
    async def flow(d: Driver, desk: StillDesk) -> None:
        await d.press("4")
        runs = d.main.query_one(RunList)
        chosen = runs.current
        assert chosen is not None
        runs.load([*runs._rows[1:], chosen.__class__(**{**chosen.__dict__, "state": "done"})])
        assert runs.current is not None
        assert runs.current.id == chosen.id

    drive_still(flow)


def test_leaving_right_after_a_run_was_asked_for_asks(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    (tmp_path / "slow.toml").write_text(SCATTER.format(seconds=30))

    async def flow(d: Driver) -> None:
        await d.press("o", *"slow.toml", "enter")
        await d.until(lambda: d.bench.draft is not None)
        d.bench.run()
        d.main.leave()
        await d.until("under way")
        await d.press("c")
        await d.until(lambda: d.app._exit)
        await d.until(lambda: [r.state for r in Store(store).rows()] == ["cancelled"])

    drive(store, flow)


def test_damaged_runs_are_told_for_what_they_are(tmp_path: Path) -> None:
    store = tmp_path / "runs"
    settled = plan(read_text('scenario = "bouncing-ball"\nexperiment = "drop"\n'), threads=1)
    gone, torn = enqueue(settled, store), enqueue(settled, store)
    gone.write_status({**gone.read_status_file(), "state": "done", "elapsed": 1.0}, sync=False)
    (torn.path / "status.json").write_text("{")

    async def flow(d: Driver) -> None:
        d.bench.look_at(gone.path)
        await d.until(lambda: "has no result" in d.said_in("#stage"))
        d.bench.look_at(torn.path)
        await d.until("unreadable")
        await d.until(lambda: "missing or damaged" in d.said_in("#stage"))

    drive(store, flow)


def test_a_worker_shares_a_sweep_among_the_processes_it_was_given(tmp_path: Path) -> None:
    processes = 2
    store = tmp_path / "runs"
    text = SCATTER.format(seconds=0.4) + "[sweep]\nseed = {from = 1, to = 60, num = 60}\n"
    force = Workforce(store, processes=processes)
    run = enqueue(plan(read_text(text)), store, "cpu")
    force.wake("cpu", run)
    children: set[int] = set()

    async def watch() -> None:
        for _ in range(600):
            for worker in workers(store):
                with contextlib.suppress(psutil.NoSuchProcess):  # a worker that has handed its slot on
                    children.update(child.pid for child in worker.children())
            if len(children) >= processes or run.status()["state"] == "done":
                return
            await asyncio.sleep(0.05)

    try:
        asyncio.run(watch())
        run.request_cancel()
        assert len(children) >= processes
    finally:
        force.close()
        assert force.join(30)
