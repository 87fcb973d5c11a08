"""What a guard tells those who look on: one frozen event for everything that happens. No I/O, no clock.

A hook is any callable that takes one event: `Guard(..., hooks=[hook])`. Take the events apart with `match`, and ignore
those that you do not know: new ones may come with a new version.

* `Admitted` and `Refused` are told in the caller's own thread or task and context, before its block is entered: every
  ask ends in one of the two. All other events are told by the ledger's background thread. So a hook may be called by
  several threads at once.
* A hook must return quickly: while it runs, its caller, its event loop, or the thread that speaks to the ledger for the
  whole process stands still. An admission whose hooks took longer than the placement timeout is given back and claimed
  anew, so that a slow hook costs time and never a slot. Hand over to a queue what takes long.
* A hook must not call a guard: the background thread would wait for itself.
* What a hook raises is logged, once in a while, and told to the other hooks (`HookFailed`). Only what a signal's
  handler raises meanwhile goes through to the caller, and so does what is no `Exception`.
* Every process tells what happens in it. `Sampled`, `Lapsed` and some of `Noticed` are about the whole account: every
  process that is heard tells them.

All times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from admission.values import Status

UNKNOWN_LANE = "unknown"
"""Stands for a lane in `Refused` that neither the guard nor the ledger is known to have, so that names stay few."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A caller has claimed a slot, and starts its call.

    Attributes:
        account: The account's name.
        lane: The caller's lane.
        kind: How it booked: `hold`, `place` or `track`.
        reservation: The reservation's id.
        waited: Seconds from asking to the claim; for another run after the provider's refusal, from the first ask.
        at: When it was told, Unix time.
    """

    account: str
    lane: str
    kind: str
    reservation: str
    waited: float
    at: float


@dataclass(frozen=True, slots=True)
class Refused:
    """A caller was not admitted.

    Attributes:
        account: The account's name.
        lane: The caller's lane, or `unknown` while nobody is known to have declared it.
        kind: How it wanted to book: `hold`, `place` or `track`.
        reason: `saturated`, `queue_full`, `paused`, `usage_unavailable`, `ledger_unavailable`, `closed`,
            `configuration`, `interrupted` (the caller was cancelled, or interrupted by a signal), or `failed` (a fault
            of this library).
        waited: Seconds that it waited.
        at: When it was told, Unix time.
    """

    account: str
    lane: str
    kind: str
    reason: str
    waited: float
    at: float


@dataclass(frozen=True, slots=True)
class LatePlacement:
    """A call was placed after its reservation's deadline.

    Attributes:
        account: The account's name.
        lane: The reservation's lane.
        reservation: The reservation's id.
    """

    account: str
    lane: str
    reservation: str


@dataclass(frozen=True, slots=True)
class RefusedByProvider:
    """The provider refused a call that was admitted.

    Attributes:
        account: The account's name.
        lane: The reservation's lane.
        reservation: The reservation's id.
        retry_after: Seconds that the provider asked to wait, or `None`.
    """

    account: str
    lane: str
    reservation: str
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class ReadingTaken:
    """This process has read the provider, and what it said is the newest reading now.

    Attributes:
        account: The account's name.
        limit: The provider's limit.
        count: The provider's count of running calls.
        latency: Seconds that the provider took to answer.
        age: Seconds from the begin of the reading until it was in the ledger.
    """

    account: str
    limit: int
    count: int
    latency: float
    age: float


@dataclass(frozen=True, slots=True)
class ReadingFailed:
    """This process has tried to read the provider, and nothing came of it.

    Attributes:
        account: The account's name.
        kind: `no_answer`, `rate_limited` (429), `server_error` (5xx), `client_error` (4xx), `bad_answer` (it makes no
            sense), `source_error` (a source of your own raised something), `configuration` (final: the key or a setting
            is wrong), `abandoned` (nobody waited for it any more), or, of an answer that was dropped, `cached`,
            `overlapping`, `too_old`.
        error: What is wrong, in words.
        latency: Seconds that the attempt took.
    """

    account: str
    kind: str
    error: str
    latency: float


@dataclass(frozen=True, slots=True)
class Sampled:
    """How the account stands by the ledger: asked for every few seconds while a guard has hooks, see `SAMPLE_EVERY`.

    Attributes:
        account: The account's name.
        status: What `guard.status()` returns.
        lapsed: Reservations that lapsed since the ledger's books began; `None` while that is not known.
    """

    account: str
    status: Status
    lapsed: int | None


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Reservations of the account lapsed: their processes were not heard, or `max_call_duration` was over.

    Attributes:
        account: The account's name.
        reservations: How many since this was told last.
    """

    account: str
    reservations: int


@dataclass(frozen=True, slots=True)
class LedgerFailed:
    """The ledger's store did not serve what this process sent; it is tried again several times a second.

    Attributes:
        account: The account's name.
        verbs: The verbs of the requests in it, each once.
        error: What is wrong, in words.
    """

    account: str
    verbs: tuple[str, ...]
    error: str


@dataclass(frozen=True, slots=True)
class HookFailed:
    """Another hook of the guard raised an error.

    Attributes:
        account: The account's name.
        hook: The name of its function or class.
        failures: How often it has in this process.
    """

    account: str
    hook: str
    failures: int


@dataclass(frozen=True, slots=True)
class Noticed:
    """Anything else that is in the log, as `limit_changed` or `new_epoch`.

    Attributes:
        account: The account's name.
        event: The log record's `event`.
        facts: Its facts by name.
    """

    account: str
    event: str
    facts: Mapping[str, object]


Event = (
    Admitted
    | Refused
    | LatePlacement
    | RefusedByProvider
    | ReadingTaken
    | ReadingFailed
    | Sampled
    | Lapsed
    | LedgerFailed
    | HookFailed
    | Noticed
)
"""Everything that a hook is told."""


class Hook(Protocol):
    """Whoever looks on: any callable that takes one event. What it returns does not matter."""

    def __call__(self, event: Event, /) -> object:
        """Take one event, quickly."""
        ...


SAMPLE_EVERY = 5.0
"""Seconds between two `Sampled` of a guard with hooks; less where `lease_ttl` is below 15 s: a third of it."""

__all__ = [
    "SAMPLE_EVERY",
    "UNKNOWN_LANE",
    "Admitted",
    "Event",
    "Hook",
    "HookFailed",
    "Lapsed",
    "LatePlacement",
    "LedgerFailed",
    "Noticed",
    "ReadingFailed",
    "ReadingTaken",
    "Refused",
    "RefusedByProvider",
    "Sampled",
]
