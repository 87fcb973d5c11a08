"""The pytest plugin: a stand-in provider, guards that read it, and a clock that tests turn by hand.

Installed with the package; a test names the fixtures that it wants. With `virtual_clock` among them, the provider and
the guards live by that clock, and time passes only when the test says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from admission import AsyncGuard, Guard, Policy, PureTalk
    from admission.testing import FakePureTalk, VirtualClock


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """A clock that stands still until `virtual_clock.advance(seconds)`."""
    from admission.testing import VirtualClock  # noqa: PLC0415 - a plugin must not import what no test uses

    return VirtualClock()


@pytest.fixture
def fake_puretalk(request: pytest.FixtureRequest) -> FakePureTalk:
    """A stand-in provider with 20 lines; `set_limit` changes that."""
    from admission.testing import FakePureTalk  # noqa: PLC0415 - same

    clock = _virtual(request)
    return FakePureTalk() if clock is None else FakePureTalk(clock=clock.now)


@pytest.fixture
def admission_policy() -> Policy:
    """The policy of the guards; override it in a `conftest.py`. Quick, and the stand-in's count does not lag."""
    from admission import Policy  # noqa: PLC0415 - same

    return Policy(refresh_interval=0.05, visibility_lag=0.0, timeout=5.0)


@pytest.fixture
def guard(request: pytest.FixtureRequest, fake_puretalk: FakePureTalk, admission_policy: Policy) -> Iterator[Guard]:
    """A guard over the stand-in provider and a ledger in memory."""
    import httpx  # noqa: PLC0415 - same

    from admission import Guard, MemoryLedger  # noqa: PLC0415 - same
    from admission.testing.transport import transport  # noqa: PLC0415 - same

    with httpx.Client(transport=transport(fake_puretalk)) as client:
        ledger = MemoryLedger(clock=_virtual(request))
        with Guard(_source(fake_puretalk, client), ledger, account="test", policy=admission_policy) as guard:
            yield guard


@pytest.fixture
def async_guard(
    request: pytest.FixtureRequest, fake_puretalk: FakePureTalk, admission_policy: Policy
) -> Iterator[AsyncGuard]:
    """An `AsyncGuard` over the stand-in provider and a ledger in memory, for whatever runs your asyncio tests."""
    import asyncio  # noqa: PLC0415 - same

    import httpx  # noqa: PLC0415 - same

    from admission import AsyncGuard, MemoryLedger  # noqa: PLC0415 - same
    from admission.testing.transport import transport  # noqa: PLC0415 - same

    client = httpx.AsyncClient(transport=transport(fake_puretalk))
    ledger = MemoryLedger(clock=_virtual(request))
    guard = AsyncGuard(_source(fake_puretalk, client), ledger, account="test", policy=admission_policy)
    yield guard

    # A plain fixture, which every plugin for asyncio tests in every mode serves; it must not change the current loop.
    async def close() -> None:
        await guard.close()
        await client.aclose()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(close())
    loop.close()


def _virtual(request: pytest.FixtureRequest) -> VirtualClock | None:
    """Return the test's virtual clock, if it asked for one."""
    if "virtual_clock" not in request.fixturenames:
        return None
    clock: VirtualClock = request.getfixturevalue("virtual_clock")
    return clock


def _source(fake: FakePureTalk, client: object) -> PureTalk:
    from admission import PureTalk  # noqa: PLC0415 - same

    return PureTalk(fake.api_key, base_url="http://provider.test/api", client=client)  # type: ignore[arg-type]  # either colour's
