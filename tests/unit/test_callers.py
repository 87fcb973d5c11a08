"""What a process's callers ask of the ledger, and what they are told of it: fed by hand, without I/O."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admission import Policy
from admission.core.callers import Callers, ask_of, direct_answer
from admission.core.handovers import HandOvers
from admission.core.messages import Answer, Failed, Forgotten, Handed, Offered, Want
from admission.core.outbox import Outbox
from admission.core.ownbooks import OwnBooks
from admission.ledger.replies import NOTHING, HandOver, Head
from admission.ledger.requests import Ask, Claim, Withdraw
from admission.ledger.wire import Code, Kind
from tests.unit.test_desk import Box
from tests.unit.test_plans import FAULT

POLICY = Policy(placement_timeout=10, visibility_lag=2, max_call_duration=600)
SPANS = (10_000, 2_000, 600_000)
NOW = 100.0
LEDGER_NOW = 5_000_000


class Reads:
    """What callers see of their process's reader."""

    def __init__(self):
        self.watchers = []
        self.last_error = FAULT


class Process:
    """Callers, and what they send."""

    def __init__(self):
        self.outbox = Outbox(lambda *_, **__: None)
        self.own = OwnBooks()
        self.reads = Reads()
        self.handovers = HandOvers()
        self.callers = Callers(self.outbox, self.own, self.reads, self.handovers)

    def sent(self, now=NOW):
        """Take what is to be sent, as it is made."""
        return [draft.make(now) for draft in self.outbox.take(now)]

    def answer(self, code, now=NOW, **verdict):
        """Send the one thing that is to be sent, and give it a verdict."""
        (draft,) = self.outbox.take(now)
        draft.make(now)
        draft.then(head(code), [*NOTHING._replace(**verdict)], now)

    def asks(self, **more):
        want = make_want(**more)
        self.callers.ask(want)
        return want

    def waits(self, **more):
        """Return a want that stands in line, and has read its mail."""
        want = self.asks(**more)
        self.answer(Code.IN_LINE)
        want.box.mail.clear()
        return want

    def hand_over(self, seat="seat", rid="rid", claimed=LEDGER_NOW, number=1):
        told = HandOver(number, seat, rid, claimed).text()
        self.callers.hand_over(head(Code.OK, told), NOW, NOW)


def make_want(name="", **more):
    facts = {"deadline": None, "join": True} | more
    return Want(Box(), f"seat{name}", f"rid{name}", "bulk", Kind.PLACE, POLICY, NOW - 3, **facts)


def head(code, granted=""):
    return Head(int(code), LEDGER_NOW, 7, 1, 0, 0, 0, granted)


# Asking


@pytest.mark.parametrize("join", [True, False])
def test_a_caller_asks_with_its_own_terms(join):
    process = Process()
    want = process.asks(join=join)
    assert process.sent() == [Ask("seat", "rid", "bulk", int(Kind.PLACE), *SPANS, int(join), 0)]
    assert want.asked


def test_who_asks_by_itself_has_waited_for_nothing():
    assert ask_of(make_want(), join=False) == Ask("seat", "rid", "bulk", int(Kind.PLACE), *SPANS, 0, 0)


def test_who_asks_again_is_told_with_the_time_that_it_has_waited_until_the_ask_is_sent():
    process = Process()
    process.asks(again=True)
    assert process.sent(NOW + 1)[0].waited == 4_000


def test_the_first_of_them_says_since_when_a_process_waits():
    process = Process()
    assert process.callers.waiting_since() is None
    process.callers.ask(replace(make_want("1"), since=NOW - 9))
    process.callers.ask(replace(make_want("2"), since=NOW - 5))
    assert process.callers.waiting_since() == NOW - 9


def test_who_asks_anew_hears_of_what_comes_then_and_not_of_what_came_before():
    process = Process()
    want = process.waits()
    process.callers.stir("seat")
    process.hand_over()
    want.handed.clear()
    want.box.mail.clear()
    # It was too slow to take its slot, and asks again.
    want.rid, want.seated = "another", False
    process.callers.ask(want)
    process.answer(Code.IN_LINE)
    assert want.seated, "it sleeps again, whatever it was offered before"
    process.hand_over(rid="another", number=2)
    assert [type(mail) for mail in want.box.mail] == [Handed]


def test_nothing_is_listened_for_before_somebody_has_a_seat():
    process = Process()
    process.asks()
    assert not process.callers.wants_ear
    process.answer(Code.GRANTED)
    assert not process.callers.wants_ear
    process.waits()
    assert process.callers.wants_ear


def test_nobody_asks_by_itself_before_one_was_granted_a_slot_at_once():
    process = Process()
    assert not process.callers.flows
    process.asks()
    process.answer(Code.GRANTED)
    assert process.callers.flows


def test_who_waits_for_another_try_is_offered_slots_like_any_other_and_may_give_up():
    process = Process()
    want = make_want()
    process.callers.ask_again(want)
    assert process.callers.wants_ear
    assert process.sent() == []
    process.callers.offered(["seat"])
    assert want.box.mail == [Offered()]
    process.callers.give_up(want)
    assert process.sent() == [Withdraw("seat", "rid")]


# Verdicts


@pytest.mark.parametrize("claims", [False, True], ids=["asks", "claims"])
def test_the_deadline_counts_from_the_claim_in_the_books(claims):
    process = Process()
    want = process.waits() if claims else process.asks()
    if claims:
        process.callers.claim(want)
    process.answer(Code.GRANTED, age=4_000)
    (told,) = want.box.mail
    assert (told.code, told.booking.granted_at, told.booking.deadline) == (Code.GRANTED, NOW - 4, NOW + 6)
    assert process.own.bookings == {"rid": told.booking}


def test_a_claim_bears_its_caller_s_own_terms():
    process = Process()
    want = process.waits()
    process.callers.claim(want)
    assert process.sent() == [Claim("seat", "rid", "bulk", int(Kind.PLACE), *SPANS)]


def test_who_is_refused_a_claim_is_told_so_though_it_would_sleep():
    process = Process()
    want = process.waits()
    process.callers.claim(want)
    process.answer(Code.IN_LINE)
    assert [mail.code for mail in want.box.mail] == [Code.IN_LINE]


@pytest.mark.parametrize("code", [Code.FULL, Code.NO_LANE, Code.WITHDRAWN])
def test_who_was_refused_a_seat_has_nothing_to_give_up(code):
    process = Process()
    want = process.asks()
    process.answer(code)
    assert not process.callers.wants
    process.callers.give_up(want)
    assert process.sent() == []


@pytest.mark.parametrize("code", [Code.IN_LINE, Code.SATURATED, Code.PAUSED, Code.UNREAD])
def test_who_has_a_seat_gives_it_up(code):
    process = Process()
    want = process.asks()
    process.answer(code)
    assert process.callers.wants == {"seat": want}
    process.callers.give_up(want)
    assert process.sent() == [Withdraw("seat", "rid")]


def test_who_was_granted_a_slot_and_gives_up_gives_the_slot_back():
    process = Process()
    want = process.asks()
    process.answer(Code.GRANTED)
    assert not process.callers.wants
    process.callers.give_up(want)
    assert process.sent() == [Withdraw("seat", "rid")]
    assert not process.own.bookings


def test_who_takes_no_seat_has_none_whatever_the_verdict():
    process = Process()
    want = process.asks(join=False)
    process.answer(Code.SATURATED)
    assert not process.callers.wants
    process.callers.give_up(want)
    assert process.sent() == []


def test_who_takes_no_seat_and_finds_no_reading_hears_of_the_next_once():
    process = Process()
    want = process.asks(join=False)
    process.answer(Code.UNREAD)
    process.callers.ask(want)
    process.answer(Code.UNREAD)
    assert process.reads.watchers == [want.box]


@pytest.mark.parametrize(("join", "code"), [(True, Code.UNREAD), (False, Code.SATURATED), (True, Code.SATURATED)])
def test_nobody_else_does(join, code):
    process = Process()
    process.asks(join=join)
    process.answer(code)
    assert process.reads.watchers == []


def test_a_verdict_tells_why_the_newest_reading_failed():
    process = Process()
    want = process.asks(join=False)
    process.answer(Code.UNREAD, retry_after=1_000)
    assert want.box.mail == [Answer(Code.UNREAD, NOTHING._replace(retry_after=1_000), None, FAULT)]


def test_who_has_given_up_hears_nothing_of_what_it_asked_for():
    process = Process()
    want = process.asks()
    (draft,) = process.outbox.take(NOW)
    process.callers.give_up(want)
    draft.then(head(Code.GRANTED), [*NOTHING], NOW)
    assert want.box.mail == []
    assert not process.own.bookings


def test_who_was_handed_a_slot_hears_nothing_of_the_claim_that_was_on_its_way():
    process = Process()
    want = process.waits()
    process.callers.claim(want)
    (draft,) = process.outbox.take(NOW)
    process.hand_over()
    draft.then(head(Code.UNKNOWN), [*NOTHING], NOW)
    assert want.box.mail == [Handed()]


# Giving up


def test_who_gives_up_twice_is_withdrawn_once():
    process = Process()
    want = process.waits()
    process.callers.give_up(want)
    process.callers.give_up(want)
    assert [draft.box for draft in process.outbox] == [None], "nobody waits for an answer"
    assert process.sent() == [Withdraw("seat", "rid")]


def test_who_has_given_up_is_offered_nothing_more():
    process = Process()
    want = process.waits()
    process.callers.give_up(want)
    process.callers.offered(["seat"])
    assert want.box.mail == []


def test_who_gives_up_a_slot_that_it_was_handed_cannot_take_it_any_more():
    process = Process()
    want = process.waits()
    process.hand_over()
    process.callers.give_up(want)
    assert want.take() is None
    assert not process.own.bookings
    assert process.sent() == [Withdraw("seat", "rid")]


def test_a_caller_whose_loop_is_closed_gives_back_the_slot_that_it_is_handed():
    process = Process()
    want = process.waits()
    want.box.put = lambda _: False
    process.hand_over()
    assert not process.own.bookings
    assert process.sent() == [Withdraw("seat", "rid")]


def test_who_gives_up_before_its_ask_was_sent_never_asks():
    process = Process()
    want = process.asks()
    process.asks(name="2")
    process.callers.give_up(want)
    assert [type(request) for request in process.sent()] == [Ask, Withdraw]


def test_who_never_asked_has_nothing_to_give_up():
    process = Process()
    want = make_want()
    process.callers.give_up(want)
    assert process.sent() == []


def test_who_gives_up_hears_how_the_account_stood_where_it_waits_for_that():
    process = Process()
    want = process.waits()
    process.callers.give_up(want, answer=True)
    process.answer(Code.PAUSED, pause_reason="lunch")
    assert want.box.mail == [Answer(Code.PAUSED, NOTHING._replace(pause_reason="lunch"), None, FAULT)]


@pytest.mark.parametrize("waits", [True, False])
def test_a_ledger_that_is_away_is_told_to_who_waits_for_its_word_only(waits):
    process = Process()
    want = process.waits()
    process.callers.give_up(want, answer=waits)
    (draft,) = process.outbox.take(NOW)
    assert draft.box is (want.box if waits else None)
    assert draft.note, "the seat is given up in the end"
    assert (draft.then is None) is not waits


# Offers and slots


def test_an_offer_to_nobody_is_given_back_and_the_others_hear_of_theirs():
    process = Process()
    want = process.waits()
    process.callers.offered(["gone", "seat"])
    assert process.sent() == [Withdraw("gone", "")]
    assert want.box.mail == [Offered()]


def test_a_caller_whose_loop_is_closed_gives_its_seat_up():
    process = Process()
    want = process.waits()
    want.box.put = lambda _: False
    assert process.callers.stir("seat")
    assert process.sent() == [Withdraw("seat", "rid")]


def test_who_is_offered_a_slot_while_its_ask_is_on_its_way_does_not_sleep():
    process = Process()
    want = process.asks()
    process.callers.stir("seat")
    process.answer(Code.IN_LINE)
    assert not want.seated
    assert [type(mail) for mail in want.box.mail] == [Offered, Answer]


def test_a_slot_that_is_handed_over_bears_the_time_of_its_claim():
    process = Process()
    want = process.waits()
    process.hand_over(claimed=LEDGER_NOW - 4_000)
    (booking,) = want.handed
    assert (booking.granted_at, booking.deadline) == (NOW - 4, NOW + 6)
    assert process.own.bookings == {"rid": booking}
    assert not process.callers.wants


def test_slots_that_are_not_a_caller_s_are_not_handed_over_and_the_rest_is():
    process = Process()
    want = process.waits()
    slots = [
        HandOver(1, "gone", "gone", LEDGER_NOW),
        HandOver(2, "seat", "before", LEDGER_NOW - 2_000),
        HandOver(3, "seat", "rid", LEDGER_NOW - 1_000),
    ]
    process.callers.hand_over(head(Code.OK, "".join(slot.text() for slot in slots)), NOW, NOW)
    assert [(booking.rid, booking.granted_at) for booking in want.handed] == [("rid", NOW - 1)]
    assert process.own.bookings.keys() == {"rid"}


def test_after_a_slot_that_was_waited_for_the_next_caller_goes_the_common_way():
    process = Process()
    process.waits()
    process.callers.flows = True
    process.hand_over()
    assert not process.callers.flows


def test_every_caller_hears_that_the_ledger_has_forgotten_it():
    process = Process()
    wants = [process.waits(name="1"), process.waits(name="2")]
    process.callers.forgotten()
    assert [want.box.mail for want in wants] == [[Forgotten()]] * 2
    assert all(want.again for want in wants)


def test_who_is_forgotten_while_its_ask_is_on_its_way_does_not_sleep():
    process = Process()
    want = process.asks()
    process.callers.forgotten()
    process.answer(Code.IN_LINE)
    assert not want.seated


def test_a_failure_that_is_final_is_told_to_all_who_wait_once():
    process = Process()
    want, box = process.waits(), Box()
    process.reads.watchers.append(box)
    for _ in range(2):
        process.callers.fail(FAULT)
    assert want.box.mail == [Failed(FAULT)] * 2
    assert box.mail == [Failed(FAULT)]


# Asking by oneself


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.GRANTED])
def test_whatever_else_the_ledger_says_grants_nothing(code):
    assert direct_answer(make_want(), [*head(code), *NOTHING], NOW) is None


def test_what_is_granted_bears_the_time_of_its_claim():
    told = direct_answer(make_want(), [*head(Code.GRANTED), *NOTHING._replace(age=4_000)], NOW)
    assert (told.booking.rid, told.booking.granted_at, told.booking.deadline) == ("rid", NOW - 4, NOW + 6)
