"""What importing the package costs, next to importing the three libraries that it is built on.

Each line is imported by fresh interpreters, in turn with the others; the least processor time of all rounds counts,
less that of an interpreter that imports nothing.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.report import Column, Result

if TYPE_CHECKING:
    from benchmarks.harness import Options

LINES = {
    "httpx, redis, tenacity": "import httpx, redis, tenacity",
    "admission": "import admission",
    "admission, a ledger on Redis": "import admission; admission.RedisLedger('redis://localhost').clerk()",
}
COLUMNS = (
    Column("subject", "imported"),
    Column("ms", "ms", ",.0f"),
    Column("ratio", "x the three", ".2f"),
)
NOTES = ("Least processor time of a fresh interpreter, less that of one that imports nothing.",)


def run(options: Options) -> Result:
    """Measure all, in turn."""
    rounds = 5 if options.quick else 25
    nothing = float("inf")
    least = dict.fromkeys(LINES, float("inf"))
    for _ in range(rounds):
        nothing = min(nothing, _seconds("pass"))
        for name, line in LINES.items():
            least[name] = min(least[name], _seconds(line))
    costs = {name: 1000 * (seconds - nothing) for name, seconds in least.items()}
    floor = next(iter(costs.values()))
    rows = [{"subject": name, "ms": cost, "ratio": cost / floor} for name, cost in costs.items()]
    return Result(title="imports: until the package can be used", columns=COLUMNS, rows=rows, notes=NOTES)


def _seconds(line: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", line], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
