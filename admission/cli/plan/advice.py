"""What to set, where a simulation with that setting has shown that it helps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from admission.cli.plan.case import HOUR
from admission.cli.plan.study import needed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from admission.cli.plan.figures import Figures
    from admission.cli.plan.study import Study

ENOUGH = 30
"""Starts, or calls of others, of which something can be said."""
MORE_CALLS = 0.01
"""A gain in calls per hour that is worth a word."""
LESS_WAITING = 0.2
"""The same in the wait of 95 %, if it is half a second at least."""
HALF_A_SECOND = 0.5
BY_CHANCE = 0.1
ALIKE = 0.05


@dataclass(frozen=True, slots=True)
class Advice:
    """One setting, and what it does.

    Attributes:
        knob, value: What to set to what.
        text: Why, with the figures of both.
    """

    knob: str
    value: float | str
    text: str

    def describe(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"setting": self.knob, "value": self.value, "text": self.text}


def advice(study: Study, risk: float) -> list[Advice]:
    """Return what to set.

    Args:
        study: What was simulated.
        risk: Starts with no line free that are accepted, per thousand.
    """
    slow = list(_pace(study))
    return slow or [*_limit(study), *_headroom(study, risk), *_others(study, risk), *_workers(study)]


def _pace(study: Study) -> Iterator[Advice]:
    """Where the pace alone holds the calls up, nothing else is of use."""
    pace, wanted = study.case.policy.starts_per_second, study.case.calls_per_hour
    if pace is not None and HOUR * pace < wanted:
        text = f"at the least: {pace:g} allows {HOUR * pace:,.0f} of {wanted:,g} calls per hour"
        yield Advice("starts_per_second", math.ceil(1000 * wanted / HOUR) / 1000, text)


def _limit(study: Study) -> Iterator[Advice]:
    found, carrying = study.found, needed(study)
    if carrying is None:
        if study.limits and not found.carries(study.wait):
            most = study.limits[-1]
            calls = f"{study.case.calls_per_hour:,g} calls per hour"
            text = f"does not carry {calls} either: 95 % wait up to {most.found.worst('wait_p95'):.1f} s"
            yield Advice("limit", most.option.case.limit, text)
        return
    limit, wanted = carrying.option.case.limit, study.case.calls_per_hour
    what = f"{wanted:,g} calls per hour, and 95 % wait at most {carrying.found.worst('wait_p95'):.1f} s"
    if not found.carries(study.wait):
        short = found["calls_per_hour"] < 0.97 * found["leads_per_hour"]  # less may be chance
        calls = f"{found['calls_per_hour']:,.0f} calls per hour, and " if short else ""
        text = f"carries {what}; with {study.case.limit} it is {calls}{found.worst('wait_p95'):.1f} s"
        yield Advice("limit", limit, text)
    elif limit < study.case.limit:
        yield Advice("limit", limit, f"is enough: it carries {what}")


def _headroom(study: Study, risk: float) -> Iterator[Advice]:
    if not study.case.foreign_per_hour:
        return
    given = next((t for t in study.swept if t.option.value == study.case.policy.headroom), None)
    if given is None or given.found.starts < ENOUGH:
        return
    least = 0 if study.found["no_line_per_1000"] <= risk else study.case.policy.headroom + 1
    at_least = (t for t in study.swept if t.option.case.policy.headroom >= least)
    safe = next((t for t in at_least if t.found["no_line_per_1000"] <= risk), None)
    if safe is None:
        last = study.swept[-1]
        text = f"still finds no line for {last.found['no_line_per_1000']:.1f} of 1,000 starts; more was not tried"
        yield Advice("headroom", last.option.value, text)
    elif safe.option.case.policy.headroom > study.case.policy.headroom or safe.found.no_line < given.found.no_line:
        changes = _changes(given.found, safe.found, always=True)
        sure = f"surely below {safe.found.no_line_at_most:.1f}"
        yield Advice("headroom", safe.option.value, "; ".join([f"{changes[0]} ({sure})", *changes[1:]]))


def _others(study: Study, risk: float) -> Iterator[Advice]:
    base = study.base
    for tried in study.others:
        if not _comparable(base, tried.found) or tried.option.knob == "workers":
            continue
        too_short = tried.option.knob == "visibility_lag" and study.case.policy.visibility_lag < study.case.lag
        if too_short or _better(study, tried.found, risk):
            why = ["the provider's count is later than what is set"] if too_short else []
            yield Advice(tried.option.knob, tried.option.value, "; ".join([*why, *_changes(base, tried.found)]))


def _workers(study: Study) -> Iterator[Advice]:
    case, found = study.case, study.found
    more = next((t for t in study.others if t.option.knob == "workers"), None)
    if more is not None and _comparable(study.base, more.found) and _more_calls(study.base, more.found):
        yield Advice("workers", more.option.value, "; ".join(_changes(study.base, more.found)))
    elif found.carries(study.wait) and found["short_of_workers"] == 0 and found["most_workers"] < 0.8 * case.workers:
        most = round(found["most_workers"])
        yield Advice("workers", most, f"are enough: no more of the {case.workers} were at work at once")


def _comparable(base: Figures, tried: Figures) -> bool:
    """Whether enough was seen of both, in lives as long."""
    enough = min(base.starts, tried.starts) >= ENOUGH
    return enough and abs(tried.seconds - base.seconds) < ALIKE * base.seconds


def _better(study: Study, tried: Figures, risk: float) -> bool:
    """Whether a setting is worth a word: safer, or as safe, and in every life more calls or less waiting."""
    base = study.base
    was, now = base["no_line_per_1000"], tried["no_line_per_1000"]
    if now > max(risk, was):
        return False
    if study.found["no_line_per_1000"] > risk and now <= risk and _surely_fewer(study.found, tried):
        return True
    return _less_waiting(base, tried) if study.found.carries(study.wait) else _more_calls(base, tried)


def _surely_fewer(found: Figures, tried: Figures) -> bool:
    """Whether so few starts without a line, of as many as were tried, come by chance in one case of ten at the most."""
    expected = found.no_line / found.starts * tried.starts
    term = chance = math.exp(-expected)
    for number in range(1, tried.no_line + 1):
        term *= expected / number
        chance += term
    return chance <= BY_CHANCE


def _more_calls(base: Figures, tried: Figures) -> bool:
    gain = tried["calls_per_hour"] / base["calls_per_hour"] - 1 if base["calls_per_hour"] else 0.0
    return gain >= MORE_CALLS and _in_all(base, tried, "calls_per_hour", 1)


def _less_waiting(base: Figures, tried: Figures) -> bool:
    less = base["wait_p95"] - tried["wait_p95"]
    return less >= max(HALF_A_SECOND, LESS_WAITING * base["wait_p95"]) and _in_all(base, tried, "wait_p95", -1)


def _in_all(base: Figures, tried: Figures, name: str, sign: int) -> bool:
    pairs = ((one[name] or 0.0, other[name] or 0.0) for one, other in zip(base.each, tried.each, strict=True))
    return all(sign * (other - one) > 0 for one, other in pairs)


def _changes(base: Figures, tried: Figures, *, always: bool = False) -> list[str]:
    """Return what differs, for people; `always`: what stayed as it was, too."""
    written = (
        ("starts with no line free", "no_line_per_1000", "{:.1f}", " of 1,000", 1.0),
        ("calls of others turned away", "foreign_turned_away", "{:.0f}", " %", 100.0),
        ("calls per hour", "calls_per_hour", "{:,.0f}", "", 1.0),
        ("busy", "busy", "{:.1f}", " %", 100.0),
        ("95 % wait at most", "wait_p95", "{:.1f}", " s", 1.0),
    )
    said = []
    for label, name, form, unit, scale in written:
        was, now = (form.format(scale * found[name]) for found in (base, tried))
        if name == "foreign_turned_away" and min(base.foreign_starts, tried.foreign_starts) < ENOUGH:
            continue
        if was != now or (always and name == "no_line_per_1000"):
            said.append(f"{label} {was} -> {now}{unit}")
    return said
