"""A server of a test's own that can go away and come back, and what must be true of what is left in it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import redis

from tests.integration.fleet_crews import KEY
from tests.integration.proxy import proxy
from tests.servers import free_port, redis_server


def check_left_behind(client):
    """Check that every key ends by itself, and that none shows the provider's key."""
    for key in client.keys("*"):
        assert client.pttl(key) > 0, f"{key} has no TTL"
        kind = client.type(key)
        assert kind in {b"hash", b"zset"}, f"{key} is a {kind}"
        content = client.hgetall(key) if kind == b"hash" else client.zrange(key, 0, -1)
        assert KEY not in f"{key} {content}"


class Store:
    """A server that can go away and come back where it was, and a proxy in front of it.

    Args:
        stack: Ends it.
        binary: A name of `BINARIES`.
        folder: Where it keeps its data.
        options: More of its command line.
        env: More of its environment.
    """

    def __init__(self, stack, binary, folder, options=(), env=None):
        self.binary = binary
        self._settings = {"options": ("--dir", str(folder), *options), "env": env}
        self.port = free_port()
        self._stack = stack.enter_context(ExitStack())
        self.start()
        self.proxy = stack.enter_context(proxy(self.port))

    @property
    def url(self):
        """The way through the proxy."""
        return self.proxy.url

    def start(self):
        """Start it: with the data in its folder, if there is any."""
        self.server = self._stack.enter_context(redis_server(self.binary, port=self.port, **self._settings))
        self.client = self._stack.enter_context(redis.Redis(port=self.port))

    def kill(self):
        """Kill it at once."""
        self._stack.close()

    @property
    def connections(self):
        """Connections of others than this test's own client."""
        mine = self.client.client_id()
        return sum(int(known["id"]) != mine for known in self.client.client_list())

    def keys(self, account):
        """Return an account's keys, by their last part."""
        return {key.decode().rpartition(":")[2]: key for key in self.client.keys(f"admission:{{{account}}}:*")}


@contextmanager
def store(binary, folder, **settings):
    """Run a server with a proxy in front; at the end look at what is left in it."""
    with ExitStack() as stack:
        one = Store(stack, binary, folder, **settings)
        yield one
        check_left_behind(one.client)
