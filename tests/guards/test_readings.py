"""When the provider is read, by how many at once, and what becomes of readings that fail."""

import asyncio
import contextlib
import logging
import threading
from datetime import UTC, datetime

import httpx
import pytest

from admission import ConfigurationError, MemoryLedger, Policy, PureTalk, Saturated, Usage, UsageError, UsageUnavailable
from admission.ledger import readings
from admission.testing import FakePureTalk, serve
from tests.guards.colours import COLOURS, Tasks, Threads, both_colours
from tests.guards.stage import Stage

# Demand


@both_colours
async def test_nobody_waiting_costs_no_readings(colour):
    async with Stage(colour, 2) as stage:
        await stage.guard.status()
        assert stage.provider.readings == 0
        reservation = await stage.guard.acquire()
        reservation.placed("call-1")
        async with stage.guard.place(timeout=1):
            await stage.pass_time(100, step=1)
        await stage.guard.call_started("call-2")
        await stage.guard.call_ended("call-2")
        await stage.pass_time(100, step=1)
        assert stage.provider.readings == 1
        reservation.release()


@both_colours
async def test_while_callers_wait_there_is_one_reading_an_interval_whatever_their_number(colour):
    async with Stage(colour, 0) as stage, stage.another(colour) as other, stage.another(colour) as third:
        jobs = await stage.in_line(*(guard.acquire(timeout=30) for guard in [stage.guard, other, third] * 5))
        before = stage.provider.readings
        await stage.pass_time(20, step=0.25)
        assert 15 <= stage.provider.readings - before <= 21
        assert stage.provider.peak == 1
        await stage.pass_time(11)
        for job in jobs:
            with pytest.raises(Saturated):
                await stage.outcome(job)


@both_colours
async def test_a_young_reading_serves_any_number_of_callers(colour):
    async with Stage(colour, 100) as stage:
        for _ in range(100):
            (await stage.guard.acquire(timeout=0)).cancel()
        assert stage.provider.readings == 1


@both_colours
async def test_a_reading_past_its_interval_admits_and_is_renewed_beside_it(colour):
    async with Stage(colour, 2) as stage:
        (await stage.guard.acquire()).cancel()
        stage.provider.gate.clear()
        stage.clock.advance(14)
        (await stage.guard.acquire(timeout=0)).cancel()
        await stage.until(lambda: stage.provider.readings == 2)
        stage.provider.gate.set()
        await stage.status(lambda status: status.usage_age < 1)


@both_colours
async def test_a_reading_too_old_admits_nobody(colour):
    async with Stage(colour, 2) as stage:
        (await stage.guard.acquire()).cancel()
        stage.provider.always = UsageError("down")
        await stage.pass_time(15.1)
        assert (await stage.status()).free == 0
        with pytest.raises(UsageUnavailable, match="down") as caught:
            await stage.guard.acquire(timeout=0)
        assert str(caught.value.cause) == "down"
        assert caught.value.retry_after >= 1


@both_colours
async def test_there_is_one_reader_at_a_time_also_when_readings_are_slow(colour):
    async with Stage(colour, 0) as stage, stage.another(colour) as other:
        stage.provider.gate.clear()
        jobs = [stage.start(guard.acquire(timeout=20)) for guard in [stage.guard, other] * 10]
        await stage.waiting(20)
        await stage.until(lambda: stage.provider.under_way == 1)
        for _ in range(9):
            stage.clock.advance(0.1)
            await stage.guard.status()
            await other.status()
        assert (stage.provider.under_way, stage.provider.peak) == (1, 1)
        stage.provider.gate.set()
        await stage.until(lambda: not stage.provider.under_way)
        await stage.pass_time(21)
        for job in jobs:
            with pytest.raises(Saturated):
                await stage.outcome(job)
        assert stage.provider.peak == 1


def test_many_callers_share_one_reader_over_http(monkeypatch):
    """The stand-in provider over real HTTP counts how many requests are open at once."""
    # Also where a reading takes so long that another process would take over.
    monkeypatch.setattr(readings, "SHORTEST_TOKEN_MS", 60_000)
    fake = FakePureTalk(3)
    fake.latency = 0.02
    policy = Policy(refresh_interval=0.02, visibility_lag=0.02, timeout=120)

    async def scenario():
        ledger = MemoryLedger()
        async with (
            Tasks().guard(PureTalk(fake.api_key, base_url=served.url), ledger, policy=policy) as one,
            Tasks().guard(PureTalk(fake.api_key, base_url=served.url), ledger, policy=policy) as two,
        ):

            async def call(guard):
                async with guard.hold() as reservation:
                    reservation.placed(fake.start_call(duration=0.03))
                    await asyncio.sleep(0.03)

            await asyncio.gather(*(call(guard) for guard in [one, two] * 15))

    with serve(fake) as served:
        asyncio.run(scenario())
    assert (fake.started, fake.overshoots, fake.peak_readings) == (30, 0, 1)
    assert fake.peak <= 3


# Failures


@both_colours
async def test_passing_failures_back_off_together(colour):
    async with Stage(colour, 0) as stage, stage.another(colour) as other:
        stage.provider.always = UsageError("down")
        jobs = await stage.in_line(stage.guard.acquire(timeout=70), other.acquire(timeout=70))
        await stage.pass_time(60, step=0.25)
        # After 1, 2, 4 and then every 5 s; each found at the next beat.
        assert 10 <= stage.provider.readings <= 17
        assert stage.provider.peak == 1
        stage.provider.always = None
        await stage.pass_time(6)
        stage.provider.limit = 2
        await stage.pass_time(2)
        for job in jobs:
            (await stage.outcome(job)).cancel()


@both_colours
async def test_a_provider_that_asks_to_wait_is_obeyed(colour):
    async with Stage(colour, 2) as stage:
        stage.provider.script.append(UsageError("too many", status=429, retry_after=20))
        (job,) = await stage.in_line(stage.guard.acquire())
        await stage.until(lambda: stage.provider.readings == 1)
        await stage.pass_time(19.5)
        assert stage.provider.readings == 1
        await stage.pass_time(2)
        (await stage.outcome(job)).cancel()


@both_colours
async def test_failures_end_as_unavailable_with_their_cause_when_the_time_is_up(colour):
    async with Stage(colour, 2) as stage:
        stage.provider.always = UsageError("the provider is down", status=503)
        (job,) = await stage.in_line(stage.guard.acquire(timeout=4))
        await stage.pass_time(5)
        with pytest.raises(UsageUnavailable, match="the provider is down") as caught:
            await stage.outcome(job)
        assert caught.value.cause.status == 503
        assert caught.value.retry_after > 0


@both_colours
async def test_a_provider_that_recovers_serves_those_who_still_wait(colour):
    async with Stage(colour, 1) as stage:
        stage.provider.script += [UsageError("down")] * 3
        (job,) = await stage.in_line(stage.guard.acquire(timeout=60))
        await stage.pass_time(12)
        (await stage.outcome(job)).cancel()


@both_colours
@pytest.mark.parametrize("timeout", [0, 5, None])
async def test_a_wrong_key_is_told_at_once(colour, timeout):
    error = ConfigurationError("wrong key", status=401)
    async with Stage(colour, 1) as stage:
        stage.provider.always = error
        with pytest.raises(ConfigurationError, match="wrong key") as caught:
            await stage.guard.acquire(timeout=timeout)
        assert caught.value is error
        await stage.waiting(0)


@both_colours
async def test_a_wrong_key_of_one_guard_does_not_stop_another(colour):
    async with Stage(colour, 1) as stage:
        right = stage.provider
        stage.source = type(right)()
        stage.source.always = ConfigurationError("wrong key")
        async with stage.another(colour) as wrong:
            (await stage.guard.acquire(timeout=0)).cancel()
            await stage.pass_time(20)
            jobs = [stage.start(guard.acquire()) for guard in (stage.guard, wrong)]
            (await stage.outcome(jobs[0])).cancel()
            # It is told of its key, or served with the reading of the other.
            with contextlib.suppress(ConfigurationError):
                (await stage.outcome(jobs[1])).cancel()
            assert right.readings >= 2


@both_colours
@pytest.mark.parametrize(
    "garbage",
    [None, {}, "20", 5, (20, 3), {"limit": 20, "count": 3}, Usage, ConfigurationError, b"", [Usage(1, 0)]],
    ids=repr,
)
async def test_a_source_that_returns_something_else_is_unavailable(colour, garbage):
    async with Stage(colour, 1, source=lambda _: Returns(garbage)) as stage:
        with pytest.raises(UsageUnavailable, match=r"the source returned \w+, not Usage"):
            await stage.guard.acquire(timeout=0)


class Returns:
    def __init__(self, value):
        self.value = value

    def fetch(self):
        return self.value

    async def afetch(self):
        return self.value


@both_colours
@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        ZeroDivisionError(),
        RecursionError("deep"),
        MemoryError(),
        AssertionError(),
        StopIteration(),
        OSError(5, "x"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_source_that_raises_anything_is_unavailable(colour, error):
    async with Stage(colour, 1) as stage:
        stage.provider.always = error
        name = "RuntimeError" if colour.tasks and isinstance(error, StopIteration) else type(error).__name__
        with pytest.raises(UsageUnavailable, match=f"the source raised {name}") as caught:
            await stage.guard.acquire(timeout=0)
        assert isinstance(caught.value.cause, UsageError)
        stage.provider.always = None
        await stage.pass_time(2)
        (await stage.guard.acquire(timeout=0)).cancel()


@both_colours
async def test_an_error_of_enormous_text_is_told_to_other_processes_in_short(colour):
    async with Stage(colour, 1) as stage:
        stage.provider.always = UsageError("x" * 1_000_000)
        with pytest.raises(UsageUnavailable):
            await stage.guard.acquire(timeout=0)
        async with stage.another(colour) as other:
            job = stage.start(other.acquire(timeout=0.5))
            await stage.waiting(1)
            await stage.pass_time(0.5)
            with pytest.raises(UsageUnavailable) as caught:
                await stage.outcome(job)
            assert len(str(caught.value)) < 1000


async def test_a_reading_that_is_cancelled_is_tried_again():
    async with Stage(Tasks(), 1) as stage:
        stage.provider.script.append(asyncio.CancelledError())
        (job,) = await stage.in_line(stage.guard.acquire(timeout=30))
        await stage.pass_time(5)
        (await stage.outcome(job)).cancel()


@both_colours
async def test_a_source_that_hangs_does_not_hang_its_callers(colour):
    async with Stage(colour, 1) as stage:
        stage.provider.gate.clear()
        patient, hasty = await stage.in_line(stage.guard.acquire(), stage.guard.acquire(timeout=2))
        for job in (hasty, stage.start(stage.guard.acquire(timeout=0))):
            with pytest.raises(UsageUnavailable):
                await stage.outcome(job)
        assert not patient.done
        # The reading that hangs is given up, and the next one comes in.
        stage.provider.gate.set()
        (await stage.outcome(patient)).cancel()


@both_colours
async def test_an_answer_that_took_longer_than_readings_may_be_old_is_dropped(colour, caplog):
    async with Stage(colour, 1, policy={"max_staleness": 2}) as stage:
        stage.provider.gate.clear()
        (job,) = await stage.in_line(stage.guard.acquire(timeout=30))
        await stage.until(lambda: stage.provider.under_way)
        stage.clock.advance(3)
        stage.provider.gate.set()
        await stage.until(lambda: [record for record in caplog.records if record.event == "reading_too_old"])
        await stage.pass_time(8)
        (await stage.outcome(job)).cancel()


@both_colours
async def test_a_refresh_that_gets_an_old_answer_is_told_so_and_asks_no_second_time(colour):
    async with Stage(colour, 1) as stage:
        stage.provider.always = Usage(1, 0, datetime(2025, 5, 2, tzinfo=UTC))
        await stage.read()
        await stage.pass_time(3)
        with pytest.raises(UsageUnavailable, match="the provider repeats an old answer") as caught:
            await stage.read()
        assert isinstance(caught.value.cause, UsageError)
        assert stage.provider.readings == 2
        stage.provider.always = None
        await stage.pass_time(1)
        assert (await stage.read()).usage_age < 1


@both_colours
async def test_failures_are_logged_with_their_facts(colour, caplog):
    caplog.set_level(logging.INFO, "admission")
    async with Stage(colour, 1) as stage:
        stage.provider.always = UsageError("down")
        with pytest.raises(UsageUnavailable):
            await stage.guard.acquire(timeout=0)
        record = next(record for record in caplog.records if record.event == "reading_failed")
        assert record.admission_error == "down"
        assert record.admission_account == "acme"
        assert "could not be read: down" in record.getMessage()


def test_a_reader_that_cannot_be_started_is_a_reading_that_failed(monkeypatch):
    colour, start = Threads(), threading.Thread.start

    def short(thread):
        if thread.name == "admission-reader":
            raise RuntimeError("can't start new thread")
        start(thread)

    async def scenario():
        async with Stage(colour, 1) as stage:
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", short)
                with pytest.raises(UsageUnavailable, match="can't start new thread"):
                    await stage.guard.acquire(timeout=0)
                (job,) = await stage.in_line(stage.guard.acquire(timeout=60))
                await stage.pass_time(5)
                assert not job.done
            (await stage.outcome(job)).cancel()

    colour.run(scenario())


@pytest.mark.parametrize("colour", COLOURS)
def test_puretalk_that_never_moves_its_timestamp_ends_as_unavailable(colour):
    async def scenario():
        async with Stage(colour, policy={"max_staleness": 4}, source=source) as stage:
            (await stage.guard.acquire(timeout=0)).cancel()
            # Taken up by the next reading, and repeated by all that follow.
            fakes[0].cached_for(float("inf"))
            await stage.read()
            await stage.pass_time(5)
            job = stage.start(stage.guard.acquire(timeout=0))
            with pytest.raises(UsageUnavailable, match="repeats an old answer"):
                await stage.outcome(job)

    def source(clock):
        from admission.testing.transport import transport

        fakes.append(FakePureTalk(5, clock=clock.now))
        kind = httpx.AsyncClient if colour.tasks else httpx.Client
        return PureTalk(fakes[0].api_key, client=kind(transport=transport(fakes[0])))

    fakes = []
    colour.run(scenario())


@both_colours
async def test_the_visibility_lag_that_is_seen_is_told_and_one_that_is_set_too_low_is_warned_of(colour, caplog):
    async with Stage(colour, limit=2, policy={"visibility_lag": 1.0}) as stage:
        assert (await stage.read()).visibility_lag_seen is None
        async with stage.guard.hold() as reservation:
            reservation.placed("call-1")
            await stage.pass_time(0.5)
            await stage.read()
            stage.provider.count = 1
            await stage.pass_time(0.05)
            assert 0.5 <= (await stage.read()).visibility_lag_seen < 0.6
            assert "raise visibility_lag" not in caplog.text
            stage.provider.count = 0
            await stage.pass_time(1)
            await stage.read()
            stage.provider.count = 1
            await stage.pass_time(0.05)
            assert (await stage.read()).visibility_lag_seen > 1.0
            assert "raise visibility_lag, it is 1.0 s" in caplog.text
