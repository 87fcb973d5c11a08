"""Slots that were handed over, until they are taken or go back: fed by hand, without I/O."""

from __future__ import annotations

import pytest

from admission.core.handovers import GIVEN_UP, SLOW, HandOvers
from admission.core.ownbooks import granted
from admission.ledger.replies import HandOver
from tests.unit.test_plans import make_want

NOW = 100.0
FIRST, SECOND = HandOver(7, "s1", "r1", 5), HandOver(8, "s2", "r2", 6)


def given(*times):
    """Return what was handed over at these times, and to whom."""
    handovers, wants = HandOvers(), [make_want() for _ in times]
    for want, time in zip(wants, times, strict=True):
        handovers.give(want, granted(want, time), time)
    return handovers, wants


def test_nothing_was_handed_over_to_a_new_process():
    handovers = HandOvers()
    assert handovers.learnt(NOW) == 0
    assert not handovers.is_slow(NOW)
    assert handovers.wake_at() is None
    assert handovers.untaken(NOW) == []
    assert handovers.news("") == []


def test_what_is_told_is_new_once_and_the_newest_number_is_learnt():
    handovers = HandOvers()
    told = FIRST.text() + SECOND.text()
    assert handovers.news(told) == [FIRST, SECOND]
    assert handovers.news(told) == []
    assert handovers.learnt(NOW) == 8


def test_a_reply_that_comes_late_unlearns_nothing():
    handovers = HandOvers()
    handovers.news(SECOND.text())
    assert handovers.news(FIRST.text()) == [FIRST]
    assert handovers.news("") == []
    assert handovers.learnt(NOW) == 8


def test_another_epoch_has_numbers_of_its_own():
    handovers = HandOvers()
    handovers.news(SECOND.text())
    handovers.forget_numbers()
    assert handovers.learnt(NOW) == 0
    handovers.news(FIRST.text())
    assert handovers.learnt(NOW) == 7


@pytest.mark.parametrize(
    ("time", "now", "slow"),
    [(0.0, 0.0, False), (0.0, SLOW, False), (0.0, SLOW + 0.001, True), (NOW, NOW, False), (NOW, NOW + 1, True)],
)
def test_who_does_not_take_a_slot_at_once_is_slow(time, now, slow):
    handovers, _ = given(time)
    assert handovers.is_slow(now) is slow
    assert handovers.learnt(now) == (-1 if slow else 0)


def test_the_process_wakes_when_the_first_goes_back():
    handovers, (first, _) = given(NOW, NOW + 0.5)
    assert handovers.wake_at() == NOW + GIVEN_UP
    first.take()
    assert handovers.untaken(NOW + 0.6) == []
    assert handovers.wake_at() == NOW + 0.5 + GIVEN_UP


def test_what_is_not_taken_in_time_goes_back_and_no_earlier():
    handovers, (first, second) = given(NOW, NOW + 0.5)
    assert handovers.untaken(NOW + GIVEN_UP - 0.001) == []
    (back,) = handovers.untaken(NOW + GIVEN_UP)
    assert back.granted_at == NOW
    assert first.take() is None, "who comes later finds nothing"
    assert second.take() is not None
    assert handovers.stalled


def test_one_that_takes_its_slot_behind_one_that_does_not_is_forgotten_with_it():
    handovers, (_, second) = given(NOW, NOW)
    second.take()
    assert len(handovers.untaken(NOW + GIVEN_UP)) == 1
    assert handovers.wake_at() is None


def test_who_takes_its_slot_is_no_longer_waited_for():
    handovers, (want,) = given(NOW)
    want.take()
    assert handovers.untaken(NOW + GIVEN_UP) == []
    assert not handovers.is_slow(NOW + GIVEN_UP)
    assert not handovers.stalled
