"""Lanes and pace as users have them, in both colours."""

import logging

import pytest

from admission import ConfigurationError, Lane, Paused, QueueFull, Saturated
from tests.guards.colours import both_colours
from tests.guards.stage import Stage

CALLBACKS, BULK = Lane("callbacks"), Lane("bulk", priority=1)


async def hold(stage, lane, served, guard=None):
    async with (guard or stage.guard).hold(lane=lane) as reservation:
        assert reservation.lane == lane
        served.append(lane)
        reservation.ended()


@both_colours
async def test_a_better_lane_goes_first(colour):
    async with Stage(colour, lanes=[CALLBACKS, BULK]) as stage:
        served = []
        holder = await stage.guard.acquire(timeout=0)
        jobs = await stage.in_line(*(hold(stage, lane, served) for lane in ("bulk", "default", "callbacks")))
        holder.cancel()
        for job in jobs:
            await stage.outcome(job)
        assert served == ["callbacks", "bulk", "default"]


@both_colours
async def test_a_default_lane_that_nobody_declared_is_shown_with_the_priority_that_it_has(colour):
    async with Stage(colour, lanes=[CALLBACKS, BULK]) as stage:
        (await stage.guard.acquire(timeout=0)).cancel()
        shown = {lane.name: lane.settings.priority for lane in (await stage.status()).lanes}
        assert shown == {"callbacks": 0, "bulk": 1, "default": 1}


@both_colours
@pytest.mark.parametrize("kind", ["hold", "place"])
async def test_an_unknown_lane_is_refused_with_those_that_are_known(colour, kind):
    async with Stage(colour, lanes=[BULK]) as stage:
        with pytest.raises(ConfigurationError, match="lane 'typo' is not declared; known are: bulk, default"):
            async with getattr(stage.guard, kind)(lane="typo"):
                pass
        with pytest.raises(ConfigurationError, match="lane 'typo' is not declared"):
            await stage.guard.acquire(lane="typo", timeout=0)
        assert (await stage.status()).waiting == 0
        assert await stage.claimable() == 1


@both_colours
async def test_a_lane_that_a_guard_declares_is_there_for_its_first_word(colour):
    async with Stage(colour, lanes=[CALLBACKS]) as stage, stage.another(colour, lanes=[BULK]) as other:
        await other.pause("no agents", lane="bulk")
        assert [lane.name for lane in (await stage.status()).lanes if lane.paused] == ["bulk"]


@both_colours
async def test_what_is_set_before_the_first_call_outlives_the_declaration(colour):
    async with Stage(colour, lanes=[BULK]) as stage:
        await stage.guard.set_lane(Lane("bulk", headroom=4))
        (await stage.guard.acquire(timeout=0)).cancel()
        settings = {lane.name: lane.settings for lane in (await stage.status()).lanes}
        assert settings["bulk"] == Lane("bulk", headroom=4)


@both_colours
async def test_a_lane_that_another_guard_declared_can_be_used(colour):
    async with Stage(colour, lanes=[BULK]) as stage, stage.another(colour, lanes=()) as other:
        with pytest.raises(ConfigurationError, match="not declared"):
            await other.acquire(lane="bulk")
        # The reading that the refused one asked for may be under way: another's is looked for as time passes.
        (await stage.outcome(stage.start(stage.guard.acquire(timeout=0)))).cancel()
        reservation = await other.acquire(lane="bulk")
        assert reservation.lane == "bulk"
        reservation.cancel()


@both_colours
async def test_a_lane_set_at_run_time_counts_for_all_guards(colour, caplog):
    async with Stage(colour, 5, lanes=[BULK]) as stage, stage.another(colour) as other:
        with caplog.at_level(logging.INFO, logger="admission"):
            (await stage.guard.acquire(lane="bulk", timeout=0)).cancel()
            await other.set_lane(Lane("bulk", headroom=4))
        assert any("bulk" in record.getMessage() for record in caplog.records if record.event == "lanes_told")
        first = await stage.guard.acquire(lane="bulk", timeout=0)
        with pytest.raises(Saturated):
            await stage.guard.acquire(lane="bulk", timeout=0)
        await other.set_lane(Lane("new", max_in_flight=1, promote_after=2.5, weight=0.5))
        second = await stage.guard.acquire(lane="new", timeout=0)
        with pytest.raises(Saturated):
            await other.acquire(lane="new", timeout=0)
        lanes = {lane.name: lane for lane in (await stage.status()).lanes}
        assert set(lanes) == {"default", "bulk", "new"}
        assert lanes["new"].settings == Lane("new", max_in_flight=1, promote_after=2.5, weight=0.5)
        assert (lanes["new"].in_flight, lanes["bulk"].in_flight, lanes["default"].in_flight) == (1, 1, 0)
        for reservation in (first, second):
            reservation.cancel()


@both_colours
async def test_what_is_no_lane_cannot_be_set(colour):
    async with Stage(colour) as stage:
        with pytest.raises(ConfigurationError, match="give a Lane"):
            await stage.guard.set_lane("bulk")


@both_colours
async def test_a_place_in_a_capped_lane_must_be_tracked(colour):
    async with Stage(colour, 3, lanes=[Lane("capped", max_in_flight=1)]) as stage:
        with pytest.raises(ConfigurationError, match=r"lane 'capped' has max_in_flight.*place\(track=True\)"):
            stage.guard.place(lane="capped")
        async with stage.guard.place(lane="capped", track=True) as reservation:
            reservation.placed("call-1")
        with pytest.raises(Saturated):
            await stage.guard.acquire(lane="capped", timeout=0)
        await stage.guard.call_ended("call-1")
        (await stage.guard.acquire(lane="capped", timeout=0)).cancel()


@both_colours
async def test_a_cap_set_by_another_guard_refuses_what_it_cannot_count(colour):
    async with Stage(colour, 3) as stage, stage.another(colour) as other:
        await other.set_lane(Lane("capped", max_in_flight=1))
        with pytest.raises(ConfigurationError, match=r"place\(track=True\)"):
            async with stage.guard.place(lane="capped"):
                pass
        assert await stage.claimable() == 3


@both_colours
async def test_a_paused_lane_refuses_its_callers_and_no_others(colour):
    async with Stage(colour, lanes=[CALLBACKS, BULK]) as stage:
        (await stage.guard.acquire(timeout=0)).cancel()
        await stage.guard.pause("no agents", lane="bulk")
        with pytest.raises(Paused, match="no agents") as caught:
            await stage.guard.acquire(lane="bulk", timeout=0)
        assert caught.value.reason == "no agents"
        (await stage.guard.acquire(lane="callbacks", timeout=0)).cancel()
        status = await stage.status()
        assert not status.paused
        assert {lane.name: lane.pause_reason for lane in status.lanes if lane.paused} == {"bulk": "no agents"}
        (job,) = await stage.in_line(stage.guard.acquire(lane="bulk"))
        await stage.guard.resume(lane="bulk")
        (await stage.outcome(job)).cancel()


@both_colours
async def test_an_unknown_lane_cannot_be_paused(colour):
    async with Stage(colour, lanes=[BULK]) as stage:
        (await stage.guard.acquire(timeout=0)).cancel()
        with pytest.raises(ConfigurationError, match="lane 'typo' is not known; known are: bulk, default"):
            await stage.guard.pause("why", lane="typo")
        with pytest.raises(ConfigurationError, match="lane 'typo' is not known"):
            await stage.guard.resume(lane="typo")


@both_colours
async def test_more_lanes_than_an_account_may_have_are_refused(colour):
    async with Stage(colour) as stage:
        for number in range(99):
            await stage.guard.set_lane(Lane(f"lane{number}"))
        with pytest.raises(ConfigurationError, match="'one-more' is one too many"):
            await stage.guard.set_lane(Lane("one-more"))


@both_colours
async def test_a_refusal_tells_the_position_and_when_to_try_again(colour):
    async with Stage(colour, lanes=[CALLBACKS, BULK]) as stage:
        served = []
        holder = await stage.guard.acquire(timeout=0)
        jobs = await stage.in_line(*(hold(stage, lane, served) for lane in ("bulk", "callbacks", "callbacks")))
        positions = {}
        for lane in ("bulk", "callbacks"):
            with pytest.raises(Saturated) as caught:
                await stage.guard.acquire(lane=lane, timeout=0)
            positions[lane] = caught.value.position
            assert stage.policy.refresh_interval <= caught.value.retry_after <= 300
        assert positions == {"bulk": 3, "callbacks": 2}
        holder.cancel()
        for job in jobs:
            await stage.outcome(job)


@both_colours
async def test_a_full_line_refuses_at_once(colour):
    async with Stage(colour, policy={"max_waiting": 1}, lanes=[BULK]) as stage:
        holder = await stage.guard.acquire(timeout=0)
        (job,) = await stage.in_line(stage.guard.acquire())
        with pytest.raises(QueueFull) as caught:
            await stage.guard.acquire(lane="bulk", timeout=60)
        assert (caught.value.waited, caught.value.position) == (0, 1)
        holder.cancel()
        (await stage.outcome(job)).cancel()


@both_colours
async def test_starts_keep_the_pace_and_come_on_time(colour):
    """20 free slots at 5 starts a second are filled in 4 s, each start in the millisecond in which it may come."""
    async with Stage(colour, 20, policy={"starts_per_second": 5}) as stage:
        jobs = [stage.start(stage.guard.acquire()) for _ in range(20)]

        def started():
            return sum(job.done for job in jobs)

        await stage.until(lambda: started() == 1)
        began = stage.clock.now()
        for number in range(1, 20):
            await stage.waiting(20 - number)
            stage.clock.advance(0.198)
            await stage.guard.status()
            assert started() == number
            # From here on no time passes until the next one has started.
            stage.clock.advance(0.003)
            await stage.until(lambda due=number + 1: started() == due)
        assert stage.clock.now() - began <= 4
        for job in jobs:
            (await job.result()).cancel()


@both_colours
async def test_a_start_that_the_pace_forbids_is_refused_with_its_time(colour):
    async with Stage(colour, 5, policy={"starts_per_second": 0.1}) as stage:
        (await stage.guard.acquire(timeout=0)).cancel()
        with pytest.raises(Saturated) as caught:
            await stage.guard.acquire(timeout=0)
        assert caught.value.retry_after == pytest.approx(10, abs=0.1)
