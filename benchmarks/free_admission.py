"""What one free admission costs, next to two bare `EVALSHA` round trips of redis-py on the same server.

    python -m benchmarks.free_admission [--chunks 40] [--size 100]

A free admission enters a hold and leaves it with `ended()`. Chunks of both are taken in turn, so that a machine whose
speed drifts does not favour one; the median of the ratios is printed, for both colours.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from typing import TYPE_CHECKING

import redis
import redis.asyncio

from admission import AsyncGuard, Guard, Policy, RedisLedger, Usage
from tests.servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = Policy(visibility_lag=0.1, timeout=30)


class Roomy:
    """A provider that is never full and costs nothing to ask."""

    account = "benchmark"
    timeout = 2.0

    def fetch(self) -> Usage:
        return Usage(limit=1000, count=0)

    async def afetch(self) -> Usage:
        return self.fetch()


def sync_ratios(port: int, chunks: int, size: int) -> Iterator[tuple[float, float]]:
    url = f"redis://127.0.0.1:{port}/0"
    with redis.Redis.from_url(url) as client, Guard(Roomy(), RedisLedger(url), policy=POLICY) as guard:
        sha = client.script_load("return 1")
        with guard.hold() as reservation:
            reservation.ended()
        for _ in range(chunks):
            began = time.perf_counter()
            for _ in range(size):
                client.evalsha(sha, 0)
                client.evalsha(sha, 0)
            floor = time.perf_counter() - began
            began = time.perf_counter()
            for _ in range(size):
                with guard.hold() as reservation:
                    reservation.ended()
            yield time.perf_counter() - began, floor


async def async_ratios(port: int, chunks: int, size: int) -> list[tuple[float, float]]:
    url = f"redis://127.0.0.1:{port}/0"
    pairs = []
    async with (
        redis.asyncio.Redis.from_url(url) as client,
        AsyncGuard(Roomy(), RedisLedger(url), policy=POLICY) as guard,
    ):
        sha = await client.script_load("return 1")
        async with guard.hold() as reservation:
            reservation.ended()
        for _ in range(chunks):
            began = time.perf_counter()
            for _ in range(size):
                await client.evalsha(sha, 0)
                await client.evalsha(sha, 0)
            floor = time.perf_counter() - began
            began = time.perf_counter()
            for _ in range(size):
                async with guard.hold() as reservation:
                    reservation.ended()
            pairs.append((time.perf_counter() - began, floor))
    return pairs


def show(colour: str, pairs: list[tuple[float, float]], size: int) -> None:
    admission = statistics.median(pair[0] for pair in pairs) / size * 1e6
    floor = statistics.median(pair[1] for pair in pairs) / size * 1e6
    ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
    print(f"{colour:5}  admission {admission:6.0f} us   two round trips {floor:6.0f} us   ratio {ratio:5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--chunks", type=int, default=40)
    parser.add_argument("--size", type=int, default=100)
    arguments = parser.parse_args()
    with redis_server() as server:
        show("sync", list(sync_ratios(server.port, arguments.chunks, arguments.size)), arguments.size)
        pairs = asyncio.run(async_ratios(server.port, arguments.chunks, arguments.size))
        show("async", pairs, arguments.size)


if __name__ == "__main__":
    main()
