"""Callers of a simulated process: generators that yield what they wait for, and the driver of plans."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from admission.clerk import PATIENCE
from admission.core.callers import direct_answer
from admission.core.messages import Admitted, Answer, AskDirectly, Post, Want
from admission.simulation.fleet import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Generator

    from admission.core.messages import Effect, Mail
    from admission.core.plans import Heard
    from admission.ledger.wire import Wire
    from admission.simulation.fleet import Process


@dataclass(frozen=True, slots=True)
class Pause:
    """What a task waits for: a time, or `for_mail` whatever comes first."""

    until: float | None
    for_mail: bool = False


class Cancelled(BaseException):
    """What a task that is cancelled ends with."""


class Box:
    """Mail of one task."""

    def __init__(self, task: Task) -> None:
        self.mail: deque[Mail] = deque()
        self._task = task

    def put(self, mail: Mail) -> bool:
        """Deliver, and wake the task."""
        self.mail.append(mail)
        self._task.wake()
        return True


@dataclass(eq=False)
class Task:
    """A caller: a generator that yields what it waits for."""

    process: Process
    steps: Generator[Pause, Mail | None, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.box: Box = Box(self)
        self.number: int = next(self.process.numbers)
        self.done: bool = False
        self._turn = 0
        self._pause = Pause(0.0)

    def begin(self, steps: Generator[Pause, Mail | None, Any]) -> None:
        """Run the steps, from now on."""
        self.steps = steps
        self.process.tasks.add(self)
        self._sleep(Pause(self.process.agenda.now()))

    def cancel(self) -> None:
        """Throw `Cancelled` in where it waits."""
        self._turn += 1
        self.process.soon(lambda: self._go(Cancelled()))

    def wake(self) -> None:
        """Mail came."""
        if self._pause.for_mail:
            turn = self._turn
            self.process.soon(lambda: self._resume(turn))

    def _sleep(self, pause: Pause) -> None:
        self._turn += 1
        turn, self._pause = self._turn, pause
        if pause.for_mail and self.box.mail:
            self.wake()
        elif pause.until is not None:
            self.process.at(pause.until, lambda: self._resume(turn))

    def _resume(self, turn: int) -> None:
        if turn == self._turn:
            mail = self.box.mail.popleft() if self._pause.for_mail and self.box.mail else None
            self._go(mail)

    def _go(self, mail: Mail | Cancelled | None) -> None:
        if self.done:
            return
        try:
            pause = self.steps.throw(mail) if isinstance(mail, Cancelled) else self.steps.send(mail)
        except (StopIteration, Cancelled):
            self.done = True
            self.process.tasks.discard(self)
        else:
            self._sleep(pause)


def drive(task: Task, plan: Generator[Effect, Heard, Any]) -> Generator[Pause, Mail | None, Any]:
    """Drive a plan; whatever interrupts it closes it."""
    process = task.process
    try:
        effect = next(plan)
        while True:
            mail: Mail | None = None
            if isinstance(effect, Post):
                process.post(effect.message)
            elif isinstance(effect, AskDirectly):
                mail = yield from _ask_directly(task, effect.want)
            else:
                mail = yield Pause(effect.until, for_mail=True)
            effect = plan.send((process.agenda.now(), mail))
    except StopIteration as stop:
        return stop.value
    finally:
        plan.close()


def _ask_directly(task: Task, want: Want) -> Generator[Pause, Mail | None, Answer | None]:
    process = task.process
    said = process.desk.direct_request(want)
    if said is None:
        return None
    want.asked = True
    sent_at = process.agenda.now()
    heard: list[Wire] = []
    process.ledger.carry([(ACCOUNT, *said)], heard.extend, lambda: None)
    while not heard and process.agenda.now() < sent_at + PATIENCE:
        yield Pause(process.agenda.now() + 0.002)
    answer = direct_answer(want, heard[0], sent_at) if heard else None
    if answer is not None and answer.booking is not None:
        process.post(Admitted(want, answer.booking, heard[0], sent_at, process.agenda.now()))
    return answer
