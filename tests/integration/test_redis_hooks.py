"""Hooks over a real Redis: values move with the load, faults are told, and forked processes are added up."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from admission import LedgerUnavailable, Saturated
from admission.hooks import Lapsed, LedgerFailed, Noticed, ReadingFailed, Sampled
from admission.integrations.prometheus import PrometheusHook
from tests.integration.fleet_crews import KEY
from tests.integration.fleet_sides import POLICY, script, side
from tests.waiting import wait_until


class Seen:
    """A hook that keeps what it is told, and a registry beside it."""

    def __init__(self):
        self.events = []
        self.registry = CollectorRegistry()
        self.hooks = [self.events.append, PrometheusHook(self.registry)]

    def of(self, kind):
        return [event for event in list(self.events) if isinstance(event, kind)]

    def value(self, name, **labels):
        found = [
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == f"admission_{name}" and labels.items() <= sample.labels.items()
        ]
        return found[0] if found else None

    def is_now(self, **numbers):
        return all(self.value(name) == number for name, number in numbers.items())


@pytest.fixture
def seen():
    one = Seen()
    yield one
    assert KEY not in repr(one.events)


@pytest.mark.usefixtures("ledger_has_time")
def test_what_is_scraped_moves_with_the_load(colour, at, open_store, seen):
    _, between, account = open_store
    with side(colour, at, between.url, account, hooks=seen.hooks) as guard:
        claimed = [guard.acquire() for _ in range(5)]
        wait_until(lambda: seen.is_now(limit=5, in_use=5, free=0, waiting=0, lapsed_reservations=0))
        with pytest.raises(Saturated):
            guard.acquire(timeout=0)
        waiter = guard.submit("acquire", timeout=20)
        wait_until(lambda: seen.is_now(waiting=1))
        for reservation in claimed:
            reservation.cancel()
        waiter.result(20).cancel()
        wait_until(lambda: seen.is_now(waiting=0, in_use=0, free=5))
        assert seen.value("admitted_total", account=account, lane="default") == 6
        assert seen.value("waited_seconds_count", outcome="admitted") == 6
        assert seen.value("refused_total", reason="saturated") == 1
        assert seen.value("reading_seconds_count") >= 1


def test_nothing_is_read_for_samples(colour, at, open_store, seen):
    _, between, account = open_store
    with side(colour, at, between.url, account, hooks=seen.hooks) as guard:
        guard.ask("refresh")
        readings = len(at.readings)
        before = len(seen.of(Sampled))
        wait_until(lambda: len(seen.of(Sampled)) >= before + 3)
        assert len(at.readings) == readings
        assert not [event for event in seen.of(Noticed) if event.event == "lapsed_process"]


def test_a_ledger_that_is_away_or_lost_its_data_is_told(colour, at, own, seen):
    with side(colour, at, own.url, "own", hooks=seen.hooks) as guard:
        guard.acquire().cancel()
        own.proxy.down()
        with pytest.raises(LedgerUnavailable):
            guard.ask("acquire", timeout=0.2)
        wait_until(lambda: seen.value("ledger_errors_total", verb="ask"))
        assert all(event.verbs for event in seen.of(LedgerFailed))
        assert seen.value("refused_total", reason="ledger_unavailable") == 1
        own.proxy.up()
        before = len(seen.of(Sampled))
        wait_until(lambda: len(seen.of(Sampled)) > before)
        own.client.flushall()
        wait_until(lambda: seen.value("events_total", event="new_epoch") == 1)
        wait_until(lambda: seen.of(Sampled)[-1].lapsed == 0)


def test_what_lapses_is_told(colour, at, own, seen):
    policy = replace(POLICY, max_call_duration=2.5, placement_timeout=2.0)
    with side(colour, at, own.url, "own", policy, hooks=seen.hooks) as guard:
        reservation = guard.acquire()
        reservation.placed(at.fake.start_call(duration=60))
        wait_until(lambda: seen.is_now(lapsed_reservations=1), timeout=20)
        assert sum(event.reservations for event in seen.of(Lapsed)) == 1


def test_a_reading_that_fails_is_told(colour, at, open_store, seen):
    _, between, account = open_store
    with side(colour, at, between.url, account, hooks=seen.hooks) as guard:
        at.fake.fail_next(1, 503)
        guard.acquire().cancel()
        wait_until(lambda: seen.of(ReadingFailed))
        assert {event.kind for event in seen.of(ReadingFailed)} == {"server_error"}


PREFORK = """
import os, sys
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from admission import Guard, Policy, PureTalk, RedisLedger
from admission.hooks import Admitted, Sampled
from admission.integrations.prometheus import PrometheusHook

url, redis, key, account, used = sys.argv[1:]
seen = []
policy = Policy(refresh_interval=0.05, visibility_lag=0.05, lease_ttl=3, timeout=20)
hooks = [PrometheusHook(), seen.append]
guard = Guard(PureTalk(key, base_url=url), RedisLedger(redis), account=account, policy=policy, hooks=hooks)
if used == "used":
    guard.acquire().cancel()
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        seen.clear()
        for _ in range(4):
            guard.acquire().cancel()
        # The first sample may be older than the first reading.
        while not [event for event in seen if isinstance(event, Sampled) and event.status.limit]:
            guard.status()
        guard.close()
        os._exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
guard.close()
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


@pytest.mark.parametrize("used", ["unused", "used"])
def test_forked_processes_are_added_up(used, at, own, tmp_path):
    """As gunicorn and Celery fork: the guard is made by the parent, which may have used it."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    out = subprocess.run(
        [*script(PREFORK), at.url, own.url, KEY, "own", used],
        # Python warns of whatever forks with threads, as servers do, from 3.12 on.
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONWARNINGS": "ignore:This process"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (out.returncode, out.stderr) == (0, "")
    lines = out.stdout.splitlines()
    admitted = 13 if used == "used" else 12
    assert f'admission_admitted_total{{account="own",lane="default"}} {admitted}.0' in lines
    gauges = [line for line in lines if line.startswith("admission_limit{")]
    assert gauges == ['admission_limit{account="own"} 5.0']
