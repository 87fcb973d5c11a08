"""One account's book: every verb of the ledger, in readable Python. `lua/<verb>.lua` says the same for Redis.

Each verb hears the process that speaks, runs what time has made due, does its own work, and serves the line with what
is free. Whether a claim is admitted (`room.py`) is decided in the same step, so a refused request costs nothing.

The book has no clock: every verb is told the ledger's time in whole milliseconds, which never goes backwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.ledger.lanes import LaneBook
from admission.ledger.line import SCORES_PER_MS, Line, Member, Seat
from admission.ledger.readings import Readings
from admission.ledger.room import Room
from admission.ledger.rule import Facts, Reservations
from admission.ledger.serving import Serving
from admission.ledger.visibility import Visibility
from admission.ledger.wire import (
    DEFAULT,
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
        AskHolders,
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

    Told = tuple[Code, Iterable[int | str]]
    """A verb's code, and what it adds to the head."""

DEMAND_MS = 2_000
"""A process that asked within this time counts as wanting to dial."""


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
        self.reservations: Reservations = Reservations(self.members)
        self.readings: Readings = Readings()
        self.visibility: Visibility = Visibility()
        self.lanes: LaneBook = LaneBook()
        self.room: Room = Room(self.reservations, self.readings, self.lanes)
        self.line: Line = Line()
        self.serving: Serving = Serving(self.line, self.room, self.lanes, self.reservations, self.members)
        self.tombstones: dict[str, int] = {}
        self.opened: int = -1
        """When the epoch began, if bookings may be missing from it."""
        self.heard: int = now
        self.grace_until: int = 0
        """One lease after the end of the last silence of all."""
        self.lapsed: int = 0
        self.behind: int = 0
        """Milliseconds by which the clock was set back that ledger time is read from: 0 for a clock that never is."""

    # Every verb

    def execute(self, now: int, who: Who, *requests: Request) -> list[Wire]:
        """Run requests of one process at ledger time `now`; return a reply for each, head first.

        What a head says of the account is how it stands after the last of them.
        """
        if not self.epoch:
            self._new_epoch(now, PolicyWire.parse(who.policy))
        if who.epoch == self.epoch:
            self._hear(now, who)
            self._run_due(now)
        answers = [self._answer(now, who, request) for request in requests]
        member = self.members.get(who.process) if who.epoch == self.epoch else None
        since = member.since if member else 0
        granted = member.handed if member and who.learnt >= 0 else ""
        refresh = self.room.policy.refresh if self.room.policy else 0
        due_at = self.readings.due_at(now, refresh)
        account = (now, self.epoch, since, len(self.line), due_at, self.serving.next_at(now), granted)
        return [[code, *account, *tail] for code, tail in answers]

    def _answer(self, now: int, who: Who, request: Request) -> Told:
        """Run one request, unless its process speaks of another epoch."""
        if who.epoch != self.epoch:
            return Code.FOREIGN, []
        answer: Told = getattr(self, request.verb)(now, who.process, request)
        self.serving.serve(now)
        return answer

    def _hear(self, now: int, who: Who) -> None:
        """Enter the process or note that it is alive."""
        if self.room.policy:
            self._end_silence(now, self.room.policy.lease)
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
        self.serving.speaks(who.process if who.learnt >= 0 else "")

    def _end_silence(self, now: int, lease: int) -> None:
        """After a silence of all, for which the ledger may have been out of reach, give everybody time to be heard.

        Who was heard since the silence before has a whole lease from now on. From the lease of others, who did not
        take that time, this silence takes a third, however long it was: so whoever is dead lapses, however seldom
        anybody speaks.
        """
        beyond = now - self.heard - lease // 3
        if beyond <= 0:
            return
        since = self.grace_until - lease
        for member in self.members.values():
            member.heard = now - 1 if member.heard >= since else member.heard + beyond
        self.grace_until = now + lease

    def _agree(self) -> None:
        """Take the stricter of each account-wide setting of the processes heard."""
        self.room.policy = PolicyWire.agreed(member.policy for member in self.members.values())
        if self.opened >= 0:
            self.readings.open_after = max(self.readings.open_after, self._open_after())

    def _run_due(self, now: int) -> None:
        """Do what time has made due. What it frees is served after the first request, which may bring news of it."""
        for seat in [seat for seat, until in self.tombstones.items() if until <= now]:
            del self.tombstones[seat]
        self.lapsed += self.reservations.lapse(now)
        unheard = [p for p, m in self.members.items() if now - m.heard > self.room.agreed.lease]
        for process in unheard:
            self.line.forget_process(process)
            del self.members[process]
            self.lapsed += self.reservations.lapse_process(process)
        if unheard:
            self._agree()
        self.line.lapse(self.members, now)

    # Where callers stand

    def _position(self, seat: str) -> int:
        return self.lanes.ahead(self.line.seats[seat].lane, self.line.rank(seat), self.line.waiting)

    def _at_the_end(self, lane: str) -> int:
        return self.lanes.ahead(lane, self.line.waiting(lane), self.line.waiting)

    # The verbs

    def ask(self, now: int, process: str, ask: Ask) -> Told:
        """Claim at once, or take a seat. A newcomer goes first only where nobody who may go stands in line."""
        self.members[process].asked = now
        self.serving.serve(now)
        booked = self.reservations.facts.get(ask.rid)
        if ask.seat not in self.tombstones and booked is not None:
            return Code.GRANTED, self.room.verdict(now, now - booked.claimed, 0, ask.lane)
        code = self._ask(now, process, ask)
        position = 0
        if code == Code.IN_LINE:
            position = self._position(ask.seat)
        elif code != Code.GRANTED:
            position = self._at_the_end(ask.lane)
        return code, self.room.verdict(now, 0, position, ask.lane)

    def _ask(self, now: int, process: str, ask: Ask) -> Code:
        if ask.seat in self.tombstones:
            return Code.WITHDRAWN
        if ask.seat in self.line.seats:
            return Code.IN_LINE
        if unfit := self.room.unfit(ask):
            return unfit
        offers = len(self.line.offers)
        free = self.room.free(now) - offers
        if self.room.starts(now) > offers and self.room.may_go(ask.lane, free, self.line.offers_in(ask.lane)):
            self.room.claim(now, process, ask, ask.waited)
            return Code.GRANTED
        if not ask.join:
            return self.room.closed(now, ask.lane) or Code.SATURATED
        if len(self.line) >= self.room.agreed.max_waiting:
            return Code.FULL
        self.line.join(ask.seat, self._place(process, ask, self.line.score(now, ask.waited), ask.rid))
        return Code.IN_LINE

    @staticmethod
    def _place(process: str, ask: Ask | Refuse, score: int, rid: str) -> Seat:
        return Seat(process, ask.lane, score, rid, ask.kind, ask.timeout, ask.lag, ask.duration)

    def claim(self, now: int, process: str, claim: Claim) -> Told:
        """Claim the slot that was offered. Refused, the seat stays and the offer is lost."""
        member = self.members[process]
        member.asked = now
        # A claim proves that the process lives, also one that finds its offer lapsed.
        member.silent = False
        member.passed_until = 0
        self.serving.serve(now)
        booked = self.reservations.facts.get(claim.rid)
        if booked is not None:
            return Code.GRANTED, self.room.verdict(now, now - booked.claimed, 0, claim.lane)
        if claim.seat not in self.line.seats:
            return Code.UNKNOWN, self.room.verdict(now, 0, self._at_the_end(claim.lane), claim.lane)
        position = self._position(claim.seat)
        code = self._claim(now, process, claim, self.line.seats[claim.seat])
        if code == Code.GRANTED:
            member.span = position = 0
        return code, self.room.verdict(now, 0, position, claim.lane)

    def _claim(self, now: int, process: str, claim: Claim, place: Seat) -> Code:
        unfit = self.room.unfit(claim)
        if claim.seat not in self.line.offers:
            return unfit or self.room.closed(now, claim.lane) or Code.IN_LINE
        if unfit or not self.room.starts(now) or not self.room.may_go(claim.lane, self.room.free(now), 0):
            self.line.take_back(claim.seat)
            return unfit or self.room.closed(now, claim.lane) or Code.SATURATED
        self.line.leave(claim.seat)
        self.room.claim(now, process, claim, now - place.score // SCORES_PER_MS)
        return Code.GRANTED

    def placed(self, now: int, process: str, placed: Placed) -> Told:
        """The provider accepted a call; one claimed after a cool-down ends it for good."""
        at = now - placed.age
        facts = self.reservations.facts.get(placed.rid)
        claimed = facts.claimed if facts else now - placed.claimed
        self.room.accepted(claimed)
        recreate = None
        if placed.late:
            recreate = Facts(process, placed.lane, placed.kind, claimed, placed.timeout, placed.lag)
        code = self.reservations.placed(placed.rid, at, placed.call_id, recreate, placed.left, now)
        if placed.leaving:
            self.reservations.leave(placed.rid, at, by_value=True)
        return code, []

    def leave(self, now: int, _process: str, leave: Leave) -> Told:
        """A block was left."""
        return self.reservations.leave(leave.rid, now - leave.age, by_value=bool(leave.by_value)), []

    def ended(self, now: int, _process: str, ended: Ended) -> Told:
        """A call is surely over, or was surely not placed."""
        return self.reservations.ended(ended.rid, ended.call_id, now), []

    def refuse(self, now: int, process: str, refuse: Refuse) -> Told:
        """The provider refused: cancel the booking, cool the fleet down, and take a seat at the head."""
        facts = self.reservations.facts.get(refuse.rid)
        if facts is not None:
            self.room.cool(now, now - refuse.age, facts.claimed, refuse.retry_after)
            self.reservations.ended(refuse.rid, "", now)
            self.line.take_all_back()
        if not refuse.seat:
            return Code.OK, self.room.verdict(now, 0, 0, refuse.lane)
        self.members[process].asked = now
        if refuse.seat in self.tombstones:
            return Code.WITHDRAWN, self.room.verdict(now, 0, self._at_the_end(refuse.lane), refuse.lane)
        if refuse.seat not in self.line.seats:
            score = self.line.head_score(refuse.lane, now)
            self.line.join(refuse.seat, self._place(process, refuse, score, refuse.seat))
        return Code.IN_LINE, self.room.verdict(now, 0, self._position(refuse.seat), refuse.lane)

    def withdraw(self, now: int, _process: str, withdraw: Withdraw) -> Told:
        """A caller gave up; nothing that is still on its way can revive its seat."""
        known = withdraw.seat in self.line.seats
        lane = self.line.seats[withdraw.seat].lane if known else DEFAULT
        position = self._position(withdraw.seat) if known else self._at_the_end(lane)
        verdict = self.room.verdict(now, 0, position, lane)
        code = self.room.closed(now, lane) or Code.SATURATED
        if known:
            self.line.leave(withdraw.seat)
        self.tombstones[withdraw.seat] = now + TOMBSTONE_MS
        self.reservations.ended(withdraw.rid, "", now)
        return code, verdict

    def beat(self, now: int, process: str, beat: Beat) -> Told:
        """Hear a process; tell it its offers, the pause, and the policy that the fleet agreed on."""
        if beat.pause_at > self.room.pause_at:
            self._set_pause(beat.pause_at, beat.pause_on, beat.pause_reason)
        for entry in beat.entries:
            self.reservations.listed(process, entry, now)
        self.serving.serve(now)
        mine = [seat for seat in self.line.offers if self.line.seats[seat].process == process]
        if mine or process in self.line.parked:
            self.members[process].asked = now
        pause: Wire = [self.room.pause_at, self.room.pause_on, self.room.pause_reason]
        lanes = self._rows() if beat.lanes_at != self.lanes.at else []
        return Code.OK, [
            *pause,
            self.room.agreed.text(),
            self.lapsed,
            self.behind,
            self.lanes.at,
            len(lanes),
            *flatten(lanes),
            *sorted(mine),
        ]

    def duty(self, now: int, process: str, duty: Duty) -> Told:
        """Hand out the duty to read; a process with a wrong key gets none while another asks."""
        member = self.members[process]
        member.asked = now
        others = (other for name, other in self.members.items() if name != process)
        wanted = any(not other.barred and 0 <= now - other.asked < DEMAND_MS and other.asked >= 0 for other in others)
        if member.barred and wanted:
            return Code.NOT_DUE, [0]
        code = self.readings.duty(process, now, self.room.agreed.refresh, duty.timeout, force=bool(duty.force))
        return code, [self.readings.begun if code == Code.GRANTED else 0]

    def reading(self, now: int, process: str, answer: Reading) -> Told:
        """Write what became of a reading."""
        if answer.outcome in {Outcome.READ, Outcome.FINAL}:
            self.members[process].barred = answer.outcome == Outcome.FINAL
        before = self.readings.limit
        agreed = self.room.agreed
        code = self.readings.write(process, answer, now, agreed.refresh, agreed.staleness, agreed.lag)
        if code == Code.OK and answer.outcome == Outcome.READ:
            kept = self.reservations
            kept.reading(answer.t0)
            held, young = len(kept.held), kept.young(answer.t0)
            self.visibility.reading(now, answer.count, held, young, kept.gone, agreed.lag)
            if answer.count < held:
                code = Code.DISBELIEVED
        return code, self._written(now, before)

    def _written(self, now: int, limit_before: int) -> Wire:
        return [
            limit_before,
            len(self.reservations.held),
            self.room.usage_age(now),
            int(self.room.closed(now) or 0),
            self.room.cooling.span,
            now - self.room.claimed if self.room.claimed else -1,
            self.visibility.seen,
        ]

    def status(self, now: int, _process: str, _request: AskStatus) -> Told:
        """Tell the account's state."""
        readings, kept = self.readings, self.reservations
        booked = len(kept.facts) - len(kept.pending)
        untracked = max(0, max(0, readings.count) - booked)
        usage_age = self.room.usage_age(now)
        pause: Wire = [self.room.pause_on, self.room.pause_reason]
        room = max(0, self.room.free(now) - self.room.agreed.headroom)
        numbers: Wire = [readings.limit, readings.count, self.room.in_use(), room, len(kept.pending)]
        lanes: list[Wire] = [[*row, self.line.waiting(row.name), kept.in_flight(row.name)] for row in self._rows()]
        numbers += [len(kept.held), untracked, usage_age, self.visibility.seen, len(kept.facts)]
        return Code.OK, [*numbers, *pause, *flatten(lanes)]

    def holders(self, now: int, _process: str, asked: AskHolders) -> Told:
        """Tell who holds what."""
        kept = self.reservations
        return Code.OK, [len(kept.facts), *flatten(kept.holders(asked.most, now))]

    def pause(self, now: int, _process: str, pause: Pause) -> Told:
        """Pause or resume the account, or a lane; the newest word counts."""
        if pause.lane:
            code = self.lanes.pause(pause.lane, pause.on, pause.reason, now)
            if pause.on and code == Code.OK:
                self.line.take_all_back(pause.lane)
            return code, self._lane_answer([])
        self._set_pause(max(now, self.room.pause_at + 1), pause.on, pause.reason)
        return Code.OK, [self.room.pause_at]

    def lane(self, now: int, _process: str, lanes: Lanes) -> Told:
        """Take words on lanes: what a guard declares, what an operator sets, what the ledger has lost."""
        code, changed = self.lanes.tell(lanes.how, lanes.lanes, now)
        for name in changed:
            if self.lanes.of(name).told.paused:
                self.line.take_all_back(name)
        return code, self._lane_answer(changed)

    def _lane_answer(self, changed: list[str]) -> Wire:
        return [self.lanes.at, ",".join(changed), *flatten(self._rows())]

    def _rows(self) -> list[LaneWire]:
        """Return all lanes as they are told."""
        return [terms.told for terms in self.lanes.terms.values()]

    def _set_pause(self, at: int, on: int, reason: str) -> None:
        self.room.pause(at, on, reason)
        if on:
            self.line.take_all_back()

    def started(self, now: int, process: str, started: Started) -> Told:
        """Book a call that the fleet did not place."""
        facts = Facts(process, DEFAULT, Kind.STARTED, now, 0, started.lag, placed=1, call_id=started.call_id)
        at = now - started.age
        return self.reservations.call_started(started.rid, facts, at, started.duration, now), []

    def call_ended(self, now: int, _process: str, ended: CallEnded) -> Told:
        """A call is over, by its id."""
        return self.reservations.call_ended(ended.call_id, now), []

    def jumped(self, now: int, process: str, _request: Jumped) -> Told:
        """The clock jumped forward: what the book says of times is void."""
        self._new_epoch(now, PolicyWire.parse(self.members[process].policy))
        return Code.FOREIGN, []

    def _new_epoch(self, now: int, policy: PolicyWire) -> None:
        """Forget all bookings and seats; nothing is claimed until a reading shows what the fleet has placed."""
        self.epoch = max(now, self.epoch + 1)
        self.opened = now
        self.members.clear()
        self.reservations.reset()
        self.line.reset()
        self.room.begin_anew(policy)
        self.tombstones.clear()
        self.visibility.missed = 0
        self.readings.reset(self._open_after())

    def _open_after(self) -> int:
        """Return the time that a new epoch's first reading must begin after."""
        return self.opened + self.room.agreed.opening


def flatten(rows: Iterable[Iterable[int | str]]) -> Wire:
    """Return rows one after another."""
    return [item for row in rows for item in row]
