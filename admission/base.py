"""What both colours of the guard share: settings, the desk, what a caller wants, and what a decorator refuses."""

from __future__ import annotations

import inspect
import itertools
from collections import deque
from http import HTTPStatus
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, Protocol

from admission.clerk import DRAIN, Clerk
from admission.core import plans
from admission.core.desk import Desk
from admission.core.exits import RefusedCall
from admission.core.messages import Fetched, Message, SayEnded, SetPause, Want
from admission.errors import CallRejected, Closed, ConfigurationError, UsageError
from admission.ledger.memory import MemoryLedger
from admission.ledger.wire import Kind, Outcome
from admission.log import logger
from admission.process import PerProcess, process_token
from admission.reservation import encloses
from admission.schedule import Schedule
from admission.telling import Telling
from admission.values import (
    Lane,
    Policy,
    Usage,
    check_name,
    check_source_timeout,
    check_timeout,
    clean_text,
    is_coroutine_function,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from admission.core.messages import Booking, Box
    from admission.hooks import Hook
    from admission.loops import LoopTasks
    from admission.reservation import Reservation
    from admission.schedule import Stop, Wait
    from admission.sources.protocol import Source


_GUARDS = itertools.count()
"""Numbers the guards of this process, forked children too: they have another `process_token`."""

_UNRUN = {CoroutineType: "coroutine", GeneratorType: "generator", AsyncGeneratorType: "async generator"}
"""What functions return that have yet to run, and what it is called."""

UNSET: Any = type("Unset", (), {"__repr__": lambda _: "the policy's"})()
"""An argument that was not given: the policy's value counts."""


class Ledger(Protocol):
    """Where a guard books: `MemoryLedger` or `RedisLedger`."""

    def clerk(self) -> Clerk:
        """Return what drives this ledger's guards in the running process."""
        ...


class GuardBase:
    """The settings and the desk of a guard; `Guard` tells what the arguments are."""

    def __init__(
        self,
        source: Source,
        ledger: Ledger | None = None,
        *,
        account: str | None = None,
        policy: Policy | None = None,
        lanes: Iterable[Lane] = (),
        wait: Wait | None = None,
        stop: Stop | None = None,
        hooks: Iterable[Hook] = (),
    ) -> None:
        _check_source(source)
        account = account if account is not None else getattr(source, "account", None)
        if account is None:
            raise ConfigurationError(f"give account=...: a {type(source).__name__} does not name its own")
        self.account: str = check_name("account", account)
        self.policy: Policy = policy if policy is not None else Policy()
        if not isinstance(self.policy, Policy):
            raise ConfigurationError(f"policy={policy!r}: give a Policy")
        if isinstance(lanes, (str, Lane)):
            raise ConfigurationError(f"lanes={lanes!r}: give a list, such as [Lane('callbacks')]")
        self._lanes = {check_lane(lane).name: lane for lane in lanes}
        self._telling = Telling(self.account, hooks, self._lanes)
        self._source = source
        self._ledger: Ledger = MemoryLedger() if ledger is None else ledger
        if not callable(getattr(self._ledger, "clerk", None)):
            # Not its text: a URL may bear a password.
            raise ConfigurationError(f"ledger is a {type(ledger).__name__}: give RedisLedger(url), or a MemoryLedger")
        for name, how in (("wait", wait), ("stop", stop)):
            if how is not None and not callable(how):
                raise ConfigurationError(f"{name}={how!r}: give one of tenacity's, such as stop_after_attempt(3)")
        self._wait = wait
        self._stop = stop
        self._plain = self._schedule().is_plain
        self._timeout = check_source_timeout(getattr(source, "timeout", 5.0))
        self._here = PerProcess(self._settle_in)
        self._loops: deque[LoopTasks] = deque()
        """The event loops of an `AsyncGuard`'s callers."""
        self._closed = False
        self._ids = itertools.count()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} account={self.account} source={self._source!r} ledger={self._ledger!r}>"

    # The desk of the running process

    def _settle_in(self) -> tuple[Clerk, Desk]:
        """Return a clerk and a desk for the running process; a forked child's, under a new name, inherit nothing."""
        clerk = self._ledger.clerk()
        desk = Desk(
            self.account,
            f"{process_token()}.{next(_GUARDS):x}",
            self.policy,
            lanes=self._lanes.values(),
            source_timeout=self._timeout,
            fetch=self._begin_reading,
            report=self._telling.report,
            samples=bool(self._telling),
        )
        return clerk, desk

    def _my_desk(self) -> Desk:
        return self._here.get()[1]

    def _post(self, message: Message) -> None:
        clerk, desk = self._here.get()
        clerk.post(desk, message)

    @property
    def _clock(self) -> Any:
        return self._here.get()[0].clock

    def _begin_reading(self, t0: int) -> None:
        raise NotImplementedError

    def _mint(self) -> str:
        return f"{self._my_desk().process}.{next(self._ids):x}"

    def _want(self, box: Box, lane: str, kind: Kind, timeout: Any) -> Want:
        """Return what one caller wants, its deadline counted from now."""
        check_name("lane", lane)
        if self._closed:
            error = Closed()
            self._telling.refused(lane, kind, error, 0.0)
            raise error
        timeout = self.policy.timeout if timeout is UNSET else timeout
        if timeout is None and encloses(self.account):
            raise ConfigurationError(
                f"a block of account {self.account} encloses this one, which could wait for it for ever: give a timeout"
            )
        now = self._clock.now()
        seat = self._mint()
        deadline = None if timeout is None else now + timeout
        return Want(box, seat, seat, lane, kind, self.policy, now, deadline, join=timeout != 0, plain=self._plain)

    def _again(self, want: Want) -> Want:
        """Return the want of another run after a refusal: a new seat, with the old deadline."""
        seat = self._mint()
        again = Want(
            want.box,
            seat,
            seat,
            want.lane,
            want.kind,
            want.policy,
            want.since,
            want.deadline,
            join=True,
            plain=want.plain,
            again=True,
        )
        again.asked = True
        return again

    def _tell_admitted(self, want: Want, booking: Booking) -> bool:
        """Tell the hooks; return whether the caller may still dial after them, or give its slot back."""
        if not self._telling:
            return True
        self._telling.admitted(booking)
        if self._clock.now() <= booking.deadline:
            return True
        self._post(SayEnded(booking.rid, placed=False))
        want.rid, want.again = self._mint(), True
        return False

    def _tell_refused(self, want: Want, error: BaseException) -> None:
        self._telling.refused(want.lane, want.kind, error, self._clock.now() - want.since)

    def _log_undelivered(self) -> None:
        desk = self._my_desk()
        logger.warning(
            "admission: closed with %d notes that the ledger of %s did not take", len(desk.outbox), self.account
        )

    def _schedule(self) -> Schedule:
        return Schedule(self._wait, self._stop)

    def _rejected(self, own: Callable[[BaseException], bool] | None) -> Callable[[BaseException], CallRejected | None]:
        """Return how an error of placing code is judged: by the source's own rule, or the caller's."""
        builtin = getattr(self._source, "rejected", None)

        def rejected(error: BaseException) -> CallRejected | None:
            try:
                if own is not None and own(error):
                    return CallRejected(getattr(error, "retry_after", None))
                verdict = builtin(error) if callable(builtin) else None
            except Exception:
                logger.exception("admission: rejected() failed; the error counts as unknown")
                return None
            return verdict if isinstance(verdict, CallRejected) else None

        return rejected

    @property
    def _patience(self) -> float:
        """How long a request that nobody can time out otherwise waits for the ledger, in seconds."""
        return DRAIN + 3.0


class BlockBase:
    """What a `hold()` or `place()` returns, in either colour: an immutable recipe.

    As a decorator it books anew for each call; as a context manager each instance is entered once.
    """

    def __init__(
        self,
        guard: Any,
        kind: Kind,
        *,
        lane: str,
        timeout: Any,
        rejected: Callable[[BaseException], bool] | None = None,
        call_id: Callable[[Any], object] | None = None,
        retry: bool = True,
    ) -> None:
        if timeout is not UNSET:
            check_timeout(timeout)
        check_name("lane", lane)
        declared = guard._lanes.get(lane)
        if kind is Kind.PLACE and declared is not None and declared.max_in_flight is not None:
            raise ConfigurationError(plans.untracked(lane))
        self._guard = guard
        self._kind = kind
        self._lane = lane
        self._timeout = timeout
        self._own_rejected = rejected
        self._rejected = guard._rejected(rejected)
        self._call_id = call_id
        self._retry = retry
        self._entered = False

    def __repr__(self) -> str:
        return f"<{self._kind.name.lower()} of account={self._guard.account} lane={self._lane} timeout={self._timeout}>"

    def _enter_once(self) -> None:
        if self._entered:
            raise RuntimeError(
                "this block was entered already: make a new one, guard.hold() or guard.place(), for every with"
            )
        self._entered = True

    def _check_answer(self, reservation: Reservation, answer: object) -> None:
        """Refuse an answer of a plain function that is code still to be run: what that dials would not be covered.

        Raises:
            ConfigurationError: It is, and the function has not said that it dialled.
        """
        kind = _UNRUN.get(type(answer))
        if kind is None or reservation._left or reservation._booking.placed:
            return
        if isinstance(answer, (CoroutineType, GeneratorType)):
            answer.close()
        mend = "for a coroutine function take an AsyncGuard" if kind == "coroutine" else "use a with block inside it"
        raise ConfigurationError(
            f"the decorated function returned a {kind}, which runs after its slot was left: {mend}; a function that "
            "has dialled before it returns one says current_reservation().placed()"
        )

    def _bind_call_id(self, reservation: Reservation, answer: object) -> None:
        """Tell the id of a call that a decorated function has placed; never lose a placed call to a wrong `call_id`."""
        if self._call_id is None:
            return
        try:
            call_id = self._call_id(answer)
        except Exception:
            logger.exception("admission: call_id() failed for %r; the call is booked without its id", reservation)
            return
        reservation.placed(call_id)

    def _may_retry(self, want: Want, way: object, now: float) -> bool:
        """Whether a refused run of a decorated function goes back to the head of the line."""
        in_time = want.join and (want.deadline is None or now < want.deadline)
        return self._retry and in_time and isinstance(way, RefusedCall)


def _check_source(source: object) -> None:
    if isinstance(source, type):
        raise ConfigurationError(
            f"source is the class {source.__name__}: give one that was made, {source.__name__}(...)"
        )
    for name in ("fetch", "afetch"):
        if not callable(getattr(source, name, None)):
            raise ConfigurationError(
                f"source={type(source).__name__} has no {name}(): give a source, such as PureTalk(api_key), or an "
                "object with fetch() and afetch()"
            )


def check_lane(lane: object) -> Lane:
    """Return a lane.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(lane, Lane):
        raise ConfigurationError(f"lane {lane!r}: give a Lane, as in Lane('callbacks')")
    return lane


def pausing(box: Box, *, on: bool, reason: object, lane: object) -> SetPause:
    """Return the message that pauses or resumes the account (`lane` None) or one lane.

    Raises:
        ConfigurationError: No lane can have that name.
    """
    return SetPause(box, on=on, reason=clean_text(reason, 200), lane="" if lane is None else check_name("lane", lane))


def check_function(fn: Any, *, coroutine: bool, made_by: str) -> None:
    """Refuse what a guard's decorator cannot wrap, and say the mend.

    Raises:
        ConfigurationError: `fn` is of the wrong colour, or no plain function.
    """
    here = f"@guard.{made_by}()"
    if isinstance(fn, (staticmethod, classmethod)):
        raise ConfigurationError(f"put {here} below @{type(fn).__name__}, next to the function")
    if inspect.isclass(fn):
        raise ConfigurationError(f"{here} is for functions; decorate the method of {fn.__name__} that places the call")
    if hasattr(fn, "apply_async") and hasattr(fn, "delay"):
        raise ConfigurationError(f"put {here} below @app.task, so that the task's body is guarded and not its sending")
    if not callable(fn):
        raise ConfigurationError(f"{here} is for functions, not for {type(fn).__name__}")
    called = (fn, getattr(fn, "__call__", None))  # noqa: B004 - an object's own
    if any(inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one) for one in called):
        raise ConfigurationError(f"{here} cannot tell when a generator's call is over; use a with block inside it")
    is_coroutine = is_coroutine_function(fn)
    if coroutine and not is_coroutine:
        if inspect.iscoroutinefunction(inspect.unwrap(fn)):
            raise ConfigurationError(
                "an AsyncGuard decorates coroutine functions, and this is a plain function around one: make it `async "
                f"def` and await the other in it, or put {here} below that decorator; take a Guard if it runs the "
                "coroutine to its end"
            )
        raise ConfigurationError("an AsyncGuard decorates coroutine functions; for a plain function take a Guard")
    if not coroutine and is_coroutine:
        raise ConfigurationError("a Guard decorates plain functions; for a coroutine function take an AsyncGuard")


def check_kind(*, track: bool, call_id: object, misuse: tuple[object, ...], made_by: str) -> Kind:
    """Return the kind of a `hold` or `place`, refusing misuse.

    Raises:
        ConfigurationError: The decorator lacks its parentheses, or arguments contradict each other.
    """
    if misuse:
        raise ConfigurationError(f"write @guard.{made_by}() with parentheses; its arguments go by keyword")
    if call_id is not None and not callable(call_id):
        raise ConfigurationError("call_id takes the function's answer and returns the id: give a callable")
    if made_by == "hold":
        return Kind.HOLD
    return Kind.TRACK if track else Kind.PLACE


def outcome_of(t0: int, answer: object) -> Fetched:
    """Return what an attempt to read the provider came to: the one place where a source's errors are mapped."""
    if isinstance(answer, Usage):
        return Fetched(t0, Outcome.READ, usage=answer, kind="")
    if isinstance(answer, ConfigurationError):
        return Fetched(t0, Outcome.FINAL, error=answer, kind="configuration")
    if isinstance(answer, UsageError):
        return Fetched(t0, Outcome.PASSING, error=answer, kind=_kind_of(answer.status))
    if isinstance(answer, Exception):
        error = UsageError(f"the source raised {type(answer).__name__}: {answer}")
        kind = "no_answer" if isinstance(answer, TimeoutError) else "source_error"
        return Fetched(t0, Outcome.PASSING, error=error, kind=kind)
    error = UsageError(f"the source returned {type(answer).__name__}, not Usage")
    return Fetched(t0, Outcome.PASSING, error=error, kind="bad_answer")


def _kind_of(status: int | None) -> str:
    """Return what kind of error an HTTP status stands for; `None`: there was no answer."""
    if status is None:
        return "no_answer"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limited"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server_error"
    return "client_error" if status >= HTTPStatus.BAD_REQUEST else "bad_answer"
