"""Waiting in line: when callers attempt, when they give up, who is next, and that nobody keeps what is not theirs."""

import asyncio
import contextlib
import itertools
import random

import pytest
import tenacity
from tenacity import (
    RetryCallState,
    stop_after_attempt,
    stop_after_delay,
    stop_any,
    wait_chain,
    wait_exponential,
    wait_fixed,
    wait_none,
)

from admission import Closed, Saturated, UsageError, UsageUnavailable
from tests.guards.colours import COLOURS, Tasks, Threads, both_colours, finish
from tests.guards.stage import Stage

NEVER = wait_fixed(100_000)
"""Attempts only when something comes."""


# tenacity's part


@both_colours
async def test_wait_is_asked_before_each_attempt_with_tenacitys_own_state(colour):
    seen = []

    def asked(state):
        assert isinstance(state, RetryCallState)
        assert isinstance(state.outcome.exception(), Saturated)
        seen.append((state.attempt_number, round(state.seconds_since_start, 1), state.idle_for))
        return 0.5 * len(seen)

    async with Stage(colour, wait=asked) as stage:
        holder = await stage.guard.acquire(timeout=0)
        (job,) = await stage.in_line(stage.guard.acquire(timeout=4))
        await stage.until(lambda: len(seen) == 1)
        await stage.pass_time(4.5, step=0.25)
        with pytest.raises(Saturated):
            await stage.outcome(job)
        assert [(number, idle) for number, _, idle in seen[:3]] == [(1, 0), (2, 0.5), (3, 1.5)]
        holder.cancel()


@both_colours
@pytest.mark.parametrize(
    ("wait", "stop", "waited"),
    [
        pytest.param(wait_fixed(1), stop_after_attempt(1), 0, id="one attempt"),
        pytest.param(wait_fixed(1), stop_after_attempt(3), 2, id="three attempts"),
        pytest.param(wait_fixed(1), stop_after_delay(3), 3, id="a delay"),
        pytest.param(wait_fixed(1), stop_any(stop_after_delay(9), stop_after_attempt(3)), 2, id="any of two"),
        pytest.param(
            wait_chain(wait_fixed(1), wait_fixed(2), wait_fixed(4)), stop_after_attempt(4), 7, id="a chain of waits"
        ),
        pytest.param(wait_exponential(), stop_after_attempt(4), 7, id="exponential"),
        pytest.param(wait_fixed(1) + wait_fixed(0.5), stop_after_attempt(3), 3, id="a sum of waits"),
        pytest.param(lambda _: 2.0, lambda state: state.attempt_number >= 3, 4, id="own callables"),
        pytest.param(None, lambda state: state.seconds_since_start >= 5, 5, id="the default wait"),
    ],
)
async def test_stop_says_when_a_caller_gives_up(colour, wait, stop, waited):
    async with Stage(colour, wait=wait, stop=stop) as stage:
        holder = await stage.guard.acquire(timeout=0)
        job = stage.start(stage.guard.acquire())
        with pytest.raises(Saturated) as caught:
            await stage.outcome(job, step=0.125)
        assert waited <= caught.value.waited <= waited + (3 if wait is None else 0.5)
        assert not isinstance(caught.value.__cause__, tenacity.RetryError)
        assert (await stage.status()).waiting == 0
        holder.cancel()
        assert await stage.claimable() == 1


@both_colours
@pytest.mark.parametrize(("stop", "timeout", "waited"), [(3, 5, 3), (5, 3, 3)])
async def test_the_earlier_of_stop_and_timeout_wins(colour, stop, timeout, waited):
    async with Stage(colour, wait=wait_fixed(1), stop=stop_after_delay(stop)) as stage:
        holder = await stage.guard.acquire(timeout=0)
        (job,) = await stage.in_line(stage.guard.acquire(timeout=timeout))
        await stage.pass_time(7)
        with pytest.raises(Saturated) as caught:
            await stage.outcome(job)
        # The clock may be turned on before the caller's thread has looked at it, never back.
        assert caught.value.waited >= waited
        holder.cancel()


@both_colours
async def test_a_caller_that_stops_without_a_reading_is_told_why_there_is_none(colour):
    async with Stage(colour, wait=wait_fixed(1), stop=stop_after_attempt(3)) as stage:
        stage.provider.always = UsageError("down")
        (job,) = await stage.in_line(stage.guard.acquire())
        await stage.pass_time(3)
        with pytest.raises(UsageUnavailable, match="down"):
            await stage.outcome(job)


@both_colours
@pytest.mark.parametrize("which", ["wait", "stop"])
async def test_an_error_of_the_callers_own_wait_or_stop_is_theirs(colour, which):
    def fails(_state):
        raise ZeroDivisionError("mine")

    async with Stage(colour, **{which: fails}) as stage:
        holder = await stage.guard.acquire(timeout=0)
        with pytest.raises(ZeroDivisionError, match="mine"):
            await stage.guard.acquire()
        await stage.waiting(0)
        holder.cancel()
        assert await stage.claimable() == 1


@both_colours
@pytest.mark.parametrize(
    "wait",
    [
        pytest.param(wait_none(), id="none"),
        pytest.param(lambda _: -5, id="negative"),
        pytest.param(lambda _: float("nan"), id="no number"),
        pytest.param(lambda _: float("inf"), id="infinite"),
        pytest.param(wait_fixed(10**18), id="astronomic"),
    ],
)
async def test_no_wait_however_odd_keeps_the_holder_from_giving_back(colour, wait):
    async with Stage(colour, wait=wait) as stage:
        holder = await stage.guard.acquire(timeout=0)
        jobs = await stage.in_line(stage.guard.acquire(), stage.guard.acquire(timeout=1000))
        holder.cancel()
        for job in jobs:
            (await job.result()).cancel()


# Who is next


@both_colours
async def test_a_caller_is_woken_at_once_when_a_slot_frees(colour):
    """Neither its own next attempt nor a beat is needed: no time passes."""
    async with Stage(colour, wait=NEVER) as stage:
        holder = await stage.guard.acquire(timeout=0)
        (job,) = await stage.in_line(stage.guard.acquire())
        now = stage.clock.now()
        holder.cancel()
        (await job.result()).cancel()
        assert stage.clock.now() == now


@both_colours
@pytest.mark.parametrize("other", COLOURS)
async def test_a_caller_is_woken_at_once_by_a_guard_of_either_colour(colour, other):
    async def beside(coroutine):
        return other.run(coroutine)

    async with Stage(colour, wait=NEVER) as stage:
        guard = stage.another(other)
        holder = await Threads().start(beside(guard.acquire(timeout=0))).result()
        (job,) = await stage.in_line(stage.guard.acquire())
        holder.cancel()
        (await job.result()).cancel()
        await Threads().start(beside(guard.close())).result()


@both_colours
async def test_first_come_first_served(colour):
    async with Stage(colour, wait=NEVER) as stage:
        served = []

        async def caller(number):
            reservation = await stage.guard.acquire()
            served.append(number)
            reservation.cancel()

        holder = await stage.guard.acquire(timeout=0)
        jobs = await stage.in_line(*(caller(number) for number in range(20)))
        holder.cancel()
        for job in jobs:
            await job.result()
        assert served == list(range(20))


@both_colours
async def test_first_come_first_served_among_guards(colour):
    async with Stage(colour, wait=NEVER) as stage, stage.another(colour, wait=NEVER) as other:
        served = []

        async def caller(guard, number):
            reservation = await guard.acquire()
            served.append(number)
            reservation.cancel()

        holder = await stage.guard.acquire(timeout=0)
        turns = zip(itertools.cycle([stage.guard, other, other]), range(12))
        jobs = await stage.in_line(*(caller(guard, number) for guard, number in turns))
        holder.cancel()
        for job in jobs:
            await job.result()
        assert served == list(range(12))


@both_colours
async def test_a_caller_that_does_not_wait_never_goes_before_those_who_do(colour):
    async with Stage(colour, wait=NEVER) as stage:
        holder = await stage.guard.acquire(timeout=0)
        jobs = await stage.in_line(*(stage.guard.acquire() for _ in range(5)))
        for job in jobs:
            holder.cancel()
            with pytest.raises(Saturated):
                await stage.guard.acquire(timeout=0)
            holder = await job.result()
        holder.cancel()
        (await stage.guard.acquire(timeout=0)).cancel()


@both_colours
async def test_a_position_is_told_to_who_gives_up(colour):
    async with Stage(colour, wait=NEVER) as stage:
        holder = await stage.guard.acquire(timeout=0)
        jobs = await stage.in_line(stage.guard.acquire(timeout=50), stage.guard.acquire(timeout=2))
        await stage.pass_time(3)
        with pytest.raises(Saturated, match="1 of 1 in use, 1 ahead") as caught:
            await stage.outcome(jobs[1])
        assert caught.value.position == 1
        holder.cancel()
        (await jobs[0].result()).cancel()


@both_colours
async def test_a_timeout_of_0_does_not_stand_in_line(colour):
    async with Stage(colour) as stage:
        holder = await stage.guard.acquire(timeout=0)
        for _ in range(3):
            with pytest.raises(Saturated) as caught:
                await stage.guard.acquire(timeout=0)
            assert caught.value.waited == 0
        assert (await stage.status()).waiting == 0
        holder.cancel()


@both_colours
async def test_a_timeout_of_0_waits_for_the_first_reading(colour):
    async with Stage(colour) as stage:
        stage.provider.gate.clear()
        job = stage.start(stage.guard.acquire(timeout=0))
        await stage.until(lambda: stage.provider.under_way)
        assert not job.done
        stage.provider.gate.set()
        (await job.result()).cancel()


@both_colours
async def test_a_policys_timeout_counts_where_none_is_given(colour):
    async with Stage(colour, 0, policy={"timeout": 2}) as stage:
        given, job = await stage.in_line(stage.guard.acquire(timeout=4), stage.guard.acquire())
        await stage.pass_time(3)
        with pytest.raises(Saturated) as caught:
            await stage.outcome(job)
        # The clock may be turned on before the caller's thread has looked at it, never back.
        assert 2 <= caught.value.waited <= 3.1
        assert not given.done
        await stage.pass_time(2)
        with pytest.raises(Saturated):
            await stage.outcome(given)


# Giving up


@both_colours
async def test_whoever_times_out_as_a_slot_frees_neither_keeps_nor_loses_it(colour):
    async with Stage(colour, 3, wait=NEVER) as stage:
        rng = random.Random(7)
        for _ in range(20):
            holders = [await stage.guard.acquire(timeout=0) for _ in range(3)]
            jobs = [stage.start(stage.guard.acquire(timeout=rng.choice([0.1, 0.2]))) for _ in range(6)]
            await stage.waiting(6)
            for holder in holders:
                holder.cancel()
                stage.clock.advance(rng.choice([0, 0.05, 0.1, 0.2]))
            stage.clock.advance(0.2)
            for job in jobs:
                with contextlib.suppress(Saturated):
                    (await job.result()).cancel()
            await stage.waiting(0)
            assert await stage.claimable() == 3


async def test_a_caller_cancelled_at_any_turn_of_the_loop_keeps_nothing():
    for turns in range(40):
        async with Stage(Tasks(), wait=NEVER) as stage:
            job = stage.start(stage.guard.acquire())
            for _ in range(turns):
                await asyncio.sleep(0)
            await cancelled(job)
            await stage.waiting(0)
            assert await stage.claimable() == 1


async def test_a_caller_cancelled_at_any_turn_after_its_slot_was_freed_keeps_nothing():
    for turns in range(40):
        async with Stage(Tasks(), wait=NEVER) as stage:
            holder = await stage.guard.acquire(timeout=0)
            (job,) = await stage.in_line(stage.guard.acquire())
            holder.cancel()
            for _ in range(turns):
                await asyncio.sleep(0)
            await cancelled(job)
            await stage.waiting(0)
            assert await stage.claimable() == 1


async def cancelled(job):
    """Cancel a caller; who was admitted already gives back."""
    if not job.task.cancel():
        job.task.result().cancel()
        return
    with pytest.raises(asyncio.CancelledError):
        await job.task


async def test_wait_for_takes_a_caller_out_of_the_line():
    async with Stage(Tasks()) as stage:
        holder = await stage.guard.acquire(timeout=0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stage.guard.acquire(), 0.02)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02), stage.guard.hold():
                pytest.fail("admitted")
        await stage.waiting(0)
        holder.cancel()
        assert await stage.claimable() == 1


async def test_a_task_group_that_fails_takes_its_callers_out_of_the_line():
    async with Stage(Tasks()) as stage:
        holder = await stage.guard.acquire(timeout=0)

        async def fail():
            await stage.waiting(10)
            raise ZeroDivisionError

        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for _ in range(10):
                    group.create_task(stage.guard.acquire())
                group.create_task(fail())
        await stage.waiting(0)
        holder.cancel()
        assert await stage.claimable() == 1


# Closing


@both_colours
async def test_closing_wakes_those_who_wait(colour):
    async with Stage(colour, wait=NEVER) as stage:
        holder = await stage.guard.acquire(timeout=0)
        jobs = await stage.in_line(stage.guard.acquire(), stage.guard.acquire(timeout=60))
        await stage.guard.close()
        for job in jobs:
            with pytest.raises(Closed, match="closed while the caller waited"):
                await job.result()
        assert (await stage.status()).waiting == 0
        holder.cancel()


@both_colours
async def test_a_closed_guard_admits_nobody(colour):
    async with Stage(colour, 5) as stage:
        await stage.guard.close()
        await stage.guard.close()
        for timeout in (0, 5, None):
            with pytest.raises(Closed):
                await stage.guard.acquire(timeout=timeout)
        with pytest.raises(Closed):
            async with stage.guard.hold():
                pytest.fail("admitted")


@both_colours
async def test_a_guard_closed_before_its_first_use_admits_nobody(colour):
    async with Stage(colour, 5) as stage:
        async with stage.another(colour) as other:
            pass
        with pytest.raises(Closed):
            await other.acquire(timeout=0)
        assert stage.provider.readings == 0


@both_colours
async def test_closing_one_guard_leaves_others_of_its_ledger_alone(colour):
    async with Stage(colour, wait=NEVER) as stage:
        other = stage.another(colour)
        holder = await stage.guard.acquire(timeout=0)
        (job,) = await stage.in_line(stage.guard.acquire())
        await other.status()
        await other.close()
        assert not job.done
        holder.cancel()
        (await job.result()).cancel()


@both_colours
async def test_what_was_said_before_closing_is_delivered(colour):
    async with Stage(colour, 3) as stage, stage.another(colour) as other:
        one, two = await stage.guard.acquire(), await stage.guard.acquire()
        one.cancel()
        two.placed("call-2")
        two.release()
        await stage.guard.close()
        status = await other.status()
        assert (status.in_use, status.pending) == (1, 1)


@both_colours
async def test_a_guard_is_closed_by_its_block(colour):
    stage = Stage(colour)
    async with stage.guard as guard:
        (await guard.acquire()).cancel()
    with pytest.raises(Closed):
        await stage.guard.acquire()


def test_a_plain_guard_is_a_context_manager():
    stage = Stage(Threads())
    with stage.guard.guard as guard:
        guard.acquire().cancel()
    with pytest.raises(Closed):
        finish(stage.guard.acquire())
