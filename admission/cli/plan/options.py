"""Which other settings are simulated beside those that were given."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from admission.cli.plan.case import HOUR, Case
from admission.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

MARGIN = 1.0
"""Seconds by which a visibility lag is to be above the provider's."""
WORTH = 0.01
"""Share of a call's time that a line is to be seen free earlier, or it is not worth a try."""
SELDOM = 0.2
"""Seconds between two readings that may be halved; no provider likes to be asked more often."""
LOADS = (0.7, 0.85, 0.95, 1.05, 1.2)
"""Shares of what the account carries, about."""
DEEPEST = 10_000
"""Lines of an account, at most, that is simulated to find the limit that is needed."""


@dataclass(frozen=True, slots=True)
class Option:
    """A case with one thing changed.

    Attributes:
        knob: What is changed: a setting of `Policy`, or of the case.
        value: To what.
        case: The case with that.
    """

    knob: str
    value: float | str
    case: Case


def workers_for(limit: int, way: str, dial: float, call: float) -> int:
    """Return callers enough to keep an account busy: those that dial and hold, and a quarter of the limit in line."""
    return math.ceil(limit * (0.25 + min(1.0, dial / call))) + 4 + (limit if way == "hold" else 0)


def others(case: Case) -> list[Option]:
    """Return the case with one thing changed each, what is likely to matter most first."""
    return [option for option in _others(case) if option is not None]


def more_workers(case: Case) -> Option:
    """Return the case with twice the workers."""
    return Option("workers", 2 * case.workers, replace(case, workers=2 * case.workers))


def _others(case: Case) -> Iterator[Option | None]:
    advised = round(case.lag + MARGIN, 3)
    if case.policy.visibility_lag != advised:
        yield _policy(case, "visibility_lag", advised)
    if case.way != "hold":
        yield Option("way", "hold", enough_workers(replace(case, way="hold")))
    if case.foreign_per_hour and not case.webhook:
        yield Option("call_started", "told", replace(case, webhook=True))
    gain = case.policy.refresh_interval / 4 / case.mix.mean()
    if gain >= WORTH and case.policy.refresh_interval >= SELDOM:
        yield _policy(case, "refresh_interval", round(case.policy.refresh_interval / 2, 3))


def headrooms(case: Case) -> list[Option]:
    """Return the case with more and less headroom: about as many slots as others take before that is known."""
    unseen = case.lag + case.policy.refresh_interval + case.dial.mean()
    mean = case.foreign_per_hour / HOUR * unseen
    values = {0, 1, 2, *(math.ceil(mean + times * math.sqrt(mean)) for times in (1, 2.5)), case.policy.headroom}
    made = [_policy(case, "headroom", value) for value in sorted(values) if value < case.limit]
    return [option for option in made if option is not None]


def loads(case: Case) -> list[Option]:
    """Return the case with other loads, from easy to too much."""
    mean = case.mix.mean()
    carried = HOUR * case.lines / (mean + case.around)
    if case.way == "hold":
        carried = min(carried, HOUR * case.workers / (mean + case.around))
    return [Option("load", share, replace(case, calls_per_hour=share * carried).begun()) for share in LOADS]


def limits(case: Case, wait: float) -> list[Option]:
    """Return the case with limits around the one that it needs for all calls to wait no longer than `wait`.

    The likeliest first.
    """
    needed = case.load * (1 + case.around / case.mix.mean())
    spread = math.sqrt(needed)
    least = needed + case.policy.headroom + case.foreign_load
    # The more patient the callers, the closer to the brim.
    ease = 1 / (1 + wait / case.mix.mean())
    found = (math.ceil(least + ease * times * spread) for times in (0.9, 1.6, 0.1, 2.8))
    possible = dict.fromkeys(max(case.policy.headroom + 1, limit) for limit in found)
    return [limited(case, limit) for limit in possible if limit <= DEEPEST]


def between(case: Case, low: int, high: int) -> list[Option]:
    """Return up to three limits between two, the largest first."""
    found = {round(low + (high - low) * part / 4) for part in (1, 2, 3)} - {low, high}
    return [limited(case, limit) for limit in sorted(found, reverse=True)]


def above(case: Case, limit: int) -> list[Option]:
    """Return two limits above one that is too small."""
    return [limited(case, math.ceil(limit * times)) for times in (1.2, 1.5)]


def limited(case: Case, limit: int) -> Option:
    """Return the case with another limit, and workers enough for it."""
    return Option("limit", limit, enough_workers(replace(case, limit=limit)).begun())


def enough_workers(case: Case) -> Case:
    """Return the case with more workers, where those that it has do not keep its account busy."""
    return replace(
        case, workers=max(case.workers, workers_for(case.limit, case.way, case.dial.mean(), case.mix.mean()))
    )


def _policy(case: Case, name: str, value: float) -> Option | None:
    changed: dict[str, Any] = {name: value}
    try:
        return Option(name, value, replace(case, policy=replace(case.policy, **changed)))
    except ConfigurationError:  # it cannot work with the others
        return None
