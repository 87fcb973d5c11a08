"""Runs requests on the servers that keep their accounts: standalone, behind Sentinel, or a cluster."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.cluster import RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ClusterError,
    ConnectionError,  # noqa: A004 - redis-py's own, which its callers expect
    MovedError,
    NoScriptError,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
    TimeoutError,  # noqa: A004 - same
    TryAgainError,
)

from admission.clerk import StoreDown
from admission.errors import ConfigurationError
from admission.ledger import requests, scripts
from admission.ledger.checks import Garbled
from admission.ledger.redis.ear import Ear
from admission.ledger.redis.pipe import Pipe, script_command
from admission.ledger.redis.spare import RedisWay, Spare
from admission.log import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from admission.clerk import Clerk
    from admission.clocks import Clock
    from admission.ledger.requests import Request, Run, Who
    from admission.ledger.wire import Wire


ELSEWHERE = (MovedError, AskError, ClusterDownError, TryAgainError)
"""What a node of a cluster says of slots that it does not have, or not yet."""
NO_CLUSTER = (
    "this server is one node of a cluster, and another keeps the account: give RedisLedger a redis.cluster.RedisCluster"
)
NOBODY = "nobody"
"""Stands for the server of an account whose slot no node of a cluster has."""
TRIES = 3
"""Times that one batch is sent: again when the server has lost its scripts, or an open connection was cut."""


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
                answers = pipe.run([script_command(pipe.run_id, run.account, run.who, run.requests) for run in runs])
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
            except (Garbled, ConfigurationError) as error:
                replies[here] = [error] * len(run.requests)
            return []
        # Below 6, redis-py has the classes of these errors for its cluster client only.
        is_moved = isinstance(answer, (MovedError, AskError)) or str(answer).startswith(("MOVED ", "ASK "))
        replies[here] = [ClusterError(NO_CLUSTER) if is_moved and self._cluster is None else answer] * len(run.requests)
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
        except Exception as error:  # noqa: BLE001 - redis-py's own, or of what the client connects with
            logger.info("admission: the cluster does not tell its slots: %s", error)

    def offers(self) -> list[tuple[str, str]]:
        """Return nothing: offers come over the ear."""
        return []

    def listen(self, clerk: Clerk) -> None:
        """Open the ear, or bring it back."""
        if self._ear is None or not self._ear.alive:
            # Without a thread for it offers come with the beats, until the next exchange tries again.
            with suppress(RuntimeError):
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


def _places(runs: Iterable[Run]) -> list[int]:
    """Return the places of the runs' requests in their batch."""
    return [place for run in runs for place in range(run.first, run.first + len(run.requests))]
