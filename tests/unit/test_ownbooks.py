"""A process's own books, by which a ledger that lost its data is told again: fed by hand, without I/O."""

from __future__ import annotations

import pytest

from admission import Policy
from admission.core.messages import SayEnded, SayLeft, SayPlaced, Want
from admission.core.ownbooks import OwnBooks, granted
from admission.ledger.requests import Ended, Entry, Leave, Placed
from admission.ledger.wire import Kind
from tests.unit.test_desk import Box

POLICY = Policy(placement_timeout=10, visibility_lag=2, max_call_duration=60)
CLAIM = 100.0
DEADLINE = CLAIM + 10
SETTLE = DEADLINE + 2
OVER = CLAIM + 60


class Books(OwnBooks):
    """Own books with one reservation, and what is said of it."""

    def __init__(self, kind=Kind.PLACE):
        super().__init__()
        self.booking = granted(Want(Box(), "seat", "rid", "bulk", kind, POLICY, CLAIM, None, join=True), CLAIM)
        self.add(self.booking)

    def placed(self, at=CLAIM + 1, *, late=False, call_id="", leaving=False, sent_at=None):
        make = self.note(SayPlaced("rid", at, late, call_id, leaving), at)
        return make(at if sent_at is None else sent_at)

    def left(self, at=CLAIM + 1, *, by_value=True, sent_at=None):
        make = self.note(SayLeft("rid", at, by_value), at)
        return make(at if sent_at is None else sent_at)

    def listed(self, now):
        """Return the one reservation as it is told to a ledger that knows nothing of it."""
        (entry,) = self.entries(self.bookings.values(), now)
        return entry

    def is_kept(self, now):
        self.drop_settled(now)
        return "rid" in self.bookings


def test_a_claim_is_booked_until_its_dial_would_surely_be_counted():
    booking = Books().booking
    assert (booking.granted_at, booking.deadline, booking.settle_at) == (CLAIM, DEADLINE, SETTLE)


def test_a_lane_is_told_by_the_reservation_and_an_unknown_one_is_in_the_default_lane():
    books = Books()
    assert (books.lane_of("rid"), books.lane_of("gone")) == ("bulk", "default")


# What holders say, and how it is told


def test_placed_is_told_with_all_that_a_ledger_needs_that_never_heard_of_the_claim():
    told = Books().placed(CLAIM + 1, call_id="call-7", sent_at=CLAIM + 4)
    facts = ("rid", 3_000, 0, 0, "call-7", "bulk", int(Kind.PLACE), 4_000, 10_000, 2_000, 56_000)
    assert told == Placed(*facts)


def test_placed_late_while_leaving_is_told_as_both():
    told = Books().placed(CLAIM + 20, late=True, leaving=True)
    assert (told.late, told.leaving) == (1, 1)


@pytest.mark.parametrize(("sent_at", "left"), [(OVER - 0.002, 2), (OVER - 0.001, 1), (OVER, 1), (OVER + 5, 1)])
def test_what_is_told_after_the_longest_call_has_a_millisecond_left(sent_at, left):
    assert Books().placed(sent_at=sent_at).left == left
    assert Books().listed(sent_at).left == left


@pytest.mark.parametrize("by_value", [True, False])
def test_leaving_is_told_with_its_age(by_value):
    assert Books().left(CLAIM + 1, by_value=by_value, sent_at=CLAIM + 3) == Leave("rid", 2_000, int(by_value))


@pytest.mark.parametrize(("placed", "told"), [(True, "call-7"), (False, "")])
def test_an_end_is_told_with_its_call_where_there_was_one(placed, told):
    books = Books()
    books.placed(call_id="call-7")
    assert books.note(SayEnded("rid", placed), CLAIM + 2)(CLAIM + 3) == Ended("rid", told)
    assert not books.bookings


@pytest.mark.parametrize(
    "say", [SayPlaced("gone", 1, late=False), SayLeft("gone", 1, by_value=True), SayEnded("gone", placed=True)]
)
def test_of_a_reservation_that_is_not_known_nothing_is_told(say):
    books = Books()
    assert books.note(say, CLAIM) is None
    assert books.bookings.keys() == {"rid"}


# As a ledger that lost it is told


def test_an_open_block_that_may_still_dial_is_booked_as_if_it_were_claimed_now():
    facts = ("rid", "bulk", int(Kind.PLACE), 4_000, 10_000, 2_000, 0, 1, 12_000, 56_000, "")
    assert Books().listed(CLAIM + 4) == Entry(*facts)


def test_a_hold_is_booked_with_what_is_left_of_its_settle_time():
    assert Books(Kind.HOLD).listed(CLAIM + 4).settle == 8_000


def test_what_is_placed_settles_a_lag_later_and_never_later_than_before():
    books = Books()
    books.placed(CLAIM + 1, call_id="call-7")
    listed = books.listed(CLAIM + 2)
    assert (listed.placed, listed.open, listed.settle, listed.call_id) == (1, 1, 1_000, "call-7")
    books.placed(CLAIM + 9)
    assert books.listed(CLAIM + 2).settle == 1_000


def test_what_is_placed_late_settles_a_lag_after_that_whatever_was_known():
    books = Books()
    books.placed(CLAIM + 20, late=True)
    assert books.listed(CLAIM + 20).settle == 2_000


def test_what_was_placed_and_left_at_once_is_open_no_more():
    books = Books()
    books.placed(leaving=True)
    assert books.listed(CLAIM + 1).open == 0
    # A word that comes again opens nothing.
    books.placed()
    assert books.listed(CLAIM + 1).open == 0


@pytest.mark.parametrize(
    ("placed", "by_value", "settle"), [(False, True, 4_000), (False, False, 11_000), (True, False, 2_500)]
)
def test_leaving_brings_the_settle_time_forward_unless_nothing_is_known_of_the_dial(placed, by_value, settle):
    books = Books()
    if placed:
        books.placed(CLAIM + 1.5)
    books.left(CLAIM + 3, by_value=by_value)
    listed = books.listed(CLAIM + 1)
    assert (listed.open, listed.settle) == (0, settle)


def test_only_what_is_still_booked_is_listed():
    books = Books()
    listed = list(books.bookings.values())
    books.note(SayEnded("rid", placed=False), CLAIM)
    assert books.entries(listed, CLAIM) == ()


# How long it is kept


def test_what_is_open_is_kept_for_ever():
    books = Books()
    assert books.is_kept(OVER + 1_000)
    assert books.must_be_heard(OVER + 1_000)


def test_one_open_block_among_others_is_heard():
    books = Books()
    books.left()
    assert not books.must_be_heard(CLAIM + 1)
    books.add(granted(Want(Box(), "s2", "r2", "bulk", Kind.PLACE, POLICY, CLAIM, None, join=True), CLAIM))
    assert books.must_be_heard(CLAIM + 1)


def test_a_block_that_was_left_by_an_error_is_heard_until_its_dial_can_come_no_more():
    books = Books()
    books.left(by_value=False)
    assert books.must_be_heard(DEADLINE - 0.001)
    assert not books.must_be_heard(DEADLINE)


def test_nothing_is_told_to_have_happened_before_it_did():
    """Else a reading from before would cover it."""
    for ago in (0.0, 0.0001, 0.0011, 0.0019):
        assert Books().placed(CLAIM + 1, sent_at=CLAIM + 1 + ago).age == int(ago * 1000)
        assert Books().left(CLAIM + 1, sent_at=CLAIM + 1 + ago).age == int(ago * 1000)
        assert Books().listed(CLAIM + ago).claimed == int(ago * 1000)


@pytest.mark.parametrize("kind", [Kind.HOLD, Kind.PLACE, Kind.TRACK])
def test_what_was_left_is_kept_until_its_settle_time(kind):
    books = Books(kind)
    books.left(CLAIM + 5)
    assert books.is_kept(CLAIM + 6.999)
    assert not books.is_kept(CLAIM + 7)


@pytest.mark.parametrize("kind", [Kind.HOLD, Kind.PLACE])
def test_what_was_placed_and_left_too(kind):
    books = Books(kind)
    books.placed(CLAIM + 5, leaving=True)
    assert books.is_kept(CLAIM + 6.999)
    assert not books.is_kept(CLAIM + 7)


def test_a_tracked_call_is_kept_for_as_long_as_any_call_lasts():
    books = Books(Kind.TRACK)
    books.placed(CLAIM + 5, call_id="call-7", leaving=True)
    assert books.is_kept(OVER - 0.001)
    assert not books.is_kept(OVER)


def test_what_is_settled_when_it_is_left_is_forgotten_at_once():
    books = Books(Kind.HOLD)
    books.placed(CLAIM + 1)
    books.left(CLAIM + 30)
    assert not books.bookings


def test_what_is_left_before_that_is_kept():
    books = Books()
    books.left()
    assert books.bookings


def test_a_call_that_is_over_is_forgotten_and_no_other():
    books = Books(Kind.TRACK)
    other = granted(Want(Box(), "s2", "r2", "bulk", Kind.TRACK, POLICY, CLAIM, None, join=True), CLAIM)
    books.add(other)
    books.placed(call_id="call-7", leaving=True)
    books.note(SayPlaced("r2", CLAIM, late=False, call_id="call-8", leaving=True), CLAIM)
    books.call_ended("call-7")
    assert books.bookings.keys() == {"r2"}


def test_an_open_block_is_not_forgotten_though_its_call_is_over():
    books = Books(Kind.HOLD)
    books.placed(call_id="call-7")
    books.call_ended("call-7")
    assert books.bookings


# What every beat lists, and what its acknowledgement moves


@pytest.mark.parametrize(("kind", "listed"), [(Kind.HOLD, False), (Kind.PLACE, True), (Kind.TRACK, True)])
def test_a_beat_lists_open_blocks_whose_dial_may_still_come(kind, listed):
    books = Books(kind)
    assert bool(books.to_list(CLAIM)) is listed
    assert bool(books.to_list(OVER)) is False


def test_a_beat_lists_a_hold_that_was_placed_late_while_it_is_open():
    books = Books(Kind.HOLD)
    books.placed(CLAIM + 20, late=True)
    books.placed(CLAIM + 21)
    assert books.to_list(CLAIM + 21)
    books.left(CLAIM + 21)
    assert not books.to_list(CLAIM + 21)


def test_a_beat_lists_no_block_that_has_placed_in_time():
    books = Books()
    books.placed()
    assert not books.to_list(CLAIM + 1)


def acknowledged(sent_at, heard_at):
    """Return the deadline and the settle time after a beat."""
    books = Books()
    books.acknowledged([books.booking], sent_at, heard_at)
    return books.booking.deadline, books.booking.settle_at


def test_an_acknowledged_beat_moves_the_deadline_and_the_settle_time_along():
    assert acknowledged(CLAIM + 4, CLAIM + 5) == (CLAIM + 14, CLAIM + 16)


def test_it_moves_neither_back():
    assert acknowledged(CLAIM - 1, CLAIM) == (DEADLINE, SETTLE)


@pytest.mark.parametrize(("sent_at", "moves"), [(DEADLINE, True), (DEADLINE + 0.001, False)])
def test_a_beat_after_the_deadline_moves_nothing(sent_at, moves):
    assert (acknowledged(sent_at, sent_at) != (DEADLINE, SETTLE)) is moves


@pytest.mark.parametrize(("heard_at", "moves"), [(SETTLE, True), (SETTLE + 0.001, False)])
def test_a_beat_that_may_have_come_after_the_settle_time_moves_nothing(heard_at, moves):
    assert (acknowledged(CLAIM + 4, heard_at) != (DEADLINE, SETTLE)) is moves


def test_a_beat_moves_no_deadline_of_a_block_that_has_placed():
    books = Books()
    listed = books.to_list(CLAIM + 4)
    books.placed(CLAIM + 4)
    books.acknowledged(listed, CLAIM + 4, CLAIM + 5)
    assert (books.booking.deadline, books.booking.settle_at) == (DEADLINE, CLAIM + 6)
