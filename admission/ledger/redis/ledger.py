"""The ledger that a fleet shares, as users make it.

A process talks to each server over three connections: one pipe, driven by the clerk's thread, on which the requests of
all its guards travel many at a time; a spare one, on which a caller may ask by itself while slots are free; and one
ear, opened when somebody first stands in line, on which offers are told.

redis-py, and what speaks to it, is imported with the first ledger: it takes as long as all the rest of the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from admission.clerk import Clerk
from admission.clocks import SystemClock
from admission.errors import ConfigurationError
from admission.process import PerProcess

if TYPE_CHECKING:
    import redis
    from redis.cluster import RedisCluster


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
        import redis  # noqa: PLC0415 - see above

        if isinstance(server, str):
            client: Any = _client(server)
        elif isinstance(server, (redis.Redis, redis.RedisCluster)):
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
        from admission.ledger.redis.store import RedisStore  # noqa: PLC0415 - see above

        clock = SystemClock()
        return Clerk(RedisStore(self._client, clock), clock)


def _client(url: str) -> redis.Redis:
    import redis  # noqa: PLC0415 - see above
    from redis.backoff import NoBackoff  # noqa: PLC0415 - see above
    from redis.retry import Retry  # noqa: PLC0415 - see above

    from admission.ledger.redis.pipe import TIMEOUT  # noqa: PLC0415 - see above

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
    import redis  # noqa: PLC0415 - see above

    if isinstance(client, redis.RedisCluster):
        return "cluster"
    settings = client.connection_pool.connection_kwargs
    if "path" in settings:
        return f"unix://{settings['path']}"
    if "host" not in settings:
        return type(client.connection_pool).__name__
    return f"{settings['host']}:{settings.get('port', 6379)}/{settings.get('db', 0)}"
