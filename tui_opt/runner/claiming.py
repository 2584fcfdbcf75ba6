"""Taking up a run again that ended without a result."""

from __future__ import annotations

from tui_opt.errors import StoreError
from tui_opt.runner.run_directory import RunDirectory


def claim_again(run: RunDirectory) -> None:
    """Claim a run that ended without a result, to resume it.

    Raises:
        StoreError: it is done, or somebody works on it.
    """
    try:
        free = run.lock.acquire()
    except OSError as error:
        raise StoreError(f"The run {run.id} cannot be worked on: {error.strerror or error}.") from None
    if not free:
        raise StoreError(f"The run {run.id} is being worked on by another process.")
    try:
        if (run.path / "result.json").exists():
            raise StoreError(f"The run {run.id} is done; there is nothing to resume.")
        # Here and not later: as soon as the run says that it is running, a request may be meant for this attempt.
        run.begin_attempt()
    except OSError as error:
        run.lock.release()
        raise StoreError(f"The run {run.id} cannot be worked on: {error.strerror or error}.") from None
    except BaseException:
        run.lock.release()
        raise
