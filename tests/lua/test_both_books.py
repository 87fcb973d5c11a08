"""What the unit tests say of the book holds for both books: each request goes to both, and all must be the same after.

The tests are those of `tests/unit`, run once more with a desk that has the book in Python and the book on a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from admission.ledger.replies import HEAD, Head
from admission.ledger.requests import Ask, AskStatus, Ended, Who
from admission.ledger.wire import Kind
from tests.books import DURATION, LAG, POLICY, REFRESH, TIMEOUT, Desk, Reply
from tests.property.test_ledgers_agree import SCRIPT, Pair
from tests.unit import test_lanes, test_line_and_refusals, test_rule_table

if TYPE_CHECKING:
    import redis

    from admission.ledger.requests import Request

MODULES = (test_rule_table, test_line_and_refusals, test_lanes)
LONG = frozenset(
    (
        "test_call_ids_are_remembered_for_an_hour",
        "test_the_pace_holds_over_a_long_time_where_it_is_no_whole_number_of_milliseconds",
    )
)
"""Tests of so many requests that they would take long here."""


class PairDesk(Desk):
    """Processes that speak to both books of an account.

    Args:
        client: The server.
        limit: The provider's limit. Given, the epoch is open and a reading of `count` calls has just been taken.
        count: The provider's count.
        policy: Settings of every process that differ from `POLICY`.
    """

    def __init__(self, client: redis.Redis, limit: int | None = None, count: int = 0, **policy: int) -> None:
        client.flushall()
        self.pair = Pair(client, "acct")
        self.book = self.pair.book
        self.now = self.pair.now
        self.policy = POLICY._replace(**policy)
        self.policies = {}
        self.limit = -1
        self.beat()
        self.after(REFRESH + self.policy.lag + 1)
        if limit is not None:
            self.reading(count, limit=limit)
            self.after(1)

    def say(self, request: Request, by: str = "p", epoch: int | None = None, learnt: int = -1) -> Reply:
        policy = self.policies.get(by, self.policy)
        who = Who(by, self.book.epoch if epoch is None else epoch, policy.text(), learnt)
        self.pair.server_now = self.now
        serving = self.book.serving
        wakes, serving.wakes = serving.wakes, []
        (wire,) = self.pair.say(who, request)
        serving.wakes = wakes + self.pair.wakes
        return Reply(Head(*wire[:HEAD]), wire[HEAD:])  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def both_books(client, monkeypatch):
    assert client.script_load(SCRIPT.source) == SCRIPT.sha
    desks = []

    def desk(*args, **more):
        desks.append(PairDesk(client, *args, **more))
        return desks[-1]

    for module in MODULES:
        monkeypatch.setattr(module, "Desk", desk)
    yield
    for desk in desks:
        desk.pair.close()


def collected():
    """Return the tests by name."""
    named = [(name, test) for module in MODULES for name, test in vars(module).items() if name.startswith("test_")]
    found = dict(named)
    assert len(found) == len(named), "two tests have one name"
    return {name: test for name, test in found.items() if name not in LONG}


globals().update(collected())


def test_where_all_else_is_alike_lanes_go_by_name_also_within_one_run(client):
    book = PairDesk(client, 2)
    book.lane("a", headroom=1)
    book.lane("b", headroom=1)
    book.grant("x")
    book.wait("of b", lane="b", waited=1_500)
    ask = Ask("of a", "of a", "a", Kind.HOLD, TIMEOUT, LAG, DURATION, join=1, waited=1_500)
    book.pair.server_now = book.now
    book.pair.say(Who("p", book.book.epoch, POLICY.text()), AskStatus(), ask, Ended("x", ""))
    book.pair.close()
    assert book.offers == {"of a"}
