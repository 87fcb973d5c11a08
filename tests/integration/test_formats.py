"""A ledger that another version keeps in another format: callers are told at once, and all goes on once it is gone."""

from __future__ import annotations

import pytest

from admission import ConfigurationError, LedgerUnavailable
from admission.ledger import scripts
from tests.waiting import wait_until

LIMIT = 5


def refused(ask):
    def told():
        try:
            return ask()
        except LedgerUnavailable as error:
            # The server seems to say nothing where this process, with the proxy, stood still for seconds.
            assert "Timeout reading from socket" in str(error)
        except ConfigurationError as error:
            return str(error)

    assert "kept in format 2 by another version of admission" in str(wait_until(told))


@pytest.mark.usefixtures("ledger_has_time")
def test_whoever_asks_a_ledger_of_another_format_is_told_and_changes_nothing(opened, open_store):
    one, _, account = open_store
    held = opened.claim_all(LIMIT)
    waiter = opened.submit("acquire", timeout=None)
    opened.wait_waiting(1)
    name = scripts.keys(account)[0]
    one.client.hset(name, "format", 2)

    refused(lambda: waiter.result(20))
    before = one.client.hgetall(name)
    for ask in (
        lambda: opened.acquire(timeout=None),
        lambda: opened.acquire(timeout=0),
        opened.status,
        lambda: opened.ask("holders"),
        lambda: opened.ask("refresh"),
        lambda: opened.ask("pause", reason="why"),
    ):
        refused(ask)
    # What is noted meanwhile goes nowhere, and is kept.
    for reservation in held:
        reservation.ended()
    refused(opened.status)
    assert one.client.hgetall(name) == before

    one.client.delete(*scripts.keys(account))
    wait_until(lambda: one.client.hget(name, "format") == b"%d" % scripts.BOOK_FORMAT)
    opened.check_whole()
