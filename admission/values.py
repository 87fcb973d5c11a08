"""The frozen values that are handed to users: settings, readings, states. Checked when built; no I/O."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, fields
from datetime import datetime

from admission.errors import ConfigurationError

MAX_CALLS = 1_000_000
"""No account is believed to have a limit or a count beyond this: larger numbers are garbage."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,99}")


def check_name(kind: str, name: object) -> str:
    """Return `name` when it can stand in keys, logs and labels.

    Raises:
        ConfigurationError: It is no string of 1 to 100 letters, digits and `. _ : @ / + -`.
    """
    if isinstance(name, Lane):
        raise ConfigurationError(f"give the name of a lane, {name.name!r}, not the Lane")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        shown = repr(name)[:60]
        raise ConfigurationError(
            f"{kind} {shown} is not usable: take 1 to 100 letters, digits and . _ : @ / + - beginning with a "
            "letter or digit"
        )
    return name


def is_coroutine_function(called: object) -> bool:
    """Return whether calling it gives a coroutine, as far as can be told before: a function, or an object as one."""
    own = getattr(called, "__call__", None)  # noqa: B004 - an object's own
    # No `any` of a generator: Python drops what a signal's handler raises while one is closed early.
    return inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(own)


def clean_text(text: object, most: int) -> str:
    """Return text as it can be sent and stored: at most `most` characters of it, and lone surrogates escaped."""
    return str(text)[:most].encode("utf-8", "backslashreplace").decode()


def _check_number(name: str, value: object, low: float, high: float, *, whole: bool = False) -> None:
    kinds = int if whole else (int, float)
    # The range refuses NaN and infinities too.
    if isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high:
        return
    shown = f"{value!r:.60}" if not isinstance(value, int) or abs(value) < 10**60 else "a huge number"
    raise ConfigurationError(
        f"{name}={shown}: give {'a whole number' if whole else 'a number'} from {low:g} to {high:g}"
    )


@dataclass(frozen=True, slots=True)
class Usage:
    """One answer of the provider.

    Attributes:
        limit: Calls that the account may run at once, 0 to 1,000,000.
        count: Calls that run now, 0 to 1,000,000.
        timestamp: When the provider looked, by its own clock; `None` when it does not say (then no answer can
            be told from a cached one). Only ever compared with other timestamps of the same source.
    """

    limit: int
    count: int
    timestamp: datetime | None = None

    def __post_init__(self) -> None:
        _check_number("limit", self.limit, 0, MAX_CALLS, whole=True)
        _check_number("count", self.count, 0, MAX_CALLS, whole=True)
        if self.timestamp is not None and not isinstance(self.timestamp, datetime):
            raise ConfigurationError(f"timestamp={self.timestamp!r}: give a datetime or None")


@dataclass(frozen=True, slots=True)
class Lane:
    """A class of traffic within an account.

    Attributes:
        name: The lane's name.
        priority: 0 is served first.
        weight: The lane's share among lanes of the same priority.
        headroom: Slots that this lane leaves free.
        max_in_flight: Most reservations of this lane at once; `None` for no cap.
        promote_after: Seconds of waiting that lift a waiter by one priority; `None` for never.
    """

    name: str
    priority: int = 0
    weight: float = 1.0
    headroom: int = 0
    max_in_flight: int | None = None
    promote_after: float | None = None

    def __post_init__(self) -> None:
        check_name("lane", self.name)
        _check_number("priority", self.priority, 0, 1000, whole=True)
        _check_number("weight", self.weight, 0.001, 1000)
        _check_number("headroom", self.headroom, 0, MAX_CALLS, whole=True)
        if self.max_in_flight is not None:
            _check_number("max_in_flight", self.max_in_flight, 1, MAX_CALLS, whole=True)
        if self.promote_after is not None:
            _check_number("promote_after", self.promote_after, 0.1, 86_400)


@dataclass(frozen=True, slots=True)
class Policy:
    """How a guard decides. All times are seconds.

    Attributes:
        refresh_interval: While somebody wants to dial, the fleet reads the provider this often.
        max_staleness: A reading older than this admits nobody.
        visibility_lag: Longest time from the provider's acceptance of a call until every later reading
            includes it: caches and uncounted ringing included. Too small overshoots, too large idles.
        placement_timeout: Longest time from a claim to the provider's acceptance of its call.
        lease_ttl: A process not heard for this long is taken for dead.
        max_call_duration: A booking that nobody ended is forgotten after this long.
        headroom: Slots left free on purpose.
        timeout: How long callers wait by default: `None` for ever, 0 not at all.
        max_waiting: Callers in the line, at most.
        starts_per_second: Starts per second and account; `None` for no limit.

    Raises:
        ConfigurationError: A value is out of its range, or two values cannot work together.
    """

    refresh_interval: float = 1.0
    max_staleness: float = 15.0
    visibility_lag: float = 5.0
    placement_timeout: float = 10.0
    lease_ttl: float = 10.0
    max_call_duration: float = 3600.0
    headroom: int = 0
    timeout: float | None = None
    max_waiting: int = 10_000
    starts_per_second: float | None = None

    def __post_init__(self) -> None:
        _check_number("refresh_interval", self.refresh_interval, 0.01, 60)
        _check_number("max_staleness", self.max_staleness, 0.02, 3600)
        _check_number("visibility_lag", self.visibility_lag, 0, 300)
        _check_number("placement_timeout", self.placement_timeout, 0.1, 300)
        _check_number("lease_ttl", self.lease_ttl, 1, 300)
        _check_number("max_call_duration", self.max_call_duration, 1, 604_800)
        _check_number("headroom", self.headroom, 0, MAX_CALLS, whole=True)
        check_timeout(self.timeout)
        _check_number("max_waiting", self.max_waiting, 1, 10_000_000, whole=True)
        if self.starts_per_second is not None:
            _check_number("starts_per_second", self.starts_per_second, 0.001, 10_000)
        if self.max_staleness < 2 * self.refresh_interval:
            raise ConfigurationError(
                f"max_staleness={self.max_staleness:g} must be at least twice "
                f"refresh_interval={self.refresh_interval:g}, or admission stops between two readings"
            )
        if self.max_call_duration < self.placement_timeout + self.visibility_lag:
            raise ConfigurationError(
                f"max_call_duration={self.max_call_duration:g} must be at least placement_timeout + "
                f"visibility_lag ({self.placement_timeout + self.visibility_lag:g})"
            )

    def describe(self) -> dict[str, float | int | None]:
        """Return every setting by name, for reports and logs."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def check_source_timeout(seconds: object) -> float:
    """Return how long a source may take for a reading: 0.001 to 3,600 seconds.

    Raises:
        ConfigurationError: It is anything else.
    """
    _check_number("the source's timeout", seconds, 0.001, 3600)
    return float(seconds)  # type: ignore[arg-type]  # a number, as was checked


def check_timeout(timeout: object) -> None:
    """Check a caller's timeout: `None`, or 0 to 604,800 seconds.

    Raises:
        ConfigurationError: It is anything else.
    """
    if timeout is not None:
        _check_number("timeout", timeout, 0, 604_800)


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """What one lane does now.

    Attributes:
        name: The lane's name.
        waiting: Callers that wait in it.
        in_flight: Reservations of it that the ledger holds booked.
        paused: Whether an operator has paused it.
        pause_reason: What they gave as the reason; empty when it is not paused.
        settings: How it is served, as it was told last; the priority of a `default` that nobody declared is the lowest
            of all.
    """

    name: str
    waiting: int
    in_flight: int
    paused: bool = False
    pause_reason: str = ""
    settings: Lane | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """One reservation that the ledger holds booked.

    Attributes:
        id: The reservation's id.
        lane: Its lane.
        kind: How it was booked: `hold`, `place`, `track` (a tracked `place`), or `started` (a call that the
            fleet did not place).
        process: The guard that holds it, by its name in the ledger.
        age: Seconds since it was claimed.
        state: `pending`, `covered`, `held`, or `tracked` (covered, and known by its call id until the call's end).
        placed: Whether its holder has said that the call was placed.
        call_id: The call's id; empty where none was told.
    """

    id: str
    lane: str
    kind: str
    process: str
    age: float
    state: str
    placed: bool
    call_id: str


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds what of an account at one moment.

    Attributes:
        account: The account's name in the ledger.
        booked: How many reservations the ledger holds booked.
        rows: Them, by state and process; the first thousand, where there are more.
    """

    account: str
    booked: int
    rows: tuple[Holder, ...]

    @property
    def left_out(self) -> int:
        """How many are booked that `rows` does not have."""
        return max(0, self.booked - len(self.rows))


@dataclass(frozen=True, slots=True)
class Status:
    """The ledger's view of an account at one moment.

    Attributes:
        account: The account's name in the ledger.
        limit: The provider's limit; `None` before the first reading.
        count: The provider's count of running calls; `None` before the first reading.
        in_use: Slots in use by the accounting rule, `max(count, held) + pending`.
        free: Slots that could be claimed now, at least 0.
        pending: Reservations that the newest reading does not surely include.
        held: Covered holds whose holder said `placed` and is alive.
        untracked: Calls in the count that the ledger does not, or no longer, hold booked.
        waiting: Callers in the line.
        usage_age: Seconds since the newest reading began; `None` before the first.
        paused: Whether an operator has paused the account.
        pause_reason: What they gave as the reason; empty when not paused.
        lanes: One entry for every lane.
        visibility_lag_seen: The longest time, in seconds, after which a live call was seen to be missing from the
            count; `None` while none was. Calls of others hide it: `visibility_lag` must be longer than this, and may
            have to be much longer.
    """

    account: str
    limit: int | None
    count: int | None
    in_use: int
    free: int
    pending: int
    held: int
    untracked: int
    waiting: int
    usage_age: float | None
    paused: bool
    pause_reason: str
    lanes: tuple[LaneStatus, ...] = ()
    visibility_lag_seen: float | None = None
