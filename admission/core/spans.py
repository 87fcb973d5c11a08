"""From seconds and timestamps to what travels: whole milliseconds and microseconds. Pure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from admission.ledger.wire import RETRY_MAX_MS, LaneWire, PolicyWire

if TYPE_CHECKING:
    from admission.values import Lane, Policy, Usage


def millis(seconds: float) -> int:
    """Return whole milliseconds, rounded up, so that no span on the wire is shorter than it is."""
    return math.ceil(seconds * 1000 - 1e-6)


def age_ms(seconds: float) -> int:
    """Return whole milliseconds of an age, rounded down, so that nothing seems to have happened before it did."""
    return math.floor(seconds * 1000 + 1e-6)


def wait_ms(seconds: object) -> int:
    """Return the milliseconds that others ask to wait, at most what is obeyed; 0 where they give no such number."""
    if not isinstance(seconds, (int, float)) or not seconds > 0:  # NaN is not
        return 0
    return millis(min(seconds, RETRY_MAX_MS / 1000))


def booking_spans(policy: Policy) -> tuple[int, int, int]:
    """Return what every claim bears: placement timeout, visibility lag, longest call."""
    return millis(policy.placement_timeout), millis(policy.visibility_lag), millis(policy.max_call_duration)


def wire_policy(policy: Policy) -> PolicyWire:
    """Return the account-wide part of a policy as it travels."""
    return PolicyWire(
        refresh=millis(policy.refresh_interval),
        staleness=millis(policy.max_staleness),
        lease=millis(policy.lease_ttl),
        headroom=policy.headroom,
        max_waiting=policy.max_waiting,
        lag=millis(policy.visibility_lag),
        duration=millis(policy.max_call_duration),
        pace=math.ceil(1_000_000 / policy.starts_per_second) if policy.starts_per_second else 0,
    )


def wire_lane(lane: Lane) -> LaneWire:
    """Return a lane as it travels."""
    return LaneWire(
        lane.name,
        priority=lane.priority,
        weight=max(1, round(lane.weight * 1000)),
        headroom=lane.headroom,
        cap=lane.max_in_flight or 0,
        promote=millis(lane.promote_after or 0.0),
    )


def usage_numbers(usage: Usage) -> tuple[int, int, int]:
    """Return a reading as it travels: limit, count, and the timestamp in microseconds, -1 for none."""
    return usage.limit, usage.count, -1 if usage.timestamp is None else microseconds(usage.timestamp)


def microseconds(stamp: datetime) -> int:
    """Return a timestamp as whole microseconds; only ever compared with others of the same source."""
    naive = stamp.replace(tzinfo=None) - (stamp.utcoffset() or timedelta(0))
    return (naive - datetime(1, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001 - an origin, not a time
