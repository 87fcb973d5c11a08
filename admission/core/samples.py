"""When a desk asks the ledger how the account stands, for those who look on. No I/O, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.core.drafts import Draft
from admission.core.states import status_of
from admission.hooks import SAMPLE_EVERY
from admission.ledger.requests import AskStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission.core.drafts import Report
    from admission.ledger.replies import Head
    from admission.ledger.wire import Wire
    from admission.values import Policy

PER_LEASE = 3
"""A process that asks at least this often in each `lease_ttl` is never given up meanwhile."""


class Samples:
    """Asks for the account's state every few seconds, also when nobody waits; never for a reading.

    Args:
        account: The account's name.
        policy: The guard's policy.
        report: Takes what the ledger told.
        lapsed: Says how many reservations lapsed, by the newest beat.
    """

    def __init__(self, account: str, policy: Policy, report: Report, lapsed: Callable[[], int | None]) -> None:
        self._account = account
        self._report = report
        self._lapsed = lapsed
        self._every = min(SAMPLE_EVERY, policy.lease_ttl / PER_LEASE)
        self.due_at: float = 0.0
        """When it asks again; at once, to begin with."""

    def is_due(self, now: float, beat_every: float) -> bool:
        """Whether to ask now: it is time, or (`beat_every` not 0) it will be before the beat after this one."""
        return now + beat_every / 2 >= self.due_at

    def draft(self, now: float) -> Draft:
        """Return the request; if it is not served, the next one will tell."""
        self.due_at = now + self._every

        def then(head: Head, tail: Wire, _sent_at: float) -> None:
            status = status_of(self._account, head, tail)
            self._report("sampled", account=self._account, status=status, lapsed=self._lapsed())

        return Draft(lambda _: AskStatus(), then, note=False)
