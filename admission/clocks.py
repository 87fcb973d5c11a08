"""The clocks that shells live by: the machine's own, and one that tests turn by hand."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock(Protocol):
    """A clock that never goes back and also runs while the machine is suspended."""

    def now(self) -> float:
        """Return seconds since some fixed moment."""
        ...

    def arm(self, until: float, ring: Callable[[], None]) -> float | None:
        """Return the real seconds to wait until `until`, or arrange for `ring` to be called then and return `None`."""
        ...


class SystemClock:
    """The machine's clock, suspension included where the system can tell."""

    _id = getattr(time, "CLOCK_BOOTTIME", None)

    def now(self) -> float:
        """Return seconds since the machine was started."""
        return time.monotonic() if self._id is None else time.clock_gettime(self._id)

    def arm(self, until: float, ring: Callable[[], None]) -> float | None:  # noqa: ARG002 - the machine waits by itself
        """Return the seconds until `until`."""
        return max(0.0, until - self.now())


class VirtualClock:
    """A clock that stands still until a test turns it; for `MemoryLedger(clock=...)`.

    Waits of guards end when the test has advanced the clock far enough, in the order of their times.
    """

    def __init__(self, start: float = 1_000.0) -> None:
        self._now = start
        self._alarms: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._lock = threading.RLock()

    def now(self) -> float:
        """Return the virtual seconds."""
        return self._now

    def arm(self, until: float, ring: Callable[[], None]) -> float | None:
        """Call `ring` when the clock reaches `until`; there is no real wait."""
        with self._lock:
            if until <= self._now:
                return 0.0
            heapq.heappush(self._alarms, (until, next(self._count), ring))
        return None

    def advance(self, seconds: float) -> None:
        """Turn the clock forward by `seconds`, ringing on the way whatever is due.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"seconds={seconds}: a clock never goes back")
        with self._lock:
            end = self._now + seconds
        while True:
            with self._lock:
                if not self._alarms or self._alarms[0][0] > end:
                    self._now = end
                    return
                until, _, ring = heapq.heappop(self._alarms)
                self._now = max(self._now, until)
            ring()
