"""Lanes in the book: who is next, what a lane may have, and whose word counts."""

import pytest

from admission.ledger.lanes import MOST_LANES
from admission.ledger.requests import Lanes
from admission.ledger.wire import Code, Kind, LaneWire, Word
from tests.books import LAG, LEASE, REFRESH, SETTLE, Desk


def board(limit=1, *, full=True, **policy):
    """Return a book whose slots are all taken, by reservations `x0`, `x1`, ..."""
    book = Desk(limit, **policy)
    if full:
        book.grant(*(f"x{number}" for number in range(limit)), lane="default")
    return book


def free_one(book, rid):
    """End a call, and claim for whoever is offered its slot; return who that is."""
    book.ended(rid)
    (seat,) = book.offers
    lane = book.book.line.seats[seat].lane
    assert book.claim(seat, lane=lane).code == Code.GRANTED
    book.after(1)
    return seat


def served(book, first, number):
    """Free one slot after the other; return who got them."""
    order = [free_one(book, first)]
    while len(order) < number:
        order.append(free_one(book, order[-1]))
    return order


# Who is next


def test_a_better_priority_goes_first_and_a_lane_keeps_its_order():
    book = board()
    book.lane("callbacks")
    book.lane("bulk", priority=1)
    book.wait("b1", "b2", lane="bulk")
    book.wait("c1", "c2", lane="callbacks")
    assert served(book, "x0", 4) == ["c1", "c2", "b1", "b2"]


def test_the_default_lane_has_the_lowest_priority_that_was_told():
    book = board()
    book.lane("callbacks")
    book.lane("bulk", priority=3)
    book.wait("d1", lane="default")
    book.wait("b1", lane="bulk")
    book.wait("c1", lane="callbacks")
    # Of one priority and weight, whoever has waited longer goes first.
    assert served(book, "x0", 3) == ["c1", "d1", "b1"]


def test_a_default_lane_that_is_declared_is_served_as_it_says():
    book = board()
    book.lane("bulk", priority=3)
    book.lane("default", priority=0)
    book.wait("b1", lane="bulk")
    book.wait("d1", lane="default")
    assert served(book, "x0", 2) == ["d1", "b1"]


def test_lanes_of_one_priority_share_by_weight():
    book = board()
    book.lane("a", weight=3_000)
    book.lane("b", weight=1_000)
    book.wait(*(f"a{number}" for number in range(40)), lane="a")
    book.wait(*(f"b{number}" for number in range(40)), lane="b")
    order = served(book, "x0", 40)
    assert sum(seat.startswith("a") for seat in order) == 30
    # And evenly: in every four grants three.
    for first in range(0, 40, 4):
        assert sum(seat.startswith("a") for seat in order[first : first + 4]) == 3


def test_slots_that_are_freed_together_are_shared_by_weight_too():
    book = Desk(8)
    book.grant(*(f"x{number}" for number in range(8)))
    book.lane("a", weight=3_000)
    book.lane("b", weight=1_000)
    book.wait(*(f"a{number}" for number in range(8)), lane="a")
    book.wait(*(f"b{number}" for number in range(8)), lane="b")
    book.pause()
    for number in range(8):
        book.ended(f"x{number}")
    book.resume()
    assert sum(seat.startswith("a") for seat in book.offers) == 6


def test_a_lane_that_was_idle_has_no_claim_on_the_past():
    book = board()
    book.lane("a")
    book.lane("b")
    book.wait(*(f"a{number}" for number in range(30)), lane="a")
    order = served(book, "x0", 10)
    book.wait(*(f"b{number}" for number in range(10)), lane="b")
    order = served(book, order[-1], 10)
    assert sum(seat.startswith("b") for seat in order) == 5


def test_waiting_lifts_a_waiter_one_priority_after_the_other():
    book = board(lease=10_000_000, staleness=10_000_000)
    book.lane("callbacks")
    book.lane("bulk", priority=2, promote=5_000)
    book.wait("b1", lane="bulk")
    for number in range(12):
        book.wait(f"c{number}", lane="callbacks")
    before = served(book, "x0", 3)
    assert before == ["c0", "c1", "c2"]
    book.after(10_000)
    assert "b1" in served(book, before[-1], 2)


def test_a_refused_call_waits_at_the_head_of_its_own_lane():
    book = board(2)
    book.lane("a")
    book.lane("b")
    book.ended("x0")
    assert book.ask("b0", lane="b").code == Code.GRANTED
    book.wait("a1", lane="a")
    book.wait("b1", lane="b")
    book.refuse("b0", seat="b2", lane="b")
    assert [seat for seat in book.queue if seat.startswith("b")] == ["b2", "b1"]


# What a lane may have


def test_a_lane_leaves_its_headroom_to_others():
    book = Desk(3)
    book.lane("bulk", headroom=2)
    book.lane("callbacks")
    assert book.ask("b0", lane="bulk").code == Code.GRANTED
    assert book.ask("b1", lane="bulk").code == Code.IN_LINE
    assert book.ask("c0", lane="callbacks").code == Code.GRANTED
    assert book.ask("c1", lane="callbacks").code == Code.GRANTED


def test_the_larger_headroom_of_lane_and_policy_counts():
    book = Desk(3, headroom=2)
    book.lane("bulk", headroom=1)
    assert book.ask("b0", lane="bulk").code == Code.GRANTED
    assert book.ask("b1", lane="bulk").code == Code.IN_LINE


def test_a_head_that_may_not_go_blocks_no_other_lane():
    book = board(3)
    book.lane("capped", cap=1)
    book.lane("kept", headroom=3)
    book.lane("bulk", priority=9)
    book.ended("x0")
    assert book.ask("p0", lane="capped").code == Code.GRANTED
    book.wait("p1", lane="capped")
    book.wait("k1", lane="kept")
    book.wait("b1", lane="bulk")
    assert free_one(book, "x1") == "b1"
    assert free_one(book, "p0") == "p1"


def test_a_cap_counts_what_is_pending_held_and_tracked():
    book = Desk(10)
    book.lane("capped", cap=3)
    book.grant("pending", lane="capped")
    book.grant("held", lane="capped")
    book.placed("held", lane="capped")
    book.grant("tracked", lane="capped", kind=Kind.TRACK)
    book.placed("tracked", "call", lane="capped", kind=Kind.TRACK, leaving=1)
    for _ in range(3):
        book.after(4_000)
        book.beat()
        book.reading(2)
        assert book.ask("one more", lane="capped", join=0).code == Code.SATURATED
    assert book.ask("another lane", lane="default").code == Code.GRANTED
    book.call_ended("call")
    assert book.ask("one more", lane="capped", join=0).code == Code.GRANTED


@pytest.mark.parametrize("how", ["error", "value", "crash"])
def test_a_tracked_dial_of_which_nothing_was_told_counts_for_a_cap_while_it_is_pending(how):
    book = Desk(10)
    book.lane("capped", cap=1)
    book.grant("r", lane="capped", kind=Kind.TRACK, by="q")
    if how != "crash":
        book.leave("r", by_value=how == "value", by="q")
    book.after(LAG)
    book.reading(0)
    assert book.ask("next", lane="capped", kind=Kind.TRACK, join=0).code == Code.SATURATED
    book.quiet(LEASE, "p")
    book.reading(0)
    assert book.booked == set()
    assert book.ask("next", lane="capped", kind=Kind.TRACK, join=0).code == Code.GRANTED


def test_an_open_tracked_block_counts_for_a_cap_though_it_is_covered():
    book = Desk(10)
    book.lane("capped", cap=1)
    book.grant("r", lane="capped", kind=Kind.TRACK)
    book.quiet(SETTLE + 1, "p")
    book.reading(0)
    assert book.pending == set()
    assert book.ask("next", lane="capped", kind=Kind.TRACK, join=0).code == Code.SATURATED
    book.placed("r", "call", lane="capped", kind=Kind.TRACK, late=1, leaving=1)
    book.quiet(LAG + 1, "p")
    book.reading(1)
    assert book.ask("next", lane="capped", kind=Kind.TRACK, join=0).code == Code.SATURATED
    book.call_ended("call")
    assert book.ask("next", lane="capped", kind=Kind.TRACK, join=0).code == Code.GRANTED


def test_what_cannot_be_counted_is_refused_where_there_is_a_cap():
    book = Desk(10)
    book.lane("capped", cap=3)
    assert book.ask("r", lane="capped", kind=Kind.PLACE).code == Code.UNTRACKED
    assert book.ask("r", lane="capped", kind=Kind.TRACK).code == Code.GRANTED


def test_a_waiter_that_a_new_cap_cannot_count_is_told_when_it_claims():
    book = board()
    book.lane("bulk")
    book.wait("r", lane="bulk", kind=Kind.PLACE)
    book.lane("bulk", cap=5)
    book.ended("x0")
    assert book.claim("r", lane="bulk", kind=Kind.PLACE).code == Code.UNTRACKED


def test_offers_count_for_a_cap():
    book = board(3)
    book.lane("capped", cap=2)
    book.wait("r0", "r1", "r2", lane="capped")
    for number in range(3):
        book.ended(f"x{number}")
    assert book.offers == {"r0", "r1"}
    assert book.ask("new", lane="capped", join=0).code == Code.SATURATED
    assert book.ask("other", lane="default").code == Code.GRANTED


# Words


def test_an_unknown_lane_is_refused_with_those_that_are_known():
    book = Desk(1)
    reply = book.ask("r", lane="typo")
    assert (reply.code, reply.verdict.pause_reason) == (Code.NO_LANE, "default")
    book.lane("bulk")
    assert book.ask("r", lane="typo").verdict.pause_reason == "bulk, default"
    assert book.ask("r", lane="bulk").code == Code.GRANTED


def test_the_last_word_counts_and_a_process_that_begins_anew_says_nothing_new():
    book = Desk(5)
    book.lane("bulk", how=Word.DECLARE, headroom=1)
    book.lane("bulk", how=Word.SET, headroom=4)
    reply = book.lane("bulk", how=Word.DECLARE, headroom=1, by="q")
    assert reply.tail[1] == ""
    (told,) = [row for row in LaneWire.rows(reply.tail[2:]) if row.name == "bulk"]
    assert told.headroom == 4
    # Another declaration, as of a new version of the program, is a new word.
    reply = book.lane("bulk", how=Word.DECLARE, headroom=2, by="q")
    assert reply.tail[1] == "bulk"
    (told,) = [row for row in LaneWire.rows(reply.tail[2:]) if row.name == "bulk"]
    assert told.headroom == 2


def test_lanes_outlive_a_new_epoch():
    book = Desk(1)
    book.lane("bulk")
    book.pause("lunch", lane="bulk")
    book.jumped()
    beaten = book.beaten()
    assert [(row.name, row.paused, row.reason) for row in beaten.lanes] == [("bulk", 1, "lunch"), ("default", 0, "")]


def test_a_beat_tells_all_lanes_to_whoever_knows_of_an_older_word():
    book = Desk(1)
    book.lane("bulk")
    at = book.beaten().lanes_at
    assert book.beaten(lanes_at=at).lanes == ()
    book.after(1)
    book.lane("bulk", weight=5)
    assert [row.weight for row in book.beaten(lanes_at=at).lanes] == [5, 1_000]


def test_a_ledger_that_lost_lanes_takes_the_newest_that_it_is_told_again():
    book = Desk(1)
    old, new = (LaneWire("bulk", at=at, priority=0, headroom=headroom) for at, headroom in ((5, 1), (9, 2)))
    book.say(Lanes(int(Word.RETELL), (new,)))
    book.say(Lanes(int(Word.RETELL), (old,)))
    assert [row.headroom for row in book.beaten().lanes if row.name == "bulk"] == [2]


def test_a_new_word_counts_for_more_than_one_told_again_of_a_clock_that_was_ahead():
    book = Desk(5)
    ahead = book.now + 60_000
    told = tuple(LaneWire(name, at=ahead, priority=0) for name in ("set", "paused", "declared"))
    book.say(Lanes(int(Word.RETELL), told))
    book.lane("set", cap=3)
    book.pause("why", lane="paused")
    book.lane("declared", how=Word.DECLARE, cap=4)
    book.say(Lanes(int(Word.RETELL), told))
    lanes = {lane.name: lane for lane in book.beaten(lanes_at=-1).lanes}
    assert (lanes["set"].cap, lanes["paused"].paused, lanes["declared"].cap) == (3, 1, 4)
    assert all(lanes[lane.name].at == ahead + 1 for lane in told)


def test_there_are_not_more_lanes_than_the_ledger_can_look_at():
    book = Desk(1)
    for number in range(MOST_LANES - 1):
        assert book.lane(f"lane{number}").code == Code.OK
    assert book.lane("one-more").code == Code.FULL
    assert book.lane("lane0", headroom=3).code == Code.OK


# Pause


def test_a_paused_lane_stops_and_the_others_go_on():
    book = board(2)
    book.lane("a")
    book.lane("b", priority=1)
    book.wait("a1", lane="a")
    book.ended("x0")
    assert book.offers == {"a1"}
    assert book.pause("lunch", lane="a").code == Code.OK
    assert not book.offers
    reply = book.claim("a1", lane="a")
    assert (reply.code, reply.verdict.pause_reason) == (Code.PAUSED, "lunch")
    assert book.ask("a2", lane="a", join=0).code == Code.PAUSED
    assert book.ask("b1", lane="b").code == Code.GRANTED
    assert book.withdraw("a1").code == Code.PAUSED
    book.wait("a3", lane="a")
    book.resume(lane="a")
    book.ended("x1")
    assert book.offers == {"a3"}


def test_a_lane_that_is_not_known_cannot_be_paused():
    assert Desk(1).pause("lunch", lane="bulk").code == Code.NO_LANE


def test_the_default_lane_can_be_paused_alone():
    book = Desk(2)
    book.pause("lunch", lane="default")
    assert book.ask("r", join=0).code == Code.PAUSED
    book.resume(lane="default")
    assert book.ask("r", join=0).code == Code.GRANTED


def test_a_lane_that_is_set_stays_paused():
    book = Desk(2)
    book.lane("bulk")
    book.pause("lunch", lane="bulk")
    book.lane("bulk", headroom=1)
    assert book.ask("r", lane="bulk", join=0).code == Code.PAUSED


# What is told


def test_the_position_counts_who_is_likely_to_go_first():
    book = board()
    book.lane("callbacks")
    book.lane("a", priority=1, weight=2_000)
    book.lane("b", priority=1, weight=1_000)
    book.lane("last", priority=2)
    book.wait("c1", "c2", lane="callbacks")
    book.wait("l1", "l2", "l3", lane="last")
    book.wait("a1", "a2", "a3", lane="a")
    book.wait("b1", lane="b")
    assert book.ask("b1", lane="b").verdict.position == 2 + 2
    assert book.ask("a3", lane="a").verdict.position == 2 + 2 + 1
    assert book.ask("c2", lane="callbacks").verdict.position == 1
    assert book.ask("l9", lane="last", join=0).verdict.position == 9


def test_status_tells_what_waits_and_is_booked_in_each_lane():
    book = board(2)
    book.lane("bulk")
    book.ended("x0")
    book.grant("r", lane="bulk")
    book.wait("b1", "b2", lane="bulk")
    assert book.status().lanes == {"bulk": (2, 1), "default": (0, 1)}


# Pace


def test_starts_keep_the_pace():
    book = Desk(20, pace=200_000)
    book.grant("r0")
    book.wait(*(f"r{number}" for number in range(1, 20)))
    starts = []
    while book.queue:
        head = book.beat().head
        assert head.next_at - book.now == 200
        book.after(199)
        assert not book.beaten().offers
        book.after(1)
        (seat,) = book.beaten().offers
        assert book.claim(seat).code == Code.GRANTED
        starts.append(book.now)
    assert starts[-1] - starts[0] == 18 * 200


def test_none_is_saved_up_while_nobody_starts():
    book = Desk(20, pace=1_000_000)
    book.after(10_000)
    book.grant("r0")
    assert book.ask("r1", join=0).code == Code.SATURATED
    book.after(999)
    assert book.ask("r1", join=0).code == Code.SATURATED
    book.after(1)
    assert book.ask("r1", join=0).code == Code.GRANTED


def test_a_refused_ask_costs_no_start():
    book = Desk(1, pace=1_000_000)
    book.grant("r0")
    book.after(1_000)
    for number in range(5):
        assert book.ask(f"n{number}", join=0).code == Code.SATURATED
    book.ended("r0")
    assert book.ask("r1", join=0).code == Code.GRANTED


def test_many_may_start_in_one_millisecond_where_the_pace_says_so():
    book = Desk(100, pace=100)
    granted = [book.ask(f"r{number}", join=0).code == Code.GRANTED for number in range(30)]
    assert sum(granted) == 10
    book.after(1)
    assert [book.ask(f"s{number}", join=0).code == Code.GRANTED for number in range(30)].count(True) == 10


def test_the_pace_holds_over_a_long_time_where_it_is_no_whole_number_of_milliseconds():
    book = Desk(100_000, pace=333_334)
    started = 0
    for step in range(10_000):
        book.after(1)
        started += book.ask(f"r{step}", join=0).code == Code.GRANTED
    assert started == 30


def test_a_waiter_of_another_process_learns_when_the_pace_lets_it_go():
    book = Desk(3, pace=200_000)
    book.grant("r0", by="p")
    book.after(200)
    book.grant("r1", by="p")
    book.after(200)
    book.grant("r2", by="p")
    book.wait("w", by="q")
    book.after(10)
    book.book.serving.wakes.clear()
    book.ended("r0", by="p")
    # Nothing is offered yet, but its process is woken and told when.
    assert not book.offers
    assert book.book.serving.wakes == [("q", "w")]
    assert book.claim("w", by="q").head.next_at == book.now + 190
    book.ended("r1", by="p")
    assert len(book.book.serving.wakes) == 1


def test_the_lowest_rate_of_all_processes_counts():
    book = Desk(10)
    book.policies["q"] = book.policy._replace(pace=5_000)
    book.policies["p"] = book.policy._replace(pace=7_000)
    book.beat(by="q")
    assert book.beaten(by="p").policy.pace == 7_000


def test_retry_after_tells_of_the_pace():
    book = Desk(100, pace=10_000_000)
    book.grant("r0")
    assert book.ask("r1", join=0).verdict.retry_after == 10_000
    book.wait("w0", "w1")
    assert book.ask("r1", join=0).verdict.retry_after == 30_000


@pytest.mark.parametrize("how", list(Word))
def test_default_is_among_the_lanes_once_any_is_told(how):
    book = Desk(1)
    book.lane("bulk", how=how, at=1)
    assert set(book.status().lanes) == {"bulk", "default"}


def test_a_slower_pace_ends_with_the_policy_that_set_it():
    book = Desk(20, pace=100_000_000)
    book.grant("first", by="old")
    began = book.now
    book.policy = book.policy._replace(pace=200_000)
    book.quiet(5_000, "new")
    book.wait("waits", by="new")
    book.book.serving.wakes.clear()
    book.quiet(LEASE - 5_001, "new")
    assert book.beat(by="new").head.next_at == began + 100_000
    book.quiet(1_001, "new")
    assert set(book.book.members) == {"new"}
    book.reading(0, by="new")
    assert book.offers == {"waits"}
    assert book.claim("waits", by="new").code == Code.GRANTED
    assert book.ask("too soon", by="new", join=0).verdict.retry_after == REFRESH
    book.after(199)
    assert book.ask("too soon", by="new", join=0).code == Code.SATURATED
    book.after(1)
    assert book.ask("in time", by="new", join=0).code == Code.GRANTED


def test_who_waits_for_a_slower_pace_is_told_when_a_faster_one_lets_it_start():
    book = Desk(20, pace=100_000_000)
    book.grant("first", by="old")
    book.wait("waits", by="new")
    book.policy = book.policy._replace(pace=20_000_000)
    book.beat(by="p")
    book.beat(by="old")
    book.book.serving.wakes.clear()
    reply = book.beat(by="new")
    assert book.book.serving.wakes == [("new", "waits")]
    assert reply.head.next_at == book.now + 20_000
    assert book.ask("other", by="new", join=0).verdict.retry_after == 40_000
    book.quiet(19_999, "p", "old", "new")
    book.reading(0)
    assert book.offers == set()
    book.quiet(1, "new")
    assert book.offers == {"waits"}
