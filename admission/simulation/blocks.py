"""How a caller comes to a slot and leaves it, as guards do it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from admission.core import plans
from admission.core.exits import ByValue, judge
from admission.core.messages import GiveUp
from admission.ledger.wire import DEFAULT
from admission.reservation import Reservation
from admission.schedule import Schedule
from admission.simulation.fleet import ACCOUNT, SOURCE_TIMEOUT
from admission.simulation.tasks import drive

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from admission.core.messages import Mail
    from admission.ledger.wire import Kind
    from admission.simulation.tasks import Pause, Task


def admitted(
    task: Task, kind: Kind, timeout: float | None, lane: str = DEFAULT
) -> Generator[Pause, Mail | None, Reservation]:
    """Wait for a slot; whatever interrupts the wait gives up.

    Raises:
        AdmissionError: None was had.
    """
    process = task.process
    want = process.want(task.box, kind, timeout, lane)
    try:
        booking = yield from drive(task, plans.admit(want, Schedule(), process.mint, SOURCE_TIMEOUT))
    except BaseException:
        process.post(GiveUp(want))
        raise
    reservation = Reservation(booking, ACCOUNT, process.post, process.agenda)
    process.reservations.append(reservation)
    return reservation


@contextmanager
def left(reservation: Reservation) -> Iterator[None]:
    """Leave a block as guards do."""
    try:
        yield
    except BaseException as error:
        reservation._leave(judge(reservation._booking, error, lambda _: None))
        raise
    reservation._leave(ByValue())
