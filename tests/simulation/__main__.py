"""Lives of many seeds: `python -m tests.simulation --seeds 10000`, or `--hours 8`.

Every scenario lives through every seed, `--jobs` at a time. A fault prints the line that replays it, and makes the exit
code 1. Figures by scenario come last, as the table that the docs show.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from typing import TYPE_CHECKING

from tests.simulation.scenarios import SCENARIOS
from tests.simulation.world import Fault, Figures, World

if TYPE_CHECKING:
    from collections.abc import Iterable

CHUNK = 20
"""Seeds that a worker lives through before it tells of them."""


def live(name: str, seeds: Iterable[int]) -> tuple[str, Figures, list[str]]:
    """Live through a scenario with some seeds; return its name, the figures, and the faults."""
    figures, faults = Figures(), []
    for seed in seeds:
        try:
            figures.add(World(SCENARIOS[name], seed).live())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a find
            kind = "" if isinstance(error, Fault) else f"{type(error).__name__}: "
            faults.append(f"python -m tests.simulation --only {name!r} --replay {seed}  # {kind}{error}"[:500])
    return name, figures, faults


def table(figures: dict[str, Figures]) -> str:
    """Return the figures as a Markdown table."""
    rows = ["| scenario | seeds | admissions | calls | overshoots | late dials | busy % | longest wait s |"]
    rows.append("|---|" + "---:|" * 7)
    total = Figures()
    for name, one in [*figures.items(), ("all", total)]:
        rows.append(
            f"| {name} | {one.seeds:,} | {one.admissions:,} | {one.calls:,} | {one.overshoots} | {one.late:,} "
            f"| {one.busy:.0%} | {one.longest_wait:.0f} |"
        )
        total.add(one)
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS), metavar="SCENARIO")
    parser.add_argument("--seeds", type=int, default=100, help="of each scenario (default: 100)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--hours", type=float, help="go on for so long, whatever --seeds says")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--replay", type=int, metavar="SEED", help="live through one seed, and raise what it raises")
    args = parser.parse_args()
    if args.replay is not None:
        for name in args.only:
            print(name, World(SCENARIOS[name], args.replay).live())
        return 0
    until = None if args.hours is None else time.monotonic() + 3600 * args.hours
    last = None if until is not None else args.first + args.seeds
    chunks = (
        (name, range(first, min(first + CHUNK, last or first + CHUNK)))
        for first in (range(args.first, last, CHUNK) if last is not None else itertools.count(args.first, CHUNK))
        for name in args.only
    )
    figures = {name: Figures() for name in args.only}
    found = 0
    with ProcessPoolExecutor(args.jobs) as pool:
        running = {pool.submit(live, *chunk) for chunk in itertools.islice(chunks, 2 * args.jobs)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                name, more, faults = future.result()
                figures[name].add(more)
                found += len(faults)
                print("".join(f"{fault}\n" for fault in faults), end="", flush=True)
                if until is None or time.monotonic() < until:
                    running |= {pool.submit(live, *chunk) for chunk in itertools.islice(chunks, 1)}
    print(table(figures))
    print(f"\n{found} faults")
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
