"""A small account: what can happen to a reservation and its call, and what a book is told of it.

Time goes from moment to moment; a moment is as long as the placement timeout and the visibility lag, and everything in
it happens in one millisecond, in any order. A process has one reservation. A process that crashes is one that says
nothing any more, so what is left out of a path is its crash, and its lapse follows. A message that arrives later than
what it tells bears an age. A dial that was abandoned may still be accepted up to the deadline.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from admission.ledger.requests import Ask, Beat, CallEnded, Duty, Ended, Entry, Leave, Placed, Reading, Request
from admission.ledger.wire import Kind, Outcome, PolicyWire

STEP = 1_000
"""Milliseconds from one moment to the next, of the placement timeout, and of the visibility lag."""
BEATS = (500, 1_000)
"""When, on the way to the next moment, somebody is heard."""
FAR = 1_000
"""A moment that never comes."""
NEVER = -FAR
POLICY = PolicyWire(
    # A process lapses that says nothing for two moments. A third of it is the longest silence of all.
    refresh=1, staleness=FAR * STEP, lease=3 * BEATS[0], headroom=0, max_waiting=10, lag=STEP, duration=FAR * STEP,
    pace=0,
)  # fmt: skip


@dataclass(frozen=True)
class Scope:
    """How much may happen.

    Attributes:
        limit: The provider's.
        reservations, readings: How many there are, at most.
        steps: Moments, from the first on.
        kinds: How a reservation may be booked.
        duration: Moments of `max_call_duration`.
    """

    limit: int
    reservations: int = 3
    readings: int = 2
    steps: int = 5
    kinds: tuple[Kind, ...] = (Kind.HOLD, Kind.PLACE)
    duration: int = FAR


class Job(NamedTuple):
    """A reservation and its call, as they truly are. Times are moments.

    Attributes:
        kind: How it is booked, -1 before it is claimed.
        until: Its deadline: when the provider may accept its dial at the latest.
        accepted: When the provider did; when its holder learnt of it, if that was after its deadline.
        live: Whether the call is.
        told: Whether its holder said `placed`.
        here: Whether its holder is in the block, and may speak.
    """

    kind: int = -1
    until: int = NEVER
    accepted: int = NEVER
    live: bool = False
    told: bool = False
    here: bool = False

    def may_be_accepted(self, now: int) -> bool:
        """Whether there may be a call yet."""
        return self.accepted < 0 and now <= self.until

    def is_over(self, now: int) -> bool:
        """Whether it was claimed, and there is no call and will be none."""
        return self.kind >= 0 and not self.live and not self.may_be_accepted(now)


class Event(NamedTuple):
    """Something that can happen to a reservation: what it is, what is true then, and what the book is told by whom."""

    what: str
    after: Job
    request: Request | None = None
    by_holder: bool = True


def ask(scope: Scope, kind: Kind, name: int) -> Ask:
    """Return the request for a slot."""
    return Ask(f"s{name}", f"r{name}", "default", int(kind), STEP, STEP, scope.duration * STEP, 0, 0)


def claimed(kind: Kind, now: int) -> Job:
    """Return a reservation that has just been claimed."""
    return Job(int(kind), until=now + 1, here=True)


def events(scope: Scope, job: Job, now: int, name: int) -> list[Event]:
    """Return everything that can happen to a claimed reservation."""
    found = []
    if job.may_be_accepted(now):
        found.append(Event("accept", job._replace(accepted=now, live=True)))
    if job.live:
        found.append(Event("hang up", job._replace(live=False)))
    if job.kind == Kind.TRACK and job.accepted >= 0 and not job.live:
        found.append(Event("hear of the end", job, CallEnded(f"c{name}"), by_holder=False))
    if job.here:
        found += _said(scope, job, now, name)
    return found


def _said(scope: Scope, job: Job, now: int, name: int) -> list[Event]:
    """Return everything that the holder can say."""
    rid, call_id = f"r{name}", f"c{name}" if job.kind == Kind.TRACK else ""
    gone = job._replace(here=False)
    spans = STEP, STEP, scope.duration * STEP
    found = [_beat(scope, job, now, name)]
    if job.accepted < 0:
        # By value: the block has not dialled and will not. By an error: the dial may still be on its way.
        found.append(Event("leave", gone._replace(until=NEVER), Leave(rid, 0, 1)))
        found.append(Event("leave by an error", gone, Leave(rid, 0, 0)))
        found.append(Event("cancel", gone._replace(until=NEVER), Ended(rid, "")))
        return found
    if not job.told:
        told = job._replace(told=True)
        age = (now - job.accepted) * STEP
        terms = call_id, "default", job.kind, STEP, *spans
        found.append(Event("placed", told, Placed(rid, age, 0, 0, *terms)))
        found.append(Event("placed and left", gone, Placed(rid, age, 0, 1, *terms)))
        if now > job.until:
            # The provider accepted it in time, but its holder learnt of that after its deadline.
            found.append(Event("placed late", told._replace(accepted=now), Placed(rid, 0, 1, 0, *terms)))
    for at in range(job.accepted, now + 1):
        found.append(Event(f"left at {at}", gone, Leave(rid, (now - at) * STEP, 1)))
        found.append(Event(f"left by an error at {at}", gone, Leave(rid, (now - at) * STEP, 0)))
    if not job.live:
        found.append(Event("ended", gone, Ended(rid, call_id if job.told else "")))
    return found


def _beat(scope: Scope, job: Job, now: int, name: int) -> Event:
    """Return the beat of a holder, which lists its reservation as its own books have it."""
    after = job
    settle = job.until + 1 - now
    if job.told:
        settle = job.accepted + 1 - now
    elif job.kind != Kind.HOLD:
        settle = 2
        if job.accepted < 0 and now - 1 <= job.until:
            # Acknowledged, it moves the deadline along, as far as it was sent before that: now, or a moment ago.
            after = job._replace(until=now + 1 if now <= job.until else now)
    call_id = f"c{name}" if job.kind == Kind.TRACK and job.told else ""
    left = scope.duration * STEP
    entry = Entry(
        f"r{name}", "default", job.kind, STEP, STEP, STEP, int(job.told), 1, settle * STEP, left, call_id
    )  # fmt: skip
    return Event("beat", after, Beat(0, 0, "", 0, (entry,)))


def duty() -> Duty:
    """Return the request for the duty to read, whose token lasts no longer than the moment."""
    return Duty(1, 1)


def reading(limit: int, began: int, count: int) -> Reading:
    """Return the request that writes a reading."""
    return Reading(began * STEP, int(Outcome.READ), limit, count, -1, 0, "")
