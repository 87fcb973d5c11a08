"""A server for each kind at hand, empty at the beginning of every test."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lua.shelf import LuaDesk
from tests.servers import BINARIES, redis_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from tests.servers import Server


@pytest.fixture(scope="module", params=BINARIES)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with redis_server(request.param) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    with server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def desk(client: redis.Redis) -> Callable[..., LuaDesk]:
    """Make a desk on the server: `desk(limit, count, account=..., **policy)`."""
    return partial(LuaDesk, client)
