"""`demo`, from its arguments to its exit code."""

from __future__ import annotations

import json
import secrets
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from admission.cli import exits
from admission.cli.text import say, write
from admission.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from admission.cli.demo.processes import Crew
    from admission.cli.demo.provider import Judge
    from admission.cli.demo.settings import Settings
    from admission.cli.demo.worker import Job

TICK = 0.1
"""Seconds between two looks at what goes on."""
OPENING = 20.0
"""Seconds until the first call, at most; a new ledger takes a few before it admits anybody."""


def demo(settings: Settings, redis_url: str | None, *, as_json: bool) -> int:
    """Run a demo, show it, report, and return the exit code.

    Args:
        settings: What it is made of.
        redis_url: The shared ledger's server; `None` for none.
        as_json: Whether the report is one JSON object.
    """
    _check_extra()
    # Only now: these need the extra.
    from admission.cli.demo.processes import Crew, CrewError  # noqa: PLC0415
    from admission.cli.demo.provider import judged  # noqa: PLC0415
    from admission.cli.demo.report import numbers, text  # noqa: PLC0415

    with _signals() as caught, judged(settings) as judge, Crew(_jobs(settings, redis_url, judge.url)) as crew:
        try:
            _watch(settings, judge, crew, caught, as_json=as_json)
        except CrewError as error:
            say(error)
            return error.code
        judge.end()
        crew.stop()
        result = numbers(settings, judge.look(), crew.tally(), interrupted=bool(caught))
    write(json.dumps(result) if as_json else text(result))
    if settings.guarded and result["overshoots"]:
        return exits.OVERSHOT
    return exits.BY_SIGNAL + caught[0] if caught else exits.OK


def _watch(settings: Settings, judge: Judge, crew: Crew, caught: list[int], *, as_json: bool) -> None:
    """Show what goes on until the time is over, or a signal comes."""
    from admission.cli.demo.processes import CrewError  # noqa: PLC0415 - as above
    from admission.cli.demo.view import Scene, viewed  # noqa: PLC0415 - as above

    patience = time.monotonic() + OPENING
    with viewed(settings, sys.stderr if as_json else sys.stdout) as show:
        while not judge.over and not caught:
            time.sleep(TICK)
            crew.check()
            if not judge.begun and time.monotonic() > patience:
                raise CrewError(f"no call was placed within {OPENING:g} s", exits.SOFTWARE)
            tally = crew.tally()
            show(Scene(judge.look(), tally.counts, tally.book))


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

    wanted = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    former = {signum: signal.signal(signum, take) for signum in wanted}
    try:
        yield caught
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler)
