"""A hundred callers in four processes, half of them asyncio, on one account over real HTTP and a real Redis.

The provider takes every call and keeps its own truth: with a limit of 20, of which others hold 4, and a count that
lags. All ways to make calls run at the same time, each on an account and a provider of its own.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.integration.fleet_crews import fleet, provider
from tests.servers import redis_server

pytestmark = pytest.mark.timeout(240)

LIMIT, FOREIGN = 20, 4
LAG = REFRESH = 0.1
WARM = 4.0
"""Seconds from the beginning to the first measuring: a new ledger admits nobody for the first beat."""
CALL = 4.0
"""Seconds of a call, more or less: long enough that a slow machine's dials do not count for much."""
SPAN = 15.0
"""Seconds of calls."""
LATE = 4.0
"""Seconds at the end, when what killed processes left behind has surely lapsed."""
MOST = 60.0
"""Seconds after which an account that was not busy enough, as a slow machine's may be, is not measured again."""
POLICY = {"refresh_interval": REFRESH, "visibility_lag": LAG, "placement_timeout": 4.0, "lease_ttl": 2.0}

WAYS = {
    "placed": {"way": "placed"},
    "hold": {"way": "hold"},
    "place": {"way": "place"},
    "bare": {"way": "bare"},
    "impatient": {"way": "placed", "timeout": 0.5},
}
"""How calls are made, by name: what differs in the job."""
# A hold that does not say `placed` counts twice while it lasts.
ENOUGH = {name: 0.4 if name == "hold" else 0.7 for name in WAYS}
"""Share of the account that must be busy: more than without the calls of killed processes."""


class Run(NamedTuple):
    """What became of one fleet.

    Attributes:
        fake: The provider's truth.
        busy: Share of the account that was busy once calls went, 0 to 1, or in the last seconds if that is more.
        late: The same for the last seconds.
        late_dials: By process, its dials in those.
        summaries: What the processes tell of their callers.
        complaints: What they wrote to stderr.
    """

    fake: object
    busy: float
    late: float
    late_dials: set[str]
    summaries: dict
    complaints: str


def run_all(killed):
    """Run a fleet for every way at once; `killed` of the four processes of each die by SIGKILL in the middle."""
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        providers, fleets = {}, {}
        for name, way in WAYS.items():
            at = stack.enter_context(provider(LIMIT, foreign=FOREIGN, visibility_lag=LAG))
            providers[name] = at
            fleets[name] = stack.enter_context(fleet(at, redis.url, account=name, policy=POLICY, call=CALL, **way))
        for one in fleets.values():
            one.begin()
        began = time.monotonic()

        def pass_until(seconds):
            time.sleep(max(0.0, began + seconds - time.monotonic()))
            return {name: at.fake.mark() for name, at in providers.items()}

        warm = pass_until(WARM)
        for one in fleets.values():
            for process in one.processes[:killed]:
                one.kill(process)

        def busy(name, since, until):
            return providers[name].fake.busy(since[name], until[name])

        late_from = pass_until(SPAN - LATE)
        end = pass_until(SPAN)
        # A slot that was lost stays so, however often it is looked at.
        while any(busy(name, late_from, end) < ENOUGH[name] for name in WAYS) and time.monotonic() < began + MOST:
            late_from, end = end, pass_until(time.monotonic() - began + LATE)
        runs = {}
        for name, at in providers.items():
            late_dials = {dial.worker for dial in at.dials if late_from[name].at < dial.at <= end[name].at}
            late = busy(name, late_from, end)
            one = fleets[name]
            runs[name] = Run(at.fake, max(late, busy(name, warm, end)), late, late_dials, one.stop(), one.complaints())
        return runs


@pytest.fixture(scope="module")
def whole():
    return run_all(killed=0)


@pytest.fixture(scope="module")
def halved():
    return run_all(killed=2)


def check(run):
    """Check what must be true of every run."""
    assert run.fake.overshoots == 0, run.fake.overshoot_log[:10]
    assert run.fake.peak <= LIMIT
    assert "Traceback" not in run.complaints, run.complaints
    for worker, summary in run.summaries.items():
        assert summary["errors"] == [], worker


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_calling_overshoots_and_the_account_is_busy(whole, way):
    run = whole[way]
    check(run)
    assert run.busy >= ENOUGH[way]


@pytest.mark.parametrize("way", WAYS)
def test_killed_processes_cost_no_overshoot_and_no_slot(halved, way):
    run = halved[way]
    check(run)
    survivors = set(run.summaries)
    assert len(survivors) == 2
    assert run.late_dials
    assert run.late_dials <= survivors
    assert run.late >= ENOUGH[way]


def test_impatient_callers_are_told_that_the_account_is_full(whole):
    refused = [summary["refused"] for summary in whole["impatient"].summaries.values()]
    assert all(counts["Saturated"] > 0 for counts in refused)
