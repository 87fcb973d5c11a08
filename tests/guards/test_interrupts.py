"""An exception raised by a signal, at any line: nothing that was claimed or waits is left behind."""

import gc
import warnings

import pytest

from admission import CallRejected
from tests.guards.colours import both_colours
from tests.guards.interrupts import Alarm, Lines
from tests.guards.stage import Stage

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
            with warnings.catch_warnings():
                # A reservation may have been cut off from its block before anybody could leave it.
                warnings.simplefilter("ignore", ResourceWarning)
                try:
                    with Lines(place):
                        await way(stage)
                except Alarm:
                    pass
                if not await ends_clean(stage):
                    unclean.append(place)
    assert unclean == []
