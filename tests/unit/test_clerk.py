"""What the clerk makes of messages, replies and failures: its turns are run by hand, in this thread."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from admission import Policy
from admission import clerk as module
from admission.clerk import Clerk
from admission.core.desk import Desk
from admission.core.drafts import Draft
from admission.core.messages import SayEnded, SayLeft, SayPlaced, SayRefused
from admission.ledger.memory import BookStore
from admission.ledger.requests import AskStatus
from admission.testing import VirtualClock


class Far(BookStore):
    """Books that are worth a pause, as those of a server are."""

    lingers = True


class Office:
    """A clerk over books whose thread is the test's own, and one desk."""

    def __init__(self):
        self.clock = VirtualClock()
        self.clerk = Clerk(Far(self.clock), self.clock)
        self.clerk._thread = threading.current_thread()  # a message starts no other
        self.desk = self.open("p.0")

    def open(self, process):
        """Return one more desk."""
        return Desk("acme", process, Policy(), source_timeout=5.0, fetch=lambda _: None, report=lambda *_, **__: None)


@pytest.mark.parametrize("lines", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_messages_of_a_holder_are_taken_in_order_however_long_the_line_is(monkeypatch, lines):
    office = Office()
    handled = []
    monkeypatch.setattr(office.desk, "handle", lambda message, _: handled.append(message))
    said = [SayPlaced("rid", 1.0, late=False), SayLeft("rid", 2.0, by_value=True), SayEnded("rid", placed=True)]
    for message, office.desk.line in zip(said, (*lines, 0), strict=True):
        office.clerk.post(office.desk, message)
    refused = SayRefused("rid", 3.0, None)
    office.clerk.post(office.desk, refused)
    office.clerk._receive(0.0)
    assert handled == [*said, refused]


def test_who_waits_in_line_is_served_without_a_pause():
    """What may wait a moment while nobody does rings the clerk at once where somebody stands in line."""
    office = Office()
    office.clerk._lingering = True
    office.clerk.post(office.desk, SayEnded("rid", placed=True))
    assert office.clerk._inbox.empty()
    office.desk.line = 1
    office.clerk.post(office.desk, SayEnded("another", placed=True))
    assert not office.clerk._inbox.empty()


class Gone(list):
    """A list that can be gone through once."""

    def __iter__(self):
        yield from super().__iter__()
        self.clear()


def test_a_batch_that_was_not_served_is_given_back_in_one_pass_in_its_order():
    """However many desks it is of: a ledger that is away is tried twice a second."""
    office = Office()
    desks = [office.open(f"p.{number}") for number in range(3)]
    drafts = {desk: [Draft(lambda _: None) for _ in range(2)] for desk in desks}
    office.clerk._failed(Gone((desk, drafts[desk][turn]) for turn in range(2) for desk in desks), OSError("away"))
    assert {desk: list(desk.outbox) for desk in desks} == drafts


def say(office, *makes):
    """Have the desk note what these make."""
    office.clerk._active[office.desk.process] = office.desk
    for make in makes:
        office.desk.outbox.send(make)
    return list(office.desk.outbox)


def fail(office):
    """Have the clerk fail as it sends what is noted."""
    with pytest.raises(ZeroDivisionError) as caught:
        office.clerk._exchange(office.clock.now())
    office.clerk._fail_all(caught.value)


def status(_):
    return AskStatus()


def test_a_note_that_cannot_be_made_takes_no_other_along():
    office = Office()
    noted = say(office, status, lambda _: 1 / 0, status)
    fail(office)
    assert list(office.desk.outbox) == noted


def test_what_was_under_way_when_the_clerk_failed_is_sent_again(monkeypatch):
    office = Office()
    noted = say(office, status, status)
    monkeypatch.setattr(office.clerk.store, "exchange", lambda _: 1 / 0)
    fail(office)
    assert list(office.desk.outbox) == noted


def test_what_a_desk_fails_over_is_not_told_to_it_again(monkeypatch):
    office = Office()
    _, second = say(office, status, status)
    monkeypatch.setattr(office.desk, "replied", lambda *_: 1 / 0)
    fail(office)
    assert list(office.desk.outbox) == [second]


def test_a_clerk_that_fails_again_and_again_pauses(monkeypatch):
    office = Office()
    pauses, turns = [], iter(range(6))

    def turn():
        return any(1 / 0 for _ in turns)

    monkeypatch.setattr(office.clerk, "_turn", turn)
    monkeypatch.setattr(office.clerk, "_wait_idle", lambda: False)
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=pauses.append))
    office.clerk._run()
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5]
