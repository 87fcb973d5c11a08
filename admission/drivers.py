"""The two drivers of plans, and the box of each colour. All waiting of callers happens here."""

from __future__ import annotations

import asyncio
import math
import queue
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from admission.core.messages import AskDirectly, Post

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from admission.clocks import Clock
    from admission.core.messages import Effect, Mail, Message, Want
    from admission.core.plans import Heard

T = TypeVar("T")


class ThreadBox:
    """Mail for a thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mail: queue.SimpleQueue[Mail | None] = queue.SimpleQueue()

    def put(self, mail: Mail | None) -> bool:
        """Deliver, from any thread or signal handler."""
        self._mail.put(mail)
        return True

    def get(self, until: float | None) -> Mail | None:
        """Return the next mail, or `None` when `until` passes first."""
        while True:
            try:
                if until is None:
                    timeout = None
                elif until <= self._clock.now():
                    timeout = 0.0
                else:
                    timeout = self._clock.arm(until, lambda: self._mail.put(None))
                mail = self._mail.get(timeout=timeout) if timeout != 0.0 else self._mail.get_nowait()
            except queue.Empty:
                return None
            if mail is not None or (until is not None and self._clock.now() >= until):
                return mail


PULL_AGAIN = 1.0
"""Seconds after which a loop that has not come is called once more."""


class Bell:
    """Rings boxes of one event loop from other threads: all that have mail by the loop's next turn wake it once.

    It keeps neither the loop nor its boxes alive. A loop drops what it was called for when a signal's handler raises
    in that moment; then the next mail calls it again.
    """

    def __init__(self) -> None:
        self._boxes: deque[weakref.ref[LoopBox]] = deque()
        self._pulled_at = -math.inf
        """When the loop was called, until it comes."""

    def pull(self, loop: asyncio.AbstractEventLoop, box: LoopBox) -> bool:
        """Have a box rung by its loop; return whether the loop is still there."""
        self._boxes.append(weakref.ref(box))
        now = time.monotonic()
        if now - self._pulled_at < PULL_AGAIN:
            return not loop.is_closed()
        self._pulled_at = now
        try:
            loop.call_soon_threadsafe(self._ring)
        except BaseException as error:
            self._pulled_at = -math.inf
            if isinstance(error, RuntimeError):  # the loop is closed
                return False
            raise
        return True

    def _ring(self) -> None:
        # First, so that whoever comes while boxes are rung calls again.
        self._pulled_at = -math.inf
        while self._boxes:
            box = self._boxes[0]()
            if box is not None:
                box.ring()
            # Last, so that a box is rung twice rather than never.
            self._boxes.popleft()


_BELLS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Bell] = weakref.WeakKeyDictionary()


class LoopBox:
    """Mail for a task. Safe against a loop that is closed by the time the mail comes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._bell = _BELLS.get(self._loop) or _BELLS.setdefault(self._loop, Bell())
        self._mail: deque[Mail] = deque()
        self._rung: asyncio.Future[None] | None = None

    def put(self, mail: Mail) -> bool:
        """Deliver, from any thread; a loop that is closed has no caller left to wake."""
        self._mail.append(mail)
        return self._bell.pull(self._loop, self)

    def ring(self) -> None:
        """Wake the task, if it waits; on its loop."""
        if self._rung is not None and not self._rung.done():
            self._rung.set_result(None)

    def _ring_soon(self) -> None:
        self._bell.pull(self._loop, self)

    async def get(self, until: float | None) -> Mail | None:
        """Return the next mail, or `None` when `until` passes first."""
        while not self._mail:
            if until is not None and until <= self._clock.now():
                return None
            self._rung = self._loop.create_future()
            timer = None
            if until is not None:
                timeout = self._clock.arm(until, self._ring_soon)
                if timeout is not None:
                    timer = self._loop.call_later(timeout, self.ring)
            try:
                await self._rung
            finally:
                self._rung = None
                if timer is not None:
                    timer.cancel()
        return self._mail.popleft()


def run(
    plan: Generator[Effect, Heard, T],
    box: ThreadBox,
    post: Callable[[Message], None],
    clock: Clock,
    ask_directly: Callable[[Want], Mail | None],
) -> T:
    """Drive a plan in this thread and return its result; whatever interrupts it closes it."""
    try:
        effect = next(plan)
        while True:
            mail = None
            if isinstance(effect, Post):
                post(effect.message)
            elif isinstance(effect, AskDirectly):
                mail = ask_directly(effect.want)
            else:
                mail = box.get(effect.until)
            effect = plan.send((clock.now(), mail))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        plan.close()


async def arun(
    plan: Generator[Effect, Heard, T],
    box: LoopBox,
    post: Callable[[Message], None],
    clock: Clock,
    ask_directly: Callable[[Want], Awaitable[Mail | None]],
) -> T:
    """Drive a plan in this task and return its result; whatever interrupts it closes it."""
    try:
        effect = next(plan)
        while True:
            mail = None
            if isinstance(effect, Post):
                post(effect.message)
            elif isinstance(effect, AskDirectly):
                mail = await ask_directly(effect.want)
            else:
                mail = await box.get(effect.until)
            effect = plan.send((clock.now(), mail))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        plan.close()
