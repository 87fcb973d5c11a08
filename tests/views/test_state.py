"""What operators are shown of a state: parts that add up, and notes that say what is the matter."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admission import Lane, LaneStatus, Policy, Status
from admission.views.feed import SAMPLE, Moment
from admission.views.state import json_of, kept_back, notes_of, parts_of, reading_of, span

POLICY = Policy()


def status(**changes):
    facts = {
        "account": "fleet", "limit": 20, "count": 13, "in_use": 17, "free": 3, "pending": 4, "held": 7, "untracked": 3,
        "waiting": 0, "usage_age": 0.4, "paused": False, "pause_reason": "",
        "lanes": (LaneStatus("default", 0, 14, settings=Lane("default")),),
    }  # fmt: skip
    return Status(**{**facts, **changes})


def texts(**changes):
    return [(note.level, note.text) for note in notes_of(status(**changes), POLICY)]


def test_the_parts_of_what_is_in_use():
    parts = parts_of(status())
    assert (parts.held, parts.covered, parts.untracked, parts.pending) == (7, 3, 3, 4)


@given(*[st.integers(0, 50)] * 5)
def test_the_parts_always_add_up(count, held, pending, covered, waiting):
    in_use = max(count, held) + pending
    lanes = (LaneStatus("default", waiting, held + covered + pending),)
    untracked = max(0, count - held - covered)
    parts = parts_of(status(count=count, in_use=in_use, held=held, pending=pending, untracked=untracked, lanes=lanes))
    assert parts.held + parts.covered + parts.untracked + parts.pending == in_use
    assert min(parts.held, parts.covered, parts.untracked, parts.pending) >= 0
    assert parts.untracked == untracked


def test_nothing_to_say_of_an_account_that_works():
    assert texts() == []
    assert texts(in_use=20, free=0, waiting=5) == []


@pytest.mark.parametrize(
    ("changes", "level", "text"),
    [
        ({"paused": True, "pause_reason": "complaints", "free": 0}, "stop", "paused: complaints"),
        ({"limit": None, "count": None, "usage_age": None, "free": 0}, "idle", "not read yet"),
        ({"limit": None, "count": None, "usage_age": None, "free": 0, "waiting": 1}, "stop", "not read yet"),
        ({"limit": 0, "free": 0}, "stop", "limit is 0"),
        ({"limit": 10, "free": 0}, "look", "17 are in use of 10: nobody is admitted until use falls"),
        ({"usage_age": 400.0, "free": 0}, "idle", "the newest reading is 7 min old: a new one is taken when"),
        ({"usage_age": 40.0, "free": 0, "waiting": 2}, "stop", "the newest reading is 40.0 s old: nobody is admitted"),
        ({"free": 0}, "look", "3 slots are kept back: headroom"),
        ({"in_use": 19, "free": 0}, "look", "1 slot is kept back"),
        ({"count": 5}, "look", "the provider counts 5, fewer than the 7 held"),
        ({"lanes": (LaneStatus("bulk", 0, 0, True, "no agents"),)}, "look", "lane bulk is paused: no agents"),
    ],
)
def test_what_is_said_of_an_account_that_does_not(changes, level, text):
    ((found, said),) = texts(**changes)
    assert found == level
    assert text in said


def test_what_is_kept_back_is_not_told_of_a_full_account():
    assert kept_back(status(in_use=20, free=0)) == 0
    assert kept_back(status(in_use=23, free=0)) == 0
    assert kept_back(status(free=0)) == 3
    assert kept_back(status(limit=None, free=0)) == 0


@pytest.mark.parametrize(("age", "worth"), [(None, "none"), (0.0, "young"), (15.0, "young"), (15.1, "old")])
def test_what_a_reading_is_worth(age, worth):
    assert reading_of(status(usage_age=age), POLICY) == worth


def test_a_state_for_programs_has_every_field_of_status_and_more():
    told = json.loads(json.dumps(json_of(status(), POLICY)))
    assert {"account", "limit", "count", "in_use", "free", "waiting", "usage_age", "paused", "lanes"} < set(told)
    assert told["parts"] == {"held": 7, "covered": 3, "untracked": 3, "pending": 4}
    assert (told["reading"], told["notes"]) == ("young", [])


def test_a_row_of_the_history():
    row = Moment(12.34, status()).sample()
    assert dict(zip(SAMPLE, row, strict=True)) == {
        "at": 12.3, "limit": 20, "held": 7, "covered": 3, "untracked": 3, "pending": 4, "waiting": 0,
    }  # fmt: skip
    assert Moment(12.34, None, "away").sample() == [12.3]


@pytest.mark.parametrize(("seconds", "text"), [(0.44, "0.4 s"), (99.0, "99.0 s"), (400, "7 min"), (7300, "2 h")])
def test_spans_for_people(seconds, text):
    assert span(seconds) == text
