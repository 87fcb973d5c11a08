"""How late calls come into the count, as readings show it."""

from __future__ import annotations

import pytest

from admission.ledger.wire import REMEMBER_MS, Code
from tests.books import LAG, Desk


def seen(book: Desk) -> int:
    return book.status().seen


def placed(book: Desk, rid: str) -> None:
    """Book a hold whose call has just been accepted."""
    book.grant(rid)
    book.placed(rid)


def test_nothing_is_seen_where_every_call_is_counted_at_once():
    book = Desk(5)
    placed(book, "r")
    for _ in range(5):
        book.after(300)
        book.reading(count=1)
    assert seen(book) == -1


def test_a_call_that_comes_into_the_count_late_shows_how_late():
    book = Desk(5)
    placed(book, "r")
    for age in (300, 600, 900):
        book.after(300)
        book.reading(count=0)
        assert seen(book) == {300: -1, 600: -1, 900: -1}[age]
    book.after(300)
    book.reading(count=1)
    assert seen(book) == 900


def test_the_youngest_are_missing_first():
    book = Desk(5)
    for rid in ("r0", "r1", "r2"):
        placed(book, rid)
        book.after(200)
    book.reading(count=1)
    book.after(100)
    book.reading(count=3)
    assert seen(book) == 400  # r1; r0 was in the count


def test_a_call_that_had_ended_before_its_holder_said_so_shows_nothing():
    book = Desk(5)
    placed(book, "r0")
    placed(book, "r1")
    book.after(LAG + 1)
    book.reading(count=2)
    book.after(1_000)
    book.reading(count=1)
    book.ended("r0")
    book.after(500)
    book.reading(count=1)
    assert seen(book) == -1


def test_nor_does_it_when_a_call_that_is_counted_takes_its_place():
    book = Desk(5)
    placed(book, "r0")
    book.after(LAG + 1)
    book.reading(count=1)
    book.after(1_000)
    book.reading(count=0)  # r0 has ended; its holder does not know yet
    placed(book, "r1")
    book.after(500)
    book.reading(count=1)
    assert seen(book) == -1


def test_nothing_is_believed_until_nothing_is_missing():
    book = Desk(5)
    for rid in ("r0", "r1", "r2"):
        placed(book, rid)
        book.after(300)
        book.reading(count=int(rid[1]))  # always one behind
        assert seen(book) == -1
    book.after(300)
    book.reading(count=3)
    assert seen(book) == 300


@pytest.mark.parametrize("way", ["leave", "ended", "cancel"])
def test_nor_does_one_whose_holder_leaves_before_it_was_counted(way):
    book = Desk(5)
    placed(book, "r")
    book.after(300)
    book.reading(count=0)
    getattr(book, way)("r")
    book.after(300)
    book.reading(count=1)  # somebody else's
    assert seen(book) == -1


def test_a_held_call_that_is_not_counted_shows_that_the_lag_is_too_short():
    book = Desk(5)
    placed(book, "r")
    book.after(LAG + 1)
    assert book.reading(count=0) == Code.DISBELIEVED
    book.after(500)
    book.reading(count=1)
    assert seen(book) == LAG + 1


def test_calls_of_others_hide_it():
    book = Desk(5)
    placed(book, "r")
    book.after(500)
    book.reading(count=1)  # of somebody else
    book.after(500)
    book.reading(count=2)
    assert seen(book) == -1


def test_what_is_no_live_call_shows_nothing():
    book = Desk(5)
    book.grant("r0")  # not dialled yet
    book.grant("r1", kind=1)  # a block that places
    book.placed("r1")
    book.after(500)
    book.reading(count=0)
    book.after(500)
    book.reading(count=2)
    assert seen(book) == -1


def late(book: Desk, rid: str, age: int) -> None:
    """Have a call that comes into the count after more than `age`, and ends."""
    placed(book, rid)
    book.after(age)
    book.reading(count=0)
    book.after(10)
    book.reading(count=1)
    book.ended(rid)
    book.after(10)
    book.reading(count=0)


def test_the_longest_counts_for_an_hour():
    book = Desk(5)
    late(book, "r0", 900)
    late(book, "r1", 300)
    assert seen(book) == 900
    book.quiet(REMEMBER_MS, "p")
    book.reading(count=0)
    late(book, "r2", 300)
    assert seen(book) == 300


def test_a_new_epoch_keeps_it_and_believes_nothing_of_before():
    book = Desk(5)
    late(book, "r0", 300)
    placed(book, "r1")
    book.after(500)
    book.reading(count=0)
    book.jumped()
    book.after(10)
    book.reading(count=1)
    assert seen(book) == 300
