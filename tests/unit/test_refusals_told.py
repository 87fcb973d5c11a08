"""What a caller that was not admitted is told: the kind of error, its facts, and a text that says what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admission import ConfigurationError, Paused, QueueFull, Saturated, UsageError, UsageUnavailable
from admission.core.messages import Answer
from admission.core.plans import ledger_unavailable, refusal
from admission.ledger.replies import NOTHING
from admission.ledger.wire import Code
from tests.unit.test_plans import FAULT, make_want


def refused(code, now=3.5, *, cause=None, since=1.0, **verdict):
    return refusal(Answer(code, NOTHING._replace(**verdict), None, cause), replace(make_want(), since=since), now)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(Code.SATURATED, Saturated), (Code.IN_LINE, Saturated), (Code.FULL, QueueFull), (Code.PAUSED, Paused)],
)
def test_a_refusal_bears_the_facts(code, kind):
    error = refused(code, limit=5, in_use=4, position=7, retry_after=2_500)
    assert type(error) is kind
    assert (error.limit, error.in_use, error.position, error.retry_after, error.waited) == (5, 4, 7, 2.5, 2.5)


def test_nobody_has_waited_for_less_than_no_time():
    assert refused(Code.SATURATED, now=0.5).waited == 0.0
    assert refused(Code.SATURATED, now=1.0).waited == 0.0


@pytest.mark.parametrize(("told", "limit"), [(-1, None), (0, 0), (1, 1)])
def test_the_limit_is_told_once_it_is_known(told, limit):
    assert refused(Code.SATURATED, limit=told).limit == limit


@pytest.mark.parametrize(("limit", "in_use", "kept_back"), [(5, 4, True), (5, 5, False), (5, 6, False), (-1, 0, False)])
def test_a_refusal_although_slots_are_free_says_why(limit, in_use, kept_back):
    text = str(refused(Code.SATURATED, limit=limit, in_use=in_use, position=2, retry_after=1_500))
    assert ("kept back" in text) is kept_back
    assert "2 ahead" in text
    assert text.endswith("try again in 1.5 s")


@pytest.mark.parametrize(("limit", "none"), [(0, True), (1, False), (-1, False)])
def test_a_limit_of_0_is_said_to_be_one(limit, none):
    assert ("the provider's limit is 0" in str(refused(Code.SATURATED, limit=limit, in_use=1))) is none


def test_a_full_line_says_how_long_it_is():
    text = str(refused(Code.FULL, position=40, retry_after=2_000))
    assert text == "the line is full with 40 callers; try again in 2 s"


def test_a_pause_says_its_reason():
    error = refused(Code.PAUSED, pause_reason="lunch")
    assert error.reason == "lunch"
    assert "(lunch)" in str(error)


def test_a_lane_that_is_not_known_is_told_with_those_that_are():
    error = refused(Code.NO_LANE, pause_reason="bulk, default")
    assert type(error) is ConfigurationError
    assert "'default' is not declared; known are: bulk, default" in str(error)


def test_what_a_cap_cannot_count_is_told_what_to_write():
    error = refused(Code.UNTRACKED)
    assert type(error) is ConfigurationError
    assert "place(track=True)" in str(error)


def test_without_a_reading_the_cause_of_this_process_is_told_first():
    error = refused(Code.UNREAD, cause=FAULT, error="another's", retry_after=1_500)
    assert type(error) is UsageUnavailable
    assert (error.cause, error.retry_after) == (FAULT, 1.5)
    assert str(FAULT) in str(error)


def test_without_a_reading_what_another_process_was_told_is_the_cause():
    error = refused(Code.UNREAD, error="the provider answered 500")
    assert isinstance(error.cause, UsageError)
    assert str(error.cause) == "the provider answered 500"


def test_without_a_reading_and_a_cause_none_has_come_in():
    error = refused(Code.UNREAD)
    assert error.cause is None
    assert "none has come in yet" in str(error)


def test_a_ledger_without_an_answer_is_told_with_its_cause():
    assert "did not answer: refused;" in str(ledger_unavailable(OSError("refused")))
    assert "did not answer in time;" in str(ledger_unavailable(None))
