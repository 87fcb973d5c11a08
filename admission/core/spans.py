"""From seconds and timestamps to what travels: whole milliseconds and microseconds. Pure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from admission.ledger.wire import PolicyWire

if TYPE_CHECKING:
    from admission.values import Policy, Usage


def millis(seconds: float) -> int:
    """Return whole milliseconds, rounded up, so that no span on the wire is shorter than it was."""
    return math.ceil(seconds * 1000 - 1e-6)


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
    )


def usage_numbers(usage: Usage) -> tuple[int, int, int]:
    """Return a reading as it travels: limit, count, and the timestamp in microseconds, -1 for none."""
    return usage.limit, usage.count, -1 if usage.timestamp is None else microseconds(usage.timestamp)


def microseconds(stamp: datetime) -> int:
    """Return a timestamp as whole microseconds; only ever compared with others of the same source."""
    naive = stamp.replace(tzinfo=None) - (stamp.utcoffset() or timedelta(0))
    return (naive - datetime(1, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001 - an origin, not a time
