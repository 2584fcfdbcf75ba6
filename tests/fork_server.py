"""A process that has imported everything and forks an `optexplore` on request, so that hundreds of them cost little.

Reads a JSON object a line: {"start": {"words", "out", "err", "ignore", "worker", "environment", "folder",
"checkpoints"}} answers {"pid"}, {"poll": pid} answers {"code"}, null while it runs, and minus the signal's number where
one ended it. A worker leads a session of its own, as real ones do, and its app is gone from the start: it drains what
it can claim.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import warnings
from typing import Any


def prepare() -> None:
    """Import what a run needs."""
    import bouncing_ball.compute  # noqa: F401
    import numba.core.event  # noqa: F401

    import tui_opt.cli.batch
    import tui_opt.cli.runs
    import tui_opt.runner.sweeping
    import tui_opt.runner.worker  # noqa: F401
    from tui_opt.runner.machine import provenance
    from tui_opt.scenario import registry

    registry()
    provenance("cpu", "float64", 1)
    gc.freeze()


def child(
    words: list[str],
    out: str,
    err: str,
    ignore: list[int],
    worker: bool,
    environment: dict[str, str] | None,
    folder: str | None,
    checkpoints: float | None,
) -> None:
    """Become `optexplore`, or a worker, with these words; never returns.

    Checkpoints that are written every few hundredths of a second are often met half-written by a kill.
    """
    from tui_opt.cli import main
    from tui_opt.runner import context
    from tui_opt.runner import worker as worker_module

    code = 70
    try:
        for number in ignore:
            signal.signal(number, signal.SIG_IGN)
        for path, stream in ((out, 1), (err, 2), (os.devnull, 0)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644), stream)
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)
        if folder is not None:
            os.chdir(folder)
        if checkpoints is not None:
            context.Checkpoint.__init__.__defaults__ = (checkpoints,)
        if worker:
            os.setsid()
            sys.exit(worker_module.main(words))
        sys.argv = ["optexplore", *words]
        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def poll(pid: int, ended: dict[int, int]) -> int | None:
    """How a child ended, None while it runs."""
    if pid not in ended:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found == 0:
            return None
        ended[pid] = os.waitstatus_to_exitcode(status)
    return ended[pid]


def fork() -> int:
    """Fork; the threads of number libraries, which later Pythons warn of, are idle here and not missed there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def serve() -> None:
    """Answer requests until stdin ends."""
    prepare()
    ended: dict[int, int] = {}
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        if "start" in request:
            pid = fork()
            if pid == 0:
                child(**request["start"])
            print(json.dumps({"pid": pid}), flush=True)
        else:
            print(json.dumps({"code": poll(request["poll"], ended)}), flush=True)


if __name__ == "__main__":
    serve()
