"""What hooks are told of admissions, readings and faults; that they break nothing; and the samples of the ledger."""

import asyncio
import contextvars
import dataclasses
import gc
import logging
import signal
import threading
import weakref

import pytest

from admission import (
    CallRejected,
    Closed,
    ConfigurationError,
    Lane,
    LedgerUnavailable,
    Paused,
    QueueFull,
    Saturated,
    Usage,
    UsageError,
    UsageUnavailable,
)
from admission.hooks import (
    SAMPLE_EVERY,
    Admitted,
    HookFailed,
    Lapsed,
    LatePlacement,
    LedgerFailed,
    Noticed,
    ReadingFailed,
    ReadingTaken,
    Refused,
    RefusedByProvider,
    Sampled,
)
from tests.guards.colours import COLOURS, Tasks, Threads, both_colours, finish
from tests.guards.stage import Stage
from tests.guards.test_outages import Wire, recover
from tests.waiting import wait_until


class Seen:
    """A hook that keeps what it is told."""

    def __init__(self):
        self.events = []

    def __call__(self, event):
        self.events.append(event)

    def of(self, *kinds):
        return [event for event in list(self.events) if isinstance(event, kinds)]

    @property
    def outcomes(self):
        """What the asks came to."""
        return [getattr(event, "reason", "admitted") for event in self.of(Admitted, Refused)]


class Broken:
    """A hook that raises, and counts how often it did."""

    def __init__(self, error):
        self.error = error
        self.calls = 0

    def __call__(self, event):
        self.calls += 1
        raise self.error


# Admissions


@both_colours
async def test_an_admission_is_told_with_who_and_how_long(colour):
    seen = Seen()
    async with Stage(colour, lanes=[Lane("bulk")], hooks=[seen]) as stage:
        first = await stage.guard.acquire(lane="bulk")
        (job,) = await stage.in_line(stage.guard.acquire())
        await stage.pass_time(3)
        first.cancel()
        second = await stage.outcome(job)
        second.cancel()
        async with stage.guard.place(track=True, timeout=5):
            pass
        told = seen.of(Admitted)
        assert [(event.account, event.lane, event.kind) for event in told] == [
            ("acme", "bulk", "hold"), ("acme", "default", "hold"), ("acme", "default", "track")
        ]  # fmt: skip
        assert [event.reservation for event in told][:2] == [first.id, second.id]
        assert told[0].waited == first.waited
        assert told[1].waited == second.waited >= 3
        assert seen.outcomes == ["admitted"] * 3


async def refused(stage, error, **want):
    with pytest.raises(error):
        await stage.outcome(stage.start(stage.guard.acquire(**want)))


@both_colours
async def test_every_refusal_is_told_with_its_reason(colour):
    seen = Seen()
    async with Stage(colour, policy={"max_waiting": 1}, hooks=[seen]) as stage:
        stage.provider.always = UsageError("down")
        await refused(stage, UsageUnavailable, timeout=0)
        stage.provider.always = None
        await stage.pass_time(5)
        await stage.read()
        holder = await stage.guard.acquire(timeout=0)
        await refused(stage, Saturated, timeout=0)
        await refused(stage, Saturated, timeout=2)
        (job,) = await stage.in_line(stage.guard.acquire(timeout=60))
        await refused(stage, QueueFull, timeout=5)
        await stage.guard.pause("why")
        await refused(stage, Paused, timeout=0)
        await stage.guard.resume()
        holder.cancel()
        (await stage.outcome(job)).cancel()
        await refused(stage, ConfigurationError, lane="typo", timeout=0)
        wire = Wire(stage)
        wire.cut = True
        await refused(stage, LedgerUnavailable, timeout=1)
        await recover(stage, wire)
        await stage.waiting(0)
        holder = await stage.outcome(stage.start(stage.guard.acquire(timeout=60)))
        (job,) = await stage.in_line(stage.guard.acquire())
        await stage.guard.close()
        with pytest.raises(Closed):
            await job.result()
        with pytest.raises(Closed, match="make a new one"):
            await stage.guard.acquire()
        holder.cancel()
    assert seen.outcomes == [
        "usage_unavailable", "admitted", "saturated", "saturated", "queue_full", "paused", "admitted", "configuration",
        "ledger_unavailable", "admitted", "closed", "closed",
    ]  # fmt: skip
    waits = [event.waited for event in seen.of(Refused)]
    assert 2 <= waits[2] < 6, "the caller that waited two seconds"
    assert [event.lane for event in seen.of(Refused) if event.lane != "default"] == ["unknown"]


@both_colours
async def test_names_of_lanes_that_nobody_declared_are_not_told(colour):
    """They may come from anywhere, and every name would be a time series."""
    seen = Seen()
    async with Stage(colour, hooks=[seen]) as stage:
        await stage.read()
        for number in range(5):
            await refused(stage, ConfigurationError, lane=f"lead-{number}", timeout=0)
        other = stage.another(colour)
        await other.set_lane(Lane("night"))
        wire = Wire(stage)
        wire.cut = True
        await refused(stage, LedgerUnavailable, lane="lead-9", timeout=0)
        await recover(stage, wire)
        await stage.pass_time(2 * SAMPLE_EVERY)
        await stage.until(lambda: any(len(event.status.lanes) == 2 for event in seen.of(Sampled)))
        wire.cut = True
        await refused(stage, LedgerUnavailable, lane="night", timeout=0)
        await recover(stage, wire)
    assert [event.lane for event in seen.of(Refused)] == ["unknown"] * 6 + ["night"]


def test_a_caller_that_is_cancelled_is_told_as_interrupted():
    async def scenario():
        async with Stage(Tasks(), hooks=[seen]) as stage:
            holder = await stage.guard.acquire(timeout=0)
            (job,) = await stage.in_line(stage.guard.acquire())
            job.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job.result()
            holder.cancel()

    seen = Seen()
    asyncio.run(scenario())
    assert seen.outcomes == ["admitted", "interrupted"]


@both_colours
async def test_admissions_and_refusals_are_told_in_the_caller_s_own_context(colour):
    whose = contextvars.ContextVar("whose", default="nobody")
    told = []

    def hook(event):
        if isinstance(event, (Admitted, Refused)):
            told.append((whose.get(), threading.get_ident()))

    async def caller(name):
        whose.set(name)
        async with stage.guard.hold(timeout=0) as reservation:
            with pytest.raises(Saturated):
                await stage.guard.acquire(timeout=0)
            reservation.cancel()
        return threading.get_ident()

    async with Stage(colour, hooks=[hook]) as stage:
        await stage.read()
        for name in ("ann", "bob"):
            place = await stage.outcome(stage.start(caller(name)))
            assert told[-2:] == [(name, place)] * 2


# Calls, readings, faults


@both_colours
async def test_a_refusal_by_the_provider_and_the_next_run_are_told(colour):
    seen = Seen()
    outcomes = [CallRejected(2.0), None]

    async with Stage(colour, 2, lanes=[Lane("bulk")], hooks=[seen]) as stage:

        @stage.guard.place(lane="bulk", timeout=60)
        async def dial():
            if (outcome := outcomes.pop(0)) is not None:
                raise outcome

        await stage.outcome(stage.start(dial()))
        (told,) = seen.of(RefusedByProvider)
        first, second = seen.of(Admitted)
        assert told == RefusedByProvider("acme", "bulk", first.reservation, 2.0)
        assert first.reservation != second.reservation
        assert second.waited >= 2


@both_colours
async def test_a_late_placement_is_told(colour):
    seen = Seen()
    async with Stage(colour, lanes=[Lane("bulk")], hooks=[seen]) as stage:
        reservation = await stage.guard.acquire(lane="bulk")
        await stage.pass_time(11)
        reservation.placed("call-1")
        await stage.until(lambda: seen.of(LatePlacement))
        assert seen.of(LatePlacement) == [LatePlacement("acme", "bulk", reservation.id)]
        reservation.ended()


@both_colours
async def test_reservations_that_lapse_are_told_and_sampled(colour):
    seen = Seen()
    async with Stage(colour, policy={"max_call_duration": 30}, hooks=[seen]) as stage:
        reservation = await stage.guard.acquire()
        reservation.placed("call-1")
        stage.provider.count = 1
        await stage.pass_time(25)
        await stage.read()
        assert seen.of(Sampled)[-1].lapsed == 0
        await stage.pass_time(12)
        await stage.until(lambda: seen.of(Lapsed))
        assert seen.of(Lapsed) == [Lapsed("acme", 1)]
        await stage.pass_time(2 * SAMPLE_EVERY)
        assert seen.of(Sampled)[-1].lapsed == 1
        reservation.release()


async def refreshing(stage):
    """Start a reading in a second of its own."""
    await stage.guard.status()
    stage.clock.advance(1)
    return stage.start(stage.guard.refresh())


@both_colours
async def test_a_reading_is_told_with_its_numbers_and_times(colour):
    seen = Seen()
    async with Stage(colour, 7, count=3, hooks=[seen]) as stage:
        stage.provider.gate.clear()
        job = await refreshing(stage)
        await stage.until(lambda: stage.provider.under_way)
        stage.clock.advance(0.5)
        stage.provider.gate.set()
        await job.result()
        assert seen.of(ReadingTaken) == [ReadingTaken("acme", 7, 3, 0.5, 0.5)]
        stage.provider.limit = 5
        await stage.read()
        told = {event.event: dict(event.facts) for event in seen.of(Noticed)}
        assert told["limit_changed"] == {"account": "acme", "limit": 5, "before": 7}


KINDS = [
    (UsageError("x", status=429), "rate_limited"),
    (UsageError("x", status=503), "server_error"),
    (UsageError("x", status=400), "client_error"),
    (UsageError("x", status=200), "bad_answer"),
    (UsageError("x"), "no_answer"),
    (TimeoutError("x"), "no_answer"),
    (KeyError("x"), "source_error"),
    ("garbage", "bad_answer"),
    (ConfigurationError("x"), "configuration"),
]


@pytest.mark.parametrize(("answer", "kind"), KINDS, ids=lambda value: value if isinstance(value, str) else repr(value))
@both_colours
async def test_a_reading_that_fails_is_told_with_its_kind(colour, answer, kind):
    seen = Seen()
    async with Stage(colour, hooks=[seen]) as stage:
        stage.provider.script.append(answer)
        with pytest.raises((UsageUnavailable, ConfigurationError)):
            await stage.read()
        await stage.until(lambda: seen.of(ReadingFailed))
        (told,) = seen.of(ReadingFailed)
        assert (told.account, told.kind) == ("acme", kind)
        assert told.error
        assert seen.of(ReadingTaken) == []


@both_colours
async def test_an_answer_that_is_dropped_is_told_with_its_kind(colour):
    seen = Seen()
    async with Stage(colour, hooks=[seen]) as stage:
        stage.provider.always = Usage(1, 0, stage_time())
        await stage.read()
        with pytest.raises(UsageUnavailable):
            await stage.read()
        stage.provider.gate.clear()
        job = await refreshing(stage)
        await stage.until(lambda: stage.provider.under_way)
        stage.clock.advance(15.5)
        stage.provider.gate.set()
        with pytest.raises(UsageUnavailable):
            await job.result()
        await stage.until(lambda: len(seen.of(ReadingFailed)) == 2)
        assert [event.kind for event in seen.of(ReadingFailed)] == ["cached", "too_old"]


def stage_time():
    from datetime import UTC, datetime

    return datetime(2026, 1, 1, tzinfo=UTC)


@both_colours
async def test_what_the_ledger_does_not_serve_is_told_each_time_with_its_verbs(colour):
    seen = Seen()
    async with Stage(colour, hooks=[seen]) as stage:
        await stage.read()
        wire = Wire(stage)
        wire.cut = True
        await refused(stage, LedgerUnavailable, timeout=2)
        with pytest.raises(LedgerUnavailable):
            await stage.outcome(stage.start(stage.guard.pause("why")))
        await recover(stage, wire)
        told = seen.of(LedgerFailed)
        assert len(told) > 2
        assert {event.error for event in told} == {"connection refused"}
        assert {"ask", "pause"} <= {verb for event in told for verb in event.verbs}
        assert all(list(event.verbs) == sorted(set(event.verbs)) for event in told)
        assert [event.event for event in seen.of(Noticed)].count("ledger_down") == 1


# A hook can break nothing


@both_colours
@pytest.mark.parametrize("error", [ValueError("mine"), SystemExit("mine")], ids=["an error", "an exit"])
async def test_a_hook_that_raises_is_logged_once_in_a_while_and_told_to_the_others(colour, error, caplog):
    """An exit is no error to a caller, so there it goes through; of the ledger's thread it is not let through."""
    seen = Seen()

    def broken(event):
        if isinstance(error, Exception) or not isinstance(event, (Admitted, Refused)):
            raise error

    async with Stage(colour, 2, hooks=[broken, seen]) as stage:
        for _ in range(10):
            (await stage.guard.acquire(timeout=0)).cancel()
        await stage.pass_time(10)
        assert (await stage.read()).free == 2
    told = seen.of(HookFailed)
    assert [event.failures for event in told] == list(range(1, len(told) + 1))
    assert {event.hook for event in told} == {broken.__qualname__}
    missed = [event for event in seen.events if not isinstance(event, HookFailed)]
    if not isinstance(error, Exception):
        missed = [event for event in missed if not isinstance(event, (Admitted, Refused))]
    assert len(told) == len(missed), "all else was told to both"
    (record,) = [record for record in caplog.records if getattr(record, "event", "") == "hook_failed"]
    assert (record.levelname, record.admission_failures) == ("WARNING", 1)
    assert record.exc_info[1] is error
    assert "broken" in record.getMessage()


@both_colours
async def test_hooks_that_all_raise_do_not_go_on_about_each_other(colour):
    one, two = Broken(ValueError("one")), Broken(ValueError("two"))
    async with Stage(colour, hooks=[one, two]) as stage:
        (await stage.guard.acquire(timeout=5)).cancel()
        await stage.pass_time(5)
    assert 2 < one.calls < 60
    assert one.calls == two.calls


@both_colours
async def test_an_exit_that_a_hook_raises_in_a_caller_gives_the_slot_back(colour):
    def hook(event):
        if isinstance(event, Admitted):
            raise SystemExit

    async with Stage(colour, hooks=[hook]) as stage:
        with pytest.raises(SystemExit):
            await stage.guard.acquire(timeout=5)
        await stage.status(lambda status: status.in_use == 0)


@pytest.mark.parametrize("event", [Admitted, Refused])
def test_what_a_signal_raises_while_a_hook_runs_is_the_caller_s(event):
    class Alarm(Exception):
        """What a framework's time limit raises."""

    def ring(number, frame):
        raise Alarm

    def hook(told):
        if isinstance(told, event):
            signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        stage = Stage(Threads(), 1 if event is Admitted else 0, hooks=[hook])
        with pytest.raises(Alarm):
            finish(stage.guard.acquire(timeout=0))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert finish(stage.status(lambda status: status.in_use == 0)).waiting == 0
    finish(stage.guard.close())


@both_colours
async def test_an_admission_whose_hook_outlasted_its_deadline_is_claimed_anew_and_told_once(colour):
    told = []

    def slow(event):
        if isinstance(event, Admitted):
            told.append(event.reservation)
            stage.clock.advance(11)

    async with Stage(colour, hooks=[slow]) as stage:
        reservation = await stage.outcome(stage.start(stage.guard.acquire(timeout=60)))
        assert len(told) == 1
        assert reservation.id not in told
        assert (await stage.status()).in_use == 1
        reservation.cancel()
        await stage.status(lambda status: status.in_use == 0)


@both_colours
async def test_a_hook_that_blocks_the_ledger_s_thread_delays_and_loses_nothing(colour):
    gate = threading.Event()
    blocked = threading.Event()

    def hook(event):
        if isinstance(event, ReadingTaken):
            blocked.set()
            gate.wait(20)

    async with Stage(colour, hooks=[hook]) as stage:
        (await stage.guard.acquire(timeout=60)).cancel()
        await stage.until(blocked.is_set)
        job = stage.start(stage.guard.acquire(timeout=60))
        for _ in range(20):
            await colour.look()
        assert not job.done
        gate.set()
        reservation = await stage.outcome(job)
        reservation.cancel()
        await stage.status(lambda status: status.in_use == 0)


async def coroutine(event):
    pass


class Coroutines:
    async def __call__(self, event):
        pass


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize(
    ("hooks", "text"),
    [
        ([5], "give callables"),
        ("hook", "give callables"),
        (print, "give a list of callables"),
        ([coroutine], "coroutine function"),
        ([Coroutines()], "coroutine function"),
    ],
)
def test_what_is_no_hook_is_refused(colour, hooks, text):
    with pytest.raises(ConfigurationError, match=text):
        Stage(colour, hooks=hooks)


# Samples


def limits(seen):
    return [event.status.limit for event in seen.of(Sampled)]


@both_colours
async def test_the_ledger_is_sampled_every_few_seconds_also_when_nobody_waits_and_the_provider_is_not(colour):
    seen = Seen()
    async with Stage(colour, 3, policy={"lease_ttl": 60}, hooks=[seen]) as stage:
        await stage.read()
        readings = stage.provider.readings
        await stage.until(lambda: seen.of(Sampled))
        before = len(seen.of(Sampled))
        await stage.pass_time(10 * SAMPLE_EVERY, step=1)
        assert 9 <= len(seen.of(Sampled)) - before <= 11
        assert stage.provider.readings == readings
        told = seen.of(Sampled)[-1]
        assert dataclasses.replace(told.status, usage_age=0) == dataclasses.replace(await stage.status(), usage_age=0)
        assert told.lapsed == 0


@both_colours
async def test_samples_follow_the_load(colour):
    seen = Seen()
    async with Stage(colour, 2, count=0, lanes=[Lane("bulk", priority=1)], hooks=[seen]) as stage:
        held = [await stage.guard.acquire(timeout=0) for _ in range(2)]
        (job,) = await stage.in_line(stage.guard.acquire(lane="bulk", timeout=60))

        def last():
            stage.clock.advance(0.25)
            status = seen.of(Sampled)[-1].status if seen.of(Sampled) else None
            return status and (status.in_use, {lane.name: lane.waiting for lane in status.lanes})

        await stage.until(lambda: last() == (2, {"default": 0, "bulk": 1}))
        for reservation in held:
            reservation.cancel()
        (await stage.outcome(job)).cancel()
        await stage.until(lambda: last() == (0, {"default": 0, "bulk": 0}))


@both_colours
@pytest.mark.parametrize("lease", [1.0, 10.0])
async def test_a_process_that_only_samples_is_not_given_up_in_between(colour, lease):
    seen = Seen()
    async with Stage(colour, policy={"lease_ttl": lease}, hooks=[seen]) as stage:
        await stage.read()
        end = stage.clock.now() + 30
        while stage.clock.now() < end:
            before = len(seen.of(Sampled))
            stage.clock.advance(min(SAMPLE_EVERY, lease / 3) + 0.01)
            await stage.until(lambda: len(seen.of(Sampled)) > before)  # noqa: B023 - waited for at once
        assert [event.event for event in seen.of(Noticed)] == []


@both_colours
async def test_without_hooks_nothing_is_sampled(colour):
    async with Stage(colour) as stage:
        wire = Wire(stage)
        await stage.read()
        reservation = await stage.guard.acquire(timeout=0)
        before = wire.told.count("status")
        for _ in range(20):
            stage.clock.advance(5)
            await colour.look()
        assert wire.told.count("status") == before
        reservation.cancel()


@both_colours
async def test_samples_end_with_the_guard(colour):
    seen = Seen()
    async with Stage(colour, hooks=[seen]) as stage:
        other = stage.another(colour)
        await stage.read()
        await stage.until(lambda: seen.of(Sampled))
        await stage.guard.close()
        before = len(seen.events)
        for _ in range(10):
            stage.clock.advance(5)
            await other.status()
        assert len(seen.events) == before
        await other.close()


@pytest.mark.parametrize("colour", COLOURS)
def test_a_guard_that_is_sampled_and_forgotten_is_collected(colour):
    async def scenario():
        stage = Stage(colour, hooks=[seen])
        await stage.read()
        await stage.until(lambda: seen.of(Sampled))
        return weakref.ref(getattr(stage.guard, "guard", stage.guard)), stage.clock

    seen = Seen()
    guard, clock = colour.run(scenario())

    def is_gone():
        clock.advance(1)
        gc.collect()
        return guard() is None

    wait_until(is_gone)


def test_samples_outlive_an_event_loop():
    seen = Seen()
    stage = Stage(Tasks(), hooks=[seen])
    asyncio.run(stage.read())
    before = len(seen.of(Sampled))

    def sampled_twice():
        stage.clock.advance(1)
        return len(seen.of(Sampled)) > before + 1

    wait_until(sampled_twice)
    asyncio.run(stage.guard.close())


@both_colours
async def test_a_sample_is_not_missed_for_ever_when_the_ledger_was_away(colour):
    seen = Seen()
    async with Stage(colour, hooks=[seen]) as stage:
        await stage.read()
        wire = Wire(stage)
        wire.cut = True
        await stage.until(lambda: stage.clock.advance(1) or len(seen.of(LedgerFailed)) > 2)
        before = len(seen.of(Sampled))
        wire.cut = False
        await stage.until(lambda: stage.clock.advance(1) or len(seen.of(Sampled)) > before)


def test_what_is_for_hooks_alone_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG, "admission")
    seen = Seen()
    stage = Stage(Threads(), 2, hooks=[seen])
    finish(stage.read())
    stage.provider.limit = 3
    finish(stage.read())
    finish(stage.guard.close())
    assert [record.event for record in caplog.records if hasattr(record, "event")] == ["limit_changed"]
    assert caplog.records[-1].admission_before == 2
