"""What matters of a book: taken out of one, and put into another. Times are moments from now: ages are all it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from admission.ledger.book import Book
from admission.ledger.line import Member
from admission.ledger.requests import Beat, Request, Who
from admission.ledger.rule import ENDED, Facts
from tests.exhaustive.account import BEATS, FAR, NEVER, POLICY, STEP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from admission.ledger.wire import Wire

LONG = FAR // 2
"""More moments than ever pass."""
READER = "q"
"""The process that reads, and that is always heard."""
TEXT = POLICY.text()


class Part(NamedTuple):
    """What a book knows of one reservation.

    Attributes:
        known: Whether it is booked.
        settle: Its settle time, if it is pending.
        held, placed, open, lag: As the book has them.
        over_at: When `max_call_duration` is over, unless it is.
        heard: When its holder was heard; `NEVER` if it lapsed, or has no open block, so that nothing depends on it.
        call: What its call id is bound to: 1 to the reservation, 2 to `ENDED`.
    """

    known: bool = False
    settle: int = NEVER
    held: bool = False
    placed: int = 0
    open: int = 0
    lag: int = 0
    over_at: int = NEVER
    heard: int = NEVER
    call: int = 0


class Root(NamedTuple):
    """What a book knows of the readings; of the last duty, whether it was handed out now."""

    t0: int
    t1: int
    count: int
    begun: bool = False


def restore(now: int, limit: int, root: Root, parts: Iterable[tuple[int, Part]]) -> Book:
    """Return a book that knows these reservations at the moment `now`, each given with its kind."""
    book = Book(now * STEP, cold=False)
    book.room.policy = POLICY
    book.members[READER] = Member(0, now * STEP, TEXT)
    readings, kept = book.readings, book.reservations
    readings.limit, readings.count, readings.begun = limit, root.count, now * STEP if root.begun else -1
    kept.t0 = readings.t0 = (now + root.t0) * STEP
    readings.t1 = (now + root.t1) * STEP
    for name, (kind, part) in enumerate(parts):
        rid, process = f"r{name}", f"p{name}"
        if part.heard != NEVER:
            book.members[process] = Member(0, (now + part.heard) * STEP, TEXT)
        if part.call:
            kept.calls[f"c{name}"] = (rid if part.call == 1 else ENDED, (now + FAR) * STEP)
        if not part.known:
            continue
        call_id = f"c{name}" if part.call == 1 else ""
        kept.facts[rid] = Facts(process, "default", kind, now * STEP, STEP, part.lag, part.placed, part.open, call_id)
        kept.lanes.setdefault("default", set()).add(rid)
        if part.settle != NEVER:
            kept.pending[rid] = (now + part.settle) * STEP
        if part.held:
            kept.held.add(rid)
        if part.over_at != NEVER:
            kept.until[rid] = (now + (FAR if part.over_at == LONG else part.over_at)) * STEP
    return book


def take(now: int, book: Book, names: int) -> tuple[Root, tuple[Part, ...]]:
    """Return what matters of a book at the moment `now`."""
    readings, kept = book.readings, book.reservations
    # What else a book knows has no part in this.
    room = book.room
    assert not any((len(book.line), book.tombstones, room.cooling.span, book.grace_until, room.pause_on, room.pause_at))
    assert kept.t0 == readings.t0
    root = Root(readings.t0 // STEP - now, readings.t1 // STEP - now, readings.count, readings.begun == now * STEP)
    return root, tuple([_part(now, book, name) for name in range(names)])


def _part(now: int, book: Book, name: int) -> Part:
    kept, rid = book.reservations, f"r{name}"
    bound = kept.calls.get(f"c{name}")
    call = 0 if bound is None else 2 if bound[0] == ENDED else 1
    facts = kept.facts.get(rid)
    if facts is None:
        return Part(call=call)
    member = book.members.get(f"p{name}")
    return Part(
        True,
        kept.pending[rid] // STEP - now if rid in kept.pending else NEVER,
        rid in kept.held,
        facts.placed,
        facts.open,
        facts.lag,
        min(kept.until[rid] // STEP - now, LONG) if rid in kept.until else NEVER,
        member.heard // STEP - now if member and facts.open else NEVER,
        call,
    )


def say(book: Book, at_ms: int, process: str, request: Request) -> Wire:
    """Let a process say something."""
    (reply,) = book.execute(at_ms, Who(process, book.epoch, TEXT), request)
    return reply


def pass_time(book: Book, now: int) -> None:
    """Go on to the moment `now`; the reader is heard on the way, and what time makes due is done."""
    for after in BEATS:
        say(book, (now - 1) * STEP + after, READER, Beat(0, 0, "", 0, ()))
