"""What one process knows of an account's lanes, kept so that a ledger that lost them can be told again.

No I/O, no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.core.spans import wire_lane
from admission.ledger.requests import Lanes
from admission.ledger.wire import LaneWire, Word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from admission.core.drafts import Report
    from admission.values import Lane


class OwnLanes:
    """The lanes that a guard declares, and all that the ledger has told of.

    Args:
        declared: The lanes that the guard's constructor was given.
    """

    def __init__(self, declared: Iterable[Lane]) -> None:
        self.declared = tuple(wire_lane(lane) for lane in declared)
        self.at = 0
        """The newest word that is known."""
        self._known: dict[str, LaneWire] = {}

    def declaration(self) -> Lanes | None:
        """Return how the guard's own lanes are told to the ledger, `None` when it has none."""
        return Lanes(int(Word.DECLARE), self.declared) if self.declared else None

    def all_again(self) -> Lanes | None:
        """Return how all that is known is told to a ledger that may have lost it."""
        return Lanes(int(Word.RETELL), tuple(self._known.values())) if self._known else None

    def heard(self, at: int, rows: Iterable[int | str], report: Report) -> Lanes | None:
        """Take all lanes as the ledger has them at `at`; return what it must be told again."""
        if at == self.at:
            return None
        theirs = {row.name: row for row in LaneWire.rows(rows)}
        lost = [row for name, row in self._known.items() if name not in theirs or row.at > theirs[name].at]
        for name, row in theirs.items():
            known = self._known.get(name)
            if known is not None and known.settings != row.settings and row.at > known.at:
                report("lane_changed", lane=name, settings=row.lane(), before=known.lane())
        self.at = at
        self._known = {**theirs, **{row.name: row for row in lost}}
        return Lanes(int(Word.RETELL), tuple(lost)) if lost else None
