"""What a plan has found: for programs, and as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from admission.cli.plan.advice import advice
from admission.cli.plan.erlang import wait_p95
from admission.cli.plan.study import needed

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from admission.cli.plan.figures import Figures
    from admission.cli.plan.study import Study, Tried

WIDTH = 118
"""Columns where there is no terminal."""
NAMES = {"call_started": "calls of others"}
"""What people read for a setting, where it is not the setting's own name."""


def result(study: Study, risk: float, seed: int) -> dict[str, Any]:
    """Return all of it for programs; times are seconds, shares 0 to 1."""
    carrying = needed(study)
    return {
        "case": study.case.describe(),
        "seed": seed,
        "accepted": {"wait_p95": study.wait, "no_line_per_1000": risk},
        "found": study.found.describe(),
        "carries": study.found.carries(study.wait),
        "erlang": {"offered": round(study.case.load, 3), "wait_p95": _erlang(study)},
        "limit_needed": None if carrying is None else carrying.option.case.limit,
        "advice": [one.describe() for one in advice(study, risk)],
        "as_given": study.base.describe(),
        "others": [_described(tried) for tried in study.others],
        "swept": [_described(tried) for tried in study.swept],
        "limits": [_described(tried) for tried in study.limits],
        "simulated": _simulated(study),
        "looks": [[round(look.at, 2), look.own, look.foreign, look.most] for look in study.looks],
    }


def show(study: Study, risk: float, seed: int, stream: TextIO) -> None:
    """Show it to people."""
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else WIDTH)
    console.print(_headline(study), style="bold")
    console.print(_found(study))
    console.print(_compared(study))
    given = advice(study, risk)
    console.print("Advice" if given else "Advice: none; nothing that was tried is better.", style="bold")
    for one in given:
        console.print(f"  {NAMES.get(one.knob, one.knob)} {one.value}: {one.text}")
    told = _simulated(study)
    console.print(
        f"\nSimulated: {told['lives']} lives of the account, {told['starts']:,} starts in {told['seconds']:,.0f} s, "
        f"after {told['warm_up_seconds']:,.0f} s of warm-up. Seed {seed}.",
        style="dim",
    )


def _erlang(study: Study) -> float | None:
    case = study.case
    lines = max(1, round(case.limit - case.policy.headroom - case.foreign_load))
    wait = wait_p95(lines, case.load, case.mix.mean())
    return None if wait is None else round(wait, 3)


def _simulated(study: Study) -> dict[str, Any]:
    lived = study.lives
    return {
        "lives": sum(one.lives for one in lived),
        "starts": sum(one.starts for one in lived),
        "seconds": round(sum(one.seconds for one in lived), 1),
        "warm_up_seconds": round(sum(one.warm * one.lives for one in lived), 1),
        "requests": round(study.work),
    }


def _described(tried: Tried) -> dict[str, Any]:
    return {"setting": tried.option.knob, "value": tried.option.value, **tried.found.describe()}


def _headline(study: Study) -> str:
    case = study.case
    others = ""
    if case.foreign_per_hour:
        others = f"; {case.foreign_per_hour:,g} calls of others an hour, of {case.foreign.mean():.0f} s"
    return (
        f"{case.calls_per_hour:,g} calls an hour of {case.mix.mean():.0f} s on {case.limit:,} lines, by `{case.way}`, "
        f"{case.workers:,} workers in {case.processes} processes{others}"
    )


def _found(study: Study) -> Table:
    found, case = study.found, study.case
    lives = f"life by life, {found.lives}" if found.lives > 1 else "in one life"
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("", f"in {found.seconds:,.0f} s, {found.starts:,} starts", lives):
        table.add_column(column)
    of = f"of {found['leads_per_hour']:,.0f} that came"
    table.add_row(
        "calls per hour", f"{found['calls_per_hour']:,.0f} {of}", _spread(found, "calls_per_hour", "{:,.0f}".format)
    )
    busy = _percent(found["busy"])
    if case.foreign_per_hour:
        busy += f", of these {_percent(found['busy_foreign'])} by others"
    table.add_row("busy", busy, _spread(found, "busy", _percent))
    waits = " / ".join(f"{found[name]:.1f}" for name in ("wait_p50", "wait_p95", "wait_longest"))
    apart = _spread(found, "wait_p95", "{:.1f}".format)
    table.add_row("waited, p50 / p95 / longest", f"{waits} s", f"p95 {apart} s" if apart else "")
    erlang = _erlang(study)
    table.add_row("  by Erlang's formula, p95", "the line grows for ever" if erlang is None else f"{erlang:.1f} s", "")
    if case.policy.timeout is not None:
        share = f"{_percent(found['refused'])} after {case.policy.timeout:g} s"
        table.add_row("callers refused", share, _spread(found, "refused", _percent))
    most = f"{found['most_at_once']:.0f} of {case.limit}"
    table.add_row("most calls at once", most, _spread(found, "most_at_once", "{:.0f}".format))
    risk = f"{found.no_line}: {found['no_line_per_1000']:.1f} of 1,000, surely below {found.no_line_at_most:.1f}"
    table.add_row("starts with no line free", risk, _spread(found, "no_line_per_1000", "{:.1f}".format))
    if case.foreign_per_hour:
        away = f"{_percent(found['foreign_turned_away'])} of {found.foreign_starts:,}"
        table.add_row("calls of others turned away", away, _spread(found, "foreign_turned_away", _percent))
    workers = f"{found['most_workers']:.0f} of {case.workers} at the most"
    if found["short_of_workers"]:
        workers += f"; {_percent(found['short_of_workers'], 0)} of the time a lead waited for one"
    table.add_row("workers at work", workers, _spread(found, "most_workers", "{:.0f}".format))
    return table


def _spread(found: Figures, name: str, written: Callable[[float], str]) -> str:
    both = found.spread(name)
    if both is None or found.lives == 1:
        return ""
    return " to ".join(map(written, both))


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _compared(study: Study) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("with one thing changed")
    heads = ["starts", "calls per hour", "busy", "p95 wait s", "no line of 1,000"]
    heads += ["others turned away"] * bool(study.case.foreign_per_hour)
    for head in heads:
        table.add_column(head, justify="right")

    def row(name: str, found: Figures, *, last: bool = False) -> None:
        cells = [f"{found.starts:,}", f"{found['calls_per_hour']:,.0f}", _percent(found["busy"])]
        cells += [f"{found['wait_p95']:.1f}", f"{found['no_line_per_1000']:.1f}"]
        cells += [_percent(found["foreign_turned_away"], 0)] * bool(study.case.foreign_per_hour)
        table.add_row(name, *cells, end_section=last)

    row("as given, as short", study.base, last=not study.others)
    for section in (study.others, study.swept, study.limits):
        for tried in section:
            row(_named(tried), tried.found, last=tried is section[-1])
    return table


def _named(tried: Tried) -> str:
    option = tried.option
    if option.knob == "load":
        return f"{option.case.calls_per_hour:,.0f} calls per hour expected"
    return f"{NAMES.get(option.knob, option.knob)} {option.value}"
