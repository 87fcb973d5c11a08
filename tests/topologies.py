"""A cluster, and a primary with a replica that a sentinel watches: of the servers in `tests.servers`, for tests."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.sentinel import Sentinel

from tests.servers import free_port, kill, redis_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SLOTS = 16_384
NODES = 3
HIGHEST_PORT = 55_535
"""Nodes of a cluster talk to each other on ports that are higher by 10,000."""
PATIENCE = 30.0
"""Seconds within which servers agree."""
NAME = "primary"
"""What the sentinel calls the primary."""


class Cluster:
    """Nodes that share the slots.

    Attributes:
        client: A client that knows them.
    """

    def __init__(self, stack: ExitStack, binary: str) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
        ports: list[int] = []
        while len(ports) < NODES:
            if (port := free_port()) <= HIGHEST_PORT:
                stack.enter_context(redis_server(binary, port=port, options=options))
                ports.append(port)
        self._nodes = [stack.enter_context(redis.Redis(port=port)) for port in ports]
        for index, node in enumerate(self._nodes):
            node.execute_command("CLUSTER ADDSLOTS", *range(index * SLOTS // NODES, (index + 1) * SLOTS // NODES))
            node.execute_command("CLUSTER MEET", "127.0.0.1", ports[0])
        _wait(lambda: all(_is_whole(node) for node in self._nodes))
        self.client = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", port) for port in ports])
        stack.callback(self.client.close)

    def place_of(self, key: str) -> int:
        """Return the number of the node that keeps a key."""
        self.client.nodes_manager.initialize()
        port = self.client.get_node_from_key(key).port
        return next(index for index, node in enumerate(self._nodes) if _port(node) == port)

    def move(self, key: str) -> None:
        """Move the slot of a key, with all that is in it, to another node."""
        slot = key_slot(key.encode())
        source = self.place_of(key)
        giver, taker = self._nodes[source], self._nodes[(source + 1) % NODES]
        ids = [node.execute_command("CLUSTER MYID").decode() for node in (giver, taker)]
        taker.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[0])
        giver.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[1])
        for moved in giver.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
            giver.migrate("127.0.0.1", _port(taker), moved, 0, 5_000)
        for node in (taker, giver, *self._nodes):
            node.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[1])


class Watched:
    """A primary, its replica, and a sentinel that makes the replica primary when the primary is gone.

    Attributes:
        client: A client that asks the sentinel who is primary.
    """

    def __init__(self, stack: ExitStack, binary: str, folder: Path) -> None:
        self._primary = stack.enter_context(redis_server(binary))
        options = ("--replicaof", "127.0.0.1", str(self._primary.port))
        self._replica = stack.enter_context(redis_server(binary, options=options))
        replica = stack.enter_context(self._replica.client())
        _wait(lambda: replica.info("replication")["master_link_status"] == "up")
        settings = folder / "sentinel.conf"
        settings.write_text(
            f"sentinel monitor {NAME} 127.0.0.1 {self._primary.port} 1\n"
            f"sentinel down-after-milliseconds {NAME} 500\n"
            f"sentinel failover-timeout {NAME} 5000\n"
        )
        sentinel = stack.enter_context(redis_server(binary, sentinel=settings))
        self._sentinel = stack.enter_context(sentinel.client())
        _wait(lambda: self._told()["num-slaves"] == 1)
        watch = Sentinel([("127.0.0.1", sentinel.port)], socket_timeout=2)
        stack.callback(lambda: [client.close() for client in watch.sentinels])
        self.client = watch.master_for(NAME, socket_timeout=2)
        stack.callback(self.client.close)

    def _told(self) -> dict[str, int]:
        found: dict[str, int] = self._sentinel.sentinel_master(NAME)
        return found

    def fail_over(self) -> None:
        """Kill the primary, and wait until the replica is one."""
        kill(self._primary)
        _wait(lambda: self._told()["port"] == self._replica.port)


def _is_whole(node: redis.Redis) -> bool:
    info = node.execute_command("CLUSTER INFO")
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(NODES)


def _port(node: redis.Redis) -> int:
    port: int = node.connection_pool.connection_kwargs["port"]
    return port


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the servers do not agree"
        time.sleep(0.05)


@contextmanager
def cluster(binary: str) -> Iterator[Cluster]:
    """Run a cluster of a kind of server, a name of `BINARIES`."""
    with ExitStack() as stack:
        yield Cluster(stack, binary)


@contextmanager
def watched(binary: str, folder: Path) -> Iterator[Watched]:
    """Run a primary that is watched, of a kind of server; `folder` is for the sentinel's settings."""
    with ExitStack() as stack:
        yield Watched(stack, binary, folder)
