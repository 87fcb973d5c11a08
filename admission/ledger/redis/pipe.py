"""One connection to one server: what is sent on it, and what is made of the errors that come up on it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.exceptions import (
    ConnectionError,  # noqa: A004 - redis-py's own, which its callers expect
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from admission.ledger import scripts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from admission.ledger.requests import Request, Who

TIMEOUT = 2.0
"""Seconds for connecting, and for a reply, before the server counts as away."""


class Pipe:
    """One connection to one server, for one thread: a caller's own only sends on it, and takes replies.

    Args:
        pool: Whose settings the connection is made with.
        settings: Settings that differ.
    """

    def __init__(self, pool: Any, **settings: Any) -> None:
        self._pool = pool
        self._settings = settings
        self._connection: Any = None
        self.run_id: str = ""
        """The server's run id, read once per connection; empty where it may not be read."""

    def run(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands in one go and return their replies; error replies are returned, not raised.

        Raises:
            RedisError: The connection failed; any of the commands may have been run.
        """
        with self._whole():
            self.send(commands)
            return [self.reply() for _ in commands]

    def connect(self) -> bool:
        """Connect if there is no connection, and learn the server's run id; return whether there was one.

        Raises:
            RedisError: The server cannot be reached.
        """
        if self._connection is not None:
            return True
        with self._whole():
            # Texts come as bytes, whatever the caller's own connections do with theirs.
            self._connection = new_connection(self._pool, **{"decode_responses": False} | self._settings)
            self._connection.connect()
        (info,) = self.run([("INFO", "server")])
        self.run_id = "" if isinstance(info, Exception) else _run_id(info)
        return False

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Close the connection on any error, which is its own: this is no caller's thread, where a signal raises.

        It need be none of redis-py's: what the client was given to connect with raises what it likes.
        """
        try:
            yield
        except Exception as error:
            self.disconnect()
            if isinstance(error, (RedisError, OSError)):
                raise
            raise _named(error) from error

    def send(self, commands: Sequence[tuple[Any, ...]]) -> None:
        """Send commands in one go.

        Raises:
            RedisError: The connection failed.
        """
        connection = self._connection
        try:
            connection.send_packed_command([b"".join(map(pack_command, commands))], check_health=False)
        except Exception as error:
            if (fault := fault_of(error)) is error:
                raise
            raise fault from error

    def fileno(self) -> int:
        """Return the connection's file descriptor."""
        place: int = self._connection._sock.fileno()  # noqa: SLF001 - redis-py has no other name for it
        return place

    def reply(self) -> Any:
        """Return the next reply; an error reply is returned, not raised.

        Raises:
            RedisError: The connection failed, or was too slow.
        """
        connection = self._connection
        try:
            return connection.read_response(disconnect_on_error=False)
        except ResponseError as error:
            return error
        except Exception as error:
            if (fault := fault_of(error)) is error:
                raise
            raise fault from error

    def disconnect(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()


def new_connection(pool: Any, **settings: Any) -> Any:
    """Return a connection with a pool's settings, and others that differ, which is not connected yet.

    It is not the pool's: those are the caller's, and would retry for seconds. It has a time-out, if the pool's have
    none: a server that answers nothing, or half a reply, would hold up the ledger for ever.
    """
    connection = pool.connection_class(**pool.connection_kwargs | settings)
    connection.retry = Retry(NoBackoff(), 0)
    for name in ("socket_timeout", "socket_connect_timeout"):
        if getattr(connection, name, None) is None:
            setattr(connection, name, TIMEOUT)
    return connection


def fault_of(error: Exception) -> Exception:
    """Return an error as one of redis-py's own: it raises of many kinds when a server goes away under its hands.

    What is of no such kind, a signal's handler has raised in a caller's thread: that is the caller's.
    """
    strange = type(error).__module__.partition(".")[0] in {"builtins", "hiredis"} and not isinstance(error, OSError)
    return _named(error) if strange else error


def _named(error: Exception) -> ConnectionError:
    return ConnectionError(f"{type(error).__name__}: {error}")


def _run_id(info: Any) -> str:
    text = info.decode("utf-8", "replace") if isinstance(info, bytes) else str(info)
    for line in text.splitlines():
        if line.startswith("run_id:"):
            return line.partition(":")[2].strip()
    return ""


def script_command(run_id: str, account: str, who: Who, requests: Sequence[Request]) -> tuple[Any, ...]:
    """Return the command that has a server, known by its `run_id`, run requests at an account."""
    keys = scripts.keys(account)
    said = scripts.arguments(run_id, who, requests)
    # Numbers as text: hiredis makes the interpreter crash when a signal's handler raises while it packs a number.
    return ("EVALSHA", scripts.SCRIPT.sha, str(len(keys)), *keys, *map(str, said))
