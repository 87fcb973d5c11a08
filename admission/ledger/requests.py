"""What a process says to the ledger: one request type for every verb, and who speaks. No I/O, no clock.

The field order of a request is the argument order of its verb, in `book.py` as in `lua/<verb>.lua`. What is said in a
row to one account is one run, which the ledger takes in one go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from admission.ledger.wire import LaneWire, Wire


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


RECORD_OF = {"r": "rid", "s": "seat", "c": "call_id"}
"""How a ledger's record is named: a letter, and the id in the request."""


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
class AskHolders(Request):
    """Ask who holds what: `most` reservations at the most."""

    verb = "holders"
    most: int


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
