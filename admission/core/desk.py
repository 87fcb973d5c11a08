"""What one guard's process knows of its account, and what it must tell the ledger when. No I/O, no clock.

The shell (`clerk.py`) feeds it messages of callers, offers, replies and the time; it puts mail into callers' boxes and
keeps `outbox`, the requests to send, in the order of their making. One thread drives a desk; nothing here locks.
Times are seconds of the process's own clock; what goes to the ledger are ages and spans, never times of day.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from admission.core.clockwatch import ClockWatch
from admission.core.drafts import Draft
from admission.core.lanes import OwnLanes
from admission.core.messages import (
    Admitted,
    Answer,
    AskFor,
    Booking,
    Box,
    ClaimOffer,
    Done,
    Failed,
    Fetched,
    Flush,
    Forgotten,
    GetReading,
    GetStatus,
    GiveUp,
    Handed,
    LedgerDown,
    Message,
    Offered,
    SayEnded,
    SayLeft,
    SayPlaced,
    SayRefused,
    SetLane,
    SetPause,
    Shut,
    State,
    TellEnded,
    TellStarted,
    Want,
)
from admission.core.ownbooks import OwnBooks, granted
from admission.core.reader import Reader
from admission.core.spans import booking_spans, millis, wait_ms, wire_lane, wire_policy
from admission.core.states import status_of
from admission.errors import Closed, ConfigurationError
from admission.ledger.lanes import MOST_LANES
from admission.ledger.replies import HEAD, HandOver, Head, Verdict
from admission.ledger.requests import (
    Ask,
    AskStatus,
    Beat,
    CallEnded,
    Claim,
    Jumped,
    Lanes,
    Pause,
    Refuse,
    Request,
    Started,
    Who,
    Withdraw,
)
from admission.ledger.wire import BEAT_MS, OFFER_MS, ONLOOKER, Code, LaneWire, Outcome, Wire, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from admission.core.drafts import Report, Then
    from admission.values import Lane, Policy

SEATLESS = {Code.GRANTED, Code.FULL, Code.WITHDRAWN, Code.NO_LANE}
"""The verdicts after which a caller has no seat."""
SLOW = 0.05
"""Seconds after which a waiter that has not taken what was handed over to it is slow: others are only offered slots."""
GIVEN_UP = OFFER_MS / 1000
"""Seconds after which what was handed over and not taken goes back."""
MOST_KEPT = 100_000
"""Notes kept while the ledger is away, at most."""


class Desk:
    """One guard's side of the ledger.

    Args:
        account: The account's name.
        process: This guard's name in the ledger, unique for ever.
        policy: The guard's policy.
        lanes: The lanes that the guard declares.
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
        lanes: Iterable[Lane] = (),
        source_timeout: float,
        fetch: Callable[[int], None],
        report: Report,
    ) -> None:
        self.account = account
        self.process = process
        self.policy = wire_policy(policy)
        # Until it asks for a slot it only looks on: an operator's `status` must not change how the fleet decides.
        self._policy_text = self.policy.text() + ONLOOKER
        self.report = report
        self.beat_every = min(BEAT_MS / 1000, policy.lease_ttl / 3, policy.placement_timeout / 3)
        self.outbox: deque[Draft] = deque()
        self.own = OwnBooks()
        self.reader = Reader(
            account, source_timeout, self.policy, fetch, self.outbox.append, self._waiting_since, report
        )
        self.wants: dict[str, Want] = {}
        """Every caller that the ledger may have a seat for, by seat."""
        self.wants_ear = False
        """Whether a seat was taken, so that offers must be listened for."""
        self.line = 0
        """Callers in the line, by the newest reply."""
        self.flows = False
        """Whether the newest caller that asked was granted a slot at once: the next one may ask by itself."""
        self.down: Exception | None = None
        """Why the ledger did not answer, while it does not."""
        self.closed = False
        self.closing: Box | None = None
        self._epoch = 0
        self._since = 0
        self._beat_at: float | None = None
        self._next_at: float | None = None
        self._pause = (0, 0, "")
        self._lanes = OwnLanes(lanes)
        self._agreed = self.policy.text()
        self._lapsed: int | None = None
        self._looks = False
        """Whether a beat is to be sent that looks after a hint of which nothing is known here."""
        self._learnt = 0
        """Number of the last hand-over that it has learnt of."""
        self._granted = ""
        self._handed: deque[tuple[float, Want]] = deque()
        """To whom slots were handed over, and when, until they have taken them."""
        self._stalled = False
        """Whether somebody did not take one at all, and no caller was heard of since."""
        self._clock = ClockWatch()

    # Messages of callers

    def handle(self, message: Message, now: float) -> None:  # noqa: C901, PLR0912 - one line a message
        """Take one message."""
        self._stalled = False
        match message:
            case AskFor(want):
                self._ask(want, now)
            case Admitted():
                self._admitted(message, now)
            case ClaimOffer(want):
                claim = Claim(want.seat, want.rid, want.lane, int(want.kind), *booking_spans(want.policy))
                self._send(lambda _: claim, self._decided(want), want.box, want=want)
            case GiveUp(want, answer):
                self._give_up(want, answer=answer)
            case SayPlaced() | SayLeft() | SayEnded():
                self._note(message, now)
            case SayRefused():
                self._refused(message, now)
            case TellStarted(box, rid, call_id, at):
                spans = self.policy.lag, self.policy.duration
                self._send(lambda t: Started(rid, call_id, millis(t - at), *spans), _done(box), box)
            case TellEnded(box, call_id):
                self._send(lambda _: CallEnded(call_id), _done(box), box)
            case GetStatus(box):
                self._send(lambda _: AskStatus(), self._state(box), box, note=False)
            case SetPause(box, on, reason, name):
                then = self._lane_told(box, name) if name else self._paused(box, on=on, reason=reason)
                self._send(lambda _: Pause(int(on), reason, name), then, box, note=False)
            case SetLane(box, lane):
                told = Lanes(int(Word.SET), (wire_lane(lane),))
                self._send(lambda _: told, self._lane_told(box, lane.name), box, note=False)
            case GetReading(box):
                self.reader.watchers.append(box)
                self.reader.ask_duty(now, force=True)
            case Fetched(error=error):
                if error is not None and message.outcome is Outcome.FINAL:
                    self._fail_callers(error)
                self.reader.fetched(message)
                self._awake(now)
            case Shut(box):
                self._fail_callers(Closed("the guard was closed while the caller waited"))
                self._shut(box)
            case Flush(box):
                self._shut(box)

    def _send(
        self,
        make: Callable[[float], Request],
        then: Then | None = None,
        box: Box | None = None,
        *,
        note: bool = True,
        want: Want | None = None,
    ) -> None:
        self.outbox.append(Draft(make, then, box, note, want))
        if len(self.outbox) > MOST_KEPT:
            self.outbox.popleft()
            self.report("note_lost", kept=MOST_KEPT)

    def _ask(self, want: Want, now: float) -> None:
        if self.closed:
            want.box.put(Failed(Closed("the guard is closed")))
            return
        want.asked = True
        want.booked = want.stirred = False
        self.wants[want.seat] = want
        if self._policy_text != self.policy.text():
            self._policy_text = self.policy.text()
            self._tell_lanes(self._lanes.declaration())
        self._awake(now)

        def make(now: float) -> Request:
            return _ask(want, join=want.join, waited=now - want.since if want.again else 0.0)

        self._send(make, self._decided(want, asked=True), want.box, want=want)

    # What a caller does that asks by itself. It runs in the caller's thread, so it changes nothing here.

    def direct_request(self, want: Want) -> tuple[Who, Request] | None:
        """Return what to say to claim a slot without taking a seat; `None` while that is of little use."""
        if not self.flows or self.line or self.closed or self.down is not None:
            return None
        return self._who(), _ask(want, join=False)

    def _admitted(self, admitted: Admitted, now: float) -> None:
        """A caller has asked by itself and was granted a slot."""
        if admitted.want.gone:
            return
        self.own.add(admitted.booking)
        self._awake(now)
        head = Head(*admitted.reply[:HEAD])  # type: ignore[arg-type]  # the wire's order is the head's
        if head.epoch != self._epoch:
            self.outbox.append(self._beat_draft([admitted.booking]))
            return
        self._take_head(head, admitted.sent_at, admitted.heard_at)
        self.reader.renew(now)

    def _decided(self, want: Want, *, asked: bool = False) -> Then:
        """Return what to do with the verdict on an ask or a claim."""

        def then(head: Head, tail: Wire, sent_at: float) -> None:
            if want.gone or want.booked:
                return
            code, verdict = Code(head.code), Verdict(*tail)  # type: ignore[arg-type]  # the wire's order is the verdict's
            booking = None
            self.flows = code is Code.GRANTED
            if code is Code.GRANTED:
                booking = granted(want, sent_at - verdict.age / 1000)
                self.own.add(booking)
            elif code is Code.IN_LINE:
                self.wants_ear = True
                if asked and want.sleeps(sent_at):
                    want.seated = True
                    return
            elif code is Code.UNREAD and not want.join and want.box not in self.reader.watchers:
                self.reader.watchers.append(want.box)
            if not want.join or code in SEATLESS:
                self.wants.pop(want.seat, None)
                want.asked = code is Code.GRANTED
            want.box.put(Answer(code, verdict, booking, self.reader.last_error))

        return then

    def _give_up(self, want: Want, *, answer: bool) -> None:
        if want.gone or not want.asked:
            return
        want.gone = True
        want.handed.clear()
        self.wants.pop(want.seat, None)
        self.own.bookings.pop(want.rid, None)
        # What it asked for need not be sent any more; the refusal of the reservation that it had before must be.
        for draft in [d for d in self.outbox if d.want is want and d.box is not None and not d.sent_at]:
            self.outbox.remove(draft)

        def then(head: Head, tail: Wire, _sent_at: float) -> None:
            want.box.put(Answer(Code(head.code), Verdict(*tail), None, self.reader.last_error))  # type: ignore[arg-type]  # same

        self._send(lambda _: Withdraw(want.seat, want.rid), then if answer else None, want.box if answer else None)

    # Notes of holders: told in order, kept while the ledger is away

    def _note(self, note: SayPlaced | SayLeft | SayEnded, now: float) -> None:
        if isinstance(note, SayPlaced) and note.late:
            self.report("late_placement", account=self.account, reservation=note.rid)
        make = self.own.note(note, now)
        if make is not None:
            self._send(make)

    def _refused(self, note: SayRefused, now: float) -> None:
        booking = self.own.bookings.pop(note.rid, None)
        lane = booking.lane if booking else "default"
        again = None if self.closed else note.again
        self.report("refused_by_provider", account=self.account, reservation=note.rid, retry_after=note.retry_after)
        if again is not None:
            again.asked = True
            self.wants[again.seat] = again
            self.wants_ear = True
            self._awake(now)
        elif note.again is not None:
            note.again.box.put(Failed(Closed("the guard was closed while the call was refused")))
        seat = again.seat if again else ""
        retry_after = wait_ms(note.retry_after)
        terms = (int(again.kind), *booking_spans(again.policy)) if again else (0, 0, 0, 0)
        self._send(lambda t: Refuse(note.rid, millis(t - note.at), retry_after, seat, lane, *terms), want=again)

    # Answers to callers

    def _paused(self, box: Box, *, on: bool, reason: str) -> Then:
        def then(_head: Head, tail: Wire, _sent_at: float) -> None:
            self._pause = (int(tail[0]), int(on), reason)
            box.put(Done())

        return then

    # Lanes

    def _tell_lanes(self, lanes: Lanes | None, *, first: bool = False) -> None:
        if lanes is None:
            return

        def then(head: Head, tail: Wire, _sent_at: float) -> None:
            if head.code == Code.FULL:
                self.report("lanes_refused", account=self.account, lanes=[lane.name for lane in lanes.lanes])
            self._lanes_heard(tail)

        draft = Draft(lambda _: lanes, then)
        if first:
            self.outbox.appendleft(draft)
        else:
            self.outbox.append(draft)

    def _lanes_heard(self, tail: Wire) -> None:
        at, changed, *rows = tail
        if changed:
            self.report("lanes_told", account=self.account, lanes=changed)
        self._tell_lanes(self._lanes.heard(int(at), rows, self.report))

    def _lane_told(self, box: Box, lane: str) -> Then:
        """Return what to do with the reply to a word on one lane."""

        def then(head: Head, tail: Wire, _sent_at: float) -> None:
            if head.code == Code.NO_LANE:
                known = ", ".join(sorted({"default", *(row.name for row in LaneWire.rows(tail[2:]))}))
                box.put(Failed(ConfigurationError(f"lane {lane!r} is not known; known are: {known}")))
            elif head.code == Code.FULL:
                box.put(Failed(ConfigurationError(f"lane {lane!r} is one too many: an account has {MOST_LANES}")))
            else:
                box.put(Done())
            self._lanes_heard(tail)

        return then

    def _state(self, box: Box) -> Then:
        def then(head: Head, tail: Wire, _sent_at: float) -> None:
            box.put(State(status_of(self.account, head, tail)))

        return then

    def _waiting_since(self) -> float | None:
        first = next(iter(self.wants.values()), None)
        return None if first is None else first.since

    def _fail_callers(self, error: Exception) -> None:
        for box in [*(want.box for want in self.wants.values()), *self.reader.watchers]:
            box.put(Failed(error))
        self.reader.watchers.clear()

    # Time

    def _awake(self, now: float) -> None:
        if self._beat_at is None:
            self._beat_at = now + self.beat_every

    def wake_at(self) -> float | None:
        """Return when `tick` has something to do, or `None` while nothing is under way."""
        if self.closed and not self.wants and not self.own.any_open():
            return None
        times = [self._beat_at]
        if self._handed:
            times.append(self._handed[0][0] + GIVEN_UP)
        if self.wants:
            times.append(self._next_at)
            times.append(self.reader.wake_at())
        return min((time for time in times if time is not None), default=None)

    def tick(self, now: float) -> None:
        """Do what is due: the beat, what time has freed, the reading, what was handed over and not taken."""
        self._look_after_handed(now)
        if self.wants and self._next_at is not None and now >= self._next_at:
            self._next_at = None
            self._beat_at = now
        beats = self._beat_at is not None and now >= self._beat_at
        if beats:
            self._beat(now)
        # The newest reader goes on in time; the others look once a beat whether it still does.
        if self.wants and (beats or self.reader.goes_on):
            self.reader.renew(now)

    def look_again(self, now: float) -> None:
        """Offers may have been missed (the wake-up connection is back): ask for them at once."""
        if self.wants:
            self._beat_at = now

    def _beat(self, now: float) -> None:
        self.own.drop_settled(now)
        if not self.wants and not self.own.any_open():
            self._beat_at = None
            return
        self._beat_at = now + self.beat_every
        self.outbox.append(self._beat_draft(self.own.to_list(now)))

    def _beat_draft(self, listed: list[Booking]) -> Draft:
        def then(_head: Head, tail: Wire, sent_at: float) -> None:
            self.own.acknowledged(listed, sent_at)
            self._heard_back(tail)

        return Draft(lambda now: Beat(*self._pause, self._lanes.at, self.own.entries(listed, now)), then, note=False)

    def _heard_back(self, tail: Wire) -> None:
        """Take what a beat's reply tells: the pause, the agreed policy, lapses, lanes, this process's offers."""
        pause_at, pause_on, reason, agreed, lapsed, lanes_at, lanes, *rest = tail
        fields = int(lanes) * len(LaneWire._fields)
        self._tell_lanes(self._lanes.heard(int(lanes_at), rest[:fields], self.report))
        self._pause = (int(pause_at), int(pause_on), str(reason))
        if agreed != self._agreed:
            self._agreed = str(agreed)
            if agreed != self.policy.text():
                self.report("policies_differ", account=self.account, agreed=agreed, own=self.policy.text())
        if self._lapsed is not None and int(lapsed) > self._lapsed:
            self.report("lapsed", account=self.account, reservations=int(lapsed) - self._lapsed)
        self._lapsed = int(lapsed)
        for seat in map(str, rest[fields:]):
            if not self._stir(seat):
                # Nobody here waits in it: an ask that came through after its caller had gone.
                self._withdraw(seat)

    def offered(self, seats: Iterable[str], now: float) -> None:
        """Slots are offered to these seats of this process, as a hint says that anybody may have sent."""
        hinted = dict.fromkeys(seats)
        known = [seat for seat in hinted if seat in self.wants]
        if known and not self._is_slow(now):
            # A beat's reply hands them over, and lists the other offers.
            self._beat_at = now
            return
        for seat in known:
            self._stir(seat)
        if len(known) < len(hinted) and not self._looks:
            # Whether strange ones are offered anything, the ledger says.
            self._looks = True
            self.outbox.append(self._beat_draft(self.own.to_list(now)))

    def _stir(self, seat: str) -> bool:
        """Have the caller in a seat look after what it is offered; return whether there is one."""
        want = self.wants.get(seat)
        if want is None:
            return False
        want.stirred = True
        if not want.box.put(Offered()):
            self._give_up(want, answer=False)
        return True

    def _withdraw(self, seat: str) -> None:
        self._send(lambda _: Withdraw(seat, ""))

    # The ledger's side

    def take(self, now: float) -> list[tuple[Draft, Who, Request]]:
        """Take everything out of the outbox, made for sending now."""
        who = self._who(learnt=-1 if self._is_slow(now) else self._learnt)
        batch = []
        self._looks = False
        while self.outbox:
            draft = self.outbox.popleft()
            draft.sent_at = now
            batch.append((draft, who, draft.make(now)))
        return batch

    def _is_slow(self, now: float) -> bool:
        """Whether waiters do not take what is handed over to them: then they must claim, and so show that they live."""
        return self._stalled or (bool(self._handed) and now - self._handed[0][0] > SLOW)

    def _who(self, *, learnt: int = -1) -> Who:
        return Who(self.process, self._epoch, self._policy_text, learnt)

    def replied(self, draft: Draft, reply: Wire, now: float) -> None:
        """Take the ledger's reply to a draft."""
        self.down = None
        head = Head(*reply[:HEAD])  # type: ignore[arg-type]  # the wire's order is the head's
        if head.code == Code.FOREIGN:
            self._foreign(head, draft, now)
            return
        self._take_head(head, draft.sent_at, now)
        if head.granted != self._granted:
            self._granted = head.granted
            self._hand_over(head, draft.sent_at, now)
        if draft.then is not None:
            draft.then(head, reply[HEAD:], draft.sent_at)
        # Somebody here asked for a slot: renew the reading when it is due, also while it still admits.
        if draft.want is not None:
            self.reader.renew(now)

    def _take_head(self, head: Head, sent_at: float, now: float) -> None:
        """Take what the ledger tells of itself and the account with every reply."""
        jumped = self._clock.jumped(head.now / 1000, sent_at, now)
        if jumped:
            self.report("clock_jumped", account=self.account, seconds=round(jumped, 3))
            self._send(lambda _: Jumped(), note=False)
        if self._since and head.since != self._since:
            self.report("lapsed_process", account=self.account)
            self._tell_all_again(now)
        self._since = head.since
        self.line = head.waiting
        self._next_at = now + (head.next_at - head.now) / 1000 if head.next_at else None
        self.reader.due_at = now + (head.due_at - head.now) / 1000

    def _hand_over(self, head: Head, sent_at: float, now: float) -> None:
        """Give the slots that were claimed for waiters of this process to them; what was told before is known."""
        for number, seat, rid, claimed in HandOver.parse(head.granted):
            self._learnt = max(self._learnt, number)
            want = self.wants.get(seat)
            if want is None or want.rid != rid or want.booked:
                continue
            del self.wants[seat]
            want.booked = True
            booking = granted(want, sent_at - (head.now - claimed) / 1000)
            self.own.add(booking)
            want.handed.append(booking)
            self._handed.append((now, want))
            self.flows = False
            if not want.box.put(Handed()):
                self._give_up(want, answer=False)

    def _look_after_handed(self, now: float) -> None:
        """Forget what was taken; take back what nobody has taken in time."""
        while self._handed and (not self._handed[0][1].handed or now - self._handed[0][0] >= GIVEN_UP):
            _, want = self._handed.popleft()
            booking = want.take()
            if booking is not None:
                self._stalled = True
                self.report("handed_back", account=self.account, reservation=booking.rid)
                self._note(SayEnded(booking.rid, placed=False), now)

    def failed(self, drafts: list[Draft], error: Exception, now: float) -> None:
        """The ledger did not answer these drafts: keep the notes, tell who waits."""
        if self.down is None:
            self.report("ledger_down", account=self.account, error=str(error))
        self.down = error
        kept = []
        for draft in drafts:
            if draft.box is not None:
                draft.box.put(LedgerDown(error))
            if draft.note:
                kept.append(draft)
            elif draft.reads:
                self.reader.lost(error)
        self.outbox.extendleft(reversed(kept))
        self._awake(now)

    def _foreign(self, head: Head, draft: Draft, now: float) -> None:
        """The ledger is in another epoch: tell it everything anew, then send the draft again."""
        if head.epoch != self._epoch:
            first = not self._epoch
            self._epoch, self._since, self._learnt = head.epoch, 0, 0
            self._clock.reset()
            if not first:
                self.report("new_epoch", account=self.account, epoch=head.epoch)
                self._tell_all_again(now)
        if draft.note or draft.box is not None:
            self.outbox.append(draft)
        elif draft.reads:
            self.reader.lost(None)

    def _tell_all_again(self, now: float) -> None:
        """The ledger has forgotten this process: list every reservation, and let the callers ask anew."""
        self.outbox.appendleft(self._beat_draft(list(self.own.bookings.values())))
        self._tell_lanes(self._lanes.all_again(), first=True)
        for want in self.wants.values():
            want.again = want.stirred = True
            want.box.put(Forgotten())
        self._awake(now)

    # Closing

    def _shut(self, box: Box) -> None:
        self.closed = True
        for want in list(self.wants.values()):
            self._give_up(want, answer=False)
        self.closing = box

    def check_closed(self) -> None:
        """Tell the closer when all that was noted is delivered."""
        if self.closing is not None and not self.outbox:
            self.closing.put(Done())
            self.closing = None


def _ask(want: Want, *, join: bool, waited: float = 0.0) -> Ask:
    spans = booking_spans(want.policy)
    return Ask(want.seat, want.rid, want.lane, int(want.kind), *spans, int(join), millis(waited))


def direct_answer(want: Want, reply: Wire, sent_at: float) -> Answer | None:
    """Return the answer to a caller that asked by itself at `sent_at`, where it was granted a slot."""
    if reply[0] != Code.GRANTED:
        return None
    verdict = Verdict(*reply[HEAD:])  # type: ignore[arg-type]  # the wire's order is the verdict's
    return Answer(Code.GRANTED, verdict, granted(want, sent_at - verdict.age / 1000))


def _done(box: Box) -> Then:
    def then(_head: Head, _tail: Wire, _sent_at: float) -> None:
        box.put(Done())

    return then
