"""The processes of dialers, as the demo's own process sees them: started, heard, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from admission.cli.exits import SOFTWARE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from admission.cli.demo.worker import Job

LEAVING = 10.0
"""Seconds that a process may take to hang up and leave."""
_HERE = "127.0.0.1"


class CrewError(Exception):
    """A process of dialers could not work; `code` is the exit code for that."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Tally:
    """What all processes have told.

    Attributes:
        counts: The sums of their counts, by name.
        book: The newest state of the account by the ledger; `None` when unguarded, or before the first.
        admissions: Of each admitted lead, when on the monotonic clock, and how many seconds it had waited; known once
            all have left.
        events: What the guards reported to operators, by event name.
    """

    counts: Counter[str] = field(default_factory=Counter)
    book: dict[str, Any] | None = None
    admissions: list[tuple[float, float]] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)


class Crew:
    """Processes that dial until the block is left.

    Args:
        jobs: One for each process.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._members: list[_Member] = []

    def __enter__(self) -> Crew:  # noqa: PYI034 - crews are not subclassed
        try:
            for job in self._jobs:
                self._members.append(_Member(job))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let everybody hang up and leave; who does not is ended."""
        for member in self._members:
            member.close_input()
        deadline = time.monotonic() + LEAVING
        for member in self._members:
            member.wait(deadline)

    def check(self) -> None:
        """Check that all are well.

        Raises:
            CrewError: One could not go on.
        """
        for member in self._members:
            member.check()

    def tally(self) -> Tally:
        """Return what was told until now."""
        tally = Tally()
        for member in self._members:
            tally.counts.update(member.counts)
            tally.book = tally.book or member.book
            tally.admissions += member.admissions
            tally.events.update(member.events)
        return tally


class _Member:
    """One process, and the thread that listens to it."""

    def __init__(self, job: Job) -> None:
        self.counts: dict[str, int] = {}
        self.book: dict[str, Any] | None = None
        self.admissions: list[tuple[float, float]] = []
        self.events: dict[str, int] = {}
        self._error: CrewError | None = None
        # With -P, no module of the current folder is taken for one of ours or of the library. A session of its own:
        # Ctrl-C is for the demo, which then stops the dialers.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "admission.cli.demo.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "NO_PROXY": _HERE, "no_proxy": _HERE},
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._listen, name="demo-listener", daemon=True)
        self._thread.start()
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{job.to_json()}\n".encode())
            self._process.stdin.flush()

    def close_input(self) -> None:
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def wait(self, deadline: float) -> None:
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join()

    def check(self) -> None:
        if self._process.poll() is None:
            return
        self._thread.join()
        raise self._error or CrewError(
            f"a process of dialers ended with exit code {self._process.returncode}", SOFTWARE
        )

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        with self._process.stdout as lines:
            for line in lines:
                self._hear(json.loads(line))

    def _hear(self, news: dict[str, Any]) -> None:
        if "error" in news:
            self._error = CrewError(news["error"], news["code"])
            return
        counts = news["counts"]
        counts.pop("admissions", None)
        self.counts = counts
        self.book = news.get("book", self.book)
        self.admissions = [(at, waited) for at, waited in news.get("admissions", self.admissions)]
        self.events = news.get("events", self.events)
