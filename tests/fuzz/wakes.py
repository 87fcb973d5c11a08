"""Wake-up messages: whatever comes on a process's channel, its listener goes on and its callers keep their place.

An input is messages with a line `--` between them. One that begins with `str:` comes as text, as to a client that wants
it so, and `raise:` stands for bytes that such a client cannot make a text of. `TOKEN` stands for the process's own.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from admission import Policy
from admission.clerk import Clerk
from admission.clocks import VirtualClock
from admission.core.desk import Desk
from admission.core.messages import AskFor, Offered, Want
from admission.ledger.memory import BookStore
from admission.ledger.redis.ear import Ear
from admission.ledger.requests import Beat
from admission.ledger.wire import Kind
from admission.process import process_token

if TYPE_CHECKING:
    from admission.core.messages import Mail

TOKEN = process_token()
PATIENCE = 20.0
SEATS = ("0", "1", "ff")


class Box:
    """Mail that a caller got."""

    def __init__(self) -> None:
        self.mail: list[Mail | None] = []

    def put(self, mail: Mail | None) -> bool:
        self.mail.append(mail)
        return True


class Channel:
    """What redis-py gives a listener: the messages of an input, then silence."""

    connection_pool = None

    def __init__(self, messages: list[bytes]) -> None:
        self._left = [{"type": "subscribe", "data": 1}, *map(_message, messages)]
        self.silent = threading.Event()
        self.opened = 0

    def pubsub(self) -> Channel:
        self.opened += 1
        return self

    def subscribe(self, channel: str) -> None:
        assert channel.endswith(TOKEN)

    def get_message(self, timeout: float) -> dict[str, Any] | None:
        if not self._left:
            self.silent.set()
            self._stop.wait(timeout)
            return None
        message = self._left.pop(0)
        if isinstance(message["data"], UnicodeDecodeError):
            raise message["data"]
        return message

    def until_silent(self, ear: Ear) -> None:
        assert self.silent.wait(PATIENCE)
        assert ear.alive

    def close(self) -> None:
        """Nothing is open."""

    _stop = threading.Event()


def _message(data: bytes) -> dict[str, Any]:
    kind, _, rest = data.partition(b":")
    if kind == b"raise":
        return {"type": "message", "data": UnicodeDecodeError("utf-8", data, 0, 1, "no text")}
    return {"type": "message", "data": rest.decode("utf-8", "surrogateescape") if kind == b"str" else data}


def check(data: bytes) -> None:
    """Deliver the messages of an input.

    Raises:
        AssertionError: What came of it must not.
    """
    logging.disable(logging.CRITICAL)
    try:
        _check(data.replace(b"TOKEN", TOKEN.encode()).split(b"\n--\n"))
    finally:
        logging.disable(logging.NOTSET)


def _check(messages: list[bytes]) -> None:
    clock = VirtualClock()
    clerk = Clerk(BookStore(clock), clock)
    policy = Policy()
    desk = Desk("acme", f"{TOKEN}.0", policy, source_timeout=5, fetch=lambda _: None, report=lambda *_, **__: None)
    clerk._desks[desk.process] = desk
    boxes = {}
    for seat in SEATS:
        name, box = f"{TOKEN}.0.{seat}", Box()
        boxes[name] = box
        want = Want(box, name, name, "default", Kind.HOLD, policy, clock.now(), None, join=True)
        desk.handle(AskFor(want), clock.now())
    desk.outbox.clear()
    channel = Channel(messages)
    ear = Ear(channel, clerk)
    try:
        channel.until_silent(ear)
    finally:
        Channel._stop.set()
        ear.stop()
        Channel._stop.clear()
    assert not ear.alive
    assert channel.opened == 1
    clerk._receive(0.0)
    for name, box in boxes.items():
        assert all(isinstance(mail, Offered) for mail in box.mail)
        assert len(box.mail) <= len(messages)
        assert not box.mail or any(name.encode() in message for message in messages)
    assert set(desk.callers.wants) == set(boxes)
    # What nobody here knows of costs one beat, whatever it is and however many there are.
    assert len(desk.outbox) <= 1
    assert all(isinstance(request, Beat) for _, _, request in desk.take(clock.now()))
    assert ear.strange <= len(messages)
