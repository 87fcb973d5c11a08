"""When a desk speaks by itself: the beat, what time frees, readings and samples. No I/O, no waiting."""

from __future__ import annotations

import pytest

from admission import Policy
from admission.core.messages import (
    Admitted,
    AskFor,
    Fetched,
    Flush,
    GetReading,
    GetStatus,
    Offered,
    SayEnded,
    SayLeft,
    Shut,
)
from admission.core.ownbooks import granted
from admission.ledger.replies import NOTHING
from admission.ledger.requests import AskStatus, Beat, Duty, Reading, Withdraw
from admission.ledger.wire import Code, Outcome
from tests.unit.test_desk import Box
from tests.unit.test_desk_notes import POLICY, Office


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


def test_a_lost_beat_is_made_good_at_once():
    """A new epoch waits for everybody one beat and no longer."""
    office = Office()
    office.waits()
    office.tick(1).fail(OSError("refused"))
    assert office.sent() == []
    assert len(beats(office.tick(0.05).sent())) == 1
    assert office.tick(0.9).sent() == [], "and the next one is due a second later"


@pytest.mark.parametrize("opens", [True, False])
def test_a_process_beats_while_a_block_is_open(opens):
    office = Office()
    office.grants()
    if not opens:
        office.say(SayEnded("rid", placed=True))
        office.sent()
    assert len(beats(office.tick(1).sent())) == opens
    assert (office.desk.wake_at() is not None) is opens


def test_a_process_beats_on_for_a_block_that_an_error_has_left():
    """Nobody else knows of its dial, which may be accepted yet, where the ledger loses its data."""
    office = Office()
    office.grants()
    office.say(SayLeft("rid", office.now, by_value=False))
    for _ in range(9):
        assert len(beats(office.tick(1).sent())) == 1
    office.say(GetStatus(Box()))
    office.reply(Code.FOREIGN, epoch=8, since=0)
    (told, *_) = beats(office.sent())
    assert [(entry.rid, entry.open) for entry in told.entries] == [("rid", 0)]
    office.tick(1).sent()
    assert office.desk.wake_at() is None


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
