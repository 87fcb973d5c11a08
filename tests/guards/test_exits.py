"""What leaving a block means for its slot, whatever it is left by."""

import asyncio
import gc
import time
import warnings

import pytest

from admission import CallRejected, NotPlaced
from tests.guards.colours import both_colours
from tests.guards.stage import POLICY, Stage

SETTLE = POLICY["placement_timeout"] + POLICY["visibility_lag"]


class Alarm(Exception):
    """What a framework's time limit raises from its signal handler: an `Exception`."""


ERRORS = [
    pytest.param(error, id=error.__name__)
    for error in (ValueError, TimeoutError, Alarm, asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)
]


def remaining(reservation):
    """Return the seconds until a reservation's deadline."""
    return reservation.deadline - time.time()


@both_colours
@pytest.mark.parametrize("kind", ["hold", "place"])
@pytest.mark.parametrize("error", ERRORS)
async def test_an_error_before_placed_keeps_the_slot_until_its_settle_time(colour, kind, error):
    """The dial may have been accepted all the same, though nobody will say so."""
    async with Stage(colour) as stage:
        with pytest.raises(error):
            async with getattr(stage.guard, kind)():
                raise error
        await stage.pass_time(SETTLE - 0.1)
        assert (await stage.read()).pending == 1
        assert await stage.claimable() == 0
        await stage.pass_time(0.2)
        assert (await stage.read()).pending == 0
        assert await stage.claimable() == 1


@both_colours
@pytest.mark.parametrize("kind", ["hold", "place"])
@pytest.mark.parametrize("error", ERRORS)
async def test_an_error_of_a_decorated_function_keeps_the_slot_until_its_settle_time(colour, kind, error):
    async with Stage(colour) as stage:

        @getattr(stage.guard, kind)()
        async def call():
            raise error

        with pytest.raises(error):
            await call()
        await stage.pass_time(SETTLE - 0.1)
        assert (await stage.read()).pending == 1
        await stage.pass_time(0.2)
        assert (await stage.read()).in_use == 0


@both_colours
@pytest.mark.parametrize("kind", ["hold", "place"])
@pytest.mark.parametrize("error", [*ERRORS, CallRejected, NotPlaced])
async def test_an_error_after_placed_hands_the_call_off(colour, kind, error):
    async with Stage(colour) as stage:
        with pytest.raises(error):
            async with getattr(stage.guard, kind)() as reservation:
                reservation.placed("call-1")
                raise error
        await stage.pass_time(1.9)
        assert (await stage.read()).pending == 1
        await stage.pass_time(0.2)
        assert (await stage.read()).pending == 0


@both_colours
async def test_a_block_that_places_may_take_twice_the_placement_timeout(colour, caplog):
    """Its deadline moves along with each beat, so that the call is booked all the time and is not late."""
    async with Stage(colour) as stage:
        async with stage.guard.place() as reservation:
            for _ in range(20):
                await stage.pass_time(1)
                assert 9 <= remaining(reservation) <= 10.1
                # Readings that came since the claim do not cover a call that is still to be placed.
                assert (await stage.read()).pending == 1
            assert await stage.claimable() == 0
            reservation.placed("call-1")
        await stage.pass_time(1.9)
        assert (await stage.read()).pending == 1
        await stage.pass_time(0.2)
        assert (await stage.read()).pending == 0
        assert "deadline" not in caplog.text


@both_colours
async def test_a_decorated_function_may_take_twice_the_placement_timeout(colour, caplog):
    async with Stage(colour) as stage:

        @stage.guard.place()
        async def dial():
            await stage.pass_time(20)
            return "call-1"

        assert await dial() == "call-1"
        assert (await stage.read()).pending == 1
        await stage.pass_time(2.1)
        assert (await stage.read()).pending == 0
        assert "deadline" not in caplog.text


@both_colours
async def test_a_hold_that_says_placed_after_its_deadline_is_late_and_booked_again(colour, caplog):
    async with Stage(colour) as stage:
        async with stage.guard.hold() as reservation:
            await stage.pass_time(SETTLE + 0.5)
            assert remaining(reservation) < 0
            assert (await stage.read()).in_use == 0
            reservation.placed("call-1")
            assert (await stage.status()).pending == 1
            stage.provider.count = 1
            await stage.pass_time(2.1)
            status = await stage.read()
            assert (status.pending, status.held, status.in_use) == (0, 1, 1)
        assert "was placed after its deadline" in caplog.text


@both_colours
async def test_a_block_that_places_left_by_an_error_late_is_booked_from_its_last_beat(colour):
    async with Stage(colour) as stage:
        with pytest.raises(ValueError, match="at last"):
            async with stage.guard.place():
                await stage.pass_time(20)
                raise ValueError("at last")
        await stage.pass_time(SETTLE - 1.1)
        assert (await stage.read()).pending == 1
        await stage.pass_time(1.2)
        assert (await stage.read()).pending == 0


@both_colours
async def test_a_call_that_lasts_longer_than_any_is_forgotten(colour, caplog):
    async with Stage(colour, policy={"max_call_duration": 30}) as stage:
        reservation = await stage.guard.acquire()
        reservation.placed("call-1")
        stage.provider.count = 1
        await stage.pass_time(25)
        assert (await stage.read()).held == 1
        await stage.pass_time(6)
        status = await stage.read()
        assert (status.held, status.in_use) == (0, 1)
        await stage.until(lambda: "lapsed" in caplog.text)
        reservation.release()


@both_colours
async def test_a_reservation_that_is_forgotten_is_left_and_told(colour):
    async with Stage(colour) as stage:
        reservation = await stage.guard.acquire()
        with pytest.warns(ResourceWarning, match="was never left"):
            del reservation
            gc.collect()
        await stage.pass_time(SETTLE - 0.1)
        assert (await stage.read()).pending == 1
        await stage.pass_time(0.2)
        assert (await stage.read()).in_use == 0


@both_colours
async def test_a_forgotten_block_that_places_stops_to_extend_its_deadline(colour):
    async with Stage(colour) as stage:
        block = stage.guard.place()
        await block.__aenter__()
        await stage.pass_time(5)
        with pytest.warns(ResourceWarning, match="was never left"):
            del block
            gc.collect()
        await stage.pass_time(SETTLE + 0.1)
        assert (await stage.read()).in_use == 0


@both_colours
async def test_a_block_that_places_and_is_never_left_keeps_its_slot_for_one_longest_call(colour):
    async with Stage(colour, policy={"max_call_duration": 30}) as stage:
        block = stage.guard.place()
        await block.__aenter__()
        await stage.pass_time(30)
        assert (await stage.read()).pending == 1
        await stage.pass_time(SETTLE + 0.1)
        assert (await stage.read()).in_use == 0
        await block.__aexit__(None, None, None)


@both_colours
async def test_a_forgotten_reservation_is_left_also_where_warnings_are_errors(colour, monkeypatch):
    raised = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: raised.append(unraisable.exc_type))
    async with Stage(colour) as stage:
        block = stage.guard.place()
        await block.__aenter__()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del block
            gc.collect()
        assert raised == [ResourceWarning]
        await stage.pass_time(SETTLE + 0.1)
        assert (await stage.read()).in_use == 0


@both_colours
async def test_leaving_never_raises_once_the_guard_is_closed(colour):
    async with Stage(colour, 3) as stage:
        async with stage.guard.hold():
            reservation = await stage.guard.acquire(timeout=1)
            await stage.guard.close()
        reservation.placed("call-1")
        reservation.ended()
        assert (await stage.status()).in_use == 1
