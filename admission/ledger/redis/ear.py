"""The connection on which a process is told its offers, and the thread that listens on it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from redis.cluster import RedisCluster
from redis.exceptions import TimeoutError  # noqa: A004 - redis-py's own

from admission.ledger import scripts
from admission.ledger.redis.pipe import TIMEOUT, fault_of, new_connection
from admission.log import logger
from admission.process import process_token

if TYPE_CHECKING:
    from admission.clerk import Clerk


QUIET = 2.0
"""Seconds of silence after which the ear asks whether its connection still is one: nothing tells of a half-open one."""
PAUSE = 0.5
"""Seconds between two tries to bring the ear back."""


class _Own:
    """Stands for the caller's pool where redis-py takes a connection from one: it is given one of our own.

    Args:
        pool: The caller's.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def get_connection(self, *_args: Any, **_settings: Any) -> Any:
        """Return a new connection that is connected."""
        connection = new_connection(self._pool)
        connection.connect()
        return connection

    def release(self, connection: Any) -> None:
        """Close a connection."""
        connection.disconnect()


class Ear:
    """The listening connection of this process, and the thread that reads it."""

    def __init__(self, client: Any, clerk: Clerk) -> None:
        self._client = client
        self._clerk = clerk
        self._stopped = threading.Event()
        self._renewed = False
        self._listening = True
        """Whether it listened at last: an outage is told once."""
        self.strange: int = 0
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
            except Exception as error:  # noqa: BLE001 - see `fault_of`
                if self._listening:
                    logger.info("admission: the wake-up connection broke: %s; it is brought back", fault_of(error))
                self._listening = False
                self._stopped.wait(PAUSE)

    def _listen_once(self) -> None:
        self._renewed = False
        # What one node of a cluster is told to publish all of them do: so any that is there will do.
        is_cluster = isinstance(self._client, RedisCluster)
        pubsub = self._client.pubsub(**{"node": self._client.get_random_node()} if is_cluster else {})
        pubsub.connection_pool = _Own(pubsub.connection_pool)
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
                    if quiet > QUIET + TIMEOUT:
                        raise TimeoutError(f"nothing was heard for {quiet:.1f} s")
                    if quiet > QUIET and not asked:
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
