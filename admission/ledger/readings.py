"""The newest reading of an account, and the duty to take the next one.

One reader in the fleet at a time: `duty` hands out a token, `write` takes the answer back. Readings that overlap
cannot be ordered, so one that began before the newest was written is dropped; a cached answer makes nothing younger.
Whole milliseconds of ledger time; no I/O, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from admission.ledger.wire import BACKOFF_MAX_MS, RETRY_MAX_MS, Code, Outcome

if TYPE_CHECKING:
    from admission.ledger.requests import Reading

SHORTEST_TOKEN_MS = 1_000
"""No reader is taken for dead before this."""
LEAST_AGREEING = 3
"""Answers with earlier timestamps that must agree, at least, before the provider's clock is taken to be set back."""


@dataclass(slots=True)
class Earlier:
    """Answers in a row whose timestamps are earlier than the newest reading's, as long as they agree.

    Several caches answer like this, each with what it has kept, and so does a provider whose clock was set back. Only
    the latter goes on at the pace of time: all its answers allow one and the same offset between its clock and ours. A
    provider's own cache may answer up to the visibility lag late.
    """

    stamp: int = -1
    """The newest timestamp of them, in microseconds of the provider's clock; -1 for none."""
    answers: int = 0
    since: int = 0
    """When the first was asked for."""
    least: int = 0
    most: int = 0
    """What the provider's clock may be ahead of ours, in milliseconds: between these."""

    def agrees(self, answer: Reading, now: int, lag: int) -> bool:
        """Take an answer; return whether it goes on from those before. If not, it is the first of others."""
        at = answer.stamp // 1000
        least, most = at - now, at - answer.t0 + lag
        if answer.stamp > self.stamp >= 0 and max(least, self.least) <= min(most, self.most):
            self.least, self.most = max(least, self.least), min(most, self.most)
            self.answers += 1
        elif answer.stamp != self.stamp:
            self.answers, self.since, self.least, self.most = 1, answer.t0, least, most
        self.stamp = answer.stamp
        return self.answers >= LEAST_AGREEING


@dataclass(slots=True)
class Readings:
    """What the book knows of the provider. `t0`, `t1`: the window in which the provider looked; -1 before the first."""

    limit: int = -1
    count: int = -1
    stamp: int = -1
    """The newest reading's timestamp; where an answer with a later one was dropped, all up to that one are old."""
    t0: int = -1
    t1: int = -1
    earlier: Earlier = field(default_factory=Earlier)
    """Answers that were ignored."""
    open_after: int = -1
    """Readings that began at or before this (in a new epoch) admit nobody."""
    begun: int = -1
    """When the last attempt began."""
    reader: str = ""
    """The process that has the token, which is the `begun` of its attempt."""
    reader_until: int = 0
    fails: int = 0
    retry_at: int = 0
    mean: int = 0
    """How long a reading takes, a running mean."""
    error: str = ""

    def usable(self, now: int, staleness: int) -> bool:
        """Whether the newest reading admits."""
        return self.t0 > self.open_after and self.t0 >= 0 and now - self.t0 <= staleness

    def reset(self, open_after: int) -> None:
        """Begin a new epoch: what was read before it admits nobody any more."""
        self.open_after = open_after
        self.earlier.stamp = self.begun = -1
        self.reader = ""
        self.reader_until = self.retry_at = self.fails = 0

    def due_at(self, now: int, refresh: int) -> int:
        """Return when the next attempt may begin."""
        if self.reader and now < self.reader_until:
            return self.reader_until
        interval = self.begun + refresh if self.begun >= 0 else 0
        return max(interval, self.retry_at, self.t1 + 1)

    def duty(self, process: str, now: int, refresh: int, timeout: int, *, force: bool) -> Code:
        """Give `process` the token when a reading is due."""
        taken = self.reader and now < self.reader_until
        if taken and self.reader == process:
            return Code.GRANTED  # its first request's reply was lost
        early = now < self.due_at(now, refresh) and not force
        if taken or early or now <= max(self.t1, self.begun):
            return Code.NOT_DUE
        self.reader = process
        self.begun = now
        self.reader_until = now + min(timeout, max(SHORTEST_TOKEN_MS, 4 * self.mean))
        return Code.GRANTED

    def write(self, process: str, answer: Reading, now: int, refresh: int, staleness: int, lag: int) -> Code:
        """Take an answer back; `Code.OK` when it is the newest reading now."""
        mine = self.reader == process and self.begun == answer.t0
        if mine:
            self.reader = ""
            self.reader_until = 0
        if answer.outcome != Outcome.READ:
            if mine and answer.outcome == Outcome.PASSING:
                self._fail(answer, now, refresh)
            return Code.OK
        self.mean += (now - answer.t0 - self.mean) // 4 if self.mean else now - answer.t0
        if answer.t0 <= self.t1:
            self._drop(answer)
            return Code.OVERLAPPING
        if now - answer.t0 > staleness:
            self._drop(answer)
            self.error = "the provider's answer was older than max_staleness when it came"
            return Code.TOO_OLD
        self.fails = self.retry_at = 0
        if self._cached(answer, now, staleness, lag):
            self.error = "the provider repeats an old answer: its timestamp does not move"
            return Code.CACHED
        self.limit, self.count, self.stamp = answer.limit, answer.count, answer.stamp
        self.t0, self.t1 = answer.t0, now
        self.error = ""
        return Code.OK

    def _fail(self, answer: Reading, now: int, refresh: int) -> None:
        backoff = min(max(BACKOFF_MAX_MS, refresh), refresh * 2 ** min(self.fails, 16))
        self.fails += 1
        self.retry_at = now + min(RETRY_MAX_MS, max(backoff, answer.retry_after))
        self.error = answer.error

    def _drop(self, answer: Reading) -> None:
        # A cache may keep it, and answer with it later: that tells nothing of the time at which it is asked then.
        if answer.stamp > self.stamp:
            self.stamp = answer.stamp + 1

    def _cached(self, answer: Reading, now: int, staleness: int, lag: int) -> bool:
        """Whether an answer repeats an old one; those with earlier timestamps do, until they agree for `staleness`."""
        earlier = self.earlier
        if 0 <= answer.stamp < self.stamp:
            if not earlier.agrees(answer, now, lag) or answer.t0 - earlier.since < staleness:
                return True
        elif answer.stamp == self.stamp >= 0 and (answer.limit, answer.count) == (self.limit, self.count):
            earlier.stamp = -1
            return True
        earlier.stamp = -1
        return False
