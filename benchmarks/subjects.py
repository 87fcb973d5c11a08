"""What is measured: this package's guards in both colours, the floor under them, and the peers, all behind one face.

A subject is opened with a `Setup` and gives a function that makes slots; a slot is a context manager, entered by one
caller for as long as it holds a slot of the shared limit.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio

from admission import AsyncGuard, Guard, Policy, RedisLedger, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import TracebackType

    from admission import Reservation

AsyncSlots = Callable[[], AbstractAsyncContextManager[object]]
"""Makes slots for tasks."""
Slots = Callable[[], AbstractContextManager[object]]
"""Makes slots for threads."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a subject is opened with, in one process.

    Attributes:
        url: The server's.
        limit: Slots that all processes share.
        share: Slots of this process, for the floor, which shares none.
        callers: Callers of this process: who gives each waiter a connection needs as many.
        lease: Whole seconds after which a dead holder's slot may be taken; `None` for a length that never matters.
        count: A file in which the provider's count stands; empty where it is 0 all the time.
    """

    url: str
    limit: int = 20
    share: int = 20
    callers: int = 1
    lease: int | None = None
    count: str = ""


@dataclass(frozen=True)
class Subject:
    """One thing to measure.

    Attributes:
        name: For tables.
        colour: `async` or `sync`: of callers, slots and of the context manager that `open` returns.
        open: Takes a `Setup` and returns a context manager of a function that makes slots.
        package: The distribution that it needs; empty for none.
        most_callers: Callers that one process can have, where each takes a connection; `None` where none does.
    """

    name: str
    colour: str
    open: Callable[[Setup], Any]
    package: str = ""
    most_callers: int | None = None

    @property
    def label(self) -> str:
        """The name with the colour, as the tables show it and `--subjects` takes it."""
        return f"{self.name} {self.colour}"

    @property
    def installed(self) -> bool:
        """Whether it can be measured here."""
        if not self.package:
            return True
        try:
            version(self.package)
        except PackageNotFoundError:
            return False
        return True


class Provider:
    """A source that costs nothing to ask: a fixed limit, and a count from a file."""

    timeout = 2.0

    def __init__(self, limit: int, *, count: str = "", account: str = "benchmark") -> None:
        self.account = account
        self._limit = limit
        self._count = Path(count) if count else None

    def fetch(self) -> Usage:
        count = 0 if self._count is None else int(self._count.read_text("ascii"))
        return Usage(limit=self._limit, count=count)

    async def afetch(self) -> Usage:
        return self.fetch()


def policy(setup: Setup) -> Policy:
    """Return the settings of our guards: what a provider of no lag allows, and a line without an end."""
    if setup.lease is None:
        return Policy(visibility_lag=0.1, max_waiting=1_000_000)
    return Policy(visibility_lag=0.1, refresh_interval=0.5, placement_timeout=1, lease_ttl=setup.lease)


class AsyncHold:
    """A hold that says `placed()` if it is to, and `ended()` when it is left."""

    __slots__ = ("_block", "_placed", "_reservation")

    def __init__(self, guard: AsyncGuard, *, placed: bool) -> None:
        self._block = guard.hold()
        self._placed = placed

    async def __aenter__(self) -> Reservation:
        self._reservation = await self._block.__aenter__()
        if self._placed:
            self._reservation.placed()
        return self._reservation

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reservation.ended()
        await self._block.__aexit__(kind, error, trace)


class Hold:
    """The same for threads."""

    __slots__ = ("_block", "_placed", "_reservation")

    def __init__(self, guard: Guard, *, placed: bool) -> None:
        self._block = guard.hold()
        self._placed = placed

    def __enter__(self) -> Reservation:
        self._reservation = self._block.__enter__()
        if self._placed:
            self._reservation.placed()
        return self._reservation

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reservation.ended()
        self._block.__exit__(kind, error, trace)


@asynccontextmanager
async def admission_async(setup: Setup) -> AsyncIterator[AsyncSlots]:
    source = Provider(setup.limit, count=setup.count)
    async with AsyncGuard(source, RedisLedger(setup.url), policy=policy(setup)) as guard:
        # A new ledger admits nobody for a second: that is over before anything is measured.
        async with AsyncHold(guard, placed=False):
            pass
        yield lambda: AsyncHold(guard, placed=setup.lease is not None)


@contextmanager
def admission_sync(setup: Setup) -> Iterator[Slots]:
    source = Provider(setup.limit, count=setup.count)
    with Guard(source, RedisLedger(setup.url), policy=policy(setup)) as guard:
        with Hold(guard, placed=False):
            pass
        yield lambda: Hold(guard, placed=setup.lease is not None)


class Gate:
    """A semaphore of one process's threads that lets them in by turns, as `asyncio.Semaphore` does with tasks."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._line: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    def acquire(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._line.append(turn)
        turn.acquire()

    def release(self) -> None:
        with self._lock:
            if self._line:
                self._line.popleft().release()
            else:
                self._free += 1


class AsyncFloor:
    """Two bare round trips, behind a semaphore of this process alone."""

    __slots__ = ("_client", "_gate", "_sha")

    def __init__(self, client: redis.asyncio.Redis, sha: str, gate: asyncio.Semaphore) -> None:
        self._client = client
        self._sha = sha
        self._gate = gate

    async def __aenter__(self) -> None:
        await self._gate.acquire()
        await self._client.evalsha(self._sha, 0)  # type: ignore[misc]  # redis-py types one class for both

    async def __aexit__(self, *exc: object) -> None:
        await self._client.evalsha(self._sha, 0)  # type: ignore[misc]  # redis-py types one class for both
        self._gate.release()


class Floor:
    """The same for threads."""

    __slots__ = ("_client", "_gate", "_sha")

    def __init__(self, client: redis.Redis, sha: str, gate: Gate) -> None:
        self._client = client
        self._sha = sha
        self._gate = gate

    def __enter__(self) -> None:
        self._gate.acquire()
        self._client.evalsha(self._sha, 0)

    def __exit__(self, *exc: object) -> None:
        self._client.evalsha(self._sha, 0)
        self._gate.release()


@asynccontextmanager
async def floor_async(setup: Setup) -> AsyncIterator[AsyncSlots]:
    async with redis.asyncio.Redis.from_url(setup.url) as client:
        sha = await client.script_load("return 1")
        gate = asyncio.Semaphore(setup.share)
        yield lambda: AsyncFloor(client, sha, gate)


@contextmanager
def floor_sync(setup: Setup) -> Iterator[Slots]:
    with redis.Redis.from_url(setup.url) as client:
        sha = client.script_load("return 1")
        gate = Gate(setup.share)
        yield lambda: Floor(client, sha, gate)


FLOOR = "floor"
OURS = "admission"

OWN = (
    Subject(FLOOR, "async", floor_async),
    Subject(FLOOR, "sync", floor_sync),
    Subject(OURS, "async", admission_async),
    Subject(OURS, "sync", admission_sync),
)


def all_subjects() -> tuple[Subject, ...]:
    """Return every subject, the floor first and ours next, installed or not."""
    from benchmarks.peers import PEERS  # noqa: PLC0415 - it imports this file

    return OWN + PEERS
