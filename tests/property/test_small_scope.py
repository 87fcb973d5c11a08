"""A small account, exhaustively: see `tests/exhaustive.py`."""

from __future__ import annotations

import pytest

from tests.exhaustive import Overshoot, Scope, Search
from tests.property import test_rule_machine as rules

SMALL = Scope(limit=1, reservations=2, readings=1, steps=3)


def test_no_order_of_things_has_one_call_too_many():
    search = Search(SMALL)
    assert search.run() > 10_000
    assert search.admitted_again > 100


@pytest.mark.parametrize("break_it", [rules.settle_without_lag, rules.free_a_pending_slot_on_leaving])
def test_a_broken_rule_is_found(break_it, monkeypatch):
    break_it(monkeypatch)
    with pytest.raises(Overshoot, match="2 of 1"):
        Search(SMALL).run()
