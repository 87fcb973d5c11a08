"""The arguments of `plan`, and the case that they make."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from admission.cli import exits
from admission.cli.arguments import SIGNAL, Parser, add, number, whole
from admission.cli.plan.case import DIAL, FOREIGN, WAYS, Case
from admission.cli.plan.command import Work, plan
from admission.cli.plan.options import workers_for
from admission.cli.plan.spans import RING, USUAL, Mix, Outcome, Span
from admission.errors import ConfigurationError
from admission.values import Policy

if TYPE_CHECKING:
    from admission.cli.arguments import Commands

DESCRIPTION = """\
Simulate an account before anybody dials on it: the desks and the ledger of the guards as they are in production, on
virtual time, with leads and calls by chance. Says how busy the lines are, how long callers wait, whether the limit
carries the calls that are expected, how often calls of others take the last line from under a start; and what other
settings come to. Nothing outside of this machine is called. The same arguments give the same answer.

SPAN is how long something lasts, in seconds: 60 (60 on average, exponential), 20-40 (evenly from 20 to 40), or 75~300
(log-normal, with the median 75 and the 95th percentile 300)."""
MOST_LIMIT, MOST_WORKERS, MOST_CALLS = 5_000, 20_000, 200_000


def add_plan(commands: Commands) -> None:
    """Add `plan`."""
    codes = exits.epilog(exits.OK, exits.USAGE, exits.SOFTWARE, exits.CONFIG, **{"128_n": SIGNAL})
    parser = add(
        commands,
        "plan",
        argparse.Namespace,  # type: ignore[arg-type]  # set below: it needs the parser, for what does not fit together
        summary="simulate an account before you dial on it",
        description=DESCRIPTION,
        codes=codes,
        environment="",
    )
    parser.set_defaults(go=partial(_plan, parser))
    _add_load(parser)
    _add_fleet(parser)
    answer = parser.add_argument_group("the answer")
    accepted = number(0, 3600)
    answer.add_argument(
        "--wait", metavar="S", type=accepted, default=5.0, help="seconds that 95 %% of the callers may wait (5)"
    )
    risk = number(0, 1000, "a number")
    answer.add_argument(
        "--risk", metavar="N", type=risk, default=10.0, help="starts with no line free that you accept, of 1,000 (10)"
    )
    times = number(0.05, 1000, "a number")
    answer.add_argument(
        "--effort", metavar="N", type=times, default=1.0, help="times the work, and so the time, of an answer (1)"
    )
    answer.add_argument("--jobs", metavar="N", type=whole(1, 64), help="processes of this machine that share it (2)")
    answer.add_argument("--seed", metavar="N", type=whole(0, 2**63), default=0, help="of all chance (0)")
    answer.add_argument("--json", action="store_true", help="one JSON object on stdout")
    answer.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it")


def _add_load(parser: Parser) -> None:
    load = parser.add_argument_group("the account, and what is expected of it")
    load.add_argument(
        "--limit", metavar="N", type=whole(1, MOST_LIMIT), required=True, help="calls that may run at once"
    )
    rate = number(0.1, MOST_CALLS, "a number")
    load.add_argument(
        "--calls-per-hour", metavar="N", type=rate, required=True, help="leads that come to be called, by chance"
    )
    either = load.add_mutually_exclusive_group()
    either.add_argument("--call-seconds", type=_span, metavar="SPAN", help="how long calls last, instead of a mix")
    usual = ", ".join(f"{one.name}={one.share:g}:{one.span.text()}" for one in USUAL)
    either.add_argument(
        "--mix",
        type=_outcome,
        action="append",
        default=[],
        metavar="NAME=SHARE[:SPAN]",
        help=f"how calls go; may be given for each of {usual}",
    )
    load.add_argument(
        "--ring", type=_span, default=RING, metavar="SPAN", help=f"until a voicemail or a human answers ({RING.text()})"
    )
    load.add_argument(
        "--provider-lag",
        metavar="S",
        type=number(0, 300),
        default=1.0,
        help="seconds until a start or an end is in the count (1)",
    )
    others = load.add_mutually_exclusive_group()
    foreign = number(0, MOST_CALLS, "a number")
    others.add_argument(
        "--foreign-per-hour", metavar="N", type=foreign, default=0.0, help="calls that others start (0)"
    )
    others.add_argument("--foreign-per-minute", metavar="N", type=foreign, help="the same by the minute")
    load.add_argument(
        "--foreign-seconds", type=_span, default=FOREIGN, metavar="SPAN", help=f"how long these last ({FOREIGN.text()})"
    )
    load.add_argument("--foreign-told", action="store_true", help="a webhook tells the fleet of them (`call_started`)")


def _add_fleet(parser: Parser) -> None:
    fleet = parser.add_argument_group("the fleet, and its policy")
    fleet.add_argument("--way", choices=list(WAYS), default="hold", help="how a call is booked (hold)")
    fleet.add_argument(
        "--workers", metavar="N", type=whole(1, MOST_WORKERS), help="callers (enough to keep the account busy)"
    )
    fleet.add_argument(
        "--processes", metavar="N", type=whole(1, 64), default=2, help="processes that the workers are in (2)"
    )
    fleet.add_argument(
        "--dial", type=_span, default=DIAL, metavar="SPAN", help=f"until the provider accepts a call ({DIAL.text()})"
    )
    usual = Policy()
    for name, kind, default in (
        ("--visibility-lag", float, usual.visibility_lag),
        ("--refresh-interval", float, usual.refresh_interval),
        ("--max-staleness", float, usual.max_staleness),
        ("--placement-timeout", float, usual.placement_timeout),
        ("--headroom", int, usual.headroom),
    ):
        metavar = "N" if kind is int else "S"
        fleet.add_argument(name, metavar=metavar, type=kind, default=default, help=f"as in `Policy` ({default:g})")
    fleet.add_argument("--timeout", metavar="S", type=float, help="seconds that a caller waits at most (for ever)")
    fleet.add_argument("--starts-per-second", metavar="N", type=float, help="as in `Policy` (no limit)")


def _span(text: str) -> Span:
    try:
        return Span.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: give seconds as 60, 20-40 or 75~300, the smaller first, up to 3600"
        ) from None


def _outcome(text: str) -> Outcome:
    name, _, rest = text.partition("=")
    share, given, span = rest.partition(":")
    usual = {one.name: one for one in USUAL}
    if name not in usual:
        raise argparse.ArgumentTypeError(f"{text!r}: give one of {', '.join(usual)}, then = and its share")
    outcome = replace(usual[name], share=number(0, 1_000_000, "a share")(share))
    return replace(outcome, span=_span(span)) if given else outcome


def _plan(parser: Parser, chosen: argparse.Namespace) -> int:
    try:
        case = _case(chosen)
    except ConfigurationError as error:
        parser.error(str(error))
    jobs = chosen.jobs or min(2, os.cpu_count() or 1)
    work = Work(chosen.seed, chosen.effort, jobs)
    return plan(case, work, wait=chosen.wait, risk=chosen.risk, as_json=chosen.json, plot=chosen.plot)


def _case(chosen: argparse.Namespace) -> Case:
    """Return the case of what was chosen.

    Raises:
        ConfigurationError: It does not fit together.
    """
    if chosen.headroom >= chosen.limit:
        raise ConfigurationError(f"--headroom {chosen.headroom} of --limit {chosen.limit} leaves no line to dial on")
    per_minute = chosen.foreign_per_minute
    mix = _mix(chosen)
    workers = chosen.workers or workers_for(chosen.limit, chosen.way, chosen.dial.mean(), mix.mean())
    if workers < chosen.processes:
        raise ConfigurationError(f"--processes {chosen.processes} are more than the {workers} workers in them")
    return Case(
        limit=chosen.limit,
        calls_per_hour=chosen.calls_per_hour,
        mix=mix,
        way=chosen.way,
        workers=workers,
        processes=chosen.processes,
        lag=chosen.provider_lag,
        dial=chosen.dial,
        foreign_per_hour=chosen.foreign_per_hour if per_minute is None else 60 * per_minute,
        foreign=chosen.foreign_seconds,
        webhook=chosen.foreign_told,
        policy=Policy(
            refresh_interval=chosen.refresh_interval,
            max_staleness=chosen.max_staleness,
            visibility_lag=chosen.visibility_lag,
            placement_timeout=chosen.placement_timeout,
            headroom=chosen.headroom,
            timeout=chosen.timeout,
            starts_per_second=chosen.starts_per_second,
        ),
    )


def _mix(chosen: argparse.Namespace) -> Mix:
    if chosen.call_seconds is not None:
        return Mix.plain(chosen.call_seconds)
    given = {one.name: one for one in chosen.mix}
    outcomes = tuple(given.get(one.name, one) for one in USUAL)
    if not any(one.share for one in outcomes):
        raise ConfigurationError("--mix: at least one share must be above 0")
    return Mix(outcomes, chosen.ring)
