"""A tab of the browser: as long as it is open, its session advances and its frames are sent."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import Client, background_tasks, ui

from ratenet.app.messages import as_json
from ratenet.errors import RatenetError

FRAME = 1 / 30  # s from one frame to the next, at least
ANSWER = 5.0  # s that a tab may take to draw one: it may be hidden
SHARE = 3  # of the time that a look takes, for which it then waits
PAUSE = 0.5  # s from one look at the eigenvalues to the next


class Tab:
    """Tasks and messages of one tab; a closed one ends its tasks.

    Parameters
    ----------
    client : Client
    """

    def __init__(self, client: Client) -> None:
        self._client, self._lock = client, asyncio.Lock()

    def begin(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do some work until the tab is closed."""
        task = background_tasks.create(self._guarded(work))
        self._client.on_delete(lambda: task.cancel())

    async def compute(self, function: Callable[..., Any], *given: Any) -> Any:
        """Return what a function returns, in a thread; one at a time for each tab."""
        async with self._lock:
            return await asyncio.to_thread(function, *given)

    async def send(self, name: str, message: Any) -> None:
        """Call a function of static/app.js, and wait until it is done: so none queue up."""
        try:
            await self._client.run_javascript(
                f"return ratenet.{name}({as_json(message)});", timeout=ANSWER
            )
        except TimeoutError:  # hidden, or closing
            await asyncio.sleep(FRAME)

    async def play(self, frame: Callable[[float], Any]) -> None:
        """Send frames for ever: each is given the seconds since the one before.

        One is computed while the one before is drawn.
        """
        latest, message = time.monotonic(), await self.compute(frame, 0.0)
        while True:
            now = time.monotonic()
            passed, latest = now - latest, now
            _, message = await asyncio.gather(
                self.send("frame", message), self.compute(frame, passed)
            )
            await asyncio.sleep(max(0.0, FRAME - (time.monotonic() - now)))

    async def watch(self, name: str, look: Callable[[], Any]) -> None:
        """Send what a slower function returns for ever, beside the frames, most time to these."""
        while True:
            began = time.monotonic()
            message = await asyncio.to_thread(look)
            spent = time.monotonic() - began
            await self.send(name, message)
            await asyncio.sleep(max(PAUSE, SHARE * spent))

    async def wait(self) -> None:
        """Let some time pass in which nothing is to be done."""
        await asyncio.sleep(PAUSE)

    def say(self, sentence: str) -> None:
        """Show a sentence about a mistake for a while."""
        with self._client:
            ui.notify(sentence, type="warning", multi_line=True, timeout=6000)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        await self._client.connected()
        self._client.run_javascript("ratenet.nameSliders();")
        try:
            await work()
        except RatenetError as error:
            self.say(str(error))
