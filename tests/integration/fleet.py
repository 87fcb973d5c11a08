"""One process of a fleet, for tests: `python -m tests.integration.fleet JOB` has callers make calls.

It says `ready`, begins with the first line on its stdin, stops with the next one or the end, and then tells what
became of its callers as JSON on stdout. Callers are threads or tasks, each makes one call after the other. What the
guards log goes to stderr, as `LEVEL event reservation text`.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import random
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field, replace

import httpx

from admission import (
    AsyncGuard,
    Closed,
    Guard,
    Policy,
    PureTalk,
    RedisLedger,
    Refused,
    Unavailable,
    current_reservation,
)
from tests.clients import client_at


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one process does.

    Attributes:
        worker: Its name, sent with every request to the provider.
        api: The provider's base URL.
        key: The provider's key.
        redis: Where the ledger is; see `client_at`.
        account: The account's name.
        more: Other accounts that the process serves with the same ledger, and the base URLs of their providers.
        colour: `sync` or `async`.
        way: How a call is made: `placed` (a hold that says so), `hold` (one that does not), `place` (decorator and
            block in turn), `bare` (a hold that is left right after the dial).
        callers: Threads or tasks.
        call: Seconds that a call lasts, a quarter more or less; `None`: until the process is told to stop.
        think: Seconds that a caller takes from its admission to its dial.
        timeout: Seconds that a caller waits; it then asks again. `None` waits for ever.
        policy: Settings of the `Policy`.
        source_timeout: Seconds for one request to the provider.
    """

    worker: str
    api: str
    key: str
    redis: str
    account: str
    colour: str
    more: dict = field(default_factory=dict)
    way: str = "placed"
    callers: int = 25
    call: float | None = 2.0
    think: float = 0.0
    timeout: float | None = None
    policy: dict = field(default_factory=dict)
    source_timeout: float = 5.0

    def text(self):
        return json.dumps(asdict(self))

    @property
    def http(self):
        """Settings of an HTTP client that tells who asks."""
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=200, keepalive_expiry=60)
        return {
            "base_url": self.api,
            "headers": {"X-API-KEY": self.key, "X-Worker": self.worker},
            "limits": limits,
            "timeout": 30,
            "verify": False,  # of plain HTTP there is nothing to verify, and certificates take long to read
        }

    def by_account(self):
        """Return a job for each account."""
        return [self, *(replace(self, account=account, api=api) for account, api in self.more.items())]

    def draw(self):
        """Return how long the next call lasts, and the body of its dial, which tells of the reservation."""
        reservation = current_reservation()
        body = {"metadata": {"reservation": reservation.id, "granted_at": reservation.granted_at}}
        if self.call is None:
            return None, body
        seconds = self.call * random.uniform(0.75, 1.25)
        return seconds, body | {"duration": seconds}

    def guard(self, of, ledger, client):
        source = PureTalk(self.key, base_url=self.api, client=client, timeout=self.source_timeout)
        return of(source, ledger, account=self.account, policy=Policy(**self.policy))


@dataclass
class Tally:
    """What became of a process's callers."""

    placed: int = 0
    refused: Counter = field(default_factory=Counter)
    errors: list = field(default_factory=list)

    def failed(self, error):
        """Note an error; return whether the caller may go on."""
        if isinstance(error, (Refused, Unavailable)):
            self.refused[type(error).__name__] += 1
            return True
        if not isinstance(error, Closed):
            self.errors.append(repr(error))
        return False


@contextmanager
def threads_of(job, ledger, tally, over):
    """Make an account's guard, and the threads of its callers; `over` ends their calls."""

    def dial():
        seconds, body = job.draw()
        time.sleep(job.think)
        answer = http.post("/calls", json=body)
        answer.raise_for_status()
        tally.placed += 1
        return answer.json()["call_id"], seconds

    def placed(_):
        with guard.hold(timeout=job.timeout) as reservation:
            call_id, seconds = dial()
            reservation.placed(call_id)
            over.wait(seconds)

    def hold(_):
        with guard.hold(timeout=job.timeout):
            _, seconds = dial()
            over.wait(seconds)

    def place(turn):
        if turn % 2:
            decorated()
        else:
            with guard.place(timeout=job.timeout):
                dial()

    def bare(_):
        with guard.hold(timeout=job.timeout):
            dial()

    make_call = {"placed": placed, "hold": hold, "place": place, "bare": bare}[job.way]

    def caller(turn):
        while not over.is_set():
            try:
                make_call(turn)
            except Exception as error:  # noqa: BLE001 - told in the summary
                if not tally.failed(error):
                    return
            turn += 1

    with httpx.Client(**job.http) as http, httpx.Client(**job.http) as reader:
        guard = job.guard(Guard, ledger, reader)
        decorated = guard.place(timeout=job.timeout)(dial)
        yield guard, [threading.Thread(target=caller, args=(turn,)) for turn in range(job.callers)]


def run_threads(job, ledger, tally):
    over = threading.Event()
    with ExitStack() as stack:
        made = [stack.enter_context(threads_of(one, ledger, tally, over)) for one in job.by_account()]
        guards, callers = [guard for guard, _ in made], [thread for _, threads in made for thread in threads]
        ready()
        for thread in callers:
            thread.start()
        sys.stdin.readline()
        over.set()
        for guard in guards:
            guard.close()
        for thread in callers:
            thread.join()
        for guard in guards:
            guard.close()


@asynccontextmanager
async def tasks_of(job, ledger, tally, over):
    """Make an account's guard, and the coroutine functions of its callers; `over` ends their calls."""

    async def dial():
        seconds, body = job.draw()
        await asyncio.sleep(job.think)
        answer = await http.post("/calls", json=body)
        answer.raise_for_status()
        tally.placed += 1
        return answer.json()["call_id"], seconds

    async def last(seconds):
        try:
            async with asyncio.timeout(seconds):
                await over.wait()
        except TimeoutError:
            return

    async def placed(_):
        async with guard.hold(timeout=job.timeout) as reservation:
            call_id, seconds = await dial()
            reservation.placed(call_id)
            await last(seconds)

    async def hold(_):
        async with guard.hold(timeout=job.timeout):
            _, seconds = await dial()
            await last(seconds)

    async def place(turn):
        if turn % 2:
            await decorated()
        else:
            async with guard.place(timeout=job.timeout):
                await dial()

    async def bare(_):
        async with guard.hold(timeout=job.timeout):
            await dial()

    make_call = {"placed": placed, "hold": hold, "place": place, "bare": bare}[job.way]

    async def caller(turn):
        while not over.is_set():
            try:
                await make_call(turn)
            except Exception as error:  # noqa: BLE001 - told in the summary
                if not tally.failed(error):
                    return
            turn += 1

    async with httpx.AsyncClient(**job.http) as http, httpx.AsyncClient(**job.http) as reader:
        guard = job.guard(AsyncGuard, ledger, reader)
        decorated = guard.place(timeout=job.timeout)(dial)
        yield guard, caller


async def run_tasks(job, ledger, tally):
    over = asyncio.Event()
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(tasks_of(one, ledger, tally, over)) for one in job.by_account()]
        await asyncio.to_thread(ready)
        callers = [asyncio.create_task(caller(turn)) for _, caller in made for turn in range(job.callers)]
        await asyncio.to_thread(sys.stdin.readline)
        over.set()
        for guard, _ in made:
            await guard.close()
        await asyncio.gather(*callers)
        for guard, _ in made:
            await guard.close()


def ready():
    """Say so, and wait for the word to begin."""
    print("ready", flush=True)  # noqa: T201 - the parent reads it
    sys.stdin.readline()


def main():
    # A parent that waits in vain asks where everybody is.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    told = logging.StreamHandler()
    told.setFormatter(
        logging.Formatter(
            "%(levelname)s %(event)s %(admission_reservation)s %(message)s",
            defaults={"event": "-", "admission_reservation": "-"},
        )
    )
    logging.getLogger().addHandler(told)
    job = Job(**json.loads(sys.argv[1]))
    tally = Tally()
    ledger = RedisLedger(client_at(job.redis))
    if job.colour == "async":
        asyncio.run(run_tasks(job, ledger, tally))
    else:
        run_threads(job, ledger, tally)
    print(json.dumps(vars(tally)), flush=True)  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
