"""A few faults with every run of the tests, and all of them on every server behind the marker `campaign`."""

from __future__ import annotations

import pytest

from tests.campaign import engine
from tests.campaign.engine import unexplained
from tests.campaign.faults import FAULTS
from tests.integration.fleet_crews import provider
from tests.servers import BINARIES

OLDEST, NEWEST = next(iter(BINARIES)), list(BINARIES)[-1]
SLOW = 20.0
"""Seconds for machines that do much else."""


def live(name, binary, **terms):
    outcome = engine.run(name, binary, seed=0, **terms)
    assert not outcome.wrong, outcome.complaints
    return outcome


def test_a_fleet_lives_through_dialers_that_stop_past_their_deadline():
    live("dialers stopped past the deadline", NEWEST, times=1, bar=SLOW)


def test_a_fleet_lives_through_refused_writes():
    assert live("writes refused, memory full", OLDEST, times=1, bar=SLOW).down > 0


def test_a_fleet_lives_through_an_outage_longer_than_every_lease():
    assert live("outage longer than every lease", NEWEST, times=1, bar=SLOW).down > 0


@pytest.mark.campaign
@pytest.mark.timeout(300)
@pytest.mark.parametrize("binary", BINARIES)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fleet_lives_through_every_fault(name, binary):
    if missing := FAULTS[name].missing():
        pytest.skip(missing)
    live(name, binary)


def test_every_fault_is_described():
    assert len(FAULTS) >= 20
    assert all(fault.times > 0 for fault in FAULTS.values())


def test_a_late_placement_explains_one_call_too_many_and_no_more():
    with provider(2) as at:
        for name in ("early", "late", "another"):
            at.fake.start_call(metadata={"reservation": name, "granted_at": 0.0})
        assert at.fake.overshoots == 1
        assert unexplained(at, {"late"}) == []
        assert unexplained(at, {"another"}) == []
        assert len(unexplained(at, {"unknown"})) == 1
        at.fake.start_call(metadata={"reservation": "one more", "granted_at": 0.0})
        assert len(unexplained(at, {"late"})) == 1
        assert unexplained(at, {"late", "one more"}) == []
        # A late call that is over explains nothing any more.
        at.fake.end_call("call-000002")
        at.fake.start_call(metadata={"reservation": "the last", "granted_at": 0.0})
        assert len(unexplained(at, {"late", "one more"})) == 1


def test_a_provider_that_counts_too_late_is_caught():
    # Calls last long enough that others come on top of them, however slow the machine.
    outcome = engine.run("scripts flushed", NEWEST, seed=0, times=1, lag=1.5, call=2.0)
    assert any("one call too many" in wrong for wrong in outcome.wrong)
