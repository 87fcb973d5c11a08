"""Guards that let everything through, for tests of what they guard."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from admission.ledger.memory import MemoryLedger
from admission.values import Lane, Policy, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from admission.aguard import AsyncGuard
    from admission.base import GuardBase
    from admission.guard import Guard

_PLENTY = 1_000_000


class _Unlimited:
    """The account of somebody who has no limit."""

    def fetch(self) -> Usage:
        """Return a limit that nobody reaches."""
        return Usage(limit=_PLENTY, count=0)

    async def afetch(self) -> Usage:
        """Return a limit that nobody reaches."""
        return self.fetch()


@contextmanager
def deactivate(*guards: Guard | AsyncGuard) -> Iterator[None]:
    """Have guards admit at once as long as the block lasts; neither the provider nor Redis is asked.

    For tests of dialers whose guards are made at module level. What was decorated stays decorated, blocks hand out
    reservations as ever, and wrong use (an unknown lane, the wrong colour) is still an error; limits, lanes' caps, pace
    and pauses are not looked at. Admit and leave inside the block: a reservation must not outlive it.

    Args:
        guards: Those to let through, used before or not.
    """
    kept = [(guard, dict(vars(guard))) for guard in guards]
    try:
        for guard in guards:
            vars(guard).update(vars(_unlimited(guard)))
        yield
    finally:
        for guard, state in kept:
            vars(guard).clear()
            vars(guard).update(state)


def _unlimited(guard: GuardBase) -> GuardBase:
    """Return a guard of the same colour and account that nothing holds back."""
    return type(guard)(
        _Unlimited(),
        MemoryLedger(),
        account=guard.account,
        policy=Policy(timeout=guard.policy.timeout, visibility_lag=0.0),
        lanes=[Lane(name) for name in guard._lanes],  # noqa: SLF001 - part of the package
    )
