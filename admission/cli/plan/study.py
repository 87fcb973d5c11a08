"""What is simulated to answer: the case as it was given, and beside it what else may be set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from admission.cli.plan import options
from admission.cli.plan.figures import Figures, figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from admission.cli.plan.account import Life, Look
    from admission.cli.plan.bench import Bench
    from admission.cli.plan.case import Case
    from admission.cli.plan.options import Option

FOUND, OTHERS, SWEPT, LIMITS, CLOSER = 0.27, 0.19, 0.16, 0.25, 0.13
"""Shares of the work: the case as it was given, that with one thing changed, the sweep, other limits, and those closer
to the one that is needed."""

AT_ONCE = 1.0
"""Seconds that callers wait, where it is not for a line that leads wait."""


@dataclass(frozen=True, slots=True)
class Tried:
    """An option, and what came of it."""

    option: Option
    found: Figures


@dataclass(slots=True)
class Study:
    """What was simulated, and what came of it.

    Attributes:
        case: What was given.
        wait: Seconds that 95 % of the callers may wait where a load counts as carried.
        found: The case as it was given, at length.
        looks: How the account stood in the first life of that.
        base: The same as short as what it is compared with.
        others: One thing changed each, with the base's seeds.
        swept: Other headrooms where others call too, else other loads.
        limits: Other limits, the smallest first.
        work: Requests to the ledger that it took.
    """

    case: Case
    wait: float
    found: Figures
    looks: list[Look]
    base: Figures
    others: list[Tried] = field(default_factory=list)
    swept: list[Tried] = field(default_factory=list)
    limits: list[Tried] = field(default_factory=list)
    work: float = 0.0

    @property
    def lives(self) -> list[Figures]:
        """Everything that was simulated."""
        return [self.found, self.base, *(tried.found for tried in [*self.others, *self.swept, *self.limits])]


def study(case: Case, wait: float, bench: Bench) -> Study:
    """Simulate a case, and beside it what else may be set.

    Args:
        case: The account and the fleet.
        wait: Seconds that 95 % of the callers may wait where a load counts as carried.
        bench: Where they live.
    """
    case = case.begun()
    sized = options.limits(case, wait)
    swept = options.headrooms(case) if case.foreign_per_hour else options.loads(case)
    others = options.others(case)
    held = next((option.case for option in others if option.knob == "way"), case)
    rate, held_rate, swept_rate, *sized_rate = bench.rates(
        [case, held, *(some[len(some) // 2].case for some in (swept, sized) if some)]
    )
    [lives] = bench.live([case], FOUND, rate, lives=3)
    found = figures(case, lives)
    if found["short_of_workers"] and found["wait_p50"] < AT_ONCE:
        others.append(options.more_workers(case))
    if found.is_easy:
        others.clear()
    base, *compared = bench.live([case, *(option.case for option in others)], OTHERS, max(rate, held_rate))
    result = Study(case, wait, found, lives[0].looks, figures(case, base))
    result.others = _tried(others, compared)
    result.swept = _tried(swept, bench.live([option.case for option in swept], SWEPT, swept_rate))
    for share in (LIMITS, CLOSER):
        more = sized if share is LIMITS else _closer(result)
        if more:
            result.limits += _tried(more, bench.live([option.case for option in more], share, sized_rate[0]))
            result.limits.sort(key=lambda tried: tried.option.case.limit)
    result.work = bench.work
    return result


def needed(result: Study) -> Tried | None:
    """Return the smallest limit that carries the load in every life, as do all larger ones that were simulated.

    The case as it was given lived longest, so no limit up to its own is enough where that is not.
    """
    too_small = 0 if result.found.carries(result.wait) else result.case.limit
    carrying = None
    for tried in reversed(result.limits):
        if not tried.found.carries(result.wait) or tried.option.case.limit <= too_small:
            break
        carrying = tried
    return carrying


def _tried(some: Sequence[Option], lived: Sequence[Sequence[Life]]) -> list[Tried]:
    """Return what came of options; there may have been time only for the first of them."""
    return [Tried(option, figures(option.case, lives)) for option, lives in zip(some, lived, strict=False)]


def _closer(result: Study) -> list[Option]:
    """Return limits between the smallest that carries the load and the one below it; larger ones, where none does."""
    carrying = needed(result)
    limits = [tried.option.case.limit for tried in result.limits]
    if carrying is None:
        return options.above(result.case, max(limits)) if limits else []
    limit = carrying.option.case.limit
    below = [one for one in limits if one < limit]
    low = max(below, default=min(int(result.case.load), limit))
    if not result.found.carries(result.wait) and result.case.limit < limit:
        low = max(low, result.case.limit)
    return options.between(result.case, low, limit)
