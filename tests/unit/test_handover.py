"""A slot that comes free while its process speaks is claimed for the process's own waiter in the same step."""

from __future__ import annotations

import pytest

from admission import Policy, Saturated
from admission.core.desk import Desk
from admission.core.handovers import GIVEN_UP, SLOW
from admission.core.messages import AskFor, GiveUp, Handed, Offered, Post, SayEnded, Wait, Want
from admission.core.outbox import MOST_KEPT
from admission.core.ownbooks import granted
from admission.ledger.book import Book
from admission.ledger.replies import HEAD, NOTHING, HandOver, Head, Verdict
from admission.ledger.requests import Ask, Beat, Ended, Reading, Who, Withdraw
from admission.ledger.wire import Code, Kind, LaneWire
from tests.books import POLICY as WIRE_POLICY
from tests.books import entry
from tests.unit.test_desk import Box
from tests.unit.test_plans import answer, in_line, make_want

POLICY = Policy(visibility_lag=1.0)
TERMS = ("default", int(Kind.HOLD), 5_000, 2_000, 600_000)


class Ledger:
    """A book whose slots are all taken, one of them by `x`."""

    def __init__(self, limit=1):
        self.now = 1_000_000
        self.book = Book(self.now, cold=False)
        self.say("x", Reading(self.now, 0, limit, 0, -1, 0, ""))
        for seat in ("x", *range(1, limit)):
            assert self.ask("x", f"{seat}").code == Code.GRANTED

    def say(self, process, *requests, learnt=-1):
        self.now += 1
        who = Who(process, self.book.epoch, WIRE_POLICY.text(), learnt)
        replies = self.book.execute(self.now, who, *requests)
        return Head(*replies[-1][:HEAD])

    def ask(self, process, seat, learnt=-1):
        return self.say(process, Ask(seat, seat, *TERMS, 1, 0), learnt=learnt)


def test_the_next_in_line_of_the_process_that_speaks_is_served_in_its_reply():
    ledger = Ledger()
    ledger.ask("p", "w")
    head = ledger.say("p", Ended("x", ""), learnt=0)
    assert HandOver.parse(head.granted) == [HandOver(head.now, "w", "w", head.now)]
    assert set(ledger.book.reservations.facts) == {"w"}
    assert not ledger.book.line.offers
    assert ledger.book.serving.wakes == []


def test_it_is_told_until_it_was_heard():
    ledger = Ledger()
    ledger.ask("p", "w")
    lost = ledger.say("p", Ended("x", ""), learnt=0)
    again = ledger.say("p", Beat(0, 0, "", 0, ()), learnt=0)
    assert again.granted == lost.granted != ""
    [told] = HandOver.parse(again.granted)
    assert ledger.say("p", Beat(0, 0, "", 0, ()), learnt=told.number).granted == ""


def test_what_was_heard_is_not_told_again_while_every_reply_hands_something_over():
    ledger = Ledger()
    for seat in "abcd":
        ledger.ask("p", seat)
    learnt, before = 0, "x"
    for seat in "abcd":
        [told] = HandOver.parse(ledger.say("p", Ended(before, ""), learnt=learnt).granted)
        assert told.seat == seat
        learnt, before = told.number, seat


def test_hand_overs_of_one_moment_have_numbers_of_their_own():
    ledger = Ledger(2)
    for seat in "ab":
        ledger.ask("p", seat)
    first, second = HandOver.parse(ledger.say("p", Ended("x", ""), Ended("1", ""), learnt=0).granted)
    assert (first.seat, second.seat) == ("a", "b")
    assert first.number < second.number


def test_the_next_in_line_of_another_process_is_offered_the_slot():
    ledger = Ledger()
    ledger.ask("q", "w")
    assert ledger.say("p", Ended("x", ""), learnt=0).granted == ""
    assert set(ledger.book.line.offers) == {"w"}


def test_nothing_is_handed_to_the_process_that_spoke_last_when_another_frees_a_slot():
    ledger = Ledger()
    ledger.ask("p", "w", learnt=0)
    ledger.say("q", Ended("x", ""))
    assert set(ledger.book.line.offers) == {"w"}


def test_a_process_whose_waiters_are_slow_is_offered_the_slot():
    ledger = Ledger()
    ledger.ask("p", "w")
    assert ledger.say("p", Ended("x", ""), learnt=-1).granted == ""
    assert set(ledger.book.line.offers) == {"w"}


def test_what_a_cap_cannot_count_is_offered_so_that_its_waiter_is_told():
    ledger = Ledger()
    ledger.say("p", Ask("w", "w", "default", int(Kind.PLACE), 5_000, 2_000, 600_000, 1, 0))
    ledger.book.lanes.tell(1, (LaneWire("default", priority=0, cap=5),), ledger.now)
    ledger.say("p", Ended("x", ""), learnt=0)
    assert set(ledger.book.line.offers) == {"w"}


def test_a_listed_reservation_is_claimed_once():
    # The beat of a process that lost its ledger's reply lists what the next in line is to be booked as.
    ledger = Ledger(2)
    ledger.ask("p", "w")
    ledger.say("p", Beat(0, 0, "", 0, (entry("w"),)), Ended("x", ""), Ended("1", ""), learnt=0)
    assert set(ledger.book.reservations.facts) == {"w"}
    assert not ledger.book.line.seats


def test_what_is_offered_to_a_process_is_handed_over_as_soon_as_it_speaks():
    ledger = Ledger()
    ledger.ask("q", "w")
    ledger.say("p", Ended("x", ""), learnt=0)
    head = ledger.say("q", Beat(0, 0, "", 0, ()), learnt=0)
    assert [told.seat for told in HandOver.parse(head.granted)] == ["w"]
    assert not ledger.book.line.offers


def test_but_not_where_its_waiters_are_slow():
    ledger = Ledger()
    ledger.ask("q", "w")
    ledger.say("p", Ended("x", ""), learnt=0)
    assert ledger.say("q", Beat(0, 0, "", 0, ()), learnt=-1).granted == ""
    assert set(ledger.book.line.offers) == {"w"}


def test_an_offer_whose_slot_is_gone_by_then_is_lost_and_the_seat_stays():
    ledger = Ledger()
    ledger.ask("q", "w")
    ledger.say("p", Ended("x", ""), learnt=0)
    ledger.say("p", Reading(ledger.now, 0, 0, 0, -1, 0, ""))  # the limit is 0 now
    assert ledger.say("q", Beat(0, 0, "", 0, ()), learnt=0).granted == ""
    assert not ledger.book.line.offers
    assert set(ledger.book.line.seats) == {"w"}


# The caller


def test_a_caller_takes_what_is_handed_over():
    want = make_want()
    caller = in_line(want)
    booking = granted(want, 1.0)
    want.handed.append(booking)
    assert caller.hears(2.0, Handed()) is None
    assert caller.result is booking
    assert booking.waited == 2.0


def test_a_caller_that_is_too_late_to_take_it_asks_anew_under_another_name():
    want = make_want()
    caller = in_line(want)
    assert caller.hears(2.0, Handed()) == Post(AskFor(want))
    assert (want.rid, want.again) == ("another", True)


def test_a_slot_that_is_taken_after_its_deadline_is_given_back():
    want = make_want(deadline=None)
    caller = in_line(want)
    want.handed.append(granted(want, 1.0))
    assert caller.hears(20.0, Handed()) == Post(SayEnded("rid", placed=False))


def test_a_caller_that_gives_up_does_not_take_what_comes_meanwhile():
    want = make_want(deadline=5.0)
    caller = in_line(want)
    assert caller.hears(5.0) == Post(GiveUp(want, answer=True))
    want.handed.append(granted(want, 5.0))
    assert isinstance(caller.hears(5.0), Wait)
    assert isinstance(caller.hears(5.0, Handed()), Wait)
    assert caller.hears(5.1, answer(Code.SATURATED)) == Post(GiveUp(want))
    with pytest.raises(Saturated):
        caller.hears(5.1)


# The desk


class Table:
    """A desk whose one waiter stands in line, and the time."""

    def __init__(self):
        self.now = 100.0
        self.reports = []
        self.desk = Desk(
            "acme", "p.1", POLICY, source_timeout=5.0, fetch=lambda _: None,
            report=lambda event, **_: self.reports.append(event),
        )  # fmt: skip
        self.box = Box()
        self.want = Want(self.box, "seat", "rid", "default", Kind.HOLD, POLICY, self.now, None, join=True)
        self.desk.handle(AskFor(self.want), self.now)
        self.reply(Code.FOREIGN)
        self.reply(Code.IN_LINE)

    def reply(self, code=Code.OK, granted="", offers=()):
        """Send what is to be sent, and reply to it; return the requests. A beat is told of `offers`."""
        said = []
        for draft, _, request in self.desk.take(self.now):
            tail = [*Verdict(*NOTHING)] if isinstance(request, Ask) else []
            if isinstance(request, Beat):
                tail = [0, 0, "", self.desk.policy.text(), 0, 0, 0, 0, *offers]
            said.append(request)
            now = int(self.now * 1000)
            self.desk.replied(draft, [int(code), now, 7, 1, 0, now + 1_000, 0, granted, *tail], self.now)
        return said

    def hand_over(self):
        self.desk.look_again(self.now)
        self.desk.tick(self.now)
        self.reply(granted=HandOver(1, "seat", "rid", int(self.now * 1000)).text())


def test_the_desk_gives_a_slot_to_its_waiter_once():
    table = Table()
    table.hand_over()
    table.desk.tick(table.now)
    table.hand_over()
    assert [type(mail).__name__ for mail in table.box.mail] == ["Handed"]
    assert [booking.rid for booking in table.want.handed] == ["rid"]
    assert set(table.desk.own.bookings) == {"rid"}


def test_what_nobody_takes_goes_back_after_a_second():
    table = Table()
    table.hand_over()
    table.now += GIVEN_UP
    assert table.desk.wake_at() <= table.now
    table.desk.tick(table.now)
    assert Ended("rid", "") in table.reply()
    assert table.want.take() is None
    assert table.reports == ["handed_back"]
    assert not table.desk.own.bookings


def test_whose_waiters_do_not_take_what_they_get_must_claim_until_one_is_heard_of():
    table = Table()
    table.hand_over()
    table.now += GIVEN_UP
    table.desk.tick(table.now)
    assert {who.learnt for _, who, _ in table.desk.take(table.now)} == {-1}
    table.desk.handle(AskFor(Want(Box(), "s2", "s2", "default", Kind.HOLD, POLICY, 0, None, join=True)), table.now)
    assert {who.learnt for _, who, _ in table.desk.take(table.now)} == {1}


def test_a_wake_up_has_what_is_offered_handed_over():
    table = Table()
    table.desk.offered(["seat"], table.now)
    assert table.desk.wake_at() <= table.now
    table.desk.tick(table.now)
    assert [(type(request), who.learnt) for _, who, request in table.desk.take(table.now)] == [(Beat, 0)]
    assert table.box.mail == []


def test_a_wake_up_lets_a_slow_waiter_claim():
    table = Table()
    table.hand_over()
    other = Want(Box(), "s2", "s2", "default", Kind.HOLD, POLICY, 0, None, join=True)
    table.desk.handle(AskFor(other), table.now)
    table.now += 2 * SLOW
    table.desk.offered(["s2"], table.now)
    assert [type(mail) for mail in other.box.mail] == [Offered]


def test_of_seats_in_which_nobody_waits_the_ledger_is_asked_once_however_many_wake_ups_name_them():
    table = Table()
    for number in range(1_000):
        table.desk.offered([f"gone-{number}", f"{number}", ""], table.now)
    assert [type(request) for request in table.reply(offers=["gone-1"])] == [Beat]
    # What it says is offered there is given back.
    assert table.reply() == [Withdraw("gone-1", "")]
    table.desk.offered(["gone-2"], table.now)
    assert [type(request) for request in table.reply()] == [Beat]


def test_wake_ups_lose_no_note():
    table = Table()
    table.hand_over()
    table.want.take()
    table.desk.handle(SayEnded("rid", placed=True), table.now)
    table.desk.offered([f"gone-{number}" for number in range(MOST_KEPT + 1)], table.now)
    assert Ended("rid", "") in table.reply()


def test_what_was_taken_stays():
    table = Table()
    table.hand_over()
    assert table.want.take() is not None
    table.now += GIVEN_UP
    table.desk.tick(table.now)
    assert not [request for request in table.reply() if isinstance(request, Ended)]
    assert set(table.desk.own.bookings) == {"rid"}


def test_while_a_waiter_is_slow_the_desk_says_so():
    table = Table()
    table.hand_over()
    table.now += 2 * SLOW
    table.desk.look_again(table.now)
    table.desk.handle(AskFor(Want(Box(), "s2", "s2", "default", Kind.HOLD, POLICY, 0, None, join=True)), table.now)
    table.desk.tick(table.now)
    assert {who.learnt for _, who, _ in table.desk.take(table.now)} == {-1}
    table.want.take()
    table.desk.handle(AskFor(Want(Box(), "s3", "s3", "default", Kind.HOLD, POLICY, 0, None, join=True)), table.now)
    table.desk.tick(table.now)
    assert {who.learnt for _, who, _ in table.desk.take(table.now)} == {1}


def test_who_gave_up_before_the_slot_came_gets_none():
    table = Table()
    table.desk.handle(GiveUp(table.want), table.now)
    table.reply(granted=HandOver(1, "seat", "rid", int(table.now * 1000)).text())
    assert not table.want.handed
    assert not table.desk.own.bookings


def test_who_gives_up_before_it_takes_the_slot_gives_it_back():
    table = Table()
    table.hand_over()
    table.desk.handle(GiveUp(table.want), table.now)
    assert table.want.take() is None
    assert Withdraw("seat", "rid") in table.reply()
    assert not table.desk.own.bookings


def test_a_loop_that_is_closed_gives_it_back_at_once():
    table = Table()
    table.box.put = lambda _: False
    table.hand_over()
    assert Withdraw("seat", "rid") in table.reply()
