"""Errors travel between processes, as they do in task queues and process pools, and keep their facts."""

import copy
import math
import pickle
from datetime import UTC, datetime, timedelta

import pytest

from admission import (
    AdmissionError,
    CallRejected,
    Closed,
    ConfigurationError,
    LedgerUnavailable,
    NotPlaced,
    Paused,
    QueueFull,
    Saturated,
    UsageError,
    UsageUnavailable,
)

NUMBERS = {"limit": 5, "in_use": 5, "waited": 0.5, "position": 3, "retry_after": 2.0}
PAUSED = Paused("the account is paused", **NUMBERS)
PAUSED.reason = "no agents"
ERRORS = [
    AdmissionError("failed inside"),
    Saturated("no slot was free", **NUMBERS),
    QueueFull("the line is full", **NUMBERS | {"limit": None}),
    PAUSED,
    UsageUnavailable("no reading", cause=UsageError("garbage", status=200), retry_after=2.0),
    LedgerUnavailable("no answer"),
    Closed("the guard is closed"),
    UsageError("garbage", status=502, retry_after=1.5, excerpt="<html>"),
    ConfigurationError("the key is wrong", status=401),
    CallRejected(),
    CallRejected(7.0),
    NotPlaced("do not call"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("carry", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy], ids=["pickle", "copy"])
def test_an_error_comes_through_with_its_text_and_its_facts(error, carry):
    other = carry(error)
    assert type(other) is type(error)
    assert str(other) == str(error)
    facts, others = vars(error), vars(other)
    assert {name: repr(fact) for name, fact in others.items()} == {name: repr(fact) for name, fact in facts.items()}


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (None, None),
        (7, 7.0),
        (0, 0.0),
        ("30", 30.0),
        (" 1.5 ", 1.5),
        (timedelta(minutes=2), 120.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        (math.nan, None),
        (math.inf, None),
        (-1, None),
        (timedelta(seconds=-1), None),
        (10**400, None),
        (True, None),
        (datetime(2026, 1, 1, tzinfo=UTC), None),
        (lambda: 30, None),
        ({"seconds": 30}, None),
    ],
    ids=lambda it: str(it)[:10] if isinstance(it, (int, str)) else type(it).__name__,
)
def test_a_refusal_takes_for_seconds_what_plainly_are_some(told, seconds):
    error = CallRejected(told)
    assert error.retry_after == seconds
    assert ("asks to wait" in str(error)) == (seconds is not None)
