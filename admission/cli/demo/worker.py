"""One process of dialers.

Its job comes as a line of JSON on stdin, whose end is the sign to stop. On stdout it tells, also in lines of JSON, how
it goes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from admission.aguard import AsyncGuard
from admission.cli.demo.dialers import GuardedDialers
from admission.cli.demo.phone import Phone
from admission.cli.demo.settings import Settings
from admission.cli.demo.unguarded import UnguardedDialers
from admission.cli.exits import OK, code_of
from admission.errors import AdmissionError, Unavailable
from admission.sources.puretalk import PureTalk

if TYPE_CHECKING:
    from admission.cli.demo.dialers import Dialers

TELL_EVERY = 0.2
"""Seconds between two lines on how it goes."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one process is to do.

    Attributes:
        settings: The demo's.
        number: The process's, from 0; the first tells what the ledger knows, too.
        workers: Its dialers.
        base_url: The provider's address.
        api_key: The provider's key.
        redis_url: The ledger's server; `None` for a memory ledger.
        account: The account's name in the ledger.
    """

    settings: Settings
    number: int
    workers: int
    base_url: str
    api_key: str
    redis_url: str | None
    account: str

    def to_json(self) -> str:
        """Return the job as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Job:
        """Return the job of a line."""
        content = json.loads(line)
        return cls(**{**content, "settings": Settings(**content["settings"])})


class _Events(logging.Handler):
    """Counts what the guard reports to operators."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count one record."""
        self.counts[getattr(record, "event", record.name)] += 1


def main() -> int:
    """Do the job on stdin and return the exit code."""
    events = _Events()
    logger = logging.getLogger("admission")
    logger.addHandler(events)
    logger.propagate = False
    job = Job.from_json(_read_line())
    try:
        asyncio.run(_do(job, events))
    except AdmissionError as error:
        _tell({"error": str(error), "code": code_of(error)})
        return code_of(error)
    return OK


async def _do(job: Job, events: _Events) -> None:
    async with AsyncExitStack() as stack:
        phone = Phone(job.base_url, job.api_key)
        stack.push_async_callback(phone.aclose)
        source = PureTalk(job.api_key, base_url=job.base_url)
        stack.push_async_callback(source.aclose)
        seed = f"{job.settings.seed} {job.number}"
        dialers: Dialers
        guard: AsyncGuard | None = None
        if job.settings.guarded:
            guard = await stack.enter_async_context(_guard(job, source))
            await guard.status()  # a ledger that cannot be reached shall be known before anybody waits for it
            dialers = GuardedDialers(job.settings, phone, seed, guard)
        else:
            dialers = UnguardedDialers(job.settings, phone, seed, source)
        _stop_at_the_end_of_input(dialers)
        dialers.start(job.workers)
        telling = asyncio.create_task(_tell_on(dialers, guard if job.number == 0 else None))
        try:
            await dialers.run()
        finally:
            telling.cancel()
    counts = asdict(dialers.counts)
    _tell({"counts": counts, "admissions": counts.pop("admissions"), "events": dict(events.counts)})


def _guard(job: Job, source: PureTalk) -> AsyncGuard:
    if job.redis_url is None:
        return AsyncGuard(source, account=job.account, policy=job.settings.policy)
    from admission.ledger.redis import RedisLedger  # noqa: PLC0415 - not needed by the demo in one process

    return AsyncGuard(source, RedisLedger(job.redis_url), account=job.account, policy=job.settings.policy)


async def _tell_on(dialers: Dialers, guard: AsyncGuard | None) -> None:
    while True:
        news: dict[str, Any] = {"counts": {**asdict(dialers.counts), "admissions": None}}
        if guard is not None:
            with suppress(Unavailable):
                news["book"] = asdict(await guard.status())
        _tell(news)
        await asyncio.sleep(TELL_EVERY)


def _tell(news: dict[str, Any]) -> None:
    # The other end may have left; then the input's end stops us.
    with suppress(BrokenPipeError):
        sys.stdout.write(f"{json.dumps(news)}\n")
        sys.stdout.flush()


def _read_line() -> str:
    """Read a line without reading ahead: nothing of it may be left in a buffer that a thread blocks on at the exit."""
    line = bytearray()
    while (read := os.read(0, 1)) not in {b"", b"\n"}:
        line += read
    return line.decode()


def _stop_at_the_end_of_input(dialers: Dialers) -> None:
    loop = asyncio.get_running_loop()

    def wait() -> None:
        while os.read(0, 1):
            pass
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(dialers.stopping.set)

    threading.Thread(target=wait, name="demo-input", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
