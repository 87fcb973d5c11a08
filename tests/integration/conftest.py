"""Servers and guards for the tests that need a real one: a provider's, or Redis."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest

from admission import Guard, LedgerUnavailable, PureTalk, RedisLedger
from tests.integration.fleet_crews import KEY, provider
from tests.integration.fleet_sides import POLICY, side
from tests.integration.proxy import proxy
from tests.integration.puretalk_kit import Server
from tests.integration.stores import store
from tests.servers import BINARIES
from tests.waiting import wait_until


@pytest.fixture
def at():
    """A stand-in provider with five lines, which takes every call."""
    with provider(5) as watched:
        yield watched


@pytest.fixture(params=["sync", "async"])
def colour(request):
    """Both colours; what is tested of both runs on the oldest server in one, and on the newest in the other."""
    return request.param


@pytest.fixture
def serve():
    """Starts servers that answer as they are told."""
    servers = []

    def serve(answer=None):
        servers.append(Server(answer))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.fixture
def binary(colour):
    """The server's name in `BINARIES`."""
    names = list(BINARIES)
    return names[0] if colour == "sync" else names[-1]


@pytest.fixture
def own(binary, tmp_path):
    """A server of the test's own, to be killed and emptied."""
    with store(binary, tmp_path) as one:
        yield one


@pytest.fixture
def guard(colour, at, own):
    """A guard of either colour on a server of its own, through the proxy, on a new account."""
    with side(colour, at, own.url, "own") as one:
        yield one


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server of each kind for tests that do it no harm, with accounts that are open already.

    A new ledger admits nobody until a reading after its first second; so that one second is enough for a whole file,
    many accounts are made at once.
    """
    with ExitStack() as stack:
        at = stack.enter_context(provider(5))
        stores = {}
        for binary in {next(iter(BINARIES)), next(reversed(BINARIES))}:
            one = stack.enter_context(store(binary, tmp_path_factory.mktemp("redis")))
            accounts = [f"shared-{number}" for number in range(40)]
            ledger = RedisLedger(one.url)
            for account in accounts:
                with Guard(PureTalk(KEY, base_url=at.url), ledger, account=account, policy=POLICY) as opener:
                    wait_until(lambda opener=opener: answers(opener))
            stores[binary] = one, accounts
        yield stores


def answers(guard):
    """Whether a guard's ledger answers; a busy machine may let 2 s pass."""
    with suppress(LedgerUnavailable):
        return guard.status()


@pytest.fixture
def open_store(shared, binary):
    """A server that is shared, and a proxy in front of it for this test alone; and the name of an open account."""
    one, accounts = shared[binary]
    with proxy(one.port) as between:
        yield one, between, accounts.pop()


@pytest.fixture
def opened(colour, at, open_store):
    """A guard of either colour on an open account of a shared server, through a proxy of its own."""
    _, between, account = open_store
    with side(colour, at, between.url, account) as one:
        yield one
