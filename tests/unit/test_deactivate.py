"""Guards that a test has deactivated."""

import asyncio
import contextlib

import pytest

from admission import AsyncGuard, ConfigurationError, Guard, Lane, MemoryLedger, Policy, RedisLedger, Saturated, Usage
from admission.testing import deactivate

pytestmark = pytest.mark.usefixtures("ledger_has_time")


class Full:
    """An account without a free line."""

    asked = 0

    def fetch(self):
        self.asked += 1
        return Usage(limit=1, count=1)

    async def afetch(self):
        return self.fetch()


def full(kind=Guard, ledger=None):
    lanes = [Lane("bulk", headroom=5, max_in_flight=1)]
    return kind(
        Full(), ledger or MemoryLedger(), account="a", policy=Policy(headroom=1, starts_per_second=0.1), lanes=lanes
    )


def test_everything_is_let_through_and_nobody_is_asked():
    guard = full(ledger=RedisLedger("redis://127.0.0.1:1/0"))

    @guard.place(lane="bulk", track=True, timeout=0)
    def dial(lead):
        return f"call of {lead}"

    with deactivate(guard):
        assert [dial(lead) for lead in range(20)] == [f"call of {lead}" for lead in range(20)]
        with contextlib.ExitStack() as stack:
            reservations = [stack.enter_context(guard.hold(timeout=0)) for _ in range(20)]
            assert len({reservation.id for reservation in reservations}) == 20
        guard.call_ended("call of 1")
        guard.pause("not for a test")
        guard.resume()
        assert guard.status().account == "a"
    assert guard._source.asked == 0


def test_after_the_block_it_is_as_before():
    with full() as guard:
        with pytest.raises(Saturated):
            guard.acquire(timeout=0)
        with deactivate(guard):
            guard.acquire(timeout=0).ended()
        with pytest.raises(Saturated):
            guard.acquire(timeout=0)
        with contextlib.suppress(ZeroDivisionError), deactivate(guard):
            raise ZeroDivisionError
        assert guard.status().limit == 1


def test_the_other_colour_too_in_one_loop_after_another():
    guard, other = full(AsyncGuard), full(AsyncGuard)

    @guard.place()
    async def dial(lead):
        async with other.hold(timeout=0):
            return lead

    async def dials():
        return await asyncio.gather(*map(dial, range(20)))

    for _ in range(2):
        with deactivate(guard, other):
            assert asyncio.run(dials()) == list(range(20))


def test_wrong_use_is_wrong_still():
    guard = full()
    with deactivate(guard), pytest.raises(ConfigurationError, match="no-such"):
        guard.acquire(lane="no-such", timeout=0)


def test_a_guard_that_was_closed_is_closed_again():
    guard = full()
    guard.close()
    with deactivate(guard):
        guard.acquire(timeout=0).ended()
    assert guard._closed
