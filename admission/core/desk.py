"""What one guard's process knows of its account, and what it must tell the ledger when. No I/O, no clock.

The shell (`clerk.py`) feeds it messages of callers, offers, replies and the time, and sends what is in `outbox`. A desk
gives what comes to the part that it is for: the callers, what is handed over to them, the own books, the lanes, the
reader. By itself it knows which epoch the ledger is in, and when to beat. One thread drives it; nothing here locks.
Times are seconds of the process's own clock; what goes to the ledger are ages and spans, never times of day.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from admission.core.agreed import Agreed
from admission.core.callers import Callers, ask_of
from admission.core.clockwatch import ClockWatch
from admission.core.drafts import Draft
from admission.core.handovers import HandOvers
from admission.core.lanes import OwnLanes
from admission.core.messages import (
    Admitted,
    AskFor,
    Booking,
    Box,
    ClaimOffer,
    Done,
    Failed,
    Fetched,
    Flush,
    GetHolders,
    GetReading,
    GetStatus,
    GiveUp,
    LedgerDown,
    Message,
    SayEnded,
    SayLeft,
    SayPlaced,
    SayRefused,
    SetLane,
    SetPause,
    Shut,
    TellEnded,
    TellStarted,
    Want,
)
from admission.core.outbox import Outbox
from admission.core.ownbooks import OwnBooks
from admission.core.reader import Reader
from admission.core.samples import Samples
from admission.core.spans import age_ms, booking_spans, wait_ms, wire_policy
from admission.core.states import MOST_HOLDERS, holders_to, status_to
from admission.errors import Closed, ConfigurationError
from admission.ledger.replies import HEAD, Head
from admission.ledger.requests import (
    AskHolders,
    AskStatus,
    Beat,
    CallEnded,
    Jumped,
    Refuse,
    Request,
    Started,
    Who,
)
from admission.ledger.wire import BEAT_MS, ONLOOKER, Code, LaneWire, Outcome, PolicyWire, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from admission.core.drafts import Report, Then
    from admission.values import Lane, Policy


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
        samples: Whether it reports how the account stands every few seconds, once it has spoken to the ledger.
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
        samples: bool = False,
    ) -> None:
        self.account = account
        self.process = process
        self.policy: PolicyWire = wire_policy(policy)
        # Until it asks for a slot it only looks on: an operator's `status` must not change how the fleet decides.
        self._policy_text = self.policy.text() + ONLOOKER
        self.report = report
        self.beat_every: float = min(BEAT_MS / 1000, policy.lease_ttl / 3, policy.placement_timeout / 3)
        self.outbox: Outbox = Outbox(report)
        self.own: OwnBooks = OwnBooks()
        self.reader: Reader = Reader(
            account, source_timeout, self.policy, fetch, self.outbox.put, self._waiting_since, report
        )
        self.handovers: HandOvers = HandOvers()
        self.callers: Callers = Callers(self.outbox, self.own, self.reader, self.handovers)
        self.line: int = 0
        """Callers in the line, by the newest reply."""
        self.down: Exception | None = None
        """Why the ledger did not answer, while it does not."""
        self.closed: bool = False
        self.closing: Box | None = None
        self._epoch = 0
        self._since = 0
        self._heard_at = 0.0
        """When the newest reply was heard."""
        self._beat_at: float | None = None
        self._next_at: float | None = None
        self._lanes = OwnLanes(account, lanes, self.outbox, report)
        self._agreed = Agreed(account, self.policy, self.outbox, report)
        self._samples = Samples(account, policy, report, lambda: self._agreed.lapsed) if samples else None
        self._looks = False
        """Whether a beat is to be sent that looks after a hint of which nothing is known here."""
        self._clock = ClockWatch()

    # Messages of callers

    def handle(self, message: Message, now: float) -> None:  # noqa: C901, PLR0912 - one line a message
        """Take one message."""
        self.handovers.stalled = False
        match message:
            case AskFor(want):
                self._ask(want, now)
            case Admitted():
                self._admitted(message, now)
            case ClaimOffer(want):
                self.callers.claim(want)
            case GiveUp(want, answer):
                self.callers.give_up(want, answer=answer)
            case SayPlaced() | SayLeft() | SayEnded():
                self._note(message, now)
            case SayRefused():
                self._refused(message, now)
            case TellStarted(box, rid, call_id, at):
                spans = self.policy.lag, self.policy.duration
                self.outbox.send(lambda t: Started(rid, call_id, age_ms(t - at), *spans), _done(box), box)
            case TellEnded(box, call_id):
                self.own.call_ended(call_id)
                self.outbox.send(lambda _: CallEnded(call_id), _done(box), box)
            case GetStatus(box):
                self.outbox.send(lambda _: AskStatus(), status_to(self.account, box), box, note=False)
            case GetHolders(box):
                self.outbox.send(lambda _: AskHolders(MOST_HOLDERS), holders_to(self.account, box), box, note=False)
            case SetPause(box, on, reason, name) if name:
                self._lanes.declare()
                self._lanes.pause(box, name, on=on, reason=reason)
            case SetPause(box, on, reason):
                self._agreed.set_pause(box, on=on, reason=reason)
            case SetLane(box, lane):
                self._lanes.declare()
                self._lanes.set(box, lane)
            case GetReading(box):
                self.reader.watchers.append(box)
                self.reader.ask_duty(now, force=True)
            case Fetched(error=error):
                if error is not None and message.outcome is Outcome.FINAL:
                    self.callers.fail(error)
                self.reader.fetched(message)
                self._awake(now)
            case Shut(box):
                self.callers.fail(Closed("the guard was closed while the caller waited"))
                self._shut(box)
            case Flush(box):
                self._shut(box)

    def _ask(self, want: Want, now: float) -> None:
        if self.closed:
            want.box.put(Failed(Closed()))
            return
        if self._policy_text != self.policy.text():
            self._policy_text = self.policy.text()
            self._lanes.declare()
        self._awake(now)
        self.callers.ask(want)

    # What a caller does that asks by itself. It runs in the caller's thread, so it changes nothing here.

    def direct_request(self, want: Want) -> tuple[Who, Request] | None:
        """Return what to say to claim a slot without taking a seat; `None` while that is of little use."""
        if not self.callers.flows or self.line or self.closed or self.down is not None:
            return None
        return self._who(), ask_of(want, join=False)

    def _admitted(self, admitted: Admitted, now: float) -> None:
        """A caller has asked by itself and was granted a slot."""
        if admitted.want.gone:
            return
        self.own.add(admitted.booking)
        self._awake(now)
        head = Head(*admitted.reply[:HEAD])  # type: ignore[arg-type]  # the wire's order is the head's
        if head.epoch != self._epoch:
            self.outbox.put(self._telling([admitted.booking]))
            return
        self._take_head(head, admitted.sent_at, admitted.heard_at)
        self.reader.renew(now)

    # Notes of holders: told in order, kept while the ledger is away

    def _note(self, note: SayPlaced | SayLeft | SayEnded, now: float) -> None:
        if isinstance(note, SayPlaced) and note.late:
            self.report("late_placement", account=self.account, reservation=note.rid, lane=self.own.lane_of(note.rid))
        make = self.own.note(note, now)
        if make is not None:
            self.outbox.send(make)

    def _refused(self, note: SayRefused, now: float) -> None:
        lane = self.own.lane_of(note.rid)
        self.own.bookings.pop(note.rid, None)
        again = None if self.closed else note.again
        facts = {"reservation": note.rid, "lane": lane, "retry_after": note.retry_after}
        self.report("refused_by_provider", account=self.account, **facts)
        if again is not None:
            self.callers.ask_again(again)
            self._awake(now)
        elif note.again is not None:
            note.again.box.put(Failed(Closed("the guard was closed while the call was refused")))
        seat = again.seat if again else ""
        retry_after = wait_ms(note.retry_after)
        terms = (int(again.kind), *booking_spans(again.policy)) if again else (0, 0, 0, 0)
        self.outbox.send(lambda t: Refuse(note.rid, age_ms(t - note.at), retry_after, seat, lane, *terms), want=again)

    def _waiting_since(self) -> float | None:
        return self.callers.waiting_since()

    # Time

    def _awake(self, now: float) -> None:
        if self._beat_at is None:
            # While it was silent the ledger may have given it up, and it had nothing there to lose.
            self._since = 0
            self._beat_at = now + self.beat_every

    def wake_at(self) -> float | None:
        """Return when `tick` has something to do, or `None` while nothing is under way."""
        if self.closed and not self.callers.wants and not self.own.bookings:
            return None
        times = [self._beat_at, self.handovers.wake_at()]
        if self.callers.wants:
            times.append(self._next_at)
            times.append(self.reader.wake_at())
        return min((time for time in times if time is not None), default=None)

    def sample_at(self) -> float | None:
        """Return when it asks how the account stands; `None` while it does not."""
        # What is said before the epoch is known is not heard.
        return None if self._samples is None or self.closed or not self._epoch else self._samples.due_at

    def _sample(self, now: float, *, beats: bool) -> None:
        if self._samples is None or self.sample_at() is None:
            return
        if self._samples.is_due(now, self.beat_every if beats else 0.0):
            if not beats or self._beat_at is None:
                self.outbox.put(self._beat_draft(self.own.to_list(now)))
            self.outbox.put(self._samples.draft(now))

    def tick(self, now: float) -> None:
        """Do what is due: the beat, what time has freed, the reading, what was handed over and not taken, a sample."""
        for booking in self.handovers.untaken(now):
            self.report("handed_back", account=self.account, reservation=booking.rid)
            self._note(SayEnded(booking.rid, placed=False), now)
        if self.callers.wants and self._next_at is not None and now >= self._next_at:
            self._next_at = None
            self._beat_at = now
        beats = self._beat_at is not None and now >= self._beat_at
        if beats:
            self._beat(now)
        self._sample(now, beats=beats)
        # The newest reader goes on in time; the others look once a beat whether it still does.
        if self.callers.wants and (beats or self.reader.goes_on):
            self.reader.renew(now)

    def look_again(self, now: float) -> None:
        """Offers may have been missed (the wake-up connection is back): ask for them at once."""
        if self.callers.wants:
            self._beat_at = now

    def _beat(self, now: float) -> None:
        self.own.drop_settled(now)
        if not self.callers.wants and not self.own.must_be_heard(now):
            self._beat_at = None
            return
        self._beat_at = now + self.beat_every
        self.outbox.put(self._beat_draft(self.own.to_list(now)))

    def _beat_draft(self, listed: list[Booking]) -> Draft:
        def then(_head: Head, tail: Wire, sent_at: float) -> None:
            self.own.acknowledged(listed, sent_at, self._heard_at)
            self._heard_back(tail)

        return Draft(
            lambda now: Beat(*self._agreed.pause, self._lanes.at, self.own.entries(listed, now)), then, note=False
        )

    def _telling(self, listed: list[Booking]) -> Draft:
        """Return a beat that tells what the ledger has forgotten: no later one would, so it is kept until delivered."""
        return replace(self._beat_draft(listed), note=True)

    def _heard_back(self, tail: Wire) -> None:
        """Take what a beat's reply tells: pause, agreed policy, lapses, the clock, lanes, this process's offers."""
        pause_at, pause_on, reason, agreed, lapsed, behind, lanes_at, lanes, *rest = tail
        fields = int(lanes) * len(LaneWire._fields)
        self._lanes.heard(int(lanes_at), rest[:fields])
        self._agreed.heard((int(pause_at), int(pause_on), str(reason)), str(agreed), int(lapsed))
        if back := self._clock.set_back(int(behind) / 1000):
            self.report("clock_set_back", account=self.account, seconds=round(back, 3))
        self.callers.offered(map(str, rest[fields:]))

    def offered(self, seats: Iterable[str], now: float) -> None:
        """Slots are offered to these seats of this process, as a hint says that anybody may have sent."""
        hinted = dict.fromkeys(seats)
        known = [seat for seat in hinted if seat in self.callers.wants]
        if known and not self.handovers.is_slow(now):
            # A beat's reply hands them over, and lists the other offers.
            self._beat_at = now
            return
        for seat in known:
            self.callers.stir(seat)
        if len(known) < len(hinted) and not self._looks:
            # Whether strange ones are offered anything, the ledger says.
            self._looks = True
            self.outbox.put(self._beat_draft(self.own.to_list(now)))

    # The ledger's side

    def take(self, now: float) -> list[tuple[Draft, Who, Request]]:
        """Take everything out of the outbox, made for sending now."""
        who = self._who(learnt=self.handovers.learnt(now))
        self._looks = False
        batch = []
        for draft in self.outbox.take(now):
            request = draft.make(now)
            draft.verb = request.verb
            batch.append((draft, who, request))
        return batch

    def _who(self, *, learnt: int = -1) -> Who:
        return Who(self.process, self._epoch, self._policy_text, learnt)

    def replied(self, draft: Draft, reply: Wire, now: float) -> None:
        """Take the ledger's reply to a draft."""
        self.down = None
        self._heard_at = now
        head = Head(*reply[:HEAD])  # type: ignore[arg-type]  # the wire's order is the head's
        if head.code == Code.FOREIGN:
            self._foreign(head, draft)
            return
        self._take_head(head, draft.sent_at, now)
        self.callers.hand_over(head, draft.sent_at, now)
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
            self.outbox.send(lambda _: Jumped(), note=False)
        if self._since and head.since != self._since and self._beat_at is not None:
            self.report("lapsed_process", account=self.account)
            self._tell_all_again()
        self._since = head.since
        self.line = head.waiting
        self._next_at = now + (head.next_at - head.now) / 1000 if head.next_at else None
        self.reader.due_at = now + (head.due_at - head.now) / 1000

    def failed(self, drafts: list[Draft], error: Exception, now: float) -> None:
        """The ledger did not answer these drafts: keep the notes, tell who waits.

        A book that is another version's is no matter of time, so nobody waits for it.
        """
        is_final = isinstance(error, ConfigurationError)
        if self.down is None:
            self.report("ledger_down", account=self.account, error=str(error))
        self.down = error
        verbs = tuple(sorted({draft.verb for draft in drafts}))
        self.report("ledger_failed", account=self.account, verbs=verbs, error=str(error))
        if is_final:
            self.callers.fail(error)
        kept = []
        for draft in drafts:
            # Whoever asks for a slot reads its mail as long as it is kept; of the others nobody may be there any more.
            if draft.box is not None and (is_final or draft.want is not None or not draft.failed):
                draft.box.put(Failed(error) if is_final else LedgerDown(error))
            draft.failed = True
            # A jump is not seen twice; yet it is no note: to another epoch it says nothing.
            if draft.note or draft.verb == Jumped.verb:
                kept.append(draft)
            elif draft.reads:
                self.reader.lost(error)
        self.outbox.put_first(kept)
        self._awake(now)
        if any(draft.verb == Beat.verb for draft in drafts):
            # The next one may come too late: a new epoch waits for everybody one beat and no longer.
            self._beat_at = now

    def _foreign(self, head: Head, draft: Draft) -> None:
        """The ledger is in another epoch: tell it everything anew, then send the draft again."""
        if head.epoch != self._epoch:
            first = not self._epoch
            self._epoch, self._since = head.epoch, 0
            self.handovers.forget_numbers()
            self._clock.reset()
            if not first:
                self.report("new_epoch", account=self.account, epoch=head.epoch)
                if head.now - head.epoch > self.policy.opening:
                    self.own.told_too_late()
                self._tell_all_again()
        if draft.note or draft.box is not None:
            self.outbox.put(draft)
        elif draft.reads:
            self.reader.lost(None)

    def _tell_all_again(self) -> None:
        """The ledger has forgotten this process: list every reservation, and let the callers ask anew."""
        self.outbox.put_first([self._telling(list(self.own.bookings.values()))])
        self._lanes.retell()
        self.callers.forgotten()

    # Closing

    def _shut(self, box: Box) -> None:
        self.closed = True
        for want in list(self.callers.wants.values()):
            self.callers.give_up(want)
        self.closing = box

    def check_closed(self) -> None:
        """Tell the closer when all that was noted is delivered."""
        if self.closing is not None and not self.outbox:
            self.closing.put(Done())
            self.closing = None


def _done(box: Box) -> Then:
    def then(_head: Head, _tail: Wire, _sent_at: float) -> None:
        box.put(Done())

    return then
