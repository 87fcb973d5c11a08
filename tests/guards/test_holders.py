"""`holders()` in both colours: who holds what."""

from dataclasses import FrozenInstanceError

import pytest

from admission import AsyncGuard, Guard, Holders, Lane, MemoryLedger, Policy, PureTalk
from admission.testing import FakePureTalk, serve

QUICK = Policy(visibility_lag=0.0, refresh_interval=0.02)


@pytest.fixture(scope="module")
def source():
    fake = FakePureTalk(20)
    with serve(fake) as served:
        yield PureTalk(fake.api_key, base_url=served.url)


def test_the_holders_of_a_guard(source):
    with Guard(source, MemoryLedger(), policy=QUICK, lanes=[Lane("bulk")]) as guard:
        assert guard.holders() == Holders(guard.account, 0, ())
        with guard.hold(lane="bulk", timeout=5) as reservation:
            reservation.placed("a call")
            found = guard.holders()
        (row,) = found.rows
        assert (row.id, row.lane, row.kind, row.placed, row.call_id) == (reservation.id, "bulk", "hold", True, "a call")
        assert row.state in {"pending", "held"}
        assert 0 <= row.age < 60
        assert reservation.id.startswith(row.process)
        assert (found.booked, found.left_out) == (1, 0)
        with pytest.raises(FrozenInstanceError):
            row.id = "another"


async def test_the_holders_of_an_async_guard(source):
    async with AsyncGuard(source, MemoryLedger(), policy=QUICK) as guard:
        await guard.call_started("from outside")
        (row,) = (await guard.holders()).rows
        assert (row.kind, row.placed, row.call_id, row.lane) == ("started", True, "from outside", "default")


def test_more_than_a_thousand_are_cut(source):
    with Guard(source, MemoryLedger(), policy=QUICK) as guard:
        for number in range(1_003):
            guard.call_started(f"call {number}")
        found = guard.holders()
    assert (found.booked, len(found.rows), found.left_out) == (1_003, 1_000, 3)
