"""What a request costs the server: commands, whatever the number of reservations and waiters, and memory."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from admission.ledger import scripts
from tests.books import LAG, TIMEOUT

PROCESS = "0123456789ab.012345"
"""As long as a guard's own."""


def commands(client, say):
    """Return how many commands a request runs."""
    client.config_resetstat()
    say()
    calls = client.info("commandstats")
    ours = {"cmdstat_eval", "cmdstat_set", "cmdstat_config|resetstat", "cmdstat_config", "cmdstat_info"}
    looked_at_the_epoch = 1  # by the desk, for every request
    return sum(stat["calls"] for name, stat in calls.items() if name not in ours) - looked_at_the_epoch


def crowd(book, reservations, waiters):
    """Book and wait."""
    book.grant(*(f"held {number}" for number in range(reservations)))
    for number in range(waiters):
        book.wait(f"seat {number}", by=f"q{number % 7}")


@pytest.mark.parametrize(
    "say", ["ask", "ended", "claim", "withdraw", "beat", "status", "wait", "placed", "duty", "holders"]
)
def test_no_request_costs_more_in_a_crowd(desk, client, say):
    costs = []
    for account, size in (("few", 8), ("many", 800)):
        book = desk(size, account=account)
        crowd(book, size - 1, 0)
        book.grant("mine")
        crowd(book, 0, 2 * size)
        says = {
            "ask": lambda book=book: book.ask("new", join=0),
            "wait": lambda book=book: book.ask("new", by="q1"),
            "ended": lambda book=book: book.ended("mine"),
            "placed": lambda book=book: book.placed("mine", "call"),
            "claim": lambda book=book: book.claim("seat 0", by="q0"),
            "withdraw": lambda book=book: book.withdraw("seat 3"),
            "beat": lambda book=book: book.beat(by="q1"),
            "status": book.status,
            "holders": lambda book=book: book.holders(4),
            "duty": book.duty,
        }
        book.after(1_000)
        if say == "claim":
            book.ended("mine")
        costs.append(commands(client, says[say]))
    assert costs[0] == costs[1]


def test_the_common_path_is_short(desk, client):
    book = desk(10)
    book.grant("r0")
    assert commands(client, lambda: book.grant("r1")) == 9
    assert commands(client, lambda: book.ended("r1")) == 8


def test_a_reading_costs_what_it_covers(desk, client):
    book = desk(1_000)
    book.grant(*(f"pending {number}" for number in range(500)))
    costs = []
    for covered in (10, 20, 200):
        book.grant(*(f"{covered} {number}" for number in range(covered)))
        for number in range(covered):
            book.leave(f"{covered} {number}", age=TIMEOUT + LAG)
        book.after(2)
        costs.append(commands(client, lambda: book.reading(0, t0=book.now - 1)))
    few, some, many = costs
    assert many - some == 18 * (some - few)


@contextmanager
def grown(client, book, of):
    """Check how many bytes the account's keys grow by."""

    def size():
        return sum(client.memory_usage(key, samples=0) or 0 for key in book.shelf.keys.values())

    before = size()
    found = []
    yield found
    found.append((size() - before) / of)


def test_an_idle_account_is_small(desk, client):
    book = desk(20, account="0123456789abcdef")
    book.grant("r1")
    book.ended("r1")
    assert sum(client.memory_usage(key, samples=0) for key in book.shelf.keys.values()) <= 2_000


def test_reservations_and_waiters_are_small(desk, client):
    book = desk(1_000, max_waiting=5_000)
    mint = f"{PROCESS}.{{:0>4}}".format
    with grown(client, book, 1_000) as pending:
        book.grant(*map(mint, range(1_000)), by=PROCESS)
    with grown(client, book, 1_000) as waiting:
        book.wait(*map(mint, range(1_000, 2_000)), by=PROCESS)
    for number in range(1_000):
        book.placed(mint(number), by=PROCESS)
    book.withdraw(mint(1_000), by=PROCESS)
    book.quiet(TIMEOUT + LAG, PROCESS)
    with grown(client, book, 1_000) as covered:
        book.reading(1_000)
    assert book.status().held == 1_000
    assert pending[0] <= 500
    assert waiting[0] <= 500
    assert covered[0] < 0


def test_the_keys_are_few():
    assert len(scripts.KEYS) <= 7
