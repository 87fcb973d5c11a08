"""The one file that knows tenacity: its `wait` says when a waiter attempts, its `stop` when it gives up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tenacity import Future, RetryCallState, Retrying
from tenacity.stop import stop_never
from tenacity.wait import wait_random_exponential

from admission.errors import Saturated

if TYPE_CHECKING:
    from collections.abc import Callable

    Wait = Callable[[RetryCallState], float]
    Stop = Callable[[RetryCallState], bool]

DEFAULT_WAIT = wait_random_exponential(multiplier=0.1, max=2)
SHORTEST, LONGEST = 0.01, 86_400.0
"""Seconds between two attempts, whatever `wait` says: without a pause, a waiter would keep its event loop from those
who hold what it waits for."""


class Schedule:
    """One caller's attempts, as tenacity's own `wait` and `stop` objects plan them.

    Args:
        wait: Any tenacity wait, or a callable that takes a `RetryCallState` and returns seconds. `None`: jittered
            exponential back-off from 0.1 to 2 s.
        stop: Any tenacity stop, or a callable that takes a `RetryCallState`. `None`: never.
    """

    def __init__(self, wait: Wait | None = None, stop: Stop | None = None) -> None:
        self.is_plain: bool = wait is None and stop is None
        """Whether neither is the user's: then only mail makes a waiter attempt."""
        self._wait: Wait = wait or DEFAULT_WAIT
        self._stop: Stop = stop or stop_never
        self._state: Any = None

    def __call__(self, elapsed: float) -> float | None:
        """An attempt failed `elapsed` seconds after the start: return seconds to the next one, `None` to give up."""
        if self.is_plain:
            # An attempt looks into a mailbox whose owner is woken by mail anyway: only its schedule is the user's.
            return math.inf
        if self._state is None:  # most callers never wait
            self._state = RetryCallState(Retrying(wait=self._wait, stop=self._stop), None, (), {})
        state = self._state
        outcome = Future(state.attempt_number)
        outcome.set_exception(_STILL_WAITING)
        state.outcome = outcome
        state.outcome_timestamp = state.start_time + elapsed
        state.upcoming_sleep = min(max(SHORTEST, float(self._wait(state))), LONGEST)
        if self._stop(state):
            return None
        pause: float = state.upcoming_sleep
        state.idle_for += pause
        state.prepare_for_next_attempt()
        return pause


_STILL_WAITING = Saturated("no slot yet", limit=None, in_use=0, waited=0.0, position=0, retry_after=0.0)
