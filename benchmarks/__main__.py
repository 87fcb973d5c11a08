"""Run the benchmarks: `python -m benchmarks [--only NAME ...] [--quick] [--json PATH] [--plots DIR]`."""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import DEFAULT_SERVER, Options, facts
from benchmarks.report import as_json, table
from tests.servers import BINARIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.report import Result

NAMES = (
    "free",
    "contended",
    "scale",
    "crash",
    "accounts",
    "calls",
    "strategies",
    "fairness",
    "sizing",
    "cluster",
    "memory",
    "imports",
    "profile",
)
"""The benchmarks, each a module of this package, in the order in which they run."""


def parse(arguments: Sequence[str] | None = None) -> tuple[tuple[str, ...], Options]:
    """Return which benchmarks to run, and how.

    Args:
        arguments: Of the command line; `None` for the running program's own.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what admission costs.")
    add = parser.add_argument
    add("--only", nargs="+", metavar="NAME", default=list(NAMES), help=f"of {', '.join(NAMES)}; also with commas")
    add("--quick", action="store_true", help="about four minutes instead of twenty: for a look, not for quoting")
    add("--json", type=Path, metavar="PATH", help="write all numbers to a file")
    add("--plots", type=Path, metavar="DIR", help="write plots (SVG) to a directory")
    add("--subjects", nargs="+", metavar="NAME", default=[], help="such as admission, or 'admission async'; else all")
    add("--server", choices=sorted(BINARIES), default=DEFAULT_SERVER, help="the server's program")
    given = parser.parse_args(arguments)
    only = [name for part in given.only for name in part.split(",") if name]
    unknown = sorted(set(only) - set(NAMES))
    if unknown or not only:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    options = Options(
        quick=given.quick, server=given.server, subjects=tuple(given.subjects), plots=given.plots, json=given.json
    )
    return tuple(name for name in NAMES if name in only), options


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for, and show each result when it is there."""
    names, options = parse(arguments)
    results: dict[str, Result] = {}
    known = facts(options)
    print(", ".join(f"{key} {value}" for key, value in known.items() if key not in {"packages", "quick"}), "\n")
    for name in names:
        began = time.monotonic()
        result = importlib.import_module(f"benchmarks.{name}").run(options)
        results[name] = result
        print(f"{table(result)}\n({time.monotonic() - began:.0f} s)\n", flush=True)
        if options.plots is not None:
            options.plots.mkdir(parents=True, exist_ok=True)
            for file, text in result.plots.items():
                (options.plots / file).write_text(text, "utf-8")
    if options.json is not None:
        options.json.write_text(as_json(known, results), "utf-8")


if __name__ == "__main__":
    main()
