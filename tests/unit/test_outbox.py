"""What is kept until it is sent, in which order, and what is dropped: fed by hand, without I/O."""

from __future__ import annotations

import pytest

from admission.core import outbox as module
from admission.core.drafts import Draft
from admission.core.outbox import Outbox
from tests.unit.test_desk import Box
from tests.unit.test_plans import make_want


class Kept(Outbox):
    """An outbox, and what it reports. A draft is known by what it makes."""

    def __init__(self):
        self.reports = []
        super().__init__(lambda event, **facts: self.reports.append((event, facts)))

    def sends(self, name, *args, **more):
        self.send(lambda _: name, *args, **more)

    def names(self):
        return [draft.make(0.0) for draft in self]


def draft(name):
    return Draft(lambda _: name)


def test_what_is_said_is_sent_in_order_and_what_comes_first_before_it():
    outbox = Kept()
    outbox.sends("a")
    outbox.put(draft("b"))
    outbox.put_first([draft("1"), draft("2")])
    outbox.sends("c")
    assert outbox.names() == ["1", "2", "a", "b", "c"]
    assert len(outbox) == 5


def test_what_is_taken_is_gone_and_knows_when_it_was_sent():
    outbox = Kept()
    outbox.sends("a")
    assert [taken.sent_at for taken in outbox.take(5.0)] == [5.0]
    assert not outbox


def test_what_is_put_in_while_it_is_emptied_is_taken_too():
    outbox = Kept()
    outbox.sends("a")
    taken = []
    for one in outbox.take(5.0):
        taken.append(one.make(0.0))
        if len(taken) == 1:
            outbox.sends("b")
    assert taken == ["a", "b"]


def test_what_somebody_says_is_kept_until_delivered_unless_told_otherwise():
    outbox = Kept()
    want, box = make_want(), Box()

    def then(*_):
        pass

    outbox.sends("a")
    outbox.sends("b", then, box, note=False, want=want)
    assert [(d.then, d.box, d.note, d.want) for d in outbox] == [(None, None, True, None), (then, box, False, want)]


def test_where_too_much_is_kept_the_oldest_is_lost_and_that_is_reported(monkeypatch):
    monkeypatch.setattr(module, "MOST_KEPT", 3)
    outbox = Kept()
    for name in "abc":
        outbox.sends(name)
    assert outbox.reports == []
    outbox.sends("d")
    assert outbox.names() == ["b", "c", "d"]
    assert outbox.reports == [("note_lost", {"kept": 3})]


def test_what_a_caller_asks_for_is_not_lost_where_too_much_is_kept(monkeypatch):
    monkeypatch.setattr(module, "MOST_KEPT", 3)
    outbox = Kept()
    outbox.sends("ask", None, Box(), want=make_want())
    for name in "abc":
        outbox.sends(name)
    assert outbox.names() == ["ask", "b", "c"]


@pytest.mark.parametrize("case", ["another's", "a refusal"])
def test_what_a_caller_asks_for_is_dropped_and_nothing_else(case):
    outbox = Kept()
    want = make_want()
    outbox.sends("ask", None, Box(), want=want)
    outbox.put(Draft(lambda _: "sent before", None, Box(), want=want, sent_at=5.0))
    if case == "another's":
        outbox.sends("kept", None, Box(), want=make_want())
    else:
        outbox.sends("kept", want=want)
    outbox.forget(want)
    assert outbox.names() == ["kept"]


def test_everything_can_be_dropped():
    outbox = Kept()
    outbox.sends("a")
    outbox.clear()
    assert not outbox
