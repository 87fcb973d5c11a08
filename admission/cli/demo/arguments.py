"""The arguments of `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from admission.cli import exits
from admission.cli.arguments import SIGNAL, add, number, whole
from admission.cli.demo.command import demo
from admission.cli.demo.settings import settings_of

if TYPE_CHECKING:
    import argparse

    from admission.cli.arguments import Commands


def add_demo(commands: Commands) -> None:
    """Add `demo`."""
    own = exits.OK, exits.OVERSHOT, exits.USAGE, exits.UNAVAILABLE, exits.SOFTWARE, exits.CONFIG
    parser = add(
        commands,
        "demo",
        _demo,
        summary="show on this machine what the guard does",
        description="Start a stand-in provider on this machine and let dialers work against it over HTTP: more of them "
        "than\nthere are lines, beside calls of others, with a count that lags. Ends with a report. Needs the extra "
        "`cli`.\nNo account is needed, and nothing outside of this machine is called, except the Redis that you name.",
        codes=exits.epilog(*own, **{"128_n": f"{SIGNAL}, Ctrl-C too, after the report so far"}),
        environment="",
    )
    parser.add_argument("--limit", type=whole(1, 1000), default=20, help="lines of the account (20)")
    parser.add_argument("--workers", type=whole(1, 5000), help="dialers, over all processes (twice the limit)")
    parser.add_argument("--seconds", type=number(1, 3600), default=12.0, help="how long they dial (12)")
    parser.add_argument("--redis", metavar="URL", help="share a ledger on this Redis between several processes")
    parser.add_argument("--processes", type=whole(1, 64), help="processes that dial (3 with --redis, else 1)")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--unguarded", action="store_true", help="check the count and dial, as is done by hand")
    either.add_argument(
        "--plot", type=Path, metavar="FILE.svg", help="run the load both ways, and draw the two side by side"
    )
    parser.add_argument("--seed", type=whole(0, 2**63), default=0, help="of the calls' lengths and the like (0)")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object as the last line on stdout, progress on stderr"
    )


def _demo(chosen: argparse.Namespace) -> int:
    settings = settings_of(
        limit=chosen.limit,
        workers=chosen.workers,
        seconds=chosen.seconds,
        processes=chosen.processes,
        redis=chosen.redis is not None,
        guarded=not chosen.unguarded,
        seed=chosen.seed,
    )
    return demo(settings, chosen.redis, as_json=chosen.json, plot=chosen.plot)
