"""What travels: runs of requests, hand-overs and lanes as text, and the records that a request names."""

import pytest

from admission.ledger.replies import HandOver
from admission.ledger.requests import Ask, Beat, CallEnded, Duty, Ended, Entry, Who, runs
from admission.ledger.wire import ONLOOKER, LaneWire, PolicyWire

ME, OTHER = Who("p", 1, "policy"), Who("q", 1, "policy")


def batch(*said):
    """Return a batch of requests, one after another: who says it, and to which account."""
    return [(account, who, Duty(number, 0)) for number, (account, who) in enumerate(said)]


def told(found):
    """Return runs as their first place, their account, who speaks, and how many requests they have."""
    return [(run.first, run.account, run.who, [request.timeout for request in run.requests]) for run in found]


def test_what_one_process_says_to_one_account_in_a_row_is_one_run():
    found = runs(batch(("a", ME), ("a", ME), ("b", ME), ("b", OTHER), ("a", ME)))
    assert told(found) == [(0, "a", ME, [0, 1]), (2, "b", ME, [2]), (3, "b", OTHER, [3]), (4, "a", ME, [4])]


def test_a_run_takes_no_more_requests_than_a_server_should_run_in_one_go():
    found = runs(batch(*[("a", ME)] * 5), most=2)
    assert told(found) == [(0, "a", ME, [0, 1]), (2, "a", ME, [2, 3]), (4, "a", ME, [4])]


def test_a_run_is_taken_apart_into_its_requests_at_their_places():
    (_, run) = runs(batch(("b", ME), ("a", ME), ("a", ME)))
    assert told(run.apart()) == [(1, "a", ME, [1]), (2, "a", ME, [2])]


def test_nothing_said_is_no_run():
    assert runs([]) == []


def test_hand_overs_are_read_as_they_were_written():
    some = [HandOver(5, "s1", "r1", 4), HandOver(6, "s2", "r2", 6)]
    assert HandOver.parse("".join(one.text() for one in some)) == some
    assert HandOver.parse("") == []


def test_lanes_are_read_as_they_were_written():
    lanes = [LaneWire("a", 1, 2, 3, 4, 5, 6, "0,1,2,3,4", 1, "why"), LaneWire("b")]
    assert LaneWire.rows([item for lane in lanes for item in lane]) == lanes
    assert lanes[0].settings == "2,3,4,5,6"
    with pytest.raises(ValueError, match="zip"):
        LaneWire.rows([*lanes[0], "and more"])


def test_a_lane_that_was_told_nothing_is_served_last_and_has_no_bounds():
    assert LaneWire("bulk") == ("bulk", 0, -1, 1_000, 0, 0, 0, "", 0, "")


def test_a_policy_is_read_as_it_was_written_also_that_of_an_onlooker():
    policy = PolicyWire(1, 2, 3, 4, 5, 6, 7, 8)
    assert PolicyWire.parse(policy.text()) == PolicyWire.parse(policy.text() + ONLOOKER) == policy


def test_slots_are_only_offered_to_a_process_that_does_not_say_what_it_has_learnt():
    assert Who("p", 1, "policy").learnt == -1


def test_a_request_names_the_records_that_it_is_about():
    assert Ask("s", "r", "default", 0, 1, 2, 3, 1, 0).records() == ["rr", "ss"]
    assert Ended("r", "").records() == ["rr"]
    assert Ended("r", "call").records() == ["rr", "ccall"]
    assert CallEnded("call").records() == ["ccall"]
    assert Duty(1, 0).records() == []
    entries = tuple(Entry(rid, "default", 1, 0, 1, 1, 0, 1, 1, 1, "") for rid in ("a", "b"))
    assert Beat(0, 0, "", 0, entries).records() == ["ra", "rb"]
