"""What one guard's process knows of its account, and what it must tell the ledger when. No I/O, no clock.

The shell (`clerk.py`) feeds it messages of callers, offers, replies and the time; it puts mail into callers' boxes and
keeps `outbox`, the requests to send, in the order of their making. One thread drives a desk; nothing here locks.
Times are seconds of the process's own clock; what goes to the ledger are ages and spans, never times of day.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from admission.core.messages import (
    Answer,
    AskFor,
    Booking,
    Box,
    ClaimOffer,
    Done,
    Failed,
    Fetched,
    Forgotten,
    GetReading,
    GetStatus,
    GiveUp,
    LedgerDown,
    Message,
    News,
    Offered,
    SayEnded,
    SayLeft,
    SayPlaced,
    SayRefused,
    SetPause,
    Shut,
    State,
    TellEnded,
    TellStarted,
    Want,
)
from admission.errors import Closed, UsageError
from admission.ledger.wire import (
    BEAT_MS,
    HEAD,
    Ask,
    AskStatus,
    Beat,
    CallEnded,
    Claim,
    Code,
    Duty,
    Ended,
    Entry,
    Head,
    Jumped,
    Kind,
    Leave,
    Outcome,
    Pause,
    Placed,
    PolicyWire,
    Reading,
    Refuse,
    Request,
    Started,
    Verdict,
    Who,
    Wire,
    Withdraw,
)
from admission.values import LaneStatus, Policy, Status

if TYPE_CHECKING:
    from admission.values import Usage

JUMP = 1.0
"""Seconds by which the ledger's clock may run ahead of the process's own before that is a jump."""
DRIFT = 0.001
"""Seconds per second that two sound clocks may drift apart."""
MOST_KEPT = 100_000
"""Notes kept while the ledger is away, at most."""


class Report(Protocol):
    """Where a desk tells what an operator should know: a documented event name and its facts."""

    def __call__(self, event: str, /, **facts: object) -> None:
        """Take one event."""
        ...


@dataclass(slots=True)
class Draft:
    """A request that waits to be sent: made at sending time, since it bears ages.

    `note`: it is kept until delivered, whatever becomes of the ledger. `box`: who waits for it. `reads`: it belongs to the
    attempt to read the provider, which ends when it is not served.
    """

    make: Callable[[float], Request]
    then: Callable[[Head, Wire, float], None] | None = None
    box: Box | None = None
    note: bool = True
    want: Want | None = None
    reads: bool = False
    sent_at: float = 0.0


def millis(seconds: float) -> int:
    """Return whole milliseconds, rounded up, so that no span on the wire is shorter than it was."""
    return math.ceil(seconds * 1000 - 1e-6)


def wire_policy(policy: Policy) -> PolicyWire:
    """Return the account-wide part of a policy as it travels."""
    return PolicyWire(
        refresh=millis(policy.refresh_interval),
        staleness=millis(policy.max_staleness),
        lease=millis(policy.lease_ttl),
        headroom=policy.headroom,
        max_waiting=policy.max_waiting,
        lag=millis(policy.visibility_lag),
        duration=millis(policy.max_call_duration),
    )


class Desk:
    """One guard's side of the ledger.

    Args:
        account: The account's name.
        process: This guard's name in the ledger, unique for ever.
        policy: The guard's policy.
        source_timeout: Seconds after which a reading of the provider is given up.
        fetch: Begins an attempt to read the provider; its `Fetched` comes back as a message.
        report: Takes what an operator should know.
    """

    def __init__(
        self,
        account: str,
        process: str,
        policy: Policy,
        *,
        source_timeout: float,
        fetch: Callable[[int], None],
        report: Report,
    ) -> None:
        self.account = account
        self.process = process
        self.policy = policy
        self.wire_policy = wire_policy(policy)
        self.source_timeout = source_timeout
        self.fetch = fetch
        self.report = report
        self.beat_every = min(BEAT_MS / 1000, policy.lease_ttl / 3, policy.placement_timeout / 3)
        self.outbox: deque[Draft] = deque()
        self.wants: dict[str, Want] = {}
        """Every caller that the ledger may have a seat for, by seat."""
        self.bookings: dict[str, Booking] = {}
        self.epoch = 0
        self.since = 0
        self.beat_at: float | None = None
        self.next_at: float | None = None
        self.due_at: float | None = None
        self.reader = False
        """Whether this process took the newest reading, and so takes the next one on time."""
        self.reading_until: float | None = None
        self.watchers: list[Box] = []
        """Who waits for a reading without a seat."""
        self.last_error: Exception | None = None
        self.down: Exception | None = None
        self.closing: Box | None = None
        self.closed = False
        self.line = 0
        """Callers in the line, by the newest reply."""
        self.wants_ear = False
        """Whether a seat was taken, so that offers must be listened for."""
        self.pause = (0, 0, "")
        self.agreed = self.wire_policy.text()
        self.lapsed: int | None = None
        self.offset_bound: float | None = None
        self.offset_at = 0.0

    def who(self) -> Who:
        """Return what every request says first."""
        return Who(self.process, self.epoch, self.wire_policy.text())

    # Messages of callers

    def handle(self, message: Message, now: float) -> None:
        """Take one message."""
        match message:
            case AskFor(want):
                self._ask(want, now)
            case ClaimOffer(want):
                self._send(lambda _: self._claim_request(want), self._granted(want), want.box, want=want)
            case GiveUp(want, answer):
                self._give_up(want, now, answer=answer)
            case SayPlaced() | SayLeft() | SayEnded():
                self._note(message, now)
            case SayRefused():
                self._refused(message, now)
            case TellStarted(box, rid, call_id, at):
                policy = self.wire_policy
                self._send(
                    lambda t: Started(rid, call_id, millis(t - at), policy.lag, policy.duration), self._done(box), box
                )
            case TellEnded(box, call_id):
                self._send(lambda _: CallEnded(call_id), self._done(box), box)
            case GetStatus(box):
                self._send(lambda _: AskStatus(), self._state(box), box, note=False)
            case SetPause(box, on, reason):
                self._send(
                    lambda _: Pause(int(on), reason), self._pause_set(box, on=on, reason=reason), box, note=False
                )
            case GetReading(box):
                self.watchers.append(box)
                self._ask_duty(now, force=True)
            case Fetched():
                self._fetched(message, now)
            case Shut(box):
                self._shut(box, now)

    def _send(
        self,
        make: Callable[[float], Request],
        then: Callable[[Head, Wire, float], None] | None = None,
        box: Box | None = None,
        *,
        note: bool = True,
        want: Want | None = None,
    ) -> None:
        self.outbox.append(Draft(make, then, box, note, want))

    def _ask(self, want: Want, now: float) -> None:
        if self.closed:
            want.box.put(Failed(Closed("the guard is closed")))
            return
        want.asked = True
        self.wants[want.seat] = want
        self._awake(now)
        self._send(lambda t: self._ask_request(want, t), self._granted(want), want.box, want=want)

    def _ask_request(self, want: Want, now: float) -> Ask:
        spans = self._spans(want.policy)
        waited = millis(now - want.since) if want.again else 0
        return Ask(want.seat, want.rid, want.lane, want.kind, *spans, int(want.join), waited)

    def _claim_request(self, want: Want) -> Claim:
        return Claim(want.seat, want.rid, want.lane, want.kind, *self._spans(want.policy))

    @staticmethod
    def _spans(policy: Policy) -> tuple[int, int, int]:
        return millis(policy.placement_timeout), millis(policy.visibility_lag), millis(policy.max_call_duration)

    def _granted(self, want: Want) -> Callable[[Head, Wire, float], None]:
        """Return what to do with the verdict on an ask or a claim."""

        def then(head: Head, tail: Wire, sent_at: float) -> None:
            verdict = Verdict(*tail)  # type: ignore[arg-type]  # the wire's order is the verdict's
            code = Code(head.code)
            if want.gone:
                return
            booking = None
            if code is Code.GRANTED:
                booking = self._open_booking(want, sent_at - verdict.age / 1000)
            elif code is Code.IN_LINE:
                self.wants_ear = True
            if not want.join or code in {Code.GRANTED, Code.FULL, Code.WITHDRAWN}:
                self.wants.pop(want.seat, None)
                want.asked = code is Code.GRANTED
            if code is Code.UNREAD and not want.join and want.box not in self.watchers:
                self.watchers.append(want.box)
            want.box.put(Answer(code, verdict, booking, self.last_error))

        return then

    def _open_booking(self, want: Want, granted_at: float) -> Booking:
        policy = want.policy
        deadline = granted_at + policy.placement_timeout
        booking = Booking(
            want.rid, want.lane, want.kind, policy, granted_at, deadline, deadline + policy.visibility_lag
        )
        self.bookings[want.rid] = booking
        return booking

    def _give_up(self, want: Want, now: float, *, answer: bool) -> None:
        if want.gone or not want.asked:
            return
        want.gone = True
        self.wants.pop(want.seat, None)
        self.bookings.pop(want.rid, None)
        unsent = [draft for draft in self.outbox if draft.want is want and not draft.sent_at]
        for draft in unsent:
            self.outbox.remove(draft)

        def then(head: Head, tail: Wire, _sent_at: float) -> None:
            want.box.put(Answer(Code(head.code), Verdict(*tail), None, self.last_error))  # type: ignore[arg-type]  # same

        self._send(lambda _: Withdraw(want.seat, want.rid), then if answer else None, want.box if answer else None)
        self._awake(now)

    # Notes: told in order, kept while the ledger is away

    def _note(self, note: SayPlaced | SayLeft | SayEnded, now: float) -> None:
        booking = self.bookings.get(note.rid)
        if booking is None:
            return
        lag = booking.policy.visibility_lag
        match note:
            case SayPlaced(rid, at, late, call_id, leaving):
                booking.placed = True
                booking.call_id = call_id or booking.call_id
                booking.late = booking.late or late
                booking.settle_at = at + lag if late else min(booking.settle_at, at + lag)
                booking.open = booking.open and not leaving
                if late:
                    self.report("late_placement", reservation=rid, seconds=round(at - booking.deadline, 3))
                self._send(lambda t: self._placed_request(booking, at, t, late=late, leaving=leaving))
            case SayLeft(rid, at, by_value):
                booking.open = False
                if by_value or booking.placed:
                    booking.settle_at = min(booking.settle_at, at + lag)
                self._send(lambda t: Leave(rid, millis(t - at), int(by_value)))
            case SayEnded(rid, placed):
                del self.bookings[rid]
                call_id = booking.call_id if placed else ""
                self._send(lambda _: Ended(rid, call_id))
        if not booking.open and not self._worth_keeping(booking, now):
            self.bookings.pop(note.rid, None)
        if len(self.outbox) > MOST_KEPT:
            self.outbox.popleft()
            self.report("note_lost", kept=MOST_KEPT)

    @staticmethod
    def _placed_request(booking: Booking, at: float, now: float, *, late: bool, leaving: bool) -> Placed:
        timeout, lag, _ = Desk._spans(booking.policy)
        return Placed(
            booking.rid,
            millis(now - at),
            int(late),
            int(leaving),
            booking.call_id,
            booking.lane,
            booking.kind,
            millis(now - booking.granted_at),
            timeout,
            lag,
            max(1, millis(booking.until - now)),
        )

    def _refused(self, note: SayRefused, now: float) -> None:
        booking = self.bookings.pop(note.rid, None)
        again = note.again
        self.report("refused_by_provider", reservation=note.rid, retry_after=note.retry_after)
        retry_after = millis(note.retry_after or 0.0)
        lane = booking.lane if booking else "default"
        if again is not None and not self.closed:
            again.asked = True
            self.wants[again.seat] = again
            self.wants_ear = True
            self._awake(now)
            self._send(lambda t: Refuse(note.rid, millis(t - note.at), retry_after, again.seat, lane), want=again)
        else:
            self._send(lambda t: Refuse(note.rid, millis(t - note.at), retry_after, "", lane))

    @staticmethod
    def _worth_keeping(booking: Booking, now: float) -> bool:
        """Whether a left reservation must be booked again if the ledger loses it."""
        tracked = booking.kind is Kind.TRACK and booking.placed and now < booking.until
        return tracked or now < booking.settle_at

    # Answers to callers

    def _done(self, box: Box) -> Callable[[Head, Wire, float], None]:
        return lambda _head, _tail, _sent_at: box.put(Done())

    def _pause_set(self, box: Box, *, on: bool, reason: str) -> Callable[[Head, Wire, float], None]:
        def then(_head: Head, tail: Wire, _sent_at: float) -> None:
            self.pause = (int(tail[0]), int(on), reason)
            box.put(Done())

        return then

    def _state(self, box: Box) -> Callable[[Head, Wire, float], None]:
        def then(head: Head, tail: Wire, _sent_at: float) -> None:
            limit, count, in_use, free, pending, held, untracked, age, in_flight, paused, reason = tail
            known = int(limit) >= 0
            status = Status(
                account=self.account,
                limit=int(limit) if known else None,
                count=int(count) if known else None,
                in_use=int(in_use),
                free=int(free),
                pending=int(pending),
                held=int(held),
                untracked=int(untracked),
                waiting=head.waiting,
                usage_age=int(age) / 1000 if int(age) >= 0 else None,
                paused=bool(paused),
                pause_reason=str(reason) if paused else "",
                lanes=(LaneStatus("default", head.waiting, int(in_flight)),),
            )
            box.put(State(status))

        return then

    # Reading the provider

    def _ask_duty(self, now: float, *, force: bool = False) -> None:
        if self.reading_until is not None and now < self.reading_until:
            return
        self.reading_until = now + self.source_timeout + 1.0
        self.due_at = None

        def then(head: Head, tail: Wire, _sent_at: float) -> None:
            if head.code == Code.GRANTED:
                self.fetch(int(tail[0]))
                return
            self.reading_until = None
            self.reader = False
            if force:
                self._tell_watchers()

        duty = Duty(max(1, millis(self.source_timeout)), int(force))
        self.outbox.append(Draft(lambda _: duty, then, note=False, reads=True))

    def _fetched(self, fetched: Fetched, now: float) -> None:
        error = fetched.error
        if fetched.outcome is Outcome.PASSING:
            self.report("reading_failed", error=str(error))
        if error is not None:
            self.last_error = error
        limit, count, stamp = (-1, -1, -1) if fetched.usage is None else usage_numbers(fetched.usage)
        retry_after = millis(getattr(error, "retry_after", None) or 0.0)
        text = "" if error is None else str(error)[:200]
        request = Reading(fetched.t0, fetched.outcome, limit, count, stamp, retry_after, text)

        def then(head: Head, _tail: Wire, _sent_at: float) -> None:
            self._reading_written(fetched, head)

        self.outbox.append(Draft(lambda _: request, then, note=False, reads=True))
        if fetched.outcome is Outcome.FINAL and error is not None:
            self.report("reading_final", error=str(error))
            for want in self.wants.values():
                want.box.put(Failed(error))
            for box in self.watchers:
                box.put(Failed(error))
            self.watchers.clear()
        self._awake(now)

    def _reading_written(self, fetched: Fetched, head: Head) -> None:
        self.reading_until = None
        self.reader = fetched.outcome in {Outcome.READ, Outcome.PASSING}
        code = Code(head.code)
        if fetched.outcome is Outcome.READ and code in {Code.OK, Code.DISBELIEVED}:
            self.last_error = None
        elif code is Code.CACHED:
            self.last_error = UsageError("the provider repeats an old answer: its timestamp does not move")
        if code in {Code.OVERLAPPING, Code.TOO_OLD, Code.CACHED, Code.DISBELIEVED}:
            self.report("reading_" + code.name.lower())
        self._tell_watchers(fetched.error)

    def _tell_watchers(self, error: Exception | None = None) -> None:
        for box in self.watchers:
            box.put(News(error))
        self.watchers.clear()

    # Time

    def _busy(self) -> bool:
        return bool(self.wants) or any(booking.open for booking in self.bookings.values())

    def _awake(self, now: float) -> None:
        if self.beat_at is None:
            self.beat_at = now + self.beat_every

    def wake_at(self) -> float | None:
        """Return when `tick` has something to do, or `None` while nothing is under way."""
        times = [self.beat_at]
        if self.wants:
            times.append(self.next_at)
            if self.reader and self.reading_until is None:
                times.append(self.due_at)
        return min((time for time in times if time is not None), default=None)

    def tick(self, now: float) -> None:
        """Do what is due: the beat, the reading."""
        timed = self.wants and self.next_at is not None and now >= self.next_at
        if timed:
            self.next_at = None
        if timed or (self.beat_at is not None and now >= self.beat_at):
            self._beat(now)
            if self.wants and self.due_at is not None and now >= self.due_at:
                self._ask_duty(now)
        elif self.wants and self.reader and self.due_at is not None and now >= self.due_at:
            self._ask_duty(now)

    def _beat(self, now: float) -> None:
        for rid in [rid for rid, b in self.bookings.items() if not b.open and not self._worth_keeping(b, now)]:
            del self.bookings[rid]
        if not self._busy():
            self.beat_at = None
            return
        self.beat_at = now + self.beat_every
        listed = [
            booking for booking in self.bookings.values() if booking.may_still_dial or (booking.late and booking.open)
        ]
        self._send_beat(listed)

    def _send_beat(self, listed: list[Booking], *, first: bool = False) -> None:
        def make(now: float) -> Request:
            current = [booking for booking in listed if booking.rid in self.bookings]
            return Beat(*self.pause, tuple(self._entry(booking, now) for booking in current))

        def then(_head: Head, tail: Wire, sent_at: float) -> None:
            for booking in listed:
                if booking.may_still_dial:
                    booking.deadline = max(booking.deadline, sent_at + booking.policy.placement_timeout)
                    booking.settle_at = max(booking.settle_at, booking.deadline + booking.policy.visibility_lag)
            self._heard_back(tail)

        draft = Draft(make, then, note=False)
        if first:
            self.outbox.appendleft(draft)
        else:
            self.outbox.append(draft)

    def _entry(self, booking: Booking, now: float) -> Entry:
        timeout, lag, _ = self._spans(booking.policy)
        settle = timeout + lag if booking.may_still_dial else millis(booking.settle_at - now)
        return Entry(
            booking.rid,
            booking.lane,
            booking.kind,
            millis(now - booking.granted_at),
            timeout,
            lag,
            int(booking.placed),
            int(booking.open),
            settle,
            max(1, millis(booking.until - now)),
            booking.call_id,
        )

    def _heard_back(self, tail: Wire) -> None:
        """Take what a beat's reply tells: the pause, the agreed policy, lapses, this process's offers."""
        pause_at, pause_on, reason, agreed, lapsed, *offers = tail
        self.pause = (int(pause_at), int(pause_on), str(reason))
        if agreed != self.agreed:
            self.agreed = str(agreed)
            if agreed != self.wire_policy.text():
                self.report("policies_differ", agreed=agreed, own=self.wire_policy.text())
        if self.lapsed is not None and int(lapsed) > self.lapsed:
            self.report("lapsed", reservations=int(lapsed) - self.lapsed)
        self.lapsed = int(lapsed)
        self.offered([str(seat) for seat in offers])

    def offered(self, seats: list[str]) -> None:
        """Slots are offered to these seats of this process."""
        for seat in seats:
            want = self.wants.get(seat)
            if want is not None:
                want.box.put(Offered())
            else:
                # A seat that nobody here waits in: an ask that came through after its caller had gone.
                self._withdraw_orphan(seat)

    def _withdraw_orphan(self, seat: str) -> None:
        self._send(lambda _: Withdraw(seat, ""))

    def look_again(self, now: float) -> None:
        """Offers may have been missed (the wake-up connection is back): ask for them at once."""
        if self.wants:
            self.beat_at = now

    # The ledger's side

    def take(self, now: float) -> list[tuple[Draft, Who, Request]]:
        """Take everything out of the outbox, made for sending now."""
        who = self.who()
        batch = []
        while self.outbox:
            draft = self.outbox.popleft()
            draft.sent_at = now
            batch.append((draft, who, draft.make(now)))
        return batch

    def replied(self, draft: Draft, reply: Wire, now: float) -> None:
        """Take the ledger's reply to a draft."""
        self.down = None
        head = Head(*reply[:HEAD])  # type: ignore[arg-type]  # the wire's order is the head's
        self._check_clock(head, draft.sent_at, now)
        if head.code == Code.FOREIGN:
            self._foreign(head, draft, now)
            return
        if self.since and head.since != self.since:
            self.since = head.since
            self.report("lapsed_process", account=self.account)
            self._tell_all_again(now)
        self.since = head.since
        self.line = head.waiting
        self.next_at = now + (head.next_at - head.now) / 1000 if head.next_at else None
        self.due_at = now + (head.due_at - head.now) / 1000
        if draft.then is not None:
            draft.then(head, reply[HEAD:], draft.sent_at)
        self._read_if_due(draft, now)

    def _read_if_due(self, draft: Draft, now: float) -> None:
        """Somebody here asked for a slot: renew the reading when it is due."""
        asking = draft.want is not None or draft.box in self.watchers
        if asking and self.reading_until is None and self.due_at is not None and now >= self.due_at:
            self._ask_duty(now)

    def _foreign(self, head: Head, draft: Draft, now: float) -> None:
        """The ledger is in another epoch: tell it everything anew, then send the draft again."""
        if head.epoch != self.epoch:
            first = not self.epoch
            self.epoch, self.since = head.epoch, 0
            self.offset_bound = None
            if not first:
                self.report("new_epoch", account=self.account, epoch=head.epoch)
                self._tell_all_again(now)
        if draft.note or draft.box is not None:
            draft.sent_at = 0.0
            self.outbox.append(draft)
        else:
            self._abandoned(draft)

    def _abandoned(self, draft: Draft) -> None:
        """A request that is not kept was not served; a duty or a reading among them ends here."""
        if draft.reads:
            self.reading_until = None
            self._tell_watchers(self.down)

    def _tell_all_again(self, now: float) -> None:
        """The ledger has forgotten this process: list every reservation, and let the callers ask anew."""
        self._send_beat(list(self.bookings.values()), first=True)
        for want in self.wants.values():
            want.again = True
            want.box.put(Forgotten())
        self._awake(now)

    def failed(self, drafts: list[Draft], error: Exception, now: float) -> None:
        """The ledger did not answer these drafts: keep the notes, tell who waits."""
        self.down = error
        kept = []
        for draft in drafts:
            if draft.box is not None:
                draft.box.put(LedgerDown(error))
            if draft.note:
                draft.sent_at = 0.0 if draft.want is None else draft.sent_at
                kept.append(draft)
            else:
                self._abandoned(draft)
        self.outbox.extendleft(reversed(kept))
        self._awake(now)

    def _check_clock(self, head: Head, sent_at: float, now: float) -> None:
        """Report a jump: the ledger's clock is ahead of all that earlier round trips allow."""
        ledger = head.now / 1000
        if self.offset_bound is not None:
            allowed = self.offset_bound + DRIFT * (now - self.offset_at) + JUMP
            if ledger - now > allowed and head.code != Code.FOREIGN:
                self.report("clock_jumped", account=self.account, seconds=round(ledger - now - allowed + JUMP, 3))
                self.offset_bound = None
                self._send(lambda _: Jumped(), note=False)
                return
            self.offset_bound += DRIFT * (now - self.offset_at)
        bound = ledger - sent_at
        self.offset_bound = bound if self.offset_bound is None else min(self.offset_bound, bound)
        self.offset_at = now

    # Closing

    def _shut(self, box: Box, now: float) -> None:
        self.closed = True
        for want in list(self.wants.values()):
            want.box.put(Failed(Closed("the guard was closed while the caller waited")))
            self._give_up(want, now, answer=False)
        for watcher in self.watchers:
            watcher.put(Failed(Closed("the guard was closed")))
        self.watchers.clear()
        self.closing = box
        self.check_closed()

    def check_closed(self) -> None:
        """Tell the closer when all that was noted is delivered."""
        if self.closing is not None and not self.outbox:
            self.closing.put(Done())
            self.closing = None


def usage_numbers(usage: Usage) -> tuple[int, int, int]:
    """Return a reading as it travels: limit, count, and the timestamp in microseconds, -1 for none."""
    return usage.limit, usage.count, -1 if usage.timestamp is None else microseconds(usage.timestamp)


def microseconds(stamp: datetime) -> int:
    """Return a timestamp as whole microseconds; only ever compared with others of the same source."""
    span = stamp.replace(tzinfo=None) - (stamp.utcoffset() or timedelta(0)) - datetime.min
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
