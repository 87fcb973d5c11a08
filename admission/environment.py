"""What a guard takes from the environment where nothing was given to it.

Guards that find the same ledger there share it: else two guards of one process on `ADMISSION_LEDGER=memory` would each
admit the full limit, and each on Redis would keep connections of its own.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from admission.errors import ConfigurationError
from admission.ledger.memory import MemoryLedger
from admission.process import PerProcess

if TYPE_CHECKING:
    from admission.base import Ledger
    from admission.sources.puretalk import PureTalk

NO_KEY = "PURETALK_API_KEY is not set: give it the account's API key, from PureTalk's dashboard under 'API Keys'"


def fill(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a guard's settings with what they leave open.

    Args:
        settings: Keywords of a guard; they override the environment.

    Raises:
        ConfigurationError: Something is missing; the text names the variable.
    """
    found = dict(settings)
    if "source" not in found:
        found["source"] = source()
    if "ledger" not in found:
        found["ledger"] = _LEDGERS.get().ledger()
    if "account" not in found and os.environ.get("ADMISSION_ACCOUNT"):
        found["account"] = os.environ["ADMISSION_ACCOUNT"]
    return found


def source() -> PureTalk:
    """Return PureTalk, as the environment has it.

    Raises:
        ConfigurationError: There is no key.
    """
    from admission.sources.puretalk import PureTalk  # noqa: PLC0415 - only here is a source made for the caller

    key = os.environ.get("PURETALK_API_KEY", "")
    if not key:
        raise ConfigurationError(NO_KEY)
    base_url = os.environ.get("PURETALK_BASE_URL")
    return PureTalk(key) if not base_url else PureTalk(key, base_url=base_url)


class _Ledgers:
    """The ledgers of a process that guards from the environment keep alive."""

    def __init__(self) -> None:
        self._known: weakref.WeakValueDictionary[str, Ledger] = weakref.WeakValueDictionary()
        """By URL; the one in memory has none."""
        self._lock = threading.Lock()

    def ledger(self) -> Ledger:
        url = os.environ.get("ADMISSION_REDIS_URL", "")
        if not url and os.environ.get("ADMISSION_LEDGER") != "memory":
            raise ConfigurationError(
                "ADMISSION_REDIS_URL is not set: give it the Redis that the fleet shares, or set "
                "ADMISSION_LEDGER=memory for a single process"
            )
        with self._lock:
            ledger = self._known.get(url)
            if ledger is None:
                ledger = self._known[url] = _new_ledger(url)
            return ledger


def _new_ledger(url: str) -> Ledger:
    if not url:
        return MemoryLedger()
    from admission.ledger.redis import RedisLedger  # noqa: PLC0415 - redis-py takes long to import

    return RedisLedger(url)


_LEDGERS = PerProcess(_Ledgers)
"""A forked child has its own, and its own lock: the parent's may have been held when it forked."""
