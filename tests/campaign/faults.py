"""What is done to the servers, or to the processes, while a fleet works: one description for each fault."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import OutOfMemoryError

from admission.ledger.redis.pipe import TIMEOUT
from admission.ledger.wire import BEAT_MS
from tests.campaign import stages
from tests.servers import freeze, thaw

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.campaign.engine import Scene

POLICY = {
    "refresh_interval": 0.1, "visibility_lag": 0.1, "placement_timeout": 1.0, "lease_ttl": 1.0, "max_staleness": 2.0,
}  # fmt: skip
"""Short, so that everything that can lapse lapses within a run."""
LONGEST = POLICY["placement_timeout"] + POLICY["visibility_lag"] + POLICY["lease_ttl"]
"""Seconds after which nothing is left of a process that was not heard: longer than every lease."""
PAUSE = BEAT_MS / 1000 + POLICY["visibility_lag"]
"""Seconds at the beginning of an epoch in which nothing is claimed."""
MUTE = TIMEOUT
"""Seconds until a connection that says nothing is given up."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        stage: The servers that it is done to: made for a kind of server and a folder.
        strike: Does it, and undoes it.
        times: How often in a run.
        think: Seconds that a caller takes from its admission to its dial.
        pause: Seconds for which nothing may be admitted once all is well again, as is documented.
        promised: Whether no overshoot is promised while it lasts.
        missing: Says what is missing where it cannot be done; empty where it can.
    """

    stage: Callable
    strike: Callable[[Scene], None]
    times: int = 2
    think: float = 0.0
    pause: float = 0.0
    promised: bool = True
    missing: Callable[[], str] = lambda: ""


# Processes


def kill_a_dialer(scene):
    fleet = scene.rng.choice(scene.fleets)
    victim = scene.rng.choice(fleet.processes)
    fleet.kill(victim)
    scene.is_well()
    fleet.add(victim.job.colour).start()


def stop_a_dialer(scene):
    victim = scene.rng.choice(scene.rng.choice(scene.fleets).processes)
    victim.freeze()
    scene.work(1.2 * POLICY["placement_timeout"], LONGEST)
    victim.thaw()


# One server


def flush(scene):
    scene.what.client.flushall()


def flush_scripts(scene):
    for _ in range(5):
        scene.what.client.script_flush()
        scene.work(0.05, 0.2)


def restart(scene):
    scene.what.kill()
    scene.work(0.0, 0.5)
    scene.what.start()


def refuse_writes(scene):
    """The server has no memory left, and evicts nothing."""
    server = scene.what.client
    server.config_set("maxmemory-policy", "noeviction")
    server.config_set("maxmemory", 100_000)
    scene.work(0.5, 2.0)
    server.config_set("maxmemory", 0)


def evict(scene):
    """The server has no memory left, and throws keys away that have a TTL."""
    server = scene.what.client
    evicted = server.info("stats")["evicted_keys"]
    server.config_set("maxmemory-policy", "volatile-lru")
    server.config_set("maxmemory", server.info("memory")["used_memory"] + 500_000)
    try:
        for number in range(1_000):
            server.set(f"filler-{number}", os.urandom(20_000))
            if server.info("stats")["evicted_keys"] > evicted:
                break
    except OutOfMemoryError:
        pass  # everything that had a TTL is gone
    assert server.info("stats")["evicted_keys"] > evicted
    server.config_set("maxmemory", 0)
    server.delete(*server.keys("filler-*"))


def stand_still(scene):
    freeze(scene.what.server)
    scene.work(0.5, 3.0)
    thaw(scene.what.server)


def turn_read_only(scene):
    """The primary is made a replica of a server that is not there."""
    scene.what.client.replicaof("127.0.0.1", 1)
    scene.work(0.5, 2.0)
    scene.what.client.replicaof("NO", "ONE")


# The way to it


def delay(scene):
    proxy = scene.what.proxy
    proxy.delay = scene.rng.uniform(0.05, 0.3)
    scene.work(1.0, 2.5)
    proxy.delay = 0.0


def cut(scene):
    """Connections break at requests of all kinds, before the server gets them or after it has answered."""
    for _ in range(15):
        verb = scene.rng.choice(["ask", "claim", "placed", "leave", "ended", "withdraw", "beat", "duty", "reading"])
        scene.what.proxy.cut(f"\r\n{verb}\r\n".encode(), before=scene.rng.random() < 0.5)
        scene.work(0.05, 0.2)
    scene.what.proxy.cut(b"", before=True)


def swallow(scene):
    scene.what.proxy.swallow()
    scene.work(1.0, 1.5 * MUTE)
    scene.what.proxy.up()


def outage(scene):
    scene.what.proxy.down()
    scene.work(1.2 * LONGEST, 1.8 * LONGEST)
    scene.what.proxy.up()


def strand(scene):
    """Who is connected hears nothing any more; who connects anew is served."""
    scene.what.proxy.strand()


# Its clock


def set_ahead(scene):
    scene.what[1].shift(scene.rng.randint(60, 4 * 3600))


def set_back(scene):
    scene.what[1].shift(-scene.rng.randint(60, 4 * 3600))


def no_clock():
    return "" if stages.ShiftedClock.library() else f"no {stages.ShiftedClock.LIBRARIES} (Debian's package `faketime`)"


# Several servers


def lead_to_the_replica(scene):
    """The address leads to the replica for a while."""
    pair = scene.what
    pair.point_at(pair.replica)
    scene.work(0.5, 1.5)
    # The connections to the replica stay.
    pair.proxy.target = pair.primary.port


def move_the_address(scene):
    """The replica becomes the primary behind the same address; connections to the old one stay."""
    scene.what.swap()
    scene.is_well()
    scene.what.wait_replicated()


def split_brain(scene):
    """Both are primaries for a while: half of the connections follow the address to the new one."""
    scene.what.split()
    scene.what.proxy.cut_half()
    scene.work(1.0, 2.5)
    scene.what.heal()
    scene.is_well()
    scene.what.wait_replicated()


def fail_over(scene):
    scene.what.fail_over()


def fail_over_half_open(scene):
    """The primary stands still with its connections open; it goes on when nobody waits for it any more.

    Who still did would be answered, by a primary beside the new one: a split brain.
    """
    scene.what.stall()
    scene.is_well()
    scene.work(MUTE + 1.0, MUTE + 2.0)
    scene.what.go_on()


def move_a_slot(scene):
    scene.what.move(f"admission:{{{scene.rng.choice(list(scene.sites))}}}:line")


def kill_a_node_with_a_replica(scene):
    """The first node is killed, and its replica takes its slots over."""
    scene.what.fail_over()


def kill_a_node(scene):
    """A node is killed; the accounts of the others are served, its own when it is back."""
    scene.what.kill(0)
    scene.work(2.5, 3.5)
    scene.check_admitted(list(scene.sites)[1:])
    scene.what.start(0)


FAULTS = {
    "dialers killed": Fault(stage=stages.alone, strike=kill_a_dialer, times=4),
    "dialers stopped past the deadline": Fault(stage=stages.alone, strike=stop_a_dialer, times=3, think=0.2),
    "flushed": Fault(stage=stages.alone, strike=flush, times=3, pause=PAUSE),
    "scripts flushed": Fault(stage=stages.alone, strike=flush_scripts, times=3),
    "restarted empty": Fault(stage=stages.alone, strike=restart, times=3, pause=PAUSE),
    "restarted with its append-only file": Fault(
        stage=stages.with_append_only_file, strike=restart, times=3, pause=PAUSE
    ),
    "writes refused, memory full": Fault(stage=stages.alone, strike=refuse_writes, times=3),
    "keys evicted": Fault(stage=stages.alone, strike=evict, times=3, pause=PAUSE),
    "stands still": Fault(stage=stages.alone, strike=stand_still),
    "primary turned read-only": Fault(stage=stages.alone, strike=turn_read_only),
    "way delayed": Fault(stage=stages.alone, strike=delay),
    "way cut": Fault(stage=stages.alone, strike=cut),
    "way swallows": Fault(stage=stages.alone, strike=swallow),
    "half-open connections": Fault(stage=stages.alone, strike=strand, pause=MUTE),
    "outage longer than every lease": Fault(stage=stages.alone, strike=outage),
    "clock set ahead": Fault(stage=stages.with_a_clock, strike=set_ahead, times=3, pause=PAUSE, missing=no_clock),
    "clock set back": Fault(stage=stages.with_a_clock, strike=set_back, times=3, missing=no_clock),
    "address led to a replica": Fault(stage=stages.pair, strike=lead_to_the_replica),
    "address moved to the new primary": Fault(stage=stages.pair, strike=move_the_address, pause=PAUSE),
    "split brain": Fault(stage=stages.pair, strike=split_brain, pause=PAUSE, promised=False),
    "failover by sentinels": Fault(stage=stages.sentinels, strike=fail_over, times=1, pause=PAUSE),
    "failover, connections half-open": Fault(
        stage=stages.sentinels, strike=fail_over_half_open, times=1, pause=PAUSE + MUTE
    ),
    "cluster: a slot moved": Fault(stage=stages.nodes, strike=move_a_slot, times=3, pause=PAUSE),
    "cluster: a replica takes over": Fault(
        stage=stages.nodes_and_replica, strike=kill_a_node_with_a_replica, times=1, pause=PAUSE
    ),
    "cluster: a node gone, the others go on": Fault(
        stage=stages.nodes_that_go_on, strike=kill_a_node, times=1, pause=PAUSE
    ),
}
"""Every fault, by name."""
