"""A book with a settable clock and several processes that speak to it, for the tests of the rule.

Times are whole milliseconds. A reservation, its seat and its call go by one name, unless a test says otherwise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from admission.ledger.book import Book
from admission.ledger.replies import HEAD, Head, HolderWire, Verdict
from admission.ledger.requests import (
    Ask,
    AskHolders,
    AskStatus,
    Beat,
    CallEnded,
    Claim,
    Duty,
    Ended,
    Entry,
    Jumped,
    Lanes,
    Leave,
    Pause,
    Placed,
    Reading,
    Refuse,
    Request,
    Started,
    Who,
    Withdraw,
)
from admission.ledger.wire import Code, Kind, LaneWire, Outcome, PolicyWire, Word

START = 1_000_000
REFRESH = 1_000
LEASE = 10_000
LAG = 2_000
TIMEOUT = 5_000
DURATION = 600_000
SETTLE = TIMEOUT + LAG
"""From a claim to its settle time."""

POLICY = PolicyWire(
    refresh=REFRESH, staleness=15_000, lease=LEASE, headroom=0, max_waiting=10_000, lag=LAG, duration=DURATION, pace=0
)


class Reply(NamedTuple):
    """One reply of the book, taken apart."""

    head: Head
    tail: list[int | str]

    @property
    def code(self) -> Code:
        return Code(self.head.code)

    @property
    def verdict(self) -> Verdict:
        return Verdict(*self.tail)  # type: ignore[arg-type]


class State(NamedTuple):
    """What `status` adds to the head."""

    limit: int
    count: int
    in_use: int
    room: int
    pending: int
    held: int
    untracked: int
    usage_age: int
    seen: int
    booked: int
    pause_on: int
    pause_reason: str
    lanes: dict[str, tuple[int, int]]
    """By lane, how many wait in it and how many of it are booked."""


class Beaten(NamedTuple):
    """What `beat` adds to the head."""

    pause_at: int
    pause_on: int
    pause_reason: str
    policy: PolicyWire
    lapsed: int
    behind: int
    lanes_at: int
    lanes: tuple[LaneWire, ...]
    offers: tuple[str, ...]


class Desk:
    """One book, its clock, and the processes that speak to it.

    Args:
        limit: The provider's limit. Given, a reading of `count` calls has just been taken.
        count: The provider's count.
        cold: Whether the first process to speak opens a new epoch.
        policy: Settings of every process that differ from `POLICY`.
    """

    def __init__(self, limit: int | None = None, count: int = 0, *, cold: bool = False, **policy: int) -> None:
        self.now = START
        self.book = Book(self.now, cold=cold)
        self.policy = POLICY._replace(**policy)
        self.policies: dict[str, PolicyWire] = {}
        """By process, where it differs from the others."""
        self.limit = -1
        if limit is not None:
            self.reading(count, limit=limit)
            self.after(1)

    # The clock and the wire

    def after(self, span: int) -> None:
        """Let time pass, unheard."""
        self.now += span

    def quiet(self, span: int, *awake: str) -> None:
        """Let time pass while the processes `awake` beat every second."""
        end = self.now + span
        while self.now < end:
            self.now = min(self.now + 1_000, end)
            for process in awake:
                self.beat(by=process)

    def say(self, request: Request, by: str = "p", epoch: int | None = None, learnt: int = -1) -> Reply:
        """Let a process say something; it believes in the book's epoch unless told otherwise."""
        policy = self.policies.get(by, self.policy)
        who = Who(by, self.book.epoch if epoch is None else epoch, policy.text(), learnt)
        (wire,) = self.book.execute(self.now, who, request)
        return Reply(Head(*wire[:HEAD]), wire[HEAD:])  # type: ignore[arg-type]

    # What is in the book

    @property
    def pending(self) -> set[str]:
        return set(self.book.reservations.pending)

    @property
    def held(self) -> set[str]:
        return set(self.book.reservations.held)

    @property
    def booked(self) -> set[str]:
        return set(self.book.reservations.facts)

    @property
    def in_use(self) -> int:
        return self.book.room.in_use()

    @property
    def room(self) -> int:
        return max(0, self.book.room.free(self.now) - self.book.room.agreed.headroom)

    @property
    def offers(self) -> set[str]:
        return set(self.book.line.offers)

    @property
    def queue(self) -> list[str]:
        """Every seat, lane by lane in order."""
        return [seat for order in self.book.line.order.values() for _, seat in order]

    def settle(self, rid: str) -> int:
        """Return the settle time of a pending reservation."""
        return self.book.reservations.pending[rid]

    # The verbs

    def ask(self, rid: str, **more: Any) -> Reply:
        """Ask for a slot; waits in line unless `join=0`."""
        by = more.pop("by", "p")
        ask = {
            "seat": rid, "lane": "default", "kind": Kind.HOLD, "timeout": TIMEOUT, "lag": LAG,
            "duration": DURATION, "join": 1, "waited": 0,
        }  # fmt: skip
        return self.say(Ask(rid=rid, **ask | more), by)

    def grant(self, *rids: str, **more: Any) -> None:
        """Ask for slots that are surely free."""
        for rid in rids:
            assert self.ask(rid, **more).code == Code.GRANTED

    def wait(self, *seats: str, **more: Any) -> None:
        """Ask for slots that are surely taken."""
        for seat in seats:
            assert self.ask(seat, **more).code == Code.IN_LINE

    def claim(self, seat: str, **more: Any) -> Reply:
        """Claim the slot that was offered to a seat."""
        by = more.pop("by", "p")
        claim = {
            "rid": seat, "lane": "default", "kind": Kind.HOLD, "timeout": TIMEOUT, "lag": LAG,
            "duration": DURATION,
        }  # fmt: skip
        return self.say(Claim(seat=seat, **claim | more), by)

    def placed(self, rid: str, call_id: str = "", **more: Any) -> Reply:
        """Say that the provider has accepted a call."""
        by = more.pop("by", "p")
        placed = {
            "age": 0, "late": 0, "leaving": 0, "lane": "default", "kind": Kind.HOLD, "claimed": 0,
            "timeout": TIMEOUT, "lag": LAG, "left": DURATION,
        }  # fmt: skip
        return self.say(Placed(rid=rid, call_id=call_id, **placed | more), by)

    def leave(self, rid: str, *, by_value: bool = True, age: int = 0, by: str = "p") -> Reply:
        return self.say(Leave(rid, age, int(by_value)), by)

    def ended(self, rid: str, call_id: str = "", by: str = "p") -> Reply:
        return self.say(Ended(rid, call_id), by)

    def cancel(self, rid: str, by: str = "p") -> Reply:
        return self.say(Ended(rid, ""), by)

    def refuse(
        self, rid: str, *, age: int = 0, retry_after: int = 0, seat: str = "", lane: str = "default", by: str = "p"
    ) -> Reply:
        return self.say(Refuse(rid, age, retry_after, seat, lane, Kind.HOLD, TIMEOUT, LAG, DURATION), by)

    def withdraw(self, seat: str, rid: str | None = None, by: str = "p") -> Reply:
        return self.say(Withdraw(seat, seat if rid is None else rid), by)

    def beat(
        self, *entries: Entry, by: str = "p", pause: tuple[int, int, str] = (0, 0, ""), lanes_at: int = 0
    ) -> Reply:
        return self.say(Beat(*pause, lanes_at, entries), by)

    def beaten(self, *entries: Entry, **more: Any) -> Beaten:
        """Beat, and take the reply apart."""
        at, on, reason, policy, lapsed, behind, lanes_at, lanes, *rest = self.beat(*entries, **more).tail
        cut = lanes * len(LaneWire._fields)  # type: ignore[operator]
        rows = tuple(LaneWire.rows(rest[:cut]))
        offers = tuple(rest[cut:])
        policy = PolicyWire.parse(policy)  # type: ignore[arg-type]
        return Beaten(at, on, reason, policy, lapsed, behind, lanes_at, rows, offers)  # type: ignore[arg-type]

    def duty(self, *, by: str = "p", timeout: int = 5_000, force: bool = False) -> int:
        """Ask for the duty to read; return its token, or 0."""
        reply = self.say(Duty(timeout, int(force)), by)
        (token,) = reply.tail
        assert (reply.code == Code.GRANTED) == (token != 0)
        return int(token)

    def reading(self, count: int = 0, *, limit: int | None = None, t0: int | None = None, **more: Any) -> Code:
        """Write a reading begun at `t0` (now, unless told) that counts `count` calls."""
        by = more.pop("by", "p")
        self.limit = self.limit if limit is None else limit
        answer = {"outcome": Outcome.READ, "stamp": -1, "retry_after": 0, "error": ""}
        t0 = self.now if t0 is None else t0
        return self.say(Reading(t0=t0, limit=self.limit, count=count, **answer | more), by).code

    def failing(
        self,
        token: int,
        outcome: Outcome = Outcome.PASSING,
        *,
        by: str = "p",
        retry_after: int = 0,
        error: str = "",
    ) -> Code:
        """Write that the reading begun at `token` came to nothing."""
        return self.say(Reading(token, outcome, 0, 0, -1, retry_after, error), by).code

    def status(self, by: str = "p") -> State:
        tail = self.say(AskStatus(), by).tail
        fields = len(LaneWire._fields) + 2
        rows = [tail[first : first + fields] for first in range(12, len(tail), fields)]
        return State(*tail[:12], {row[0]: (row[-2], row[-1]) for row in rows})  # type: ignore[arg-type,misc]

    def holders(self, most: int = 100, by: str = "p") -> tuple[int, list[HolderWire]]:
        """Return how many are booked, and who holds what."""
        booked, *rows = self.say(AskHolders(most), by).tail
        return int(booked), HolderWire.rows(rows)

    def pause(self, reason: str = "", by: str = "p", lane: str = "") -> Reply:
        return self.say(Pause(1, reason, lane), by)

    def resume(self, by: str = "p", lane: str = "") -> Reply:
        return self.say(Pause(0, "", lane), by)

    def lane(self, name: str, *, how: Word = Word.SET, by: str = "p", **settings: Any) -> Reply:
        """Tell of a lane; it has priority 0 unless told otherwise."""
        return self.say(Lanes(int(how), (LaneWire(name, **{"priority": 0} | settings),)), by)

    def started(self, call_id: str, *, rid: str | None = None, age: int = 0, lag: int = LAG, by: str = "p") -> Reply:
        """Book a call that the fleet did not place."""
        return self.say(Started(rid or f"started {call_id}", call_id, age, lag, DURATION), by)

    def call_ended(self, call_id: str, by: str = "p") -> Reply:
        return self.say(CallEnded(call_id), by)

    def jumped(self, by: str = "p") -> Reply:
        return self.say(Jumped(), by)


def entry(rid: str, **more: Any) -> Entry:
    """Return an open place block that has not said `placed`, as its process's beat lists it."""
    facts = {
        "lane": "default", "kind": Kind.PLACE, "claimed": 0, "timeout": TIMEOUT, "lag": LAG, "placed": 0,
        "open": 1, "settle": SETTLE, "left": DURATION, "call_id": "",
    }  # fmt: skip
    return Entry(rid=rid, **facts | more)
