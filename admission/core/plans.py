"""How one caller is admitted, and how it asks for other things: generators that yield effects and receive mail.

A plan yields `Post(message)`, `AskDirectly(want)` or `Wait(until)` and is sent `(now, mail)`: the time of its process's
clock, and the mail that came, or `None` when `until` passed first. A plan never yields in a `finally`: giving back is
the shell's `GiveUp`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from admission.core.messages import (
    GRACE,
    Answer,
    AskDirectly,
    AskFor,
    Booking,
    Box,
    ClaimOffer,
    Done,
    Effect,
    Failed,
    Forgotten,
    GetReading,
    GetStatus,
    GiveUp,
    Handed,
    Holding,
    LedgerDown,
    Mail,
    Message,
    News,
    Offered,
    Post,
    SayEnded,
    State,
    Wait,
    Want,
)
from admission.errors import (
    AdmissionError,
    ConfigurationError,
    LedgerUnavailable,
    Paused,
    QueueFull,
    Saturated,
    UsageError,
    UsageUnavailable,
)
from admission.ledger.replies import NOTHING
from admission.ledger.wire import Code
from admission.values import Status

if TYPE_CHECKING:
    from admission.values import Holders

Heard = tuple[float, Mail | None]
Answered = tuple[float, Answer]
Pauses = Callable[[float], float | None]
"""Seconds waited so far to seconds until the next attempt; `None` gives up (tenacity's `wait` and `stop`)."""

POLL = 0.05
"""Seconds between two looks for a reading that another process takes."""
MILLISECOND = 0.001
"""What rounding on the wire may cost, in seconds."""


HANDED = Answer(Code.GRANTED, NOTHING)
"""The answer to a caller for which a slot was claimed while it waited; it is in the want."""
SEATED = Answer(Code.IN_LINE, NOTHING)
"""The answer to a caller that stands in line and was not told so."""


class _Mailbox:
    """What came for one caller besides the answer that it waits for."""

    __slots__ = ("cause", "failed", "forgotten", "offered")

    def __init__(self) -> None:
        self.offered = False
        self.forgotten = False
        self.failed = False
        self.cause: Exception | None = None

    def note(self, mail: Mail) -> None:
        match mail:
            case Offered():
                self.offered = True
            case Forgotten():
                self.forgotten = True
            case News(error):
                self.failed = error is not None
            case LedgerDown(error):
                self.cause = error
            case Failed(error):
                raise error
            case _:
                pass


def admit(
    want: Want, pauses: Pauses, mint: Callable[[], str], source_timeout: float, *, asked: bool = False
) -> Generator[Effect, Heard, Booking]:
    """Wait in line until a slot is claimed, at most until `want.deadline`.

    `asked`: the seat was already taken with another request. `source_timeout`: seconds for which a caller that takes no
    seat waits for a reading when there is none.
    """
    box = _Mailbox()
    now = want.since
    answer: Answer | None = None
    if not asked:
        now, mail = yield AskDirectly(want)
        answer = mail if isinstance(mail, Answer) else None
    while True:
        if answer is None:
            now, answer = yield from _ask_and_wait(want, box, pauses, source_timeout, asked=asked)
            asked = False
        booking = want.take() if answer is HANDED else answer.booking
        if booking is None and answer.code not in {Code.UNKNOWN, Code.GRANTED}:
            now, _ = yield Post(GiveUp(want))
            raise refusal(answer, want, now)
        if booking is not None and now <= booking.deadline:
            booking.waited = max(0.0, now - want.since)
            return booking
        if booking is not None:
            yield Post(SayEnded(booking.rid, placed=False))
        if booking is not None or answer is HANDED:
            want.rid = mint()
            want.again = True
        answer = None


def _ask_and_wait(
    want: Want, box: _Mailbox, pauses: Pauses, source_timeout: float, *, asked: bool
) -> Generator[Effect, Heard, Answered]:
    """Ask, and where that gives a seat, wait in it."""
    if not want.join:
        return (yield from _admit_at_once(want, box, source_timeout))
    if not asked:
        want.seated = False
        now, answer = yield from _request(AskFor(want), box, want.deadline, want)
        if answer.code is not Code.IN_LINE:
            return now, answer
    return (yield from _stand_in_line(want, box, pauses))


def _request(
    message: Message, box: _Mailbox, until: float | None, asker: Want | None = None
) -> Generator[Effect, Heard, Answered]:
    """Post a request about a seat and wait for its answer; `asker` may be seated without one."""
    now, mail = yield Post(message)
    patience = None if until is None else max(until, now + GRACE)
    while True:
        now, mail = yield Wait(patience)
        if isinstance(mail, Answer):
            return now, mail
        if isinstance(mail, Handed) and not isinstance(message, GiveUp):
            return now, HANDED
        if mail is not None:
            box.note(mail)
        over = until is not None and now >= until
        if asker is not None and asker.seated and (over or mail is not None):
            return now, SEATED
        if over and (mail is None or isinstance(mail, LedgerDown)):
            raise ledger_unavailable(box.cause)


def _admit_at_once(want: Want, box: _Mailbox, source_timeout: float) -> Generator[Effect, Heard, Answered]:
    """Claim without a seat; where there is no usable reading, wait for one, unless it fails."""
    until: float | None = None
    while True:
        now, answer = yield from _request(AskFor(want), box, want.deadline)
        until = now + source_timeout if until is None else until
        if answer.code is not Code.UNREAD or box.failed or now >= until:
            return now, answer
        now, mail = yield Wait(min(until, now + POLL))
        if mail is not None:
            box.note(mail)


def _stand_in_line(want: Want, box: _Mailbox, pauses: Pauses) -> Generator[Effect, Heard, Answered]:
    """Attempt when tenacity's `wait` says and whenever mail comes, until claimed, forgotten, or out of time."""
    now, mail = yield Wait(0)
    while True:
        if isinstance(mail, Handed):
            return now, HANDED
        if mail is not None:
            box.note(mail)
        if box.forgotten:
            box.forgotten = box.offered = False
            return now, Answer(Code.UNKNOWN, NOTHING)
        if box.offered:
            box.offered = False
            now, answer = yield from _request(ClaimOffer(want), box, want.deadline)
            if (
                answer is HANDED
                or answer.booking is not None
                or answer.code in {Code.UNKNOWN, Code.UNTRACKED, Code.NO_LANE}
            ):
                return now, answer
            now, mail = yield Wait(0)
            continue
        pause = pauses(now - want.since)
        over = pause is None or (want.deadline is not None and now >= want.deadline)
        if over:
            return (yield from _request(GiveUp(want, answer=True), box, now))
        until = min(now + (pause or 0.0), math.inf if want.deadline is None else want.deadline)
        now, mail = yield Wait(None if until == math.inf else until)


def refusal(answer: Answer, want: Want, now: float) -> AdmissionError:
    """Return the error for a caller that was not admitted."""
    verdict = answer.verdict
    if answer.code is Code.NO_LANE:
        return ConfigurationError(
            f"lane {want.lane!r} is not declared; known are: {verdict.pause_reason}. Give the guard "
            f"lanes=[Lane({want.lane!r})], or call set_lane()"
        )
    if answer.code is Code.UNTRACKED:
        return ConfigurationError(untracked(want.lane))
    retry_after = verdict.retry_after / 1000
    if answer.code is Code.UNREAD:
        cause = answer.cause or (UsageError(verdict.error) if verdict.error else None)
        why = cause or "none has come in yet, or the account was opened a moment ago and must be read first"
        return UsageUnavailable(
            f"no reading of the provider is young enough to admit on: {why}; try again in {retry_after:g} s",
            cause=cause,
            retry_after=retry_after,
        )
    limit = verdict.limit if verdict.limit >= 0 else None
    kinds = {Code.PAUSED: Paused, Code.FULL: QueueFull}
    texts = {
        Code.PAUSED: f"the account, or its lane {want.lane!r}, is paused ({verdict.pause_reason}); resume it to go on",
        Code.FULL: f"the line is full with {verdict.position} callers; try again in {retry_after:g} s",
    }
    full = f"no slot was free: {verdict.in_use} of {limit} in use, {verdict.position} ahead"
    if limit is not None and verdict.in_use < limit:
        full += " (the rest is kept back: headroom, a lane's cap, the pace, a cool-down, or for callers in line)"
    if limit == 0:
        full = "the provider's limit is 0, so no call may start until it rises"
    text = texts.get(answer.code, f"{full}; try again in {retry_after:g} s")
    error = kinds.get(answer.code, Saturated)(
        text,
        limit=limit,
        in_use=verdict.in_use,
        waited=max(0.0, now - want.since),
        position=verdict.position,
        retry_after=retry_after,
    )
    if isinstance(error, Paused):
        error.reason = verdict.pause_reason
    return error


def untracked(lane: str) -> str:
    """Return what is wrong with a `place` whose calls a lane's cap cannot count."""
    return (
        f"lane {lane!r} has max_in_flight, which can only be kept for calls that are tracked: write place(track=True)"
    )


def ledger_unavailable(cause: Exception | None) -> LedgerUnavailable:
    """Return the error for a caller whose ledger did not answer in time."""
    why = f": {cause}" if cause else " in time"
    text = f"the ledger did not answer{why}; nothing was admitted; `admission doctor` says what is wrong"
    return LedgerUnavailable(text, cause=cause)


def ask(message: Message, patience: float) -> Generator[Effect, Heard, Status | Holders | None]:
    """Ask the desk for something; return the answer, where there is one.

    Raises `LedgerUnavailable` when the ledger cannot be reached, or not within `patience` seconds.
    """
    now, _ = yield Post(message)
    until = now + patience
    while True:
        now, mail = yield Wait(until)
        match mail:
            case State(told) | Holding(told):
                return told
            case Done():
                return None
            case Failed(error):
                raise error
            case LedgerDown(error):
                raise ledger_unavailable(error)
            case None:
                raise ledger_unavailable(None)
            case _:
                pass


def tell(message: Message, patience: float) -> Generator[Effect, Heard, bool]:
    """Note something, and wait until it is delivered, at most `patience` seconds; return whether it was."""
    now, _ = yield Post(message)
    until = now + patience
    while True:
        now, mail = yield Wait(until)
        if mail is None:
            return False
        if isinstance(mail, Done):
            return mail.left == 0
        if isinstance(mail, Failed):
            raise mail.error


def refresh(box: Box, patience: float) -> Generator[Effect, Heard, Status]:
    """Have the provider read, and return the account's state after it."""
    now, _ = yield Post(GetReading(box))
    began = now
    until = now + patience
    while True:
        now, mail = yield Wait(until)
        match mail:
            case News(error) if error is not None:
                raise UsageUnavailable(f"the provider could not be read: {error}", cause=error)
            case News():
                status = yield from ask(GetStatus(box), patience)
                now, _ = yield Wait(0)
                if (
                    isinstance(status, Status)
                    and status.usage_age is not None
                    and now - status.usage_age >= began - MILLISECOND
                ):
                    return status
                # Another process was reading already; what it found may be older than this request.
                yield Wait(now + POLL)
                yield Post(GetReading(box))
            case Failed(error):
                raise error
            case LedgerDown(error):
                raise ledger_unavailable(error)
            case None:
                raise UsageUnavailable("the provider was not read in time")
            case _:
                pass
