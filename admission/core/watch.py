"""What an operator should know of the provider, from what the ledger tells of every reading. No I/O, no clock.

What lasts is told when it begins, and again after a minute, two more, four more, and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.ledger.wire import Code

if TYPE_CHECKING:
    from admission.core.drafts import Report
    from admission.ledger.replies import Written
    from admission.ledger.wire import PolicyWire
    from admission.values import Usage

AGAIN = 60.0
"""Seconds after which what lasts is told for the second time, and what came to an end may be told as new."""
STANDS = 60.0
"""Seconds without an admission while callers wait, after which that is told."""
REFUSED_AGAIN = 4
"""A cool-down of so many refresh intervals comes of three refusals, each after the end of the one before."""


class Lasting:
    """Says when something that lasts, or comes again and again, is to be told."""

    def __init__(self) -> None:
        self._seen: float | None = None
        self._due = 0.0
        self._span = AGAIN

    def tell(self, now: float, *, on: bool) -> bool:
        """Take whether it is so at `now`; return whether to tell it."""
        if not on:
            return False
        is_new = self._seen is None or now - self._seen > AGAIN
        self._seen = now
        if not is_new and now < self._due:
            return False
        self._span = AGAIN if is_new else 2 * self._span
        self._due = now + self._span
        return True


class Watch:
    """Looks after an account from one process; the process that reads the provider is the one that tells.

    Args:
        account: The account's name.
        policy: The policy of the process's guard.
        report: Takes what an operator should know.
    """

    def __init__(self, account: str, policy: PolicyWire, report: Report) -> None:
        self._account = account
        self._policy = policy
        self._report = report
        self._seen = policy.lag
        """The longest visibility lag that was seen, in milliseconds, and told of; the policy's, to begin with."""
        self._disbelieved = Lasting()
        self._stale = Lasting()
        self._refused = Lasting()
        self._stands = Lasting()

    def written(self, now: float, usage: Usage | None, code: Code, told: Written, waiting_since: float | None) -> None:
        """Take what became of a reading that was written at `now`.

        Args:
            now: Seconds of the process's clock.
            usage: What the provider said, if anything.
            code: Whether it is the newest reading now.
            told: How the account stands.
            waiting_since: When the first of this process's callers began to wait; `None` when none does.
        """
        newest = code in {Code.OK, Code.DISBELIEVED}
        if usage is not None and newest:
            self._look_at_limit(usage.limit, told.limit_before)
            if self._disbelieved.tell(now, on=code is Code.DISBELIEVED):
                self._tell("reading_disbelieved", count=usage.count, held=told.held)
        if self._stale.tell(now, on=told.usage_age > self._policy.staleness):
            self._tell("usage_stale", age=told.usage_age / 1000)
        if self._refused.tell(now, on=told.cooling >= REFUSED_AGAIN * self._policy.refresh):
            self._tell("refused_again", cooling=told.cooling / 1000)
        if told.seen > self._seen:
            self._seen = told.seen
            self._tell("visibility_lag_short", seen=told.seen / 1000, own=self._policy.lag / 1000)
        self._look_at_line(now, usage, told, waiting_since)

    def _look_at_limit(self, limit: int, before: int) -> None:
        if limit == before:
            return
        if limit == 0:
            self._tell("limit_zero", before=before if before >= 0 else None)
        elif before >= 0:
            self._tell("limit_changed", limit=limit, before=before)

    def _look_at_line(self, now: float, usage: Usage | None, told: Written, waiting_since: float | None) -> None:
        """Nobody is admitted though callers wait: where no operator has paused the account, somebody should look."""
        waited = 0.0 if waiting_since is None else now - waiting_since
        idle = waited if told.idle < 0 else min(waited, told.idle / 1000)
        if self._stands.tell(now, on=idle >= STANDS and told.closed != Code.PAUSED):
            count, limit = (None, None) if usage is None else (usage.count, usage.limit)
            self._tell("line_stands", seconds=round(idle), count=count, limit=limit, held=told.held)

    def _tell(self, event: str, **facts: object) -> None:
        self._report(event, account=self._account, **facts)
