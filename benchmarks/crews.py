"""Processes of callers as their judge sees them: started, told to begin, marked, stopped, and killed if need be."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from benchmarks.worker import Job, read_stamps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.judge import Stamp
    from benchmarks.subjects import Setup, Subject

ROOT = Path(__file__).parents[1]
PATIENCE = 30.0
"""Seconds in which a process must answer."""


class GaveUp(Exception):
    """A process of callers ended, or said nothing for too long; the text is the last that it complained of."""


class Worker:
    """One process of callers."""

    def __init__(self, job: Job, log: IO[str]) -> None:
        self.job = job
        self._log = log
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", job.text()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, text=True,
        )  # fmt: skip

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()
        except OSError:
            raise GaveUp(self._complaint()) from None

    def hear(self) -> Any:  # noqa: ANN401 - JSON
        """Return what it says next."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            raise GaveUp(f"no answer within {PATIENCE:g} s")
        line = self.process.stdout.readline()
        if not line:
            raise GaveUp(self._complaint())
        return json.loads(line)

    def _complaint(self) -> str:
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        return lines[-1][:200] if lines else "it ended without a word"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class Told(NamedTuple):
    """What stopped processes tell: all stamps of their callers, and what went wrong."""

    stamps: list[Stamp]
    errors: int
    error: str


class Crew:
    """Processes of one subject."""

    def __init__(self, workers: list[Worker]) -> None:
        self.workers = workers

    def begin(self) -> None:
        """Let all callers begin."""
        for worker in self.workers:
            worker.hear()
        for worker in self.workers:
            worker.say("go")

    def mark(self) -> float:
        """Return the processor seconds of all processes, of user and system."""
        for worker in self.workers:
            worker.say("mark")
        return sum(worker.hear() for worker in self.workers)

    def stop(self) -> Told:
        """Let callers finish, and return what all of them did."""
        for worker in self.workers:
            worker.say("stop")
        stamps: list[Stamp] = []
        errors, error, callers = 0, "", 0
        for worker in self.workers:
            told = worker.hear()
            errors, error = errors + told["errors"], error or told["error"]
            stamps += read_stamps(worker.job.file, callers)
            callers += worker.job.setup.callers
        return Told(stamps, errors, error)


@contextmanager
def crew(subject: Subject, setups: list[Setup], hold: float) -> Iterator[Crew]:
    """Start a process of callers for each setup; nobody begins before `begin`, and nobody is left at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="admission-bench-")))
        workers = []
        for number, setup in enumerate(setups):
            log = stack.enter_context((folder / f"log-{number}").open("w+"))
            job = Job(label=subject.label, setup=setup, hold=hold, file=str(folder / f"stamps-{number}"))
            worker = Worker(job, log)
            stack.callback(worker.close)
            workers.append(worker)
        yield Crew(workers)


def at_least(seconds: float, since: float) -> None:
    """Sleep until so many seconds have passed since a moment of `time.monotonic()`."""
    time.sleep(max(0.0, since + seconds - time.monotonic()))
