"""One life of a case: leads come, workers call them, others call too, and it is written down what became of it."""

from __future__ import annotations

import random
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from admission.cli.plan.account import Account
from admission.cli.plan.case import HOUR, WAYS
from admission.cli.plan.spans import Rests
from admission.core.messages import TellEnded, TellStarted
from admission.errors import AdmissionError
from admission.ledger.wire import Kind
from admission.simulation.agenda import Agenda
from admission.simulation.blocks import admitted, left
from admission.simulation.fleet import Ledger, Process, Weather
from admission.simulation.tasks import Box, Pause, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from admission.cli.plan.account import Life, Time
    from admission.cli.plan.case import Case
    from admission.core.messages import Mail
    from admission.ledger.book import Book
    from admission.reservation import Reservation

LOOKS = 240
"""Moments of which a life tells how it stood."""
MOST_IN_LINE = 500
"""Workers that stand in line when a life begins, at the most; others come as leads do."""
STEPS = 40
"""Parts of a life after each of which it is seen whether it has worked enough."""
TRIP, REQUEST, ENTRY, LEAD = 0.5, 0.7, 1 / 800, 0.05
"""What things cost to simulate, in requests that come alone: a round trip to the ledger, each request in it, each
reservation that the book looks through then, and a lead, or a call of others, whatever becomes of it."""


class Campaign:
    """A fleet that calls leads.

    What comes to it, leads, the lengths of their dials and calls, calls of others, is of dice of its own: cases that
    live through one seed meet with the same. It begins amid its work: with as many calls as the account is thought to
    carry, and where more is expected of it, with its workers in line.

    Args:
        case: What is simulated.
        seed: Of all chance.
    """

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        agenda = Agenda(seed)
        self.agenda: Agenda = agenda
        self._entries = self._came = 0
        self._coming, self._lengths, self._others, amid = (
            _dice(f"{what} {seed}") for what in ("coming", "lengths", "others", "amid")
        )
        foreign = min(_poisson(case.foreign_load, amid), case.limit)
        own = min(_poisson(case.carried, amid), case.limit - foreign)
        self.account: Account = Account(agenda, case, own, foreign)
        self.ledger: Ledger = Ledger(agenda, Weather(), self._trip, cold=False)
        self.processes: list[Process] = [
            Process(f"p{number}.0", case.policy, agenda, self.ledger, self.account, self.ledger.weather)
            for number in range(case.processes)
        ]
        self._idle = [self.processes[number % case.processes] for number in range(case.workers)]
        self._waiting: deque[tuple[float, float]] = deque()
        """The spans of dial and call of leads that no worker has taken yet."""
        self._stood = agenda.now()
        self._numbers = 0
        self._begin(amid)

    @property
    def work(self) -> float:
        """What it has cost so far, in requests to the ledger."""
        ledger = self.ledger
        return TRIP * ledger.trips + REQUEST * ledger.requests + ENTRY * self._entries + LEAD * self._came

    def live(self, time: Time) -> Life:
        """Live through some time, and return what came of it."""
        agenda, account = self.agenda, self.account
        began = agenda.now()
        self._run(time.warm, time.most_work / 2)
        self._note_workers()
        life = account.measure(agenda.now() - began)
        began = agenda.now()
        self._look(began, time.measured / LOOKS)
        self._run(time.measured, time.most_work)
        account.pass_time()
        self._note_workers()
        life.seconds = agenda.now() - began
        life.busy_seconds, life.room_seconds = account.busy_seconds, account.room_seconds
        life.work = self.work
        self.end()
        return life

    def rate(self, most_work: float) -> float:
        """Work for a little while, and return what there is to work in a second."""
        step = max(5.0, HOUR / self.case.calls_per_hour)
        self.agenda.run(step)  # those who are in line from the beginning ask only once
        began, before = self.agenda.now(), self.work
        while self.work - before < most_work:
            self.agenda.run(step)
        self.end()
        return (self.work - before) / (self.agenda.now() - began)

    def end(self) -> None:
        """End it all."""
        for process in self.processes:
            process.kill()

    def _run(self, seconds: float, most_work: float) -> None:
        until = self.agenda.now() + seconds
        for left_over in range(STEPS, 0, -1):
            if self.work >= most_work:
                return
            self.agenda.run((until - self.agenda.now()) / left_over)

    def _begin(self, amid: random.Random) -> None:
        case, agenda, account = self.case, self.agenda, self.account
        if account.running:
            rests = Rests(case.mix, "rests of own")
            for _ in range(account.running):
                end = self._held_already() if case.way == "hold" and self._idle else account.end_running
                agenda.after(rests.draw(amid), end)
        if account.foreign:
            rests = Rests(case.foreign, "rests of foreign")
            for _ in range(account.foreign):
                agenda.after(rests.draw(amid), self._end_foreign)
        if case.in_line:
            for _ in range(min(len(self._idle), MOST_IN_LINE)):
                self._lead(amid)
        self._next_lead()
        self._next_foreign()

    def _held_already(self) -> Callable[[], None]:
        """Have a worker hold a call that runs already; what ends it."""
        process = self._idle.pop()
        reservation = process.holds_already()

        def end() -> None:
            self.account.end_running()
            self._over(process, reservation)
            self._free(process)

        return end

    @staticmethod
    def _over(process: Process, reservation: Reservation) -> None:
        reservation.ended()
        process.reservations.remove(reservation)

    # Leads, and the workers that call them

    def _next_lead(self) -> None:
        self.agenda.after(self._coming.expovariate(self.case.calls_per_hour / HOUR), self._come)

    def _come(self) -> None:
        self.account.life.leads += 1
        self._came += 1
        self._lead(self._lengths)
        self._next_lead()

    def _lead(self, dice: random.Random) -> None:
        lead = self.case.dial.draw(dice), self.case.mix.draw(dice)
        idle = self._idle
        if not idle:
            self._note_workers()
            self._waiting.append(lead)
            return
        at = self.agenda.dice.randrange(len(idle))
        idle[at], idle[-1] = idle[-1], idle[at]
        self._work(idle.pop(), lead)

    def _work(self, process: Process, lead: tuple[float, float]) -> None:
        life = self.account.life
        life.most_workers = max(life.most_workers, self.case.workers - len(self._idle))
        task = Task(process)
        task.begin(self._steps(task, *lead))

    def _free(self, process: Process) -> None:
        if not self._waiting:
            self._idle.append(process)
            return
        self._note_workers()
        self._work(process, self._waiting.popleft())

    def _note_workers(self) -> None:
        now = self.agenda.now()
        if self._waiting:
            self.account.life.short_of_workers += now - self._stood
        self._stood = now

    def _steps(self, task: Task, dial: float, talk: float) -> Generator[Pause, Mail | None, None]:
        """Call one lead, as a worker does it."""
        agenda, account, case, process = self.agenda, self.account, self.case, task.process
        kind = WAYS[case.way]
        try:
            reservation = yield from admitted(task, kind, case.policy.timeout)
        except AdmissionError:
            account.life.refused += 1
            self._free(process)
            return
        account.life.waits.append(reservation.waited)
        call_id = self._name() if kind is Kind.TRACK else None
        with left(reservation):
            yield Pause(agenda.now() + dial)
            call = account.dial()
            agenda.after(talk, partial(account.end, call))
            reservation.placed(call_id)
            if kind is Kind.HOLD:
                yield Pause(agenda.now() + talk)
                self._over(process, reservation)
        if kind is not Kind.HOLD:
            process.reservations.remove(reservation)
        if call_id is not None:
            agenda.after(talk + case.told_after, partial(process.post, TellEnded(Box(task), call_id)))
        self._free(process)

    # Calls of others

    def _next_foreign(self) -> None:
        if self.case.foreign_per_hour:
            self.agenda.after(self._others.expovariate(self.case.foreign_per_hour / HOUR), self._foreign)

    def _foreign(self) -> None:
        span = self.case.foreign.draw(self._others)
        self._came += 1
        self._next_foreign()
        if not self.account.take_foreign():
            return
        call_id = None
        if self.case.webhook:
            process, call_id = self._some(), self._name()
            said = TellStarted(Box(Task(process)), process.mint(), call_id, self.agenda.now() + self.case.told_after)
            self.agenda.after(self.case.told_after, partial(process.post, said))
        self.agenda.after(span, partial(self._end_foreign, call_id))

    def _end_foreign(self, call_id: str | None = None) -> None:
        self.account.set_foreign(self.account.foreign - 1)
        if call_id is not None:
            process = self._some()
            self.agenda.after(self.case.told_after, partial(process.post, TellEnded(Box(Task(process)), call_id)))

    def _some(self) -> Process:
        return self.agenda.dice.choice(self.processes)

    def _name(self) -> str:
        self._numbers += 1
        return f"call{self._numbers}"

    # What is written down

    def _trip(self, book: Book) -> None:
        kept = book.reservations
        self._entries += len(kept.until) + len(kept.calls)

    def _look(self, began: float, step: float) -> None:
        self.account.look(self.agenda.now() - began)
        self.agenda.after(step, partial(self._look, began, step))


def _dice(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a simulation, no secret


def _poisson(mean: float, dice: random.Random) -> int:
    """Return a number of the Poisson distribution; of large means as the normal distribution has it."""
    if mean > 50:  # noqa: PLR2004 - from there the two are hard to tell apart
        return max(0, round(dice.gauss(mean, mean**0.5)))
    number, passed = 0, dice.expovariate(1.0)
    while passed < mean:
        number += 1
        passed += dice.expovariate(1.0)
    return number
