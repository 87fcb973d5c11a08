"""One account's book: every verb of the ledger, in readable Python. `lua/<verb>.lua` says the same for Redis.

Each verb hears the process that speaks, runs what time has made due, does its own work, and offers what is free. A
claim is admitted iff

    in_use < limit - headroom,  not paused, not cooling down, the reading young enough

and the lane and the pace allow it too; all of that is decided in one step, so a refused request costs nothing.

The book has no clock: every verb is told the ledger's time in whole milliseconds, which never goes backwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from admission.ledger.lanes import LaneBook
from admission.ledger.line import SCORES_PER_MS, Line, Member, Seat
from admission.ledger.readings import Readings
from admission.ledger.replies import HandOver
from admission.ledger.rule import Facts, Reservations
from admission.ledger.visibility import Visibility
from admission.ledger.wire import (
    BEAT_MS,
    COOL_MAX_MS,
    DEFAULT,
    ONLOOKER,
    RETRY_MAX_MS,
    TOMBSTONE_MS,
    Code,
    Kind,
    LaneWire,
    Outcome,
    PolicyWire,
    Wire,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from admission.ledger.requests import (
        Ask,
        AskStatus,
        Beat,
        CallEnded,
        Claim,
        Duty,
        Ended,
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

UNPACED = 1 << 53
"""How many may start now where no pace is set."""
DEMAND_MS = 2_000
"""A process that asked within this time counts as wanting to dial."""


@dataclass(slots=True)
class Cooling:
    """The cool-down after the provider's refusals; `span` 0 when there is none."""

    span: int = 0
    since: int = -1
    """When the refusal that opened or doubled it was written; a call claimed later was let through by its end."""
    after: int = -1
    """Readings that began at or before this do not end it."""
    until: int = 0


class Book:
    """One account.

    Args:
        now: Ledger time.
        cold: Whether calls of this fleet may live that the book does not know, so that a reading must tell first.
            The first process to speak then opens a new epoch.
    """

    def __init__(self, now: int, *, cold: bool) -> None:
        self.epoch = 0 if cold else 1
        self.members: dict[str, Member] = {}
        self.reservations = Reservations(self.members)
        self.readings = Readings()
        self.visibility = Visibility()
        self.line = Line()
        self.lanes = LaneBook()
        self.cooling = Cooling()
        self.tombstones: dict[str, int] = {}
        self.pause_at = 0
        self.pause_on = 0
        self.pause_reason = ""
        self.opened = -1
        """When the epoch began, if bookings may be missing from it."""
        self.policy: PolicyWire | None = None
        self.heard = now
        self.grace_until = 0
        self.claimed = 0
        self.gap = 0
        """How long it takes from one claim to the next, a running mean: the rate of freed slots while callers wait."""
        self.paced_until = 0
        """Microseconds: when the next start is due where `starts_per_second` is set (GCRA with a burst of one)."""
        self.hinted = 0
        """The `paced_until` of which the head of the line was told."""
        self.speaker = ""
        """The process that speaks, if slots may be handed over to its waiters."""
        self.takes_up = False
        """Whether its open offers are still to be looked at."""
        self.lapsed = 0
        self.wakes: list[tuple[str, str]] = []
        """Seats to wake, with their processes: they have an offer, or wait for the pace. Whoever runs the verb takes
        them."""

    # Every verb

    def execute(self, now: int, who: Who, *requests: Request) -> list[Wire]:
        """Run requests of one process at ledger time `now`; return a reply for each, head first.

        What a head says of the account is how it stands after the last of them.
        """
        if not self.epoch:
            self._new_epoch(now, PolicyWire.parse(who.policy))
        self.speaker, self.takes_up = "", False
        if who.epoch == self.epoch:
            self._hear(now, who)
            self._run_due(now)
        answers = [self._answer(now, who, request) for request in requests]
        member = self.members.get(who.process) if who.epoch == self.epoch else None
        since = member.since if member else 0
        granted = member.handed if member and who.learnt >= 0 else ""
        refresh = self.policy.refresh if self.policy else 0
        due_at = self.readings.due_at(now, refresh)
        account = (now, self.epoch, since, len(self.line), due_at, self._next_at(now), granted)
        return [[code, *account, *tail] for code, tail in answers]

    def _answer(self, now: int, who: Who, request: Request) -> tuple[Code, Wire]:
        """Run one request, unless its process speaks of another epoch."""
        if who.epoch != self.epoch:
            return Code.FOREIGN, []
        answer: tuple[Code, Wire] = getattr(self, request.verb)(now, who.process, request)
        self._serve(now)
        return answer

    def _hear(self, now: int, who: Who) -> None:
        """Enter the process or note that it is alive; after a silence of all, give everybody time to be heard."""
        if self.policy and now - self.heard > self.policy.lease // 3:
            self.grace_until = max(self.grace_until, now + self.policy.lease)
        self.heard = now
        member = self.members.get(who.process)
        if member is None:
            member = self.members[who.process] = Member(since=now, heard=now, policy=who.policy)
            self._agree()
        elif member.policy != who.policy:
            member.policy = who.policy
            self._agree()
        member.heard = now
        member.silent = False
        if who.learnt >= member.handed_at:
            member.handed = ""
        self.takes_up = who.learnt >= 0
        self.speaker = who.process if self.takes_up else ""

    def _agree(self) -> None:
        """Take the stricter of each account-wide setting of the processes heard."""
        texts = [member.policy for member in self.members.values()]
        # Whoever only looks on has no say, unless nobody else is there.
        texts = [text for text in texts if not text.endswith(ONLOOKER)] or texts
        policies = [PolicyWire.parse(text) for text in texts]
        self.policy = PolicyWire(
            refresh=max(policy.refresh for policy in policies),
            staleness=min(policy.staleness for policy in policies),
            lease=max(policy.lease for policy in policies),
            headroom=max(policy.headroom for policy in policies),
            max_waiting=min(policy.max_waiting for policy in policies),
            lag=max(policy.lag for policy in policies),
            duration=max(policy.duration for policy in policies),
            pace=max(policy.pace for policy in policies),
        )
        if self.opened >= 0:
            self.readings.open_after = max(self.readings.open_after, self._open_after())

    @property
    def _agreed(self) -> PolicyWire:
        assert self.policy is not None  # noqa: S101 - a process was heard
        return self.policy

    def _run_due(self, now: int) -> None:
        """Do what time has made due. What it frees is served after the first request, which may bring news of it."""
        for seat in [seat for seat, until in self.tombstones.items() if until <= now]:
            del self.tombstones[seat]
        self.lapsed += self.reservations.lapse(now)
        if now >= self.grace_until:
            unheard = [p for p, m in self.members.items() if now - m.heard > self._agreed.lease]
            for process in unheard:
                self.line.forget_process(process)
                del self.members[process]
                self.lapsed += self.reservations.lapse_process(process)
            if unheard:
                self._agree()
        self.line.lapse(self.members, now)

    # What may be claimed

    def _closed(self, now: int, lane: str | None = None) -> Code | None:
        """Say why nothing may be claimed, by anybody or in a lane, if so."""
        if self.pause_on or (lane is not None and self.lanes.of(lane).told.paused):
            return Code.PAUSED
        if not self.readings.usable(now, self._agreed.staleness):
            return Code.UNREAD
        return Code.SATURATED if self._cools(now) else None

    def _cools(self, now: int) -> bool:
        cooling = self.cooling
        return cooling.span > 0 and (now < cooling.until or self.readings.t0 <= cooling.after)

    def _in_use(self) -> int:
        return self.reservations.in_use(max(0, self.readings.count))

    def _free(self, now: int) -> int:
        """Return how many slots are free, headroom included; 0 while nothing may be claimed."""
        return 0 if self._closed(now) is not None else max(0, self.readings.limit - self._in_use())

    def _starts(self, now: int) -> int:
        """Return how many may start now: one for each `pace`, and none is saved up (GCRA with a burst of one)."""
        pace = self._agreed.pace
        if not pace:
            return UNPACED
        left = now * 1000 + 999 - max(self.paced_until, now * 1000)
        return left // pace + 1 if left >= 0 else 0

    def _may_go(self, lane: str, free: int, offers: int) -> bool:
        """Whether a slot may be given to a lane where `free` are free and the lane has open `offers`."""
        told = self.lanes.of(lane).told
        has_room = not told.cap or self.reservations.in_flight(lane) + offers < told.cap
        return has_room and not told.paused and free > max(self._agreed.headroom, told.headroom)

    def _serve(self, now: int) -> None:
        """Offer what is free to the lane whose turn it is."""
        if self.takes_up:
            self._take_up()
        if not self.line.parked:
            return
        free = self._free(now) - len(self.line.offers)
        starts = self._starts(now) - len(self.line.offers)
        while free > 0 and (seat := self._next(now, free)):
            if starts <= 0:
                self._hint(seat)
                return
            place = self.line.seats[seat]
            if place.process == self.speaker and not self._unfit(place):
                self._hand_over(now, seat, place)
            else:
                self.line.offer(seat, now)
                self.wakes.append((place.process, seat))
            free -= 1
            starts -= 1

    def _take_up(self) -> None:
        """Take back the offers of the process that speaks, so that it is handed over what was only offered to it."""
        self.takes_up = False
        for seat in list(self.line.offers):
            place = self.line.seats[seat]
            if place.process == self.speaker and not self._unfit(place):
                self.line.take_back(seat)

    def _hand_over(self, now: int, seat: str, place: Seat) -> None:
        """Claim for a waiter of the process that speaks: it is surely there, and hears of it in its reply."""
        self.line.leave(seat)
        booked = self.reservations.facts.get(place.rid)
        if booked is None:
            self._book(now, place.process, place, now - place.score // SCORES_PER_MS)
        member = self.members[place.process]
        member.span = 0
        member.handed_at = max(now, member.handed_at + 1)
        member.handed += HandOver(member.handed_at, seat, place.rid, booked.claimed if booked else now).text()

    def _hint(self, seat: str) -> None:
        """Only the pace holds the head of the line back: let its process learn of `next_at`, once for every start."""
        if not self.line.offers and self.hinted != self.paced_until:
            self.hinted = self.paced_until
            self.wakes.append((self.line.seats[seat].process, seat))

    def _next(self, now: int, free: int) -> str | None:
        """Return the seat that is next where `free` slots are free."""
        first: tuple[int, int, int] | None = None
        found = None
        for lane, score, seat in self.line.heads(self.members, now):
            offers = self.line.offers_in(lane)
            if self._may_go(lane, free, offers):
                terms = self.lanes.of(lane)
                level = self.lanes.level(terms, now - score // SCORES_PER_MS)
                turn = (level, self.lanes.start(terms, level) + offers * terms.cost, score)
                if first is None or turn < first:
                    first, found = turn, seat
        return found

    def _withdraw_offers(self, lane: str | None = None) -> None:
        for seat in [seat for seat in self.line.offers if lane is None or self.line.seats[seat].lane == lane]:
            self.line.take_back(seat)

    def _next_at(self, now: int) -> int:
        if not self.policy or not len(self.line):
            return 0
        times = [self.line.next_at(self.members, now)]
        if self.cooling.span and self.cooling.until > now:
            times.append(self.cooling.until)
        if self._agreed.pace and self.paced_until // 1000 > now and self.line.parked and self._free(now):
            times.append(self.paced_until // 1000)
        return min((time for time in times if time), default=0)

    # What is told

    def _ahead(self, lane: str, rank: int) -> int:
        """Return how many are likely to be served before a caller that has `rank` others of its lane before it."""
        lanes = self.lanes
        mine = lanes.of(lane)
        total = rank
        for name, terms in lanes.terms.items():
            if name == lane:
                continue
            waiting, priority = self.line.waiting(name), lanes.priority(terms)
            if priority < lanes.priority(mine):
                total += waiting
            elif priority == lanes.priority(mine):
                total += min(waiting, (rank + 1) * mine.cost // terms.cost)
        return total

    def _position(self, seat: str) -> int:
        return self._ahead(self.line.seats[seat].lane, self.line.rank(seat))

    def _at_the_end(self, lane: str) -> int:
        return self._ahead(lane, self.line.waiting(lane))

    def _verdict(self, now: int, age: int, position: int, lane: str) -> Wire:
        usage_age = self._usage_age(now)
        retry = self._retry_after(now, position)
        told = self.lanes.of(lane).told
        reason = ""
        if not self.lanes.known(lane):
            reason = self.lanes.names()
        elif self.pause_on or told.paused:
            reason = self.pause_reason if self.pause_on else told.reason
        return [
            age, position, self.readings.limit, self._in_use(), retry, usage_age, reason, self.readings.error
        ]  # fmt: skip

    def _retry_after(self, now: int, position: int) -> int:
        """Estimate the wait: the line ahead times the running mean from one claim to the next."""
        wait = max((position + 1) * self.gap, self.readings.retry_at - now)
        if self._cools(now):
            wait = max(wait, self.cooling.until - now)
        if self.readings.open_after >= self.readings.t0:
            wait = max(wait, self.readings.open_after - now)
        if self._agreed.pace:
            wait = max(wait, self.paced_until // 1000 - now + position * self._agreed.pace // 1000)
        return max(self._agreed.refresh, min(wait, RETRY_MAX_MS))

    def _book(self, now: int, process: str, ask: Ask | Claim | Seat, waited: int) -> None:
        facts = Facts(process, ask.lane, ask.kind, now, ask.timeout, ask.lag, open=1)
        self.reservations.claim(ask.rid, facts, ask.duration, now)
        self.lanes.charge(ask.lane, self.lanes.level(self.lanes.of(ask.lane), waited))
        if self._agreed.pace:
            self.paced_until = max(self.paced_until, now * 1000) + self._agreed.pace
        if self.claimed:
            self.gap += (min(now - self.claimed, RETRY_MAX_MS) - self.gap) // 8
        self.claimed = now

    # The verbs

    def ask(self, now: int, process: str, ask: Ask) -> tuple[Code, Wire]:
        """Claim at once, or take a seat. A newcomer goes first only where nobody who may go stands in line."""
        self.members[process].asked = now
        self._serve(now)
        booked = self.reservations.facts.get(ask.rid)
        if ask.seat not in self.tombstones and booked is not None:
            return Code.GRANTED, self._verdict(now, now - booked.claimed, 0, ask.lane)
        code = self._ask(now, process, ask)
        position = 0
        if code == Code.IN_LINE:
            position = self._position(ask.seat)
        elif code != Code.GRANTED:
            position = self._at_the_end(ask.lane)
        return code, self._verdict(now, 0, position, ask.lane)

    def _ask(self, now: int, process: str, ask: Ask) -> Code:
        if ask.seat in self.tombstones:
            return Code.WITHDRAWN
        if ask.seat in self.line.seats:
            return Code.IN_LINE
        if unfit := self._unfit(ask):
            return unfit
        offers = len(self.line.offers)
        free = self._free(now) - offers
        if self._starts(now) > offers and self._may_go(ask.lane, free, self.line.offers_in(ask.lane)):
            self._book(now, process, ask, ask.waited)
            return Code.GRANTED
        if not ask.join:
            return self._closed(now, ask.lane) or Code.SATURATED
        if len(self.line) >= self._agreed.max_waiting:
            return Code.FULL
        self.line.join(ask.seat, self._place(process, ask, self.line.score(now, ask.waited), ask.rid))
        return Code.IN_LINE

    @staticmethod
    def _place(process: str, ask: Ask | Refuse, score: int, rid: str) -> Seat:
        return Seat(process, ask.lane, score, rid, ask.kind, ask.timeout, ask.lag, ask.duration)

    def _unfit(self, ask: Ask | Claim | Seat) -> Code | None:
        """Say what is wrong with an ask: there is no such lane, or its cap cannot be kept."""
        if not self.lanes.known(ask.lane):
            return Code.NO_LANE
        return Code.UNTRACKED if ask.kind == Kind.PLACE and self.lanes.of(ask.lane).told.cap else None

    def claim(self, now: int, process: str, claim: Claim) -> tuple[Code, Wire]:
        """Claim the slot that was offered. Refused, the seat stays and the offer is lost."""
        member = self.members[process]
        member.asked = now
        # A claim proves that the process lives, also one that finds its offer lapsed.
        member.silent = False
        member.passed_until = 0
        self._serve(now)
        booked = self.reservations.facts.get(claim.rid)
        if booked is not None:
            return Code.GRANTED, self._verdict(now, now - booked.claimed, 0, claim.lane)
        if claim.seat not in self.line.seats:
            return Code.UNKNOWN, self._verdict(now, 0, self._at_the_end(claim.lane), claim.lane)
        position = self._position(claim.seat)
        code = self._claim(now, process, claim, self.line.seats[claim.seat])
        if code == Code.GRANTED:
            member.span = position = 0
        return code, self._verdict(now, 0, position, claim.lane)

    def _claim(self, now: int, process: str, claim: Claim, place: Seat) -> Code:
        unfit = self._unfit(claim)
        if claim.seat not in self.line.offers:
            return unfit or self._closed(now, claim.lane) or Code.IN_LINE
        if unfit or not self._starts(now) or not self._may_go(claim.lane, self._free(now), 0):
            self.line.take_back(claim.seat)
            return unfit or self._closed(now, claim.lane) or Code.SATURATED
        self.line.leave(claim.seat)
        self._book(now, process, claim, now - place.score // SCORES_PER_MS)
        return Code.GRANTED

    def placed(self, now: int, process: str, placed: Placed) -> tuple[Code, Wire]:
        """The provider accepted a call; one claimed after a cool-down ends it for good."""
        at = now - placed.age
        facts = self.reservations.facts.get(placed.rid)
        claimed = facts.claimed if facts else now - placed.claimed
        if self.cooling.span and claimed > self.cooling.since:
            self.cooling = Cooling()
        recreate = None
        if placed.late:
            recreate = Facts(process, placed.lane, placed.kind, claimed, placed.timeout, placed.lag)
        code = self.reservations.placed(placed.rid, at, placed.call_id, recreate, placed.left, now)
        if placed.leaving:
            self.reservations.leave(placed.rid, at, by_value=True)
        return code, []

    def leave(self, now: int, _process: str, leave: Leave) -> tuple[Code, Wire]:
        """A block was left."""
        return self.reservations.leave(leave.rid, now - leave.age, by_value=bool(leave.by_value)), []

    def ended(self, now: int, _process: str, ended: Ended) -> tuple[Code, Wire]:
        """A call is surely over, or was surely not placed."""
        return self.reservations.ended(ended.rid, ended.call_id, now), []

    def refuse(self, now: int, process: str, refuse: Refuse) -> tuple[Code, Wire]:
        """The provider refused: cancel the booking, cool the fleet down, and take a seat at the head."""
        facts = self.reservations.facts.get(refuse.rid)
        if facts is not None:
            self._cool(now, now - refuse.age, facts.claimed, refuse.retry_after)
            self.reservations.ended(refuse.rid, "", now)
            self._withdraw_offers()
        if not refuse.seat:
            return Code.OK, self._verdict(now, 0, 0, refuse.lane)
        self.members[process].asked = now
        if refuse.seat in self.tombstones:
            return Code.WITHDRAWN, self._verdict(now, 0, self._at_the_end(refuse.lane), refuse.lane)
        if refuse.seat not in self.line.seats:
            score = self.line.head_score(refuse.lane, now)
            self.line.join(refuse.seat, self._place(process, refuse, score, refuse.seat))
        return Code.IN_LINE, self._verdict(now, 0, self._position(refuse.seat), refuse.lane)

    def _cool(self, now: int, at: int, claimed: int, retry_after: int) -> None:
        """Open the cool-down, or double it when the refused call was claimed after its end."""
        cooling = self.cooling
        pause = min(retry_after, RETRY_MAX_MS)
        if not cooling.span or claimed > cooling.since:
            refresh = self._agreed.refresh
            cooling.span = min(2 * cooling.span, max(COOL_MAX_MS, refresh)) or refresh
            cooling.since = now
            pause = max(pause, cooling.span)
        cooling.after = max(cooling.after, at)
        cooling.until = max(cooling.until, at + pause)

    def withdraw(self, now: int, _process: str, withdraw: Withdraw) -> tuple[Code, Wire]:
        """A caller gave up; nothing that is still on its way can revive its seat."""
        known = withdraw.seat in self.line.seats
        lane = self.line.seats[withdraw.seat].lane if known else DEFAULT
        position = self._position(withdraw.seat) if known else self._at_the_end(lane)
        verdict = self._verdict(now, 0, position, lane)
        code = self._closed(now, lane) or Code.SATURATED
        if known:
            self.line.leave(withdraw.seat)
        self.tombstones[withdraw.seat] = now + TOMBSTONE_MS
        self.reservations.ended(withdraw.rid, "", now)
        return code, verdict

    def beat(self, now: int, process: str, beat: Beat) -> tuple[Code, Wire]:
        """Hear a process; tell it its offers, the pause, and the policy that the fleet agreed on."""
        if beat.pause_at > self.pause_at:
            self._set_pause(beat.pause_at, beat.pause_on, beat.pause_reason)
        for entry in beat.entries:
            self.reservations.listed(process, entry, now)
        self._serve(now)
        mine = [seat for seat in self.line.offers if self.line.seats[seat].process == process]
        if mine or process in self.line.parked:
            self.members[process].asked = now
        pause: Wire = [self.pause_at, self.pause_on, self.pause_reason]
        lanes = self._rows() if beat.lanes_at != self.lanes.at else []
        return Code.OK, [
            *pause,
            self._agreed.text(),
            self.lapsed,
            self.lanes.at,
            len(lanes),
            *flatten(lanes),
            *sorted(mine),
        ]

    def duty(self, now: int, process: str, duty: Duty) -> tuple[Code, Wire]:
        """Hand out the duty to read; a process with a wrong key gets none while another asks."""
        member = self.members[process]
        member.asked = now
        others = (other for name, other in self.members.items() if name != process)
        wanted = any(not other.barred and 0 <= now - other.asked < DEMAND_MS and other.asked >= 0 for other in others)
        if member.barred and wanted:
            return Code.NOT_DUE, [0]
        code = self.readings.duty(process, now, self._agreed.refresh, duty.timeout, force=bool(duty.force))
        return code, [self.readings.begun if code == Code.GRANTED else 0]

    def reading(self, now: int, process: str, answer: Reading) -> tuple[Code, Wire]:
        """Write what became of a reading."""
        if answer.outcome in {Outcome.READ, Outcome.FINAL}:
            self.members[process].barred = answer.outcome == Outcome.FINAL
        before = self.readings.limit
        agreed = self._agreed
        code = self.readings.write(process, answer, now, agreed.refresh, agreed.staleness, agreed.lag)
        if code == Code.OK and answer.outcome == Outcome.READ:
            kept = self.reservations
            kept.reading(answer.t0)
            held, young = len(kept.held), kept.young(answer.t0)
            self.visibility.reading(now, answer.count, held, young, kept.gone, self._agreed.lag)
            if answer.count < held:
                code = Code.DISBELIEVED
        return code, self._written(now, before)

    def _written(self, now: int, limit_before: int) -> Wire:
        return [
            limit_before,
            len(self.reservations.held),
            self._usage_age(now),
            int(self._closed(now) or 0),
            self.cooling.span,
            now - self.claimed if self.claimed else -1,
            self.visibility.seen,
        ]

    def _usage_age(self, now: int) -> int:
        return now - self.readings.t0 if self.readings.t0 >= 0 else -1

    def status(self, now: int, _process: str, _request: AskStatus) -> tuple[Code, Wire]:
        """Tell the account's state."""
        readings, kept = self.readings, self.reservations
        booked = len(kept.facts) - len(kept.pending)
        untracked = max(0, max(0, readings.count) - booked)
        usage_age = self._usage_age(now)
        pause: Wire = [self.pause_on, self.pause_reason]
        room = max(0, self._free(now) - self._agreed.headroom)
        numbers: Wire = [readings.limit, readings.count, self._in_use(), room, len(kept.pending)]
        lanes: list[Wire] = [[*row, self.line.waiting(row.name), kept.in_flight(row.name)] for row in self._rows()]
        numbers += [len(kept.held), untracked, usage_age, self.visibility.seen, len(kept.facts)]
        return Code.OK, [*numbers, *pause, *flatten(lanes)]

    def pause(self, now: int, _process: str, pause: Pause) -> tuple[Code, Wire]:
        """Pause or resume the account, or a lane; the newest word counts."""
        if pause.lane:
            code = self.lanes.pause(pause.lane, pause.on, pause.reason, now)
            if pause.on and code == Code.OK:
                self._withdraw_offers(pause.lane)
            return code, self._lane_answer([])
        self._set_pause(max(now, self.pause_at + 1), pause.on, pause.reason)
        return Code.OK, [self.pause_at]

    def lane(self, now: int, _process: str, lanes: Lanes) -> tuple[Code, Wire]:
        """Take words on lanes: what a guard declares, what an operator sets, what the ledger has lost."""
        code, changed = self.lanes.tell(lanes.how, lanes.lanes, now)
        for name in changed:
            if self.lanes.of(name).told.paused:
                self._withdraw_offers(name)
        return code, self._lane_answer(changed)

    def _lane_answer(self, changed: list[str]) -> Wire:
        return [self.lanes.at, ",".join(changed), *flatten(self._rows())]

    def _rows(self) -> list[LaneWire]:
        """Return all lanes as they are told."""
        return [terms.told for terms in self.lanes.terms.values()]

    def _set_pause(self, at: int, on: int, reason: str) -> None:
        self.pause_at, self.pause_on, self.pause_reason = at, on, reason
        if on:
            self._withdraw_offers()

    def started(self, now: int, process: str, started: Started) -> tuple[Code, Wire]:
        """Book a call that the fleet did not place."""
        facts = Facts(process, DEFAULT, Kind.STARTED, now, 0, started.lag, placed=1, call_id=started.call_id)
        at = now - started.age
        return self.reservations.call_started(started.rid, facts, at, started.duration, now), []

    def call_ended(self, now: int, _process: str, ended: CallEnded) -> tuple[Code, Wire]:
        """A call is over, by its id."""
        return self.reservations.call_ended(ended.call_id, now), []

    def jumped(self, now: int, process: str, _request: Jumped) -> tuple[Code, Wire]:
        """The clock jumped forward: what the book says of times is void."""
        self._new_epoch(now, PolicyWire.parse(self.members[process].policy))
        return Code.FOREIGN, []

    def _new_epoch(self, now: int, policy: PolicyWire) -> None:
        """Forget all bookings and seats; nothing is claimed until a reading shows what the fleet has placed."""
        self.epoch = max(now, self.epoch + 1)
        self.opened = now
        self.policy = policy
        self.members.clear()
        self.reservations.reset()
        self.line = Line()
        self.tombstones.clear()
        self.cooling = Cooling()
        self.visibility.missed = 0
        self.readings.reset(self._open_after())

    def _open_after(self) -> int:
        """Return the time that a new epoch's first reading must begin after: one beat tells all bookings again."""
        return self.opened + BEAT_MS + self._agreed.lag


def flatten(rows: Iterable[Iterable[int | str]]) -> Wire:
    """Return rows one after another."""
    return [item for row in rows for item in row]
