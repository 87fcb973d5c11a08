"""The connection on which callers ask by themselves, and the way that one caller has on it."""

from __future__ import annotations

import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from admission.clerk import PATIENCE, StoreDown
from admission.errors import ConfigurationError
from admission.ledger import scripts
from admission.ledger.checks import Garbled
from admission.ledger.redis.pipe import Pipe, script_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission.ledger.requests import Request, Who
    from admission.ledger.wire import Wire


class Spare:
    """A connection on which callers ask by themselves, one at a time.

    A caller takes it, and gives it back after a whole reply. One that is interrupted, at whatever line, takes it along
    and closes it, or the last reference does; then the clerk makes another.

    Args:
        pool: Whose settings the connection is made with.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._idle: deque[Pipe] = deque(maxlen=1)
        self._known: Callable[[], Pipe | None] = lambda: None
        self._wanted = False

    def take(self) -> RedisWay | None:
        """Return the connection for the running caller, if it is there."""
        try:
            return RedisWay(self._idle.pop(), self._idle)
        except IndexError:
            self._wanted = True
            return None

    def refill(self) -> None:
        """Make the connection if somebody has missed it; the clerk alone does this."""
        if self._wanted and not self._idle and self._known() is None:
            self._wanted = False
            pipe = Pipe(self._pool, socket_timeout=PATIENCE)
            with suppress(RedisError, OSError):
                pipe.connect()
                self._known = weakref.ref(pipe)
                self._idle.append(pipe)

    def close(self) -> None:
        """Close the connection; a caller that has it drops it."""
        self._idle = deque(maxlen=1)


class RedisWay:
    """A caller's own way to the server, for one request.

    Args:
        pipe: The connection.
        home: Where it is given back to.
    """

    __slots__ = ("_home", "_pipe", "_request")

    def __init__(self, pipe: Pipe, home: deque[Pipe]) -> None:
        self._pipe = pipe
        self._home: deque[Pipe] | None = home
        self._request: Request

    def send(self, account: str, who: Who, request: Request) -> None:
        """Send the request."""
        self._request = request
        try:
            self._pipe.send([script_command(self._pipe.run_id, account, who, [request])])
        except (RedisError, OSError) as error:
            raise StoreDown(error) from error

    def fileno(self) -> int:
        """Return the file descriptor on which the reply comes."""
        return self._pipe.fileno()

    def receive(self) -> Wire | None:
        """Return the reply and give the connection back; `None` for an error reply."""
        try:
            reply = self._pipe.reply()
            if isinstance(reply, Exception):
                return None  # and the connection is dropped: it may lead to a server that is read-only now
            (wire,) = scripts.replies(reply, [self._request])
        except (RedisError, OSError, Garbled, ConfigurationError) as error:
            raise StoreDown(error) from error
        self.give_back()
        return wire

    def give_back(self) -> None:
        """Let the next caller have the connection."""
        home, self._home = self._home, None
        if home is not None:
            home.append(self._pipe)

    def drop(self) -> None:
        """Close the connection, unless it was given back."""
        if self._home is not None:
            self._pipe.disconnect()
