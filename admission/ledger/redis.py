"""The ledger that a fleet shares: the one file that knows redis-py.

A process talks to each server over three connections: one pipe, driven by the clerk's thread, on which the requests of
all its guards travel many at a time; a spare one, on which a caller may ask by itself while slots are free; and one
ear, opened when somebody first stands in line, on which offers are told.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import redis
from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - redis-py's own, which its callers expect
    MovedError,
    NoScriptError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
    TimeoutError,  # noqa: A004 - same
    TryAgainError,
)
from redis.retry import Retry

from admission.clerk import PATIENCE, Clerk, StoreDown
from admission.clocks import SystemClock
from admission.errors import ConfigurationError
from admission.ledger import requests, scripts
from admission.ledger.checks import Garbled
from admission.process import PerProcess, process_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from admission.clocks import Clock
    from admission.ledger.requests import Request, Run, Who
    from admission.ledger.wire import Wire

logger = logging.getLogger("admission")

TIMEOUT = 2.0
"""Seconds for connecting, and for a reply, before the server counts as away."""
EAR_QUIET = 2.0
"""Seconds of silence after which the ear asks whether its connection still is one: nothing tells of a half-open one."""
EAR_PAUSE = 0.5
"""Seconds between two tries to bring the ear back."""
ELSEWHERE = (MovedError, AskError, ClusterDownError, TryAgainError)
"""What a node of a cluster says of slots that it does not have, or not yet."""
NOBODY = "nobody"
"""Stands for the server of an account whose slot no node of a cluster has."""
TRIES = 3
"""Times that one batch is sent: again when the server has lost its scripts, or an open connection was cut."""


class RedisLedger:
    """A ledger on Redis or Valkey, 6.2 or newer: standalone, behind Sentinel, or a cluster.

    Nothing is connected before the first use; a forked child makes connections of its own.

    Args:
        server: A URL (`redis://host:port/db`, `rediss://`, `unix://`), or a redis-py client: `redis.Redis`, also one
            from `Sentinel.master_for`, or `redis.cluster.RedisCluster`. The client's settings are used, its own
            connections are not; closing it stays the caller's business. Both colours of guard work with it: all I/O is
            done by one background thread.

    Raises:
        ConfigurationError: The URL cannot be read, or the client is an asyncio one.
    """

    def __init__(self, server: str | redis.Redis | RedisCluster) -> None:
        if isinstance(server, str):
            client: Any = _client(server)
        elif isinstance(server, (redis.Redis, RedisCluster)):
            client = server
        else:
            raise ConfigurationError(
                f"{type(server).__module__}.{type(server).__name__} is not usable: give a URL, a redis.Redis or a "
                "RedisCluster; AsyncGuard takes them too, its ledger works in a thread of its own"
            )
        self._client = client
        self._clerks = PerProcess(self._new_clerk)

    def __repr__(self) -> str:
        return f"RedisLedger({_where(self._client)})"

    def clerk(self) -> Clerk:
        """Return what drives the guards of the running process."""
        return self._clerks.get()

    def _new_clerk(self) -> Clerk:
        clock = SystemClock()
        return Clerk(RedisStore(self._client, clock), clock)


def _client(url: str) -> redis.Redis:
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            health_check_interval=10,
            retry=Retry(NoBackoff(), 0),
        )
    except (ValueError, TypeError):
        # The URL may carry a password: it is not shown.
        raise ConfigurationError("the Redis URL cannot be read: write redis://host:port/db") from None


def _where(client: Any) -> str:
    """Return where a client connects to, without credentials."""
    if isinstance(client, RedisCluster):
        return "cluster"
    settings = client.connection_pool.connection_kwargs
    if "path" in settings:
        return f"unix://{settings['path']}"
    if "host" not in settings:
        return type(client.connection_pool).__name__
    return f"{settings['host']}:{settings.get('port', 6379)}/{settings.get('db', 0)}"


class Pipe:
    """One connection to one server, for one thread.

    Args:
        pool: Whose settings the connection is made with.
        settings: Settings that differ.
    """

    def __init__(self, pool: Any, **settings: Any) -> None:
        self._pool = pool
        self._settings = settings
        self._connection: Any = None
        self.run_id = ""
        """The server's run id, read once per connection; empty where it may not be read."""

    def run(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands in one go and return their replies; error replies are returned, not raised.

        Raises:
            RedisError: The connection failed; any of the commands may have been run.
        """
        try:
            self.send(commands)
            return [self.reply() for _ in commands]
        except (RedisError, OSError):
            self.disconnect()
            raise

    def connect(self) -> bool:
        """Connect if there is no connection, and learn the server's run id; return whether there was one.

        Raises:
            RedisError: The server cannot be reached.
        """
        if self._connection is not None:
            return True
        # Not from the pool: its connections are the caller's, and it would retry for seconds.
        # Texts come as bytes, whatever the caller's own connections do with theirs.
        settings = self._pool.connection_kwargs | {"decode_responses": False} | self._settings
        self._connection = self._pool.connection_class(**settings)
        self._connection.retry = Retry(NoBackoff(), 0)
        try:
            self._connection.connect()
        except Exception as error:
            self.disconnect()
            if (fault := _fault(error)) is error:
                raise
            raise fault from error
        (info,) = self.run([("INFO", "server")])
        self.run_id = "" if isinstance(info, Exception) else _run_id(info)
        return False

    def send(self, commands: Sequence[tuple[Any, ...]]) -> None:
        """Send commands in one go.

        Raises:
            RedisError: The connection failed.
        """
        connection = self._connection
        try:
            connection.send_packed_command([b"".join(map(pack_command, commands))], check_health=False)
        except Exception as error:
            if (fault := _fault(error)) is error:
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
            if connection.socket_timeout is None and not connection.can_read(timeout=TIMEOUT):
                raise TimeoutError(f"no reply within {TIMEOUT:g} s")  # noqa: TRY301 - as redis-py raises it
            return connection.read_response(disconnect_on_error=False)
        except ResponseError as error:
            return error
        except Exception as error:
            if (fault := _fault(error)) is error:
                raise
            raise fault from error

    def disconnect(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()


def _fault(error: Exception) -> Exception:
    """Return an error as one of redis-py's own: it raises of many kinds when a server goes away under its hands.

    What is of no such kind, a signal's handler has raised in a caller's thread: that is the caller's.
    """
    strange = type(error).__module__.partition(".")[0] in {"builtins", "hiredis"} and not isinstance(error, OSError)
    return ConnectionError(f"{type(error).__name__}: {error}") if strange else error


def _command(run_id: str, account: str, who: Who, requests: Sequence[Request]) -> tuple[Any, ...]:
    keys = scripts.keys(account)
    said = scripts.arguments(run_id, who, requests)
    # Numbers as text: hiredis makes the interpreter crash when a signal's handler raises while it packs a number.
    return ("EVALSHA", scripts.SCRIPT.sha, str(len(keys)), *keys, *map(str, said))


def _places(runs: Iterable[Run]) -> list[int]:
    """Return the places of the runs' requests in their batch."""
    return [place for run in runs for place in range(run.first, run.first + len(run.requests))]


def _run_id(info: Any) -> str:
    text = info.decode("utf-8", "replace") if isinstance(info, bytes) else str(info)
    for line in text.splitlines():
        if line.startswith("run_id:"):
            return line.partition(":")[2].strip()
    return ""


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
            self._pipe.send([_command(self._pipe.run_id, account, who, [request])])
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
        except (RedisError, OSError, Garbled) as error:
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


class RedisStore:
    """Runs requests as scripts.

    Args:
        client: The client whose settings are used.
        clock: The process's clock.
    """

    lingers = True

    def __init__(self, client: Any, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._cluster = client if isinstance(client, RedisCluster) else None
        self._pipes: dict[str, Pipe] = {}
        self._spares: dict[str, Spare] = {}
        self._ear: Ear | None = None

    def exchange(self, batch: Sequence[tuple[str, Who, Request]]) -> list[Wire | Exception]:
        """Run requests in order, all of one server in one round trip; a server that is away fails only its own."""
        replies: list[Any] = [None] * len(batch)
        by_server: dict[str, list[Run]] = {}
        failure: Exception | None = None
        for run in requests.runs(batch, scripts.MOST_REQUESTS):
            by_server.setdefault(self._server_of(run.account), []).append(run)
        for server, runs in by_server.items():
            try:
                self._run(server, runs, replies)
                self._spares[server].refill()
            except (RedisError, OSError) as error:
                failure = error
                for place in _places(runs):
                    replies[place] = error if replies[place] is None else replies[place]
        if failure is not None:
            self._look_around()
            if all(isinstance(reply, Exception) for reply in replies):
                raise StoreDown(failure) from failure
        return replies

    def _run(self, server: str, runs: list[Run], replies: list[Any]) -> None:
        """Have a server run what it is to run; again what it may understand the next time."""
        if server not in self._pipes:
            raise ConnectionError("no server of the cluster has the account's slot")
        places = _places(runs)
        self._have_run(server, runs, replies)
        strange = (reply for place in places if isinstance(reply := replies[place], (Garbled, ResponseError)))
        if any(not isinstance(reply, ELSEWHERE) for reply in strange):
            # It may be out of step; or read-only now, and its address, or a sentinel, may lead to another.
            self._pipes[server].disconnect()

    def _have_run(self, server: str, runs: list[Run], replies: list[Any]) -> None:
        pipe = self._pipes[server]
        for _ in range(TRIES):
            known = pipe.run_id
            was_open = pipe.connect()
            if not was_open:
                self._spares[server].close()
            if known not in {"", pipe.run_id} and self._ear is not None:
                self._ear.renew()
            try:
                answers = pipe.run([_command(pipe.run_id, run.account, run.who, run.requests) for run in runs])
            except TimeoutError:
                raise
            except (RedisError, OSError):
                if was_open:
                    continue  # an old connection that was cut: all requests may run twice, so try a new one
                raise
            taken = [self._take(run, answer, replies) for run, answer in zip(runs, answers, strict=True)]
            runs = [run for again in taken for run in again]
            if not runs:
                return
            pipe.run([("SCRIPT", "LOAD", scripts.SCRIPT.source)])

    def _take(self, run: Run, answer: Any, replies: list[Any]) -> list[Run]:
        """Take what a run was answered; return the runs to try again at once."""
        here = slice(run.first, run.first + len(run.requests))
        if not isinstance(answer, Exception):
            try:
                replies[here] = scripts.replies(answer, run.requests)
            except Garbled as error:
                replies[here] = [error] * len(run.requests)
            return []
        replies[here] = [answer] * len(run.requests)
        if isinstance(answer, NoScriptError):
            return [run]
        if isinstance(answer, ELSEWHERE):
            self._look_around()
            return []
        # Whatever one request has stumbled over is not to keep the others from the ledger.
        return run.apart() if len(run.requests) > 1 else []

    def way(self, account: str) -> RedisWay | None:
        """Return the connection that callers may have, if it is there."""
        try:
            spare = self._spares.get("" if self._cluster is None else self._node_of(account).name)
        except SlotNotCoveredError:
            return None
        return None if spare is None else spare.take()

    def _server_of(self, account: str) -> str:
        """Return the name of the server that keeps an account, and make the pipe to it if needed."""
        if self._cluster is None:
            name, pool = "", self._client.connection_pool
        else:
            cluster: Any = self._cluster
            try:
                node = self._node_of(account)
            except SlotNotCoveredError:
                return NOBODY
            name, pool = node.name, cluster.get_redis_connection(node).connection_pool
        if name not in self._pipes:
            self._pipes[name] = Pipe(pool)
            self._spares[name] = Spare(pool)
        return name

    def _node_of(self, account: str) -> Any:
        cluster: Any = self._cluster
        return cluster.nodes_manager.get_node_from_slot(cluster.keyslot(scripts.keys(account)[0]))

    def _look_around(self) -> None:
        """After a fault, ask the cluster anew who keeps what."""
        if self._cluster is None:
            return
        manager: Any = self._cluster.nodes_manager
        try:
            manager.initialize()
        except (RedisError, RedisClusterException, OSError) as error:
            logger.info("admission: the cluster does not tell its slots: %s", error)

    def offers(self) -> list[tuple[str, str]]:
        """Return nothing: offers come over the ear."""
        return []

    def listen(self, clerk: Clerk) -> None:
        """Open the ear, or bring it back."""
        if self._ear is None or not self._ear.alive:
            self._ear = Ear(self._client, clerk)

    def disconnect(self) -> None:
        """Close all connections."""
        for pipe in self._pipes.values():
            pipe.disconnect()
        self._pipes.clear()
        for spare in self._spares.values():
            spare.close()
        self._spares.clear()
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.stop()


class Ear:
    """The listening connection of this process, and the thread that reads it."""

    def __init__(self, client: Any, clerk: Clerk) -> None:
        self._client = client
        self._clerk = clerk
        self._stopped = threading.Event()
        self._renewed = False
        self._listening = True
        """Whether it listened at last: an outage is told once."""
        self.strange = 0
        """Messages of which nothing was understood."""
        self._token = process_token()
        self._channel = scripts.wake_channel(self._token)
        self._thread = threading.Thread(target=self._listen, name="admission-ear", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it listens, or tries to."""
        return self._thread.is_alive()

    def renew(self) -> None:
        """Make a new connection: the old one may be to a server that nobody writes to any more."""
        self._renewed = True

    def stop(self) -> None:
        """Close the connection and end the thread."""
        self._stopped.set()
        self._thread.join(timeout=TIMEOUT)

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen_once()
            except Exception as error:  # noqa: BLE001 - see `_fault`
                if self._listening:
                    logger.info("admission: the wake-up connection broke: %s; it is brought back", _fault(error))
                self._listening = False
                self._stopped.wait(EAR_PAUSE)

    def _listen_once(self) -> None:
        self._renewed = False
        # What one node of a cluster is told to publish all of them do: so any that is there will do.
        is_cluster = isinstance(self._client, RedisCluster)
        pubsub = self._client.pubsub(**{"node": self._client.get_random_node()} if is_cluster else {})
        try:
            pubsub.subscribe(self._channel)
            heard_at, asked = time.monotonic(), False
            while not self._stopped.is_set() and not self._renewed:
                try:
                    message = pubsub.get_message(timeout=0.25)
                except UnicodeDecodeError:  # of a client that wants texts
                    heard_at, asked = time.monotonic(), False
                    self._pass_over()
                    continue
                if message is None:
                    quiet = time.monotonic() - heard_at
                    if quiet > EAR_QUIET + TIMEOUT:
                        raise TimeoutError(f"nothing was heard for {quiet:.1f} s")
                    if quiet > EAR_QUIET and not asked:
                        pubsub.ping()
                        asked = True
                    continue
                heard_at, asked = time.monotonic(), False
                if message["type"] == "subscribe":
                    self._listening = True
                    self._clerk.listening()
                elif message["type"] == "message":
                    self._hear(message["data"])
        finally:
            pubsub.close()

    def _hear(self, data: Any) -> None:
        told = scripts.seats_told(data, self._token)
        if not told:
            self._pass_over()
        for process, seats in told.items():
            self._clerk.offered(process, seats)

    def _pass_over(self) -> None:
        """Count a message of which nothing is understood, and tell of the first, the tenth, the hundredth..."""
        self.strange += 1
        if str(self.strange).strip("0") == "1":
            logger.warning("admission: %d wake-up messages were not of this library's making", self.strange)


__all__ = ["RedisLedger"]
