"""What the fleet has agreed on, as one process has heard it: pause, policy, what has lapsed. No I/O, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.core.messages import Done
from admission.ledger.requests import Pause

if TYPE_CHECKING:
    from admission.core.drafts import Report
    from admission.core.messages import Box
    from admission.core.outbox import Outbox
    from admission.ledger.replies import Head
    from admission.ledger.wire import PolicyWire, Wire


class Agreed:
    """The pause of the account, the agreed policy, and the count of what has lapsed.

    Args:
        account: The account's name.
        policy: The guard's own policy.
        outbox: Takes what the ledger is to be told.
        report: Takes what an operator should know.
    """

    def __init__(self, account: str, policy: PolicyWire, outbox: Outbox, report: Report) -> None:
        self._account = account
        self._own = policy.text()
        self._policy = self._own
        self._outbox = outbox
        self._report = report
        self.pause: tuple[int, int, str] = (0, 0, "")
        """The newest pause or resume that is known: its stamp, whether it is on, its reason. Every beat tells it."""
        self.lapsed: int | None = None
        """Reservations that have lapsed in this epoch, by the newest beat."""

    def set_pause(self, box: Box, *, on: bool, reason: str) -> None:
        """Tell that an operator pauses or resumes the account."""
        pause = Pause(int(on), reason, "")

        def then(_head: Head, tail: Wire, _sent_at: float) -> None:
            self.pause = (int(tail[0]), int(on), reason)
            box.put(Done())

        self._outbox.send(lambda _: pause, then, box, note=False)

    def heard(self, pause: tuple[int, int, str], policy: str, lapsed: int) -> None:
        """Take what a beat's reply tells."""
        self.pause = pause
        if policy != self._policy:
            self._policy = policy
            if policy != self._own:
                self._report("policies_differ", account=self._account, agreed=policy, own=self._own)
        if self.lapsed is not None and lapsed > self.lapsed:
            self._report("lapsed", account=self._account, reservations=lapsed - self.lapsed)
        self.lapsed = lapsed
