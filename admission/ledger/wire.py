"""What travels between a process and the ledger: one request type for every verb, and the shape of replies.

Everything on the wire is a whole number of milliseconds, a small whole number, or a string; the field order of a
request is the argument order of its verb, in `book.py` as in `lua/<verb>.lua`. A reply is a flat list: the head
(`HEAD` entries, see `Head`), then what the verb adds. No I/O, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from admission.values import Lane

if TYPE_CHECKING:
    from collections.abc import Iterable

Wire = list[int | str]
"""A reply as it travels."""

BEAT_MS = 1_000
"""A process with waiters, holds or open blocks is heard at least this often."""
OFFER_MS = 1_000
"""An offer not claimed within this time goes on to the next in line."""
PASS_MAX_MS = 8_000
"""Longest span for which a process that let offers lapse is passed over."""
COOL_MAX_MS = 30_000
"""Longest cool-down without the provider's own `Retry-After`."""
BACKOFF_MAX_MS = 5_000
"""Longest pause between two failing readings without the provider's own `Retry-After`."""
RETRY_MAX_MS = 300_000
"""Upper bound of every `retry_after`, told or obeyed."""
TOMBSTONE_MS = 600_000
"""How long a withdrawn seat is remembered, so that an ask still on its way cannot revive it."""
REMEMBER_MS = 3_600_000
"""How long call ids are remembered."""


class Code(IntEnum):
    """The first entry of every reply."""

    OK = 1
    GRANTED = 2
    IN_LINE = 3
    SATURATED = 4
    FULL = 5
    PAUSED = 6
    UNREAD = 7
    UNKNOWN = 8
    WITHDRAWN = 9
    FOREIGN = 10
    NOT_DUE = 11
    OVERLAPPING = 12
    TOO_OLD = 13
    CACHED = 14
    DISBELIEVED = 15
    LATE = 16
    NO_LANE = 17
    UNTRACKED = 18


class Kind(IntEnum):
    """How a reservation was booked."""

    HOLD = 0
    PLACE = 1
    TRACK = 2
    STARTED = 3


class Outcome(IntEnum):
    """What became of an attempt to read the provider."""

    READ = 0
    PASSING = 1
    FINAL = 2
    ABANDONED = 3


class Word(IntEnum):
    """How lanes are told: by a guard's constructor, by an operator, or again after the ledger lost them."""

    DECLARE = 0
    SET = 1
    RETELL = 2


class Head(NamedTuple):
    """How every reply begins; times are ledger milliseconds.

    Attributes:
        code: The verdict.
        now: Ledger time of the verb.
        epoch: The ledger's epoch.
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


NOTHING = Verdict(0, 0, -1, 0, 0, -1, "", "")
"""The verdict where the ledger had none to give."""


ONLOOKER = ",o"
"""How the policy's text ends of a process that has asked for no slot yet: it has no say in what is agreed."""


class PolicyWire(NamedTuple):
    """The account-wide part of a policy, milliseconds; processes that differ get the stricter of each."""

    refresh: int
    staleness: int
    lease: int
    headroom: int
    max_waiting: int
    lag: int
    duration: int
    pace: int
    """Microseconds from one start to the next at least, 0 for no limit."""

    def text(self) -> str:
        """Return it as one argument."""
        return ",".join(map(str, self))

    @classmethod
    def parse(cls, text: str) -> PolicyWire:
        """Read what `text` wrote."""
        return cls(*map(int, text.removesuffix(ONLOOKER).split(",")))


DEFAULT = "default"
"""The lane of callers that name none; it always exists."""


class LaneWire(NamedTuple):
    """One lane as it travels.

    Attributes:
        name: The lane.
        at: Ledger time of the newest word on it.
        priority: 0 is served first; -1 is the lowest of all that were told.
        weight: Its share in thousandths.
        headroom: Slots that it leaves free.
        cap: Most reservations at once, 0 for no cap.
        promote: Milliseconds of waiting that lift a waiter by one priority, 0 for never.
        declared: The settings that a guard's constructor told last, as `settings` has them; empty before the first.
        paused: 1 while it is paused.
        reason: The operator's reason.
    """

    name: str
    at: int = 0
    priority: int = -1
    weight: int = 1_000
    headroom: int = 0
    cap: int = 0
    promote: int = 0
    declared: str = ""
    paused: int = 0
    reason: str = ""

    @property
    def settings(self) -> str:
        """What can be set, as one text."""
        return f"{self.priority},{self.weight},{self.headroom},{self.cap},{self.promote}"

    def lane(self) -> Lane:
        """Return the lane; a priority that nobody told is shown as 0.

        Raises:
            ConfigurationError: There can be no such lane.
        """
        return Lane(
            self.name,
            priority=max(0, self.priority),
            weight=self.weight / 1000,
            headroom=self.headroom,
            max_in_flight=self.cap or None,
            promote_after=self.promote / 1000 or None,
        )

    @staticmethod
    def rows(flat: Iterable[int | str]) -> list[LaneWire]:
        """Read lanes that follow one another in a reply."""
        items = iter(flat)
        return [
            LaneWire(str(row[0]), *map(int, row[1:7]), str(row[7]), int(row[8]), str(row[9]))  # type: ignore[arg-type,call-arg]  # in wire order
            for row in zip(*[items] * len(LaneWire._fields), strict=True)
        ]


RECORD_OF = {"r": "rid", "s": "seat", "c": "call_id"}
"""How a ledger's record is named: a letter, and the id in the request."""


class Who(NamedTuple):
    """What every request says first.

    Attributes:
        process: Who speaks.
        epoch: The epoch that it believes in.
        policy: Its policy as text.
        learnt: Number of the last hand-over that has reached it, 0 for none: later ones are told again; -1 when its
            waiters may be slow, so that slots are only offered to them.
    """

    process: str
    epoch: int
    policy: str
    learnt: int = -1


class Entry(NamedTuple):
    """One reservation that a beat lists: to extend an open place block, or to book again what was forgotten.

    Attributes:
        rid: The reservation.
        lane: Its lane.
        kind: How it was booked, a `Kind`.
        claimed: Milliseconds since its claim.
        timeout: Its placement timeout.
        lag: Its visibility lag.
        placed: 1 when its holder said `placed`.
        open: 1 while its block is open.
        settle: Milliseconds until its settle time, negative when that is past.
        left: Milliseconds until `max_call_duration` is over.
        call_id: Its call, or empty.
    """

    rid: str
    lane: str
    kind: int
    claimed: int
    timeout: int
    lag: int
    placed: int
    open: int
    settle: int
    left: int
    call_id: str


class Request:
    """One message to the ledger."""

    __slots__ = ()
    verb: ClassVar[str]

    def fields(self) -> Wire:
        """Return the arguments in wire order."""
        return [getattr(self, name) for name in self.__match_args__]  # type: ignore[attr-defined]  # all are dataclasses

    def records(self) -> list[str]:
        """Return the names of the ledger's records that the request is about, as far as it names them."""
        return [letter + name for letter, field in RECORD_OF.items() if (name := getattr(self, field, ""))]


@dataclass(frozen=True, slots=True)
class Ask(Request):
    """Claim a slot at once, or (`join`) take a seat in the line, which had `waited` before."""

    verb = "ask"
    seat: str
    rid: str
    lane: str
    kind: int
    timeout: int
    lag: int
    duration: int
    join: int
    waited: int


@dataclass(frozen=True, slots=True)
class Claim(Request):
    """Claim the slot that was offered to a seat."""

    verb = "claim"
    seat: str
    rid: str
    lane: str
    kind: int
    timeout: int
    lag: int
    duration: int


@dataclass(frozen=True, slots=True)
class Placed(Request):
    """The provider accepted the call `age` ago; `late`: past its deadline; `leaving`: the block is left too."""

    verb = "placed"
    rid: str
    age: int
    late: int
    leaving: int
    call_id: str
    lane: str
    kind: int
    claimed: int
    timeout: int
    lag: int
    left: int


@dataclass(frozen=True, slots=True)
class Leave(Request):
    """The block was left `age` ago; `by_value`, or by an error before `placed`."""

    verb = "leave"
    rid: str
    age: int
    by_value: int


@dataclass(frozen=True, slots=True)
class Ended(Request):
    """The call is surely over, or was surely never placed (then without a call id): out of the books."""

    verb = "ended"
    rid: str
    call_id: str


@dataclass(frozen=True, slots=True)
class Refuse(Request):
    """The provider refused the call `age` ago: cancel, cool down, and (`seat` not empty) wait at the head.

    What follows the seat are the terms of the reservation, named like it, that is claimed next.
    """

    verb = "refuse"
    rid: str
    age: int
    retry_after: int
    seat: str
    lane: str
    kind: int
    timeout: int
    lag: int
    duration: int


@dataclass(frozen=True, slots=True)
class Withdraw(Request):
    """The caller gave up: its seat, and a claim that it never learnt of, are gone for good."""

    verb = "withdraw"
    seat: str
    rid: str


@dataclass(frozen=True, slots=True)
class Beat(Request):
    """Hear a process; it tells its newest word on pausing, and lists reservations to extend or book again.

    `lanes_at`: the newest word on lanes that it knows of; it is told of all lanes when the ledger knows of another.
    """

    verb = "beat"
    pause_at: int
    pause_on: int
    pause_reason: str
    lanes_at: int
    entries: tuple[Entry, ...]

    def records(self) -> list[str]:
        """Return the names of the reservations listed."""
        return [f"r{entry.rid}" for entry in self.entries]

    def fields(self) -> Wire:
        """Return the arguments in wire order, the entries flattened."""
        flat: Wire = [self.pause_at, self.pause_on, self.pause_reason, self.lanes_at]
        for entry in self.entries:
            flat.extend(entry)
        return flat


@dataclass(frozen=True, slots=True)
class Duty(Request):
    """Ask to be the fleet's one reader; `force` also before a reading is due."""

    verb = "duty"
    timeout: int
    force: int


@dataclass(frozen=True, slots=True)
class Reading(Request):
    """Write what became of the reading begun at `t0`; `stamp`: the provider's microseconds, or -1."""

    verb = "reading"
    t0: int
    outcome: int
    limit: int
    count: int
    stamp: int
    retry_after: int
    error: str


@dataclass(frozen=True, slots=True)
class AskStatus(Request):
    """Ask for the account's state."""

    verb = "status"


@dataclass(frozen=True, slots=True)
class Pause(Request):
    """Stop (`on` 1) or resume (`on` 0) all claims, or those of one lane."""

    verb = "pause"
    on: int
    reason: str
    lane: str


@dataclass(frozen=True, slots=True)
class Lanes(Request):
    """Tell of lanes; `how` is a `Word`. The newest word on a lane counts."""

    verb = "lane"
    how: int
    lanes: tuple[LaneWire, ...]

    def fields(self) -> Wire:
        """Return the arguments in wire order, the lanes flattened."""
        flat: Wire = [self.how]
        for lane in self.lanes:
            flat.extend(lane)
        return flat


@dataclass(frozen=True, slots=True)
class Started(Request):
    """Book a call that the fleet did not place, accepted `age` ago."""

    verb = "started"
    rid: str
    call_id: str
    age: int
    lag: int
    duration: int


@dataclass(frozen=True, slots=True)
class CallEnded(Request):
    """A call is over, by its id."""

    verb = "call_ended"
    call_id: str


@dataclass(frozen=True, slots=True)
class Jumped(Request):
    """The ledger's clock ran ahead of this process's own: begin a new epoch."""

    verb = "jumped"


class Run(NamedTuple):
    """What one process says to one account in a row, run by the ledger in one go.

    Attributes:
        first: The place of the first request in its batch.
        account: The account.
        who: Who speaks.
        requests: What it says.
    """

    first: int
    account: str
    who: Who
    requests: list[Request]

    def apart(self) -> list[Run]:
        """Return a run for each request."""
        return [
            Run(self.first + place, self.account, self.who, [request]) for place, request in enumerate(self.requests)
        ]


def runs(batch: Iterable[tuple[str, Who, Request]], most: int | None = None) -> list[Run]:
    """Return a batch of requests as runs, each of `most` requests at the most."""
    found: list[Run] = []
    for index, (account, who, request) in enumerate(batch):
        last = found[-1] if found else None
        if last is None or last.account != account or last.who != who or len(last.requests) == most:
            last = Run(index, account, who, [])
            found.append(last)
        last.requests.append(request)
    return found
