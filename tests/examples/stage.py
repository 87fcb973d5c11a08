"""A provider, and the examples' processes: what both versions of a script are run on, under the same conditions."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from admission import Guard, Policy, PureTalk, RedisLedger
from admission.testing import FakePureTalk, serve
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from admission import Status

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PATIENCE = 60.0
"""Seconds that anything may take, on a busy machine."""
LAG = 0.2
"""Seconds by which the provider's count is late."""
TALK = 0.1
"""Seconds that a call lasts, once somebody hangs up."""
SETTINGS = {"VISIBILITY_LAG": "0.3", "POLL_SECONDS": "0.2"}
"""What all scripts are told: a lag a little longer than the provider's."""


class Gate:
    """Holds what waits for scripted latency, whatever its length, until it is opened."""

    def __init__(self) -> None:
        self.waiting = 0
        self.is_open = False

    def open(self) -> None:
        self.is_open = True

    async def sleep(self, _seconds: float) -> None:
        self.waiting += 1
        try:
            while not self.is_open:
                await asyncio.sleep(0.005)
        finally:
            self.waiting -= 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a campaign, as the provider knows it.

    Attributes:
        limit: Calls that the account may run at once.
        peak: Most calls that ran at once, foreign ones too.
        overshoots: Attempts to start a call with no line free.
        once: Leads that were called once.
        again: Leads that were called more than once.
        never: Leads that were not called.
    """

    limit: int
    peak: int
    overshoots: int
    once: int
    again: int
    never: int

    @property
    def is_good(self) -> bool:
        return self.peak <= self.limit and not (self.overshoots or self.again or self.never)


class Stage:
    """A provider behind HTTP; see `staged`."""

    def __init__(self, provider: FakePureTalk, gate: Gate, url: str, redis: str, folder: Path) -> None:
        self.provider = provider
        self.gate = gate
        self.url = url
        self.redis = redis
        self.folder = folder
        source = PureTalk(provider.api_key, base_url=url)
        self.guard = Guard(source, RedisLedger(redis), policy=Policy(visibility_lag=float(SETTINGS["VISIBILITY_LAG"])))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: list[Path] = []
        self._seen: dict[int, float] = {}
        self._over: set[int] = set()

    # Scripts

    def start(
        self, example: str, *command: str, pass_fds: tuple[int, ...] = (), **settings: object
    ) -> subprocess.Popen[bytes]:
        """Start Python in an example's folder, with settings for its environment."""
        given = {
            "PURETALK_API_KEY": self.provider.api_key,
            "PURETALK_BASE_URL": self.url,
            "ADMISSION_REDIS_URL": self.redis,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **SETTINGS,
            **{name: str(value) for name, value in settings.items()},
        }
        log = self.folder / f"log-{len(self._logs)}"
        self._logs.append(log)
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=EXAMPLES / example,
                env=os.environ | given,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        self._processes.append(process)
        return process

    def said(self) -> str:
        """Return what all processes wrote."""
        return "".join(log.read_text("utf-8", "replace") for log in self._logs)

    def write(self, name: str, lines: Iterable[str]) -> str:
        """Write a file of leads, and return its path."""
        path = self.folder / name
        path.write_text("\n".join(lines), "utf-8")
        return str(path)

    # Facts

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait for a fact; what the processes wrote tells why it never comes."""
        try:
            wait_until(condition, PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.provider!r}; {self.said()[-4000:]}") from None

    def talk_until(self, condition: Callable[[], object]) -> None:
        """Hang up each call when it has lasted `TALK` seconds, until a fact has come."""
        self.wait_until(lambda: self.hang_up(TALK) or condition())

    def hang_up(self, after: float) -> None:
        """End the calls that have been seen for so many seconds."""
        now = time.monotonic()
        for number in self.live():
            if now - self._seen.setdefault(number, now) >= after:
                self.end(number)

    def end(self, number: int) -> None:
        """End a call."""
        self.provider.end_call(name_of(number))
        self._over.add(number)

    def live(self) -> list[int]:
        """Return the numbers of the calls that nobody has ended."""
        return [number for number in range(1, self.provider.started + 1) if number not in self._over]

    def lead(self, number: int) -> str:
        """Return whom a call was made to."""
        headers = {"x-api-key": self.provider.api_key}
        answer = self.provider.handle("GET", f"/api/calls/{name_of(number)}", headers)
        return str(json.loads(answer.body)["results"]["metadata"]["lead"])

    def called(self) -> Counter[str]:
        """Return how often each lead was called."""
        return Counter(self.lead(number) for number in range(1, self.provider.started + 1))

    def open_ledger(self) -> None:
        """Let the pause pass that a new ledger begins with, for scripts that wait for seconds only."""
        with self.guard.place(timeout=PATIENCE) as reservation:
            reservation.cancel()

    def status(self) -> Status:
        """Return the ledger's view of the account."""
        return self.guard.status()

    def outcome(self, leads: Iterable[str]) -> Outcome:
        called = self.called()
        times = [called[lead] for lead in leads]
        return Outcome(
            self.provider.limit,
            self.provider.peak,
            self.provider.overshoots,
            times.count(1),
            sum(time > 1 for time in times),
            times.count(0),
        )

    # Ends

    def close(self) -> None:
        self.gate.open()
        self.guard.close()
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def name_of(number: int) -> str:
    """Return the id of a call."""
    return f"call-{number:06d}"


def leads(count: int, name: str = "lead") -> list[str]:
    """Return names of so many leads."""
    return [f"{name}-{number}" for number in range(count)]


@contextmanager
def staged(redis: str, limit: int, **provider: Any) -> Iterator[Stage]:
    """Yield a stage; its processes end with the block. An account of its own: its key is new.

    Args:
        redis: The URL of a Redis, where there may be anything of former stages.
        limit: Calls that the account may run at once.
        provider: More of `FakePureTalk`.
    """
    gate = Gate()
    fake = FakePureTalk(limit, visibility_lag=LAG, api_key=secrets.token_hex(8), sleep=gate.sleep, **provider)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="admission-examples-")))
        served = stack.enter_context(serve(fake))
        stage = Stage(fake, gate, served.url, redis, folder)
        stack.callback(stage.close)
        yield stage
        assert fake.api_key not in stage.said()
