"""What the ledger says back: a flat list of the head (`HEAD` entries, see `Head`), then what the verb adds.

No I/O, no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Head(NamedTuple):
    """How every reply begins; times are ledger milliseconds.

    Attributes:
        code: The verdict.
        now: Ledger time of the verb.
        epoch: The ledger's epoch: the ledger time at which it began, or a little more.
        since: When the asking process was entered in the book; another value than before: it had lapsed.
        waiting: Callers in the line.
        due_at: When the next reading of the provider is due.
        next_at: When time alone will free something for the line, or 0.
        granted: Slots that were claimed for waiters of the asking process, see `HandOver`; empty for none.
    """

    code: int
    now: int
    epoch: int
    since: int
    waiting: int
    due_at: int
    next_at: int
    granted: str


class HandOver(NamedTuple):
    """A slot that the ledger has claimed for a waiter of the process that was speaking, which spares it an offer.

    Attributes:
        number: Ledger time of the hand-over, or a little more: each of a process has a greater one than the last.
        seat: The seat that was given up for it.
        rid: The reservation.
        claimed: Ledger time of the claim.
    """

    number: int
    seat: str
    rid: str
    claimed: int

    def text(self) -> str:
        """Return it as it travels."""
        return f"{self.number} {self.seat} {self.rid} {self.claimed}\n"

    @staticmethod
    def parse(text: str) -> list[HandOver]:
        """Read what several `text` wrote, one after another."""
        return [
            HandOver(int(number), seat, rid, int(claimed))
            for number, seat, rid, claimed in map(str.split, text.splitlines())
        ]


HEAD = len(Head._fields)


class Verdict(NamedTuple):
    """What `ask`, `claim`, `refuse` and `withdraw` add to the head.

    Attributes:
        age: Milliseconds since the claim, when granted.
        position: Callers ahead in the line.
        limit: The provider's limit, -1 before the first reading.
        in_use: Slots in use.
        retry_after: Milliseconds after which another try is worthwhile.
        usage_age: Milliseconds since the newest reading began, -1 before the first.
        pause_reason: The operator's reason, when paused; the known lanes, when there is no such lane.
        error: What the newest failing reading said.
    """

    age: int
    position: int
    limit: int
    in_use: int
    retry_after: int
    usage_age: int
    pause_reason: str
    error: str


class Written(NamedTuple):
    """What `reading` adds to the head: how the account stands after it.

    Attributes:
        limit_before: The provider's limit by the reading before, -1 before the first.
        held: Reservations that are held.
        usage_age: Milliseconds since the newest reading began, -1 before the first.
        closed: The `Code` that says why nothing may be claimed, whatever is free; 0 when something may be.
        cooling: Milliseconds of the cool-down after the provider's refusals, 0 when there is none.
        idle: Milliseconds since the last claim, -1 before the first.
        seen: Milliseconds after which a live call was seen to be missing from the count, -1 for none.
    """

    limit_before: int
    held: int
    usage_age: int
    closed: int
    cooling: int
    idle: int
    seen: int


class HolderWire(NamedTuple):
    """One reservation as `holders` tells it.

    Attributes:
        rid: The reservation.
        lane: Its lane.
        process: Who holds it.
        kind: How it was booked, a `Kind`.
        age: Milliseconds since its claim.
        standing: Where it stands, a `Standing`.
        placed: 1 when its holder said `placed`.
        call_id: Its call, or empty.
    """

    rid: str
    lane: str
    process: str
    kind: int
    age: int
    standing: int
    placed: int
    call_id: str

    @staticmethod
    def rows(flat: Iterable[int | str]) -> list[HolderWire]:
        """Read what follows one another in a reply."""
        items = iter(flat)
        return [HolderWire(*row) for row in zip(*[items] * len(HolderWire._fields), strict=True)]


NOTHING = Verdict(0, 0, -1, 0, 0, -1, "", "")
"""The verdict where the ledger had none to give."""
