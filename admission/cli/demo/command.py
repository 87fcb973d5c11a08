"""`demo`, from its arguments to its exit code."""

from __future__ import annotations

import json
import secrets
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from admission.cli import exits
from admission.cli.drawing import check_writable
from admission.cli.signals import heeded
from admission.cli.text import say, write
from admission.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

    from admission.cli.demo.plot import Record
    from admission.cli.demo.processes import Crew
    from admission.cli.demo.provider import Judge, Truth
    from admission.cli.demo.settings import Settings
    from admission.cli.demo.worker import Job

TICK = 0.1
"""Seconds between two looks at what goes on."""
OPENING = 20.0
"""Seconds until the first call, at most; a new ledger takes a few before it admits anybody."""


def demo(settings: Settings, redis_url: str | None, *, as_json: bool, plot: Path | None = None) -> int:
    """Run a demo, show it, report, and return the exit code.

    Args:
        settings: What it is made of.
        redis_url: The shared ledger's server; `None` for none.
        as_json: Whether the report is one JSON object.
        plot: Where to draw it beside the same load without the guard, which is run first; `None` for no plot.
    """
    _check_extra()
    # Only now: this needs the extra.
    from admission.cli.demo.processes import CrewError  # noqa: PLC0415

    runs = [settings]
    if plot is not None:
        check_writable(plot)
        runs = [replace(settings, guarded=False, ledger="none"), settings]
    with _signals() as caught:
        try:
            records = [_perform(run, redis_url, caught, as_json=as_json) for run in runs if not caught]
        except CrewError as error:
            say(error)
            return error.code
    _report([record.result for record in records], as_json=as_json)
    if plot is not None:
        _draw(records, plot, interrupted=bool(caught))
    if any(record.result["guarded"] and record.result["overshoots"] for record in records):
        return exits.OVERSHOT
    return exits.BY_SIGNAL + caught[0] if caught else exits.OK


def _perform(settings: Settings, redis_url: str | None, caught: list[int], *, as_json: bool) -> Record:
    """Run one load until its time is over, or a signal comes."""
    from admission.cli.demo.plot import Record  # noqa: PLC0415 - as above
    from admission.cli.demo.processes import Crew  # noqa: PLC0415 - as above
    from admission.cli.demo.provider import judged  # noqa: PLC0415 - as above
    from admission.cli.demo.report import numbers  # noqa: PLC0415 - as above

    with judged(settings) as judge, Crew(_jobs(settings, redis_url, judge.url)) as crew:
        seen = _watch(settings, judge, crew, caught, as_json=as_json)
        judge.end()
        crew.stop()
        tally, begun = crew.tally(), judge.begun or 0.0
        result = numbers(settings, judge.look(), tally, interrupted=bool(caught))
    return Record(result, seen, [(at - begun, waited) for at, waited in tally.admissions])


def _report(results: list[dict[str, Any]], *, as_json: bool) -> None:
    from admission.cli.demo.report import text  # noqa: PLC0415 - as above

    if not as_json:
        write("\n".join(map(text, results)))
    elif len(results) == 1:
        write(json.dumps(results[0]))
    else:
        write(json.dumps({"guarded" if result["guarded"] else "unguarded": result for result in results}))


def _draw(records: list[Record], plot: Path, *, interrupted: bool) -> None:
    from admission.cli.demo.plot import svg  # noqa: PLC0415 - as above

    if interrupted:
        say("interrupted: nothing was drawn")
        return
    plot.write_text(svg(records), "utf-8")


def _watch(settings: Settings, judge: Judge, crew: Crew, caught: list[int], *, as_json: bool) -> list[Truth]:
    """Show what goes on until the time is over, or a signal comes; return what was seen of it."""
    from admission.cli.demo.processes import CrewError  # noqa: PLC0415 - as above
    from admission.cli.demo.view import Scene, viewed  # noqa: PLC0415 - as above

    patience, seen = time.monotonic() + OPENING, []
    with viewed(settings, sys.stderr if as_json else sys.stdout) as show:
        while not judge.over and not caught:
            time.sleep(TICK)
            crew.check()
            if judge.begun is None and time.monotonic() > patience:
                raise CrewError(f"no call was placed within {OPENING:g} s", exits.SOFTWARE)
            tally = crew.tally()
            seen.append(judge.look())
            show(Scene(seen[-1], tally.counts, tally.book))
    return seen


def _jobs(settings: Settings, redis_url: str | None, base_url: str) -> list[Job]:
    from admission.cli.demo.provider import API_KEY  # noqa: PLC0415 - as above
    from admission.cli.demo.worker import Job  # noqa: PLC0415 - as above

    # A name of its own for every demo: whatever else is in that Redis is none of its business.
    account = f"demo-{secrets.token_hex(6)}"
    share, rest = divmod(settings.workers, settings.processes)
    return [
        Job(
            settings,
            number,
            share + (number < rest),
            base_url,
            API_KEY,
            redis_url if settings.guarded else None,
            account,
        )
        for number in range(settings.processes)
    ]


def _check_extra() -> None:
    try:
        import rich  # noqa: F401, PLC0415 - only to know whether it is there
        import uvicorn  # noqa: F401, PLC0415 - same
    except ImportError as error:
        raise ConfigurationError("the demo needs rich and uvicorn: install admission[cli]") from error


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect the signals that ask for an end; the demo then ends as it would have, only sooner."""
    caught: list[int] = []

    def take(signum: int, _frame: FrameType | None) -> None:
        caught.append(signum)

    former = {signum: signal.signal(signum, take) for signum in heeded("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")}
    try:
        yield caught
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler)
