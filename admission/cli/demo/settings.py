"""What a demo is made of. The times are those of a real account, divided by about thirty."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from admission.errors import ConfigurationError
from admission.values import Policy

RAMP_UP = 1.5
"""Seconds from the first call to the mark that busy is measured from, at most half of the whole."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One demo.

    Attributes:
        limit: Lines of the account.
        foreign: Lines that calls of others take all the time.
        workers: Dialers, over all processes.
        processes: Processes that dial.
        seconds: How long they dial, from the first call on.
        guarded: Whether they ask the guard, or check the count and dial.
        ledger: `memory`, `redis`, or `none` when unguarded.
        seed: Of all randomness.
        call_least: Seconds that the shortest call takes.
        call_most: Seconds that the longest call takes.
        dial_least: Seconds from a dial to its acceptance, at least.
        dial_most: The same, at most.
        reading_least: Seconds that the provider takes for a reading, at least.
        reading_most: The same, at most.
        count_lag: Seconds until a start or an end shows in the provider's count.
        patience: Seconds after which a dialer gives its lead back.
        recheck: Seconds between two checks of an unguarded dialer, in the mean.
    """

    limit: int
    foreign: int
    workers: int
    processes: int
    seconds: float
    guarded: bool
    ledger: str
    seed: int
    call_least: float = 1.0
    call_most: float = 4.0
    dial_least: float = 0.05
    dial_most: float = 0.15
    reading_least: float = 0.01
    reading_most: float = 0.04
    count_lag: float = 0.3
    patience: float = 4.0
    recheck: float = 0.25

    @property
    def policy(self) -> Policy:
        """How the demo's guards decide."""
        return Policy(
            refresh_interval=0.1,
            max_staleness=3.0,
            visibility_lag=self.count_lag + 0.05,
            placement_timeout=5.0,
            lease_ttl=5.0,
            max_call_duration=60.0,
        )

    def describe(self) -> dict[str, Any]:
        """Return every setting by name, those of the policy under `policy`."""
        return {**asdict(self), "policy": self.policy.describe() if self.guarded else None}


def settings_of(
    *, limit: int, workers: int | None, seconds: float, processes: int | None, redis: bool, guarded: bool, seed: int
) -> Settings:
    """Return the settings for what was asked, `None` for what is left to us.

    Raises:
        ConfigurationError: Several guarded processes without a shared ledger: each would admit the full limit.
    """
    count = processes or (3 if redis else 1)
    if guarded and count > 1 and not redis:
        raise ConfigurationError(
            f"--processes {count} needs --redis URL: guards with a memory ledger each would admit the full limit"
        )
    dialers = max(workers or 2 * limit, count)
    ledger = "none" if not guarded else "redis" if redis else "memory"
    return Settings(limit, limit // 5, dialers, count, seconds, guarded, ledger, seed)
