"""All states of a small account: `python -m tests.exhaustive`; a sample of them through Lua: `--lua 1000`.

For each limit, the search visits every state that three reservations and two readings can come into, and prints how
many there are. The walks drive the production script on every server at hand.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace

from admission.ledger.wire import Kind
from tests.exhaustive.account import FAR, Scope
from tests.exhaustive.search import Search
from tests.exhaustive.walk import SCOPES as WALKS
from tests.exhaustive.walk import Walk
from tests.servers import BINARIES, redis_server

SCOPES = (
    Scope(1),
    Scope(1, steps=4, kinds=(Kind.HOLD, Kind.TRACK), duration=2),
    Scope(1, kinds=(Kind.HOLD, Kind.PLACE, Kind.TRACK)),
    Scope(2, steps=4),
)
"""What is searched, the longest last."""


def name_of(scope: Scope) -> str:
    """Say how much may happen in a scope."""
    kinds = " or ".join(kind.name.lower() for kind in scope.kinds)
    ends = "" if scope.duration == FAR else f", max_call_duration {scope.duration}"
    return (
        f"limit {scope.limit}, {scope.reservations} reservations ({kinds}), {scope.readings} readings, "
        f"{scope.steps} moments{ends}"
    )


def visit(scope: Scope) -> str:
    """Search a scope; return a line of figures."""
    began, worked = time.monotonic(), time.process_time()
    search = Search(scope)
    search.run()
    return (
        f"{name_of(scope)}: {search.states:,} states, {search.steps:,} steps between them, "
        f"{search.admitted_again:,} slots given anew, no overshoot; "
        f"{time.monotonic() - began:.0f} s, {time.process_time() - worked:.0f} s of a core"
    )


def walk(walks: int) -> None:
    """Walk on every server at hand."""
    for name in BINARIES:
        began, steps = time.monotonic(), 0
        with redis_server(name) as server, server.client() as client:
            for seed in range(walks):
                steps += Walk(client, WALKS[seed % len(WALKS)], seed).run()
        print(
            f"{name}: {walks:,} walks, {steps:,} steps, no difference, no overshoot; {time.monotonic() - began:.0f} s"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.exhaustive", description=__doc__)
    parser.add_argument("--limit", type=int, choices=(1, 2), help="only the scopes of this limit (default: all)")
    parser.add_argument("--steps", type=int, help="moments (default: as the scopes have them)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--lua", type=int, metavar="WALKS", help="walk through Lua instead, so many times a server")
    args = parser.parse_args()
    if args.lua:
        walk(args.lua)
        return 0
    scopes = [scope for scope in SCOPES if args.limit in {None, scope.limit}]
    if args.steps:
        scopes = list(dict.fromkeys(replace(scope, steps=args.steps) for scope in scopes))
    with ProcessPoolExecutor(args.jobs) as pool:
        for done in as_completed([pool.submit(visit, scope) for scope in scopes]):
            print(done.result(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
