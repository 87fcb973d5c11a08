"""What one process knows of an account's lanes, tells the ledger of them, and tells it again when it lost them.

No I/O, no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.core.drafts import Draft
from admission.core.messages import Done, Failed
from admission.core.spans import wire_lane
from admission.errors import ConfigurationError
from admission.ledger.lanes import MOST_LANES
from admission.ledger.requests import Lanes, Pause
from admission.ledger.wire import Code, LaneWire, Word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from admission.core.drafts import Report, Then
    from admission.core.messages import Box
    from admission.core.outbox import Outbox
    from admission.ledger.replies import Head
    from admission.ledger.wire import Wire
    from admission.values import Lane


class OwnLanes:
    """The lanes that a guard declares, and all that the ledger has told of.

    Args:
        account: The account's name.
        declared: The lanes that the guard's constructor was given.
        outbox: Takes what the ledger is to be told.
        report: Takes what an operator should know.
    """

    def __init__(self, account: str, declared: Iterable[Lane], outbox: Outbox, report: Report) -> None:
        self._account = account
        self._declared = tuple(wire_lane(lane) for lane in declared)
        self._outbox = outbox
        self._report = report
        self.at: int = 0
        """The newest word that is known."""
        self._known: dict[str, LaneWire] = {}

    # What the ledger is told

    def declare(self) -> None:
        """Tell of the guard's own lanes, once, before anything else is said of lanes or asked for in one."""
        declared, self._declared = self._declared, ()
        if declared:
            self._outbox.put(self._told(Lanes(int(Word.DECLARE), declared)))

    def retell(self) -> None:
        """Tell all that is known, before all else, to a ledger that may have lost it."""
        if self._known:
            self._outbox.put_first([self._told(Lanes(int(Word.RETELL), tuple(self._known.values())))])

    def set(self, box: Box, lane: Lane) -> None:
        """Tell how an operator wants a lane served."""
        told = Lanes(int(Word.SET), (wire_lane(lane),))
        self._outbox.send(lambda _: told, self._said_of(lane.name, box), box, note=False)

    def pause(self, box: Box, name: str, *, on: bool, reason: str) -> None:
        """Tell that an operator pauses or resumes a lane."""
        pause = Pause(int(on), reason, name)
        self._outbox.send(lambda _: pause, self._said_of(name, box), box, note=False)

    def _told(self, lanes: Lanes) -> Draft:
        def then(head: Head, tail: Wire, _sent_at: float) -> None:
            if head.code == Code.FULL:
                self._report("lanes_refused", account=self._account, lanes=[lane.name for lane in lanes.lanes])
            self._answered(tail)

        return Draft(lambda _: lanes, then)

    def _said_of(self, name: str, box: Box) -> Then:
        """Return what to do with the reply to an operator's word on one lane."""

        def then(head: Head, tail: Wire, _sent_at: float) -> None:
            if head.code == Code.NO_LANE:
                known = ", ".join(sorted({"default", *(row.name for row in LaneWire.rows(tail[2:]))}))
                box.put(Failed(ConfigurationError(f"lane {name!r} is not known; known are: {known}")))
            elif head.code == Code.FULL:
                box.put(Failed(ConfigurationError(f"lane {name!r} is one too many: an account has {MOST_LANES}")))
            else:
                box.put(Done())
            self._answered(tail)

        return then

    # What it tells

    def _answered(self, tail: Wire) -> None:
        at, changed, *rows = tail
        if changed:
            self._report("lanes_told", account=self._account, lanes=changed)
        self.heard(int(at), rows)

    def heard(self, at: int, rows: Iterable[int | str]) -> None:
        """Take all lanes as the ledger has them at `at`; tell it again what it has lost."""
        if at == self.at:
            return
        theirs = {row.name: row for row in LaneWire.rows(rows)}
        lost = [row for name, row in self._known.items() if name not in theirs or row.at > theirs[name].at]
        for name, row in theirs.items():
            known = self._known.get(name)
            if known is not None and known.settings != row.settings and row.at > known.at:
                self._report("lane_changed", lane=name, settings=row.lane(), before=known.lane())
        self.at = at
        self._known = {**theirs, **{row.name: row for row in lost}}
        if lost:
            self._outbox.put(self._told(Lanes(int(Word.RETELL), tuple(lost))))
