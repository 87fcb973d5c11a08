"""The stand-in provider of a demo, which protects itself against nothing and so is a fair judge."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from admission.cli.demo.settings import RAMP_UP
from admission.testing.fake import FakePureTalk
from admission.testing.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from admission.cli.demo.settings import Settings
    from admission.testing.fake import Mark

API_KEY = "demo-key-of-no-account"


@dataclass(frozen=True, slots=True)
class Truth:
    """What the provider knows at one moment.

    Attributes:
        elapsed: Seconds since the first call.
        limit: Lines.
        live: Calls that are live.
        foreign: Those of others among them.
        peak: Most that ever were live at once.
        overshoots: Starts with no line free.
        calls: Calls that it accepted from the dialers.
        readings: How often it was asked for its count.
        busy: The share of its lines that was busy, since the ramp-up; `None` before.
    """

    elapsed: float
    limit: int
    live: int
    foreign: int
    peak: int
    overshoots: int
    calls: int
    readings: int
    busy: float | None


class Judge:
    """Keeps the time and the truth of a demo.

    Args:
        settings: The demo's.
        url: The provider's base URL.
    """

    def __init__(self, settings: Settings, fake: FakePureTalk, url: str) -> None:
        self.url = url
        self._settings = settings
        self._fake = fake
        self._first_call: float | None = None
        self._ramped_up: Mark | None = None
        self._end: Mark | None = None
        self._elapsed = 0.0

    @property
    def over(self) -> bool:
        """Whether the dialers have had their time."""
        return self._elapsed >= self._settings.seconds

    @property
    def begun(self) -> float | None:
        """When the first call was placed, on the monotonic clock."""
        return self._first_call

    def look(self) -> Truth:
        """Bring the marks up to date and return the truth."""
        fake, now = self._fake, time.monotonic()
        if self._first_call is None and fake.started:
            self._first_call = now
        if self._first_call is not None and self._end is None:
            self._elapsed = now - self._first_call
            if self._ramped_up is None and self._elapsed >= min(RAMP_UP, self._settings.seconds / 2):
                self._ramped_up = fake.mark()
        busy = None if self._ramped_up is None else fake.busy(self._ramped_up, self._end)
        return Truth(
            self._elapsed,
            fake.limit,
            fake.live,
            fake.foreign,
            fake.peak,
            fake.overshoots,
            fake.started,
            fake.readings,
            busy,
        )

    def end(self) -> None:
        """The dialers are told to stop: from here on idle lines are nobody's fault."""
        self.look()
        self._end = self._fake.mark()


@contextmanager
def judged(settings: Settings) -> Iterator[Judge]:
    """Serve the provider on a port of this machine, as long as the block lasts."""
    rng = random.Random(f"provider {settings.seed}")  # noqa: S311 - a simulation, no secret
    fake = FakePureTalk(
        settings.limit,
        visibility_lag=settings.count_lag,
        jitter=True,
        enforce=False,
        seed=settings.seed,
        api_key=API_KEY,
        foreign=settings.foreign,
    )
    fake.latency = lambda: rng.uniform(settings.reading_least, settings.reading_most)
    fake.look_at = 0.5
    fake.dial_latency = lambda: rng.uniform(settings.dial_least, settings.dial_most)
    with serve(fake) as served:
        yield Judge(settings, fake, served.url)
