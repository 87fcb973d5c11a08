"""The line, offers and their lapse, refusals of the provider, pausing: on the book alone."""

import pytest

from admission.ledger.book import DEMAND_MS
from admission.ledger.requests import AskStatus
from admission.ledger.wire import BEAT_MS, COOL_MAX_MS, OFFER_MS, Code, Kind
from tests.books import LAG, LEASE, REFRESH, Desk


def full(limit=1, **settings):
    """A book whose slots are all taken by calls that were just claimed."""
    book = Desk(limit, **settings)
    book.grant(*(f"taken-{n}" for n in range(limit)))
    return book


# Offers


def test_a_freed_slot_is_offered_to_the_head_of_the_line_in_the_same_step():
    book = full()
    book.wait("first", "second")
    book.book.serving.wakes.clear()
    book.ended("taken-0")
    assert book.offers == {"first"}
    assert book.book.serving.wakes == [("p", "first")]


def test_the_claim_is_the_admission():
    book = full()
    book.wait("first", "second")
    book.ended("taken-0")
    assert book.claim("second").code == Code.IN_LINE
    assert book.claim("first").code == Code.GRANTED
    assert book.queue == ["second"]


def test_a_claim_that_finds_no_room_keeps_its_seat_and_loses_the_offer():
    book = full()
    book.wait("first")
    book.ended("taken-0")
    book.started("inbound")
    assert book.claim("first").code == Code.SATURATED
    assert book.queue == ["first"]
    assert book.offers == set()


def test_a_newcomer_never_overtakes():
    book = full()
    book.wait("first")
    book.ended("taken-0")
    assert book.ask("impatient", join=0).code == Code.SATURATED
    assert book.ask("newcomer").code == Code.IN_LINE


def test_an_offer_that_is_not_claimed_goes_on_to_the_next_process():
    book = full()
    book.wait("first", by="stalled")
    book.wait("second", by="awake")
    book.ended("taken-0", by="awake")
    assert book.offers == {"first"}
    book.quiet(OFFER_MS, "awake")
    assert book.offers == {"second"}
    assert book.queue == ["first", "second"]


def test_a_process_that_lets_offers_lapse_is_passed_over_for_spans_that_double():
    book = full()
    book.wait("first", by="stalled")
    book.ended("taken-0")
    spans = []
    for _ in range(5):
        offered = book.now
        assert book.offers == {"first"}
        book.after(OFFER_MS)
        book.beat(by="other")
        while book.offers == set():
            book.after(10)
            book.beat(by="stalled")
        spans.append(round((book.now - offered - OFFER_MS) / 1000))
        book.reading()
    assert spans == [1, 2, 4, 8, 8]


def test_a_process_that_was_passed_over_is_offered_again_only_when_it_was_heard():
    book = full()
    book.wait("first", by="dead")
    book.ended("taken-0")
    book.quiet(OFFER_MS + 3_000, "p")
    assert book.offers == set()
    book.beat(by="dead")
    assert book.offers == {"first"}


def test_a_claim_proves_that_its_process_lives():
    book = full()
    book.wait("first", by="slow")
    book.ended("taken-0")
    book.after(OFFER_MS + 1)
    assert book.claim("first", by="slow").code == Code.GRANTED


def test_a_beat_tells_a_process_its_offers():
    book = full()
    book.wait("first", by="q")
    book.ended("taken-0")
    assert book.beaten(by="q").offers == ("first",)
    assert book.beaten(by="p").offers == ()


# Seats


def test_a_seat_that_comes_back_finds_its_old_place():
    book = full()
    book.wait("first")
    book.after(1_000)
    book.wait("second")
    book.after(1_000)
    book.wait("returned", waited=1_500)
    assert book.queue == ["first", "returned", "second"]


def test_seats_of_one_millisecond_keep_their_order():
    book = full()
    book.wait("b", "a", "c")
    assert book.queue == ["b", "a", "c"]


def test_a_full_line_refuses_at_once():
    book = full(max_waiting=1)
    book.wait("first")
    assert book.ask("second").code == Code.FULL


def test_a_withdrawn_seat_cannot_be_revived_by_an_ask_still_on_its_way():
    book = full()
    book.withdraw("gone")
    assert book.ask("gone").code == Code.WITHDRAWN
    assert book.queue == []


def test_withdrawing_cancels_a_claim_whose_reply_was_lost():
    book = Desk(1)
    book.grant("lost")
    book.withdraw("lost")
    assert book.room == 1


def test_an_ask_or_a_claim_sent_twice_is_one_booking_and_tells_its_age():
    book = Desk(2)
    book.grant("r")
    book.after(40)
    again = book.ask("r")
    assert (again.code, again.verdict.age, book.in_use) == (Code.GRANTED, 40, 1)
    assert book.claim("seat", rid="r").verdict.age == 40


def test_the_seats_of_a_process_that_is_gone_are_forgotten():
    book = full()
    book.wait("first", by="dead")
    book.wait("second")
    book.quiet(LEASE + 2_000, "p")
    assert book.queue == ["second"]
    assert book.claim("first", by="dead").code == Code.UNKNOWN


def test_retry_after_is_the_line_ahead_at_the_pace_of_late():
    book = full(2)
    assert book.ask("x", join=0).verdict.retry_after == REFRESH
    for number in range(40):
        book.wait(f"taken-{number + 2}")
        book.after(5_000)
        book.ended(f"taken-{number}")
        book.reading()
        assert book.claim(f"taken-{number + 2}").code == Code.GRANTED
    book.wait("a", "b")
    assert 3 * 4_000 < book.ask("x", join=0).verdict.retry_after < 3 * 5_100


def test_a_quiet_night_does_not_make_retry_after_long():
    book = full(2)
    for number in range(10):
        book.quiet(600_000, "p")
        book.reading()
        book.grant(f"late-{number}")
    book.after(1)
    book.reading(count=2)
    book.wait("a", "b")
    assert book.ask("x", join=0).verdict.retry_after <= 3 * REFRESH


# Refusals of the provider


def test_a_refusal_closes_the_fleet_until_a_reading_begun_after_it():
    book = Desk(5)
    book.grant("r", kind=Kind.PLACE)
    book.after(100)
    book.refuse("r", age=50)
    assert book.booked == set()
    assert book.ask("x", join=0).code == Code.SATURATED
    book.after(REFRESH)
    assert book.ask("x", join=0).code == Code.SATURATED
    book.reading()
    assert book.ask("x", join=0).code == Code.GRANTED


def test_retry_after_is_obeyed():
    book = Desk(5)
    book.grant("r")
    book.refuse("r", retry_after=7_000)
    book.after(6_999)
    book.reading()
    assert book.ask("x", join=0).verdict.retry_after >= 1
    book.after(1)
    assert book.ask("y", join=0).code == Code.GRANTED


def test_ten_refusals_in_flight_cool_down_once():
    book = Desk(20)
    book.grant(*(f"r{n}" for n in range(10)))
    for number in range(10):
        book.after(5)
        book.refuse(f"r{number}")
    assert book.book.room.cooling.span == REFRESH
    book.after(REFRESH + 1)
    book.reading()
    assert book.ask("x", join=0).code == Code.GRANTED


def test_a_refusal_after_the_cool_down_doubles_it_up_to_half_a_minute():
    book = Desk(20)
    spans = []
    for number in range(7):
        book.grant(f"r{number}")
        book.refuse(f"r{number}")
        spans.append(book.book.room.cooling.span)
        book.quiet(spans[-1] + 1, "p")
        book.reading()
    assert spans == [1_000, 2_000, 4_000, 8_000, 16_000, COOL_MAX_MS, COOL_MAX_MS]


def test_an_accepted_call_that_was_claimed_after_it_ends_it():
    book = Desk(20)
    book.grant("before", "r")
    book.refuse("r")
    book.placed("before")
    assert book.book.room.cooling.span == REFRESH, "claimed before the refusal: it proves nothing"
    book.after(REFRESH + 1)
    book.reading()
    book.grant("after")
    book.placed("after")
    assert book.book.room.cooling.span == 0


def test_a_refusal_withdraws_all_offers_and_its_end_offers_again():
    book = full(2)
    book.wait("first")
    book.ended("taken-0")
    book.refuse("taken-1")
    assert book.offers == set()
    book.after(REFRESH + 1)
    book.reading()
    assert book.offers == {"first"}


def test_who_was_refused_stands_before_whoever_comes_in_the_same_moment():
    book = full(2)
    book.refuse("taken-0", seat="z-again")
    assert book.ask("a-newcomer").verdict.position == 1
    assert book.queue == ["z-again", "a-newcomer"]


def test_who_was_refused_goes_back_to_the_head_of_the_line():
    book = full(2)
    book.wait("first")
    reply = book.refuse("taken-0", seat="again")
    assert reply.code == Code.IN_LINE
    assert book.queue == ["again", "first"]
    assert book.refuse("taken-0", seat="again").verdict.position == 0
    book.withdraw("again")
    assert book.refuse("taken-1", seat="again").code == Code.WITHDRAWN


def test_the_end_of_a_cool_down_is_told_as_the_next_time_to_look():
    book = full(2)
    book.wait("first")
    reply = book.refuse("taken-0", retry_after=9_000)
    assert reply.head.next_at == book.now + 9_000


# Pausing


def test_a_pause_stops_the_very_next_claim_and_withdraws_offers():
    book = full()
    book.wait("first")
    book.ended("taken-0")
    book.pause("lunch")
    assert book.offers == set()
    assert book.claim("first").code == Code.PAUSED
    assert book.ask("x", join=0).verdict.pause_reason == "lunch"
    book.resume()
    assert book.offers == {"first"}


def test_a_pause_outlives_a_new_epoch():
    book = Desk(5)
    book.pause("lunch")
    book.jumped()
    assert book.status().pause_reason == "lunch"


@pytest.mark.parametrize(("age", "paused"), [(1, True), (-1, False)])
def test_of_two_words_on_pausing_the_newest_counts(age, paused):
    book = Desk(5)
    book.resume()
    resumed_at = book.book.room.pause_at
    book.beat(pause=(resumed_at + age, 1, "remembered"))
    assert bool(book.status().pause_on) is paused


def test_of_two_words_in_one_millisecond_the_later_is_the_newer():
    book = Desk(5)
    (paused_at,) = book.pause("lunch").tail
    (resumed_at,) = book.resume().tail
    assert resumed_at > paused_at
    book.beat(pause=(paused_at, 1, "remembered"))
    assert not book.status().pause_on


# The duty to read


def test_there_is_one_reader_and_its_token_does_not_outlive_it_for_long():
    book = Desk()
    assert book.duty(by="reader") == book.now
    assert book.duty(by="other") == 0
    assert book.duty(by="reader") != 0, "its first request's reply was lost"
    book.after(999)
    assert book.duty(by="other") == 0
    book.after(1)
    assert book.duty(by="other") == book.now


def test_the_token_gives_a_slow_provider_four_times_its_mean():
    book = Desk()
    token = book.duty()
    book.after(600)
    book.reading(limit=5, t0=token)
    book.after(1_000)
    book.duty(by="reader")
    book.after(2_300)
    assert book.duty(by="other") == 0
    book.after(100)
    assert book.duty(by="other") != 0


def test_a_reading_is_due_an_interval_after_the_last_attempt_began():
    book = Desk()
    token = book.duty()
    book.after(400)
    book.reading(limit=5, t0=token)
    book.after(REFRESH - 401)
    assert book.duty() == 0
    book.after(1)
    assert book.duty() == book.now


def test_no_reading_begins_in_the_millisecond_of_the_newest_ones_end():
    book = Desk()
    book.reading(limit=5)
    assert book.duty(force=True) == 0
    book.after(1)
    assert book.duty(force=True) == book.now


def test_failures_back_off_for_the_whole_fleet_up_to_five_seconds():
    book = Desk()
    pauses = []
    for _ in range(5):
        token = book.duty()
        assert token
        book.failing(token, error="503")
        since = book.now
        while not (token := book.duty(by="other")):
            book.after(100)
        pauses.append(book.now - since)
        book.failing(token, outcome=3, by="other")
        book.after(REFRESH)
    assert pauses == [1_000, 2_000, 4_000, 5_000, 5_000]


def test_what_the_provider_asks_for_is_obeyed_and_its_error_told():
    book = Desk()
    book.failing(book.duty(), retry_after=20_000, error="429")
    book.after(19_999)
    assert book.duty() == 0
    assert book.ask("x", join=0).verdict.error == "429"
    book.after(1)
    assert book.duty() != 0


def test_a_wrong_key_gets_no_duty_while_another_asks():
    book = Desk()
    book.failing(book.duty(by="wrong"), outcome=2, by="wrong")
    book.after(REFRESH)
    book.ask("x", by="right")
    assert book.duty(by="wrong") == 0
    assert book.duty(by="right") != 0


def test_a_wrong_key_that_asks_alone_may_try_again():
    book = Desk()
    book.failing(book.duty(by="wrong"), outcome=2, by="wrong")
    book.quiet(3_000, "wrong")
    assert book.duty(by="wrong") != 0


def test_a_wrong_key_may_try_again_when_nobody_else_has_asked_for_two_seconds():
    book = Desk()
    book.failing(book.duty(by="wrong"), outcome=2, by="wrong")
    book.after(REFRESH)
    book.ask("x", by="right", join=0)
    book.after(DEMAND_MS - 1)
    assert book.duty(by="wrong") == 0
    book.after(1)
    assert book.duty(by="wrong") != 0


def test_an_answer_older_than_the_staleness_is_dropped():
    book = Desk(staleness=4_000)
    token = book.duty()
    book.after(4_001)
    assert book.reading(limit=5, t0=token) == Code.TOO_OLD
    assert book.ask("x", join=0).code == Code.UNREAD


def test_a_reading_too_old_admits_nobody():
    book = Desk(5, staleness=4_000)
    book.quiet(4_000, "p")
    assert book.ask("x", join=0).code == Code.UNREAD


def test_time_that_frees_something_is_told():
    book = full()
    book.wait("first")
    assert book.beat().head.next_at == 0
    reply = book.ended("taken-0")
    assert reply.head.next_at == book.now + OFFER_MS
    assert reply.head.due_at == book.book.readings.t1 + 1 or reply.head.due_at > 0
    assert BEAT_MS <= LAG


def test_who_speaks_of_another_epoch_is_told_the_next_time_though_something_is_overdue():
    book = full(2)
    book.wait("first", by="stalled")
    book.ended("taken-0")
    book.after(OFFER_MS)
    book.grant("taken-2")
    book.beat(by="stalled")
    book.after(OFFER_MS // 2)
    book.wait("second", by="awake")
    offered_until = book.ended("taken-2").head.next_at + OFFER_MS // 2
    assert book.offers == {"second"}
    book.after(OFFER_MS // 2 + 100)
    assert book.offers == {"second"}, "and stalled may be offered a slot again, which nobody has said"
    assert book.say(AskStatus(), epoch=book.book.epoch - 1).head.next_at == offered_until
