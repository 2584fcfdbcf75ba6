"""What a check found, and how a check is run: bounded in time, and never the end of the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["ok", "note", "problem"]

PATIENCE = 10.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        group: heading it stands under.
        name: what was looked at, in a word or two.
        state: `ok`, `note` (works, and there is something to know), or `problem` (something will not work).
        text: what was found.
        advice: what to do about it, in a sentence; never left out unless all is well.
        values: the numbers in it for scripts, sizes in bytes.
    """

    group: str
    name: str
    state: State
    text: str
    advice: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.state != "ok" and not self.advice:
            raise ValueError(f"The {self.state} {self.group}/{self.name} does not say what to do about it.")

    def plain(self) -> dict[str, Any]:
        """As JSON takes it; advice and values only where there are any."""
        out = {"group": self.group, "name": self.name, "state": self.state, "text": self.text}
        return out | {k: v for k, v in (("advice", self.advice), ("values", dict(self.values))) if v}


@dataclass(frozen=True)
class Examiner:
    """Looks at something.

    Args:
        group: heading its checks stand under.
        name: what it looks at, for the line that says it failed.
        look: gives its checks.
        patience: seconds it may take.
        when_slow: what to say when it takes longer.
    """

    group: str
    name: str
    look: Callable[[], Iterable[Check]]
    patience: float = PATIENCE
    when_slow: tuple[State, str] = (
        "problem",
        "Find out what hangs: a file system, a driver or a service does not answer.",
    )

    def checks(self) -> list[Check]:
        """What it found. A failing or hanging look is a line of its own."""
        found: list[Check] = []
        failed: list[BaseException] = []

        def work() -> None:
            try:
                found.extend(self.look())
            except BaseException as error:  # whatever it is, the other checks must go on
                failed.append(error)

        # A thread, because a call that hangs in the kernel (NFS, a driver) cannot be interrupted, only left behind.
        thread = threading.Thread(target=work, name=f"doctor-{self.name}", daemon=True)
        thread.start()
        thread.join(self.patience)
        if thread.is_alive():
            state, advice = self.when_slow
            return [Check(self.group, self.name, state, f"no answer within {self.patience:g} s", advice)]
        if failed:
            what = f"could not be checked ({type(failed[0]).__name__}: {failed[0]})"
            advice = "The check itself failed; whether the machine is at fault, its text must tell."
            return [*found, Check(self.group, self.name, "problem", what, advice)]
        return found


def size_text(size: float) -> str:
    """Bytes as people say them: `1.5 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB" if size < 1000 else f"{size:.0f} TB"
