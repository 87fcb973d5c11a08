"""From what the ledger tells of an account to the `Status` and the `Holders` that users get. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.core.messages import Holding, State
from admission.ledger.replies import HolderWire
from admission.ledger.wire import DEFAULT, Kind, LaneWire, Standing
from admission.values import Holder, Holders, Lane, LaneStatus, Status

if TYPE_CHECKING:
    from admission.core.drafts import Then
    from admission.core.messages import Box
    from admission.ledger.replies import Head
    from admission.ledger.wire import Wire

MOST_HOLDERS = 1_000
"""Reservations that are told at most, since the server serves nobody else meanwhile."""
NUMBERS = 11
"""How many numbers come before the pause's reason."""


def status_to(account: str, box: Box) -> Then:
    """Return what to do with the reply to the verb `status`."""

    def then(head: Head, tail: Wire, _sent_at: float) -> None:
        box.put(State(status_of(account, head, tail)))

    return then


def holders_to(account: str, box: Box) -> Then:
    """Return what to do with the reply to the verb `holders`."""

    def then(_head: Head, tail: Wire, _sent_at: float) -> None:
        booked, *rows = tail
        box.put(Holding(Holders(account, int(booked), tuple(map(_holder, HolderWire.rows(rows))))))

    return then


def status_of(account: str, head: Head, tail: Wire) -> Status:
    """Return an account's state as the verb `status` tells it."""
    numbers, reason, lanes = tail[:NUMBERS], tail[NUMBERS], tail[NUMBERS + 1 :]
    limit, count, in_use, free, pending, held, untracked, age, seen, booked, paused = map(int, numbers)
    return Status(
        account=account,
        limit=limit if limit >= 0 else None,
        count=count if limit >= 0 else None,
        in_use=in_use,
        free=free,
        pending=pending,
        held=held,
        untracked=untracked,
        waiting=head.waiting,
        usage_age=age / 1000 if age >= 0 else None,
        paused=bool(paused),
        pause_reason=str(reason) if paused else "",
        lanes=_lanes(lanes) or (LaneStatus(DEFAULT, head.waiting, booked, settings=Lane(DEFAULT)),),
        visibility_lag_seen=seen / 1000 if seen >= 0 else None,
    )


def _lanes(flat: Wire) -> tuple[LaneStatus, ...]:
    """Return the lanes: each as it is told, then how many wait in it, and how many of it are booked."""
    fields = len(LaneWire._fields) + 2
    rows = [flat[first : first + fields] for first in range(0, len(flat), fields)]
    lanes = [told for *row, _, _ in rows for told in LaneWire.rows(row)]
    lowest = max(0, *(told.priority for told in lanes)) if lanes else 0
    return tuple(
        LaneStatus(
            told.name,
            int(waiting),
            int(in_flight),
            bool(told.paused),
            told.reason if told.paused else "",
            told.lane(lowest),
        )
        for told, (*_, waiting, in_flight) in zip(lanes, rows, strict=True)
    )


def _holder(row: HolderWire) -> Holder:
    return Holder(
        id=row.rid,
        lane=row.lane,
        kind=Kind(row.kind).name.lower(),
        process=row.process,
        age=row.age / 1000,
        state=Standing(row.standing).name.lower(),
        placed=bool(row.placed),
        call_id=row.call_id,
    )
