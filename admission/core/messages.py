"""What plans, desks and callers say to each other. Values only.

A caller posts messages to its desk and gets mail back in its box; times are seconds of the process's own clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from admission.ledger.wire import Code, Kind, Outcome

if TYPE_CHECKING:
    from admission.ledger.replies import Verdict
    from admission.ledger.wire import Wire
    from admission.values import Holders, Lane, Policy, Status, Usage


class Box(Protocol):
    """Where a caller's mail arrives; `put` may be called from any thread and never raises."""

    def put(self, mail: Mail) -> bool:
        """Deliver; return whether somebody can still read it."""
        ...


# What a caller wants and has

GRACE = 1.0
"""Seconds beyond its deadline that a caller waits for the ledger's word on how the account stood."""


@dataclass(slots=True)
class Want:
    """One caller's wish to start a call, and its seat.

    Attributes:
        seat: The seat's id; it outlives offers and tries.
        rid: The id of the reservation that the next claim books.
        since: When the caller began to wait.
        deadline: When it gives up; `None` for never.
        join: Whether it takes a seat in the line.
        plain: Whether it attempts only when mail comes, as it does without a `wait` or `stop` of the user's.
    """

    box: Box
    seat: str
    rid: str
    lane: str
    kind: Kind
    policy: Policy
    since: float
    deadline: float | None
    join: bool
    plain: bool = True
    asked: bool = False
    """An ask was sent, so the ledger may know the seat."""
    again: bool = False
    """The ledger has forgotten the seat, which asks anew with its waiting time."""
    seated: bool = False
    """It stands in line and was not told so, since it would only sleep: see `sleeps`."""
    stirred: bool = False
    """Mail came on which it acts in line, maybe before it learnt that it stands there."""
    gone: bool = False
    """The caller has given up."""
    booked: bool = False
    """A slot was handed over, so whatever was asked for it before is answered."""
    handed: list[Booking] = field(default_factory=list)
    """The slot that was handed over: the caller takes it out, or its desk does when the caller is too slow. Whoever
    finds the list empty has lost."""

    def sleeps(self, since: float) -> bool:
        """Whether it would wait in line, from `since` on, without a time of its own to wake at but its deadline."""
        return self.plain and not self.stirred and (self.deadline is None or self.deadline > since + GRACE)

    def take(self) -> Booking | None:
        """Take the slot that was handed over, if it is still there."""
        try:
            return self.handed.pop()
        except IndexError:
            return None


@dataclass(slots=True)
class Booking:
    """One reservation in its own process's books; enough to book it again when the ledger has lost it.

    `deadline` moves along while a place block is open; the other times say when things happened or will be settled.
    """

    rid: str
    lane: str
    kind: Kind
    policy: Policy
    granted_at: float
    deadline: float
    settle_at: float
    waited: float = 0.0
    placed: bool = False
    late: bool = False
    open: bool = True
    call_id: str = ""

    @property
    def until(self) -> float:
        """When `max_call_duration` is over."""
        return self.granted_at + self.policy.max_call_duration

    def may_still_dial(self, now: float) -> bool:
        """Whether its open block places a call and has not said so yet; not for longer than any call lasts."""
        return self.open and not self.placed and self.kind is not Kind.HOLD and now < self.until


# Messages to the desk. Those of `LATER` may wait a moment, so that many are taken together.


@dataclass(frozen=True, slots=True)
class AskFor:
    """Ask for a slot, or for a seat again after the ledger forgot it."""

    want: Want


@dataclass(frozen=True, slots=True)
class Admitted:
    """A caller that asked the ledger by itself, at `sent_at`, was granted a slot with `reply`, heard at `heard_at`."""

    want: Want
    booking: Booking
    reply: Wire
    sent_at: float
    heard_at: float


@dataclass(frozen=True, slots=True)
class ClaimOffer:
    """Claim the slot that was offered."""

    want: Want


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The caller does not want any more. `answer`: it waits to hear how the account stood."""

    want: Want
    answer: bool = False


@dataclass(frozen=True, slots=True)
class SayPlaced:
    """The provider accepted the call at `at`; `leaving` its block at the same moment."""

    rid: str
    at: float
    late: bool
    call_id: str = ""
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class SayLeft:
    """A block was left at `at`."""

    rid: str
    at: float
    by_value: bool


@dataclass(frozen=True, slots=True)
class SayEnded:
    """A call is surely over, or (`placed` false) was surely never placed."""

    rid: str
    placed: bool


@dataclass(frozen=True, slots=True)
class SayRefused:
    """The provider refused the call at `at`; `again`: who waits for another try, at the head of the line."""

    rid: str
    at: float
    retry_after: float | None
    again: Want | None = None


@dataclass(frozen=True, slots=True)
class TellStarted:
    """A call that the fleet did not place began at `at`."""

    box: Box
    rid: str
    call_id: str
    at: float


@dataclass(frozen=True, slots=True)
class TellEnded:
    """A call is over, by its id."""

    box: Box
    call_id: str


@dataclass(frozen=True, slots=True)
class GetStatus:
    """Ask for the account's state."""

    box: Box


@dataclass(frozen=True, slots=True)
class GetHolders:
    """Ask who holds what."""

    box: Box


@dataclass(frozen=True, slots=True)
class SetPause:
    """Pause or resume the account, or one lane."""

    box: Box
    on: bool
    reason: str
    lane: str = ""


@dataclass(frozen=True, slots=True)
class SetLane:
    """Set how a lane is served, for the whole fleet."""

    box: Box
    lane: Lane


@dataclass(frozen=True, slots=True)
class GetReading:
    """Read the provider now, whether or not a reading is due."""

    box: Box


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of the attempt to read the provider that began at ledger time `t0`.

    `kind`: what kind of error it is, as hooks are told; `took`: seconds that the attempt took.
    """

    t0: int
    outcome: Outcome
    usage: Usage | None = None
    error: Exception | None = None
    kind: str = "abandoned"
    took: float = 0.0


@dataclass(frozen=True, slots=True)
class Shut:
    """Close: wake the waiters, deliver what was noted, tell the box when that is done."""

    box: Box


@dataclass(frozen=True, slots=True)
class Flush:
    """The process exits: give all seats up unheard, deliver what was noted, tell the box when that is done."""

    box: Box


Message = (
    AskFor
    | Admitted
    | ClaimOffer
    | GiveUp
    | SayPlaced
    | SayLeft
    | SayEnded
    | SayRefused
    | TellStarted
    | TellEnded
    | GetStatus
    | GetHolders
    | SetPause
    | SetLane
    | GetReading
    | Fetched
    | Shut
    | Flush
)


LATER = (Admitted, SayPlaced, SayLeft, SayEnded)


# Mail to a caller


@dataclass(frozen=True, slots=True)
class Answer:
    """The ledger's verdict on an ask, a claim or a withdrawal; granted, with the booking."""

    code: Code
    verdict: Verdict
    booking: Booking | None = None
    cause: Exception | None = None


@dataclass(frozen=True, slots=True)
class Offered:
    """A slot is offered: claim it within a second."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A slot was claimed for the caller; it is in the want, for a moment."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The ledger forgot the seat: ask anew."""


@dataclass(frozen=True, slots=True)
class News:
    """A reading of the provider has come in, or an attempt has failed with `error`."""

    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The caller cannot be served; `error` says why."""

    error: Exception


@dataclass(frozen=True, slots=True)
class LedgerDown:
    """The ledger did not answer; the request is kept and tried again."""

    error: Exception


@dataclass(frozen=True, slots=True)
class State:
    """The account's state."""

    status: Status


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds what."""

    holders: Holders


@dataclass(frozen=True, slots=True)
class Done:
    """What was asked for is done. `left`: notes that could not be delivered."""

    left: int = 0


Mail = Answer | Offered | Handed | Forgotten | News | Failed | LedgerDown | State | Holding | Done


# Effects of a plan


@dataclass(frozen=True, slots=True)
class Post:
    """Give a message to the desk and go on."""

    message: Message


@dataclass(frozen=True, slots=True)
class AskDirectly:
    """Ask the ledger by oneself, if that can be done at once; the mail is an answer that grants, or nothing."""

    want: Want


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for the next mail, at most until `until`; `None` waits for ever."""

    until: float | None


Effect = Post | AskDirectly | Wait
