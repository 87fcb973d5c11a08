"""Many accounts on a cluster: what `sizing.py` says that they take, on paper, and what a short load really takes.

The load: processes with a guard for each account, through one `RedisLedger` of each process; calls come at random, each
in some account. Everything of it runs on this machine.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from admission import AsyncGuard, Policy, RedisLedger, Usage
from benchmarks.accounts import Counting, used_memory
from benchmarks.report import Column, Result
from benchmarks.sizing import CALL_ID, Meter, measure
from tests.clients import client_at
from tests.topologies import SLOTS, cluster

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

    import redis

    from benchmarks.harness import Options
    from benchmarks.report import Row
    from benchmarks.sizing import Units
    from tests.topologies import Cluster

BATCH = 100
"""Accounts of a process that are opened at the same time."""
PATIENCE = 180.0
IDLE = 5.0
"""Seconds for which the cluster is looked at before anybody uses it."""
POLICY = Policy(visibility_lag=1.0)
MEGABYTE = 1e6
NODES = 3
LINES = 20
"""Of each account."""

COLUMNS = (
    Column("subject", "per node, of three; or per process"),
    Column("example", "on paper: the example", ",.1f"),
    Column("paper", "on paper: the load", ",.1f"),
    Column("measured", "measured: the load", ",.1f"),
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Accounts, processes, and calls.

    Attributes:
        accounts, processes: How many; each process may call in each account.
        rate: Calls a second of all processes.
        talk: Seconds that one lasts.
        seconds: How long it has gone on.
    """

    accounts: int
    processes: int
    rate: float
    talk: float
    seconds: float

    @property
    def live(self) -> float:
        """Calls at once."""
        return self.rate * self.talk


EXAMPLE = Plan(accounts=2_000, processes=50, rate=30.0, talk=60.0, seconds=3_600.0)


class Figures(NamedTuple):
    """What a plan takes: of each node, where nothing else is said."""

    runs: float
    """Runs of the script a second."""
    redis: float
    """Percent of a core."""
    megabytes: float
    connections: float
    client: float
    """Percent of a core, of each process."""


def on_paper(plan: Plan, units: Units) -> Figures:
    """Add up what a plan takes: every call in a quiet account, every live one alone in its process and account."""
    used = plan.accounts * (1 - math.exp(-plan.live / plan.accounts))
    slots = SLOTS * (1 - math.exp(-plan.accounts / SLOTS))
    size = (
        plan.accounts * units.account + slots * units.slot + used * (units.in_use - units.account)
        + (plan.live - used) * (units.held + units.process) + plan.rate * min(plan.seconds, 3_600) * units.call_id
    )  # fmt: skip
    cpu = plan.rate * units.quiet.redis + plan.live * units.beat.redis
    client = plan.rate * units.quiet.client + plan.live * units.beat.client
    return Figures(
        runs=(plan.rate * units.quiet.runs + plan.live * units.beat.runs) / NODES,
        redis=100 * cpu / NODES,
        megabytes=size / NODES / MEGABYTE,
        connections=plan.processes * 2 + plan.processes / NODES,
        client=100 * client / plan.processes,
    )


def run(options: Options) -> Result:
    """Add up the example and a load, and measure the load; quick: a smaller one, for a shorter time."""
    seconds = 20.0 if options.quick else 45.0
    talk = 10.0 if options.quick else 15.0
    plan = Plan(accounts=600 if options.quick else 2_000, processes=4, rate=30.0, talk=talk, seconds=talk + seconds)
    units = measure(options)
    with cluster(options.server) as servers:
        measured, remark = _measure(servers, plan, seconds)
    columns = (on_paper(EXAMPLE, units), on_paper(plan, units), measured)
    subjects = (
        "script runs a second", "Redis, percent of a core", "megabytes", "connections", "a process, percent of a core",
    )  # fmt: skip
    rows: list[Row] = [
        {"subject": subject, "example": example, "paper": paper, "measured": found}
        for subject, example, paper, found in zip(subjects, *columns, strict=True)
    ]
    notes = (
        f"Example: {_told(EXAMPLE)}, for an hour and more.",
        f"Load: {_told(plan)}, for {seconds:g} s; {remark}.",
        "On paper: what `sizing` has measured before, times how many there are. Each call in a quiet account.",
    )
    return Result(title="cluster: many accounts, on paper and measured", columns=COLUMNS, rows=rows, notes=notes)


def _told(plan: Plan) -> str:
    return (
        f"{plan.accounts:,} accounts, {plan.processes} processes, {plan.rate:g} calls a second of {plan.talk:g} s,"
        f" so {plan.live:,.0f} at once"
    )


# Measured


def _measure(servers: Cluster, plan: Plan, seconds: float) -> tuple[Figures, str]:
    meter = Meter(*servers.nodes)
    time.sleep(IDLE)
    idle = meter.read().redis / meter.seconds
    memory = _memory(servers.nodes)
    context = multiprocessing.get_context("spawn")
    begin, results = context.Barrier(plan.processes + 1), context.Queue()
    counts = context.Array("i", plan.processes * plan.accounts, lock=False)
    workers = [
        context.Process(target=_work, args=(servers.place, plan, number, counts, begin, results))
        for number in range(plan.processes)
    ]
    for worker in workers:
        worker.start()
    try:
        begin.wait(PATIENCE)  # every account was used once
        time.sleep(plan.talk)
        meter = Meter(*servers.nodes)
        time.sleep(seconds)
        spent, took = meter.read(idle), meter.seconds
        used = _memory(servers.nodes) - memory
        connections = sum(_connections(node) for node in servers.nodes)
        told = [results.get(timeout=PATIENCE) for _ in workers]
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    calls, client = (sum(part) for part in zip(*told, strict=True))
    each = [node.dbsize() for node in servers.nodes]
    remark = f"{calls / plan.seconds:.1f} calls a second came of it; keys of the nodes: {', '.join(map(str, each))}"
    return Figures(
        runs=spent.runs / took / NODES,
        redis=100 * spent.redis / took / NODES,
        megabytes=used / NODES / MEGABYTE,
        connections=connections / NODES,
        client=100 * client / plan.seconds / plan.processes,
    ), remark


def _memory(nodes: list[redis.Redis]) -> int:
    return sum(map(used_memory, nodes))


def _connections(node: redis.Redis) -> int:
    """Return how many connections the guards have: those of redis-py's own cluster client only ask who has what."""
    return sum(client["cmd"] in {"evalsha", "ssubscribe", "subscribe", "info", "ping"} for client in node.client_list())


class Truth(Counting):
    """The provider of one account: it counts the calls of all processes. Each writes down its own."""

    def __init__(self, plan: Plan, counts: Sequence[int], number: int) -> None:
        super().__init__(LINES)
        self._all = counts
        self._places = range(number, len(counts), plan.accounts)

    def fetch(self) -> Usage:
        return Usage(limit=self.limit, count=sum(self._all[place] for place in self._places))


def _work(
    place: str, plan: Plan, number: int, counts: list[int], begin: Barrier, results: Queue[tuple[int, float]]
) -> None:
    results.put(asyncio.run(_load(place, plan, number, counts, begin)))


async def _load(place: str, plan: Plan, number: int, counts: list[int], begin: Barrier) -> tuple[int, float]:
    """Call; return how many calls were placed, and the seconds of processor time that it took."""
    dice = random.Random(f"cluster {number}")
    ledger = RedisLedger(client_at(place))
    placed = 0

    async def call(name: int, talk: float) -> None:
        nonlocal placed
        mine = number * plan.accounts + name
        async with guards[name].hold() as reservation:
            placed += 1
            counts[mine] += 1
            reservation.placed(CALL_ID.format(placed * plan.processes + number))
            await asyncio.sleep(talk)
            counts[mine] -= 1
            reservation.ended()

    async with AsyncExitStack() as stack:
        guards = [
            await stack.enter_async_context(
                AsyncGuard(Truth(plan, counts, name), ledger, account=f"a{name}", policy=POLICY)
            )
            for name in range(plan.accounts)
        ]
        mine = range(number, plan.accounts, plan.processes)
        for first in range(0, len(mine), BATCH):
            await asyncio.gather(*(call(name, 0.0) for name in mine[first : first + BATCH]))
        await asyncio.to_thread(begin.wait, PATIENCE)
        placed, worked, until = 0, time.process_time(), time.monotonic() + plan.seconds
        calls = []
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, dice.expovariate(plan.rate / plan.processes)))
            calls.append(asyncio.create_task(call(dice.randrange(plan.accounts), plan.talk)))
        worked = time.process_time() - worked
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    return placed, worked
