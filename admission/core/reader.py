"""One process's part in reading the provider: it asks for the duty, begins an attempt, and writes what came of it.

No I/O, no clock. Times are seconds of the process's own clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.core.drafts import Draft
from admission.core.messages import LedgerDown, News
from admission.core.spans import millis, usage_numbers, wait_ms
from admission.core.watch import Watch
from admission.errors import UsageError
from admission.ledger.replies import Head, Written
from admission.ledger.requests import Duty, Reading
from admission.ledger.wire import Code, Outcome, Wire
from admission.values import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission.core.drafts import Report
    from admission.core.messages import Box, Fetched, Mail
    from admission.ledger.wire import PolicyWire

MARGIN = 1.0
"""Seconds beyond the source's timeout after which an attempt of which nothing was heard is given up."""

DROPPED = {
    Code.CACHED: "the provider repeats an old answer: its timestamp does not move",
    Code.TOO_OLD: "the provider's answer was older than max_staleness when it came",
}
"""What is wrong with an answer that makes nothing younger, as whoever waits for it is told."""


class Reader:
    """Takes its desk's turns at reading the provider.

    Args:
        account: The account's name.
        source_timeout: Seconds after which a reading of the provider is given up.
        policy: The policy of the process's guard.
        fetch: Begins an attempt to read, by its token; its `Fetched` comes back as a message.
        send: Takes what the ledger is to be told.
        waiting_since: Says when the first of the process's callers began to wait, `None` when none does.
        report: Takes what an operator should know.
    """

    def __init__(
        self,
        account: str,
        source_timeout: float,
        policy: PolicyWire,
        fetch: Callable[[int], None],
        send: Callable[[Draft], None],
        waiting_since: Callable[[], float | None],
        report: Report,
    ) -> None:
        self._account = account
        self._source_timeout = source_timeout
        self._fetch = fetch
        self._send = send
        self._waiting_since = waiting_since
        self._report = report
        self._watch = Watch(account, policy, report)
        self.due_at: float | None = None
        """When the next attempt may begin, as the ledger said last."""
        self.goes_on: bool = False
        """Whether this process took the newest reading, and so takes the next one on time."""
        self.watchers: list[Box] = []
        """Who waits for a reading without a seat."""
        self.last_error: Exception | None = None
        self._until: float | None = None
        """When the attempt that is under way here is given up."""

    def wake_at(self) -> float | None:
        """Return when this process takes the next reading, if it does."""
        return self.due_at if self.goes_on and self._until is None else None

    def renew(self, now: float) -> None:
        """Ask for the duty if a reading is due."""
        if self.due_at is not None and now >= self.due_at:
            self.ask_duty(now)

    def ask_duty(self, now: float, *, force: bool = False) -> None:
        """Ask for the duty to read, unless an attempt is under way here. `force`: also before a reading is due."""
        if self._until is not None and now < self._until:
            return
        self._until = now + self._source_timeout + MARGIN
        self.due_at = None

        def then(head: Head, tail: Wire, _sent_at: float) -> None:
            if head.code == Code.GRANTED:
                self._fetch(int(tail[0]))
                return
            self._until = None
            self.goes_on = False
            if force:
                self._tell_watchers(News())

        duty = Duty(max(1, millis(self._source_timeout)), int(force))
        self._send(Draft(lambda _: duty, then, note=False, reads=True))

    def fetched(self, fetched: Fetched) -> None:
        """Write what became of an attempt."""
        error = fetched.error
        if error is not None:
            self.last_error = error
            event = "reading_final" if fetched.outcome is Outcome.FINAL else "reading_failed"
            self._failed(event, fetched, fetched.kind, clean_text(error, 2_000))
        elif fetched.outcome is Outcome.ABANDONED:
            self._failed("reading_abandoned", fetched, fetched.kind, "nobody waited for it any more")
        limit, count, stamp = (-1, -1, -1) if fetched.usage is None else usage_numbers(fetched.usage)
        retry_after = wait_ms(getattr(error, "retry_after", None))
        text = "" if error is None else clean_text(error, 200)
        reading = Reading(fetched.t0, int(fetched.outcome), limit, count, stamp, retry_after, text)

        def then(head: Head, tail: Wire, sent_at: float) -> None:
            code = Code(head.code)
            told = Written(*tail)  # type: ignore[arg-type]  # the wire's order is its own
            self._written(fetched, code, told.usage_age / 1000)
            self._watch.written(sent_at, fetched.usage, code, told, self._waiting_since())

        self._send(Draft(lambda _: reading, then, note=False, reads=True))

    def _failed(self, event: str, fetched: Fetched, kind: str, error: str) -> None:
        self._report(event, account=self._account, kind=kind, error=error, latency=round(fetched.took, 6))

    def _written(self, fetched: Fetched, code: Code, age: float) -> None:
        self._until = None
        self.goes_on = fetched.outcome in {Outcome.READ, Outcome.PASSING}
        error = fetched.error
        if code in DROPPED:
            error = self.last_error = UsageError(DROPPED[code])
        elif fetched.usage is not None and code in {Code.OK, Code.DISBELIEVED}:
            self.last_error = None
            self._report(
                "reading_taken",
                account=self._account,
                limit=fetched.usage.limit,
                count=fetched.usage.count,
                latency=round(fetched.took, 6),
                age=age,
            )
        if code in {Code.OVERLAPPING, *DROPPED}:
            kind = code.name.lower()
            self._failed("reading_" + kind, fetched, kind, DROPPED.get(code, "it overlaps the newest reading"))
        self._tell_watchers(News(error))

    def lost(self, error: Exception | None) -> None:
        """The ledger did not take part in an attempt: it is over, and whoever waits hears of that."""
        self._until = None
        self._tell_watchers(News() if error is None else LedgerDown(error))

    def _tell_watchers(self, mail: Mail) -> None:
        for box in self.watchers:
            box.put(mail)
        self.watchers.clear()
