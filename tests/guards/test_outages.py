"""The ledger is away, or loses replies: nothing is admitted, what was noted is kept, nothing is booked twice."""

import logging

import pytest

from admission import AdmissionError, LedgerUnavailable, Saturated
from admission.clerk import StoreDown
from tests.guards.colours import both_colours
from tests.guards.stage import Stage

REFUSED = ConnectionError("connection refused")


class Wire:
    """What lies between guards and their ledger.

    Attributes:
        cut: No request comes through.
        deaf: So many exchanges come through whose replies are lost.
        breaks: Whether the ledger itself stumbles over each exchange.
        refuses: So many exchanges in which each request is refused by itself, as by a server without memory.
        told: The verbs of the requests that came through.
    """

    def __init__(self, stage):
        self.cut = False
        self.breaks = False
        self.deaf = 0
        self.refuses = 0
        self.told = []
        store = stage.ledger.clerk().store
        self._exchange, store.exchange = store.exchange, self.exchange

    def exchange(self, batch):
        if self.cut:
            raise StoreDown(REFUSED)
        if self.breaks:
            raise ZeroDivisionError("ours")
        if self.refuses:
            self.refuses -= 1
            return [REFUSED] * len(batch)
        self.told += [request.verb for _, _, request in batch]
        replies = self._exchange(batch)
        if self.deaf:
            self.deaf -= 1
            raise StoreDown(TimeoutError("no reply"))
        return replies


async def recover(stage, wire):
    """Let the ledger be reached again, and time pass until it was."""
    wire.cut = False
    await stage.outcome(stage.start(stage.guard.status()))


async def hold_a_call(stage):
    """Return a reservation whose call "call-1" the ledger knows."""
    await stage.read()
    reservation = await stage.guard.acquire()
    reservation.placed("call-1")
    await stage.status()
    return reservation


@both_colours
async def test_nothing_is_admitted_while_the_ledger_is_away(colour):
    async with Stage(colour, 2) as stage:
        await stage.read()
        wire = Wire(stage)
        wire.cut = True
        with pytest.raises(LedgerUnavailable, match="connection refused") as caught:
            await stage.guard.acquire(timeout=0)
        assert caught.value.cause is REFUSED
        with pytest.raises(LedgerUnavailable, match="connection refused"):
            await stage.outcome(stage.start(stage.guard.acquire(timeout=2)))
        await recover(stage, wire)
        await stage.waiting(0)
        assert await stage.claimable() == 2


@both_colours
async def test_a_caller_waits_through_an_outage_and_is_served_after_it(colour):
    async with Stage(colour, 1) as stage:
        holder = await stage.guard.acquire()
        (job,) = await stage.in_line(stage.guard.acquire())
        wire = Wire(stage)
        wire.cut = True
        holder.cancel()
        for _ in range(20):
            await colour.look()
            stage.clock.advance(0.5)
        assert not job.done
        wire.cut = False
        (await stage.outcome(job)).cancel()


@both_colours
async def test_leaving_never_raises_and_is_told_when_the_ledger_is_back(colour):
    async with Stage(colour, 5) as stage:
        wire = Wire(stage)
        blocks = [stage.guard.hold(timeout=1), stage.guard.place(timeout=1), stage.guard.place(timeout=1)]
        for block in blocks:
            await block.__aenter__()
        ended, cancelled = [await stage.guard.acquire(timeout=1) for _ in range(2)]
        wire.cut = True
        ended.placed("call-1")
        ended.ended()
        cancelled.cancel()
        for block, error in zip(blocks, (None, None, ValueError("x")), strict=True):
            await block.__aexit__(type(error), error, None)
        with pytest.raises(LedgerUnavailable):
            await stage.outcome(stage.start(stage.guard.status()), step=0.05)
        await recover(stage, wire)
        assert (await stage.status(lambda status: status.in_use == 3)).pending == 3


@both_colours
async def test_what_is_refused_one_by_one_is_told_in_its_order(colour):
    async with Stage(colour, 5) as stage:
        await stage.read()
        first, second = [await stage.guard.acquire(timeout=1) for _ in range(2)]
        wire = Wire(stage)
        wire.cut = True
        first.placed("call-1")
        second.cancel()
        first.release()
        for _ in range(5):
            await colour.look()
            stage.clock.advance(0.5)
        wire.refuses = 1
        wire.cut = False
        await stage.until(lambda: stage.clock.advance(0.05) or "leave" in wire.told)
        assert [verb for verb in wire.told if verb in {"placed", "ended", "leave"}] == ["placed", "ended", "leave"]


@both_colours
async def test_who_asks_or_commands_is_told_that_the_ledger_is_away(colour):
    async with Stage(colour, 1) as stage:
        await stage.read()
        wire = Wire(stage)
        wire.cut = True
        for ask in (stage.guard.status, stage.guard.refresh, lambda: stage.guard.pause("x"), stage.guard.resume):
            with pytest.raises(LedgerUnavailable, match="connection refused"):
                await stage.outcome(stage.start(ask()), step=0.05)
        await recover(stage, wire)
        assert not (await stage.guard.status()).paused


@both_colours
async def test_news_of_calls_is_kept_until_the_ledger_is_back(colour):
    async with Stage(colour, 5) as stage:
        reservation = await hold_a_call(stage)
        wire = Wire(stage)
        wire.cut = True
        for tell in (stage.guard.call_ended("call-1"), stage.guard.call_started("call-2")):
            assert await stage.outcome(stage.start(tell)) is None
        await recover(stage, wire)
        await stage.status(lambda status: (status.in_use, status.pending) == (1, 1))
        reservation.release()


@both_colours
async def test_a_fault_of_our_own_is_told_to_who_waits_and_loses_no_note(colour):
    async with Stage(colour, 5) as stage:
        reservation = await hold_a_call(stage)
        wire = Wire(stage)
        wire.breaks = True
        told = stage.start(stage.guard.call_ended("call-1"))
        for ask in (stage.guard.acquire, stage.guard.status, stage.guard.refresh):
            with pytest.raises(AdmissionError, match="ours"):
                await ask()
        wire.breaks = False
        assert await stage.outcome(told) is None
        await stage.status(lambda status: status.in_use == 0)
        reservation.ended()


@both_colours
@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_a_lost_reply_books_nothing_twice(colour, lost):
    async with Stage(colour, 2) as stage:
        await stage.read()
        wire = Wire(stage)
        wire.deaf = lost
        reservation = await stage.outcome(stage.start(stage.guard.acquire()), step=0.05)
        assert (await stage.status()).in_use == 1
        wire.deaf = lost
        reservation.placed("call-1")
        reservation.ended()
        await stage.until(lambda: stage.clock.advance(0.05) or not wire.deaf)
        await recover(stage, wire)
        await stage.status(lambda status: status.in_use == 0)
        assert await stage.claimable() == 2


@both_colours
async def test_a_lost_reply_to_a_claim_of_an_offer_is_found_again(colour):
    async with Stage(colour, 1) as stage:
        holder = await stage.guard.acquire()
        (job,) = await stage.in_line(stage.guard.acquire())
        wire = Wire(stage)
        wire.deaf = 2
        holder.cancel()
        reservation = await stage.outcome(job, step=0.05)
        with pytest.raises(Saturated):
            await stage.guard.acquire(timeout=0)
        reservation.cancel()
        assert await stage.claimable() == 1


@both_colours
async def test_closing_waits_a_moment_for_the_ledger_and_logs_what_is_left(colour, caplog):
    async with Stage(colour, 2) as stage, stage.another(colour) as other:
        reservation = await stage.guard.acquire()
        wire = Wire(stage)
        wire.cut = True
        reservation.ended()
        await stage.outcome(stage.start(stage.guard.close()))
        assert "closed with 1 notes that the ledger of acme did not take" in caplog.text

        async def delivered():
            return (await stage.outcome(stage.start(other.status()))).in_use == 0

        wire.cut = False
        await stage.until(delivered)


@both_colours
async def test_an_outage_is_logged_once(colour, caplog):
    async with Stage(colour, 2) as stage:
        reservation = await stage.guard.acquire()
        wire = Wire(stage)
        wire.cut = True
        reservation.ended()
        for _ in range(40):
            await colour.look()
            stage.clock.advance(0.25)
        assert sum(record.event == "ledger_down" for record in caplog.records) == 1
        await recover(stage, wire)
        await stage.status(lambda status: status.in_use == 0)


@both_colours
async def test_a_log_that_fails_stops_nobody(colour):
    """Records are logged in the ledger's one thread: a filter of the application that raises must not end it."""

    def fails(_record):
        raise RuntimeError("no request is under way")

    log = logging.getLogger("admission")
    log.addFilter(fails)
    try:
        async with Stage(colour, 1) as stage:
            wire = Wire(stage)
            for fault in ("cut", "breaks"):
                setattr(wire, fault, True)
                with pytest.raises(AdmissionError):
                    await stage.guard.acquire(timeout=0)
                setattr(wire, fault, False)
                await recover(stage, wire)
            (await stage.guard.acquire(timeout=5)).cancel()
    finally:
        log.removeFilter(fails)
