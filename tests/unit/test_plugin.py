"""The fixtures that the package brings to its users' tests."""

import pytest

from admission import Policy, Saturated
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ledger_has_time")


def test_a_guarded_dialer_never_goes_beyond_the_stand_ins_limit(guard, fake_puretalk):
    fake_puretalk.set_limit(2)
    reservations = [guard.acquire() for _ in range(2)]
    with pytest.raises(Saturated):
        guard.acquire(timeout=0)
    for reservation in reservations:
        reservation.ended()
    guard.acquire(timeout=1).release()


async def test_the_async_guard_reads_the_same_stand_in(async_guard, fake_puretalk):
    async with async_guard.hold() as reservation:
        reservation.placed(fake_puretalk.start_call())
        assert (await async_guard.status()).in_use == 1


class TestVirtualTime:
    @pytest.fixture
    def admission_policy(self):
        return Policy(visibility_lag=2.0, refresh_interval=1.0)

    def test_time_passes_only_when_the_test_says_so(self, virtual_clock, guard, fake_puretalk):
        fake_puretalk.set_limit(1)
        reservation = guard.acquire(timeout=0)
        reservation.placed(fake_puretalk.start_call(duration=30))
        with pytest.raises(Saturated):
            guard.acquire(timeout=0)
        reservation.release()
        virtual_clock.advance(40)

        def admitted():
            virtual_clock.advance(1)
            try:
                guard.acquire(timeout=0).ended()
            except Saturated:
                return False
            return True

        wait_until(admitted)
