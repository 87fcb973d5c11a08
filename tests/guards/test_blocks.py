"""Blocks, decorators and reservations in both colours: what books, what a holder can say, what an operator sees."""

import time
from collections import deque

import pytest

from admission import (
    ConfigurationError,
    Lane,
    LaneStatus,
    Paused,
    Policy,
    QueueFull,
    Saturated,
    Usage,
    UsageError,
    UsageUnavailable,
    current_reservation,
)
from admission.reservation import _enclosing
from tests.guards.colours import both_colours
from tests.guards.stage import Stage


def numbers(status):
    return {"in_use": status.in_use, "pending": status.pending, "held": status.held}


# Ways of booking


@both_colours
async def test_a_hold_is_booked_until_the_provider_has_counted_its_call_down(colour):
    async with Stage(colour, 2) as stage:
        async with stage.guard.hold() as reservation:
            assert numbers(await stage.status()) == {"in_use": 1, "pending": 1, "held": 0}
            reservation.placed("call-1")
            stage.provider.count = 1
            # Not yet surely in the count: the call is booked on top of it.
            assert numbers(await stage.read()) == {"in_use": 2, "pending": 1, "held": 0}
            await stage.pass_time(2)
            assert numbers(await stage.read()) == {"in_use": 1, "pending": 0, "held": 1}
            stage.provider.count = 0
            # A count below what is held is not believed.
            assert numbers(await stage.read()) == {"in_use": 1, "pending": 0, "held": 1}
            stage.provider.count = 1
            await stage.read()
        assert numbers(await stage.status()) == {"in_use": 1, "pending": 0, "held": 0}
        stage.provider.count = 0
        assert numbers(await stage.read()) == {"in_use": 0, "pending": 0, "held": 0}


@both_colours
async def test_a_hold_that_never_says_placed_counts_twice_until_its_call_is_surely_counted(colour):
    async with Stage(colour, 2) as stage:
        reservation = await stage.guard.acquire()
        stage.provider.count = 1
        await stage.pass_time(11.9)
        assert numbers(await stage.read()) == {"in_use": 2, "pending": 1, "held": 0}
        await stage.pass_time(0.2)
        assert numbers(await stage.read()) == {"in_use": 1, "pending": 0, "held": 0}
        reservation.release()


@both_colours
async def test_a_hold_left_by_value_hands_its_call_off_after_the_visibility_lag(colour):
    async with Stage(colour, 2) as stage:
        async with stage.guard.hold():
            pass
        assert (await stage.status()).pending == 1
        await stage.pass_time(1.9)
        assert (await stage.read()).pending == 1
        await stage.pass_time(0.2)
        assert numbers(await stage.read()) == {"in_use": 0, "pending": 0, "held": 0}


@both_colours
async def test_a_call_outlives_the_block_that_placed_it(colour):
    async with Stage(colour, 2) as stage:
        async with stage.guard.place() as reservation:
            reservation.placed("call-1")
        assert numbers(await stage.status()) == {"in_use": 1, "pending": 1, "held": 0}
        stage.provider.count = 1
        await stage.pass_time(2.1)
        status = await stage.read()
        assert numbers(status) == {"in_use": 1, "pending": 0, "held": 0}
        assert status.untracked == 1


@both_colours
async def test_leaving_a_block_that_places_by_value_says_that_it_has_placed(colour):
    async with Stage(colour) as stage:
        async with stage.guard.place():
            await stage.pass_time(5)
        await stage.pass_time(1.9)
        assert (await stage.read()).pending == 1
        await stage.pass_time(0.2)
        assert (await stage.read()).pending == 0


@both_colours
async def test_a_tracked_call_stays_known_until_it_is_told_as_ended(colour):
    async with Stage(colour, 3) as stage:

        @stage.guard.place(track=True, call_id=lambda answer: answer["id"])
        async def dial(number):
            return {"id": number}

        assert await dial(7) == {"id": 7}
        stage.provider.count = 1
        await stage.pass_time(2.1)
        status = await stage.read()
        assert numbers(status) == {"in_use": 1, "pending": 0, "held": 0}
        assert status.lanes == (LaneStatus("default", waiting=0, in_flight=1, settings=Lane("default")),)
        assert status.untracked == 0
        await stage.guard.call_ended(7)
        status = await stage.status()
        assert (status.lanes[0].in_flight, status.untracked) == (0, 1)


@both_colours
async def test_a_tracked_call_that_ends_while_it_is_pending_frees_its_slot_at_once(colour):
    async with Stage(colour) as stage:
        async with stage.guard.place(track=True) as reservation:
            reservation.placed("call-1")
        assert await stage.claimable() == 0
        await stage.guard.call_ended("call-1")
        assert await stage.claimable() == 1


@both_colours
async def test_an_end_that_comes_before_the_id_is_bound_ends_the_call(colour):
    async with Stage(colour) as stage:
        await stage.guard.call_ended("call-1")
        async with stage.guard.place(track=True) as reservation:
            reservation.placed("call-1")
        assert await stage.claimable() == 1
        await stage.guard.call_ended("call-1")
        assert await stage.claimable() == 1


@both_colours
async def test_a_call_that_others_started_is_booked_as_placed_now(colour):
    async with Stage(colour, 2) as stage:
        await stage.read()
        await stage.guard.call_started("inbound-1")
        await stage.guard.call_started("inbound-1")
        assert numbers(await stage.status()) == {"in_use": 1, "pending": 1, "held": 0}
        stage.provider.count = 1
        await stage.pass_time(2.1)
        assert numbers(await stage.read()) == {"in_use": 1, "pending": 0, "held": 0}
        await stage.guard.call_ended("inbound-1")
        await stage.guard.call_started("inbound-1")
        assert (await stage.status()).pending == 0


@both_colours
async def test_a_call_reported_as_started_merges_with_the_reservation_that_placed_it(colour):
    async with Stage(colour, 2) as stage:
        reservation = await stage.guard.acquire()
        await stage.guard.call_started("call-1")
        assert (await stage.status()).in_use == 2
        reservation.placed("call-1")
        assert (await stage.status()).in_use == 1
        reservation.ended()
        assert (await stage.status()).in_use == 0


@both_colours
async def test_call_ids_are_told_apart_by_their_text_however_long(colour):
    async with Stage(colour, 2) as stage:
        first, second = "x" * 5000 + "1", "x" * 5000 + "2"
        await stage.read()
        await stage.guard.call_started(first)
        await stage.guard.call_started(second)
        assert (await stage.status()).in_use == 2
        await stage.guard.call_ended(first)
        assert (await stage.status()).in_use == 1
        await stage.guard.call_ended("\ud800 \x00 \n {braces}")
        async with stage.guard.place() as reservation:
            reservation.placed(first)
            assert len(reservation.call_id) < 100
            assert reservation.call_id.startswith("sha256:")
        await stage.guard.call_ended(second)


# Reservations


@both_colours
async def test_a_reservation_tells_its_facts(colour):
    async with Stage(colour, 2) as stage:
        before = time.time()
        async with stage.guard.hold(timeout=5) as first, stage.guard.place(timeout=5) as second:
            assert first.id != second.id
            assert (first.lane, first.account, first.call_id) == ("default", "acme", None)
            assert before - 0.1 <= first.granted_at <= time.time() + 0.1
            assert first.waited == 0
            # The ledger's clock stands still: so it is 10 s from when it is asked for.
            assert before + 9.9 <= first.deadline <= time.time() + 10.1
            first.placed(4711)
            assert first.call_id == "4711"
            second.placed()
            assert second.call_id is None
            assert first.id in repr(first)
            assert "placed" in repr(first)
        assert "left" in repr(first)


@both_colours
async def test_a_reservation_tells_how_long_its_caller_waited(colour):
    async with Stage(colour) as stage:
        holder = await stage.guard.acquire()
        (job,) = await stage.in_line(stage.guard.acquire())
        await stage.pass_time(3)
        holder.cancel()
        reservation = await job.result()
        assert reservation.waited == pytest.approx(3, abs=0.01)
        assert reservation.granted_at == pytest.approx(time.time(), abs=5)
        reservation.cancel()


@both_colours
async def test_release_leaves_by_value_once(colour):
    async with Stage(colour) as stage:
        reservation = await stage.guard.acquire()
        reservation.release()
        reservation.release()
        reservation.cancel()
        reservation.ended()
        reservation.placed("too late")
        assert reservation.call_id is None
        assert (await stage.status()).pending == 1


@both_colours
@pytest.mark.parametrize("kind", ["hold", "place"])
async def test_cancel_frees_the_slot_at_once(colour, kind):
    async with Stage(colour) as stage:
        async with getattr(stage.guard, kind)() as reservation:
            reservation.cancel()
            reservation.cancel()
            assert (await stage.status()).in_use == 0
            other = await stage.guard.acquire(timeout=1)
        assert (await stage.status()).in_use == 1
        other.cancel()


@both_colours
async def test_cancel_after_placed_contradicts_itself_and_changes_nothing(colour, caplog):
    async with Stage(colour) as stage:
        async with stage.guard.place() as reservation:
            reservation.placed("call-1")
            reservation.cancel()
            assert (await stage.status()).in_use == 1
        assert "cancel() after placed() is ignored" in caplog.text
        assert (await stage.status()).pending == 1


@both_colours
async def test_ended_frees_the_slot_at_once_also_before_the_block_is_left(colour):
    async with Stage(colour) as stage:
        async with stage.guard.hold() as reservation:
            reservation.placed("call-1")
            reservation.ended()
            assert (await stage.status()).in_use == 0
        assert await stage.claimable() == 1


@both_colours
async def test_what_a_holder_says_is_seen_by_the_next_status(colour):
    async with Stage(colour, 30) as stage:
        await stage.read()
        for _ in range(10):
            reservation = await stage.guard.acquire()
            reservation.placed("same id, said by mistake")
            reservation.ended()
            assert (await stage.status()).in_use == 0


# The enclosing block


@both_colours
async def test_the_current_reservation_is_that_of_the_innermost_block(colour):
    async with Stage(colour, 3) as stage:
        with pytest.raises(LookupError):
            current_reservation()
        async with stage.guard.hold() as outer:
            assert current_reservation() is outer
            async with stage.guard.place(timeout=1) as inner:
                assert current_reservation() is inner
            assert current_reservation() is outer

            @stage.guard.place(timeout=1)
            async def dial():
                current_reservation().placed("call-1")
                return current_reservation()

            assert (await dial()).call_id == "call-1"
            assert current_reservation() is outer
        with pytest.raises(LookupError):
            current_reservation()


def enclosing():
    """Return how many blocks are kept for the running code."""
    block, kept = _enclosing.get(), 0
    while block is not None:
        block, kept = block.outer, kept + 1
    return kept


@both_colours
async def test_blocks_may_be_left_in_any_order(colour):
    async with Stage(colour, 4) as stage, stage.guard.hold() as outermost:
        blocks = [stage.guard.hold(timeout=1) for _ in range(3)]
        first, second, third = [await block.__aenter__() for block in blocks]
        await blocks[0].__aexit__(None, None, None)
        assert current_reservation() is third
        await blocks[2].__aexit__(None, None, None)
        assert current_reservation() is second
        assert "left" not in repr(second)
        assert "left" in repr(first)
        await blocks[1].__aexit__(None, None, None)
        assert current_reservation() is outermost


@both_colours
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in another context"])
async def test_a_dispatcher_that_leaves_the_oldest_block_first_keeps_the_open_ones_alone(colour, elsewhere):
    async with Stage(colour, 4) as stage:
        kept = []
        running = deque()
        for _ in range(50):
            # Never none: there is always a call that runs on.
            block = stage.guard.hold(timeout=1)
            reservation = await block.__aenter__()
            running.append((block, reservation))
            kept.append(enclosing())
            if len(running) == 4:
                block, over = running.popleft()
                over.ended()
                leaving = block.__aexit__(None, None, None)
                await (colour.start(leaving).result() if elsewhere else leaving)
            assert current_reservation() is reservation
        assert max(kept) == 4
        while running:
            block, _ = running.popleft()
            await block.__aexit__(None, None, None)
        with pytest.raises(LookupError):
            current_reservation()


@both_colours
async def test_an_error_also_ends_what_is_current(colour):
    async with Stage(colour, 3) as stage:

        @stage.guard.place()
        async def dial():
            raise OSError("line cut")

        with pytest.raises(OSError, match="line cut"):
            await dial()
        with pytest.raises(LookupError):
            current_reservation()


@both_colours
async def test_what_runs_beside_a_block_is_not_in_it(colour):
    """A new thread inherits nothing; a new task has a copy of its maker's context, and may still wait for ever."""

    async def beside():
        reservation = await stage.guard.acquire()
        reservation.cancel()

    async with Stage(colour, 2) as stage, stage.guard.hold():
        await colour.start(beside()).result()


# Decorators


@both_colours
async def test_a_decorated_function_is_booked_anew_by_each_call(colour):
    async with Stage(colour, 3) as stage:

        @stage.guard.hold()
        async def call(number, *, double=False):
            """Double."""
            seen.append(current_reservation().id)
            return number * 2 if double else number

        seen = []
        assert [await call(1), await call(2, double=True), await call(number=3)] == [1, 4, 3]
        assert len(set(seen)) == 3
        assert (call.__name__, call.__doc__) == ("call", "Double.")


@both_colours
async def test_one_recipe_decorates_many_functions(colour):
    async with Stage(colour, 4) as stage:
        recipe = stage.guard.place(timeout=1)

        @recipe
        async def one():
            return current_reservation().id

        @recipe
        async def two():
            return current_reservation().id

        assert len({await one(), await two(), await one()}) == 3


@both_colours
async def test_methods_and_recursion(colour):
    async with Stage(colour, 5) as stage:

        class Dialer:
            depth = 0

            @stage.guard.hold(timeout=1)
            async def dial(self, times):
                self.depth += 1
                return [current_reservation().id] + (await self.dial(times - 1) if times > 1 else [])

        dialer = Dialer()
        assert len(set(await dialer.dial(4))) == 4
        assert dialer.depth == 4


@both_colours
async def test_recursion_beyond_the_limit_ends_with_the_innermost_callers_timeout(colour):
    async with Stage(colour, 2) as stage:

        @stage.guard.hold(timeout=0)
        async def dial(times):
            return await dial(times - 1)

        with pytest.raises(Saturated, match="2 of 2"):
            await dial(10)


@both_colours
async def test_an_error_of_a_decorated_function_is_raised_as_it_is(colour):
    error = ValueError("as it is")
    async with Stage(colour) as stage:

        @stage.guard.place()
        async def dial():
            raise error

        with pytest.raises(ValueError, match="as it is") as caught:
            await dial()
        assert caught.value is error
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


@both_colours
async def test_a_decorated_function_that_called_cancel_frees_its_slot(colour):
    async with Stage(colour) as stage:

        @stage.guard.place()
        async def dial(lead):
            if lead is None:
                current_reservation().cancel()
            return lead

        for _ in range(5):
            assert await dial(None) is None
        assert await stage.claimable() == 1


@both_colours
async def test_a_call_id_that_cannot_be_taken_loses_no_placed_call(colour, caplog):
    async with Stage(colour) as stage:

        @stage.guard.place(track=True, call_id=lambda answer: answer["id"])
        async def dial():
            return {}

        assert await dial() == {}
        assert "call_id() failed" in caplog.text
        assert (await stage.status()).pending == 1


@both_colours
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("missing", [None, ""])
async def test_a_call_without_an_id_is_not_the_one_that_was_told_as_ended(colour, track, missing, caplog):
    async with Stage(colour) as stage:
        # What `str` makes of no id is an id like others.
        await stage.guard.call_ended("None")

        @stage.guard.place(track=track, call_id=lambda answer: answer.get("id", missing))
        async def dial():
            return {}

        assert await dial() == {}
        assert (await stage.status()).pending == 1
        assert await stage.claimable() == 0
        assert not [record for record in caplog.records if record.levelname == "ERROR"]


@both_colours
async def test_no_id_takes_none_away(colour):
    async with Stage(colour) as stage, stage.guard.place(track=True) as reservation:
        reservation.placed("call-1")
        for missing in (None, ""):
            reservation.placed(missing)
            assert reservation.call_id == "call-1"


@both_colours
@pytest.mark.parametrize("missing", [None, ""])
async def test_a_call_that_is_known_by_its_id_alone_needs_one(colour, missing):
    async with Stage(colour) as stage:
        for tell in (stage.guard.call_started, stage.guard.call_ended):
            with pytest.raises(ConfigurationError, match="the call id is missing"):
                await tell(missing)
        assert (await stage.status()).pending == 0


@both_colours
async def test_a_block_is_entered_once(colour):
    async with Stage(colour, 3) as stage:
        block = stage.guard.hold()
        async with block:
            with pytest.raises(RuntimeError, match="make a new one"):
                await block.__aenter__()
        with pytest.raises(RuntimeError, match="make a new one"):
            await block.__aenter__()
        assert (await stage.status()).in_use == 1


@both_colours
async def test_leaving_a_block_swallows_nothing(colour):
    async with Stage(colour) as stage:
        block = stage.guard.place()
        await block.__aenter__()
        assert await block.__aexit__(ValueError, ValueError("x"), None) is None


@both_colours
async def test_a_block_may_be_left_in_another_context_than_it_was_entered_in(colour):
    async with Stage(colour) as stage:
        block = stage.guard.hold()
        reservation = await colour.start(block.__aenter__()).result()
        with pytest.raises(LookupError):
            current_reservation()
        await block.__aexit__(None, None, None)
        assert "left" in repr(reservation)


@both_colours
async def test_a_closed_account_of_nested_blocks(colour):
    """An inner block that does not get a slot leaves the outer one as it was."""
    async with Stage(colour) as stage:
        async with stage.guard.hold() as outer:
            with pytest.raises(Saturated):
                async with stage.guard.hold(timeout=0):
                    pytest.fail("admitted above the limit")
            assert current_reservation() is outer
        assert (await stage.status()).pending == 1


# What an operator sees and does


@both_colours
async def test_the_state_before_the_first_reading(colour):
    async with Stage(colour) as stage:
        status = await stage.guard.status()
        assert status.account == "acme"
        assert (status.limit, status.count, status.usage_age) == (None, None, None)
        assert (status.in_use, status.free, status.waiting) == (0, 0, 0)
        assert (status.paused, status.pause_reason) == (False, "")
        assert stage.provider.readings == 0


@both_colours
async def test_the_state_after_a_reading(colour):
    async with Stage(colour, 5, count=2) as stage:
        status = await stage.read()
        assert (status.limit, status.count, status.in_use, status.free) == (5, 2, 2, 3)
        assert (status.untracked, status.pending, status.held) == (2, 0, 0)
        assert status.usage_age == 0
        await stage.pass_time(3)
        assert (await stage.status()).usage_age == pytest.approx(3, abs=0.002)
        assert stage.provider.readings == 1


@both_colours
async def test_refresh_reads_also_when_the_newest_reading_is_young(colour):
    async with Stage(colour, 5) as stage:
        await stage.read()
        stage.provider.count = 4
        assert (await stage.read()).free == 1
        assert stage.provider.readings == 2


@both_colours
async def test_refresh_says_why_there_is_no_reading(colour):
    async with Stage(colour, 5) as stage:
        stage.provider.script += [UsageError("down", status=503), ConfigurationError("wrong key", status=401)]
        with pytest.raises(UsageUnavailable, match="down") as caught:
            await stage.read()
        assert caught.value.cause.status == 503
        with pytest.raises(ConfigurationError, match="wrong key"):
            await stage.read()


@both_colours
async def test_a_pause_stops_the_very_next_claim(colour):
    async with Stage(colour, 2) as stage:
        running = await stage.guard.acquire()
        await stage.guard.pause("maintenance")
        with pytest.raises(Paused, match="maintenance") as caught:
            await stage.guard.acquire(timeout=0)
        assert caught.value.reason == "maintenance"
        assert (caught.value.limit, caught.value.in_use) == (2, 1)
        status = await stage.status()
        assert (status.paused, status.pause_reason, status.free) == (True, "maintenance", 0)
        running.placed("runs on")
        running.release()
        await stage.guard.resume()
        status = await stage.status()
        assert (status.paused, status.pause_reason) == (False, "")
        (await stage.guard.acquire(timeout=0)).cancel()


@both_colours
async def test_who_waits_through_a_pause_is_served_when_it_ends(colour):
    async with Stage(colour, 2) as stage:
        await stage.guard.pause("lunch")
        began = stage.clock.now()
        patient, hasty = await stage.in_line(stage.guard.acquire(), stage.guard.acquire(timeout=3))
        await stage.pass_time(4)
        with pytest.raises(Paused) as caught:
            await stage.outcome(hasty)
        # The clock may be turned on before the caller's thread has looked at it, never back.
        assert 3 <= caught.value.waited <= stage.clock.now() - began
        assert not patient.done
        await stage.guard.resume()
        (await stage.outcome(patient)).cancel()


@both_colours
async def test_a_pause_of_one_guard_holds_for_all_guards_of_the_account(colour):
    async with (
        Stage(colour, 2) as stage,
        stage.another(colour) as other,
        stage.another(colour, account="else") as third,
    ):
        await stage.guard.pause("all of us")
        with pytest.raises(Paused):
            await other.acquire(timeout=0)
        (await third.acquire(timeout=0)).cancel()
        await other.resume()
        (await stage.guard.acquire(timeout=0)).cancel()


@both_colours
async def test_headroom_stays_free(colour):
    async with Stage(colour, 5, policy={"headroom": 2}) as stage:
        assert await stage.claimable() == 3
        held = [await stage.guard.acquire(timeout=0) for _ in range(3)]
        with pytest.raises(Saturated, match=r"3 of 5 in use, 0 ahead \(the rest is kept back: headroom, "):
            await stage.guard.acquire(timeout=0)
        for reservation in held:
            reservation.cancel()


@both_colours
async def test_a_lowered_limit_throws_nobody_out_and_admits_nobody(colour):
    async with Stage(colour, 3) as stage:
        held = [await stage.guard.acquire() for _ in range(3)]
        stage.provider.limit = 1
        status = await stage.read()
        assert (status.limit, status.in_use, status.free) == (1, 3, 0)
        held.pop().cancel()
        held.pop().cancel()
        assert await stage.claimable() == 0
        held.pop().cancel()
        assert await stage.claimable() == 1


@both_colours
async def test_a_raised_limit_serves_the_line_with_the_next_reading(colour):
    async with Stage(colour, 0) as stage:
        jobs = await stage.in_line(stage.guard.acquire(), stage.guard.acquire())
        stage.provider.limit = 2
        await stage.pass_time(1.5)
        for job in jobs:
            (await stage.outcome(job)).cancel()


@both_colours
async def test_a_full_line_refuses_at_once(colour):
    async with Stage(colour, 0, policy={"max_waiting": 2}) as stage:
        jobs = await stage.in_line(stage.guard.acquire(timeout=5), stage.guard.acquire(timeout=5))
        with pytest.raises(QueueFull, match="2 callers") as caught:
            await stage.guard.acquire(timeout=60)
        assert (caught.value.position, caught.value.waited, caught.value.limit) == (2, 0, 0)
        assert 1 <= caught.value.retry_after <= 300
        await stage.pass_time(6)
        for job in jobs:
            with pytest.raises(Saturated):
                await stage.outcome(job)


@both_colours
async def test_a_refusal_bears_its_facts(colour):
    async with Stage(colour, 2, count=1) as stage:
        holder = await stage.guard.acquire()
        with pytest.raises(Saturated, match="2 of 2 in use, 0 ahead") as caught:
            await stage.guard.acquire(timeout=0)
        error = caught.value
        assert (error.limit, error.in_use, error.position, error.waited) == (2, 2, 0, 0)
        assert 1 <= error.retry_after <= 300
        holder.cancel()


@both_colours
async def test_guards_of_other_accounts_do_not_meet(colour):
    async with Stage(colour) as stage, stage.another(colour, account="else") as other:
        held = [await stage.guard.acquire(), await other.acquire(timeout=0)]
        assert [(await guard.status()).in_use for guard in (stage.guard, other)] == [1, 1]
        for reservation in held:
            reservation.cancel()


@both_colours
async def test_guards_of_one_account_share_it(colour):
    async with Stage(colour, 2) as stage, stage.another(colour) as other:
        held = [await stage.guard.acquire(), await other.acquire()]
        for guard in (stage.guard, other):
            with pytest.raises(Saturated):
                await guard.acquire(timeout=0)
        (job,) = await stage.in_line(other.acquire())
        held.pop(0).cancel()
        (await job.result()).cancel()
        held.pop().cancel()


@both_colours
async def test_policies_that_differ_are_told_and_the_stricter_counts(colour, caplog):
    async with Stage(colour, 6) as stage, stage.another(colour, policy=Policy(headroom=3)) as strict:
        mine = await stage.guard.acquire()
        assert await stage.claimable() == 5
        theirs = await strict.acquire()
        assert await stage.claimable() == 1
        await stage.pass_time(2)
        await stage.until(lambda: [record for record in caplog.records if record.event == "policies_differ"])
        for reservation in (mine, theirs):
            reservation.cancel()


@both_colours
async def test_a_usage_of_the_largest_numbers(colour):
    async with Stage(colour) as stage:
        stage.provider.always = Usage(1_000_000, 999_999)
        assert await stage.claimable() == 1
