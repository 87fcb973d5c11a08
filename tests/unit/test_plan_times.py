"""Plans fed by hand at the moments at which they turn: on time, a moment too late, and with mail that comes between."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admission import LedgerUnavailable, Saturated, Status, UsageUnavailable
from admission.core import plans
from admission.core.messages import (
    GRACE,
    AskFor,
    ClaimOffer,
    Done,
    Forgotten,
    GetReading,
    GetStatus,
    GiveUp,
    LedgerDown,
    News,
    Offered,
    Post,
    SayEnded,
    State,
    Wait,
)
from admission.core.ownbooks import granted
from admission.ledger.wire import Code
from tests.unit.test_plans import BOX, FAULT, STATUS, Caller, admit, answer, in_line, make_want


def asking(want, **more):
    """Return a caller whose ask is on its way."""
    caller = admit(want, **more)
    caller.hears(want.since)
    caller.hears(want.since)
    return caller


# Granted


@pytest.mark.parametrize(("heard", "kept"), [(10.0, True), (10.001, False)])
def test_a_slot_is_taken_up_to_its_deadline(heard, kept):
    want = make_want()
    caller = asking(want)
    effect = caller.hears(heard, answer(Code.GRANTED, granted(want, 0.0)))
    assert effect == (None if kept else Post(SayEnded("rid", placed=False)))


@pytest.mark.parametrize(("since", "waited"), [(1.0, 2.0), (3.0, 0.0), (4.0, 0.0)])
def test_who_is_admitted_knows_how_long_it_has_waited(since, waited):
    want = replace(make_want(), since=since)
    caller = asking(want)
    caller.hears(3.0, answer(Code.GRANTED, granted(want, 3.0)))
    assert caller.result.waited == waited


def test_a_grant_without_a_slot_is_asked_for_anew():
    # As a caller that was handed one and was too slow to take it: under another name.
    want = make_want()
    caller = asking(want)
    assert caller.hears(1.0, answer(Code.UNKNOWN)) == Post(AskFor(want))
    assert (want.rid, want.again) == ("rid", False)


def test_a_refused_run_whose_seat_was_forgotten_asks_for_another():
    want = make_want()
    caller = admit(want, asked=True)
    assert caller.hears(0.0, Forgotten()) == Post(AskFor(want))


# Asking


@pytest.mark.parametrize(("deadline", "patience"), [(None, None), (30.0, 30.0), (5.2, 5.0 + GRACE), (4.0, 5.0 + GRACE)])
def test_the_ledger_has_a_moment_to_answer_however_near_the_deadline_is(deadline, patience):
    caller = admit(make_want(deadline))
    caller.hears(5.0)
    assert caller.hears(5.0) == Wait(patience)


def test_mail_at_the_deadline_is_not_the_ledger_s_answer_and_its_fault_is():
    want = make_want(2.0)
    caller = asking(want)
    assert caller.hears(2.0, News()) == Wait(2.0), "the answer may still come"
    with pytest.raises(LedgerUnavailable):
        caller.hears(2.0, LedgerDown(FAULT))


def test_a_ledger_that_is_away_has_until_the_deadline_to_come_back():
    caller = asking(make_want(2.0))
    assert caller.hears(1.999, LedgerDown(FAULT)) == Wait(2.0)
    with pytest.raises(LedgerUnavailable, match="503"):
        caller.hears(2.0)


def test_a_ledger_that_does_not_answer_gave_no_cause():
    caller = asking(make_want(2.0))
    with pytest.raises(LedgerUnavailable, match="in time") as caught:
        caller.hears(2.0)
    assert caught.value.cause is None


def test_who_waits_without_a_deadline_waits_until_the_ledger_is_back():
    caller = asking(make_want(None))
    assert caller.hears(1e9, LedgerDown(FAULT)) == Wait(None)


@pytest.mark.parametrize(("now", "gives_up"), [(4.999, False), (5.0, True)])
def test_who_takes_no_seat_waits_for_a_reading_as_long_as_one_may_take(now, gives_up):
    want = make_want(0.0, join=False)
    caller = asking(want)
    caller.hears(0.0, answer(Code.UNREAD))
    caller.hears(0.05)
    caller.hears(0.05)
    effect = caller.hears(now, answer(Code.UNREAD))
    assert effect == (Post(GiveUp(want)) if gives_up else Wait(5.0))


def test_who_takes_no_seat_waits_no_longer_than_that_from_its_first_answer():
    caller = asking(make_want(0.0, join=False))
    assert caller.hears(1.0, answer(Code.UNREAD)) == Wait(1.0 + plans.POLL)
    caller.hears(1.05)
    caller.hears(1.05)
    assert caller.hears(5.98, answer(Code.UNREAD)) == Wait(6.0)


def test_a_reading_that_fails_and_then_comes_is_no_failure():
    want = make_want(0.0, join=False)
    caller = asking(want)
    caller.hears(0.0, News(FAULT))
    caller.hears(0.0, News())
    assert caller.hears(0.0, answer(Code.UNREAD)) == Wait(plans.POLL)


@pytest.mark.parametrize("code", [Code.SATURATED, Code.PAUSED, Code.FULL])
def test_who_takes_no_seat_takes_no_for_an_answer(code):
    want = make_want(0.0, join=False)
    caller = asking(want)
    assert caller.hears(0.0, answer(code)) == Post(GiveUp(want))


# In line


def test_what_was_offered_to_a_forgotten_seat_is_not_claimed_from_the_next():
    want = make_want()
    caller = asking(want)
    caller.hears(0.1, Offered())
    caller.hears(0.1, Forgotten())
    caller.hears(0.2, answer(Code.IN_LINE))
    assert caller.hears(0.2) == Post(AskFor(want))
    caller.hears(0.2)
    caller.hears(0.3, answer(Code.IN_LINE))
    assert caller.hears(0.3) == Wait(1.3), "it waits in its new seat"


def test_mail_that_came_with_the_refusal_of_a_claim_is_read_at_once():
    want = make_want()
    caller = in_line(want)
    caller.hears(0.5, Offered())
    caller.hears(0.5)
    assert caller.hears(0.6, answer(Code.SATURATED)) == Wait(0)
    assert caller.hears(0.6, Offered()) == Post(ClaimOffer(want))


@pytest.mark.parametrize("code", [Code.UNKNOWN, Code.NO_LANE, Code.UNTRACKED])
def test_who_has_lost_its_seat_waits_in_it_no_longer(code):
    want = make_want()
    caller = in_line(want)
    caller.hears(0.5, Offered())
    caller.hears(0.5)
    expected = AskFor(want) if code is Code.UNKNOWN else GiveUp(want)
    assert caller.hears(0.6, answer(code)) == Post(expected)


def test_the_user_s_pauses_are_told_how_long_the_caller_has_waited():
    told = []
    want = replace(make_want(), since=2.0)
    caller = in_line(want, lambda waited: told.append(waited) or 1.0)
    caller.hears(5.0)
    assert told == [3.0]


@pytest.mark.parametrize(("pause", "until"), [(0.0, 5.0), (1.0, 6.0), (100.0, 30.0)])
def test_a_pause_ends_when_it_says_and_at_the_deadline_at_the_latest(pause, until):
    caller = in_line(make_want(), lambda _: pause)
    assert caller.hears(5.0) == Wait(until)


@pytest.mark.parametrize(("now", "over"), [(29.999, False), (30.0, True)])
def test_who_waits_gives_up_at_its_deadline_and_not_before(now, over):
    want = make_want()
    caller = in_line(want)
    assert caller.hears(now) == (Post(GiveUp(want, answer=True)) if over else Wait(30.0))


def test_who_gives_up_waits_a_moment_for_the_ledger_s_word():
    caller = in_line(make_want(2.0))
    caller.hears(2.0)
    assert caller.hears(2.0) == Wait(2.0 + GRACE)
    with pytest.raises(LedgerUnavailable):
        caller.hears(2.0 + GRACE)


def test_who_is_refused_has_waited_until_its_withdrawal_was_noted():
    want = replace(make_want(2.0), since=0.5)
    caller = in_line(want)
    caller.hears(2.0)
    caller.hears(2.0)
    caller.hears(2.1, answer(Code.SATURATED))
    with pytest.raises(Saturated) as caught:
        caller.hears(2.25)
    assert caught.value.waited == 1.75


# Questions


def test_a_question_waits_on_after_mail_that_is_no_answer():
    caller = Caller(plans.ask(GetStatus(BOX), 5.0))
    assert caller.effect == Post(GetStatus(BOX))
    caller.hears(1.0)
    assert caller.hears(2.0, News()) == Wait(6.0)


def test_a_question_that_the_ledger_cannot_answer_fails_with_the_cause():
    caller = Caller(plans.ask(GetStatus(BOX), 5.0))
    caller.hears(1.0)
    with pytest.raises(LedgerUnavailable, match="503") as caught:
        caller.hears(2.0, LedgerDown(FAULT))
    assert caught.value.cause is FAULT


def test_a_note_waits_until_it_is_delivered():
    caller = Caller(plans.tell(GetStatus(BOX), 5.0))
    assert caller.effect == Post(GetStatus(BOX))
    assert caller.hears(1.0) == Wait(6.0)
    assert caller.hears(2.0, News()) == Wait(6.0)
    caller.hears(3.0, Done())
    assert caller.result is True


def refreshed(began, now, age):
    """Return a caller that has asked for a reading at `began`, and is told at `now` of one of this age."""
    caller = Caller(plans.refresh(BOX, 5.0))
    caller.hears(began)
    caller.hears(now, News())
    caller.hears(now)
    caller.hears(now, State(replace(STATUS, usage_age=age)))
    return caller


@pytest.mark.parametrize(
    ("age", "young"),
    [(1.0, True), (1.0 + plans.MILLISECOND, True), (1.0 + 2.5 * plans.MILLISECOND, False), (None, False), (0.0, True)],
)
def test_a_refresh_takes_a_reading_that_began_no_earlier_than_it_did(age, young):
    caller = refreshed(8.0, 9.0, age)
    effect = caller.hears(9.0)
    assert effect == (None if young else Wait(9.0 + plans.POLL))
    assert isinstance(caller.result, Status) is young


def test_what_the_wire_has_rounded_makes_no_reading_too_old():
    caller = refreshed(plans.MILLISECOND, 9.0, 9.0)
    assert caller.hears(9.0) is None


def test_a_refresh_whose_status_was_not_told_reads_again():
    caller = Caller(plans.refresh(BOX, 5.0))
    caller.hears(1.0)
    caller.hears(1.1, News())
    caller.hears(1.1)
    assert caller.hears(1.2, Done()) == Wait(0)
    assert caller.hears(1.2) == Wait(1.2 + plans.POLL)
    assert caller.hears(1.3) == Post(GetReading(BOX))
    with pytest.raises(UsageUnavailable, match="in time"):
        caller.hears(6.0)
        caller.hears(6.0)
