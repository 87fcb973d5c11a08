"""`Account`: the stand-in provider's calls and their truth, by a clock and behind a lock. No I/O."""

from __future__ import annotations

import math
import random
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from admission.errors import CallRejected, ConfigurationError
from admission.testing._calls import Call, CallBook, Mark, Overshoot
from admission.testing._messages import Dial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Account:
    """The part of `FakePureTalk` that knows what is going on; see there for arguments and attributes."""

    def __init__(
        self,
        limit: int,
        *,
        visibility_lag: float = 0.0,
        jitter: bool = False,
        enforce: bool = True,
        count_ringing: bool = True,
        seed: int = 0,
        foreign: int = 0,
        foreign_rate: float = 0.0,
        foreign_duration: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check(limit=limit, visibility_lag=visibility_lag, foreign=foreign)
        self.visibility_lag = visibility_lag
        self.jitter = jitter
        self.enforce = enforce
        self.count_ringing = count_ringing
        self.refusal_retry_after: float | None = None
        self.refused: int = 0
        self._clock = clock
        self._begin = clock()
        self._lock = threading.RLock()
        self._lags = random.Random(f"lags {seed}")  # noqa: S311 - a simulation, no secret
        traffic = random.Random(f"foreign {seed}")  # noqa: S311 - a simulation, no secret
        self._book = CallBook(limit, self._begin, foreign=foreign, rng=traffic)
        self.set_foreign_rate(foreign_rate, foreign_duration)

    @property
    def limit(self) -> int:
        """Calls that the account may run at once."""
        return self._book.limit

    @property
    def live(self) -> int:
        """Calls that are live now, own and foreign, ringing ones too."""
        with self._present() as book:
            return book.live

    @property
    def own(self) -> int:
        """Own calls that are live now."""
        with self._present() as book:
            return book.own

    @property
    def foreign(self) -> int:
        """Foreign calls that are live now."""
        with self._present() as book:
            return book.foreign

    @property
    def peak(self) -> int:
        """Most calls that were ever live at once, own and foreign."""
        with self._present() as book:
            return book.peak

    @property
    def started(self) -> int:
        """Own calls that were accepted."""
        return self._book.started

    @property
    def overshoots(self) -> int:
        """Attempts to start an own call with no line free.

        Counted whether the call was refused or (without `enforce`) taken: what the fleet did wrong, not what
        came of it. Foreign calls never count.
        """
        return len(self._book.overshoots)

    @property
    def overshoot_log(self) -> tuple[Overshoot, ...]:
        """Each overshoot, with the moment (seconds of `clock`) and the numbers just before it."""
        return tuple(self._book.overshoots)

    def mark(self) -> Mark:
        """Return the present moment, for `busy`."""
        with self._present() as book:
            return book.mark()

    def busy(self, since: Mark | None = None, until: Mark | None = None) -> float:
        """Return how busy the account was between two marks: the time's mean of `min(live, limit) / limit`.

        Args:
            since: A mark; `None` for the beginning.
            until: A later mark; `None` for now.

        Returns:
            0 to 1. The present share when no time lies between; a limit of 0 is always busy.
        """
        with self._present() as book:
            return book.busy(since, until)

    def set_limit(self, limit: int) -> None:
        """Change the limit. Live calls go on; the next reading shows it at once, unless it is cached."""
        check(limit=limit)
        with self._present() as book:
            book.set_limit(limit)

    def set_foreign(self, calls: int) -> None:
        """Hold that many constant foreign calls live from now on, as many of them as find a line free now."""
        check(calls=calls)
        with self._present() as book:
            book.set_standing(calls)

    def set_foreign_rate(self, per_minute: float, duration: float = 60.0) -> None:
        """Let foreign calls come at random (Poisson); those that find no line free are lost.

        Args:
            per_minute: Calls that come each minute in the mean; 0 for none. Those that are live go on.
            duration: Seconds that each lasts.
        """
        check(per_minute=per_minute, duration=duration)
        if math.isinf(per_minute):
            raise ConfigurationError("per_minute=inf: give a finite rate")
        with self._present() as book:
            book.set_passing(per_minute / 60, duration)

    def start_call(self, duration: float | None = None, *, ring: float = 0.0, metadata: object = None) -> str:
        """Start an own call without HTTP and without scripted faults.

        Args:
            duration: Seconds until it ends by itself, ringing included; `None` for never.
            ring: Seconds at its beginning during which it rings.
            metadata: Anything; `GET /api/calls/{call_id}` shows it.

        Returns:
            The call's id.

        Raises:
            CallRejected: No line was free, and the limit is enforced.
        """
        span = math.inf if duration is None else duration
        check(duration=span, ring=ring)
        call = self._start(Dial(span, ring, metadata))
        if call is None:
            raise CallRejected(self.refusal_retry_after)
        return call.call_id

    def end_call(self, call_id: str) -> None:
        """End an own call now; one that has ended stays as it is.

        Raises:
            KeyError: No such call was started, or it ended long ago and is forgotten.
        """
        with self._present() as book:
            call = book.find(call_id)
            if call is None:
                raise KeyError(call_id)
            book.end(call)

    @contextmanager
    def _present(self) -> Iterator[CallBook]:
        with self._lock:
            self._book.advance(self._clock(), keep=self.visibility_lag)
            yield self._book

    def _count(self, book: CallBook) -> int:
        lag = self._lags.uniform(0, self.visibility_lag) if self.jitter else self.visibility_lag
        return book.count_seen(lag, ringing=self.count_ringing)

    def _start(self, dial: Dial) -> Call | None:
        with self._present() as book:
            if not book.attempt() and self.enforce:
                self._count_refusal()
                return None
            return book.start(dial)

    def _count_refusal(self) -> None:
        self.refused += 1


def check(**values: object) -> None:
    """Check that every value is a number, at least 0.

    Raises:
        ConfigurationError: One is not; it is named.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise ConfigurationError(f"{name}={value!r}: give a number, at least 0")
