"""Why the numbers in the answers of placing calls are no source of readings, however they are handed on."""

import pytest

from admission import Usage, UsageError, UsageUnavailable
from tests.guards.colours import both_colours
from tests.guards.stage import Stage


class Noted:
    """What does not work: hands on the newest number that placing code has noted."""

    timeout = 5.0

    def __init__(self):
        self.noted = None

    def fetch(self):
        if self.noted is None:
            raise UsageError("no call was placed yet")
        return self.noted

    async def afetch(self):
        return self.fetch()


@both_colours
async def test_it_never_starts(colour):
    source = Noted()
    async with Stage(colour, policy={"timeout": 0}, source=lambda _: source) as stage:
        with pytest.raises(UsageUnavailable):
            await stage.guard.acquire()


@both_colours
async def test_a_full_account_stays_full(colour):
    source = Noted()
    source.noted = Usage(1, 1)
    async with Stage(colour, policy={"timeout": 0}, source=lambda _: source) as stage:
        await stage.read()
        # All calls have ended long ago, but nobody may place the call whose answer would tell.
        await stage.pass_time(60.0)
        status = await stage.read()
        assert (status.count, status.free) == (1, 0)


@both_colours
async def test_an_answer_that_came_late_hides_a_call(colour):
    """An answer that took long saw the account before another call began; as a reading it claims a later look."""
    source = Noted()
    source.noted = Usage(2, 0)
    async with Stage(colour, 2, source=lambda _: source) as stage:
        await stage.read()
        seen_before = Usage(2, 0)
        async with stage.guard.place() as reservation:
            reservation.placed("call")
        stage.clock.advance(stage.policy.visibility_lag + 0.5)
        source.noted = seen_before
        await stage.read()
        # One line is taken, and two are given away.
        assert await stage.claimable() == 2
