"""Packages that share a concurrency limit over Redis, each the way its own documentation says it is used.

Installed by the extra `bench`, imported when opened. Whoever gives each waiter a connection gets a pool that is large
enough for all its callers: with redis-py's own 100 several of them come to a stand.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import redis
import redis.asyncio

from benchmarks.subjects import AsyncSlots, Setup, Slots, Subject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NAME = "benchmark"
PATIENCE = 3600
"""Seconds that a caller waits, where it has to be said."""
LEASE = 30
"""Whole seconds of a lease, where its length does not matter."""
CONNECTIONS = 2_000
"""Waiters of one process, where each has a connection: the server takes 10,000 in all."""


def _connections(setup: Setup) -> int:
    return 2 * setup.callers + 20


@asynccontextmanager
async def self_limiters(setup: Setup) -> AsyncIterator[AsyncSlots]:
    from self_limiters import Semaphore  # noqa: PLC0415 - it may not be installed

    semaphore = Semaphore(
        name=NAME,
        capacity=setup.limit,
        max_sleep=PATIENCE,
        expiry=setup.lease or LEASE,
        redis_url=setup.url,
        connection_pool_size=_connections(setup),
    )
    yield lambda: semaphore


@asynccontextmanager
async def steindamm_async(setup: Setup) -> AsyncIterator[AsyncSlots]:
    from steindamm import AsyncSemaphore  # noqa: PLC0415 - it may not be installed

    async with redis.asyncio.Redis.from_url(setup.url, max_connections=_connections(setup)) as client:
        settings = {"name": NAME, "capacity": setup.limit, "expiry": setup.lease or LEASE, "max_sleep": PATIENCE}
        yield lambda: AsyncSemaphore.create(connection=client, **settings)


@contextmanager
def steindamm_sync(setup: Setup) -> Iterator[Slots]:
    from steindamm import SyncSemaphore  # noqa: PLC0415 - it may not be installed

    with redis.Redis.from_url(setup.url, max_connections=_connections(setup)) as client:
        settings = {"name": NAME, "capacity": setup.limit, "expiry": setup.lease or LEASE, "max_sleep": PATIENCE}
        yield lambda: SyncSemaphore.create(connection=client, **settings)


@asynccontextmanager
async def py_redis_semaphore_async(setup: Setup) -> AsyncIterator[AsyncSlots]:
    from redis_semaphore import Semaphore, SemaphoreConfig  # noqa: PLC0415 - it may not be installed

    logging.getLogger("redis_semaphore").setLevel(logging.ERROR)
    config = SemaphoreConfig(name=NAME, limit=setup.limit, lock_timeout=setup.lease or LEASE)
    async with redis.asyncio.Redis.from_url(setup.url, max_connections=_connections(setup)) as client:
        yield lambda: Semaphore(client, config)


@contextmanager
def py_redis_semaphore_sync(setup: Setup) -> Iterator[Slots]:
    from redis_semaphore import Semaphore, SemaphoreConfig  # noqa: PLC0415 - it may not be installed

    logging.getLogger("redis_semaphore").setLevel(logging.ERROR)
    config = SemaphoreConfig(name=NAME, limit=setup.limit, lock_timeout=setup.lease or LEASE)
    with redis.Redis.from_url(setup.url, max_connections=_connections(setup)) as client:
        yield lambda: Semaphore(client, config)


@asynccontextmanager
async def async_redis_rate_limiters(setup: Setup) -> AsyncIterator[AsyncSlots]:
    from async_redis_rate_limiters import DistributedSemaphoreManager  # noqa: PLC0415 - it may not be installed

    manager = DistributedSemaphoreManager(
        redis_url=setup.url, redis_ttl=setup.lease or LEASE, redis_max_connections=2 * _connections(setup)
    )
    yield lambda: manager.get_semaphore(NAME, setup.limit)


@asynccontextmanager
async def fastapi_stream_lease(setup: Setup) -> AsyncIterator[AsyncSlots]:
    from fastapi_stream_lease import LeaseConfig, StreamLeaseManager  # noqa: PLC0415 - it may not be installed

    config = LeaseConfig(
        lease_seconds=setup.lease or LEASE, max_per_user=setup.limit, max_global=0, acquire_timeout=PATIENCE
    )
    async with (
        redis.asyncio.Redis.from_url(setup.url, max_connections=_connections(setup)) as client,
        StreamLeaseManager(client, config) as manager,
    ):
        yield lambda: manager.lease(NAME)


@contextmanager
def concurrency_limit(setup: Setup) -> Iterator[Slots]:
    from concurrency_limit import LimitConfiguration, RedisConfiguration, limit  # noqa: PLC0415 - same as above

    pool = redis.BlockingConnectionPool.from_url(setup.url, max_connections=_connections(setup))
    server = RedisConfiguration(connection_pool=pool)
    shared = LimitConfiguration(key=NAME, limit=setup.limit, limit_timeout=PATIENCE, limit_expire=setup.lease or LEASE)
    yield lambda: limit(server, shared)


PEERS = (
    Subject("steindamm", "async", steindamm_async, "steindamm", CONNECTIONS),
    Subject("steindamm", "sync", steindamm_sync, "steindamm", CONNECTIONS),
    Subject("self-limiters", "async", self_limiters, "self-limiters", CONNECTIONS),
    Subject("py-redis-semaphore", "async", py_redis_semaphore_async, "py-redis-semaphore", CONNECTIONS),
    Subject("py-redis-semaphore", "sync", py_redis_semaphore_sync, "py-redis-semaphore", CONNECTIONS),
    Subject("async-redis-rate-limiters", "async", async_redis_rate_limiters, "async-redis-rate-limiters", CONNECTIONS),
    Subject("fastapi-stream-lease", "async", fastapi_stream_lease, "fastapi-stream-lease"),
    Subject("concurrency-limit", "sync", concurrency_limit, "concurrency-limit"),
)
