"""Real signals at random moments, in a process whose main thread dials: `python -m tests.storm.signals --seconds 3`.

An alarm raises in the main thread, as RQ's and Celery's time limits do it, an `Exception`, or `KeyboardInterrupt`.
Prints figures as JSON; `tests.storm` runs it for each colour and ledger.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import random
import signal
import sys
import time
import traceback
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from admission import AsyncGuard, Guard
from tests.guards.interrupts import Alarm
from tests.storm.crowds import ROOMY, TIGHT, Account, bystander, dial_in_a_task, dial_in_a_thread, is_pythons_own
from tests.storm.noise import strangers
from tests.storm.points import place_of
from tests.storm.singles import Tally, listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HITS = (Alarm, KeyboardInterrupt)
EVERY = 150
"""Signals after which everything must be in order."""


class TimeLimit:
    """Has one signal raise an exception in the main thread while something runs there.

    Attributes:
        raised: What the signal raised.
    """

    def __init__(self) -> None:
        self.raised: BaseException | None = None
        self._error: type[BaseException] | None = None
        signal.signal(signal.SIGALRM, self._ring)

    def _ring(self, *_: object) -> None:
        if self._error is not None:
            self.raised, self._error = self._error("time is over"), None
            raise self.raised

    @contextmanager
    def over(self, seconds: float, error: type[BaseException]) -> Iterator[None]:
        """Limit the time of what runs meanwhile."""
        try:
            self._error = error
            signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            self._error = None
            signal.setitimer(signal.ITIMER_REAL, 0)


def main_thread_dials(account: Account, limit: TimeLimit, dice: random.Random, seconds: float, tally: Tally) -> None:
    """Dial in the main thread, with a time limit for each call."""
    guard = account.guard(Guard)
    end = time.monotonic() + seconds

    def job():
        with limit.over(moment(dice), dice.choice(HITS)):
            for _ in range(20):
                dial_in_a_thread(account, guard, dice)

    with listening() as noise:
        while time.monotonic() < end:
            faults: list[str] = []
            with bystander(account, faults):
                for _ in range(EVERY):
                    if time.monotonic() > end:
                        break
                    once(limit, job, tally, faults, "a signal in a thread", noise)
            faults += account.ends_clean()
            heard = [one for one in noise.take() if not is_pythons_own(one)]
            tally.faults += [f"{account}, threads: {fault}" for fault in [*faults, *heard, *strangers()]]
    guard.close()


def main_loop_dials(account: Account, limit: TimeLimit, dice: random.Random, seconds: float, tally: Tally) -> None:
    """Dial in tasks of the main thread's event loop, with a time limit for the whole loop."""
    guard = account.guard(AsyncGuard)
    end = time.monotonic() + seconds
    stuck: list[str] = []

    async def caller():
        for _ in range(20):
            await dial_in_a_task(account, guard, dice)

    async def loop():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: swallowed.append(context))
        # What the loop has swallowed may have been somebody's wake-up.
        # The limit is for what runs in the loop, not for how asyncio makes one.
        with suppress(TimeoutError), limit.over(moment(dice), dice.choice(HITS)):
            async with asyncio.timeout(3):
                await asyncio.gather(*(caller() for _ in range(6)))

    with listening() as noise:
        noise.unawaited = True
        while time.monotonic() < end:
            faults: list[str] = []
            with bystander(account, faults):
                for _ in range(EVERY // 5):
                    if time.monotonic() > end:
                        break
                    swallowed: list[dict[str, object]] = []
                    job = functools.partial(run_through, loop(), stuck, swallowed)
                    once(limit, job, tally, faults, "a signal in an event loop", noise, swallowed)
            # A task that its loop has dropped keeps its slot, and these keep it.
            job, swallowed = None, []
            faults += [*stuck, *account.ends_clean()]
            stuck.clear()
            heard = [one for one in noise.take() if not is_pythons_own(one)]
            tally.faults += [f"{account}, tasks: {fault}" for fault in [*faults, *heard, *strangers()]]

    async def close():
        await guard.close()

    asyncio.run(close())


LONGEST = 8.0
"""Seconds after which a coroutine that ends within 3 does not end any more."""


def run_through(coroutine, stuck: list[str], swallowed: list[dict[str, object]]) -> None:
    """Run a coroutine as `asyncio.run` does, but not for ever where the loop has swallowed an exception.

    With it, the loop has dropped a callback, maybe the very step of a task, which then never goes on.
    """
    loop = asyncio.new_event_loop()
    main = loop.create_task(coroutine)
    loop.call_later(LONGEST, loop.stop)
    try:
        loop.run_until_complete(main)
    except RuntimeError:
        if main.done() or not swallowed:
            raise
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        # What a task ends with that a loop does not keep for itself comes out again.
        while pending := [task for task in tasks if not task.done()]:
            with suppress(*HITS):
                loop.run_until_complete(asyncio.wait(pending, timeout=2))
                break
        for task in tasks:
            if task.done():
                task.cancelled() or task.exception()
                continue
            waits_for = getattr(task, "_fut_waiter", None)
            if not swallowed and waits_for is not None and not waits_for.done():
                stuck.append(f"{task} does not end")
            task._log_destroy_pending = False
        with suppress(TimeoutError):
            loop.run_until_complete(asyncio.wait_for(loop.shutdown_asyncgens(), 2))
        loop.close()


def moment(dice: random.Random) -> float:
    """Return the seconds after which a signal comes."""
    return dice.choice([0.0002, 0.001, 0.003, 0.01, 0.03]) * (0.5 + dice.random())


def once(limit: TimeLimit, job: Callable[[], object], tally, faults, kind, noise, swallowed=()) -> None:
    """Run a job that has a time limit; the same exception must come out."""
    limit.raised = came = None
    try:
        job()
    except BaseException as caught:  # noqa: BLE001 - it is looked at
        came = caught
    raised = limit.raised
    if came is not None and came is not raised:
        # A timeout of asyncio that is hit when it has cancelled its task does not know that cancellation for its own.
        if not (isinstance(came, asyncio.CancelledError) and came_in(raised, asyncio.Timeout._on_timeout)):
            faults.append(f"out came {came!r}, raised was {raised!r}: {''.join(traceback.format_exception(raised))}")
    elif (
        raised is not None
        and came is None
        and not any(one.get("exception") is raised for one in swallowed)
        and not any(map(is_pythons_own, noise.heard))
        # To a task that reads the provider it is the source's own error.
        and not (isinstance(raised, Exception) and came_in(raised, AsyncGuard._read))
    ):
        faults.append(f"{raised!r} was swallowed at {place_of(raised)}")
    if raised is not None:
        tally.struck[kind, place_of(raised)] += 1
        raised.__traceback__ = None
    limit.raised = None


def came_in(raised: BaseException | None, function: Callable[..., object]) -> bool:
    """Whether a signal has raised while this function ran."""
    frames = traceback.walk_tb(getattr(raised, "__traceback__", None))
    return any(frame.f_code is function.__code__ for frame, _ in frames)


WAYS = {"threads": main_thread_dials, "tasks": main_loop_dials}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.storm.signals", description=__doc__)
    parser.add_argument("--colour", choices=list(WAYS), default="threads")
    parser.add_argument("--url", help="the Redis to book in; none: in memory")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    limit, dice, tally = TimeLimit(), random.Random(args.seed), Tally()
    for lines in (TIGHT, ROOMY):
        account = Account(lines, args.url, f"signals-{args.colour}")
        account.open()
        WAYS[args.colour](account, limit, dice, args.seconds / 2, tally)
        account.close()
    kinds = Counter({f"{kind}\n{place}": times for (kind, place), times in tally.struck.items()})
    print(json.dumps({"struck": kinds, "faults": tally.faults}))
    return min(1, len(tally.faults))


if __name__ == "__main__":
    sys.exit(main())
