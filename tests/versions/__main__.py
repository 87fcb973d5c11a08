"""Build the package, and test what was built with the versions that are supported: `python -m tests.versions`.

Prints a table; pytest's output of each combination is left in its folder. The exit code is 1 when anything is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.versions.build import build, faults, of_sdist, of_wheel, tree
from tests.versions.combinations import COMBINATIONS, SHOWN, tested

NAMES = [one.name for one in COMBINATIONS]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.versions", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--all", action="store_true", help="the whole suite, not each one's part")
    parser.add_argument("--tests", nargs="+", metavar="PATH", help="these tests alone")
    parser.add_argument("--folder", type=Path, help="where environments are made, and found again the next time")
    args, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="admission-versions-") as folder:
        return run(args, options, args.folder or Path(folder), Path(folder))


def run(args: argparse.Namespace, options: list[str], folder: Path, scratch: Path) -> int:
    built = build(scratch / "dist")
    wrong = faults(tree(), of_sdist(built.sdist), of_wheel(built.wheel))
    print(f"{built.sdist.name}, {built.wheel.name}:", *(wrong or ["as they should be"]), sep="\n  ", flush=True)
    for one in (one for one in COMBINATIONS if one.name in args.only):
        (folder / one.name).mkdir(parents=True, exist_ok=True)
        log = folder / one.name / "log"
        try:
            outcome = tested(one, built, folder, args.tests or (() if args.all else one.tests), options, log)
        except LookupError as missing:
            print(f"| {one.name} | not done: {missing} |", flush=True)
            continue
        libraries = (f"{name} {outcome.libraries[name]}" for name in SHOWN)
        cells = one.name, outcome.python, ", ".join(libraries), ", ".join(outcome.servers), outcome.summary
        print(f"| {' | '.join(cells)} |", flush=True)
        if not outcome.is_good:
            wrong.append(f"{one.name} failed")
            print(*log.read_text("utf-8", "replace").splitlines()[-60:], sep="\n", file=sys.stderr)
    return min(len(wrong), 1)


if __name__ == "__main__":
    sys.exit(main())
