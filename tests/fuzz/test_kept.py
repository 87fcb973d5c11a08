"""Every input of the corpus, and what the fuzzer has found with it, goes through without a fuzzer."""

from pathlib import Path

import pytest

from admission.core.desk import Desk
from admission.ledger import scripts
from admission.sources import answers as parser
from tests.fuzz import answers, replies, wakes

CORPUS = Path(__file__).parent / "corpus"
TARGETS = {"answers": answers, "replies": replies, "wakes": wakes}
KEPT = sorted(path for name in TARGETS for path in (CORPUS / name).iterdir())


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_found_no_more(path):
    TARGETS[path.parent.name].check(path.read_bytes())


# A fault that is put in is found with the corpus alone.


def show_the_key(monkeypatch):
    monkeypatch.setattr(answers.SOURCE, "_shown", lambda text: text[:200])


def believe_any_number(monkeypatch):
    monkeypatch.setattr(parser, "MAX_CALLS", 10**30)


def believe_any_reply(monkeypatch):
    monkeypatch.setattr(scripts, "check", lambda request, code, tail: None)


def withdraw_what_is_hinted_at(monkeypatch):
    monkeypatch.setattr(Desk, "offered", lambda desk, seats, now: desk.callers.offered(seats))


def take_any_text(monkeypatch):
    monkeypatch.setattr(scripts, "seats_told", lambda message, token: {"": message.decode().split("\n")})


@pytest.mark.parametrize(
    ("name", "break_it"),
    [
        ("answers", show_the_key),
        ("answers", believe_any_number),
        ("replies", believe_any_reply),
        ("wakes", withdraw_what_is_hinted_at),
        ("wakes", take_any_text),
    ],
)
def test_a_fault_is_found(name, break_it, monkeypatch):
    break_it(monkeypatch)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, it is a find
        for path in sorted((CORPUS / name).iterdir()):
            TARGETS[name].check(path.read_bytes())
