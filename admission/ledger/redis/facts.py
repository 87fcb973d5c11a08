"""What can be learnt of a server that keeps ledgers. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BookFacts:
    """What one account's book says of itself. Times are seconds.

    Attributes:
        account: The account's name.
        heard_ago: Since a process was heard last; `None` where nobody ever was.
        limit: The provider's limit, -1 before the first reading.
        count: The provider's count, -1 before the first reading.
        refresh: The agreed `refresh_interval`.
        staleness: The agreed `max_staleness`.
        lease: The agreed `lease_ttl`.
        lag: The agreed `visibility_lag`.
        duration: The agreed `max_call_duration`.
        headroom: The agreed headroom.
        seen: The longest visibility lag that was seen, -1 for none.
        timeouts: The placement timeouts of what is booked.
        policies: How many different policies are told by the processes that are heard.
    """

    account: str
    heard_ago: float | None
    limit: int = -1
    count: int = -1
    refresh: float = 0.0
    staleness: float = 0.0
    lease: float = 0.0
    lag: float = 0.0
    duration: float = 0.0
    headroom: int = 0
    seen: float = -1.0
    timeouts: tuple[float, ...] = ()
    policies: int = 0


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What one server says of itself. What it does not tell is `None`, or empty.

    Attributes:
        where: Its address, without credentials.
        fault: Why it cannot be asked at all; else empty.
        latencies: Seconds of some round trips.
        info: What `INFO` tells: name to text.
        run_id: Its run id, empty where it may not be read.
        settings: What `CONFIG GET` tells.
        clock_ahead: Seconds by which its clock is ahead of this machine's.
        script: Why it does not run the ledger's script; else empty.
        other_format: The format of the account's book where another version keeps it; else `None`.
        channel: Why it does not carry wake-up messages; else empty.
        book: The account's own book; `None` where there is none yet.
        others: Books of other accounts.
        all_seen: Whether all keys were looked through for others.
    """

    where: str
    fault: str = ""
    latencies: tuple[float, ...] = ()
    info: tuple[tuple[str, str], ...] = ()
    run_id: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    clock_ahead: float | None = None
    script: str = ""
    other_format: int | None = None
    channel: str = ""
    book: BookFacts | None = None
    others: tuple[BookFacts, ...] = ()
    all_seen: bool = True
