"""Who reads the provider, how often, and who gets a slot when processes die or stall: real processes, real Redis."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from admission import Guard, Policy, PureTalk, RedisLedger
from tests.integration.fleet_crews import KEY, fleet, provider
from tests.servers import redis_server
from tests.waiting import wait_until

REFRESH = 0.2
POLICY = {"refresh_interval": REFRESH, "visibility_lag": 0.1, "placement_timeout": 3.0, "lease_ttl": 2.0}


@pytest.fixture(scope="module")
def redis():
    with redis_server() as server:
        yield server.url


@pytest.fixture
def watch(redis):
    """Makes a guard of the test's own, which only asks how an account stands."""
    guards = []

    def make(at, account):
        source = PureTalk(KEY, base_url=at.url)
        guards.append(Guard(source, RedisLedger(redis), account=account, policy=Policy(**POLICY)))
        return guards[-1]

    yield make
    for guard in guards:
        guard.close()


def readings_since(at, since):
    return [reading for reading in list(at.readings) if reading.at > since]


def first_dial(at, worker, since):
    return next((dial.at for dial in list(at.dials) if dial.worker == worker and dial.at > since), None)


def test_a_fleet_that_waits_reads_once_an_interval(redis):
    interval = 0.5
    policy = POLICY | {"refresh_interval": interval}
    with provider(20, foreign=20) as at, fleet(at, redis, account="full", policy=policy) as waiting:
        waiting.begin()
        wait_until(lambda: len(at.readings) > 5)
        at.fake.peak_readings = 0
        since = time.monotonic()
        time.sleep(10)
        span = time.monotonic() - since
        times = [reading.at for reading in readings_since(at, since)]
        assert len(times) / (span / interval) <= 1.2
        gaps = sorted(after - before for before, after in pairwise([since, *times]))
        # A busy machine is late now and then.
        assert gaps[len(gaps) // 4] <= 1.5 * interval
        # A reading that takes a second or more is followed by another, which leaves a gap.
        assert at.fake.peak_readings == 1 or gaps[-1] > 1.4 * interval
        waiting.stop()
        assert at.fake.started == 0


def test_nobody_who_waits_costs_no_reading(redis):
    with (
        provider(20) as at,
        fleet(at, redis, account="idle", policy=POLICY, callers=3, call=None) as calling,
    ):
        calling.begin()
        wait_until(lambda: at.fake.live == 12)

        def nobody_reads():
            read = len(at.readings)
            time.sleep(12 * REFRESH)
            return len(at.readings) == read

        wait_until(nobody_reads)
        calling.stop()


def test_a_reader_killed_in_the_middle_does_not_stall_the_fleet(redis):
    with (
        provider(5, foreign=5) as at,
        fleet(at, redis, account="reader", policy=POLICY, callers=5, source_timeout=60.0) as waiting,
    ):
        waiting.begin()
        wait_until(lambda: len(at.readings) > 5)
        # Only the reading that comes next hangs: the latency of a request is drawn at its beginning.
        read = len(at.readings)
        at.fake.latency = 60.0
        wait_until(lambda: len(at.readings) > read, every=0.001)
        at.fake.latency = 0.0
        hanging = at.readings[read]
        waiting.kill(next(process for process in waiting.processes if process.worker == hanging.worker))
        wait_until(lambda: len(at.readings) > read + 3)
        assert at.readings[read + 1].at - hanging.at < 15
        assert hanging.worker not in {reading.worker for reading in at.readings[read + 1 :]}
        waiting.stop()


def test_failing_readings_back_off_together_and_recover(redis):
    with (
        provider(5, foreign=5) as at,
        fleet(at, redis, account="failing", policy=POLICY, callers=5) as waiting,
    ):
        waiting.begin()
        wait_until(lambda: len(at.readings) > 5)
        at.fake.fail_always(503)
        since = time.monotonic()
        time.sleep(4.5)
        # At 0, 0.2, 0.6, 1.4 and 3 s.
        assert 3 <= len(readings_since(at, since)) <= 8
        at.fake.heal()
        at.fake.set_foreign(4)
        healed = time.monotonic()
        wait_until(lambda: at.dials)
        assert at.dials[0].at - healed < 20
        assert at.fake.overshoots == 0
        waiting.stop()


def test_the_line_moves_on_when_a_holder_has_crashed(redis, watch):
    with (
        provider(2) as at,
        fleet(at, redis, ["sync"], account="crash", policy=POLICY, callers=2, call=None) as holding,
        fleet(at, redis, ["async"], account="crash", policy=POLICY, callers=5, call=None) as waiting,
    ):
        guard = watch(at, "crash")
        holding.begin()
        wait_until(lambda: at.fake.live == 2)
        waiting.begin()
        wait_until(lambda: guard.status().waiting == 5)
        (holder,), (waiter,) = holding.processes, waiting.processes
        holding.kill(holder)
        killed = time.monotonic()
        # Its calls go on without it, and hold their slots.
        time.sleep(POLICY["lease_ttl"] + 1.5)
        assert at.fake.started == 2
        at.fake.end_call("call-000001")
        ended = time.monotonic()
        wait_until(lambda: at.fake.started == 3)
        assert first_dial(at, waiter.worker, killed) - ended < 15
        assert at.fake.overshoots == 0
        waiting.stop()


def test_a_holder_that_crashes_before_its_dial_gives_its_slot_back(redis, watch):
    policy = POLICY | {"placement_timeout": 6.0}
    with (
        provider(1) as at,
        fleet(at, redis, ["async"], account="undialled", policy=policy, callers=1, call=None) as holding,
        fleet(at, redis, ["sync"], account="undialled", policy=policy, callers=3, call=None) as waiting,
    ):
        guard = watch(at, "undialled")
        at.fake.dial_latency = 60.0
        holding.begin()
        wait_until(lambda: at.dials)
        holding.kill(holding.processes[0])
        at.fake.dial_latency = 0.0
        waiting.begin()
        wait_until(lambda: guard.status().waiting == 3)
        claimed = at.dials[0].at
        wait_until(lambda: len(at.dials) == 2)
        # Its dial might have come, and been counted, until then.
        settled = policy["placement_timeout"] + policy["visibility_lag"]
        assert settled - 3.0 < at.dials[1].at - claimed < settled + 15
        waiting.stop()


@pytest.mark.parametrize("stalled", ["sync", "async"])
def test_a_process_that_stalls_at_the_head_of_the_line_is_passed_over(redis, watch, stalled):
    account = f"stall-{stalled}"
    policy = POLICY | {"lease_ttl": 30.0}
    with (
        provider(3, foreign=3) as at,
        fleet(at, redis, [stalled], account=account, policy=policy, callers=2, call=None) as first,
        fleet(at, redis, ["sync"], account=account, policy=policy, callers=1, call=None) as second,
    ):
        guard = watch(at, account)
        (head,), (other,) = first.processes, second.processes
        first.begin()
        wait_until(lambda: guard.status().waiting == 2)
        second.begin()
        wait_until(lambda: guard.status().waiting == 3)
        head.freeze()
        at.fake.set_foreign(2)
        freed = time.monotonic()
        dialled = wait_until(lambda: first_dial(at, other.worker, freed))
        # The stalled one may have been the reader: from the reading that shows the free slot.
        shown = readings_since(at, freed)[0].at
        assert dialled - shown < 15
        assert first_dial(at, head.worker, freed) is None
        # Running again it is served again.
        head.thaw()
        at.fake.set_foreign(1)
        wait_until(lambda: first_dial(at, head.worker, freed))
        assert at.fake.overshoots == 0
        first.stop()
        second.stop()
