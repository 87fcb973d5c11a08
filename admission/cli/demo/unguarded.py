"""Dialers as they are written by hand: read the count, and dial if it is below the limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from admission.cli.demo.dialers import Dialers
from admission.errors import UsageError

if TYPE_CHECKING:
    import random

    from admission.cli.demo.phone import Phone
    from admission.cli.demo.settings import Settings
    from admission.sources.puretalk import PureTalk


class UnguardedDialers(Dialers):
    """Dialers that check, then act. Between the two, others do the same.

    Args:
        settings: The demo's.
        phone: What they call with.
        seed: Of this process's randomness.
        source: Where they read the count.
    """

    def __init__(self, settings: Settings, phone: Phone, seed: str, source: PureTalk) -> None:
        super().__init__(settings, phone, seed)
        self._source = source

    async def serve_lead(self, rng: random.Random) -> None:
        """Look until the count is below the limit, then call."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        with self.waiting():
            while not await self._sees_a_free_line():
                self.counts.rechecks += 1
                await asyncio.sleep(rng.uniform(0.5, 1.5) * self.settings.recheck)
        await self.call(rng, loop.time() - since, placed=lambda _call_id: None)

    async def _sees_a_free_line(self) -> bool:
        try:
            usage = await self._source.afetch()
        except UsageError:
            self.counts.failed += 1
            return False
        return usage.count < usage.limit
