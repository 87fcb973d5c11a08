"""A fleet that works, its dashboard, and a Chromium before it."""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from admission import AsyncGuard, Guard, Lane, Policy, PureTalk, RedisLedger
from admission.dashboard import Dashboard
from admission.errors import AdmissionError
from admission.testing import FakePureTalk, serve
from tests.servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext

KEY = "pt-live-0123456789abcdef"
TOKEN = "a-token-of-some-length"
ACCOUNT = "outbound-eu"
POLICY = Policy(visibility_lag=0.5, refresh_interval=0.2, placement_timeout=2.0)
LANES = (Lane("callbacks"), Lane("bulk", priority=1, headroom=2, promote_after=300))
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


class Stage(NamedTuple):
    """What a test looks at: the page's address, the provider, a guard of the fleet's, and the dashboard."""

    url: str
    fake: FakePureTalk
    guard: Guard
    dashboard: Dashboard


class Dialers:
    """Threads that dial until they are stopped.

    Args:
        stage: Where.
        number: How many.
        least: Seconds that the shortest call takes.
        most: Seconds that the longest call takes.
        idle: Seconds between two calls of one, on average.
        apart: Seconds from the first call of one to that of the next.
    """

    def __init__(
        self, stage: Stage, number: int, *, least: float = 0.2, most: float = 0.8, idle: float = 0.1, apart: float = 0.0
    ) -> None:
        self._stage, self._spans, self._idle, self._apart = stage, (least, most), idle, apart
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._dial, args=(seed,), daemon=True) for seed in range(number)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _dial(self, seed: int) -> None:
        rng, fake = random.Random(seed), self._stage.fake
        self._stopped.wait(seed * self._apart)
        while not self._stopped.is_set():
            try:
                with self._stage.guard.hold(lane="bulk" if seed % 3 else "callbacks", timeout=1) as reservation:
                    call_id = fake.start_call(duration=60)
                    reservation.placed(call_id)
                    self._stopped.wait(rng.uniform(*self._spans))
                    fake.end_call(call_id)
                    reservation.ended()
            except AdmissionError:
                continue
            self._stopped.wait(rng.expovariate(1 / self._idle))


@contextmanager
def stage(*, token: str | None = TOKEN, private: bool = False) -> Iterator[Stage]:
    """Yield a stage where nobody dials yet."""
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        fake = FakePureTalk(20, api_key=KEY, foreign=3)
        provider = stack.enter_context(serve(fake))
        source, ledger = PureTalk(KEY, base_url=provider.url), RedisLedger(redis.url)
        guard = Guard(source, ledger, account=ACCOUNT, policy=POLICY, lanes=LANES)
        stack.enter_context(guard)
        dashboard = Dashboard(AsyncGuard(source, ledger, account=ACCOUNT), token=token, private=private)
        served = stack.enter_context(serve(dashboard))
        # A new ledger admits nobody before it knows.
        guard.acquire(timeout=20, lane="bulk").cancel()
        yield Stage(served.url.removesuffix("api"), fake, guard, dashboard)


@contextmanager
def chromium(
    *, width: int = 1200, height: int = 860, dark: bool = False, scale: float = 1.0
) -> Iterator[BrowserContext]:
    """Yield the Chromium that is on the PATH, with nothing of anybody's in it."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="admission-chromium-") as folder, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=shutil.which("chromium"),
            args=list(ARGUMENTS),
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            device_scale_factor=scale,
        )
        try:
            yield context
        finally:
            context.close()


def wait_for_history(dashboard: Dashboard, moments: int) -> None:
    """Wait until the chart has something to show."""
    while len(dashboard.feed.history) < moments:
        time.sleep(0.1)
