"""Every row of the accounting rule, and each trap that it was written against."""

import pytest

from admission.ledger.requests import AskStatus
from admission.ledger.wire import REMEMBER_MS, Code, Kind, Standing
from tests.books import DURATION, LAG, LEASE, POLICY, SETTLE, TIMEOUT, Desk, entry


def test_a_claim_is_pending_until_its_call_would_surely_be_counted():
    book = Desk(5)
    book.grant("r")
    assert book.pending == {"r"}
    assert book.settle("r") == book.now + TIMEOUT + LAG
    assert book.in_use == 1


def test_in_use_is_the_count_and_what_is_pending():
    book = Desk(5, count=3)
    book.grant("a", "b")
    assert book.in_use == 5
    assert book.ask("c", join=0).code == Code.SATURATED


def test_the_held_are_a_floor_under_the_count():
    book = Desk(5)
    book.grant("a", "b")
    book.placed("a")
    book.placed("b")
    book.quiet(LAG + 1, "p")
    assert book.reading(count=0) == Code.DISBELIEVED
    assert book.held == {"a", "b"}
    assert book.in_use == 2


def test_placed_brings_the_settle_time_forward():
    book = Desk(5)
    book.grant("r")
    book.after(300)
    book.placed("r", age=100)
    assert book.settle("r") == book.now - 100 + LAG


def test_placed_never_moves_the_settle_time_back():
    book = Desk(5)
    book.grant("r")
    settle = book.settle("r")
    book.after(TIMEOUT + LAG)
    book.placed("r")
    assert book.settle("r") == settle


def test_placed_is_covered_at_once_when_the_newest_reading_is_young_enough():
    book = Desk(5)
    book.grant("r")
    book.after(LAG + 100)
    book.reading(count=1)
    book.placed("r", age=LAG + 50)
    assert book.held == {"r"}
    assert book.in_use == 1


def test_a_beat_of_an_open_place_block_moves_the_settle_time_along():
    book = Desk(5)
    book.grant("r", kind=Kind.PLACE)
    book.after(3_000)
    book.beat(entry("r"))
    assert book.settle("r") == book.now + SETTLE


def test_a_beat_of_an_open_place_block_books_a_covered_one_again():
    book = Desk(5)
    book.grant("r", kind=Kind.PLACE)
    book.after(SETTLE + 1)
    book.reading(count=0)
    assert book.pending == set()
    book.beat(entry("r"))
    assert book.settle("r") == book.now + SETTLE


def test_a_reading_covers_what_settled_before_it_began_and_no_earlier():
    book = Desk(5)
    book.grant("r")
    book.placed("r")
    settle = book.settle("r")
    book.after(LAG)
    assert book.now == settle
    book.reading(count=1)
    assert book.pending == {"r"}, "begun in the very millisecond: not surely included"
    book.after(1)
    book.reading(count=1)
    assert book.held == {"r"}


@pytest.mark.parametrize("placed", [False, True])
def test_leaving_by_value_hands_the_call_off_and_never_frees_a_pending_slot(placed):
    book = Desk(5)
    book.grant("r")
    if placed:
        book.placed("r")
        book.after(500)
    book.leave("r", age=100)
    assert book.pending == {"r"}
    assert book.settle("r") == (book.now - 500 if placed else book.now - 100) + LAG
    book.after(LAG + 1)
    book.reading(count=1)
    assert book.booked == set()
    assert book.in_use == 1


def test_leaving_by_error_after_placed_hands_the_call_off_too():
    book = Desk(5)
    book.grant("r")
    book.placed("r")
    book.leave("r", by_value=False)
    assert book.settle("r") == book.now + LAG


def test_leaving_takes_a_hold_out_of_held():
    book = Desk(5)
    book.grant("r")
    book.placed("r")
    book.after(LAG + 1)
    book.reading(count=1)
    book.leave("r")
    assert book.held == set()
    assert book.in_use == 1, "the count's, until it says otherwise: there is no credit for a release"


def test_leaving_by_error_before_placed_keeps_the_settle_time():
    book = Desk(5)
    book.grant("r")
    settle = book.settle("r")
    book.leave("r", by_value=False)
    assert book.settle("r") == settle


@pytest.mark.parametrize("word", ["ended", "cancel"])
@pytest.mark.parametrize("covered", [False, True])
def test_ended_and_cancel_take_it_out_of_the_books_at_once(word, covered):
    book = Desk(5)
    book.grant("r")
    book.placed("r")
    if covered:
        book.after(LAG + 1)
        book.reading(count=1)
    getattr(book, word)("r")
    assert book.booked == book.pending == book.held == set()


def test_a_process_that_is_not_heard_holds_nothing_and_its_pending_keep_counting():
    book = Desk(5)
    book.grant("held", "pending", by="dead")
    book.placed("held", by="dead")
    book.quiet(LAG + 1, "p", "dead")
    book.reading(count=1)
    assert book.held == {"held"}
    book.quiet(LEASE + 2_000, "p")
    assert book.held == set()
    assert book.pending == {"pending"}
    book.reading(count=0)
    assert book.in_use == 0


def test_a_call_longer_than_any_is_forgotten():
    book = Desk(5, duration=20_000)
    book.grant("r", duration=20_000)
    book.placed("r")
    book.quiet(LAG + 1, "p")
    book.reading(count=1)
    book.quiet(20_000, "p")
    assert book.booked == set()
    assert book.beaten().lapsed == 1


def test_a_silence_of_all_lets_nobody_lapse_before_everybody_could_be_heard():
    book = Desk(5)
    book.grant("r", by="other")
    book.placed("r", by="other")
    book.quiet(LAG + 1, "other")
    book.reading(count=1, by="other")
    book.after(60_000)
    book.beat(by="p")
    assert book.held == {"r"}, "the ledger was out of reach"
    book.quiet(LEASE - 1, "p")
    assert book.held == {"r"}
    book.quiet(1, "p")
    assert book.held == set()


def held_by(by, limit=5, **policy):
    """Return a desk with a held reservation `r` of a process that lives until now."""
    book = Desk(limit, duration=10**9, **policy)
    book.grant("r", by=by, duration=10**9)
    book.placed("r", by=by)
    for _ in range(LAG // 300 + 1):
        book.after(300)
        book.beat(by=by)
    book.reading(count=1, by=by)
    assert book.held == {"r"}
    return book


@pytest.mark.parametrize("pause", [LEASE // 3 + 1, 5_000, LEASE, 60_000, 3_600_000])
def test_the_dead_lapse_however_seldom_anybody_asks(pause):
    book = held_by("dead", limit=1)
    book.wait("s", by="dead")
    for _ in range(4):
        book.after(pause)
        assert book.ask("next", by="q", join=0).code != Code.GRANTED
    assert book.held == {"r"}
    book.after(pause)
    book.reading(count=0, by="q")
    assert book.held == set()
    assert book.queue == []
    assert set(book.book.members) == {"q"}
    assert book.ask("next", by="q", join=0).code == Code.GRANTED


def test_the_dead_lapse_where_beats_come_as_seldom_as_a_lease_lets_them():
    book = held_by("dead", limit=1, lease=1_000)
    book.wait("next", by="q")
    for _ in range(5):
        book.after(334)
        book.reading(count=0, by="q")
    assert book.held == set()
    assert book.offers == {"next"}


def test_a_process_for_each_job_leaves_no_crowd_behind():
    book = Desk(5)
    book.policies["strict"] = book.policy._replace(headroom=5)
    book.beat(by="strict")
    for number in range(40):
        book.after(5_000)
        book.beat(by=f"job {number}")
        assert len(book.book.members) <= 8
    assert book.book.room.agreed.headroom == 0


def test_of_several_silences_each_gives_a_whole_lease_to_whoever_was_heard_since_the_last():
    book = held_by("other")
    for up in (0, 1, LEASE // 2, LEASE - 1, LEASE, LEASE + 1):
        book.after(60_000)
        book.beat(by="p")
        book.quiet(LEASE - 1, "p")
        book.beat(by="other")
        book.quiet(up, "p", "other")
        assert book.held == {"r"}
    assert book.beaten().lapsed == 0


def test_who_was_missed_between_three_silences_is_there_after_the_third():
    book = held_by("other")
    for _ in range(3):
        book.after(60_000)
        book.beat(by="p")
        book.quiet(1, "p")
    book.beat(by="other")
    assert book.held == {"r"}
    assert book.beaten().lapsed == 0


def test_placed_after_the_deadline_is_believed_whatever_the_book_says():
    book = Desk(5)
    book.grant("r")
    book.after(SETTLE + 1)
    book.leave("r", by_value=False)
    book.reading(count=0)
    assert book.booked == set()
    assert book.placed("r", late=1, age=50).code == Code.LATE
    assert book.settle("r") == book.now - 50 + LAG


def test_a_late_hold_is_held_only_while_a_beat_lists_it():
    book = Desk(5)
    book.placed("r", late=1)
    book.after(LAG + 1)
    book.reading(count=1)
    assert book.booked == set()
    book.beat(entry("r", kind=Kind.HOLD, placed=1, settle=-1))
    assert book.held == {"r"}


# The traps


def test_a_block_that_never_dials_gives_its_slot_back():
    book = Desk(1)
    book.grant("r", kind=Kind.PLACE)
    book.leave("r", by_value=False)
    book.wait("next", by="q")
    book.quiet(SETTLE + 1, "q")
    book.reading(count=0)
    assert book.offers == {"next"}


def test_a_placed_that_comes_five_minutes_late_books_nothing_twice():
    book = Desk(2)
    book.grant("r")
    book.leave("r", by_value=False)
    book.quiet(300_000, "q")
    book.reading(count=1, by="q")
    book.placed("r", age=300_000)
    assert book.booked == set(), "its call is in the count"
    book.placed("r", late=1, age=290_000)
    assert book.booked == set()
    assert book.in_use == 1


def test_a_reading_begun_before_a_dial_and_written_after_it_covers_nothing():
    book = Desk(1)
    book.after(2_000)
    begun = book.duty()
    book.grant("r")
    book.placed("r")
    book.after(LAG + 500)
    book.reading(count=0, t0=begun)
    assert book.pending == {"r"}
    assert book.room == 0


def test_an_overlapping_reading_is_dropped():
    book = Desk(5)
    book.after(1_000)
    early = book.now
    book.after(1_000)
    assert book.reading(count=3) == Code.OK
    assert book.reading(count=0, t0=early) == Code.OVERLAPPING
    assert book.in_use == 3
    assert book.reading(count=0, t0=book.now) == Code.OVERLAPPING, "begun in the millisecond of its writing"


def test_two_caches_that_answer_in_turn_make_nothing_younger():
    book = Desk()
    book.reading(count=1, limit=5, stamp=1_000)
    for stamp in (990, 1_000, 990, 1_000, 995, 1_000):
        book.after(1_000)
        assert book.reading(count=1, stamp=stamp) == Code.CACHED
    assert book.status().usage_age == 6_000


HOUR = 3_600_000


def stamp(at, back=0):
    """Return what a provider says the time is, in microseconds, when its clock is `back` milliseconds late."""
    return (at + 10 * HOUR - back) * 1_000


def test_a_provider_whose_clock_went_back_is_believed_when_it_has_gone_on_for_max_staleness():
    book = Desk()
    book.reading(count=1, limit=5, stamp=stamp(book.now))
    book.after(1_000)
    began = book.now
    while book.now - began < POLICY.staleness:
        assert book.reading(count=2, stamp=stamp(book.now, HOUR)) == Code.CACHED
        book.after(1_000)
    assert book.reading(count=3, stamp=stamp(book.now, HOUR)) == Code.OK
    book.after(1_000)
    assert book.reading(count=4, stamp=stamp(book.now, HOUR)) == Code.OK
    assert book.in_use == 4


def test_so_is_one_that_is_read_rarely_and_has_a_cache_of_its_own():
    book = Desk()
    book.reading(count=1, limit=5, stamp=stamp(book.now))
    codes = []
    for late in (0, LAG, LAG // 2):
        book.after(POLICY.staleness)
        codes.append(book.reading(count=2, stamp=stamp(book.now - late, HOUR)))
    assert codes == [Code.CACHED, Code.CACHED, Code.OK]


def test_old_answers_of_several_caches_are_never_believed_though_each_is_later_than_the_one_before():
    book = Desk()
    book.reading(count=0, limit=5, stamp=stamp(book.now))
    kept = [stamp(book.now - age) for age in range(60_000, 10_000, -2_500)]
    for old in kept:
        book.after(1_000)
        assert book.reading(count=0, stamp=old) == Code.CACHED


@pytest.mark.parametrize("between", ["newer", "the same"])
def test_a_new_answer_between_shows_that_the_clock_was_not_set_back(between):
    book = Desk()
    newest = stamp(book.now)
    book.reading(count=1, limit=5, stamp=newest)
    for second in range(60):
        book.after(1_000)
        if second % 10 == 9:
            newest = stamp(book.now) if between == "newer" else newest
            book.reading(count=1, stamp=newest)
        else:
            assert book.reading(count=0, stamp=stamp(book.now, HOUR)) == Code.CACHED


def test_an_old_answer_that_is_repeated_counts_once():
    book = Desk()
    book.reading(count=1, limit=5, stamp=stamp(book.now))
    old = stamp(book.now, HOUR)
    for _ in range(30):
        book.after(1_000)
        assert book.reading(count=0, stamp=old) == Code.CACHED


@pytest.mark.parametrize("why", [Code.OVERLAPPING, Code.TOO_OLD])
def test_an_answer_that_was_dropped_is_old_when_a_cache_gives_it_again(why):
    book = Desk()
    book.reading(count=0, limit=5, stamp=stamp(book.now))
    early = book.now + 1
    book.after(POLICY.staleness + 2)
    if why == Code.OVERLAPPING:
        book.reading(count=0, stamp=stamp(book.now - 2))
    dropped = stamp(book.now - 1)
    assert book.reading(count=1, t0=early, stamp=dropped) == why
    book.after(1_000)
    assert book.reading(count=1, stamp=dropped) == Code.CACHED
    assert book.reading(count=1, stamp=dropped + 1_000) == Code.OK


def test_the_same_timestamp_with_other_numbers_is_a_reading():
    book = Desk()
    book.reading(count=1, limit=5, stamp=9_000)
    book.after(1_000)
    assert book.reading(count=2, stamp=9_000) == Code.OK


def test_a_reading_that_is_sent_twice_makes_its_own_timestamp_no_older():
    book = Desk()
    began = book.now
    book.after(1_000)
    assert book.reading(count=1, limit=5, stamp=9_000, t0=began) == Code.OK
    assert book.reading(count=1, stamp=9_000, t0=began) == Code.OVERLAPPING
    book.after(1_000)
    assert book.reading(count=2, stamp=9_000) == Code.OK


def test_a_source_without_timestamps_is_never_taken_for_cached():
    book = Desk(5, count=1)
    book.after(1_000)
    assert book.reading(count=1) == Code.OK


REPEATED = {
    "ask": lambda book: book.ask("r"),
    "placed": lambda book: book.placed("r", "call"),
    "leave": lambda book: book.leave("r"),
    "ended": lambda book: book.ended("r", "call"),
    "refuse": lambda book: book.refuse("r"),
    "withdraw": lambda book: book.withdraw("s", "r"),
    "beat": lambda book: book.beat(entry("r")),
    "started": lambda book: book.started("inbound"),
    "call_ended": lambda book: book.call_ended("call"),
    "reading": lambda book: book.reading(count=1, t0=book.now - 1),
    "pause": lambda book: book.resume(),
}


@pytest.mark.parametrize("verb", REPEATED)
def test_a_repeated_message_changes_nothing(verb):
    book = Desk(2)
    book.grant("r")
    book.after(10)
    REPEATED[verb](book)
    after_one = (book.pending, book.held, book.booked, book.in_use, book.queue, book.book.room.cooling.span)
    REPEATED[verb](book)
    assert (book.pending, book.held, book.booked, book.in_use, book.queue, book.book.room.cooling.span) == after_one


# Tracked calls, and calls that others started


def test_a_tracked_call_stays_known_until_it_is_ended_by_its_id():
    book = Desk(5)
    book.grant("r", kind=Kind.TRACK)
    book.placed("r", "call", leaving=1, kind=Kind.TRACK)
    book.after(LAG + 1)
    book.reading(count=1)
    assert book.booked == {"r"}
    assert book.in_use == 1
    book.call_ended("call", by="webhook")
    assert book.booked == set()


def test_an_end_while_pending_frees_the_slot_at_once():
    book = Desk(1)
    book.grant("r", kind=Kind.TRACK)
    book.placed("r", "call", leaving=1)
    book.call_ended("call")
    assert book.room == 1


def test_an_end_that_comes_before_its_id_is_bound_ends_the_call():
    book = Desk(1)
    book.grant("r", kind=Kind.TRACK)
    book.call_ended("call")
    assert book.pending == {"r"}
    book.placed("r", "call")
    assert book.booked == set()


def test_call_ids_are_remembered_for_an_hour():
    book = Desk(1)
    book.call_ended("call")
    book.quiet(REMEMBER_MS - 1_000, "p")
    book.started("call")
    assert book.booked == set()
    book.quiet(2_000, "p")
    book.started("call")
    assert len(book.booked) == 1


def test_a_call_that_others_started_is_booked_until_a_reading_covers_it():
    book = Desk(5)
    book.started("inbound", age=500)
    assert book.in_use == 1
    book.after(LAG - 500 + 1)
    book.reading(count=1)
    assert book.in_use == 1
    assert book.status().untracked == 0


def test_a_reported_start_merges_with_the_reservation_of_its_call():
    book = Desk(5)
    book.grant("r")
    book.started("call")
    assert book.in_use == 2
    book.after(100)
    book.placed("r", "call")
    assert book.booked == {"r"}
    assert book.settle("r") == book.now - 100 + LAG
    book.started("call")
    assert book.booked == {"r"}


def test_two_reservations_that_claim_one_call_id_keep_their_slots():
    book = Desk(5)
    book.grant("a", "b")
    book.placed("a", "same")
    book.placed("b", "same")
    assert book.in_use == 2


# Processes that differ, and epochs


def test_of_settings_that_differ_the_stricter_count():
    book = Desk(5)
    book.policies["strict"] = book.policy._replace(headroom=2, staleness=4_000)
    book.beat(by="strict")
    assert book.room == 3
    book.after(4_001)
    assert book.ask("r", join=0).code == Code.UNREAD


def test_a_new_epoch_forgets_all_and_admits_only_on_a_reading_after_one_beat_and_the_lag():
    book = Desk(5)
    book.grant("r")
    book.jumped()
    assert book.booked == set()
    opened = book.now
    assert book.ask("x", join=0).code == Code.UNREAD
    book.quiet(1_000 + LAG, "p")
    book.reading(count=1)
    assert book.ask("x", join=0).code == Code.UNREAD
    book.after(1)
    book.reading(count=1)
    assert book.now > opened + 1_000 + LAG
    assert book.ask("x", join=0).code == Code.GRANTED


def test_what_was_booked_is_told_again_in_a_new_epoch():
    book = Desk(5)
    book.grant("r")
    book.placed("r", "call")
    book.jumped()
    book.beat(entry("r", kind=Kind.HOLD, placed=1, settle=500, call_id="call"))
    assert book.settle("r") == book.now + 500
    book.call_ended("call")
    assert book.booked == set()


def test_a_request_of_another_epoch_is_refused_and_told():
    book = Desk(5)
    reply = book.say(AskStatus(), epoch=book.book.epoch + 1)
    assert reply.code == Code.FOREIGN
    assert reply.head.epoch == book.book.epoch


def test_the_longest_call_of_a_reservation_is_its_own():
    book = Desk(5)
    book.grant("r", duration=DURATION // 2)
    assert book.book.reservations.until["r"] == book.now + DURATION // 2


def test_who_holds_what():
    book = Desk(9)
    book.grant("later", by="q")
    book.after(100)
    book.grant("live", "open", "over")
    book.placed("live", "call")
    book.leave("over", by_value=1)
    book.started("inbound", by="q")
    booked, rows = book.holders()
    assert booked == 5
    assert [row.rid for row in rows] == ["over", "started inbound", "live", "open", "later"]
    told = {row.rid: row for row in rows}
    assert told["live"] == ("live", "default", "p", Kind.HOLD, 0, Standing.PENDING, 1, "call")
    assert told["later"] == ("later", "default", "q", Kind.HOLD, 100, Standing.PENDING, 0, "")
    assert told["started inbound"][3:] == (Kind.STARTED, 0, Standing.PENDING, 1, "inbound")


def test_where_holders_stand_after_a_reading():
    book = Desk(9)
    book.grant("live", "silent")
    book.grant("tracked", kind=Kind.TRACK)
    book.placed("live", "call")
    book.placed("tracked", "other call", kind=Kind.TRACK)
    book.leave("tracked", by_value=1)
    book.quiet(SETTLE + 1, "p")
    book.grant("new")
    book.reading(count=3)
    rows = book.holders()[1]
    assert {row.rid: row.standing for row in rows} == {
        "live": Standing.HELD,
        "silent": Standing.COVERED,
        "tracked": Standing.TRACKED,
        "new": Standing.PENDING,
    }
    assert rows[0].rid == "live"


def test_of_many_holders_the_first_are_told():
    book = Desk(9)
    book.grant("c", "a", "d", "b")
    assert book.holders(2) == (4, book.holders()[1][:2])
    assert [row.rid for row in book.holders(2)[1]] == ["a", "b"]
    assert book.holders(0) == (4, [])
    assert Desk(3).holders() == (0, [])
