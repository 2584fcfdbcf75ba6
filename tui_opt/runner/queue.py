"""The queue: it is the run directories in the state `queued`, and nothing else holds work.

Whoever changes a queued run holds its lock for that moment, so a run is never claimed and withdrawn at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tui_opt.errors import StoreError, UsageError
from tui_opt.runner.claiming import claim_again
from tui_opt.runner.planning import Plan
from tui_opt.runner.run_directory import RunDirectory, now
from tui_opt.runner.stamp import touch
from tui_opt.store import RunRow, Store

#: the lane of cheap runs; the others are devices: `cpu`, `cuda:0`.
INTERACTIVE = "interactive"
INTERACTIVE_SECONDS = 2.0
_PATIENCE = 0.5


def lane_of(plan: Plan) -> str:
    """The lane a run waits in: `interactive` where it takes a moment, else that of its device."""
    cheap = plan.file.sweep is None and plan.expected_seconds <= INTERACTIVE_SECONDS
    return INTERACTIVE if cheap else plan.device


def enqueue(plan: Plan, store: Path, lane: str | None = None) -> RunDirectory:
    """Put a run at the end of the queue; errors as for `RunDirectory.create`."""
    file = plan.file
    run = RunDirectory.create(
        store,
        file.scenario.name,
        file.experiment.name,
        file.to_toml(),
        claim=False,
        status=_place(plan, lane),
    )
    touch(store, run.id)
    return run


def _place(plan: Plan, lane: str | None = None) -> dict[str, Any]:
    return {"lane": lane or lane_of(plan), "order": time.time(), "title": plan.file.label}


def waiting(store: Path) -> list[RunRow]:
    """The queued runs in the order in which they will be claimed."""
    return in_turn(Store(store).rows())


def in_turn(rows: Iterable[RunRow]) -> list[RunRow]:
    """The queued ones of some rows in the order in which they will be claimed."""
    return sorted((row for row in rows if row.state == "queued"), key=lambda r: (place(r), r.created, r.id))


def place(row: RunRow) -> float:
    """What the queue is ordered by, lower first."""
    return 0.0 if row.order is None else row.order


def claim(run: RunDirectory) -> bool:
    """Take a queued run's lock, to work on it; False where it is no longer queued or somebody else has it."""
    return _held_while_queued(run, 0.0) is not None


def _held_while_queued(run: RunDirectory, timeout: float) -> dict[str, Any] | None:
    """The status of a queued run with its lock held; None, and nothing held, where it is not queued."""
    if not _is_queued(run):
        return None  # without waiting for whoever works on it
    try:
        if not run.lock.acquire(timeout=timeout):
            return None
    except OSError:  # removed, or not ours to open
        return None
    try:
        status = run.read_status_file()
    except StoreError:
        status = {}
    except BaseException:
        run.lock.release()
        raise
    if status.get("state") != "queued":
        run.lock.release()
        return None
    return status


def _is_queued(run: RunDirectory) -> bool:
    try:
        return bool(run.read_status_file()["state"] == "queued")
    except StoreError:
        return False


def withdraw(run: RunDirectory, patience: float = _PATIENCE) -> bool:
    """Cancel a run that waits; False where it is no longer queued, or is being claimed for `patience` seconds."""
    status = _held_while_queued(run, patience)
    if status is None:
        return False
    try:
        _write(run, {**status, "state": "cancelled", "error": "Taken out of the queue before it began."})
        run.event("state", state="cancelled")
    finally:
        run.lock.release()
    touch(run.path.parent, run.id)
    return True


def requeue(run: RunDirectory, plan: Plan, lane: str | None = None) -> None:
    """Put a run that ended without a result at the end of the queue. What it has finished stays finished.

    Raises:
        StoreError: it is done, waits already, or somebody works on it.
    """
    claim_again(run)
    try:
        before = run.read_status_file()
        if before["state"] == "queued":
            raise StoreError(f"The run {run.id} waits in the queue already.")
        created = before.get("created", now())
        _write(run, {"state": "queued", "created": created, "progress": 0.0, **_place(plan, lane)})
        run.event("state", state="queued")
    finally:
        run.lock.release()
    touch(run.path.parent, run.id)


def move(store: Path, run_id: str, places: int) -> None:
    """Move a queued run among those of its lane.

    Args:
        store: the folder of runs.
        run_id: the run.
        places: how far; negative is towards the front, and beyond an end is that end.

    Raises:
        UsageError: it is not queued.
        StoreError: its place cannot be written.
    """
    queue = waiting(store)
    row = next((row for row in queue if row.id == run_id), None)
    if row is None:
        raise UsageError(f"The run {run_id} does not wait in the queue, so it has no place there.")
    lane = [other for other in queue if other.lane == row.lane]
    others = [other for other in lane if other.id != run_id]
    target = min(max(lane.index(row) + places, 0), len(others))
    order = between([place(other) for other in others], target)
    if order is None:  # no number is left between its neighbours
        others.insert(target, row)
        first = place(lane[0])
        _reorder(store, {other.id: first + number for number, other in enumerate(others)})
    else:
        _reorder(store, {run_id: order})


def between(orders: list[float], target: int) -> float | None:
    """A number that sorts before `orders[target]` and after the one before it; None where there is none."""
    if not orders:
        return 0.0
    if target == 0:
        return orders[0] - 1.0
    if target == len(orders):
        return orders[-1] + 1.0
    low, high = orders[target - 1], orders[target]
    middle = (low + high) / 2
    return middle if low < middle < high else None


def _reorder(store: Path, orders: Mapping[str, float]) -> None:
    for run_id, order in orders.items():
        run = RunDirectory(store / run_id)
        status = _held_while_queued(run, _PATIENCE)
        if status is None:
            continue  # claimed or withdrawn since the list was made
        try:
            _write(run, {**status, "order": order})
        finally:
            run.lock.release()
        touch(store, run_id)


def _write(run: RunDirectory, status: Mapping[str, Any]) -> None:
    try:
        run.write_status(status, sync=True)
    except OSError as error:
        raise StoreError(f"The state of {run.id} cannot be written: {error.strerror or error}.") from None
