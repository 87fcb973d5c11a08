"""What callers do with a slot, by name: `CALLS`. Each is told as its holder sees it; the call is the provider's."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from admission.core.messages import TellEnded, TellStarted
from admission.errors import AdmissionError, CallRejected, NotPlaced
from admission.ledger.wire import DEFAULT, Kind
from admission.simulation.blocks import admitted, left
from admission.simulation.tasks import Box, Pause, Task

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Generator

    from admission.core.messages import Mail
    from admission.reservation import Reservation
    from admission.simulation.fleet import Process
    from admission.simulation.provider import Call

    Steps = Generator[Pause, Mail | None, Any]


@dataclass
class Job:
    """What a caller needs: its task, how long things take it, and where it tells what became of it.

    Attributes:
        dial: Seconds until the provider has accepted the call, from and to.
        told: What became of callers, counted.
        names: Makes names of calls.
        lane: The lane that it is in.
    """

    task: Task
    dial: tuple[float, float]
    told: Counter[str]
    names: Callable[[], str]
    lane: str = DEFAULT

    @property
    def process(self) -> Process:
        return self.task.process

    def talk(self) -> float:
        """Return seconds of a call: no answer, busy, a voicemail, a human; a quarter of the spans of real ones."""
        dice = self.process.agenda.dice
        spans = [(2.0, 6.0), (0.1, 1.0), (5.0, 10.0), (8.0, 40.0)]
        return dice.uniform(*dice.choices(spans, [30, 10, 35, 25])[0])

    def admitted(self, kind: Kind, timeout: float | None) -> Generator[Pause, Mail | None, Reservation | None]:
        """Wait for a slot; whatever interrupts the wait gives up. Returns `None` when none was had."""
        try:
            reservation = yield from admitted(self.task, kind, timeout, self.lane)
        except AdmissionError as error:
            self.told[type(error).__name__] += 1
            return None
        self.told["admitted"] += 1
        return reservation

    def dialled(self, reservation: Reservation) -> Generator[Pause, Mail | None, Call | None]:
        """Dial, and wait for the provider's answer; the call is accepted though the process may be dead by then."""
        agenda, provider = self.process.agenda, self.process.provider
        accepted: list[Call] = []
        span = self.talk()

        def accept() -> None:
            call = provider.start(late=self.is_late(reservation))
            accepted.append(call)
            agenda.after(span, lambda: provider.end(call))

        # Whatever a caller does first; a process that stalls here dials late.
        yield Pause(agenda.now() + agenda.between((0.0, 0.4)))
        takes = agenda.between(self.dial)
        agenda.after(takes, accept)
        yield Pause(agenda.now() + takes + agenda.between((0.01, 0.2)))
        return accepted[0]

    def is_late(self, reservation: Reservation) -> bool:
        """Whether a call is accepted after its deadline, or by a process that has not heard of a data loss in the beat
        that a new epoch waits for it: no promise holds."""
        now, process, book = self.process.agenda.now(), self.process, self.process.ledger.book
        waits_until = book.readings.open_after / 1000 - process.policy.visibility_lag
        # A ledger that nobody has spoken to since its loss is in no epoch yet.
        is_told = book.epoch in {0, process.desk._epoch} or now <= waits_until
        return now > reservation._booking.deadline or not is_told

    def talked(self, call: Call) -> Generator[Pause, Mail | None, None]:
        while call.live:
            yield Pause(self.process.agenda.now() + 0.5)


def hold(job: Job, timeout: float | None) -> Steps:
    """A block that lives as long as its call, says `placed` and mostly `ended`."""
    reservation = yield from job.admitted(Kind.HOLD, timeout)
    if reservation is None:
        return
    with left(reservation):
        call = yield from job.dialled(reservation)
        reservation.placed(job.names())
        yield from job.talked(call)
        if job.process.agenda.happens(0.7):
            reservation.ended()


def hold_unsaid(job: Job, timeout: float | None) -> Steps:
    """The same without a word."""
    reservation = yield from job.admitted(Kind.HOLD, timeout)
    if reservation is None:
        return
    with left(reservation):
        call = yield from job.dialled(reservation)
        yield from job.talked(call)


def bare(job: Job, timeout: float | None) -> Steps:
    """A hold around the dial alone, which the call outlives: a misuse."""
    reservation = yield from job.admitted(Kind.HOLD, timeout)
    if reservation is None:
        return
    with left(reservation):
        yield from job.dialled(reservation)


def place(job: Job, timeout: float | None) -> Steps:
    """A block around the dial, as it is meant."""
    reservation = yield from job.admitted(Kind.PLACE, timeout)
    if reservation is None:
        return
    with left(reservation):
        yield from job.dialled(reservation)


def track(job: Job, timeout: float | None) -> Steps:
    """A tracked call whose end some process tells: late, twice, before it was told of, or never."""
    reservation = yield from job.admitted(Kind.TRACK, timeout)
    if reservation is None:
        return
    agenda = job.process.agenda
    call_id = job.names()
    with left(reservation):
        call = yield from job.dialled(reservation)
        if agenda.happens(0.3):  # its start is told by a webhook too, before or after its caller tells of it
            began, process = agenda.now(), job.process
            started = TellStarted(Box(job.task), process.mint(), call_id, began)
            agenda.after(agenda.between((0.0, 1.0)), lambda: process.post(started))
            yield Pause(agenda.now() + agenda.between((0.0, 1.0)))
        if not call.live and agenda.happens(0.5):  # its end is told before its beginning
            job.process.post(TellEnded(Box(job.task), call_id))
        reservation.placed(call_id)
    yield from job.talked(call)
    for _ in range(agenda.dice.choice([0, 1, 1, 1, 1, 1, 2])):
        yield Pause(agenda.now() + agenda.between((0.0, 2.0)))
        job.process.post(TellEnded(Box(job.task), call_id))


def none(job: Job, timeout: float | None) -> Steps:
    """A slot that nobody dials on."""
    kind = job.process.agenda.dice.choice([Kind.HOLD, Kind.PLACE])
    reservation = yield from job.admitted(kind, timeout)
    if reservation is None:
        return
    with suppress(NotPlaced), left(reservation):
        yield Pause(job.process.agenda.now() + job.process.agenda.between((0.0, 1.0)))
        if job.process.agenda.happens(0.5):
            reservation.cancel()
        raise NotPlaced


def failing(job: Job, timeout: float | None) -> Steps:
    """A dial that raises: the caller cannot tell whether it was accepted. It may have been, up to the deadline."""
    reservation = yield from job.admitted(Kind.PLACE, timeout)
    if reservation is None:
        return
    agenda, provider = job.process.agenda, job.process.provider
    if agenda.happens(0.5):

        def accept() -> None:
            call = provider.start(late=job.is_late(reservation))
            agenda.after(job.talk(), lambda: provider.end(call))

        in_time = max(0.0, reservation._booking.deadline - agenda.now())
        agenda.after(agenda.between((0.0, in_time)), accept)
    with suppress(ConnectionError), left(reservation):
        yield Pause(agenda.now() + agenda.between(job.dial))
        raise ConnectionError


def refused(job: Job, timeout: float | None) -> Steps:
    """A dial that the provider refuses for concurrency."""
    reservation = yield from job.admitted(Kind.PLACE, timeout)
    if reservation is None:
        return
    with suppress(CallRejected), left(reservation):
        yield Pause(job.process.agenda.now() + job.process.agenda.between(job.dial))
        raise CallRejected


CALLS = {
    "hold": hold, "hold_unsaid": hold_unsaid, "bare": bare, "place": place, "track": track, "none": none,
    "failing": failing, "refused": refused,
}  # fmt: skip
