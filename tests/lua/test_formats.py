"""The number of a book's format: processes of two formats never touch the same book, and no format changes unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from admission import ConfigurationError
from admission.ledger import scripts, wire
from admission.ledger.wire import Code

STORED = Path(__file__).with_name("stored.txt")
RENEW = (
    "what is stored has changed: processes of the last release would misread it. Raise BOOK_FORMAT in "
    "admission/ledger/scripts.py (once between two releases), tell it in CHANGELOG.md and in "
    "docs/maintaining/versions.md, and write tests/lua/stored.txt anew: python -m tests.lua.test_formats"
)


def stored():
    """Return what is stored under which name, in which form, and the numbers that stand for words in it."""
    lines = [f"format {scripts.BOOK_FORMAT}", "keys " + " ".join(scripts.keys("ACCOUNT"))]
    for name, record in scripts.RECORDS.items():
        lines += ["", name, *(f"  {field} {how.letters} {how.new!r}" for field, how in record.items())]
    for words in (wire.Kind, wire.Standing):
        lines += ["", words.__name__, *(f"  {word.name} {word.value}" for word in words)]
    lines += ["", "policy " + " ".join(wire.PolicyWire._fields), "lane " + " ".join(wire.LaneWire._fields), ""]
    return "\n".join(lines)


def test_what_is_stored_is_what_the_format_s_number_stands_for():
    assert STORED.read_text("utf-8") == stored(), RENEW


@pytest.mark.parametrize("other", [0, 2, 1_000, "", "x"])
def test_a_book_of_another_format_is_refused_and_not_touched(desk, client, other):
    book = desk(2)
    book.grant("r1")
    client.hset(book.shelf.keys["account"], "format", other)
    before, told = book.shelf.contents(), f"kept in format {other if isinstance(other, int) else 0} by another version"
    for say in (lambda: book.ask("r2"), lambda: book.ended("r1"), book.beat, book.status, lambda: book.pause("why")):
        with pytest.raises(ConfigurationError, match=told):
            say()
    assert book.shelf.contents() == before
    client.hset(book.shelf.keys["account"], "format", scripts.BOOK_FORMAT)
    assert book.ended("r1").code == Code.OK


def test_a_book_of_another_format_may_have_other_keys(desk, client):
    book = desk(2)
    client.hset(book.shelf.keys["account"], "format", 2)
    client.delete(*list(book.shelf.keys.values())[1:])
    with pytest.raises(ConfigurationError, match="kept in format 2"):
        book.ask("r1")
    assert client.keys("admission:*") == [book.shelf.keys["account"].encode()]


def test_a_book_whose_format_is_not_told_has_lost_data(desk, client):
    book = desk(2)
    book.grant("r1")
    client.hdel(book.shelf.keys["account"], "format")
    assert book.ended("r1").code == Code.FOREIGN
    assert book.dump()["reservations"] == {}


if __name__ == "__main__":
    STORED.write_text(stored(), "utf-8")
