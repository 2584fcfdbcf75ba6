"""Keys one after the other: each is handed out when the one before has been acted on.

Textual gives a key to the widget that has the focus, and looks for its binding when it has come back up from there. Of
keys that arrive together, as over a slow line, a letter would so overtake a backspace, and what follows a key that
moves the focus would go where the focus was.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App
from textual.events import Event, Key, Paste
from textual.message_pump import MessagePump

#: a key becomes an action, an action a message, and that another: each is done a lap later.
LAPS = 3
#: seconds between looks whether a widget has been taken away: it says nothing any more.
LOOK = 0.05
#: seconds after which a key stops waiting for the one before it. On a busy machine the screen may be at something for a
#: second, and a key that went ahead would be lost, or be a command where a letter was meant.
PATIENCE = 10.0


class Keyboard:
    """Hands out keys and pasted texts.

    Args:
        app: whose keys they are.
        hand_out: gives one to Textual.
    """

    def __init__(self, app: App[Any], hand_out: Callable[[Event], Awaitable[None]]) -> None:
        self._app = app
        self._hand_out = hand_out
        self._waiting: deque[Key | Paste] = deque()
        self._task: asyncio.Task[None] | None = None

    def take(self, event: Key | Paste) -> None:
        """Hand it out when its turn comes."""
        self._waiting.append(event)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._waiting:
            self._app.call_later(self._hand_out, self._waiting.popleft())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._acted_on()

    async def _acted_on(self) -> None:
        """Go the way of the key behind it, from the widget up to the app."""
        await _settled(self._app)
        target = self._app.focused or self._app.screen
        for _ in range(LAPS):
            for node in target.ancestors_with_self:
                await _settled(node)


async def _settled(pump: MessagePump) -> None:
    """Wait until what stands in a queue now has been done, or nobody is there any more to do it."""
    done = asyncio.Event()
    if not pump.call_later(done.set):
        return
    while pump.is_attached:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK):
                await done.wait()
                return
