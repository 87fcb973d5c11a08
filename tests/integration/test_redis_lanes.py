"""Lanes and pace on a real Redis: told again after a loss, and kept between guards that share nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from admission import ConfigurationError, Lane, Paused, Saturated
from tests.integration.fleet_crews import provider
from tests.integration.fleet_sides import POLICY, side
from tests.waiting import wait_until


def lanes(guard):
    """Return what each lane's callers and reservations are, by name."""
    return {lane.name: lane for lane in guard.status().lanes}


@pytest.mark.usefixtures("ledger_has_time")
def test_lanes_are_told_again_to_a_ledger_that_lost_them(guard, own):
    capped = Lane("capped", priority=2, weight=2.5, headroom=1, max_in_flight=2, promote_after=30)
    guard.ask("set_lane", lane=capped)
    guard.ask("pause", reason="lunch", lane="default")
    guard.acquire(lane="capped")
    # Its beat has told it all lanes.
    wait_until(lambda: guard.guard._my_desk()._lanes.at == lanes_at(own))
    own.client.flushall()
    wait_until(lambda: "capped" in lanes(guard) and lanes(guard)["capped"].in_flight == 1)
    assert lanes(guard)["capped"].settings == capped
    assert lanes(guard)["default"].pause_reason == "lunch"
    guard.acquire(lane="capped")
    with pytest.raises(Saturated):
        guard.acquire(lane="capped", timeout=0)
    with pytest.raises(Paused, match="lunch"):
        guard.acquire(timeout=0)
    with pytest.raises(ConfigurationError, match="known are: capped, default"):
        guard.acquire(lane="typo")
    guard.ask("resume", lane="default")


def lanes_at(own):
    """Return the stamp of the newest word on lanes, as the ledger has it."""
    from tests.lua import state

    return state.unpack("state", own.client.hget("admission:{own}:account", "state"))["lanes_at"]


def test_a_lane_is_served_alike_for_all_guards(opened, open_store, at, colour):
    one, _, account = open_store
    with side(colour, at, one.url, account) as other:
        other.ask("set_lane", lane=Lane("capped", max_in_flight=1))
        held = opened.acquire(lane="capped")
        waiter = other.submit("acquire", lane="capped", timeout=20)
        other.wait_waiting(1)
        assert lanes(opened)["capped"].waiting == 1
        assert other.status().free == 4
        held.cancel()
        waiter.result(10).cancel()


def test_starts_of_two_guards_keep_one_pace_and_wait_no_longer(colour, own):
    policy = replace(POLICY, starts_per_second=10)
    with (
        provider(20) as at,
        side(colour, at, own.url, "paced", policy) as first,
        side(colour, at, own.url, "paced", policy) as second,
    ):
        jobs = [guard.submit("acquire") for _ in range(8) for guard in (first, second)]
        reservations = [job.result(30) for job in jobs]
        times = sorted(reservation.granted_at for reservation in reservations)
        # 15 times 0.1 s, by clocks that are read in three threads; with polls once a second it would be 15 s.
        assert 1.45 <= times[-1] - times[0] <= 10
        for reservation in reservations:
            reservation.cancel()
