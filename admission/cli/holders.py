"""`holders`: who holds what, since when."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from admission.cli import exits
from admission.cli.account import fleet
from admission.cli.arguments import USUAL, add
from admission.cli.text import hide, printable, say, write
from admission.views.state import span

if TYPE_CHECKING:
    from admission.cli.arguments import Commands
    from admission.values import Holder

_COLUMNS = ("reservation", "lane", "kind", "state", "since", "placed", "held by", "call")


def add_holders(commands: Commands) -> None:
    """Add `holders`."""
    parser = add(
        commands,
        "holders",
        lambda chosen: holders(as_json=chosen.json),
        summary="show who holds what, since when",
        description="Show the reservations that the ledger holds booked: lane, how it was booked, where it stands "
        "(pending,\ncovered, held, tracked), how long ago it was claimed, by which guard, and its call. A thousand at "
        "the most.\nNeeds a ledger that is shared.",
        codes=exits.epilog(*USUAL),
    )
    parser.add_argument("--json", action="store_true", help="one JSON object; ages are seconds")


def holders(*, as_json: bool) -> int:
    """Show who holds what."""
    with fleet("show") as guard:
        found = guard.holders()
    if as_json:
        write(json.dumps({**asdict(found), "left_out": found.left_out}))
        return exits.OK
    if found.rows:
        write(_table(found.rows))
    by_state = Counter(row.state for row in found.rows)
    told = ", ".join(f"{number} {state}" for state, number in sorted(by_state.items()))
    write(f"{found.booked} booked on {found.account}" + (f": {told}" if told else ""))
    if found.left_out:
        say(f"{found.left_out} more are not shown")
    return exits.OK


def _table(rows: tuple[Holder, ...]) -> str:
    """Return the reservations as a table, the oldest first."""
    cells = [_COLUMNS, *map(_cells, sorted(rows, key=lambda row: -row.age))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def _cells(row: Holder) -> tuple[str, ...]:
    placed = "yes" if row.placed else "no"
    call = printable(hide(row.call_id))
    return row.id, row.lane, row.kind, row.state, span(row.age), placed, row.process, call
