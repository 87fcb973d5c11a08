"""What an operator is told of the provider, and how often: fed by hand, without I/O."""

from __future__ import annotations

import pytest

from admission import Policy, Usage
from admission.core.spans import wire_policy
from admission.core.watch import Lasting, Watch
from admission.ledger.replies import Written
from admission.ledger.wire import Code

REFRESH_MS = 1_000
FINE = Written(limit_before=20, held=0, usage_age=100, closed=0, cooling=0, idle=-1, seen=-1)


class Told:
    """A watch, and what it has told."""

    def __init__(self):
        self.events = []
        self.watch = Watch("acme", wire_policy(Policy()), self._report)

    def _report(self, event, /, **facts):
        assert facts.pop("account") == "acme"
        self.events.append((event, facts))

    def written(self, now=0.0, limit=20, count=3, code=Code.OK, since=None, **told):
        """Take a reading; return what is told of it."""
        usage = None if limit is None else Usage(limit, count)
        self.watch.written(now, usage, code, FINE._replace(**told), since)
        told, self.events = self.events, []
        return told


@pytest.fixture
def watch():
    return Told()


def test_a_provider_that_does_well_is_not_told_of(watch):
    assert watch.written() == []


@pytest.mark.parametrize(
    ("before", "limit", "told"),
    [
        (-1, 20, []),
        (20, 20, []),
        (20, 5, [("limit_changed", {"limit": 5, "before": 20})]),
        (5, 20, [("limit_changed", {"limit": 20, "before": 5})]),
        (5, 0, [("limit_zero", {"before": 5})]),
        (-1, 0, [("limit_zero", {"before": None})]),
        (0, 0, []),
        (0, 5, [("limit_changed", {"limit": 5, "before": 0})]),
    ],
)
def test_a_limit_is_told_when_it_changes(watch, before, limit, told):
    assert watch.written(limit=limit, limit_before=before) == told
    # One that came in a reading that was dropped is not the account's.
    assert watch.written(limit=limit, limit_before=before, code=Code.CACHED) == []


def test_what_lasts_is_told_at_once_and_then_ever_more_seldom():
    lasting = Lasting()
    assert [now for now in range(1_000) if lasting.tell(float(now), on=True)] == [0, 60, 180, 420, 900]


def test_what_comes_and_goes_lasts_and_what_comes_after_a_minute_is_new():
    lasting = Lasting()
    assert [now for now in range(500) if lasting.tell(float(now), on=now % 50 == 0)] == [0, 100, 250]
    assert not any(lasting.tell(float(now), on=False) for now in range(451, 512))
    assert lasting.tell(512.0, on=True)
    assert not lasting.tell(513.0, on=True)
    assert lasting.tell(572.0, on=True)


def test_a_count_below_what_is_held_is_told_with_both(watch):
    events = [watch.written(now, count=1, held=3, code=Code.DISBELIEVED) for now in range(60)]
    assert events == [[("reading_disbelieved", {"count": 1, "held": 3})], *[[]] * 59]
    # What comes of readings that say nothing does not end it.
    assert watch.written(60, limit=None) == []
    assert watch.written(61, count=1, held=3, code=Code.DISBELIEVED)


@pytest.mark.parametrize(("limit", "code"), [(None, Code.OK), (20, Code.CACHED), (20, Code.TOO_OLD)])
def test_a_reading_too_old_to_admit_on_is_told_once(watch, limit, code):
    assert watch.written(0, limit=limit, code=code, usage_age=15_000) == []
    stale = {"limit": limit, "code": code, "closed": Code.UNREAD}
    assert watch.written(1, usage_age=15_900, **stale) == [("usage_stale", {"age": 15.9})]
    assert watch.written(2, usage_age=16_900, **stale) == []
    assert watch.written(3) == []
    assert watch.written(90, usage_age=16_900, **stale) == [("usage_stale", {"age": 16.9})]


def test_an_account_that_was_never_read_or_must_be_read_anew_is_not_stale(watch):
    assert watch.written(limit=None, usage_age=-1, closed=Code.UNREAD) == []
    assert watch.written(closed=Code.UNREAD) == []


def test_refusals_one_after_another_are_told(watch):
    assert watch.written(cooling=REFRESH_MS) == []
    assert watch.written(cooling=2 * REFRESH_MS) == []
    assert watch.written(cooling=4 * REFRESH_MS) == [("refused_again", {"cooling": 4.0})]
    assert watch.written(cooling=8 * REFRESH_MS) == []


def test_a_line_that_stands_is_told(watch):
    stands = ("line_stands", {"seconds": 60, "count": 20, "limit": 20, "held": 2})
    assert watch.written(1_000, count=20, held=2, since=940.0, idle=-1) == [stands]


@pytest.mark.parametrize(
    "told",
    [
        {"since": None},
        {"since": 941.0},
        {"since": 940.0, "idle": 59_000},
        {"since": 940.0, "closed": Code.PAUSED},
    ],
    ids=str,
)
def test_a_line_is_not_said_to_stand(watch, told):
    assert watch.written(1_000, count=20, **told) == []
