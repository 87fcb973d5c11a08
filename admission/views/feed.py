"""The state of an account, once a second, for any number of viewers: the ledger is asked once for all of them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from admission.errors import AdmissionError
from admission.views.state import PARTS, json_of, parts_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from admission.aguard import AsyncGuard
    from admission.values import Policy, Status

EVERY = 1.0
"""Seconds from one question to the ledger to the next."""
ANSWER = 2.5
"""Seconds after which the ledger counts as silent."""
KEPT = 600
"""Moments that are kept for the chart: ten minutes."""

SAMPLE = ("at", "limit", *PARTS, "waiting")
"""What a row of the history tells, in this order; of a moment at which the ledger was silent only the first."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What was seen at one moment.

    Attributes:
        at: Seconds since 1970, for the chart.
        status: The state; `None` when the ledger did not tell it.
        fault: Why it did not; else empty.
    """

    at: float
    status: Status | None
    fault: str = ""

    def sample(self) -> list[float | int | None]:
        """Return the moment as a row of the history; see `SAMPLE`."""
        if self.status is None:
            return [round(self.at, 1)]
        parts = parts_of(self.status)
        numbers = [getattr(parts, name) for name in PARTS]
        return [round(self.at, 1), self.status.limit, *numbers, self.status.waiting]

    def json(self, policy: Policy) -> dict[str, Any]:
        """Return the moment as it is sent to viewers."""
        state = None if self.status is None else json_of(self.status, policy)
        return {"at": round(self.at, 1), "state": state, "fault": self.fault}


class Feed:
    """Asks the ledger while somebody looks on, and never otherwise. For one event loop.

    Args:
        guard: Whose account is shown. Its provider is never asked.
        every: Seconds from one question to the next.
        kept: Moments that are kept for viewers to come.
        clean: Takes the text of a fault, returns what may be shown of it.
    """

    def __init__(
        self, guard: AsyncGuard, *, every: float = EVERY, kept: int = KEPT, clean: Callable[[str], str] = str
    ) -> None:
        self.guard = guard
        self.history: deque[Moment] = deque(maxlen=kept)
        self.viewers: int = 0
        self.asked: int = 0
        """How often the ledger was asked."""
        self._every = every
        self._clean = clean
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Event()
        self._closed = False
        self._failure: Exception | None = None

    async def moments(self) -> AsyncGenerator[Moment, None]:
        """Yield the newest moment each time there is one, until `close`; whoever is slow misses some."""
        self._failure = None
        self.viewers += 1
        try:
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._ask_on())
            while not self._closed:
                await self._turn.wait()
                if self._failure is not None:
                    raise self._failure
                if not self._closed:
                    yield self.history[-1]
        finally:
            self.viewers -= 1
            if not self.viewers and self._task is not None:
                self._task.cancel()
                self._task = None

    async def look(self) -> Moment:
        """Return the state now, or as it was less than a turn ago."""
        if not self.history or time.time() - self.history[-1].at >= self._every:
            await self._ask()
        return self.history[-1]

    def close(self) -> None:
        """Let all viewers go."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()

    async def _ask_on(self) -> None:
        while not self._closed:
            begun = time.monotonic()
            try:
                await self._ask()
            except Exception as error:  # noqa: BLE001 - a fault of ours must reach those who wait
                self._failure = error
                self._wake()
                return
            await asyncio.sleep(max(0.0, begun + self._every - time.monotonic()))

    async def _ask(self) -> None:
        self.asked += 1
        try:
            async with asyncio.timeout(ANSWER):
                status = await self.guard.status()
            moment = Moment(time.time(), status)
        except TimeoutError:
            moment = Moment(time.time(), None, f"the ledger did not answer within {ANSWER:g} s")
        except AdmissionError as error:
            moment = Moment(time.time(), None, self._clean(str(error)))
        self.history.append(moment)
        self._wake()


def silent_since(history: deque[Moment]) -> tuple[Moment | None, float]:
    """Return the newest moment with a state, and how many seconds before the newest of all it was."""
    for moment in reversed(history):
        if moment.status is not None:
            return moment, history[-1].at - moment.at
    return None, 0.0
