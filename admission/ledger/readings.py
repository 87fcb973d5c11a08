"""The newest reading of an account, and the duty to take the next one.

One reader in the fleet at a time: `duty` hands out a token, `write` takes the answer back. Readings that overlap
cannot be ordered, so one that began before the newest was written is dropped; a cached answer makes nothing younger.
Whole milliseconds of ledger time; no I/O, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from admission.ledger.wire import BACKOFF_MAX_MS, RETRY_MAX_MS, Code, Outcome, Reading

SHORTEST_TOKEN_MS = 1_000
"""No reader is taken for dead before this."""


@dataclass(slots=True)
class Readings:
    """What the book knows of the provider. `t0`, `t1`: the window in which the provider looked; -1 before the first."""

    limit: int = -1
    count: int = -1
    stamp: int = -1
    t0: int = -1
    t1: int = -1
    earlier: int = -1
    """An earlier timestamp that was ignored; a later reading that continues it is a change of the clock."""
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
        self.earlier = self.begun = -1
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

    def write(self, process: str, answer: Reading, now: int, refresh: int, staleness: int) -> Code:
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
            return Code.OVERLAPPING
        if now - answer.t0 > staleness:
            self.error = "the provider's answer was older than max_staleness when it came"
            return Code.TOO_OLD
        self.fails = self.retry_at = 0
        if self._cached(answer):
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

    def _cached(self, answer: Reading) -> bool:
        """Whether an answer repeats an old one; notes an earlier timestamp that a later reading may continue."""
        if answer.stamp < 0 or self.stamp < 0 or answer.stamp > self.stamp:
            self.earlier = -1
            return False
        if answer.stamp == self.stamp:
            self.earlier = -1
            return (answer.limit, answer.count) == (self.limit, self.count)
        continues = 0 <= self.earlier < answer.stamp
        self.earlier = -1 if continues else answer.stamp
        return not continues
