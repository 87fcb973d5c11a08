"""How long call ids are remembered, and what that costs."""

from admission.ledger.rule import Facts, Reservations
from admission.ledger.wire import REMEMBER_MS, Kind


def test_a_call_id_is_remembered_for_an_hour_from_when_it_was_told_last():
    kept = Reservations({"p"})
    kept.call_ended("call", 0)
    kept.lapse(REMEMBER_MS - 1)
    kept.call_ended("call", REMEMBER_MS - 1)
    kept.lapse(2 * REMEMBER_MS - 2)
    assert list(kept.calls) == ["call"]
    kept.lapse(2 * REMEMBER_MS - 1)
    assert not kept.calls


def test_an_end_may_have_an_id_forgotten_sooner_than_a_long_call_would():
    kept = Reservations({"p"})
    facts = Facts("p", "default", Kind.STARTED, 0, 1_000, 1_000, 0, 1, "call")
    kept.call_started("r", facts, 0, 3 * REMEMBER_MS, 0)
    kept.call_ended("call", 1)
    kept.lapse(REMEMBER_MS + 1)
    assert not kept.calls
    kept.lapse(3 * REMEMBER_MS)
    assert not kept.forgetting


def test_an_id_that_is_told_every_second_is_kept_once():
    kept = Reservations({"p"})
    for second in range(3_600):
        kept.call_ended("call", 1_000 * second)
        kept.lapse(1_000 * second)
    assert len(kept.forgetting) == len(kept.calls) == 1


def test_ids_that_are_not_over_yet_are_not_looked_at():
    class Unread(dict):
        def __iter__(self):
            raise AssertionError("all are looked at")

        items = keys = values = __iter__

    kept = Reservations({"p"})
    kept.calls = Unread()
    for at in range(3):
        kept.call_ended(f"call-{at}", at)
    kept.lapse(REMEMBER_MS + 1)
    assert len(kept.calls) == 1
    assert "call-2" in kept.calls
