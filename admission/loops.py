"""Background tasks of a guard on one event loop, ended by the loop's own shutdown, so that none is left half done."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine


class LoopTasks:
    """Starts tasks on the loop that was running when `begin` was awaited, from any thread.

    An asynchronous generator is kept half way: every loop finishes those when it ends (`shutdown_asyncgens`), after it
    has cancelled its tasks, and that ends what was started here meanwhile.
    """

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.callers = 0
        """How many callers of the guard wait on this loop."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False
        self._pid = os.getpid()
        self._life = self._live()

    async def begin(self) -> None:
        """Make the loop end this when it ends."""
        await anext(self._life)

    async def end(self) -> None:
        """Cancel what is under way, and start nothing any more."""
        await self._life.aclose()

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._ended = True
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, make: Callable[[], Coroutine[object, object, None]], refused: Callable[[], None]) -> bool:
        """Start what `make` returns as a task; return whether the loop takes it. May be called in any thread.

        `refused` is called when the loop ends before it has begun.
        """

        def start() -> None:
            if self._ended:
                refused()
                return
            task = self.loop.create_task(make())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        if self._ended or self._pid != os.getpid():  # a forked child runs no loop of its parent
            return False
        try:
            self.loop.call_soon_threadsafe(start)
        except RuntimeError:  # the loop is closed
            return False
        return True
