"""A cluster, and a primary with its replica, watched by sentinels or behind one address, for tests."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import redis
from redis.crc import key_slot

from tests.clients import client_at
from tests.integration.proxy import proxy
from tests.servers import freeze, kill, redis_server, thaw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import Server

SLOTS = 16_384
NODES = 3
PATIENCE = 30.0
"""Seconds within which servers agree."""
NAME = "primary"
"""What the sentinels call the primary."""


class Cluster:
    """Nodes that share the slots.

    Args:
        stack: Ends it.
        binary: A name of `BINARIES`.
        with_replica: Whether the first node has a replica.
        options: More of the nodes' command line.

    Attributes:
        place: Where it is, for `client_at`.
        client: A client that knows the nodes.
        nodes: A client for each node that has slots from the beginning.
    """

    def __init__(
        self, stack: ExitStack, binary: str, *, with_replica: bool = False, options: tuple[str, ...] = ()
    ) -> None:
        self._stack = stack
        self._options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", *options)
        self._servers: list[Server] = []
        for _ in range(NODES + with_replica):
            self._servers.append(stack.enter_context(redis_server(binary, options=self._options)))
        ports = [server.port for server in self._servers]
        members = [stack.enter_context(server.client()) for server in self._servers]
        self.nodes, self._members = members[:NODES], members
        for index, node in enumerate(self.nodes):
            node.execute_command("CLUSTER ADDSLOTS", *range(index * SLOTS // NODES, (index + 1) * SLOTS // NODES))
        for member in members:
            member.execute_command("CLUSTER MEET", "127.0.0.1", ports[0])
        _wait(lambda: all(_is_whole(member, len(members)) for member in members))
        for replica in members[NODES:]:
            first = self.nodes[0].execute_command("CLUSTER MYID").decode()
            replica.execute_command("CLUSTER REPLICATE", first)
            _wait(lambda: replica.info("replication").get("master_link_status") == "up")  # noqa: B023 - waited for
        self.place = "cluster:" + ",".join(map(str, ports))
        self.client = client_at(self.place)
        stack.callback(self.client.close)

    def place_of(self, key: str) -> int:
        """Return the number of the node that keeps a key."""
        self.client.nodes_manager.initialize()
        port = self.client.get_node_from_key(key).port
        return next(index for index, node in enumerate(self.nodes) if _port(node) == port)

    def move(self, key: str) -> None:
        """Move the slot of a key, with all that is in it, to another node."""
        slot = key_slot(key.encode())
        source = self.place_of(key)
        giver, taker = self.nodes[source], self.nodes[(source + 1) % NODES]
        ids = [node.execute_command("CLUSTER MYID").decode() for node in (giver, taker)]
        taker.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[0])
        giver.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[1])
        # What is written meanwhile is moved too: a script whose keys are in two places is refused.
        while keys := giver.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
            for moved in keys:
                giver.migrate("127.0.0.1", _port(taker), moved, 0, 5_000)
        for node in (taker, giver, *self.nodes):
            node.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[1])

    def primaries(self) -> list[redis.Redis]:
        """Return a client for each node that has slots now."""
        return [member for member in self._members if _is_primary(member)]

    def kill(self, index: int) -> None:
        """Kill a node."""
        kill(self._servers[index])

    def fail_over(self) -> None:
        """Kill the first node, and wait until its replica has its slots."""
        self.kill(0)
        _wait(lambda: len(self.primaries()) == NODES and all(map(_says_ok, self.primaries())))

    def start(self, *indexes: int) -> None:
        """Start nodes again that were killed, without their data, and wait until the cluster is whole."""
        for index in indexes:
            was = self._servers[index]
            options = (*self._options, "--dir", str(was.folder))
            again = self._stack.enter_context(redis_server(was.binary, port=was.port, options=options))
            self._servers[index] = again
        _wait(lambda: all(map(_says_ok, self.nodes)))


class Watched:
    """A primary, its replica, and sentinels that make the replica primary when the primary is gone.

    Args:
        stack: Ends it.
        binary: A name of `BINARIES`.
        folder: For the sentinels' settings.
        sentinels: How many.

    Attributes:
        place: Where it is, for `client_at`.
        client: A client that asks the sentinels who is primary.
        primary: The server that is.
        replica: The other one.
    """

    def __init__(self, stack: ExitStack, binary: str, folder: Path, sentinels: int = 1) -> None:
        self._stack = stack
        self.primary = stack.enter_context(redis_server(binary))
        options = ("--replicaof", "127.0.0.1", str(self.primary.port))
        self.replica = stack.enter_context(redis_server(binary, options=options))
        self._wait_replicated()
        self._sentinels = [self._sentinel(binary, folder / f"sentinel-{n}.conf", sentinels) for n in range(sentinels)]
        _wait(lambda: all(self._told(s)["num-slaves"] == 1 for s in self._sentinels))
        _wait(lambda: all(self._told(s)["num-other-sentinels"] == sentinels - 1 for s in self._sentinels))
        self.place = f"sentinel:{NAME}:" + ",".join(str(_port(sentinel)) for sentinel in self._sentinels)
        self.client = client_at(self.place)
        stack.callback(self.client.close)

    def _sentinel(self, binary: str, settings: Path, sentinels: int) -> redis.Redis:
        settings.write_text(
            f"sentinel monitor {NAME} 127.0.0.1 {self.primary.port} {sentinels // 2 + 1}\n"
            f"sentinel down-after-milliseconds {NAME} 500\n"
            f"sentinel failover-timeout {NAME} 5000\n"
        )
        server = self._stack.enter_context(redis_server(binary, sentinel=settings))
        return self._stack.enter_context(server.client())

    def _wait_replicated(self) -> None:
        with self.replica.client() as replica:
            _wait(lambda: replica.info("replication").get("master_link_status") == "up")

    @staticmethod
    def _told(sentinel: redis.Redis) -> dict[str, int]:
        found: dict[str, int] = sentinel.sentinel_masters()[NAME]
        return found

    def fail_over(self) -> None:
        """Kill the primary, and wait until the replica is one."""
        kill(self.primary)
        self._wait_failed_over()

    def stall(self) -> None:
        """Have the primary stand still with its connections open, and wait until the replica is one."""
        freeze(self.primary)
        self._wait_failed_over()

    def _wait_failed_over(self) -> None:
        _wait(lambda: all(self._told(sentinel)["port"] == self.replica.port for sentinel in self._sentinels))
        self.primary, self.replica = self.replica, self.primary

    def go_on(self) -> None:
        """Let the server that stood still go on, and wait until it is a replica."""
        thaw(self.replica)
        self._wait_replicated()


class Pair:
    """A primary and its replica, and an address, a proxy's, that leads to one of them.

    Args:
        stack: Ends it.
        binary: A name of `BINARIES`.

    Attributes:
        place: The address, for `client_at`.
        primary: The server that is.
        replica: The other one.
        proxy: What the address is.
    """

    def __init__(self, stack: ExitStack, binary: str) -> None:
        self.primary = stack.enter_context(redis_server(binary))
        replica_of = ("--replicaof", "127.0.0.1", str(self.primary.port))
        self.replica = stack.enter_context(redis_server(binary, options=replica_of))
        self._clients = {server: stack.enter_context(server.client()) for server in (self.primary, self.replica)}
        self.proxy = stack.enter_context(proxy(self.primary.port))
        self.place = self.proxy.url
        self.wait_replicated()

    def clients(self) -> list[redis.Redis]:
        """Return a client for each server."""
        return list(self._clients.values())

    def wait_replicated(self) -> None:
        """Wait until the replica has what the primary has."""
        replica = self._clients[self.replica]
        _wait(lambda: replica.info("replication").get("master_link_status") == "up")

    def swap(self) -> None:
        """Make the replica the primary, and the address lead to it: who is connected stays with the old one."""
        self.split()
        self.heal()

    def split(self) -> None:
        """Make the replica a primary too, and the address lead to it: who is connected stays with the other one."""
        self.primary, self.replica = self.replica, self.primary
        self._clients[self.primary].replicaof("NO", "ONE")
        self.proxy.target = self.primary.port

    def heal(self) -> None:
        """Make the old primary a replica."""
        self._clients[self.replica].replicaof("127.0.0.1", self.primary.port)

    def point_at(self, server: Server) -> None:
        """Have the address lead to a server, and break all connections."""
        self.proxy.target = server.port
        self.proxy.up()


def _is_whole(node: redis.Redis, count: int) -> bool:
    info = node.execute_command("CLUSTER INFO")
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(count)


def _says_ok(node: redis.Redis) -> bool:
    try:
        return bool(node.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
    except redis.RedisError:
        return False


def _is_primary(node: redis.Redis) -> bool:
    try:
        return bool(node.info("replication")["role"] == "master")
    except redis.RedisError:
        return False


def _port(node: redis.Redis) -> int:
    port: int = node.connection_pool.connection_kwargs["port"]
    return port


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the servers do not agree"
        time.sleep(0.05)


@contextmanager
def cluster(binary: str, *, with_replica: bool = False, options: tuple[str, ...] = ()) -> Iterator[Cluster]:
    """Run a cluster of a kind of server, a name of `BINARIES`."""
    with ExitStack() as stack:
        yield Cluster(stack, binary, with_replica=with_replica, options=options)


@contextmanager
def watched(binary: str, folder: Path, sentinels: int = 1) -> Iterator[Watched]:
    """Run a primary that is watched, of a kind of server; `folder` is for the sentinels' settings."""
    with ExitStack() as stack:
        yield Watched(stack, binary, folder, sentinels)


@contextmanager
def behind_one_address(binary: str) -> Iterator[Pair]:
    """Run a primary and its replica behind one address, of a kind of server."""
    with ExitStack() as stack:
        yield Pair(stack, binary)
