"""What a desk makes of what callers and operators say: which request it sends, and what it tells them. No I/O."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admission import Closed, Lane, Policy, UsageError
from admission.core.desk import Desk
from admission.core.messages import (
    AskFor,
    ClaimOffer,
    Done,
    Failed,
    Fetched,
    Flush,
    GetHolders,
    GetReading,
    GetStatus,
    GiveUp,
    Holding,
    News,
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
from admission.ledger.replies import NOTHING, Head
from admission.ledger.requests import (
    Ask,
    AskHolders,
    AskStatus,
    Beat,
    CallEnded,
    Claim,
    Duty,
    Ended,
    Lanes,
    Leave,
    Pause,
    Placed,
    Refuse,
    Started,
    Withdraw,
)
from admission.ledger.wire import ONLOOKER, Code, Kind, LaneWire, Outcome, Word
from tests.unit.test_desk import Box

POLICY = Policy(placement_timeout=10, visibility_lag=2, max_call_duration=600)
SPANS = (10_000, 2_000, 600_000)
FAULT = UsageError("the provider answered 401")
EPOCH, SINCE = 7, 1
AT = 500
"""Ledger seconds at the process's second 0."""


class Office:
    """A desk whose ledger says what a test has it say; the desk knows the epoch, and nothing is to be sent."""

    def __init__(self, policy=POLICY, *, fresh=False, **more):
        self.now = 100.0
        self.reports = []
        self.begun = []
        self.desk = Desk(
            "acme",
            "p.1",
            policy,
            source_timeout=5.0,
            fetch=self.begun.append,
            report=lambda event, **facts: self.reports.append((event, facts)),
            **more,
        )
        if not fresh:
            self.say(GetStatus(Box()))
            self.reply(Code.FOREIGN)
            self.take()

    def say(self, *messages):
        for message in messages:
            self.desk.handle(message, self.now)
        return self

    def want(self, name="", **more):
        facts = {"deadline": None, "join": True, "plain": False} | more
        return Want(Box(), f"seat{name}", f"rid{name}", "bulk", Kind.PLACE, POLICY, self.now, **facts)

    def take(self):
        """Take what is to be sent."""
        return self.desk.take(self.now)

    def sent(self):
        return [request for _, _, request in self.take()]

    def head(self, code=Code.OK, *, due_in=60.0, next_in=None, **more):
        now = int((AT + self.now) * 1000)
        facts = {
            "epoch": EPOCH, "since": SINCE, "waiting": 0, "due_at": now + int(due_in * 1000),
            "next_at": 0 if next_in is None else now + int(next_in * 1000), "granted": "",
        }  # fmt: skip
        return Head(int(code), now, **facts | more)

    def tail(self, request, **beaten):
        if isinstance(request, Ask):
            return [*NOTHING]
        if isinstance(request, Beat):
            facts = {
                "pause": (0, 0, ""),
                "agreed": self.desk.policy.text(),
                "lapsed": 0,
                "behind": 0,
                "offers": (),
            } | beaten
            return [*facts["pause"], facts["agreed"], facts["lapsed"], facts["behind"], 0, 0, *facts["offers"]]
        if isinstance(request, Duty):
            return [9_000]
        if isinstance(request, AskStatus):
            return [20, 3, 5, 15, 2, 1, 0, 250, -1, 4, 0, ""]
        return []

    def reply(self, code=Code.OK, tail=None, beaten=None, **head):
        """Reply to everything that is to be sent; return what that was."""
        taken = self.take()
        for draft, _, request in taken:
            told = self.tail(request, **beaten or {}) if tail is None else tail
            self.desk.replied(draft, [*self.head(code, **head), *told], self.now)
        return [request for _, _, request in taken]

    def fail(self, error):
        """Have the ledger not answer what is to be sent."""
        self.desk.failed([draft for draft, _, _ in self.take()], error, self.now)

    def grants(self, name="", **more):
        """Return a caller that was granted a slot."""
        want = replace(self.want(name), **more)
        self.say(AskFor(want))
        self.reply(Code.GRANTED)
        self.sent()
        return want

    def waits(self, name="", **more):
        """Return a caller that stands in line, and has read its mail."""
        want = self.want(name, **more)
        self.say(AskFor(want))
        self.reply(Code.IN_LINE)
        want.box.mail.clear()
        return want

    def tick(self, seconds=0.0):
        self.now += seconds
        self.desk.tick(self.now)
        return self

    def events(self):
        return [event for event, _ in self.reports]


# Who only looks on


def test_who_asks_for_no_slot_does_not_change_how_the_fleet_decides():
    office = Office(lanes=[Lane("bulk")])
    office.say(GetStatus(Box()), GetHolders(Box()), SetPause(Box(), on=True, reason=""), TellEnded(Box(), "call-7"))
    text = office.desk.policy.text()
    taken = office.take()
    assert {who.policy for _, who, _ in taken} == {text + ONLOOKER}
    assert not [request for _, _, request in taken if isinstance(request, Lanes)]
    office.say(AskFor(office.want()), AskFor(office.want("2")))
    taken = office.take()
    assert {who.policy for _, who, _ in taken} == {text}
    assert [type(request) for _, _, request in taken] == [Lanes, Ask, Ask]


@pytest.mark.parametrize("say", [SetLane(Box(), Lane("vip")), SetPause(Box(), on=True, reason="", lane="bulk")])
def test_a_guard_s_own_lanes_are_declared_before_anything_is_said_of_lanes(say):
    first, second = Office(lanes=[Lane("bulk")]).say(say).sent()
    assert first == Lanes(int(Word.DECLARE), (LaneWire("bulk", priority=0),))
    assert isinstance(second, (Lanes, Pause))


# What is asked and told


def test_a_desk_names_its_process_and_the_epoch_that_it_believes_in():
    office = Office().say(GetStatus(Box()))
    ((draft, who, request),) = office.take()
    assert (who.process, who.epoch, who.learnt) == ("p.1", EPOCH, 0)
    assert (draft.verb, draft.sent_at, request) == ("status", office.now, AskStatus())


@pytest.mark.parametrize(
    ("say", "request_", "mail"), [(GetStatus, AskStatus(), State), (GetHolders, AskHolders(1_000), Holding)]
)
def test_a_question_is_answered_and_not_repeated_by_itself(say, request_, mail):
    office = Office()
    box = Box()
    office.say(say(box))
    assert [(draft.note, draft.box) for draft in office.desk.outbox] == [(False, box)]
    assert office.reply(tail=None if say is GetStatus else [0]) == [request_]
    assert [type(told) for told in box.mail] == [mail]


def test_a_call_that_others_started_is_told_with_its_age_until_delivered():
    office = Office()
    box = Box()
    office.say(TellStarted(box, "rid", "call-7", office.now - 1))
    office.now += 2
    assert [(draft.note, draft.box) for draft in office.desk.outbox] == [(True, box)]
    assert office.reply() == [Started("rid", "call-7", 3_000, 2_000, 600_000)]
    assert box.mail == [Done()]


def test_the_end_of_a_call_is_told_until_delivered():
    office = Office()
    box = Box()
    office.say(TellEnded(box, "call-7"))
    assert [(draft.note, draft.box) for draft in office.desk.outbox] == [(True, box)]
    assert office.reply() == [CallEnded("call-7")]
    assert box.mail == [Done()]


@pytest.mark.parametrize("on", [True, False])
def test_a_pause_is_told_again_with_every_beat(on):
    office = Office()
    office.waits()
    box = Box()
    office.say(SetPause(box, on, "lunch"))
    assert [(draft.note, draft.box) for draft in office.desk.outbox] == [(False, box)]
    assert office.reply(tail=[42]) == [Pause(int(on), "lunch", "")]
    assert box.mail == [Done()]
    (beat,) = office.tick(1).sent()
    assert beat == Beat(42, int(on), "lunch", 0, ())


def test_a_lane_is_paused_alone():
    box = Box()
    office = Office().say(SetPause(box, on=True, reason="lunch", lane="bulk"))
    assert office.reply(tail=[0, ""]) == [Pause(1, "lunch", "bulk")]
    assert box.mail == [Done()]


def test_who_asks_for_a_reading_hears_what_came_of_it():
    office = Office()
    box = Box()
    office.say(GetReading(box))
    assert office.reply(Code.GRANTED) == [Duty(5_000, 1)]
    assert office.begun == [9_000]
    office.say(Fetched(9_000, Outcome.PASSING, error=FAULT, kind="server_error"))
    office.reply(tail=[20, 0, -1, 0, 0, -1, -1])
    assert box.mail == [News(FAULT)]


@pytest.mark.parametrize(("outcome", "told"), [(Outcome.FINAL, [Failed(FAULT)]), (Outcome.PASSING, [])])
def test_a_key_that_is_wrong_is_told_to_who_waits_at_once_and_a_passing_fault_is_not(outcome, told):
    office = Office()
    want = office.waits()
    office.say(Fetched(9_000, outcome, error=FAULT, kind="unauthorised"))
    assert want.box.mail == told


def test_an_offer_is_claimed():
    office = Office()
    want = office.waits()
    office.say(ClaimOffer(want))
    assert office.sent() == [Claim("seat", "rid", "bulk", int(Kind.PLACE), *SPANS)]


@pytest.mark.parametrize("answer", [True, False])
def test_who_gives_up_is_told_how_the_account_stood_where_it_waits_for_that(answer):
    office = Office()
    want = office.waits()
    office.say(GiveUp(want, answer=answer))
    assert office.reply(Code.SATURATED, tail=[*NOTHING]) == [Withdraw("seat", "rid")]
    assert [mail.code for mail in want.box.mail] == [Code.SATURATED] * answer


# Holders


def test_what_holders_say_is_told_in_order_and_until_delivered():
    office = Office()
    office.grants()
    office.say(
        SayPlaced("rid", office.now, late=False),
        SayLeft("rid", office.now, by_value=True),
        SayEnded("rid", placed=True),
    )
    assert [(draft.note, draft.box) for draft in office.desk.outbox] == [(True, None)] * 3
    assert [type(request) for request in office.sent()] == [Placed, Leave, Ended]


@pytest.mark.parametrize("late", [True, False])
def test_a_dial_that_came_late_is_reported_with_its_lane(late):
    office = Office()
    office.grants()
    office.say(SayPlaced("rid", office.now, late=late))
    facts = {"account": "acme", "reservation": "rid", "lane": "bulk"}
    assert office.reports == ([("late_placement", facts)] if late else [])


def test_what_is_said_of_an_unknown_reservation_is_not_told():
    assert Office().say(SayEnded("gone", placed=True)).sent() == []


def test_a_refusal_takes_the_booking_out_and_is_reported():
    office = Office()
    office.grants()
    office.say(SayRefused("rid", office.now - 1, 2.5))
    facts = {"account": "acme", "reservation": "rid", "lane": "bulk", "retry_after": 2.5}
    assert office.reports == [("refused_by_provider", facts)]
    office.now += 1
    assert office.sent() == [Refuse("rid", 2_000, 2_500, "", "bulk", 0, 0, 0, 0)]
    assert not office.desk.own.bookings


def test_a_refused_run_waits_at_the_head_and_gives_its_seat_up_like_any_other():
    office = Office()
    office.grants()
    again = office.want("2")
    office.say(SayRefused("rid", office.now, None, again))
    assert office.reply() == [Refuse("rid", 0, 0, "seat2", "bulk", int(Kind.PLACE), *SPANS)]
    office.say(Shut(Box()))
    assert office.sent() == [Withdraw("seat2", "rid2")]


def test_a_refused_run_is_heard_of_by_the_beat_whatever_is_known_of_its_reservation():
    office = Office()
    office.say(SayRefused("gone", office.now, None, office.want("2")))
    assert office.desk.wake_at() == office.now + 1


def test_a_refused_run_of_a_guard_that_was_closed_is_told_so():
    office = Office()
    office.grants()
    office.say(Shut(Box()))
    again = office.want("2")
    office.say(SayRefused("rid", office.now, None, again))
    (failed,) = again.box.mail
    assert isinstance(failed.error, Closed)
    assert office.sent() == [Refuse("rid", 0, 0, "", "bulk", 0, 0, 0, 0)]
    assert not office.desk.callers.wants


def test_a_refusal_without_another_try_tells_nobody_although_the_guard_was_closed():
    office = Office()
    office.grants()
    office.say(Shut(Box()), SayRefused("rid", office.now, None))
    assert [type(request) for request in office.sent()] == [Refuse]


# Closing


def test_who_closes_hears_when_all_that_was_noted_is_delivered():
    office = Office()
    office.grants()
    box = Box()
    office.say(SayEnded("rid", placed=True), Shut(box))
    office.desk.check_closed()
    assert box.mail == []
    assert office.reply() == [Ended("rid", "")]
    for _ in range(2):
        office.desk.check_closed()
    assert box.mail == [Done()]


def test_closing_wakes_who_waits_and_flushing_does_not():
    for message, told in ((Shut, [Closed]), (Flush, [])):
        office = Office()
        want = office.waits()
        office.say(message(Box()))
        assert [type(mail.error) for mail in want.box.mail] == told
        assert office.sent() == [Withdraw("seat", "rid")]
        assert want.gone


def test_nobody_asks_a_guard_that_was_closed():
    office = Office().say(Shut(Box()))
    want = office.want()
    office.say(AskFor(want))
    (failed,) = want.box.mail
    assert isinstance(failed.error, Closed)
    assert office.sent() == []
