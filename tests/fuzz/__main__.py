"""Fuzzing guided by coverage: `python -m tests.fuzz answers --seconds 600`; needs the extra `fuzz`.

It begins with the corpus that lies beside it and stops at the first find, of which it prints the file. A find that is
moved into the corpus is an ordinary test from then on (`test_kept.py`), which needs no fuzzer.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LONGEST = {"answers": 4096, "replies": 4096, "wakes": 4096}
WATCHED = ["admission", "email._parseaddr", "json.decoder"]
"""What is instrumented: that way it is seen which input leads where."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("what", choices=list(LONGEST))
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default: another each time)")
    parser.add_argument("--finds", type=Path, default=Path(), help="where a find is written (default: here)")
    args = parser.parse_args()
    try:
        import atheris
    except ImportError:
        print("this needs atheris: pip install -e '.[dev,fuzz]'", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=WATCHED):
        target = importlib.import_module(f"tests.fuzz.{args.what}")
    with tempfile.TemporaryDirectory() as grown:
        options = {
            "max_total_time": args.seconds,
            "max_len": LONGEST[args.what],
            "seed": args.seed,
            "timeout": 20,
            "rss_limit_mb": 1024,
            "artifact_prefix": f"{args.finds}/{args.what}-",
            "dict": HERE / "corpus" / f"{args.what}.dict",
            "print_final_stats": 1,
        }
        corpus = HERE / "corpus" / args.what
        atheris.Setup(
            ["fuzz", *(f"-{name}={value}" for name, value in options.items()), grown, str(corpus)], target.check
        )
        atheris.Fuzz()  # does not return
    return 0


if __name__ == "__main__":
    sys.exit(main())
