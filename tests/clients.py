"""Where a ledger is, as text that one process can tell another."""

from __future__ import annotations

from redis.cluster import ClusterNode, RedisCluster
from redis.sentinel import Sentinel

HOST = "127.0.0.1"
PATIENCE = 2.0
"""Seconds that a client waits for a server."""


def client_at(place):
    """Return what `RedisLedger` takes for a place.

    Args:
        place: A URL; or `sentinel:NAME:PORT,PORT` or `cluster:PORT,PORT`, of servers on this machine.
    """
    kind, _, rest = place.partition(":")
    if kind == "sentinel":
        name, _, ports = rest.partition(":")
        watch = Sentinel([(HOST, int(port)) for port in ports.split(",")], socket_timeout=PATIENCE)
        return watch.master_for(name, socket_timeout=PATIENCE)
    if kind == "cluster":
        nodes = [ClusterNode(HOST, int(port)) for port in rest.split(",")]
        return RedisCluster(startup_nodes=nodes, socket_timeout=PATIENCE)
    return place
