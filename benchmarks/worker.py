"""One process of callers: `python -m benchmarks.worker JOB`, where each caller holds a slot again and again.

It says `ready`, begins with the first line on its stdin, answers each `mark` with its processor time, and with `stop`
lets everybody finish, writes its stamps to a file and says so.
"""

from __future__ import annotations

import array
import asyncio
import json
import math
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.judge import Stamp
from benchmarks.subjects import Setup, all_subjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.subjects import AsyncSlots, Slots

DRAIN = 0.7
"""Seconds that callers go on after the word to stop: the ends before it still find the starts that they let in."""
PAUSE = 0.02
"""Seconds that a caller waits after an error."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one process does.

    Attributes:
        label: The subject's.
        setup: What it is opened with; its `callers` make calls.
        hold: Seconds that each slot is held.
        file: Where the stamps go.
    """

    label: str
    setup: Setup
    hold: float
    file: str

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Job:
        values = json.loads(text)
        return cls(**{**values, "setup": Setup(**values["setup"])})


class Log:
    """Stamps of this process's callers, kept in memory until the end."""

    def __init__(self, callers: int) -> None:
        self._rows = array.array("d")
        self.asked = [math.inf] * callers
        """When each caller that waits or holds now has asked."""
        self.held = [math.inf] * callers
        """When each caller that holds now began."""
        self.over = False
        self.errors: list[str] = []

    def turn(self, caller: int) -> None:
        """Note a turn that is about to end."""
        self._rows.extend((caller, self.asked[caller], self.held[caller], time.monotonic()))
        self.held[caller] = math.inf

    def write(self, file: str) -> None:
        """Write all turns, with those that are under way."""
        for caller, (asked, held) in enumerate(zip(self.asked, self.held, strict=True)):
            if asked < math.inf:
                self._rows.extend((caller, asked, held, math.inf))
        Path(file).write_bytes(self._rows.tobytes())


def read_stamps(file: str, first_caller: int) -> list[Stamp]:
    """Return the stamps of one process.

    Args:
        file: What `Log.write` wrote.
        first_caller: What is added to its callers' numbers.
    """
    rows = array.array("d")
    rows.frombytes(Path(file).read_bytes())
    return [Stamp(first_caller + int(rows[at]), *rows[at + 1 : at + 4]) for at in range(0, len(rows), 4)]


async def run_tasks(open_subject: Callable[[Setup], AsyncSlots], job: Job, log: Log) -> None:
    async def caller(number: int) -> None:
        while not log.over:
            log.asked[number] = time.monotonic()
            try:
                async with slots():
                    log.held[number] = time.monotonic()
                    await asyncio.sleep(job.hold)
                    log.turn(number)
                log.asked[number] = math.inf
            except Exception as error:  # noqa: BLE001 - told with the figures
                log.errors.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(PAUSE)

    async with open_subject(job.setup) as slots:
        await asyncio.to_thread(ready)
        callers = [asyncio.create_task(caller(number)) for number in range(job.setup.callers)]
        await asyncio.to_thread(converse)
        log.over = True
        await asyncio.wait(callers, timeout=DRAIN)
        finish(job, log)


def run_threads(open_subject: Callable[[Setup], Slots], job: Job, log: Log) -> None:
    def caller(number: int) -> None:
        while not log.over:
            log.asked[number] = time.monotonic()
            try:
                with slots():
                    log.held[number] = time.monotonic()
                    time.sleep(job.hold)
                    log.turn(number)
                log.asked[number] = math.inf
            except Exception as error:  # noqa: BLE001 - told with the figures
                log.errors.append(f"{type(error).__name__}: {error}")
                time.sleep(PAUSE)

    with open_subject(job.setup) as slots:
        ready()
        callers = [threading.Thread(target=caller, args=(number,), daemon=True) for number in range(job.setup.callers)]
        for thread in callers:
            thread.start()
        converse()
        log.over = True
        until = time.monotonic() + DRAIN
        for thread in callers:
            thread.join(max(0.0, until - time.monotonic()))
        finish(job, log)


def say(word: object) -> None:
    print(json.dumps(word), flush=True)


def ready() -> None:
    """Say so, and wait for the word to begin."""
    say("ready")
    if not sys.stdin.readline():
        os._exit(1)


def converse() -> None:
    """Answer marks until the word to stop, or until whoever gives it is gone."""
    while sys.stdin.readline() == "mark\n":
        say(time.process_time())


def finish(job: Job, log: Log) -> None:
    """Write what happened and end, whatever still waits."""
    log.write(job.file)
    say({"errors": len(log.errors), "error": log.errors[0] if log.errors else ""})
    os._exit(0)


def main() -> None:
    job = Job.read(sys.argv[1])
    subject = next(subject for subject in all_subjects() if subject.label == job.label)
    log = Log(job.setup.callers)
    if subject.colour == "async":
        asyncio.run(run_tasks(subject.open, job, log))
    else:
        run_threads(subject.open, job, log)


if __name__ == "__main__":
    main()
