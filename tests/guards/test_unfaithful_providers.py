"""Providers whose word is not true: what the guard does then, what the operator sees, and that it passes.

The truth is a `FakePureTalk`, which takes every call and counts those that it had no line for; what it says is bent. A
dialler dials whenever the guard lets it. `docs/explanation/unfaithful-providers.md` has a section for each.
"""

import asyncio
import contextlib
import logging
import threading

import httpx
import pytest

from admission import CallRejected, Lane, PureTalk, Saturated, UsageError, UsageUnavailable
from admission.errors import Refused, Unavailable
from admission.testing import FakePureTalk
from admission.testing.fake import garbage
from admission.testing.transport import transport
from tests.guards.colours import both_colours
from tests.guards.stage import Stage

STEP = 0.5
"""Seconds between two attempts of the dialler."""
LONG = 10_000.0
"""Seconds of a call that outlives its test."""


class SlowSource:
    """Reads a provider that looks at once and answers late.

    Attributes:
        takes: Seconds until it answers.
        open: When the readings that are under way end, by the test's clock.
    """

    timeout = 5.0

    def __init__(self, source, clock):
        self.takes = 0.0
        self.open = []
        self.peak = 0
        self._source = source
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def asleep(self):
        """How many of those that are under way wait for time to pass."""
        return sum(until > self._clock.now() for until in self.open)

    def fetch(self):
        usage = self._source.fetch()
        until = self._begin()
        over = threading.Event()
        if self._clock.arm(until, over.set) is None:
            over.wait()
        self.open.remove(until)
        return usage

    async def afetch(self):
        usage = await self._source.afetch()
        until = self._begin()
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        if self._clock.arm(until, lambda: loop.call_soon_threadsafe(over.set)) is None:
            await over.wait()
        self.open.remove(until)
        return usage

    def _begin(self):
        with self._lock:
            until = self._clock.now() + self.takes
            self.open.append(until)
            self.peak = max(self.peak, len(self.open))
            return until


class Account(Stage):
    """A guard on a stand-in provider, and a dialler.

    Attributes:
        truth: The provider, as it really is.
        way: How it dials: hold, place, or track.
        seconds, ring: Of every call.
        refused: What it was told instead of a slot, or of a call.
    """

    def __init__(self, colour, limit=5, *, way="hold", seconds=LONG, ring=0.0, policy=None, lanes=(), **truth):
        truth = {"enforce": False} | truth

        def source(clock):
            self.truth = FakePureTalk(limit, clock=clock.now, **truth)
            kind = httpx.AsyncClient if colour.tasks else httpx.Client
            client = kind(transport=transport(self.truth))
            return SlowSource(PureTalk(self.truth.api_key, base_url="http://provider.test/api", client=client), clock)

        super().__init__(colour, policy=policy, source=source, lanes=lanes)
        self.way, self.seconds, self.ring = way, seconds, ring
        self.lane = lanes[0].name if lanes else "default"
        self.refused = []
        self._live = {}

    def says(self, **bent):
        """Bend what the provider says: for each field a function of its true value; nothing for the truth."""
        names = {"limit": "concurrency_limit", "count": "concurrency_count", "timestamp": "timestamp"}

        def alter(content):
            for name, bend in bent.items():
                content["results"][names[name]] = bend(content["results"][names[name]])
            return content

        self.truth.alter = alter if bent else None

    async def settle(self):
        """Wait until the reading that is under way, if any, is written or takes its time."""
        desks = list(self.ledger.clerk()._desks.values())
        await self.until(lambda: self.source.asleep or all(desk.reader._until is None for desk in desks))
        await self.idle()

    def asleep_readings(self):
        return self.source.asleep

    async def dial(self):
        """Dial until there is no slot; return how many calls that made."""
        calls = 0
        while True:
            try:
                if await self._is_stale():
                    await self._dial_patiently()
                else:
                    await self._dial_once()
            except (Refused, Unavailable, CallRejected) as error:
                self.refused.append(error)
                return calls
            calls += 1

    async def _is_stale(self):
        age = (await self.guard.status()).usage_age
        return age is not None and age > self.policy.max_staleness

    async def _dial_patiently(self):
        """Dial where there is no reading to admit on: that waits for one, but not longer than readings may take."""
        job = self.start(self._dial_once())
        await self.idle()
        for _ in range(22):
            if not job.done:
                self.clock.advance(0.25)
                await self.idle()
        await job.result()

    async def _dial_once(self):
        start = self.truth.start_call
        if self.way == "hold":
            reservation = await self.guard.acquire(timeout=0, lane=self.lane)
            call_id = start(self.seconds, ring=self.ring)
            reservation.placed(call_id)
            self._live[call_id] = self.clock.now() + self.seconds, reservation
            return
        async with self.guard.place(track=self.way == "track", timeout=0, lane=self.lane) as reservation:
            call_id = start(self.seconds, ring=self.ring)
            reservation.placed(call_id)
            self._live[call_id] = self.clock.now() + self.seconds, None

    async def run(self, seconds):
        """Let time pass, and dial whenever there is a slot."""
        end = self.clock.now() + seconds
        while self.clock.now() < end - 1e-9:
            self.clock.advance(min(STEP, end - self.clock.now()))
            for call_id, (until, reservation) in list(self._live.items()):
                if until <= self.clock.now():
                    await self._over(call_id, reservation)
            await self.dial()
            await self.settle()

    async def end(self, calls):
        """Let that many calls end."""
        for call_id, (_, reservation) in list(self._live.items())[:calls]:
            self.truth.end_call(call_id)
            await self._over(call_id, reservation)

    async def _over(self, call_id, reservation):
        del self._live[call_id]
        if reservation is not None:
            reservation.ended()
            reservation.release()
        elif self.way == "track":
            await self.guard.call_ended(call_id)

    async def read(self):
        await self.settle()
        self.clock.advance(0.002)
        return await super().read()

    async def __aexit__(self, kind, *exc):
        self.source.takes = 0.0
        for _, reservation in self._live.values():
            if reservation is not None:
                reservation.release()
        await super().__aexit__(kind, *exc)


@pytest.fixture(autouse=True)
def everything_is_logged(caplog):
    caplog.set_level(logging.INFO, "admission")


def told(caplog, event):
    """Return what was told of an event: its facts, each time."""
    return [
        {name.removeprefix("admission_"): value for name, value in vars(record).items() if "admission_" in name}
        for record in caplog.records
        if getattr(record, "event", "") == event
    ]


def levels(caplog, event):
    return {record.levelname for record in caplog.records if getattr(record, "event", "") == event}


def numbers(status, *names):
    return tuple(getattr(status, name) for name in names)


# The count is too high


@both_colours
async def test_ghosts_in_the_count_cost_their_slots_and_no_more(colour, caplog):
    async with Account(colour) as account:
        account.says(count=lambda count: count + 2)
        await account.run(10)
        assert account.truth.live == 3
        status = await account.status()
        assert numbers(status, "limit", "count", "in_use", "free") == (5, 5, 5, 0)
        assert numbers(status, "held", "pending", "untracked") == (3, 0, 2)
        error = account.refused[-1]
        assert isinstance(error, Saturated)
        assert numbers(error, "limit", "in_use", "position") == (5, 5, 0)
        assert str(error).startswith("no slot was free: 5 of 5 in use, 0 ahead; try again in ")
        account.says()
        await account.run(4)
        assert account.truth.live == 5
        assert account.truth.overshoots == 0
        assert not told(caplog, "line_stands")


@both_colours
async def test_a_count_stuck_at_the_limit_stops_all_and_is_told_after_a_minute(colour, caplog):
    async with Account(colour) as account:
        account.says(count=lambda _: 5)
        (job,) = await account.in_line(account.guard.acquire())
        await account.run(59)
        assert not told(caplog, "line_stands")
        await account.run(6)
        facts = {"account": "acme", "count": 5, "limit": 5, "held": 0}
        assert [told | {"seconds": 60} for told in told(caplog, "line_stands")] == [facts | {"seconds": 60}]
        assert levels(caplog, "line_stands") == {"WARNING"}
        status = await account.status()
        assert numbers(status, "count", "in_use", "free", "waiting", "untracked") == (5, 5, 0, 1, 5)
        assert account.truth.started == 0
        account.says()
        await account.run(2)
        (await account.outcome(job)).cancel()
        await account.run(4)
        assert account.truth.live == 5


# The count is too low


@both_colours
async def test_a_count_of_nothing_does_not_fool_those_who_hold(colour, caplog):
    async with Account(colour, way="hold") as account:
        account.says(count=lambda _: 0)
        await account.run(30)
        assert account.truth.live == 5
        assert account.truth.overshoots == 0
        status = await account.status()
        assert numbers(status, "count", "in_use", "free", "held", "untracked") == (0, 5, 0, 5, 0)
        assert told(caplog, "reading_disbelieved") == [{"account": "acme", "count": 0, "held": 5}]
        assert levels(caplog, "reading_disbelieved") == {"WARNING"}
        # Calls end and are followed by others, as ever.
        await account.end(2)
        await account.run(4)
        assert (account.truth.live, account.truth.overshoots) == (5, 0)


@both_colours
async def test_a_count_of_nothing_lets_a_limit_of_calls_through_for_each_lag_where_calls_are_only_placed(
    colour, caplog
):
    async with Account(colour, way="place") as account:
        account.says(count=lambda _: 0)
        await account.run(20)
        # After the lag (2 s) and a reading (1 s) nothing tells of a placed call any more.
        assert 5 * 20 // 4 <= account.truth.live <= 5 * (1 + 20 // 2)
        assert account.truth.overshoots == account.truth.live - 5
        # There is nothing to compare the count with.
        assert not told(caplog, "reading_disbelieved")
        account.says()
        await account.run(4)
        live = account.truth.live
        status = await account.read()
        assert numbers(status, "count", "in_use", "free") == (live, live, 0)
        await account.end(live - 3)
        await account.run(4)
        assert account.truth.live == 5


@both_colours
async def test_a_cap_on_a_lane_of_tracked_calls_holds_without_any_count(colour):
    async with Account(colour, way="track", lanes=[Lane("all", max_in_flight=5)]) as account:
        account.says(count=lambda _: 0)
        await account.run(20)
        assert (account.truth.live, account.truth.overshoots) == (5, 0)
        (lane,) = [lane for lane in (await account.status()).lanes if lane.name == "all"]
        assert lane.in_flight == 5
        await account.end(2)
        await account.run(4)
        assert (account.truth.live, account.truth.overshoots) == (5, 0)


@both_colours
@pytest.mark.parametrize(
    ("way", "foreign", "most"),
    [("hold", 0, 0), ("hold", 2, 2), ("place", 0, 5), ("place", 2, 5)],
)
async def test_a_count_that_misses_half_of_the_calls_overshoots_by_what_it_misses(colour, way, foreign, most):
    async with Account(colour, way=way, foreign=foreign) as account:
        account.says(count=lambda count: (count + 1) // 2)
        await account.run(30)
        assert account.truth.overshoots <= most
        # Own calls that are held are a floor under the count; the calls of others are as many as the count says.
        assert account.truth.live == 5 + most - (way == "place")
        account.says()
        await account.end(most + 2)
        await account.run(5)
        assert account.truth.live == 5


# The limit


@both_colours
async def test_a_limit_that_flaps_is_followed_with_every_reading(colour, caplog):
    async with Account(colour, 20) as account:
        await account.read()
        for _ in range(6):
            await account._dial_once()
        await account.pass_time(4)
        for limit, free in [(20, 14), (5, 0), (20, 14), (0, 0), (20, 14)]:
            account.truth.set_limit(limit)
            status = await account.read()
            assert numbers(status, "limit", "free", "in_use") == (limit, free, 6)
            if not free:
                await account.dial()
        assert account.truth.live == 6
        lowered, zero = account.refused
        assert numbers(lowered, "limit", "in_use") == (5, 6)
        assert str(lowered).startswith("no slot was free: 6 of 5 in use")
        assert numbers(zero, "limit", "in_use") == (0, 6)
        assert str(zero).startswith("the provider's limit is 0, so no call may start until it rises; try again in ")
        changes = [(told["before"], told["limit"]) for told in told(caplog, "limit_changed")]
        assert changes == [(20, 5), (5, 20), (0, 20)]
        assert told(caplog, "limit_zero") == [{"account": "acme", "before": 20}]
        assert levels(caplog, "limit_changed") == levels(caplog, "limit_zero") == {"WARNING"}


@both_colours
async def test_a_limit_of_nothing_keeps_callers_in_line_until_it_rises(colour, caplog):
    async with Account(colour, 0) as account:
        jobs = await account.in_line(*(account.guard.acquire() for _ in range(3)))
        await account.run(65)
        assert told(caplog, "limit_zero") == [{"account": "acme", "before": None}]
        assert len(told(caplog, "line_stands")) == 1
        account.truth.set_limit(3)
        for job in jobs:
            (await account.outcome(job)).cancel()
        assert account.truth.overshoots == 0


@both_colours
async def test_a_limit_that_changes_for_good_is_kept_from_the_next_reading_on(colour, caplog):
    async with Account(colour, 6) as account:
        await account.run(5)
        account.truth.set_limit(3)
        await account.run(2)
        assert (account.truth.live, account.truth.started) == (6, 6)
        await account.end(3)
        await account.run(5)
        assert (account.truth.live, account.truth.started) == (3, 6)
        await account.end(1)
        await account.run(5)
        assert (account.truth.live, account.truth.started) == (3, 7)
        account.truth.set_limit(8)
        await account.run(2)
        assert account.truth.live == 8
        assert account.truth.overshoots == 0
        changes = [(told["before"], told["limit"]) for told in told(caplog, "limit_changed")]
        assert changes == [(6, 3), (3, 8)]


# Calls that ring are counted late


RINGING = 30.0


@both_colours
@pytest.mark.parametrize("way", ["hold", "place"])
async def test_ringing_that_counts_late_is_harmless_with_the_lag_set_right(colour, way):
    async with Account(
        colour, way=way, ring=RINGING, count_ringing=False, policy={"visibility_lag": RINGING}
    ) as account:
        await account.run(2)
        assert (await account.status()).pending == 5
        await account.run(40)
        assert (account.truth.live, account.truth.overshoots) == (5, 0)
        status = await account.read()
        assert numbers(status, "count", "in_use", "pending") == (5, 5, 0)


@both_colours
async def test_ringing_that_counts_late_overshoots_for_the_missing_lag_where_calls_are_only_placed(colour):
    async with Account(
        colour, way="place", ring=RINGING, count_ringing=False, policy={"visibility_lag": 5.0}
    ) as account:
        await account.run(RINGING)
        # A limit of calls for each lag and reading that pass until the first one shows.
        assert 5 * 4 <= account.truth.live <= 5 * (1 + RINGING / 5)
        assert account.truth.overshoots == account.truth.live - 5
        await account.run(10)
        live = account.truth.live
        await account.run(25)
        assert account.truth.live == live
        await account.end(live - 5 + 1)
        await account.run(4)
        # The missing lag is there for the next call too.
        assert account.truth.live == 5


@both_colours
async def test_ringing_that_counts_late_does_not_fool_those_who_hold_and_is_told(colour, caplog):
    async with Account(
        colour, way="hold", ring=RINGING, count_ringing=False, policy={"visibility_lag": 5.0}
    ) as account:
        await account.run(40)
        assert (account.truth.live, account.truth.overshoots) == (5, 0)
        assert told(caplog, "reading_disbelieved") == [{"account": "acme", "count": 0, "held": 5}]


# Answers from caches


@both_colours
async def test_a_cached_answer_admits_until_it_is_stale_and_then_nobody(colour, caplog):
    async with Account(colour, seconds=20.0) as account:
        account.truth.cached_for(30)
        await account.read()
        await account.run(14)
        assert account.truth.started == 5
        assert levels(caplog, "reading_cached") == {"INFO"}
        assert not told(caplog, "usage_stale")
        await account.run(5)
        (stale,) = told(caplog, "usage_stale")
        assert 15 < stale["age"] <= 17
        assert levels(caplog, "usage_stale") == {"WARNING"}
        error = account.refused[-1]
        assert isinstance(error, UsageUnavailable)
        assert isinstance(error.cause, UsageError)
        assert str(error).startswith(
            "no reading of the provider is young enough to admit on: the provider repeats an old answer: its "
            "timestamp does not move; try again in "
        )
        status = await account.status()
        assert numbers(status, "count", "free") == (0, 0)
        assert status.usage_age > 15
        await account.run(14)
        assert account.truth.started == 10
        assert account.truth.overshoots == 0


@both_colours
async def test_a_staleness_above_the_cache_s_time_admits_all_the_time(colour, caplog):
    policy = {"max_staleness": 45.0, "visibility_lag": 32.0}
    async with Account(colour, way="place", seconds=20.0, policy=policy) as account:
        account.truth.cached_for(30)
        await account.run(120)
        assert account.truth.overshoots == 0
        assert not told(caplog, "usage_stale")
        # The price: a booking stays for the lag, longer than its call.
        assert 10 <= account.truth.started <= 20


class Replica:
    """Answers now and then in the provider's place, as the provider would have `lag` seconds ago."""

    def __init__(self, account, lag):
        self.turns = 0
        self._account = account
        self._lag = lag
        self._seen = []
        account.truth.alter = self._alter

    def _alter(self, content):
        now = self._account.clock.now()
        self._seen.append((now, dict(content["results"])))
        if self.turns:
            self.turns -= 1
            content["results"] = next(seen for at, seen in reversed(self._seen) if at <= now - self._lag)
        return content


@both_colours
async def test_one_old_answer_of_another_replica_is_dropped(colour, caplog):
    async with Account(colour, way="place") as account:
        replica = Replica(account, 20)
        await account.read()
        await account.run(22)
        for _ in range(5):
            replica.turns = 1
            with pytest.raises(UsageUnavailable, match="repeats an old answer"):
                await account.read()
            assert numbers(await account.status(), "count", "free") == (5, 0)
            await account.run(2)
        assert (account.truth.live, account.truth.overshoots) == (5, 0)
        assert len(told(caplog, "reading_cached")) == 5
        assert levels(caplog, "reading_cached") == {"INFO"}


@both_colours
@pytest.mark.parametrize(("turns", "lag", "overshoots"), [(5, 2.0, False), (40, 2.0, True), (40, 22.0, False)])
async def test_a_replica_that_answers_alone_for_max_staleness_is_a_provider_whose_clock_was_set_back(
    colour, turns, lag, overshoots
):
    async with Account(colour, way="place", seconds=3600.0, policy={"visibility_lag": lag}) as account:
        replica = Replica(account, 20)
        for seconds in range(22):
            await account.read()
            if seconds == 20:
                assert await account.dial() == 5
            await account.pass_time(1)
        # The first are of the moments before the dials.
        replica.turns = turns
        for _ in range(18):
            with contextlib.suppress(UsageUnavailable):
                await account.read()
            await account.pass_time(0.5)
            await account.dial()
            await account.pass_time(0.5)
        # What the old answers did not know of yet is believed to be free, unless the lag allows for it.
        assert (account.truth.overshoots > 0) == overshoots


@both_colours
@pytest.mark.parametrize("shift", [-3600, 3600])
async def test_a_timestamp_that_jumps_an_hour_is_believed_after_max_staleness_at_most(colour, shift, caplog):
    async with Account(colour, seconds=5.0) as account:
        await account.run(10)
        account.truth.timestamp_shift = shift
        await account.run(12)
        admitted = account.truth.started
        await account.run(7)
        assert (await account.status()).usage_age <= 1
        assert bool(told(caplog, "reading_cached")) == (shift < 0)
        await account.run(10)
        assert account.truth.started >= admitted + 5
        assert account.truth.overshoots == 0


@both_colours
async def test_a_timestamp_that_stands_still_admits_only_while_the_numbers_move(colour, caplog):
    async with Account(colour, 9) as account:
        stamp = "2025-05-02T02:36:10.686259"
        account.says(timestamp=lambda _: stamp)
        await account.read()
        for calls in range(1, 6):
            await account._dial_once()
            await account.pass_time(3)
            status = await account.read()
            assert numbers(status, "count", "in_use") == (calls, calls)
        await account.run(2.5)
        assert account.truth.live == 9
        await account.run(20)
        assert isinstance(account.refused[-1], UsageUnavailable)
        assert len(told(caplog, "usage_stale")) == 1
        await account.end(4)
        account.says()
        await account.run(4)
        assert (account.truth.live, account.truth.overshoots) == (9, 0)


# Refusals though there is room


@both_colours
async def test_a_limit_lower_than_told_is_probed_ever_more_seldom(colour, caplog):
    async with Account(colour, way="place", enforce=True) as account:
        account.says(limit=lambda _: 8)
        await account.run(60)
        assert account.truth.live == 5
        assert account.truth.refused <= 8
        assert len(told(caplog, "refused_by_provider")) == account.truth.refused
        assert levels(caplog, "refused_by_provider") == {"INFO"}
        (again,) = told(caplog, "refused_again")[:1]
        assert again["cooling"] == 4
        assert levels(caplog, "refused_again") == {"WARNING"}
        status = await account.status()
        assert numbers(status, "limit", "count", "in_use", "free") == (8, 5, 5, 0)
        error = next(error for error in reversed(account.refused) if isinstance(error, Saturated))
        assert numbers(error, "limit", "in_use") == (8, 5)
        assert 1 <= error.retry_after <= 30
        refused = account.truth.refused
        account.says()
        await account.run(40)
        assert account.truth.refused == refused
        await account.end(1)
        await account.run(5)
        assert (account.truth.live, account.truth.refused) == (5, refused)


@both_colours
async def test_headroom_makes_up_for_a_limit_lower_than_told(colour):
    async with Account(colour, way="place", enforce=True, policy={"headroom": 3}) as account:
        account.says(limit=lambda _: 8)
        await account.run(30)
        assert (account.truth.live, account.truth.refused) == (5, 0)


class Turnstile:
    """Takes one start a second, and refuses all others with the same 429 as for want of a line."""

    def __init__(self, account):
        self.refused = 0
        self._clock = account.clock
        self._start, account.truth.start_call = account.truth.start_call, self.start
        self._next = 0.0

    def start(self, *args, **kwargs):
        if self._clock.now() < self._next:
            self.refused += 1
            raise CallRejected
        self._next = self._clock.now() + 1.0
        return self._start(*args, **kwargs)


@both_colours
@pytest.mark.parametrize("pace", [None, 1.0])
async def test_a_429_that_means_the_rate_slows_the_fleet_down_and_a_pace_avoids_it(colour, pace):
    async with Account(colour, way="place", policy={"starts_per_second": pace}) as account:
        turnstile = Turnstile(account)
        await account.run(15)
        assert account.truth.live == 5
        assert turnstile.refused == 0 if pace else 0 < turnstile.refused <= 10


# Readings that are slow, or come to nothing


@both_colours
async def test_readings_that_take_seconds_only_make_what_is_known_older(colour, caplog):
    async with Account(colour, seconds=12.0, way="place") as account:
        await account.run(1)
        account.source.takes = 4.0
        ages = []
        for _ in range(60):
            await account.run(STEP)
            ages.append((await account.status()).usage_age)
        assert 8 <= max(ages) <= 10
        assert account.source.peak == 1
        assert account.truth.overshoots == 0
        assert account.truth.started >= 10
        account.source.takes = 0.0
        await account.run(7)
        assert (await account.status()).usage_age <= 1
        assert not told(caplog, "usage_stale")
        assert not told(caplog, "reading_too_old")


@both_colours
async def test_a_minute_of_garbage_admits_until_the_reading_is_stale_and_passes(colour, caplog):
    async with Account(colour, seconds=8.0) as account:
        await account.run(9)
        for kind in ["html", "error on 200", "truncated", "negative", "empty"] * 20:
            account.truth.fail_next(status=200, body=garbage(kind))
        readings, before = account.truth.readings, account.truth.started
        await account.run(14)
        assert account.truth.started >= before + 5
        await account.run(46)
        # Trying again backs off to once in five seconds.
        assert account.truth.readings - readings <= 18
        (stale,) = told(caplog, "usage_stale")[:1]
        assert 15 < stale["age"] <= 26
        failed = told(caplog, "reading_failed")
        assert len(failed) == account.truth.readings - readings
        assert levels(caplog, "reading_failed") == {"WARNING"}
        error = account.refused[-1]
        assert isinstance(error, UsageUnavailable)
        assert isinstance(error.cause, UsageError)
        assert account.truth.live == 0
        assert (await account.status()).free == 0
        account.truth.heal()
        await account.run(7)
        assert (account.truth.live, account.truth.overshoots) == (5, 0)


# Calls of others


@both_colours
@pytest.mark.parametrize(("headroom", "refused"), [(0, 3), (1, 2), (3, 0), (5, 0)])
async def test_headroom_takes_up_a_burst_of_others(colour, headroom, refused):
    async with Account(colour, 10, way="place", policy={"headroom": headroom}) as account:
        await account.read()
        for _ in range(5):
            await account._dial_once()
        await account.pass_time(3)
        await account.read()
        # After the reading, and before the dials that rely on it.
        account.truth.set_foreign(3)
        assert await account.dial() == 5 - headroom
        assert account.truth.overshoots == refused
        await account.run(5)
        assert account.truth.overshoots == refused
        status = await account.status()
        assert numbers(status, "count", "free") == (account.truth.live, 0)
        account.truth.set_foreign(0)
        await account.run(5)
        assert account.truth.live == 10 - headroom
