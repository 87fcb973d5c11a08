"""One scenario, two colours: each is written once, as a coroutine, and runs on a `Guard` and on an `AsyncGuard`.

On threads no await of a scenario suspends: the adapter's coroutines call the plain methods and return. So a scenario
runs in the test's own thread, without an event loop, and what it starts beside itself runs in threads.
"""

import asyncio
import functools
import threading
import time
from concurrent.futures import Future

import pytest

from admission import AsyncGuard, Guard

PATIENCE = 20.0
"""Real seconds after which a test gives up on what must come."""
LOOK = 0.002
"""Real seconds between two looks at a condition."""


def finish(coroutine):
    """Run a coroutine that never suspends to its end, in this thread."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise AssertionError("a scenario on threads awaited something that suspends")


class Threads:
    """Scenarios on a `Guard`."""

    name = "threads"
    kind = Guard
    tasks = False

    def run(self, scenario):
        return finish(scenario)

    def guard(self, source, ledger=None, **settings):
        return PlainGuard(Guard(source, ledger, **settings))

    def start(self, coroutine):
        """Run a coroutine in a thread of its own."""
        return ThreadJob(coroutine)

    async def look(self):
        """Let others go on for a moment."""
        time.sleep(LOOK)


class Tasks:
    """Scenarios on an `AsyncGuard`."""

    name = "tasks"
    kind = AsyncGuard
    tasks = True

    def run(self, scenario):
        return asyncio.run(scenario)

    def guard(self, source, ledger=None, **settings):
        return AsyncGuard(source, ledger, **settings)

    def start(self, coroutine):
        """Run a coroutine in a task of its own."""
        return TaskJob(coroutine)

    async def look(self):
        """Let others go on for a moment."""
        await asyncio.sleep(LOOK)


class ThreadJob:
    """What a scenario started in a thread."""

    def __init__(self, coroutine):
        self._future = Future()
        threading.Thread(target=self._run, args=(coroutine,), name="job", daemon=True).start()

    def _run(self, coroutine):
        try:
            self._future.set_result(finish(coroutine))
        except BaseException as error:  # noqa: BLE001 - `result` raises it
            self._future.set_exception(error)

    @property
    def done(self):
        return self._future.done()

    async def result(self):
        return self._future.result(timeout=PATIENCE)


class TaskJob:
    """What a scenario started in a task."""

    def __init__(self, coroutine):
        self.task = asyncio.get_running_loop().create_task(coroutine)

    @property
    def done(self):
        return self.task.done()

    async def result(self):
        async with asyncio.timeout(PATIENCE):
            return await self.task


class PlainGuard:
    """A `Guard` whose methods are awaited, though they never suspend."""

    def __init__(self, guard):
        self.guard = guard
        self.account = guard.account

    def hold(self, *args, **settings):
        return PlainBlock(self.guard.hold(*args, **settings))

    def place(self, *args, **settings):
        return PlainBlock(self.guard.place(*args, **settings))

    async def __aenter__(self):
        self.guard.__enter__()
        return self

    async def __aexit__(self, *exc):
        return self.guard.__exit__(*exc)

    def __getattr__(self, name):
        method = getattr(self.guard, name)

        async def call(*args, **kwargs):
            return method(*args, **kwargs)

        return call


class PlainBlock:
    """A block of a `Guard`: `async with`, or a decorator of coroutine functions that never suspend."""

    def __init__(self, block):
        self.block = block

    async def __aenter__(self):
        return self.block.__enter__()

    async def __aexit__(self, *exc):
        return self.block.__exit__(*exc)

    def __call__(self, fn):
        @functools.wraps(fn)
        def plain(*args, **kwargs):
            return finish(fn(*args, **kwargs))

        del plain.__wrapped__
        guarded = self.block(plain)

        @functools.wraps(guarded)
        async def call(*args, **kwargs):
            return guarded(*args, **kwargs)

        return call


COLOURS = [pytest.param(Threads(), id="threads"), pytest.param(Tasks(), id="tasks")]


def both_colours(scenario):
    """Make a test of a coroutine function: it is run on either colour, which is its first argument."""

    @pytest.mark.parametrize("colour", COLOURS)
    @functools.wraps(scenario)
    def test(colour, **arguments):
        return colour.run(scenario(colour, **arguments))

    return test


async def until(colour, condition, patience=PATIENCE):
    """Wait until `condition()`, or what it returns to be awaited, is true; return that."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if hasattr(value, "__await__"):
            value = await value
        if value:
            return value
        assert time.monotonic() < end, f"not within {patience} s: {condition}"
        await colour.look()
