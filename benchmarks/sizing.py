"""What one of each takes: an account, a process, a reservation, a waiter, a call, a beat. `cluster.py` adds them up."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from admission import AsyncGuard, Policy, RedisLedger
from admission.ledger import scripts
from benchmarks.accounts import Counting, used_memory
from benchmarks.harness import Spent
from benchmarks.report import Column, Result
from tests.servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    import redis

    from admission import Status
    from benchmarks.harness import Options
    from benchmarks.report import Row
    from tests.servers import Server

T = TypeVar("T")
MANY = 500
"""Reservations, or waiters, whose bytes are measured together."""
GUARDS = 20
"""Processes, as far as the ledger can tell."""
ACCOUNTS = 300
AT_ONCE = 30
SPREAD = 0.013
"""Seconds from one to the next, where many do the same."""
TALK = 0.3
"""Seconds of a call: its end is told in a message of its own."""
PATIENCE = 120.0
STALE = 2.0
"""Seconds after which a reading is too old here: so each account is quiet when its next call comes."""
POLICY = Policy(visibility_lag=0.1, max_waiting=1_000_000)
CALL_ID = "call-{:027}"
"""As long as a UUID without its dashes."""

COLUMNS = (
    Column("subject", "one"),
    Column("bytes", "bytes in Redis", ",.0f"),
    Column("runs", "script runs", ".2f"),
    Column("redis_us", "Redis us", ",.0f"),
    Column("client_us", "client us", ",.0f"),
)
LETTERS = len(CALL_ID.format(0))
NOTES = (
    f"Bytes: of accounts, by the growth of the server's memory for {ACCOUNTS} of them; else MEMORY USAGE of the",
    f"keys, of {MANY} together; call ids of {LETTERS} letters. A call: claimed, placed(), ended(), with all readings",
    "that it asks for. In a quiet account it finds none that is young enough; in a busy one, callers of one process",
    f"speak together, {AT_ONCE} of them. Redis us, client us: processor time of the server, and of the process, in",
    "which the stand-in provider is too.",
)


class Cost(NamedTuple):
    """What something took: runs of the script, and seconds of processor time of the server and of this process."""

    runs: float
    redis: float
    client: float

    def of(self, number: float) -> Cost:
        """Return it for one of a number."""
        return Cost(*(part / number for part in self))


@dataclass(frozen=True)
class Units:
    """What one of each takes; bytes, or a `Cost`.

    Attributes:
        account, in_use, slot, process, held, waiting, call_id, gave_up: Bytes in Redis.
            `slot`: of each slot of a cluster that has accounts.
        quiet, busy: A call in an account with nothing else to do, and in one that has always something to do.
        beat: A second of an account in which a process has something booked.
    """

    account: float
    in_use: float
    slot: float
    process: float
    held: float
    waiting: float
    call_id: float
    gave_up: float
    quiet: Cost
    busy: Cost
    beat: Cost


def run(options: Options) -> Result:
    """Measure one of each."""
    units = measure(options)
    rows: list[Row] = [
        {"subject": "account that was used", "bytes": units.account},
        {"subject": "the same with a held reservation", "bytes": units.in_use},
        {"subject": "slot of a cluster that has accounts", "bytes": units.slot},
        {"subject": "further process in an account", "bytes": units.process},
        {"subject": "further reservation that is held, with its call id", "bytes": units.held},
        {"subject": "caller in line", "bytes": units.waiting},
        {"subject": "call id, for the hour in which it is remembered", "bytes": units.call_id},
        {"subject": "caller who gave up, for ten minutes", "bytes": units.gave_up},
        _row("call in a quiet account", units.quiet),
        _row("call in a busy account", units.busy),
        _row("second of one process with something booked in one account", units.beat),
    ]
    return Result(title="sizing: what one of each takes", columns=COLUMNS, rows=rows, notes=NOTES)


def _row(subject: str, cost: Cost) -> Row:
    return {"subject": subject, "runs": cost.runs, "redis_us": cost.redis * 1e6, "client_us": cost.client * 1e6}


@cache
def measure(options: Options) -> Units:
    """Measure one of each, with a server of its own for bytes and one for times; once for all who ask."""

    async def bounded() -> Units:
        async with asyncio.timeout(PATIENCE):
            with options.redis() as server, server.client() as client:
                process, *sizes = await _bytes(server.url, client)
            with options.redis() as server, server.client() as client:
                (account, in_use), *costs = await _costs(server.url, client, 2.0 if options.quick else 6.0)
            with _cluster_of_one(options.server) as server, server.client() as client:
                slot = await _account(server.url, client) - account
            return Units(account, in_use, slot, process, *sizes, *costs)

    return asyncio.run(bounded())


@contextmanager
def _cluster_of_one(binary: str) -> Iterator[Server]:
    with redis_server(binary, options=("--cluster-enabled", "yes")) as server, server.client() as client:
        client.execute_command("CLUSTER ADDSLOTS", *range(16_384))
        until = time.monotonic() + PATIENCE
        while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok" and time.monotonic() < until:
            time.sleep(0.1)
        yield server


# Bytes


async def _account(url: str, client: redis.Redis) -> float:
    """Return the bytes of an account that was used."""
    async with AsyncExitStack() as stack:
        guards = await _open(stack, url, POLICY)
        return await _use(guards, client)


async def _open(stack: AsyncExitStack, url: str, policy: Policy) -> list[AsyncGuard]:
    ledger = RedisLedger(url)
    return [
        await stack.enter_async_context(AsyncGuard(Counting(MANY), ledger, account=f"a{number}", policy=policy))
        for number in range(ACCOUNTS + 1)
    ]


async def _use(guards: list[AsyncGuard], client: redis.Redis) -> float:
    """Make a call in each account; return the bytes that one takes then."""
    await _call(guards[0], "")  # what comes once for a server, such as the scripts, is no account's
    before = used_memory(client)
    for first in range(0, len(guards), AT_ONCE):
        await asyncio.gather(*(_call(guard, "") for guard in guards[first : first + AT_ONCE]))
    return (used_memory(client) - before) / (len(guards) - 1)


def usage(client: redis.Redis, account: str) -> int:
    """Return the bytes of all keys of an account."""
    return sum(client.memory_usage(key, samples=0) or 0 for key in scripts.keys(account))


async def _bytes(url: str, client: redis.Redis) -> tuple[float, ...]:
    source = Counting(2 * MANY)  # those that were just placed are counted twice for a while
    ledger = RedisLedger(url)
    async with AsyncExitStack() as stack:
        guard = await stack.enter_async_context(AsyncGuard(source, ledger, policy=POLICY))
        await _call(guard, "")
        await guard.status()
        account = usage(client, source.account)
        held = []
        for number in range(MANY):
            held.append(await guard.acquire())
            source.count += 1
            held[-1].placed(CALL_ID.format(number))
        await _until(guard.refresh, lambda status: status.held == MANY)
        source.limit = MANY
        await guard.refresh()
        full = usage(client, source.account)
        line = [asyncio.create_task(guard.acquire()) for _ in range(MANY)]
        await _until(guard.status, lambda status: status.waiting == MANY)
        with_line = usage(client, source.account)
        for task in line:
            task.cancel()
        await asyncio.gather(*line, return_exceptions=True)
        await _until(guard.status, lambda status: status.waiting == 0)
        gave_up = usage(client, source.account) - full
        source.count = 0
        for reservation in held:
            reservation.ended()
        await _until(guard.status, lambda status: status.held == 0)
        remembered = usage(client, source.account) - account - gave_up
        others = [await stack.enter_async_context(AsyncGuard(source, ledger, policy=POLICY)) for _ in range(GUARDS)]
        before = usage(client, source.account)
        for other in others:
            await _call(other, "")
            await other.status()
        processes = usage(client, source.account) - before
    many = ((part / MANY) for part in (full - account, with_line - full, remembered, gave_up))
    return (processes / GUARDS, *many)


async def _until(look: Callable[[], Awaitable[Status]], condition: Callable[[Status], bool]) -> None:
    while not condition(await look()):  # noqa: ASYNC110 - a ledger in another process tells no events
        await asyncio.sleep(0.1)


async def _call(guard: AsyncGuard, call_id: str) -> None:
    async with guard.hold() as reservation:
        reservation.placed(call_id or None)
        await asyncio.sleep(TALK)
        reservation.ended()


# Times


def runs(client: redis.Redis) -> int:
    """Return how often a server has run the script."""
    told = client.info("commandstats").get("cmdstat_evalsha", {})
    return int(told.get("calls", 0))


class Meter:
    """Measures from its making on.

    Args:
        clients: One for each server.
    """

    def __init__(self, *clients: redis.Redis) -> None:
        self._clients = clients
        self._runs, self._cpu, self._own = self._now()
        self._began = time.monotonic()

    def _now(self) -> tuple[int, float, float]:
        return (
            sum(map(runs, self._clients)), sum(Spent.of(client).cpu for client in self._clients), time.process_time(),
        )  # fmt: skip

    @property
    def seconds(self) -> float:
        """Seconds since its making."""
        return time.monotonic() - self._began

    def read(self, idle: float = 0.0) -> Cost:
        """Return what was spent; less what the servers spend each second on nothing."""
        called, cpu, own = self._now()
        return Cost(called - self._runs, cpu - self._cpu - idle * self.seconds, own - self._own)


async def _costs(url: str, client: redis.Redis, seconds: float) -> tuple[tuple[float, float], Cost, Cost, Cost]:
    """Return the bytes of an account, idle and in use, and the costs; all is spread over time, as it is in a fleet."""
    meter = Meter(client)
    await asyncio.sleep(seconds / 2)
    idle = meter.read().redis / meter.seconds
    async with AsyncExitStack() as stack:
        guards = await _open(stack, url, Policy(visibility_lag=0.1, max_staleness=STALE))
        account = await _use(guards, client)
        await asyncio.sleep(STALE)
        # Each account comes up once: it was used longer ago than its reading is good for.
        meter = Meter(client)
        await _spread(lambda guard: _call(guard, ""), guards)
        quiet = meter.read(idle).of(len(guards))
        meter, calls = Meter(client), 0
        while meter.seconds < seconds:
            await asyncio.gather(*(_call(guards[0], "") for _ in range(AT_ONCE)))
            calls += AT_ONCE
        busy = meter.read(idle).of(calls)
        before = used_memory(client)
        held = await _spread(AsyncGuard.acquire, guards)
        for number, reservation in enumerate(held):
            reservation.placed(CALL_ID.format(number))
        await asyncio.sleep(STALE)
        in_use = account + (used_memory(client) - before) / len(held)
        meter = Meter(client)
        await asyncio.sleep(seconds)
        beat = meter.read(idle).of(len(held) * meter.seconds)
        for reservation in held:
            reservation.ended()
    return (account, in_use), quiet, busy, beat


async def _spread(act: Callable[[AsyncGuard], Coroutine[object, object, T]], guards: list[AsyncGuard]) -> list[T]:
    """Do something with each guard, one after the other, without waiting for the one before."""
    tasks = []
    for guard in guards:
        tasks.append(asyncio.create_task(act(guard)))
        await asyncio.sleep(SPREAD)
    return await asyncio.gather(*tasks)
