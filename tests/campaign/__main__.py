"""Every fault on every server at hand: `python -m tests.campaign`, or `--only "keys evicted" --rounds 10`.

Prints a table of what came of each, and what must not be; the exit code is 1 if there is any of that.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.campaign.engine import LIMIT, Outcome, run
from tests.campaign.faults import FAULTS
from tests.servers import BINARIES

HEAD = (
    "fault", "server", "admissions", "peak / limit", "overshoots", "late placements", "store errors",
    "seconds until admissions resumed",
)  # fmt: skip


def row(*cells):
    return f"| {' | '.join(map(str, cells))} |"


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(FAULTS), default=list(FAULTS), metavar="FAULT")
    parser.add_argument("--servers", nargs="+", choices=list(BINARIES), default=list(BINARIES), metavar="SERVER")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each fault on each server (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the first round (default: 0)")
    parser.add_argument("--complaints", action="store_true", help="show what the processes wrote to stderr")
    args = parser.parse_args()
    total, began = Outcome(), time.monotonic()
    print(row(*HEAD), "|---|---|" + "---:|" * (len(HEAD) - 2), sep="\n", flush=True)
    wrong = []
    for name in args.only:
        for binary in args.servers:
            if missing := FAULTS[name].missing():
                print(row(name, binary, f"not done: {missing}", *[""] * (len(HEAD) - 3)), flush=True)
                continue
            sum_up = Outcome()
            for seed in range(args.seed, args.seed + args.rounds):
                one = run(name, binary, seed)
                replay = f"python -m tests.campaign --only {name!r} --servers {binary} --seed {seed}"
                wrong += [f"{replay}  # {what}" for what in one.wrong]
                sum_up.add(one)
            print(_row(name, binary, sum_up), flush=True)
            if args.complaints:
                print(sum_up.complaints, file=sys.stderr)
            total.add(sum_up)
    print(_row("all", "", total))
    print(f"\n{time.monotonic() - began:.0f} s; {len(wrong)} things that must not be", *wrong, sep="\n")
    return min(len(wrong), 1)


def _row(name, binary, outcome):
    numbers = outcome.overshoots, outcome.late, outcome.down, f"{outcome.resumed:.1f}"
    return row(name, binary, f"{outcome.admissions:,}", f"{outcome.peak} / {LIMIT}", *numbers)


if __name__ == "__main__":
    sys.exit(main())
