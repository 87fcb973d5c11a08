"""Interrupt callers at every moment, then at random ones: `python -m tests.storm --seconds 1200`.

First every point of the package's code and every suspension of a task once, on virtual time; then crowds and real
signals at random moments, by seed, with a ledger in memory and one on a Redis server, until the time is over. Prints
how many interruptions came, by kind and place, and every fault; a fault makes the exit code 1.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack

from tests.servers import redis_server
from tests.storm import directly
from tests.storm.crowds import ROOMY, TIGHT, Account, storm
from tests.storm.singles import COLOURS, MANNERS, SIGNALS, WAYS, Tally, by_cancelling, by_signals, listening, run_on

CROWD = 2.0
"""Seconds that a crowd is interrupted, before everything must be in order."""
SIGNALLED = 10.0
"""Seconds that a process lives which is sent signals."""
PLACES = 20
"""Places that are shown of each kind."""


def every_moment(tally: Tally) -> None:
    """Interrupt every way at every point, on both colours, with either error; and cancel it in every manner."""
    for colour in COLOURS.values():
        for way in WAYS.values():
            run_on(colour, lambda noise, c=colour, w=way: by_signals(c, w, noise, tally, errors=SIGNALS, times=2))
            report(f"every point: {colour.name}, {way.name}", tally)
    for way in WAYS.values():
        for manner in MANNERS:
            run_on(COLOURS["tasks"], lambda noise, w=way, m=manner: by_cancelling(COLOURS["tasks"], w, noise, tally, m))
        report(f"every suspension: {way.name}", tally)


def every_moment_on_redis(url: str, tally: Tally) -> None:
    """The same for callers that ask a server by themselves."""
    for colour in COLOURS:
        account = Account(200, url, f"direct-{colour}")
        account.open()
        directly.by_signals(account, colour, tally)
        account.close()
        report(f"every point of who asks by itself: {colour}", tally)


def crowd(account: Account, seed: int, tally: Tally) -> None:
    with listening() as noise:
        storm(account, seed, CROWD, noise, tally)


def signalled(colour: str, url: str | None, seed: int, tally: Tally) -> None:
    """Send signals to a process whose main thread dials."""
    command = [sys.executable, "-m", "tests.storm.signals", "--colour", colour, "--seed", str(seed)]
    command += ["--seconds", str(SIGNALLED), *(["--url", url] if url else [])]
    label = " ".join(command[2:])
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20 * SIGNALLED)
        told = json.loads(run.stdout)
    except subprocess.TimeoutExpired as error:
        tally.faults.append(f"{label}: {error!r}")
        return
    except ValueError:
        tally.faults.append(f"{label}: ended with {run.returncode}: {run.stderr[-2000:]}")
        return
    tally.faults += [f"{label}: {fault}" for fault in told["faults"]]
    if run.stderr:
        tally.faults.append(f"{label}: {run.stderr[-2000:]}")
    for key, times in told["struck"].items():
        kind, _, place = key.partition("\n")
        tally.struck[kind, place] += times


BEGAN = time.monotonic()
TOLD = [0]


def report(done: str, tally: Tally) -> None:
    """Tell what was done, and the faults found since the last time."""
    faults, TOLD[0] = tally.faults[TOLD[0] :], len(tally.faults)
    print(f"{time.monotonic() - BEGAN:6.0f} s  {tally.struck.total():7,} interruptions  {done}", flush=True)
    for fault in faults:
        print(f"FAULT {fault[:1000]}", flush=True)


def table(tally: Tally) -> str:
    """Return the figures, by kind and place."""
    kinds = Counter[str]()
    for (kind, _), times in tally.struck.items():
        kinds[kind] += times
    lines = []
    for kind, total in kinds.most_common():
        places = Counter({place: times for (other, place), times in tally.struck.items() if other == kind})
        lines.append(f"{total:9,}  {kind}, at {len(places)} places")
        lines += [f"{times:15,}  {place}" for place, times in places.most_common(PLACES)]
    lines.append(f"{tally.struck.total():9,}  in all, at {len({place for _, place in tally.struck})} places")
    kept = Counter(place for _, place in tally.kept.elements())
    lines.append(f"{kept.total():9,}  of them kept a slot for as long as the exception was kept, or one longest call")
    lines += [f"{times:15,}  {place}" for place, times in kept.most_common()]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for random moments (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--random", action="store_true", help="random moments only")
    args = parser.parse_args()
    tally = Tally()
    with ExitStack() as stack:
        url = stack.enter_context(redis_server()).url
        if not args.random:
            every_moment(tally)
            every_moment_on_redis(url, tally)
        accounts = [Account(lines, where) for lines in (TIGHT, ROOMY) for where in (None, url)]
        for account in accounts:
            account.open()
        end = time.monotonic() + args.seconds
        for seed in itertools.count(args.seed):
            for account in accounts:
                crowd(account, seed, tally)
            for colour in COLOURS:
                for where in (None, url):
                    if time.monotonic() < end:
                        signalled(colour, where, seed, tally)
            report(f"seed {seed}", tally)
            if time.monotonic() >= end:
                break
        for account in accounts:
            account.close()
    print(table(tally))
    print(f"{len(tally.faults):9,}  faults")
    return min(1, len(tally.faults))


if __name__ == "__main__":
    sys.exit(main())
