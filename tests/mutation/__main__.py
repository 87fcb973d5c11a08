"""Put small faults into the ledger and the core, one at a time, and see whether the tests find them.

`python -m tests.mutation --only lua --sample 100 --seed 7` prints one line for each mutant that no test has killed, and
the share of those that were. What `survivors.toml` knows is not tried again.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import tomllib
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from tests.mutation import lua, python
from tests.mutation.mutant import HOME, Mutant
from tests.mutation.suites import FILES, Suite
from tests.mutation.trial import Trial, preload, try_out
from tests.servers import BINARIES

SURVIVORS = Path(__file__).parent / "survivors.toml"
LEAST_PATIENCE = 20.0
"""Seconds that a suite may take at least."""
ALIVE = frozenset(("survived", "unseen"))
SERVER = next(iter(BINARIES))


class Fate(NamedTuple):
    """What became of a mutant in the end, and in which suite."""

    mutant: Mutant
    suite: str
    trial: Trial


def all_mutants(only: str = "", places: tuple[str, ...] = ()) -> list[Mutant]:
    """Return the mutants of all files, or of one language, or of some places: `path` or `path:line`."""
    found = []
    for path in FILES:
        language = lua if path.endswith(".lua") else python
        if only and language.__name__.rpartition(".")[2] != only:
            continue
        if places and path not in {place.partition(":")[0] for place in places}:
            continue
        found += language.mutants(path, (HOME / path).read_text("utf-8"))
    if any(":" in place for place in places):
        found = [mutant for mutant in found if f"{mutant.path}:{mutant.line}" in places]
    return found


def known_survivors() -> dict[tuple[str, str, str, str], str]:
    """Return why each mutant of `survivors.toml` is left alone, by its key."""
    entries = tomllib.loads(SURVIVORS.read_text("utf-8"))
    return {
        (entry["file"], entry["where"], entry["before"], entry["after"]): reason
        for reason, listed in entries.items()
        for entry in listed
    }


def fate_of(mutant: Mutant, patience: dict[str, float]) -> Fate:
    """Try the suites of a mutant's file, one after another, until one kills it."""
    trial = Trial("unseen", "", 0.0)
    for suite in FILES[mutant.path]:
        tried = try_out(mutant, suite, SERVER, patience[suite.name])
        if tried.verdict not in ALIVE:
            return Fate(mutant, suite.name, tried)
        trial = tried if tried.verdict == "survived" else trial
    return Fate(mutant, "", trial)


def measure(suites: set[Suite]) -> dict[str, float]:
    """Run suites on the files as they are, where they must pass; return how many seconds each may take on a mutant."""
    return {suite.name: LEAST_PATIENCE + 4 * try_out(None, suite, SERVER, 600.0).seconds for suite in sorted(suites)}


def run(mutants: list[Mutant], jobs: int, until: float, log: Path | None) -> list[Fate]:
    """Try mutants until the time is up; print those that survive."""
    preload()
    fates: list[Fate] = []
    suites = {suite for mutant in mutants for suite in FILES[mutant.path]}
    patience = measure(suites) if time.time() < until else {}
    todo = iter(mutants)
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        running: set[Future[Fate]] = set()
        while True:
            while len(running) < jobs and time.time() < until and (mutant := next(todo, None)):
                running.add(pool.submit(fate_of, mutant, patience))
            if not running:
                return fates
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                fates.append(future.result())
                tell(fates[-1], log)


def logged(log: Path | None, mutants: list[Mutant]) -> dict[Mutant, Fate]:
    """Return what a log knows of mutants that need not be tried again: all but those that have survived."""
    if log is None or not log.exists():
        return {}
    by_key = {mutant.key(): mutant for mutant in mutants}
    fates = {}
    for facts in map(json.loads, log.read_text("utf-8").splitlines()):
        mutant = by_key.get((facts["file"], facts["where"], facts["before"], facts["after"]))
        if mutant is not None and facts["verdict"] not in ALIVE:
            fates[mutant] = Fate(mutant, facts["suite"], Trial(facts["verdict"], facts["by"], facts["seconds"]))
    return fates


def tell(fate: Fate, log: Path | None) -> None:
    """Print a survivor; write down everything where there is a log."""
    mutant, suite, trial = fate
    before, after = mutant.lines()
    if trial.verdict in ALIVE:
        print(f"{mutant.path}:{mutant.line} {mutant.where}: {before} -> {after}", flush=True)
    if log is not None:
        facts = {
            "file": mutant.path, "line": mutant.line, "where": mutant.where, "before": before, "after": after,
            "verdict": trial.verdict, "suite": suite, "by": trial.by, "seconds": round(trial.seconds, 1),
        }  # fmt: skip
        with log.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(facts, ensure_ascii=False) + "\n")


def summary(fates: list[Fate], known: Counter[str]) -> str:
    """Return how many were killed, where, and how many are known to survive."""
    verdicts = Counter(fate.trial.verdict for fate in fates)
    killed = verdicts["killed"] + verdicts["timeout"]
    alive = verdicts["survived"] + verdicts["unseen"]
    tried = killed + alive + known.total()
    by = Counter(fate.suite for fate in fates if fate.trial.verdict in {"killed", "timeout"})
    where = ", ".join(f"{number} by {suite}" for suite, number in by.most_common())
    reasons = ", ".join(f"{number} {reason}" for reason, number in known.most_common())
    return (
        f"{tried} mutants, {killed} killed ({100 * killed / max(1, tried):.1f} %; {verdicts['timeout']} of them by "
        f"never ending), {alive} survived, {known.total()} known to survive ({reasons or 'none'}); "
        f"{verdicts['broken']} more do not compile. Killed: {where}"
    )


def main() -> int:
    """Run what the command line asks for; the exit code is 1 when an unknown mutant has survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("places", nargs="*", help="files, or path:line (default: all that `suites.py` names)")
    parser.add_argument("--only", choices=("lua", "python"), default="", help="one language")
    parser.add_argument("--sample", type=int, help="how many, chosen at random (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of that choice (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once (default: 1)")
    parser.add_argument("--hours", type=float, default=24.0, help="begin no further mutant after that long")
    parser.add_argument(
        "--log", type=Path, help="a file for a line of JSON on each mutant; those killed there are not tried again"
    )
    parser.add_argument("--list", action="store_true", help="only count the mutants")
    args = parser.parse_args()
    mutants = all_mutants(args.only, tuple(args.places))
    if args.list:
        for path, number in Counter(mutant.path for mutant in mutants).items():
            print(f"{number:5} {path}")
        print(f"{len(mutants):5} in all")
        return 0
    random.Random(args.seed).shuffle(mutants)
    chosen = mutants[: args.sample]
    known = known_survivors()
    found = Counter(known[mutant.key()] for mutant in chosen if mutant.key() in known)
    until = time.time() + args.hours * 3600
    done = logged(args.log, chosen)
    todo = [mutant for mutant in chosen if mutant.key() not in known and mutant not in done]
    fates = [*done.values(), *run(todo, args.jobs, until, args.log)]
    print(summary(fates, found))
    return int(any(fate.trial.verdict in ALIVE for fate in fates))


if __name__ == "__main__":
    sys.exit(main())
