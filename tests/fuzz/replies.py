"""The ledger's replies: whatever comes as one, callers are told by typed errors or by mail, and the clerk goes on.

An input is rounds with an empty line between them; each answers one exchange. A round's line `head` has the entries of
the head, a line with the name of a verb what that adds, a line `raw` is the whole reply instead. Entries have a letter
for their kind: `i12` a number, `stext` bytes, `utext` text, `[` and `]` a list inside, `n` nil, `t` true, `f` a part,
`e` an error. In texts `%` begins two hex digits. What is not given is answered with a bare 1.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from datetime import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from hiredis import pack_command
from redis.exceptions import ResponseError

from admission import AdmissionError, Lane, Policy, Status, Usage
from admission.clerk import Clerk, StoreDown
from admission.clocks import VirtualClock
from admission.core import plans
from admission.core.callers import direct_answer
from admission.core.desk import Desk
from admission.core.messages import (
    Answer,
    AskFor,
    ClaimOffer,
    Failed,
    Fetched,
    GetHolders,
    GetReading,
    GetStatus,
    GiveUp,
    Holding,
    LedgerDown,
    SayEnded,
    SayPlaced,
    SayRefused,
    SetLane,
    SetPause,
    State,
    TellEnded,
    TellStarted,
    Want,
)
from admission.ledger.redis.spare import RedisWay
from admission.ledger.redis.store import RedisStore
from admission.ledger.requests import Ask
from admission.ledger.wire import Code, Kind, Outcome
from admission.telling import EVENTS
from admission.values import Holders
from tests.fuzz.wakes import Box

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission.core.messages import Mail

MOST_ROUNDS = 6
PROCESS = "p.0"
POLICY = Policy()
HEAD = [1_000, 1, 0, 0, 1_000, 0, b""]

Round = dict[str, list[Any]]


def parse(data: bytes) -> list[Round]:
    """Return the rounds of an input."""
    return [_round(text) for text in data.split(b"\n\n")[:MOST_ROUNDS]]


def _round(text: bytes) -> Round:
    lines = (line.split() for line in text.split(b"\n"))
    return {words[0].decode("ascii", "replace"): _entries(words[1:]) for words in lines if words}


def _entries(words: list[bytes]) -> list[Any]:
    stack: list[list[Any]] = [[]]
    for word in words:
        if word == b"[":
            stack.append([])
        elif word == b"]" and len(stack) > 1:
            stack[-2].append(stack.pop())
        else:
            stack[-1].append(_entry(word))
    while len(stack) > 1:
        stack[-2].append(stack.pop())
    return stack[0]


def _entry(word: bytes) -> Any:
    kind, rest = word[:1], word[1:]
    match kind:
        case b"i":
            try:
                return int(rest[:400])
            except ValueError:
                return 0
        case b"u":
            return unquote_to_bytes(rest).decode("utf-8", "surrogateescape")
        case b"e":
            return ResponseError("ERR")
        case b"n" | b"t" | b"f":
            return {b"n": None, b"t": True, b"f": 1.5}[kind]
        case _:
            return unquote_to_bytes(rest)


class Liar:
    """A connection on which an input answers."""

    run_id = ""

    def __init__(self) -> None:
        self.round: Round = {}
        self.asked: list[str] = []

    def connect(self) -> bool:
        return True

    def disconnect(self) -> None:
        self.asked = []

    def send(self, commands: list[tuple[Any, ...]]) -> None:
        self.asked = [verb for command in commands for verb in _verbs(command)]

    def reply(self) -> Any:
        return self._answer(self.asked)

    def run(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        # What is said is sent as it would be, so that nothing that came is said again where it cannot be.
        return [pack_command(command) and self._answer(_verbs(command)) for command in commands]

    def _answer(self, verbs: list[str]) -> Any:
        if "raw" in self.round:
            return self.round["raw"][0] if len(self.round["raw"]) == 1 else self.round["raw"]
        answers = [self.round.get(verb, [1]) for verb in verbs]
        return [*self.round.get("head", HEAD), *(answer[0] if len(answer) == 1 else answer for answer in answers)]


def _verbs(command: tuple[Any, ...]) -> list[str]:
    """Return what is said in a command."""
    said = list(command[3 + int(command[2]) :])
    place = 6 + int(said[5])
    verbs = []
    while place < len(said):
        verbs.append(said[place])
        place += 2 + int(said[place + 1])
    return verbs


class Stage:
    """A guard's desk and its clerk, without their thread, on a server that says what an input says."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.liar = Liar()
        store = RedisStore(SimpleNamespace(connection_pool=None), self.clock)
        store._pipes[""] = self.liar  # type: ignore[assignment]  # it stands for one
        store._spares[""] = SimpleNamespace(refill=lambda: None)  # type: ignore[assignment]  # nobody asks by itself
        store.listen = lambda clerk: None  # type: ignore[method-assign]  # the wake-up messages are another target
        self.clerk = Clerk(store, self.clock)
        self.box = Box()
        lanes = [Lane("callbacks"), Lane("bulk", priority=1)]
        self.desk = Desk(
            "acme", PROCESS, POLICY, lanes=lanes, source_timeout=5, fetch=lambda _: None, report=self._report
        )
        self.wants: list[Want] = []

    @staticmethod
    def _report(event: str, /, **facts: object) -> None:
        assert EVENTS[event].text % facts

    def want(self, *, join: bool) -> Want:
        seat = f"{PROCESS}.{len(self.wants)}"
        now = self.clock.now()
        want = Want(Box(), seat, seat, "default", Kind.HOLD, POLICY, now, now + 30, join=join)
        self.wants.append(want)
        return want

    def say(self, *messages: Any) -> None:
        for message in messages:
            self.clerk._hand_over(self.desk, message)

    def exchange(self, answers: Round) -> None:
        """Send what is to be sent, hear the answers, and check what came of it."""
        self.liar.round = answers
        self.desk.tick(self.clock.now())
        self.clerk._retry_at = None
        self.clerk._exchange(self.clock.now())
        wait = self.clerk._wait(self.clock.now())
        assert wait is None or wait <= threading.TIMEOUT_MAX
        self.ask_directly()

    def ask_directly(self) -> None:
        want = self.wants[0]
        way = RedisWay(self.liar, deque())  # type: ignore[arg-type]  # it stands for a connection
        try:
            way.send("acme", self.desk._who(), Ask(want.seat, want.rid, "default", 0, 1, 1, 1, 0, 0))
            reply = way.receive()
        except StoreDown:
            return
        answer = None if reply is None else direct_answer(want, reply, self.clock.now())
        assert answer is None or answer.booking is not None

    def check_mail(self) -> None:
        for want in [*self.wants, SimpleNamespace(box=self.box)]:
            for mail in want.box.mail:
                _check(mail, want, self.clock.now())
            assert len(want.box.mail) < 1000


def _check(mail: Mail | None, want: Any, now: float) -> None:
    """Check that a caller can act on its mail."""
    match mail:
        case Answer(booking=None, code=code) if code not in {Code.GRANTED, Code.UNKNOWN}:
            assert isinstance(code, Code)
            assert str(plans.refusal(mail, want, now))
        case Answer(booking=booking) if booking is not None:
            assert booking.deadline == booking.granted_at + POLICY.placement_timeout
        case State(status):
            assert isinstance(status, Status)
            assert repr(status)
        case Holding(holders):
            assert isinstance(holders, Holders)
            assert repr(holders)
        case Failed(error):
            assert isinstance(error, AdmissionError)
        case LedgerDown(error):
            assert str(plans.ledger_unavailable(error))
        case _:
            pass


def _rounds(stage: Stage) -> list[Callable[[], None]]:
    """Return what callers say before each exchange."""
    box, clock = stage.box, stage.clock
    first, second = stage.want(join=True), stage.want(join=False)
    usage = Usage(20, 11, datetime(2025, 5, 2, 2, 36))  # noqa: DTZ001 - the provider's have no zone
    return [
        lambda: stage.say(AskFor(first), AskFor(second), GetStatus(box)),
        lambda: stage.say(GetStatus(box), SetPause(box, on=True, reason="why"), GetReading(box)),
        lambda: stage.say(ClaimOffer(first), Fetched(1, Outcome.READ, usage), SetLane(box, Lane("bulk"))),
        lambda: stage.say(
            SayPlaced(first.rid, clock.now(), late=False, call_id="c"),
            SetPause(box, on=False, reason="", lane="bulk"),
            TellStarted(box, "p.0.s", "d", clock.now()),
            TellEnded(box, "d"),
        ),
        lambda: stage.say(SayEnded(first.rid, placed=True), SayRefused(second.rid, clock.now(), 1.0), GetHolders(box)),
        lambda: stage.say(GiveUp(first, answer=True), GiveUp(second)),
    ]


def check(data: bytes) -> None:
    """Answer a guard's process with an input.

    Raises:
        Exception: What came of it must not.
    """
    logging.disable(logging.CRITICAL)
    try:
        stage = Stage()
        rounds = parse(data)
        for say, answers in zip(_rounds(stage), rounds + rounds[-1:] * MOST_ROUNDS, strict=False):
            say()
            stage.exchange(answers)
            stage.clock.advance(0.7)
        stage.check_mail()
    finally:
        logging.disable(logging.NOTSET)
