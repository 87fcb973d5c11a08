"""What a desk makes of what the ledger tells, of another epoch, and of slots handed over. No I/O, no waiting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admission import ConfigurationError, UsageError
from admission.core.messages import (
    Answer,
    AskFor,
    Failed,
    Fetched,
    Forgotten,
    GetReading,
    GetStatus,
    GiveUp,
    LedgerDown,
    News,
    SayPlaced,
    TellEnded,
)
from admission.core.ownbooks import granted
from admission.ledger.requests import AskStatus, Beat, CallEnded, Duty, Ended, Jumped, Lanes, Withdraw
from admission.ledger.wire import Code, Kind, Outcome, Word
from tests.unit.test_desk import Box
from tests.unit.test_desk_notes import AT, POLICY, Office
from tests.unit.test_desk_times import admitted, beats

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
    assert office.sent() == [Jumped()]


def test_a_clock_that_jumped_is_told_until_the_ledger_has_heard_it_or_is_in_another_epoch():
    office = Office()
    office.say(GetStatus(Box())).reply()
    office.say(GetStatus(Box()))
    ((draft, _, request),) = office.take()
    head = office.head()._replace(now=int((AT + office.now + 3600) * 1000))
    office.desk.replied(draft, [*head, *office.tail(request)], office.now)
    for _ in range(2):
        office.fail(OSError("refused"))
    assert Jumped() in office.reply(Code.FOREIGN, epoch=8, since=0)
    assert Jumped() not in office.sent(), "that would begin one more"
    assert office.events().count("clock_jumped") == 1


def test_a_clock_that_was_set_back_is_reported_by_how_much():
    office = Office()
    office.waits()
    for behind in (7_000, 7_900, 8_001, 8_500, 3_608_501, 0, 900, 2_000):
        office.tick(1).reply(beaten={"behind": behind})
    assert office.reports == [
        ("clock_set_back", {"account": "acme", "seconds": seconds}) for seconds in (1.001, 3600.5, 2.0)
    ], "not what it was before, nor less than a second; flushed data begins at 0"


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


@pytest.mark.parametrize("kind", [Kind.HOLD, Kind.PLACE])
def test_what_another_epoch_must_hear_is_told_until_delivered(kind):
    office = Office()
    office.grants(kind=kind)
    office.say(GetStatus(Box()))
    other_epoch(office)
    for _ in range(3):
        office.fail(OSError("refused"))
    (beat,) = beats(office.sent())
    assert [entry.rid for entry in beat.entries] == ["rid"]


@pytest.mark.parametrize("kind", [Kind.HOLD, Kind.PLACE])
@pytest.mark.parametrize("late", [False, True])
def test_a_slot_that_another_epoch_hears_of_when_its_pause_is_over_may_be_somebody_else_s(kind, late):
    office = Office()
    office.grants(kind=kind)
    booking = office.desk.own.bookings["rid"]
    office.now += 1
    # It admits again one beat and the lag after it began.
    begun = office.head().now - 3_000 - late
    office.say(GetStatus(Box())).reply(Code.FOREIGN, epoch=begun, since=0)
    assert (booking.deadline < office.now) == late
    office.reply(epoch=begun)
    assert (booking.deadline < office.now) == late, "no beat moves it any more"


def test_a_slot_of_an_epoch_that_is_gone_is_told_until_delivered():
    office = Office()
    message = admitted(office, epoch=6)
    office.say(message).fail(OSError("refused"))
    assert [entry.rid for entry in beats(office.sent())[0].entries] == [message.booking.rid]


def test_lanes_are_told_before_all_else_in_another_epoch():
    office = Office()
    office.waits()
    row = ["bulk", 5, 1, 1_000, 0, 0, 0, "", 0, ""]
    ((draft, _, _),) = office.tick(1).take()
    office.desk.replied(draft, [*office.head(), 0, 0, "", office.desk.policy.text(), 0, 0, 5, 1, *row], office.now)
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


# The ledger is away


def test_a_ledger_that_is_away_is_reported_once_until_it_is_back():
    office = Office()
    for _ in range(2):
        office.say(GetStatus(Box())).fail(OSError("refused"))
    office.say(GetStatus(Box())).reply()
    office.say(GetStatus(Box())).fail(OSError("refused"))
    down = ("ledger_down", {"account": "acme", "error": "refused"})
    failed = ("ledger_failed", {"account": "acme", "verbs": ("status",), "error": "refused"})
    assert office.reports == [down, failed, failed, down, failed]


def test_each_verb_that_failed_is_reported_once_in_order():
    office = Office()
    office.say(TellEnded(Box(), "a"), GetStatus(Box()), TellEnded(Box(), "b")).fail(OSError("refused"))
    assert office.reports[-1][1]["verbs"] == ("call_ended", "status")


def test_who_waits_for_an_answer_hears_of_it_and_only_notes_are_kept_in_order():
    office = Office()
    boxes = [Box() for _ in range(3)]
    office.say(TellEnded(boxes[0], "a"), GetStatus(boxes[1]), TellEnded(boxes[2], "b"))
    cause = OSError("refused")
    drafts = [draft for draft, _, _ in office.take()]
    office.say(TellEnded(Box(), "c"))
    office.desk.failed(drafts, cause, office.now)
    assert [box.mail for box in boxes] == [[LedgerDown(cause)]] * 3
    assert office.desk.down is cause
    assert office.sent() == [CallEnded("a"), CallEnded("b"), CallEnded("c")]


def test_a_note_tells_its_teller_once_that_the_ledger_is_away():
    office = Office()
    box, want = Box(), office.want()
    office.say(TellEnded(box, "a"), AskFor(want))
    for cause in (OSError("refused"), OSError("no answer")):
        office.fail(cause)
    assert len(box.mail) == 1, "it may have gone long ago"
    assert [mail.error.args[0] for mail in want.box.mail] == ["refused", "no answer"]


def test_a_caller_that_has_gone_leaves_its_withdrawal_alone_to_a_ledger_that_is_away():
    office = Office()
    want = office.want()
    office.say(AskFor(want)).fail(OSError("refused"))
    office.say(GiveUp(want))
    assert office.sent() == [Withdraw("seat", "rid")]


def test_a_book_of_another_version_is_told_to_all_as_final():
    office = Office()
    want, box = office.waits(), Box()
    error = ConfigurationError("the book is another version's")
    office.say(GetStatus(box)).fail(error)
    assert want.box.mail == [Failed(error)]
    assert box.mail == [Failed(error)]


def test_who_waits_in_line_is_not_told_of_a_passing_fault():
    office = Office()
    want = office.waits()
    office.say(GetStatus(Box())).fail(OSError("refused"))
    assert want.box.mail == []


def test_a_reading_that_the_ledger_did_not_take_part_in_is_over():
    office = Office()
    box = Box()
    cause = OSError("refused")
    office.say(GetReading(box)).fail(cause)
    assert box.mail == [LedgerDown(cause)]
    office.say(GetReading(Box()))
    assert office.sent() == [Duty(5_000, 1)]


def test_a_note_that_failed_does_not_end_a_reading():
    office = Office()
    box = Box()
    office.say(GetReading(box)).reply(Code.GRANTED)
    office.say(TellEnded(Box(), "a")).fail(OSError("refused"))
    assert box.mail == []


def test_who_asks_hears_the_verdict_once_the_ledger_is_back():
    office = Office()
    want = office.want()
    office.say(AskFor(want)).fail(OSError("refused"))
    office.reply(Code.GRANTED)
    assert [type(mail) for mail in want.box.mail] == [LedgerDown, Answer]
