"""What a desk has to tell the ledger, until it is sent. No I/O, no clock."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from admission.core.drafts import Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from admission.core.drafts import Report, Then
    from admission.core.messages import Box, Want
    from admission.ledger.requests import Request

MOST_KEPT = 100_000
"""Notes kept while the ledger is away, at most."""


class Outbox:
    """Drafts in the order in which they are sent.

    Args:
        report: Takes what an operator should know.
    """

    def __init__(self, report: Report) -> None:
        self._drafts: deque[Draft] = deque()
        self._report = report

    def __len__(self) -> int:
        return len(self._drafts)

    def __iter__(self) -> Iterator[Draft]:
        return iter(self._drafts)

    def send(
        self,
        make: Callable[[float], Request],
        then: Then | None = None,
        box: Box | None = None,
        *,
        note: bool = True,
        want: Want | None = None,
    ) -> None:
        """Put in what somebody says, see `Draft`.

        Where too much is kept already the oldest is lost, but for what a caller asks for: it may wait for ever.
        """
        self._drafts.append(Draft(make, then, box, note, want))
        if len(self._drafts) > MOST_KEPT:
            self._drafts.remove(next((draft for draft in self._drafts if draft.want is None), self._drafts[0]))
            self._report("note_lost", kept=MOST_KEPT)

    def put(self, draft: Draft) -> None:
        """Put in what the desk itself has to say."""
        self._drafts.append(draft)

    def put_first(self, drafts: Iterable[Draft]) -> None:
        """Put in what is to be sent before all else, in this order."""
        self._drafts.extendleft(reversed([*drafts]))

    def take(self, now: float) -> Iterator[Draft]:
        """Take everything out, to be sent now."""
        while self._drafts:
            draft = self._drafts.popleft()
            draft.sent_at = now
            yield draft

    def forget(self, want: Want) -> None:
        """Drop what a caller asks for; not the refusal of the reservation that it had before."""
        for draft in [d for d in self._drafts if d.want is want and d.box is not None]:
            self._drafts.remove(draft)

    def clear(self) -> None:
        """Drop everything."""
        self._drafts.clear()
