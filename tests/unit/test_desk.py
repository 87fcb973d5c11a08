"""What a desk makes of callers that asked the ledger by themselves: fed by hand, without I/O."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admission import Policy, Usage, UsageError
from admission.core.callers import direct_answer
from admission.core.desk import Desk
from admission.core.messages import (
    Admitted,
    Answer,
    AskFor,
    Fetched,
    Forgotten,
    GetStatus,
    GiveUp,
    Offered,
    SayEnded,
    SayPlaced,
    SayRefused,
    TellEnded,
    Want,
)
from admission.ledger.book import Book
from admission.ledger.requests import Ask, Beat, Duty, Lanes, Reading, Who, Withdraw
from admission.ledger.wire import Code, Kind, LaneWire, Outcome, Word

ACCOUNT = "acme"
POLICY = Policy(visibility_lag=1.0)
T0 = 1_000.0


class Box:
    def __init__(self):
        self.mail = []

    def put(self, mail):
        self.mail.append(mail)
        return True


class Pair:
    """A desk, and the book that it speaks to when told to."""

    def __init__(self, limit=5, policy=POLICY):
        self.now = T0
        self.reports = []
        self.book = Book(int(T0 * 1000), cold=False)
        self.desk = Desk(
            ACCOUNT,
            "p.1",
            policy,
            source_timeout=5.0,
            fetch=lambda _: None,
            report=lambda event, **facts: self.reports.append(event),
        )
        self.limit = limit
        self.names = iter(range(1_000))
        self.say(GetStatus(Box()))
        self.after(0.1)
        self.read()
        self.say(AskFor(self.want()))

    def after(self, seconds):
        self.now += seconds

    def read(self):
        t0 = int(self.now * 1000)
        self.after(0.01)
        self.execute(self.desk._who(), Reading(t0, 0, self.limit, 0, -1, 0, ""))

    def want(self, **more):
        name = f"p.1.{next(self.names)}"
        return Want(Box(), name, name, "default", Kind.HOLD, POLICY, self.now, None, join=True, **more)

    def tick_and_say(self):
        self.desk.tick(self.now)
        return self.say()

    def lose(self):
        """Have the book lose all that it knows, and the desk hear of that."""
        self.book = Book(int(self.now * 1000), cold=True)
        self.after(1)
        return self.tick_and_say()

    def execute(self, who, *requests):
        return self.book.execute(int(self.now * 1000), who, *requests)

    def say(self, *messages):
        """Give messages to the desk, and everything that it then sends to the book; return that."""
        for message in messages:
            self.desk.handle(message, self.now)
        said = []
        while batch := self.desk.take(self.now):
            for draft, who, request in batch:
                said.append(request)
                self.desk.replied(draft, self.execute(who, request)[0], self.now)
        return said

    def ask_directly(self, want):
        """Do what a caller does that asks by itself; return what it tells its desk."""
        who, request = self.desk.direct_request(want)
        want.asked = True
        (reply,) = self.execute(who, request)
        answer = direct_answer(want, reply, self.now)
        return Admitted(want, answer.booking, reply, self.now, self.now)


def test_a_caller_may_ask_by_itself_once_slots_are_granted_at_once():
    pair = Pair()
    _, request = pair.desk.direct_request(pair.want())
    assert (type(request), request.join) == (Ask, 0)


@pytest.mark.parametrize(
    "hinder",
    [
        lambda desk: setattr(desk.callers, "flows", False),
        lambda desk: setattr(desk, "line", 1),
        lambda desk: setattr(desk, "closed", True),
        lambda desk: setattr(desk, "down", OSError("away")),
    ],
    ids=["refused before", "somebody waits", "closed", "the ledger is away"],
)
def test_it_does_not_where_that_is_of_little_use(hinder):
    pair = Pair()
    hinder(pair.desk)
    assert pair.desk.direct_request(pair.want()) is None


@pytest.mark.parametrize("slept", [False, True], ids=["beats all the time", "sleeps past its deadline"])
def test_a_deadline_that_has_passed_is_not_moved_along_by_a_later_beat(slept):
    pair = Pair()
    want = replace(pair.want(), kind=Kind.PLACE)
    pair.say(AskFor(want))
    booking = pair.desk.own.bookings[want.rid]
    for _ in range(15):
        pair.after(1)
        if not slept:
            pair.desk.tick(pair.now)
            pair.say()
    pair.desk.tick(pair.now)
    pair.say()
    assert (booking.deadline < pair.now) is slept


def test_a_beat_that_was_under_way_until_the_slot_was_given_to_another_moves_no_deadline():
    pair = Pair(limit=1)
    pair.say(SayEnded(next(iter(pair.desk.own.bookings)), placed=False))
    want = replace(pair.want(), kind=Kind.PLACE)
    pair.say(AskFor(want))
    booking = pair.desk.own.bookings[want.rid]
    pair.after(POLICY.placement_timeout - 0.01)
    pair.desk.tick(pair.now)
    under_way = pair.desk.take(pair.now)
    assert any(isinstance(request, Beat) and request.entries for _, _, request in under_way)
    pair.after(POLICY.visibility_lag + 0.1)
    pair.read()
    lag = int(POLICY.visibility_lag * 1000)
    other = pair.desk._who()._replace(process="p.2")
    ((code, *_),) = pair.execute(other, Ask("s", "r", "default", int(Kind.PLACE), 10_000, lag, 60_000, 0, 0))
    assert code == Code.GRANTED
    for draft, who, request in under_way:
        pair.desk.replied(draft, pair.execute(who, request)[0], pair.now)
    assert booking.deadline < pair.now, "two would dial on one slot"


def test_a_deadline_is_not_moved_along_for_longer_than_any_call_lasts():
    pair = Pair()
    policy = replace(POLICY, max_call_duration=20)
    want = replace(pair.want(), kind=Kind.PLACE, policy=policy)
    pair.say(AskFor(want))
    until = pair.now + 20
    booking = pair.desk.own.bookings[want.rid]
    while pair.now < until + POLICY.placement_timeout + POLICY.visibility_lag:
        pair.after(1)
        pair.desk.tick(pair.now)
        pair.say()
    pair.read()
    assert booking.deadline < pair.now
    assert not pair.book.reservations.facts.keys() & {want.rid}
    # A dial that comes after all is late, and booked.
    pair.say(SayPlaced(want.rid, pair.now, late=True))
    assert pair.book.reservations.pending.keys() >= {want.rid}


@pytest.mark.parametrize("holds", [True, False], ids=["it held a slot", "it had nothing to do"])
@pytest.mark.parametrize("asks", [True, False], ids=["then it asks", "then it looks"])
def test_a_process_that_was_silent_is_said_to_have_lapsed_only_where_it_had_something_to_lose(holds, asks):
    pair = Pair()
    if not holds:
        pair.say(SayEnded(next(iter(pair.desk.own.bookings)), placed=False))
        for _ in range(3):
            pair.after(1)
            pair.desk.tick(pair.now)
            pair.say()
    other = pair.desk._who()._replace(process="p.2")
    for _ in range(int(POLICY.lease_ttl) + 3):
        pair.after(1)
        pair.execute(other, Beat(0, 0, "", 0, ()))
    pair.say(AskFor(pair.want()) if asks else GetStatus(Box()))
    assert ("lapsed_process" in pair.reports) is holds


@pytest.mark.parametrize("at_once", [True, False], ids=["before it was sent", "afterwards"])
def test_a_refusal_is_told_although_its_caller_gives_up_what_it_asks_for_next(at_once):
    pair = Pair()
    want = pair.want()
    pair.say(AskFor(want))
    again = replace(pair.want(), asked=True)
    said = [SayRefused(want.rid, pair.now, None, again), GiveUp(again)]
    if at_once:
        pair.say(*said)
    else:
        for message in said:
            pair.say(message)
    assert want.rid not in pair.book.reservations.facts
    assert pair.book.room.cooling.span
    assert not len(pair.book.line)


def test_a_ledger_that_lost_the_lanes_is_told_those_that_a_beat_has_told_of():
    pair = Pair()
    told = Lanes(int(Word.SET), (LaneWire("bulk", priority=3),))
    pair.execute(Who("q.1", pair.book.epoch, pair.desk.policy.text()), told)
    pair.after(1)
    pair.desk.tick(pair.now)
    pair.say()
    pair.book = Book(int(pair.now * 1000), cold=True)
    pair.after(1)
    pair.desk.tick(pair.now)
    pair.say()
    assert pair.book.lanes.of("bulk").told.priority == 3


def full(**more):
    """Return a pair whose slots are taken, and a want that has just asked."""
    pair = Pair(limit=1)
    want = replace(pair.want(), **more)
    return pair, want


def kinds(want):
    return [type(mail) for mail in want.box.mail]


@pytest.mark.parametrize("deadline", [None, T0 + 60], ids=["for ever", "for a minute"])
def test_who_would_only_sleep_in_line_is_not_woken_to_be_told_so(deadline):
    pair, want = full(deadline=deadline)
    pair.say(AskFor(want))
    assert want.seated
    assert want.box.mail == []


@pytest.mark.parametrize(
    "more", [{"plain": False}, {"deadline": T0 + 0.5}], ids=["a wait of its own", "a deadline that is near"]
)
def test_who_has_a_time_of_its_own_to_wake_at_is_told_that_it_stands_in_line(more):
    pair, want = full(**more)
    pair.say(AskFor(want))
    assert not want.seated
    assert kinds(want) == [Answer]


def test_who_was_offered_a_slot_before_it_learnt_that_it_stands_in_line_is_told():
    pair, want = full()
    pair.desk.handle(AskFor(want), pair.now)
    pair.desk.callers.stir(want.seat)  # as a beat may that was sent with an ask whose first reply was lost
    pair.say()
    assert kinds(want) == [Offered, Answer]


def test_the_next_caller_goes_the_common_way_after_one_was_not_granted():
    pair = Pair(limit=1)
    assert pair.desk.callers.flows
    pair.say(AskFor(pair.want()))
    assert not pair.desk.callers.flows


def test_what_was_granted_directly_is_told_like_any_other():
    pair = Pair()
    admitted = pair.ask_directly(pair.want())
    rid = admitted.booking.rid
    pair.after(0.5)
    said = pair.say(admitted, SayPlaced(rid, pair.now, late=False, call_id="call"), SayEnded(rid, placed=True))
    assert [request.verb for request in said if request.verb != "duty"] == ["placed", "ended"]
    assert rid not in pair.book.reservations.facts


def test_a_refusal_grants_nothing():
    pair = Pair(limit=1)
    pair.desk.callers.flows = True
    who, request = pair.desk.direct_request(pair.want())
    (reply,) = pair.execute(who, request)
    assert reply[0] == Code.SATURATED
    assert direct_answer(pair.want(), reply, pair.now) is None


def test_who_gave_up_before_its_desk_heard_of_the_grant_keeps_nothing():
    pair = Pair()
    want = pair.want()
    admitted = pair.ask_directly(want)
    said = pair.say(GiveUp(want), admitted)
    assert Withdraw(want.seat, want.rid) in said
    assert want.rid not in pair.book.reservations.facts
    assert want.rid not in pair.desk.own.bookings


def test_what_was_granted_in_an_epoch_that_is_gone_is_told_to_the_new_one():
    pair = Pair()
    admitted = pair.ask_directly(pair.want())
    pair.after(1)
    pair.book._new_epoch(int(pair.now * 1000), pair.desk.policy)
    # The desk learns of the new epoch, and lists what it knows; of the grant it hears after that.
    pair.say(AskFor(pair.want()))
    assert "new_epoch" in pair.reports
    assert admitted.booking.rid not in pair.book.reservations.facts
    said = pair.say(admitted)
    assert any(isinstance(request, Beat) and request.entries for request in said)
    assert admitted.booking.rid in pair.book.reservations.facts


def test_who_stood_in_line_when_the_ledger_lost_its_data_asks_anew_with_its_waiting_time():
    pair, want = full()
    pair.say(AskFor(want))
    pair.after(3)
    pair.lose()
    assert Forgotten in kinds(want)
    (ask,) = (request for request in pair.say(AskFor(want)) if isinstance(request, Ask))
    assert ask.waited == 4_000


def test_a_call_keeps_its_id_when_the_ledger_lost_its_data():
    pair = Pair()
    (rid,) = pair.desk.own.bookings
    pair.say(SayPlaced(rid, pair.now, late=False, call_id="call-7"))
    pair.say(SayPlaced(rid, pair.now, late=False))
    pair.lose()
    assert pair.book.reservations.facts[rid].call_id == "call-7"


def test_an_operator_is_told_of_a_line_that_stands_while_nobody_is_admitted():
    pair, want = full()
    pair.say(AskFor(want))
    for _ in range(70):
        pair.after(1)
        pair.desk.tick(pair.now)
        pair.say(Fetched(int(pair.now * 1000), Outcome.READ, usage=Usage(1, 1), kind=""))
    assert pair.reports.count("line_stands") == 1


def test_what_was_granted_directly_renews_a_reading_that_is_due():
    pair = Pair()
    pair.after(POLICY.refresh_interval + 0.5)
    said = pair.say(pair.ask_directly(pair.want()))
    assert any(isinstance(request, Duty) for request in said)


def test_a_desk_wakes_when_the_pace_lets_its_caller_go_and_not_before():
    policy = replace(POLICY, starts_per_second=0.5)
    pair = Pair(policy=policy)
    want = replace(pair.want(), policy=policy)
    pair.say(AskFor(want))
    assert pair.now < pair.desk.wake_at() <= pair.now + 2
    beats = [request for _ in range(5) for request in pair.tick_and_say() if isinstance(request, Beat)]
    assert beats == []


def test_nobody_asks_directly_past_those_who_stand_in_line():
    pair, want = full()
    pair.say(AskFor(want))
    pair.desk.callers.flows = True
    assert pair.desk.direct_request(pair.want()) is None


def test_other_processes_learn_why_a_reading_failed():
    pair = Pair()
    fault = UsageError("PureTalk answered 503", status=503)
    pair.after(POLICY.refresh_interval + 0.5)
    pair.say(AskFor(pair.want()))  # a reading is due, and this process is given the duty
    pair.say(Fetched(pair.book.readings.begun, Outcome.PASSING, error=fault, kind="server_error"))
    assert pair.book.readings.error == "PureTalk answered 503"


def test_a_deadline_counts_from_the_claim_though_its_first_reply_was_lost():
    pair = Pair()
    want = pair.want()
    first = pair.ask_directly(want)
    pair.after(2)
    again = pair.ask_directly(want)
    assert again.booking.deadline == first.booking.deadline


def test_a_call_that_is_over_does_not_come_back_when_the_ledger_lost_its_data():
    pair = Pair()
    want = replace(pair.want(), kind=Kind.TRACK)
    pair.say(AskFor(want))
    pair.say(SayPlaced(want.rid, pair.now, late=False, call_id="call-7", leaving=True), TellEnded(Box(), "call-7"))
    pair.lose()
    assert want.rid not in pair.book.reservations.facts
