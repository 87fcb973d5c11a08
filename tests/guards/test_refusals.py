"""What an error in a block says of its call: refused by the provider, surely not placed, or unknown."""

import math
from datetime import timedelta

import httpx
import pytest

from admission import CallRejected, Closed, NotPlaced, PureTalk, Saturated, UsageError, current_reservation
from admission.testing import FakePureTalk
from admission.testing.transport import transport
from tests.guards.colours import both_colours
from tests.guards.stage import POLICY, Stage

SETTLE = POLICY["placement_timeout"] + POLICY["visibility_lag"]
OWN = "http://provider.test/api"


def puretalk(colour, limit=1):
    """Return what makes a `PureTalk` that asks a stand-in provider on the stage's clock."""

    def source(clock):
        fake = FakePureTalk(limit, api_key="test-key-0123", clock=clock.now)
        kind = httpx.AsyncClient if colour.tasks else httpx.Client
        return PureTalk(fake.api_key, base_url=OWN, client=kind(transport=transport(fake)))

    return source


def status_error(status, url, method="POST", **headers):
    """Return what `raise_for_status` raises."""
    response = httpx.Response(status, headers=headers, request=httpx.Request(method, url))
    with pytest.raises(httpx.HTTPStatusError) as caught:
        response.raise_for_status()
    return caught.value


UNKNOWN = {
    "another host's 429": status_error(429, "http://crm.test/leads"),
    "a 429 of a look-up": status_error(429, f"{OWN}/calls", "GET"),
    "another port's 429": status_error(429, "http://provider.test:8080/api/calls"),
    "an error of the provider": status_error(503, f"{OWN}/calls"),
    "no connection": httpx.ConnectError("connection refused"),
    "no answer": httpx.ReadTimeout("no answer"),
    "a bug": KeyError("call_id"),
}
unknown_errors = pytest.mark.parametrize("error", [pytest.param(error, id=name) for name, error in UNKNOWN.items()])


class Dialer:
    """A function to decorate: each run comes to the next of `outcomes`, an error to raise or a value."""

    def __init__(self, *outcomes, placed=False):
        self.outcomes = list(outcomes)
        self.placed = placed
        self.ids = []

    async def dial(self):
        reservation = current_reservation()
        self.ids.append(reservation.id)
        if self.placed:
            reservation.placed(f"call-{len(self.ids)}")
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    @property
    def runs(self):
        return len(self.ids)

    async def refused(self, stage, waiting=1):
        """Wait until it was run once, and stands in line again."""
        await stage.until(lambda: self.runs == 1)
        await stage.waiting(waiting)


# Errors that say nothing of the call


@both_colours
@unknown_errors
async def test_an_unknown_error_frees_nothing_and_redials_nobody(colour, error):
    async with Stage(colour, source=puretalk(colour)) as stage:
        dialer = Dialer(error)
        with pytest.raises(type(error)) as caught:
            await stage.guard.place()(dialer.dial)()
        assert caught.value is error
        assert dialer.runs == 1
        await stage.pass_time(SETTLE - 0.1)
        assert (await stage.read()).pending == 1
        assert await stage.claimable() == 0
        await stage.pass_time(0.2)
        await stage.read()
        assert await stage.claimable() == 1


@both_colours
@unknown_errors
async def test_an_unknown_error_in_a_block_frees_nothing(colour, error):
    async with Stage(colour, source=puretalk(colour)) as stage:
        with pytest.raises(type(error)):
            async with stage.guard.place():
                raise error
        await stage.pass_time(SETTLE - 0.1)
        assert (await stage.read()).pending == 1


@both_colours
@pytest.mark.parametrize(
    "error",
    [
        *(pytest.param(error, id=name) for name, error in UNKNOWN.items()),
        pytest.param(status_error(429, f"{OWN}/calls"), id="the provider's own 429"),
        pytest.param(CallRejected(), id="CallRejected"),
        pytest.param(NotPlaced(), id="NotPlaced"),
    ],
)
async def test_no_error_after_placed_frees_or_redials(colour, error):
    async with Stage(colour, source=puretalk(colour)) as stage:
        dialer = Dialer(error, placed=True)
        with pytest.raises(type(error)):
            await stage.guard.place(rejected=lambda _: True)(dialer.dial)()
        assert dialer.runs == 1
        await stage.pass_time(1.9)
        assert (await stage.read()).pending == 1
        await stage.pass_time(0.2)
        # Handed off; and nothing cools down.
        await stage.read()
        assert await stage.claimable() == 1


@both_colours
@pytest.mark.parametrize("error", [CallRejected(), NotPlaced(), status_error(429, f"{OWN}/calls")])
async def test_in_a_hold_every_error_is_unknown(colour, error):
    async with Stage(colour, source=puretalk(colour)) as stage:
        dialer = Dialer(error)
        with pytest.raises(type(error)):
            await stage.guard.hold()(dialer.dial)()
        assert dialer.runs == 1
        await stage.pass_time(SETTLE - 0.1)
        assert (await stage.read()).pending == 1


# Errors that do


@both_colours
async def test_not_placed_frees_the_slot_at_once_and_redials_nobody(colour):
    async with Stage(colour) as stage:
        dialer = Dialer(NotPlaced("no consent"))
        with pytest.raises(NotPlaced, match="no consent"):
            await stage.guard.place()(dialer.dial)()
        assert dialer.runs == 1
        assert await stage.claimable() == 1


@both_colours
@pytest.mark.parametrize("form", ["block", "decorated"])
async def test_a_refusal_frees_the_slot_and_cools_the_fleet_down(colour, form):
    async with Stage(colour) as stage, stage.another(colour) as other:
        with pytest.raises(CallRejected):
            if form == "block":
                async with stage.guard.place():
                    raise CallRejected
            else:
                await stage.guard.place(retry=False)(Dialer(CallRejected()).dial)()
        status = await stage.read()
        assert (status.pending, status.in_use, status.free) == (0, 0, 0)
        with pytest.raises(Saturated):
            await other.acquire(timeout=0)
        await stage.pass_time(0.9)
        assert (await stage.read()).free == 0
        await stage.pass_time(0.1)
        assert (await stage.read()).free == 1
        (await other.acquire(timeout=0)).cancel()


@both_colours
async def test_a_cool_down_waits_for_a_reading_begun_after_the_refusal(colour):
    async with Stage(colour, policy={"max_staleness": 60}) as stage:
        with pytest.raises(CallRejected):
            async with stage.guard.place():
                raise CallRejected
        stage.provider.gate.clear()
        await stage.guard.status()
        stage.clock.advance(30)
        assert (await stage.guard.status()).free == 0
        stage.provider.gate.set()
        assert (await stage.read()).free == 1


class TooMany(Exception):
    """What an SDK raises; it says in a way of its own how long to wait."""

    def __init__(self, retry_after):
        self.retry_after = retry_after


@both_colours
@pytest.mark.parametrize(
    ("told", "seconds"), [("7", 7), (timedelta(seconds=7), 7), ("soon", 1), (math.nan, 1)], ids=repr
)
async def test_a_refusal_that_says_it_in_another_way_is_one(colour, told, seconds, caplog):
    async with Stage(colour) as stage:
        dialer = Dialer(TooMany(told), "call-1")
        job = stage.start(stage.guard.place(rejected=lambda _: True, timeout=60)(dialer.dial)())
        await dialer.refused(stage)
        await stage.pass_time(seconds - 0.1)
        assert dialer.runs == 1
        assert await stage.outcome(job) == "call-1"
        assert "rejected() failed" not in caplog.text


@both_colours
async def test_a_refusal_may_say_how_long_to_wait(colour):
    async with Stage(colour) as stage:
        with pytest.raises(CallRejected, match="wait 7 s"):
            async with stage.guard.place():
                raise CallRejected(7)
        with pytest.raises(Saturated) as caught:
            await stage.guard.acquire(timeout=0)
        assert caught.value.retry_after == pytest.approx(7, abs=0.1)
        await stage.pass_time(6.9)
        assert (await stage.read()).free == 0
        await stage.pass_time(0.2)
        assert (await stage.read()).free == 1


@both_colours
async def test_ten_refusals_in_flight_cool_down_once(colour):
    async with Stage(colour, 10) as stage:
        blocks = [stage.guard.place(timeout=1) for _ in range(10)]
        for block in blocks:
            await block.__aenter__()
        for block in blocks:
            await stage.pass_time(0.01)
            await block.__aexit__(CallRejected, CallRejected(), None)
        await stage.pass_time(1)
        assert (await stage.read()).free == 10


@both_colours
async def test_each_refusal_of_a_call_claimed_after_a_cool_down_doubles_it_up_to_half_a_minute(colour):
    async with Stage(colour, policy={"max_staleness": 100}) as stage:
        for span in (1, 2, 4, 8, 16, 30, 30):
            with pytest.raises(CallRejected):
                async with stage.guard.place(timeout=0):
                    raise CallRejected
            await stage.pass_time(span - 0.1)
            assert (await stage.read()).free == 0, span
            await stage.pass_time(0.1)
            assert (await stage.read()).free == 1, span


@both_colours
@pytest.mark.parametrize("how", ["placed", "returned"])
async def test_an_accepted_call_ends_the_doubling(colour, how):
    async with Stage(colour, 2) as stage:
        for _ in range(2):
            with pytest.raises(CallRejected):
                async with stage.guard.place(timeout=0):
                    raise CallRejected
            await stage.pass_time(2)
            await stage.read()
        if how == "placed":
            accepted = await stage.guard.acquire(timeout=0)
            accepted.placed("call-1")
            accepted.ended()
        else:
            await stage.guard.place(timeout=0)(Dialer("call-1").dial)()
        with pytest.raises(CallRejected):
            async with stage.guard.place(timeout=0):
                raise CallRejected
        await stage.pass_time(1)
        await stage.read()
        assert await stage.claimable() >= 1


@both_colours
async def test_the_providers_own_429_of_a_dial_is_a_refusal(colour):
    async with Stage(colour, source=puretalk(colour)) as stage:
        dialer = Dialer(status_error(429, f"{OWN}/calls", **{"Retry-After": "3"}), "call-2")
        job = stage.start(stage.guard.place(timeout=60)(dialer.dial)())
        await dialer.refused(stage)
        await stage.pass_time(2.9)
        assert dialer.runs == 1
        await stage.pass_time(1)
        assert await stage.outcome(job) == "call-2"
        assert dialer.runs == 2


@both_colours
async def test_the_caller_may_say_which_errors_are_refusals(colour):
    class NoLine(Exception):
        retry_after = 4.0

    async with Stage(colour) as stage:
        asked = []

        def rejected(error):
            asked.append(error)
            return isinstance(error, NoLine)

        for error, free in ((KeyError("x"), 1), (NoLine(), 1)):
            with pytest.raises(type(error)):
                async with stage.guard.place(rejected=rejected):
                    raise error
            assert asked.pop() is error
            await stage.pass_time(3.9)
            assert (await stage.read()).free == 0
            await stage.pass_time(SETTLE - 3.8 if isinstance(error, KeyError) else 0.2)
            assert (await stage.read()).free == free


@both_colours
async def test_a_rejected_that_fails_makes_the_error_unknown(colour, caplog):
    async with Stage(colour) as stage:
        dialer = Dialer(ValueError("the dial's own"))
        with pytest.raises(ValueError, match="the dial's own"):
            await stage.guard.place(rejected=lambda error: error.response.status == 429)(dialer.dial)()
        assert "rejected() failed" in caplog.text
        assert dialer.runs == 1
        assert (await stage.status()).pending == 1


# Running again


@both_colours
async def test_a_refused_function_runs_again_under_a_reservation_of_its_own(colour):
    async with Stage(colour) as stage:
        dialer = Dialer(CallRejected(), "call-2")
        job = stage.start(stage.guard.place()(dialer.dial)())
        await dialer.refused(stage)
        await stage.pass_time(2)
        assert await stage.outcome(job) == "call-2"
        assert len(set(dialer.ids)) == 2
        assert (await stage.status()).in_use == 1


@both_colours
async def test_a_refused_function_runs_until_its_timeout_and_then_raises_the_providers_own_error(colour):
    async with Stage(colour) as stage:
        dialer = Dialer(*(CallRejected(0.5) for _ in range(9)))
        errors = list(dialer.outcomes)
        job = stage.start(stage.guard.place(timeout=6.5)(dialer.dial)())
        await dialer.refused(stage)
        await stage.pass_time(9)
        with pytest.raises(CallRejected) as caught:
            await stage.outcome(job)
        # At once, after the first cool-down of 1 s, and after the next of 2 s; the one after that would last 4 s.
        assert dialer.runs == 3
        assert caught.value is errors[2]
        assert caught.value.__cause__ is None
        assert (await stage.status()).waiting == 0


@both_colours
async def test_without_retry_a_refused_function_runs_once(colour):
    async with Stage(colour) as stage:
        dialer = Dialer(CallRejected())
        with pytest.raises(CallRejected):
            await stage.guard.place(retry=False, timeout=60)(dialer.dial)()
        assert dialer.runs == 1
        status = await stage.status()
        assert (status.in_use, status.waiting, status.free) == (0, 0, 0)


@both_colours
async def test_with_a_timeout_of_0_a_refused_function_runs_once(colour):
    async with Stage(colour) as stage:
        dialer = Dialer(CallRejected())
        with pytest.raises(CallRejected):
            await stage.guard.place(timeout=0)(dialer.dial)()
        assert dialer.runs == 1
        assert (await stage.status()).waiting == 0


@both_colours
async def test_a_refused_function_goes_back_to_the_head_of_the_line(colour):
    async with Stage(colour) as stage:
        order = []

        async def dial(name):
            order.append(name)
            current_reservation().cancel()

        async def refused_once():
            if not order:
                order.append("refused")
                await stage.waiting(2)
                raise CallRejected
            await dial("again")

        first = stage.start(stage.guard.place()(refused_once)())
        await stage.until(lambda: order)
        others = [stage.start(stage.guard.place()(dial)(name)) for name in ("b", "c")]
        await stage.waiting(3)
        await stage.pass_time(3)
        for job in [first, *others]:
            await stage.outcome(job)
        assert order[:2] == ["refused", "again"]
        assert sorted(order[2:]) == ["b", "c"]


@both_colours
async def test_a_refused_function_that_finds_the_provider_silent_raises_the_refusal(colour):
    async with Stage(colour) as stage:
        dialer = Dialer(CallRejected(2))
        job = stage.start(stage.guard.place(timeout=30)(dialer.dial)())
        await dialer.refused(stage)
        stage.provider.always = UsageError("down")
        await stage.pass_time(31)
        with pytest.raises(CallRejected):
            await stage.outcome(job)


@both_colours
async def test_a_function_that_is_refused_once_its_guard_is_closed_is_told_so(colour):
    async with Stage(colour) as stage:

        @stage.guard.place()
        async def dial():
            await stage.guard.close()
            raise CallRejected

        job = stage.start(dial())
        with pytest.raises(Closed):
            await job.result()


@both_colours
async def test_a_guard_closed_while_a_refused_function_waits_wakes_it(colour):
    async with Stage(colour) as stage:
        dialer = Dialer(CallRejected())
        job = stage.start(stage.guard.place()(dialer.dial)())
        await dialer.refused(stage)
        await stage.guard.close()
        with pytest.raises(Closed):
            await job.result()


@both_colours
async def test_many_functions_refused_at_once_all_run_again(colour):
    async with Stage(colour, 5) as stage:
        runs = []

        @stage.guard.place()
        async def dial(number):
            runs.append(number)
            if runs.count(number) == 1:
                await stage.until(lambda: len(runs) == 5)
                raise CallRejected
            return number

        jobs = [stage.start(dial(number)) for number in range(5)]
        await stage.until(lambda: len(runs) == 5)
        await stage.waiting(5)
        await stage.pass_time(3)
        assert [await stage.outcome(job) for job in jobs] == list(range(5))
        assert sorted(runs[5:]) == list(range(5))
