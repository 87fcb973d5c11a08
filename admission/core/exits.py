"""What leaving a block means for its booking. Pure; the rule of errors stands here and nowhere else.

Not placed: only `CallRejected`, `NotPlaced`, or what the caller's `rejected` says, only before `placed()`, and only in
a block that places. Every other error is unknown: the slot stays booked until its settle time, since the dial may
have been accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from admission.errors import CallRejected, NotPlaced
from admission.ledger.wire import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission.core.messages import Booking

    Rejected = Callable[[BaseException], CallRejected | None]


@dataclass(frozen=True, slots=True)
class ByValue:
    """The block was left by value, or in any way after `placed`."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The block was left by an error that does not say what became of the dial."""


@dataclass(frozen=True, slots=True)
class Unplaced:
    """The call was surely not placed."""


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """The provider refused the call for concurrency; `retry_after` seconds, where it said so."""

    retry_after: float | None


Exit = ByValue | Unknown | Unplaced | RefusedCall


def judge(booking: Booking, error: BaseException | None, rejected: Rejected) -> Exit:
    """Say what leaving with `error` (`None`: by value) means."""
    if error is None or booking.placed:
        return ByValue()
    if booking.kind is Kind.HOLD:
        return Unknown()
    if isinstance(error, NotPlaced):
        return Unplaced()
    refusal = error if isinstance(error, CallRejected) else rejected(error)
    return Unknown() if refusal is None else RefusedCall(refusal.retry_after)
