"""The servers that a fault is done to: what there is, where a fleet finds its ledger, and what keeps its data."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from redis.crc import key_slot

from tests.integration.stores import Store
from tests.topologies import NODES, SLOTS, behind_one_address, cluster, watched

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

ACCOUNT = "campaign"


class Stage(NamedTuple):
    """What a fleet works with.

    Attributes:
        place: Where its ledger is; see `client_at`.
        what: The servers, as their kind is known in `tests`.
        data: Returns a client for each server that keeps data now.
        accounts: The accounts that are served.
    """

    place: str
    what: object
    data: Callable[[], list[redis.Redis]]
    accounts: tuple[str, ...] = (ACCOUNT,)


@contextmanager
def alone(binary, folder, **settings):
    """One server, behind a proxy."""
    with ExitStack() as stack:
        store = Store(stack, binary, folder, **settings)
        yield Stage(store.url, store, lambda: [store.client])


def with_append_only_file(binary, folder):
    """One server that writes down all that it is told."""
    return alone(binary, folder, options=("--appendonly", "yes"))


class ShiftedClock:
    """Sets a server's clock, by a library that is loaded before the others.

    Args:
        folder: Where it writes the shift that it wants.
    """

    LIBRARIES = "/usr/lib/*/faketime/libfaketime.so.1"

    def __init__(self, folder):
        self._file = folder / "clock"
        self._shift = 0
        self.shift(0)

    @classmethod
    def library(cls):
        """Return the library, `None` where it is not installed."""
        return next(iter(sorted(Path("/").glob(cls.LIBRARIES.lstrip("/")))), None)

    @property
    def env(self):
        return {
            "LD_PRELOAD": str(self.library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def shift(self, seconds):
        """Set the clock ahead, or back where `seconds` are negative."""
        self._shift += seconds
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._shift:+d}\n")
        # At once: the server reads it whenever it asks for the time.
        new.replace(self._file)


@contextmanager
def with_a_clock(binary, folder):
    """One server whose clock can be set: `what` is the store and the clock."""
    clock = ShiftedClock(folder)
    with alone(binary, folder, env=clock.env) as stage:
        yield stage._replace(what=(stage.what, clock))


@contextmanager
def pair(binary, _folder):
    """A primary and its replica behind one address."""
    with behind_one_address(binary) as both:
        yield Stage(both.place, both, both.clients)


@contextmanager
def sentinels(binary, folder):
    """A primary and its replica, watched by three sentinels."""
    with ExitStack() as stack:
        one = stack.enter_context(watched(binary, folder, sentinels=3))
        yield Stage(one.place, one, lambda: [stack.enter_context(one.primary.client())])


def _spread(each):
    """Return names of accounts, as many on each node of a cluster."""
    found = defaultdict(list)
    number = 0
    while len(found) < NODES or any(len(names) < each for names in found.values()):
        name = f"{ACCOUNT}-{number}"
        node = next(n for n in reversed(range(NODES)) if key_slot(name.encode()) >= n * SLOTS // NODES)
        if len(found[node]) < each:
            found[node].append(name)
        number += 1
    return tuple(name for node in range(NODES) for name in found[node])


@contextmanager
def _cluster(binary, *, accounts, **settings):
    with cluster(binary, **settings) as one:
        yield Stage(one.place, one, one.primaries, _spread(accounts))


def nodes(binary, _folder):
    """A cluster of three, with two accounts on each node."""
    return _cluster(binary, accounts=2)


def nodes_and_replica(binary, _folder):
    """A cluster of three; the first node has a replica."""
    return _cluster(binary, accounts=1, with_replica=True)


def nodes_that_go_on(binary, _folder):
    """A cluster of three that serves what it can while a node is gone."""
    return _cluster(binary, accounts=1, options=("--cluster-require-full-coverage", "no"))
