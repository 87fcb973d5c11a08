"""Plans fed by hand: what a caller says and does for every answer, at every time. No ledger, no waiting."""

from __future__ import annotations

import math

import pytest

from admission import (
    AdmissionError,
    ConfigurationError,
    LedgerUnavailable,
    Paused,
    Policy,
    Saturated,
    Status,
    UsageError,
    UsageUnavailable,
)
from admission.core import plans
from admission.core.messages import (
    Answer,
    AskDirectly,
    AskFor,
    ClaimOffer,
    Done,
    Failed,
    Forgotten,
    GetReading,
    GetStatus,
    GiveUp,
    Handed,
    LedgerDown,
    News,
    Offered,
    Post,
    SayEnded,
    State,
    Wait,
    Want,
)
from admission.core.ownbooks import granted
from admission.ledger.replies import NOTHING
from admission.ledger.wire import Code, Kind
from admission.schedule import Schedule

BOX = object()
FAULT = UsageError("the provider answered 503")
POLICY = Policy(placement_timeout=10)
STATUS = Status("acme", 5, 0, 0, 5, 0, 0, 0, 0, 0.1, paused=False, pause_reason="")


class Caller:
    """Drives a plan, effect by effect."""

    def __init__(self, plan):
        self.plan = plan
        self.result = None
        self.effect = next(plan)

    def hears(self, now, mail=None):
        """Send the time and the mail; return the next effect, `None` when the plan has returned."""
        try:
            self.effect = self.plan.send((now, mail))
        except StopIteration as stop:
            self.effect, self.result = None, stop.value
        return self.effect


def make_want(deadline=30.0, *, join=True):
    return Want(BOX, "seat", "rid", "default", Kind.HOLD, POLICY, 0.0, deadline, join=join)


def admit(want, pauses=lambda _: 1.0, **more):
    return Caller(plans.admit(want, pauses, lambda: "another", 5.0, **more))


def in_line(want, pauses=lambda _: 1.0):
    """Return a caller that stands in line, and waits for its next attempt."""
    caller = admit(want, pauses)
    caller.hears(0.0)
    caller.hears(0.0)
    assert caller.hears(0.0, answer(Code.IN_LINE)) == Wait(0)
    return caller


def answer(code, booking=None):
    return Answer(code, NOTHING, booking)


def test_a_slot_that_is_granted_directly_is_the_callers():
    want = make_want()
    caller = admit(want)
    assert caller.effect == AskDirectly(want)
    booking = granted(want, 0.5)
    assert caller.hears(1.0, answer(Code.GRANTED, booking)) is None
    assert caller.result is booking
    assert booking.waited == 1.0


def test_who_is_not_granted_directly_asks_its_desk():
    want = make_want()
    caller = admit(want)
    assert caller.hears(0.0) == Post(AskFor(want))
    booking = granted(want, 0.0)
    assert caller.hears(0.0) == Wait(30.0)
    assert caller.hears(0.1, answer(Code.GRANTED, booking)) is None
    assert caller.result is booking


def test_a_grant_that_is_heard_after_its_deadline_is_given_back_and_asked_for_anew():
    want = make_want()
    caller = admit(want)
    effect = caller.hears(11.0, answer(Code.GRANTED, granted(want, 0.5)))
    assert effect == Post(SayEnded("rid", placed=False))
    assert caller.hears(11.0) == Post(AskFor(want))
    assert (want.rid, want.again) == ("another", True)


def seated(deadline=30.0):
    """Return a caller that stands in line and was not told so."""
    want = make_want(deadline)
    caller = admit(want, pauses=lambda _: math.inf)
    caller.hears(0.0)
    assert caller.hears(0.0) == Wait(deadline)
    want.seated = True
    return want, caller


def test_who_was_seated_quietly_takes_what_is_handed_over():
    want, caller = seated()
    booking = granted(want, 1.0)
    want.handed.append(booking)
    assert caller.hears(2.0, Handed()) is None
    assert caller.result is booking


def test_who_was_seated_quietly_claims_what_it_is_offered():
    want, caller = seated()
    assert caller.hears(0.5, Offered()) == Wait(0)
    assert caller.hears(0.5) == Post(ClaimOffer(want))


def test_who_was_seated_quietly_asks_anew_when_it_was_forgotten():
    want, caller = seated()
    assert caller.hears(0.5, Forgotten()) == Wait(0)
    assert caller.hears(0.5) == Post(AskFor(want))
    assert not want.seated


@pytest.mark.parametrize("mail", [None, News(None), LedgerDown(OSError("away"))])
def test_who_was_seated_quietly_gives_up_at_its_deadline(mail):
    want, caller = seated()
    assert caller.hears(30.0, mail) == Wait(0)
    assert caller.hears(30.0) == Post(GiveUp(want, answer=True))


def test_who_was_seated_quietly_sleeps_on_after_other_mail():
    _, caller = seated(None)
    assert caller.hears(0.5, News(None)) == Wait(0)
    assert caller.hears(0.5) == Wait(None)


def test_who_waits_claims_what_it_is_offered():
    want = make_want()
    caller = in_line(want)
    assert caller.hears(0.0) == Wait(1.0)
    assert caller.hears(0.5, Offered()) == Post(ClaimOffer(want))
    assert caller.hears(0.5) == Wait(30.0)
    booking = granted(want, 0.5)
    assert caller.hears(0.6, answer(Code.GRANTED, booking)) is None
    assert caller.result is booking


def test_who_is_refused_a_claim_waits_on():
    caller = in_line(make_want())
    caller.hears(0.5, Offered())
    caller.hears(0.5)
    assert caller.hears(0.6, answer(Code.SATURATED)) == Wait(0)
    assert caller.hears(0.6) == Wait(1.6)


def test_a_seat_that_the_ledger_has_forgotten_is_asked_for_anew():
    want = make_want()
    caller = in_line(want)
    assert caller.hears(0.5, Forgotten()) == Post(AskFor(want))


def test_who_runs_out_of_time_gives_up_and_is_told_how_the_account_stood():
    want = make_want(deadline=2.0)
    caller = in_line(want)
    assert caller.hears(0.0) == Wait(1.0)
    assert caller.hears(1.0) == Wait(2.0)
    assert caller.hears(2.0) == Post(GiveUp(want, answer=True))
    caller.hears(2.0)
    assert caller.hears(2.0, answer(Code.SATURATED)) == Post(GiveUp(want))
    with pytest.raises(Saturated) as caught:
        caller.hears(2.0)
    assert caught.value.waited == 2.0


def test_who_stops_gives_up_before_its_deadline():
    want = make_want(deadline=None)
    caller = in_line(want, pauses=lambda waited: None if waited >= 3 else 10.0)
    assert caller.hears(0.0) == Wait(10.0)
    assert caller.hears(3.0, News()) == Post(GiveUp(want, answer=True))


@pytest.mark.parametrize(("deadline", "until"), [(30.0, 30.0), (None, None)])
def test_who_leaves_wait_and_stop_alone_sleeps_until_mail_comes(deadline, until):
    caller = in_line(make_want(deadline), Schedule())
    assert caller.hears(1.0) == Wait(until)


def test_a_cap_that_was_set_meanwhile_is_told_to_who_claims():
    want = make_want()
    caller = in_line(want)
    assert caller.hears(1.0, Offered()) == Post(ClaimOffer(want))
    caller.hears(1.0)
    assert caller.hears(1.0, answer(Code.UNTRACKED)) == Post(GiveUp(want))
    with pytest.raises(ConfigurationError, match="tracked"):
        caller.hears(1.0)


def test_mail_that_comes_before_the_answer_is_kept_for_later():
    want = make_want()
    caller = admit(want)
    caller.hears(0.0)
    caller.hears(0.0)
    for mail in (Offered(), News(UsageError("down")), Done(), LedgerDown(OSError("away"))):
        assert caller.hears(0.1, mail) == Wait(30.0)
    caller.hears(0.2, answer(Code.IN_LINE))
    assert caller.hears(0.2) == Post(ClaimOffer(want))


def test_a_ledger_that_does_not_answer_in_time_is_unavailable_with_its_cause():
    caller = admit(make_want(deadline=2.0))
    caller.hears(0.0)
    caller.hears(0.0)
    cause = OSError("refused")
    caller.hears(1.0, LedgerDown(cause))
    with pytest.raises(LedgerUnavailable, match="refused") as caught:
        caller.hears(3.0)
    assert caught.value.cause is cause


def test_who_takes_no_seat_waits_for_a_reading_and_asks_again():
    want = make_want(deadline=0.0, join=False)
    caller = admit(want)
    assert caller.hears(0.0) == Post(AskFor(want))
    caller.hears(0.0)
    assert caller.hears(0.0, answer(Code.UNREAD)) == Wait(plans.POLL)
    assert caller.hears(0.02, News()) == Post(AskFor(want))
    caller.hears(0.02)
    booking = granted(want, 0.02)
    assert caller.hears(0.03, answer(Code.GRANTED, booking)) is None


def test_who_takes_no_seat_gives_up_when_the_reading_fails():
    want = make_want(deadline=0.0, join=False)
    caller = admit(want)
    caller.hears(0.0)
    caller.hears(0.0)
    caller.hears(0.0, answer(Code.UNREAD))
    caller.hears(0.02, News(UsageError("503")))
    caller.hears(0.02)
    assert caller.hears(0.02, answer(Code.UNREAD)) == Post(GiveUp(want))
    with pytest.raises(UsageUnavailable):
        caller.hears(0.02)


def test_a_refused_run_waits_in_the_seat_that_it_has():
    want = make_want()
    caller = admit(want, asked=True)
    assert caller.effect == Wait(0)


@pytest.mark.parametrize(
    ("mail", "error"),
    [
        (Failed(Saturated("no", limit=1, in_use=1, waited=0, position=0, retry_after=1)), Saturated),
        (LedgerDown(OSError("away")), LedgerUnavailable),
        (None, LedgerUnavailable),
    ],
)
def test_a_question_ends_with_what_went_wrong(mail, error):
    caller = Caller(plans.ask(GetStatus(BOX), 5.0))
    assert caller.hears(1.0) == Wait(6.0)
    assert caller.hears(2.0, Offered()) == Wait(6.0)
    with pytest.raises(error):
        caller.hears(6.0, mail)


@pytest.mark.parametrize(("mail", "result"), [(State(STATUS), STATUS), (Done(), None)])
def test_a_question_ends_with_its_answer(mail, result):
    caller = Caller(plans.ask(GetStatus(BOX), 5.0))
    caller.hears(1.0)
    assert caller.hears(2.0, mail) is None
    assert caller.result is result


@pytest.mark.parametrize(("mail", "told"), [(Done(), True), (Done(left=3), False), (None, False)])
def test_a_note_says_whether_it_was_delivered(mail, told):
    caller = Caller(plans.tell(GetStatus(BOX), 5.0))
    caller.hears(1.0)
    assert caller.hears(2.0, LedgerDown(OSError())) == Wait(6.0)
    assert caller.hears(6.0, mail) is None
    assert caller.result is told


def test_a_note_of_a_closed_guard_fails():
    caller = Caller(plans.tell(GetStatus(BOX), 5.0))
    caller.hears(1.0)
    with pytest.raises(AdmissionError, match="closed"):
        caller.hears(2.0, Failed(AdmissionError("closed")))


def test_a_refresh_returns_a_state_that_is_younger_than_the_request():
    caller = Caller(plans.refresh(BOX, 5.0))
    assert caller.effect == Post(GetReading(BOX))
    assert caller.hears(1.0) == Wait(6.0)
    assert caller.hears(1.1, Offered()) == Wait(6.0)
    assert caller.hears(1.2, News()) == Post(GetStatus(BOX))
    caller.hears(1.2)
    # The reading was begun before the request.
    assert caller.hears(1.2, State(STATUS)) == Wait(0)
    old = 0.9
    assert caller.hears(1.0 + 0.1 - 0.05 - (1.0 - old)) == Wait(old + 0.05 + plans.POLL)
    assert caller.hears(1.3) == Post(GetReading(BOX))
    assert caller.hears(1.3) == Wait(6.0)
    assert caller.hears(1.5, News()) == Post(GetStatus(BOX))
    caller.hears(1.5)
    assert caller.hears(1.5, State(STATUS)) == Wait(0)
    assert caller.hears(1.5) is None
    assert caller.result is STATUS


@pytest.mark.parametrize(
    ("mail", "error"),
    [
        (News(UsageError("503")), UsageUnavailable),
        (Failed(AdmissionError("closed")), AdmissionError),
        (LedgerDown(OSError("away")), LedgerUnavailable),
        (None, UsageUnavailable),
    ],
)
def test_a_refresh_ends_with_what_went_wrong(mail, error):
    caller = Caller(plans.refresh(BOX, 5.0))
    caller.hears(1.0)
    with pytest.raises(error):
        caller.hears(6.0, mail)


def test_who_takes_no_seat_looks_for_a_reading_that_another_process_takes():
    want = make_want(deadline=0.0, join=False)
    caller = admit(want)
    caller.hears(0.0)
    caller.hears(0.0)
    caller.hears(0.0, answer(Code.UNREAD))
    assert caller.hears(plans.POLL) == Post(AskFor(want))


def test_who_waits_in_a_guard_that_fails_is_told():
    caller = in_line(make_want())
    with pytest.raises(AdmissionError, match="closed"):
        caller.hears(0.5, Failed(AdmissionError("closed")))


def test_who_is_refused_by_a_pause_is_told_the_reason():
    caller = admit(make_want(deadline=0.0, join=False))
    caller.hears(0.0)
    caller.hears(0.0)
    verdict = NOTHING._replace(pause_reason="lunch")
    caller.hears(0.0, Answer(Code.PAUSED, verdict))
    with pytest.raises(Paused, match="lunch") as caught:
        caller.hears(0.0)
    assert caught.value.reason == "lunch"
