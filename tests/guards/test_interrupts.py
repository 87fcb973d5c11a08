"""An exception raised by a signal, at any line: nothing that was claimed or waits is left behind."""

import asyncio
import contextlib
import gc
import os
import signal
import threading

import pytest

from admission import CallRejected
from tests.guards.colours import COLOURS, Tasks, Threads, both_colours, finish, until
from tests.guards.interrupts import Alarm, Lines
from tests.guards.stage import Stage
from tests.waiting import wait_until

QUICK = {"placement_timeout": 0.5, "visibility_lag": 0.1}
TIMES = 2
"""How many of the times that a line is run are interrupted."""
ENDS = {"guard.py", "aguard.py", "reservation.py", "core/exits.py"}
"""Where ways differ; how a caller is admitted is the same in all of them."""


async def hold(stage):
    async with stage.guard.hold(timeout=60):
        pass


async def place(stage):
    async with stage.guard.place(timeout=60):
        pass


async def decorated(stage):
    async def call():
        return "call-1"

    assert await stage.guard.place(timeout=60, call_id=str)(call)() == "call-1"


async def acquired(stage):
    reservation = await stage.guard.acquire()
    reservation.placed("call-1")
    reservation.release()


async def ended(stage):
    (await stage.guard.acquire()).ended()


async def refused(stage):
    with pytest.raises(CallRejected):
        async with stage.guard.place(timeout=60):
            raise CallRejected


async def refused_once(stage):
    """Is refused by the provider and admitted again, while time passes beside it."""

    async def call():
        if refusals:
            raise refusals.pop()

    async def tick():
        while refusals is not None:
            stage.clock.advance(0.25)
            await stage.colour.look()

    refusals = [CallRejected()]
    ticking = stage.start(tick())
    try:
        await stage.guard.place(timeout=60)(call)()
    finally:
        refusals = None
        await ticking.result()


async def ends_clean(stage):
    """Let time pass, and tell whether then no slot is booked and nobody stands in line."""
    gc.collect(0)
    await stage.pass_time(2, step=1)
    await stage.read()
    status = await stage.status()
    return (status.in_use, status.waiting) == (0, 0)


# A reservation may have been cut off from its block before anybody could leave it.
@pytest.mark.filterwarnings("ignore:<Reservation .* was never left:ResourceWarning")
@both_colours
@pytest.mark.parametrize("way", [hold, place, decorated, acquired, ended, refused, refused_once])
async def test_an_exception_at_any_line_leaves_nothing_behind(colour, way):
    async with Stage(colour, policy=QUICK) as stage:
        with Lines() as lines:
            await way(stage)
        assert await ends_clean(stage)
    places = [
        (*place, time)
        for place, times in lines.seen.items()
        for time in range(1, min(times, TIMES) + 1)
        if way is hold or place[0] in ENDS
    ]
    assert len(places) > 20
    unclean = []
    for place in places:
        async with Stage(colour, policy=QUICK) as stage:
            try:
                with Lines(place):
                    await way(stage)
            except Alarm:
                pass
            if not await ends_clean(stage):
                unclean.append(place)
    # What a traceback kept alive is collected here, where its warning is ignored.
    gc.collect()
    assert unclean == []


# Real signals


@contextlib.contextmanager
def time_limit(error):
    """Have a signal raise `error` in the main thread, as frameworks do it; give what sends the signal."""
    rung = threading.Event()

    def ring(*_):
        if not rung.is_set():
            rung.set()
            raise error("the time is over")

    def send():
        # One that comes just before the thread begins to wait does not end the wait.
        while not rung.is_set():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
            rung.wait(0.05)

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        yield send
    finally:
        signal.signal(signal.SIGUSR1, before)


async def wait_in_line(stage):
    await stage.guard.acquire()


async def wait_at_a_decorator(stage):
    await stage.guard.place()(wait_in_line)(stage)


def signalled(colour, stage, watcher, scenario, condition, error):
    """Run a scenario in the main thread and let a signal raise `error` in it once `condition` holds of the status."""

    async def ring_when():
        await until(threads, lambda: condition(watcher.guard.status()))
        ring()

    threads = Threads()
    with time_limit(error) as ring:
        job = threads.start(ring_when())
        with pytest.raises(error):
            colour.run(scenario(stage))
        finish(job.result())


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("error", [Alarm, KeyboardInterrupt])
@pytest.mark.parametrize("scenario", [wait_in_line, wait_at_a_decorator])
def test_a_signal_that_raises_while_a_caller_waits_takes_it_out_of_the_line(colour, scenario, error):
    stage = Stage(colour)
    watcher = stage.another(Threads())
    holder = watcher.guard.acquire()
    signalled(colour, stage, watcher, scenario, lambda status: status.waiting == 1, error)
    wait_until(lambda: watcher.guard.status().waiting == 0)
    holder.cancel()
    watcher.guard.acquire(timeout=0).cancel()
    colour.run(stage.guard.close())
    watcher.guard.close()


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("error", [Alarm, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["hold", "place"])
def test_a_signal_that_raises_in_a_block_leaves_it_by_an_error(colour, error, kind):
    entered = []

    async def in_block(stage):
        async with getattr(stage.guard, kind)():
            entered.append(True)
            await until(colour, lambda: False)

    stage = Stage(colour)
    watcher = stage.another(Threads())
    signalled(colour, stage, watcher, in_block, lambda _: entered, error)
    stage.clock.advance(11)
    assert watcher.guard.refresh().in_use == 1
    stage.clock.advance(1.1)
    assert watcher.guard.refresh().in_use == 0
    colour.run(stage.guard.close())
    watcher.guard.close()


def test_ctrl_c_in_an_event_loop_cancels_its_callers():
    colour = Tasks()
    stage = Stage(colour)
    watcher = stage.another(Threads())
    holder = watcher.guard.acquire()

    loops = []

    async def interrupt():
        await until(Threads(), lambda: watcher.guard.status().waiting == 3)
        os.kill(os.getpid(), signal.SIGINT)
        # A signal that comes just before the loop begins to wait does not end the wait.
        loops[0].call_soon_threadsafe(lambda: None)

    async def wait(stage):
        loops.append(asyncio.get_running_loop())
        await asyncio.gather(*(stage.guard.acquire() for _ in range(3)))

    # A shell lets what it runs in the background ignore this signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        job = Threads().start(interrupt())
        with pytest.raises(KeyboardInterrupt):
            colour.run(wait(stage))
        finish(job.result())
    finally:
        signal.signal(signal.SIGINT, before)
    wait_until(lambda: watcher.guard.status().waiting == 0)
    holder.cancel()
    watcher.guard.acquire(timeout=0).cancel()
    watcher.guard.close()
    colour.run(stage.guard.close())
