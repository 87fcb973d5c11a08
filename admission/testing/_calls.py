"""The truth of the stand-in provider: which calls are live, since when, and what a late look at them shows.

Pure bookkeeping: no I/O, no lock, no clock. Whoever owns a `CallBook` advances it to the present before each
use. All times are seconds of one clock that never goes back; spans are half open, so that a call which ends
at 5 s is over at 5 s.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from admission.testing._messages import Dial

REMEMBERED_CALLS = 20_000
"""Ended calls that can still be asked for; older ones are forgotten, so that long runs stay small."""

_GRACE = 1e-9
"""Seconds: `t + lag - lag` may fall short of `t` in floating point, and must still show an event at `t`."""


@dataclass(slots=True)
class Call:
    """One own call.

    Attributes:
        call_id: Its name at the provider.
        started_at: When the provider accepted it, seconds.
        ringing: Whether it still rings.
        ended_at: When it ended, seconds; `None` while it is live.
        metadata: What the caller gave along.
    """

    call_id: str
    started_at: float
    ringing: bool
    metadata: object = None
    ended_at: float | None = None


class Overshoot(NamedTuple):
    """One attempt to start an own call with no line left: when, and the numbers just before it."""

    at: float
    live: int
    foreign: int
    limit: int


class Mark(NamedTuple):
    """A moment to measure from: `at` seconds, and the `busy_seconds` that had passed by then."""

    at: float
    busy_seconds: float


class _Level(NamedTuple):
    """From `at` on this many calls were live, of which so many rang."""

    at: float
    live: int
    ringing: int


class CallBook:
    """Own and foreign calls on one account, brought forward by `advance`.

    Args:
        limit: Calls that the account may run at once.
        now: The present, seconds.
        foreign: Foreign calls that have been live for ever, as many of them as the limit allows.
        rng: Draws the arrivals of foreign calls.
    """

    def __init__(self, limit: int, now: float, *, foreign: int, rng: random.Random) -> None:
        self.now = now
        self.limit = limit
        self.own = 0
        self.foreign = self._standing = min(foreign, limit)
        self.peak = self.foreign
        self.started = 0
        self.overshoots: list[Overshoot] = []
        self._begin = now
        self._rng = rng
        self._ringing = 0
        self._arrivals = 0
        self._busy_seconds = 0.0
        self._busy_until = now
        self._calls: dict[str, Call] = {}
        self._ended: deque[str] = deque()
        self._timers: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self._history = deque([_Level(-math.inf, self.foreign, 0)])
        self._looked_at = -math.inf

    @property
    def live(self) -> int:
        """Calls live now, own and foreign."""
        return self.own + self.foreign

    def advance(self, now: float, *, keep: float) -> None:
        """Let everything happen that was due by `now`, and forget levels that ended over `keep` seconds ago."""
        while self._timers and self._timers[0][0] <= now:
            at, _, happen = heapq.heappop(self._timers)
            happen(at)
        self.now = max(self.now, now)
        self._forget_before(self.now - keep)

    def attempt(self) -> bool:
        """Note an attempt to start an own call now, and return whether a line is free for it."""
        if self.live < self.limit:
            return True
        self.overshoots.append(Overshoot(self.now, self.live, self.foreign, self.limit))
        return False

    def start(self, dial: Dial) -> Call:
        """Start an own call now, line or no line."""
        self.started += 1
        call = Call(f"call-{self.started:06d}", self.now, ringing=dial.ring > 0, metadata=dial.metadata)
        self._calls[call.call_id] = call
        self._move(self.now, own=1, ringing=int(call.ringing))
        if call.ringing:
            self._set_timer(self.now + dial.ring, partial(self._answer, call))
        self._set_timer(self.now + dial.duration, partial(self._end, call))
        return call

    def find(self, call_id: str) -> Call | None:
        """Return the own call of that name, live or ended."""
        return self._calls.get(call_id)

    def end(self, call: Call) -> None:
        """End a call now; once ended it stays as it is."""
        self._end(call, self.now)

    def set_limit(self, limit: int) -> None:
        """Change the limit from now on; live calls are not touched."""
        self._account_until(self.now)
        self.limit = limit

    def set_standing(self, calls: int) -> None:
        """Hold that many foreign calls from now on: as many as have a line, each taken once."""
        wanted = calls - self._standing
        change = min(wanted, max(self.limit - self.live, 0))
        self._standing += change
        self._move(self.now, foreign=change)

    def set_passing(self, per_second: float, duration: float) -> None:
        """Let foreign calls come and go from now on: Poisson arrivals, `duration` seconds each."""
        self._arrivals += 1  # what is still due of the former stream is thereby void
        self._expect_arrival(self.now, self._arrivals, per_second, duration)

    def count_seen(self, lag: float, *, ringing: bool) -> int:
        """Look `lag` seconds back, yet never behind an earlier look, and count the calls of that moment.

        Args:
            lag: Seconds.
            ringing: Whether ringing calls are counted.
        """
        self._looked_at = max(self._looked_at, self.now - lag)
        self._forget_before(self._looked_at)
        level = self._history[0]
        return level.live if ringing else level.live - level.ringing

    def mark(self) -> Mark:
        """Return the present, to measure from."""
        self._account_until(self.now)
        return Mark(self.now, self._busy_seconds)

    def busy(self, since: Mark | None, until: Mark | None) -> float:
        """Return the mean of `min(live, limit) / limit` between two marks (from the beginning, to now)."""
        begin = since or Mark(self._begin, 0.0)
        end = until or self.mark()
        if end.at <= begin.at:
            return self._share()
        return min(max((end.busy_seconds - begin.busy_seconds) / (end.at - begin.at), 0.0), 1.0)

    def _share(self) -> float:
        # An account that may run nothing leaves nothing idle.
        return min(self.live, self.limit) / self.limit if self.limit else 1.0

    def _account_until(self, at: float) -> None:
        self._busy_seconds += (at - self._busy_until) * self._share()
        self._busy_until = at

    def _move(self, at: float, *, own: int = 0, foreign: int = 0, ringing: int = 0) -> None:
        self._account_until(at)
        self.own += own
        self.foreign += foreign
        self._ringing += ringing
        self.peak = max(self.peak, self.live)
        if self._history[-1].at == at:
            self._history.pop()
        self._history.append(_Level(at, self.live, self._ringing))

    def _forget_before(self, at: float) -> None:
        while len(self._history) > 1 and self._history[1].at <= at + _GRACE:
            self._history.popleft()

    def _set_timer(self, at: float, happen: Callable[[float], None]) -> None:
        if at < math.inf:
            heapq.heappush(self._timers, (at, next(self._order), happen))

    def _answer(self, call: Call, at: float) -> None:
        if call.ringing:
            call.ringing = False
            self._move(at, ringing=-1)

    def _end(self, call: Call, at: float) -> None:
        if call.ended_at is not None:
            return
        call.ended_at = at
        rang = call.ringing
        call.ringing = False
        self._move(at, own=-1, ringing=-int(rang))
        self._ended.append(call.call_id)
        if len(self._ended) > REMEMBERED_CALLS:
            del self._calls[self._ended.popleft()]

    def _expect_arrival(self, after: float, stream: int, per_second: float, duration: float) -> None:
        if per_second > 0:
            at = after + self._rng.expovariate(per_second)
            self._set_timer(at, partial(self._arrive, stream, per_second, duration))

    def _arrive(self, stream: int, per_second: float, duration: float, at: float) -> None:
        if stream != self._arrivals:
            return
        if self.live < self.limit:
            self._move(at, foreign=1)
            self._set_timer(at + duration, self._leave)
        self._expect_arrival(at, stream, per_second, duration)

    def _leave(self, at: float) -> None:
        self._move(at, foreign=-1)
