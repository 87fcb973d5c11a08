"""When a desk speaks by itself, and what it makes of what the ledger tells with every reply. No I/O, no waiting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admission import Policy, UsageError
from admission.core.messages import (
    Admitted,
    AskFor,
    Fetched,
    Flush,
    Forgotten,
    GetReading,
    GetStatus,
    News,
    Offered,
    SayEnded,
    SayLeft,
    SayPlaced,
    Shut,
    TellEnded,
)
from admission.core.ownbooks import granted
from admission.ledger.replies import NOTHING
from admission.ledger.requests import AskStatus, Beat, CallEnded, Duty, Ended, Jumped, Lanes, Reading, Withdraw
from admission.ledger.wire import Code, Kind, Outcome, Word
from tests.unit.test_desk import Box
from tests.unit.test_desk_notes import AT, POLICY, Office


def beats(requests):
    return [request for request in requests if isinstance(request, Beat)]


def admitted(office, **head):
    """Return what a caller tells its desk that was granted a slot by itself, one second ago."""
    want = office.want("by itself")
    at = office.now - 1
    return Admitted(want, granted(want, at), [*office.head(Code.GRANTED, **head), *NOTHING], at, at)


# The beat


@pytest.mark.parametrize(
    ("policy", "every"),
    [(Policy(), 1.0), (Policy(lease_ttl=2.4), 0.8), (Policy(placement_timeout=1.5), 0.5)],
    ids=["a second", "a third of the lease", "a third of the placement timeout"],
)
def test_a_process_is_heard_often_enough(policy, every):
    office = Office(policy)
    office.waits()
    assert office.desk.wake_at() == pytest.approx(office.now + every)


def test_a_desk_with_nothing_under_way_sleeps():
    office = Office(fresh=True)
    assert office.desk.wake_at() is None
    assert office.desk.sample_at() is None
    assert office.desk.line == 0
    office.tick()
    office.desk.check_closed()
    assert office.sent() == []
    office.say(AskFor(office.want()))
    assert office.desk.wake_at() == office.now + 1


def test_a_beat_is_sent_on_time_and_once():
    office = Office()
    office.waits()
    assert beats(office.tick(0.999).sent()) == []
    assert beats(office.tick(0.001).sent()) == [Beat(0, 0, "", 0, ())]
    assert office.tick().sent() == []
    assert office.desk.wake_at() == office.now + 1


def test_no_further_caller_puts_the_beat_off():
    office = Office()
    office.waits()
    at = office.desk.wake_at()
    office.now += 0.5
    office.waits("2")
    assert office.desk.wake_at() == at


def test_a_lost_beat_is_not_repeated_since_the_next_one_comes():
    office = Office()
    office.waits()
    office.tick(1).fail(OSError("refused"))
    assert office.sent() == []


@pytest.mark.parametrize("opens", [True, False])
def test_a_process_beats_while_a_block_is_open(opens):
    office = Office()
    office.grants()
    if not opens:
        office.say(SayEnded("rid", placed=True))
        office.sent()
    assert len(beats(office.tick(1).sent())) == opens
    assert (office.desk.wake_at() is not None) is opens


def test_what_was_left_and_is_settled_is_not_told_again():
    office = Office()
    office.grants()
    office.say(SayLeft("rid", office.now, by_value=True))
    office.tick(1).sent()
    assert office.desk.own.bookings
    office.say(AskFor(office.want("2")))
    office.tick(POLICY.visibility_lag)
    assert not office.desk.own.bookings


def test_a_grant_that_its_caller_got_by_itself_is_kept_by_a_beat():
    office = Office()
    office.say(admitted(office))
    assert office.desk.wake_at() == office.now + 1


def test_a_closed_desk_beats_for_its_open_blocks_and_then_no_more():
    office = Office()
    office.grants()
    office.say(Flush(Box()))
    assert office.desk.wake_at() == office.now + 1
    assert len(beats(office.tick(1).sent())) == 1
    office.say(SayEnded("rid", placed=True))
    assert office.desk.wake_at() is None


def test_a_closed_desk_without_blocks_sleeps():
    office = Office()
    office.waits()
    assert office.desk.wake_at() is not None
    office.say(Shut(Box()))
    assert office.desk.wake_at() is None


# What time frees


def test_a_beat_asks_for_what_time_has_freed_when_it_has():
    office = Office()
    office.say(AskFor(office.want()))
    office.reply(Code.IN_LINE, next_in=0.25)
    assert office.desk.wake_at() == office.now + 0.25
    assert office.tick(0.249).sent() == []
    assert len(beats(office.tick(0.001).sent())) == 1
    # Once, until the ledger has said what comes next.
    assert office.tick().sent() == []
    assert office.desk.wake_at() == office.now + 1


def test_nobody_asks_for_what_time_frees_while_nobody_waits():
    office = Office()
    office.grants()
    office.say(GetStatus(Box()))
    office.reply(next_in=0.25)
    assert office.desk.wake_at() == office.now + 1
    assert office.tick(0.25).sent() == []


def test_a_wake_up_connection_that_is_back_has_who_waits_look_again():
    office = Office()
    office.desk.look_again(office.now)
    assert office.desk.wake_at() is None
    office.waits()
    office.desk.look_again(office.now)
    assert len(beats(office.tick().sent())) == 1


def test_what_a_beat_says_is_offered_is_told_to_who_waits():
    office = Office()
    want = office.waits()
    office.tick(1).reply(beaten={"offers": ["seat", "gone"]})
    assert want.box.mail == [Offered()]
    assert office.sent() == [Withdraw("gone", "")]


def test_a_wake_up_for_strangers_is_looked_after_once_until_it_was_sent():
    office = Office(fresh=True)
    for name in "abc":
        office.desk.offered([name], office.now)
    assert len(beats(office.sent())) == 1
    office.desk.offered(["d"], office.now)
    assert len(beats(office.sent())) == 1


def test_a_wake_up_for_who_must_claim_asks_the_ledger_nothing():
    office = Office()
    want, other = office.waits(), office.waits("2")
    office.desk.handovers.give(want, granted(want, office.now), office.now)
    office.now += 0.1
    office.desk.offered(["seat2"], office.now)
    assert other.box.mail == [Offered()]
    assert office.sent() == []


# The reading


def test_who_asked_for_a_slot_has_a_reading_that_is_due_taken():
    office = Office()
    office.say(AskFor(office.want()))
    office.reply(Code.GRANTED, due_in=0)
    assert office.sent() == [Duty(5_000, 0)]


def test_who_only_looks_does_not():
    office = Office()
    office.say(GetStatus(Box()))
    office.reply(due_in=0)
    assert office.sent() == []


def test_a_grant_that_its_caller_got_by_itself_has_a_reading_that_is_due_taken():
    office = Office()
    assert [type(request) for request in office.say(admitted(office, due_in=0)).sent()] == [Duty]


def test_while_callers_wait_every_beat_looks_whether_a_reading_is_due():
    office = Office()
    office.say(AskFor(office.want()))
    office.reply(Code.IN_LINE, due_in=0.5)
    assert office.tick(0.6).sent() == []
    assert [type(request) for request in office.tick(0.4).sent()] == [Beat, Duty]


def test_the_newest_reader_takes_the_next_reading_on_time():
    office = Office()
    office.waits()
    office.say(Fetched(9_000, Outcome.PASSING))
    assert isinstance(office.reply(tail=[20, 0, -1, 0, 0, -1, -1], due_in=0.5)[0], Reading)
    assert office.desk.wake_at() == office.now + 0.5
    assert office.tick(0.5).sent() == [Duty(5_000, 0)]


def test_it_takes_none_while_nobody_waits():
    office = Office()
    office.grants()
    office.say(Fetched(9_000, Outcome.PASSING))
    office.reply(tail=[20, 0, -1, 0, 0, -1, -1], due_in=0.5)
    assert office.desk.wake_at() == office.now + 1
    assert office.tick(0.5).sent() == []


def test_a_reading_that_has_come_keeps_the_process_heard():
    office = Office()
    office.say(GetReading(Box())).reply(Code.GRANTED)
    assert office.desk.wake_at() is None
    office.say(Fetched(9_000, Outcome.PASSING))
    assert office.desk.wake_at() == office.now + 1


# Samples


def sampled(seconds=0.0):
    office = Office(samples=True)
    return office.tick(seconds)


def test_who_looks_on_is_told_how_the_account_stands_at_once_and_again():
    office = sampled()
    assert office.reply() == [Beat(0, 0, "", 0, ()), AskStatus()]
    ((event, facts),) = office.reports
    assert (event, facts["account"], facts["status"].in_use, facts["lapsed"]) == ("sampled", "acme", 5, 0)
    at = office.desk.sample_at()
    assert office.tick(at - office.now - 0.001).sent() == []
    assert len(office.tick(0.001).sent()) == 2


def test_samples_begin_with_the_first_word_to_the_ledger_and_end_when_the_guard_is_closed():
    office = Office(samples=True, fresh=True)
    assert office.desk.sample_at() is None
    assert office.tick().sent() == []
    office.say(GetStatus(Box()))
    office.reply(Code.FOREIGN)
    office.sent()
    assert office.desk.sample_at() is not None
    office.say(Shut(Box()))
    assert office.desk.sample_at() is None
    assert office.tick().sent() == []


def test_without_samples_none_is_asked_for():
    office = Office()
    assert office.desk.sample_at() is None
    assert office.tick().sent() == []


@pytest.mark.parametrize(("before", "sampled_with"), [(0.4, True), (0.6, False)])
def test_a_sample_that_is_due_before_the_next_beat_goes_with_this_one(before, sampled_with):
    office = sampled()
    office.reply()
    office.now = office.desk.sample_at() - before - 1
    office.waits()
    assert office.tick(1).sent() == [Beat(0, 0, "", 0, ()), *([AskStatus()] * sampled_with)]


def test_a_sample_whose_beat_was_not_sent_since_nothing_is_under_way_brings_its_own():
    office = sampled()
    office.reply()
    office.now = office.desk.sample_at() - 1
    office.grants()
    office.say(SayEnded("rid", placed=True)).sent()
    assert [type(request) for request in office.tick(1).sent()] == [Beat, AskStatus]


# What the ledger tells


def test_a_pause_that_a_beat_tells_of_is_told_again():
    office = Office()
    office.waits()
    office.tick(1).reply(beaten={"pause": (42, 1, "lunch")})
    assert beats(office.tick(1).sent()) == [Beat(42, 1, "lunch", 0, ())]


def test_an_agreed_policy_that_is_not_its_own_is_reported_when_it_changes():
    office = Office()
    office.waits()
    own = office.desk.policy.text()
    for agreed in (own, "1,2,3", "1,2,3", own, "1,2,3"):
        office.tick(1).reply(beaten={"agreed": agreed})
    facts = {"account": "acme", "agreed": "1,2,3", "own": own}
    assert office.reports == [("policies_differ", facts)] * 2


def test_lapses_are_reported_when_there_are_more():
    office = Office()
    office.waits()
    for lapsed in (3, 3, 5, 0, 1):
        office.tick(1).reply(beaten={"lapsed": lapsed})
    assert office.reports == [
        ("lapsed", {"account": "acme", "reservations": 2}),
        ("lapsed", {"account": "acme", "reservations": 1}),
    ]


def test_an_acknowledged_beat_moves_the_deadline_of_an_open_block():
    office = Office()
    office.grants()
    booking = office.desk.own.bookings["rid"]
    sent_at = office.now + 1
    office.tick(1)
    ((draft, _, request),) = office.take()
    assert [entry.rid for entry in request.entries] == ["rid"]
    office.now += 1
    office.desk.replied(draft, [*office.head(), *office.tail(request)], office.now)
    assert booking.deadline == sent_at + POLICY.placement_timeout


def test_a_beat_that_is_acknowledged_too_late_moves_nothing():
    office = Office()
    office.grants()
    booking = office.desk.own.bookings["rid"]
    deadline = booking.deadline
    office.tick(1)
    ((draft, _, request),) = office.take()
    office.now = deadline + POLICY.visibility_lag + 0.001
    office.desk.replied(draft, [*office.head(), *office.tail(request)], office.now)
    assert booking.deadline == deadline


def test_a_process_that_lapsed_tells_everything_anew():
    office = Office()
    office.grants()
    want = office.waits("2")
    office.say(TellEnded(Box(), "call-7"))
    office.reply(since=2)
    facts = {"account": "acme"}
    assert office.reports == [("lapsed_process", facts)]
    assert want.box.mail == [Forgotten()]
    (beat,) = office.sent()
    assert [entry.rid for entry in beat.entries] == ["rid"]
    office.say(GetStatus(Box()))
    office.reply(since=2)
    assert office.reports == [("lapsed_process", facts)], "once"


def test_a_clock_that_jumped_is_reported_and_told():
    office = Office()
    office.say(GetStatus(Box()))
    office.reply()
    office.now += 0.3
    office.say(GetStatus(Box()))
    ((draft, _, request),) = office.take()
    head = office.head()._replace(now=int((AT + office.now + 5) * 1000))
    office.desk.replied(draft, [*head, *office.tail(request)], office.now)
    assert office.reports == [("clock_jumped", {"account": "acme", "seconds": 5.0})], "in milliseconds, less the drift"
    assert [draft.note for draft in office.desk.outbox] == [False]
    assert office.sent() == [Jumped()]


def test_how_many_stand_in_line_is_known_from_every_reply():
    office = Office()
    office.say(GetStatus(Box()))
    office.reply(waiting=3)
    assert office.desk.line == 3
    office.say(admitted(office, waiting=4))
    assert office.desk.line == 4


# Another epoch


def other_epoch(office):
    office.reply(Code.FOREIGN, epoch=8, since=0)


def test_in_another_epoch_everything_is_told_anew_before_what_was_to_be_said():
    office = Office()
    office.grants()
    office.grants("2", kind=Kind.HOLD)
    want = office.waits("3")
    office.say(TellEnded(Box(), "call-7"))
    other_epoch(office)
    assert office.reports == [("new_epoch", {"account": "acme", "epoch": 8})]
    assert want.box.mail == [Forgotten()]
    taken = office.take()
    assert [type(request) for _, _, request in taken] == [Beat, CallEnded]
    assert [entry.rid for entry in taken[0][2].entries] == ["rid", "rid2"]
    assert {who.epoch for _, who, _ in taken} == {8}


def test_lanes_are_told_before_all_else_in_another_epoch():
    office = Office()
    office.waits()
    row = ["bulk", 5, 1, 1_000, 0, 0, 0, "", 0, ""]
    ((draft, _, _),) = office.tick(1).take()
    office.desk.replied(draft, [*office.head(), 0, 0, "", office.desk.policy.text(), 0, 5, 1, *row], office.now)
    office.say(GetStatus(Box()))
    other_epoch(office)
    first, second, third = office.sent()
    assert (type(first), first.how) == (Lanes, int(Word.RETELL))
    assert (type(second), type(third)) == (Beat, AskStatus)
    # And with each beat, since when it knows of lanes.
    assert second.lanes_at == 5


def test_the_first_epoch_is_nothing_new():
    office = Office(fresh=True)
    want = office.want()
    office.say(AskFor(want))
    office.reply(Code.FOREIGN)
    assert office.reports == []
    assert want.box.mail == []
    assert len(office.sent()) == 1


def test_a_lapse_is_not_told_of_a_process_that_another_epoch_has_entered_anew():
    office = Office()
    office.say(GetStatus(Box()))
    office.reply(since=5)
    office.say(GetStatus(Box()))
    other_epoch(office)
    office.reply(epoch=8, since=6)
    assert office.events() == ["new_epoch"]


def test_another_epoch_s_clock_has_not_jumped():
    office = Office()
    office.say(GetStatus(Box()))
    office.reply()
    office.say(GetStatus(Box()))
    other_epoch(office)
    for draft, _, request in office.take():
        head = office.head(epoch=8)._replace(now=int((AT + office.now + 5) * 1000))
        office.desk.replied(draft, [*head, *office.tail(request)], office.now)
    assert "clock_jumped" not in office.events()


def test_what_the_ledger_says_twice_of_an_epoch_is_told_anew_once():
    office = Office()
    office.grants()
    office.say(TellEnded(Box(), "a"), TellEnded(Box(), "b"))
    other_epoch(office)
    assert office.events() == ["new_epoch"]
    assert [type(request) for request in office.sent()] == [Beat, CallEnded, CallEnded]


def test_an_attempt_to_read_is_over_in_another_epoch():
    office = Office()
    box = Box()
    office.say(GetReading(box))
    other_epoch(office)
    assert box.mail == [News()]
    office.sent()
    office.say(GetReading(Box()))
    assert office.sent() == [Duty(5_000, 1)]


def test_a_beat_of_an_epoch_that_is_gone_ends_no_reading_and_is_not_sent_again():
    office = Office()
    office.waits()
    box = Box()
    office.say(GetReading(box)).reply(Code.GRANTED)
    office.tick(1)
    other_epoch(office)
    assert box.mail == []
    assert len(beats(office.sent())) == 1, "the one that tells everything anew"


def test_a_slot_that_was_granted_by_an_epoch_that_is_gone_is_told_to_the_new_one():
    office = Office()
    message = admitted(office, epoch=6, waiting=4)
    (beat,) = office.say(message).sent()
    assert [entry.rid for entry in beat.entries] == [message.booking.rid]
    assert office.desk.line == 0


def test_who_gave_up_a_slot_that_it_got_by_itself_has_none():
    office = Office()
    message = admitted(office)
    message.want.gone = True
    assert office.say(message).sent() == []
    assert not office.desk.own.bookings
    assert office.desk.wake_at() is None


# What was handed over


def test_what_nobody_took_goes_back_with_a_report():
    office = Office()
    want = office.waits()
    booking = granted(want, office.now)
    office.desk.own.add(booking)
    office.desk.handovers.give(want, booking, office.now)
    assert office.desk.wake_at() == office.now + 1
    office.tick(1)
    assert office.reports == [("handed_back", {"account": "acme", "reservation": "rid"})]
    assert Ended("rid", "") in office.sent()


def test_the_ledger_hears_which_slots_have_reached_the_process():
    office = Office()
    office.say(GetStatus(Box()))
    office.reply(granted="9 gone gone 1\n")
    office.say(GetStatus(Box()))
    ((_, who, _),) = office.take()
    assert who.learnt == 9
    office.say(GetStatus(Box()))
    other_epoch(office)
    assert {who.learnt for _, who, _ in office.take()} == {0}


def test_a_ledger_that_is_back_answers_directly_again():
    office = Office()
    office.grants()
    want = office.want("2")
    assert office.desk.direct_request(want) is not None
    office.say(GetStatus(Box())).fail(OSError("refused"))
    assert office.desk.direct_request(want) is None
    office.say(GetStatus(Box()))
    office.reply()
    who, request = office.desk.direct_request(want)
    assert (request.seat, request.join) == (want.seat, 0)
    assert who.learnt == -1, "whoever asks by itself takes nothing for others"


def test_a_ledger_that_is_away_at_the_first_word_is_reported():
    office = Office(fresh=True)
    office.say(TellEnded(Box(), "a")).fail(OSError("refused"))
    assert office.events() == ["ledger_down", "ledger_failed"]
    assert office.desk.wake_at() == office.now + 1, "it is heard again once it is back"


def test_a_late_placed_hold_is_listed_by_every_beat():
    office = Office()
    office.grants(kind=Kind.HOLD)
    office.say(SayPlaced("rid", office.now, late=True))
    office.sent()
    ((entry,),) = [beat.entries for beat in beats(office.tick(1).sent())]
    assert (entry.rid, entry.placed) == ("rid", 1)


def test_a_fault_of_a_reading_is_told_with_the_verdict():
    office = Office()
    fault = UsageError("503")
    office.say(Fetched(9_000, Outcome.PASSING, error=fault))
    office.reply(tail=[20, 0, -1, 0, 0, -1, -1])
    want = replace(office.want(), join=False)
    office.say(AskFor(want))
    office.reply(Code.UNREAD)
    assert want.box.mail[0].cause is fault
