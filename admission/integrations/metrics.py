"""The one table of metrics, and which event moves which: what all metric hooks have in common. No I/O, no state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from admission.hooks import (
    Admitted,
    HookFailed,
    LatePlacement,
    LedgerFailed,
    Noticed,
    ReadingFailed,
    ReadingTaken,
    Refused,
    RefusedByProvider,
    Sampled,
)
from admission.telling import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from admission.hooks import Event
    from admission.values import Status


class Metric(NamedTuple):
    """One metric.

    Attributes:
        kind: A counter, which only rises; a gauge, set to the newest value; or a histogram.
        text: What it says.
        labels: What it is split by; all have few values.
        unit: `seconds`, or empty for a number.
        buckets: The upper bounds of a histogram.
    """

    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ("account",)
    unit: str = ""
    buckets: tuple[float, ...] = ()


class Measured(NamedTuple):
    """One step of a metric.

    Attributes:
        name: The metric's, in `METRICS`.
        value: What to add to a counter, to set a gauge to, or to enter in a histogram.
        labels: The values of its labels, in their order.
    """

    name: str
    value: float
    labels: tuple[str, ...]


WAITS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
READINGS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LANE = ("account", "lane")

METRICS = {
    "admitted": Metric("counter", "Callers that were admitted", LANE),
    "refused": Metric("counter", "Callers that were not admitted", (*LANE, "reason")),
    "waited": Metric(
        "histogram", "How long callers waited until they were admitted or refused", (*LANE, "outcome"), "seconds", WAITS
    ),
    "limit": Metric("gauge", "The provider's limit"),
    "counted": Metric("gauge", "Calls that run by the provider's count"),
    "in_use": Metric("gauge", "Slots in use by the accounting rule"),
    "free": Metric("gauge", "Slots that could be claimed now"),
    "pending": Metric("gauge", "Reservations that the newest reading does not surely include"),
    "held": Metric("gauge", "Reservations that are held: counted by the provider, and their holders alive"),
    "untracked": Metric("gauge", "Calls in the count that the ledger does not, or no longer, hold booked"),
    "waiting": Metric("gauge", "Callers in the line", LANE),
    "in_flight": Metric("gauge", "Reservations that the ledger holds booked", LANE),
    "paused": Metric("gauge", "1 while an operator has paused the account or the lane, else 0", LANE),
    "reading_age": Metric(
        "gauge", "Time since the newest reading began, when the ledger was asked last", unit="seconds"
    ),
    "reading": Metric(
        "histogram", "How long the provider took for a reading that is used", unit="seconds", buckets=READINGS
    ),
    "reading_errors": Metric("counter", "Attempts to read the provider that came to nothing", ("account", "kind")),
    "refused_by_provider": Metric("counter", "Admitted calls that the provider refused", LANE),
    "late_placements": Metric("counter", "Calls placed after their deadline", LANE),
    "lapsed_reservations": Metric(
        "gauge", "Reservations that lapsed since the ledger's books began; 0 again when it lost them"
    ),
    "ledger_errors": Metric("counter", "Requests that the ledger did not serve", ("account", "verb")),
    "events": Metric("counter", "Other events, by their name in the log", ("account", "event")),
    "hook_errors": Metric("counter", "Errors of the guard's other hooks", ("account", "hook")),
}
"""Every metric by name, without the namespace before it and the unit after it."""


def measure(event: Event) -> Iterator[Measured]:
    """Return what an event does to the metrics."""
    yield from _of_callers(event) if isinstance(event, (Admitted, Refused)) else _of_others(event)


def _of_callers(event: Admitted | Refused) -> Iterator[Measured]:
    lane = (event.account, event.lane)
    if isinstance(event, Admitted):
        outcome = "admitted"
        yield Measured("admitted", 1, lane)
    else:
        outcome = "refused"
        yield Measured("refused", 1, (*lane, event.reason))
    yield Measured("waited", event.waited, (*lane, outcome))


def _of_others(event: Event) -> Iterator[Measured]:
    """Return what other events do; not `Lapsed`, which every process tells, so that a counter would count it often."""
    account = event.account
    match event:
        case RefusedByProvider(lane=lane):
            yield Measured("refused_by_provider", 1, (account, lane))
        case LatePlacement(lane=lane):
            yield Measured("late_placements", 1, (account, lane))
        case ReadingTaken(latency=latency):
            yield Measured("reading", latency, (account,))
        case ReadingFailed(kind=kind):
            yield Measured("reading_errors", 1, (account, kind))
        case LedgerFailed(verbs=verbs):
            yield from (Measured("ledger_errors", 1, (account, verb)) for verb in verbs)
        case HookFailed(hook=hook):
            yield Measured("hook_errors", 1, (account, hook))
        case Noticed(event=name):
            yield Measured("events", 1, (account, name))
        case Sampled(status=status, lapsed=lapsed):
            yield from _of_status(status)
            yield from _from_nothing(status)
            if lapsed is not None:
                yield Measured("lapsed_reservations", lapsed, (account,))


def _from_nothing(status: Status) -> Iterator[Measured]:
    """Return what lets rare counters begin at 0: one that begins at 1 has not risen, so no alarm would go off."""
    for lane in status.lanes:
        labels = (status.account, lane.name)
        yield from (Measured(name, 0, labels) for name in ("admitted", "refused_by_provider", "late_placements"))
        yield Measured("refused", 0, (*labels, "queue_full"))
    yield Measured("reading_errors", 0, (status.account, "configuration"))
    yield from (Measured("events", 0, (status.account, name)) for name, told in EVENTS.items() if told.make is None)


def _of_status(status: Status) -> Iterator[Measured]:
    account = (status.account,)
    numbers = {
        "limit": status.limit,
        "counted": status.count,
        "in_use": status.in_use,
        "free": status.free,
        "pending": status.pending,
        "held": status.held,
        "untracked": status.untracked,
        "reading_age": status.usage_age,
    }
    yield from (Measured(name, number, account) for name, number in numbers.items() if number is not None)
    for lane in status.lanes:
        labels = (status.account, lane.name)
        yield Measured("waiting", lane.waiting, labels)
        yield Measured("in_flight", lane.in_flight, labels)
        yield Measured("paused", int(status.paused or lane.paused), labels)
