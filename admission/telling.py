"""Where what happens is told: the one table of events, the log, and the users' hooks."""

from __future__ import annotations

import itertools
import logging
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from admission.core.watch import Lasting
from admission.errors import (
    AdmissionError,
    Closed,
    ConfigurationError,
    LedgerUnavailable,
    Paused,
    QueueFull,
    Refused,
    Saturated,
    UsageUnavailable,
)
from admission.hooks import (
    UNKNOWN_LANE,
    Admitted,
    HookFailed,
    Lapsed,
    LatePlacement,
    LedgerFailed,
    Noticed,
    ReadingFailed,
    ReadingTaken,
    RefusedByProvider,
    Sampled,
)
from admission.hooks import Refused as RefusedEvent
from admission.ledger.wire import DEFAULT
from admission.log import by_signal, logger
from admission.values import is_coroutine_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from admission.core.messages import Booking
    from admission.hooks import Event, Hook
    from admission.ledger.wire import Kind


INFO, WARNING = logging.INFO, logging.WARNING


class Told(NamedTuple):
    """How one event is told.

    Attributes:
        text: The log record's, with the event's facts.
        level: The log record's; `None`: it is for hooks alone.
        make: What hooks are given, made of the facts; `None`: a `Noticed`.
    """

    text: str
    level: int | None = WARNING
    make: Callable[..., Event] | None = None


EVENTS = {
    "late_placement": Told(
        "reservation %(reservation)s was placed after its deadline; raise placement_timeout", make=LatePlacement
    ),
    "refused_by_provider": Told(
        "the provider refused reservation %(reservation)s (retry after: %(retry_after)s s)", INFO, RefusedByProvider
    ),
    "reading_taken": Told("the provider counts %(count)s of %(limit)s, read in %(latency)s s", None, ReadingTaken),
    "reading_failed": Told("the provider could not be read: %(error)s", make=ReadingFailed),
    "reading_final": Told("the provider refuses this process's readings: %(error)s", make=ReadingFailed),
    "reading_abandoned": Told("an attempt to read was given up: %(error)s", None, ReadingFailed),
    "reading_overlapping": Told("a reading was dropped: it overlaps the newest one", INFO, ReadingFailed),
    "reading_too_old": Told("a reading was dropped: it took longer than max_staleness", make=ReadingFailed),
    "reading_cached": Told("a reading was dropped: the provider repeated an old answer", INFO, ReadingFailed),
    "reading_disbelieved": Told(
        "the provider counts %(count)s calls of %(account)s, fewer than the %(held)s that are held: it miscounts, or "
        "visibility_lag is too low"
    ),
    "limit_changed": Told("the provider's limit of %(account)s is %(limit)s now (before: %(before)s)"),
    "limit_zero": Told(
        "the provider's limit of %(account)s is 0 (before: %(before)s): nobody is admitted until it rises"
    ),
    "usage_stale": Told(
        "the newest reading of %(account)s is %(age)s s old: nobody is admitted until a new one comes in"
    ),
    "refused_again": Told(
        "the provider refuses one call of %(account)s after another though by its count there is room (cool-down: "
        "%(cooling)s s): its limit is lower than it says, or it limits the pace; set headroom or starts_per_second"
    ),
    "line_stands": Told(
        "nobody was admitted on %(account)s for %(seconds)s s though callers wait; the provider counts %(count)s of "
        "%(limit)s, of which %(held)s are held"
    ),
    "visibility_lag_short": Told(
        "a live call was not in the count after %(seen)s s; raise visibility_lag, it is %(own)s s"
    ),
    "policies_differ": Told("policies of this account differ; the stricter of each counts: %(agreed)s (own: %(own)s)"),
    "sampled": Told("%(status)s", None, Sampled),
    "lapsed": Told(
        "%(reservations)s reservations lapsed: their processes were not heard, or max_call_duration was over",
        make=Lapsed,
    ),
    "lapsed_process": Told("the ledger of %(account)s had given this process up; everything is told again"),
    "new_epoch": Told(
        "the ledger of %(account)s lost its data or began anew (epoch %(epoch)s); everything is told again"
    ),
    "lane_changed": Told("lane %(lane)s is served by other settings now: %(settings)s (before: %(before)s)"),
    "handed_back": Told(
        "reservation %(reservation)s was not taken within a second and given back: a stalled loop or thread"
    ),
    "lanes_told": Told("lanes of %(account)s were declared or set: %(lanes)s", INFO),
    "lanes_refused": Told("lanes of %(account)s were refused, there are too many: %(lanes)s"),
    "clock_jumped": Told("the clock of the ledger of %(account)s jumped forward by %(seconds)s s"),
    "clock_set_back": Told(
        "the clock of the ledger of %(account)s was set back by %(seconds)s s; ledger time goes on from its last value"
    ),
    "ledger_down": Told("the ledger of %(account)s does not answer: %(error)s; notes are kept until it does"),
    "ledger_failed": Told("the ledger of %(account)s did not serve %(verbs)s: %(error)s", None, LedgerFailed),
    "note_lost": Told("more than %(kept)s notes are kept for the ledger: the oldest was dropped"),
    "hook_failed": Told("hook %(hook)s failed, %(failures)s times so far", make=HookFailed),
}
"""Everything that is told, by event name. Info is what happens in a fleet that works."""

REASONS: dict[type[BaseException], str] = {
    Saturated: "saturated",
    QueueFull: "queue_full",
    Paused: "paused",
    UsageUnavailable: "usage_unavailable",
    LedgerUnavailable: "ledger_unavailable",
    Closed: "closed",
    ConfigurationError: "configuration",
}
"""Why a caller is refused, by the error that it is raised."""


class _Hooked:
    """One hook, and how often it failed."""

    def __init__(self, hook: Hook) -> None:
        if not callable(hook):
            raise ConfigurationError(f"hook {hook!r}: give callables that take one event, see admission.hooks")
        if is_coroutine_function(hook):
            raise ConfigurationError(
                f"hook {hook!r} is a coroutine function: give a plain one, which hands the event over to a queue"
            )
        self.call = hook
        self.name = str(getattr(hook, "__qualname__", type(hook).__qualname__))
        self.failures = itertools.count(1)
        self.lasting = Lasting()


class Telling:
    """Tells what happens in one guard, to the log and to its hooks; nothing in it locks.

    Args:
        account: The account's name.
        hooks: Whoever looks on.
        lanes: The lanes that are known.

    Raises:
        ConfigurationError: A hook can be none.
    """

    def __init__(self, account: str, hooks: Iterable[Hook], lanes: Iterable[str] = ()) -> None:
        try:
            self._hooks = tuple(_Hooked(hook) for hook in hooks)
        except TypeError:
            raise ConfigurationError(f"hooks={hooks!r}: give a list of callables") from None
        self._account = account
        self._lanes = {DEFAULT, *lanes}

    def __bool__(self) -> bool:
        return bool(self._hooks)

    # The ledger's thread

    def report(self, event: str, /, **facts: object) -> None:
        """Tell one event of a desk."""
        told = EVENTS[event]
        if told.level is not None:
            self._log(event, told, facts)
        if not self._hooks:
            return
        made = told.make(**facts) if told.make else Noticed(self._account, event, MappingProxyType(facts))
        if isinstance(made, Sampled):
            self._lanes.update(lane.name for lane in made.status.lanes)
        # Whatever a hook raises there is its own: signals are handled in another thread, and this one must go on.
        self._tell(made, BaseException)

    @staticmethod
    def _log(event: str, told: Told, facts: dict[str, object], error: BaseException | None = None) -> None:
        extra = {"event": event, **{f"admission_{name}": value for name, value in facts.items()}}
        logger.log(told.level or WARNING, told.text, facts, extra=extra, exc_info=error)

    # Callers

    def admitted(self, booking: Booking) -> None:
        """Tell of a caller that was admitted."""
        self._lanes.add(booking.lane)
        self._tell(
            Admitted(self._account, booking.lane, booking.kind.name.lower(), booking.rid, booking.waited, time.time()),
            Exception,
        )

    def refused(self, lane: str, kind: Kind, error: BaseException, waited: float) -> None:
        """Tell of a caller that was not."""
        if not self._hooks:
            return
        if isinstance(error, Refused):
            # The ledger knows the lane, or it had refused that first.
            self._lanes.add(lane)
        reason = REASONS.get(type(error), "failed" if isinstance(error, AdmissionError) else "interrupted")
        known = lane if lane in self._lanes else UNKNOWN_LANE
        self._tell(
            RefusedEvent(self._account, known, kind.name.lower(), reason, max(0.0, waited), time.time()), Exception
        )

    # Hooks

    def _tell(self, event: Event, caught: type[BaseException]) -> None:
        for hooked in self._hooks:
            try:
                hooked.call(event)
            except caught as error:
                if caught is Exception and by_signal(error):
                    raise
                failed = self._failed(hooked, error)
                for other in self._hooks:
                    if other is not hooked:
                        self._tell_failed(other, failed, caught)

    def _tell_failed(self, hooked: _Hooked, failed: HookFailed, caught: type[BaseException]) -> None:
        try:
            hooked.call(failed)
        except caught as error:
            # Nobody is told: that could go back and forth for ever.
            self._failed(hooked, error)

    def _failed(self, hooked: _Hooked, error: BaseException) -> HookFailed:
        """Count a hook's error, and log it once in a while."""
        failed = HookFailed(self._account, hooked.name, next(hooked.failures))
        if hooked.lasting.tell(time.monotonic(), on=True):
            facts = {"account": failed.account, "hook": failed.hook, "failures": failed.failures}
            self._log("hook_failed", EVENTS["hook_failed"], facts, error)
        return failed
