"""A request on its way to the ledger, and how a desk reports. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission.core.messages import Box, Want
    from admission.ledger.replies import Head
    from admission.ledger.requests import Request
    from admission.ledger.wire import Wire

    Then = Callable[[Head, Wire, float], None]


class Report(Protocol):
    """Where a desk tells what an operator should know: a documented event name and its facts."""

    def __call__(self, event: str, /, **facts: object) -> None:
        """Take one event."""
        ...


@dataclass(slots=True, eq=False)
class Draft:
    """A request that waits to be sent: made at sending time, since it bears ages.

    Attributes:
        make: Takes the time, returns the request.
        then: Takes the reply's head, its rest, and when the request was sent.
        box: Who waits for the answer.
        note: It is kept until delivered, whatever becomes of the ledger.
        want: The caller that it asks for.
        reads: It belongs to the attempt to read the provider, which ends when it is not served.
        failed: It was sent, and the ledger did not answer.
        sent_at: When it was sent last.
        verb: What it was sent as.
    """

    make: Callable[[float], Request]
    then: Then | None = None
    box: Box | None = None
    note: bool = True
    want: Want | None = None
    reads: bool = False
    failed: bool = False
    sent_at: float = 0.0
    verb: str = ""
