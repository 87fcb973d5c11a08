"""Whether a claim is admitted: what stands against it, how many slots are free, how many may start now.

A claim is admitted iff

    in_use < limit - headroom,  not paused, not cooling down, the reading young enough

and the lane and the pace allow it too. Whole milliseconds of ledger time; no I/O, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from admission.ledger.replies import Verdict
from admission.ledger.rule import Facts
from admission.ledger.wire import COOL_MAX_MS, RETRY_MAX_MS, Code, Kind, PolicyWire

if TYPE_CHECKING:
    from admission.ledger.lanes import LaneBook
    from admission.ledger.line import Seat
    from admission.ledger.readings import Readings
    from admission.ledger.requests import Ask, Claim
    from admission.ledger.rule import Reservations

UNPACED = 1 << 53
"""How many may start now where no pace is set."""


@dataclass(slots=True)
class Cooling:
    """The cool-down after the provider's refusals; `span` 0 when there is none."""

    span: int = 0
    since: int = -1
    """When the refusal that opened or doubled it was written; a call claimed later was let through by its end."""
    after: int = -1
    """Readings that began at or before this do not end it."""
    until: int = 0


class Room:
    """The room that one account has for claims.

    Args:
        reservations: What is booked.
        readings: What the provider says.
        lanes: What is told of the lanes.
    """

    def __init__(self, reservations: Reservations, readings: Readings, lanes: LaneBook) -> None:
        self._reservations = reservations
        self._readings = readings
        self._lanes = lanes
        self.policy: PolicyWire | None = None
        """What the processes heard have agreed on; `None` before the first was heard."""
        self.pause_at: int = 0
        self.pause_on: int = 0
        self.pause_reason: str = ""
        self.cooling: Cooling = Cooling()
        self.claimed: int = 0
        """When the last claim was admitted."""
        self.gap: int = 0
        """How long it takes from one claim to the next, a running mean: the rate of freed slots while callers wait."""
        self.paced_until: int = 0
        """Microseconds: when the next start is due where `starts_per_second` is set (GCRA with a burst of one)."""

    @property
    def agreed(self) -> PolicyWire:
        """The policy, once a process was heard."""
        assert self.policy is not None  # noqa: S101 - a process was heard
        return self.policy

    # What may be claimed

    def closed(self, now: int, lane: str | None = None) -> Code | None:
        """Say why nothing may be claimed, by anybody or in a lane, if so."""
        if self.pause_on or (lane is not None and self._lanes.of(lane).told.paused):
            return Code.PAUSED
        if not self._readings.usable(now, self.agreed.staleness):
            return Code.UNREAD
        return Code.SATURATED if self._cools(now) else None

    def _cools(self, now: int) -> bool:
        cooling = self.cooling
        return cooling.span > 0 and (now < cooling.until or self._readings.t0 <= cooling.after)

    def in_use(self) -> int:
        """Return how many slots are in use."""
        return self._reservations.in_use(max(0, self._readings.count))

    def free(self, now: int) -> int:
        """Return how many slots are free, headroom included; 0 while nothing may be claimed."""
        return 0 if self.closed(now) is not None else max(0, self._readings.limit - self.in_use())

    def starts(self, now: int) -> int:
        """Return how many may start now: one for each `pace`, and none is saved up (GCRA with a burst of one)."""
        pace = self.agreed.pace
        if not pace:
            return UNPACED
        left = now * 1000 + 999 - max(self.next_start(), now * 1000)
        return left // pace + 1 if left >= 0 else 0

    def next_start(self) -> int:
        """Return when the next start is due, in microseconds: one gap of the present pace after the last at most."""
        return min(self.paced_until, self.claimed * 1000 + 999 + self.agreed.pace)

    def may_go(self, lane: str, free: int, offers: int) -> bool:
        """Whether a slot may be given to a lane where `free` are free and the lane has open `offers`."""
        told = self._lanes.of(lane).told
        has_room = not told.cap or self._reservations.in_flight(lane) + offers < told.cap
        return has_room and not told.paused and free > max(self.agreed.headroom, told.headroom)

    def unfit(self, ask: Ask | Claim | Seat) -> Code | None:
        """Say what is wrong with an ask: there is no such lane, or its cap cannot be kept."""
        if not self._lanes.known(ask.lane):
            return Code.NO_LANE
        return Code.UNTRACKED if ask.kind == Kind.PLACE and self._lanes.of(ask.lane).told.cap else None

    # What changes it

    def claim(self, now: int, process: str, ask: Ask | Claim | Seat, waited: int) -> None:
        """Book a claim that was admitted; its caller has waited `waited` milliseconds."""
        facts = Facts(process, ask.lane, ask.kind, now, ask.timeout, ask.lag, open=1)
        self._reservations.claim(ask.rid, facts, ask.duration, now)
        self._lanes.charge(ask.lane, self._lanes.level(self._lanes.of(ask.lane), waited))
        if self.agreed.pace:
            self.paced_until = max(self.next_start(), now * 1000) + self.agreed.pace
        if self.claimed:
            # Of the time since the last claim, only that in which somebody stood in line tells how slots are freed.
            late = min(now - self.claimed, max(waited, self.agreed.refresh), RETRY_MAX_MS)
            self.gap += (late - self.gap) // 8
        self.claimed = now

    def pause(self, at: int, on: int, reason: str) -> None:
        """Pause or resume the account, as was said at `at`."""
        self.pause_at, self.pause_on, self.pause_reason = at, on, reason

    def cool(self, now: int, at: int, claimed: int, retry_after: int) -> None:
        """Open the cool-down, or double it when the call refused at `at` was claimed after its end."""
        cooling = self.cooling
        pause = min(retry_after, RETRY_MAX_MS)
        if not cooling.span or claimed > cooling.since:
            refresh = self.agreed.refresh
            cooling.span = min(2 * cooling.span, max(COOL_MAX_MS, refresh)) or refresh
            cooling.since = now
            pause = max(pause, cooling.span)
        cooling.after = max(cooling.after, at)
        cooling.until = max(cooling.until, at + pause)

    def accepted(self, claimed: int) -> None:
        """The provider has accepted a call; one that was claimed after a cool-down ends it for good."""
        if self.cooling.span and claimed > self.cooling.since:
            self.cooling = Cooling()

    def begin_anew(self, policy: PolicyWire) -> None:
        """Begin a new epoch with the policy of the process that speaks."""
        self.policy = policy
        self.cooling = Cooling()

    # What is told of it

    def usage_age(self, now: int) -> int:
        """Return how long ago the newest reading began, -1 before the first."""
        return now - self._readings.t0 if self._readings.t0 >= 0 else -1

    def verdict(self, now: int, age: int, position: int, lane: str) -> Verdict:
        """Return what a caller is told besides the code: of a claim `age` ago, or with so many others ahead."""
        told = self._lanes.of(lane).told
        reason = ""
        if not self._lanes.known(lane):
            reason = self._lanes.names()
        elif self.pause_on or told.paused:
            reason = self.pause_reason if self.pause_on else told.reason
        retry_after, usage_age = self._retry_after(now, position), self.usage_age(now)
        limit, error = self._readings.limit, self._readings.error
        return Verdict(age, position, limit, self.in_use(), retry_after, usage_age, reason, error)

    def _retry_after(self, now: int, position: int) -> int:
        """Estimate the wait: the line ahead times the running mean from one claim to the next."""
        wait = max((position + 1) * self.gap, self._readings.retry_at - now)
        if self._cools(now):
            wait = max(wait, self.cooling.until - now)
        if self._readings.open_after >= self._readings.t0:
            wait = max(wait, self._readings.open_after - now)
        if self.agreed.pace:
            wait = max(wait, self.next_start() // 1000 - now + position * self.agreed.pace // 1000)
        return max(self.agreed.refresh, min(wait, RETRY_MAX_MS))
