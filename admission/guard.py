"""The guard for threads and plain functions."""

from __future__ import annotations

import atexit
import functools
import threading
import time
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Never, ParamSpec, TypeVar

from admission import direct, environment
from admission.base import UNSET, BlockBase, GuardBase, check_function, check_kind, check_lane, outcome_of, pausing
from admission.clerk import DRAIN
from admission.core import plans
from admission.core.exits import ByValue, Unknown, Unplaced, judge
from admission.core.messages import (
    Fetched,
    GetHolders,
    GetStatus,
    GiveUp,
    SetLane,
    Shut,
    TellEnded,
    TellStarted,
    Want,
)
from admission.drivers import ThreadBox, run
from admission.errors import ConfigurationError, Refused, Unavailable, UsageError
from admission.ledger.wire import Kind, Outcome
from admission.reservation import Reservation, enter, leave, required_call_id
from admission.values import Holders, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    from admission.core.exits import Exit
    from admission.core.messages import Answer, Effect
    from admission.reservation import Enclosing
    from admission.values import Lane

P = ParamSpec("P")
T = TypeVar("T")

LAST_READING = 1.0
"""Seconds for which the interpreter's exit waits for readings that are under way."""
_READERS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


@atexit.register
def _await_readers() -> None:
    """Let readings end: a thread that is inside OpenSSL while the interpreter goes away may crash the process."""
    until = time.monotonic() + LAST_READING
    for reader in list(_READERS):
        if reader.is_alive():
            reader.join(max(0.0, until - time.monotonic()))


class Guard(GuardBase):
    """Admits calls of threads and plain functions.

    Constructing one does no I/O, so make one at module level; it serves any number of threads. As a context manager it
    is closed at the end of the block.

    Args:
        source: Where readings come from: a `PureTalk`, another of `admission.sources`, or any object with `fetch()`
            and `afetch()`, see `Source`.
        ledger: The shared book: a `RedisLedger`, or a `MemoryLedger` for one process. `None` is a new `MemoryLedger`.
        account: The account's name in the ledger; defaults to the source's own (`PureTalk`: a hash of base URL and
            key; the others alike). Custom sources without an `account` attribute must be given one.
        policy: How the guard decides; `None` is `Policy()`.
        lanes: The classes of traffic that this guard declares; there is always `default`. Lanes live in the ledger,
            where the newest word on each counts: a declaration that says something new, or `set_lane`.
        wait: A tenacity `wait`: when a waiter attempts. `None`: jittered, exponential from 0.1 to 2 s. A waiter is
            woken when there is something for it anyway, so this matters only where `stop` counts attempts.
        stop: A tenacity `stop`: when a waiter gives up. `None`: only at its timeout.
        hooks: Callables that take one event each, see `admission.hooks`: for metrics, traces, or alarms of your own.
            While there are any, the ledger is asked every few seconds how the account stands; the provider never is.

    Attributes:
        account: The account's name in the ledger.
        policy: How the guard decides.

    Raises:
        ConfigurationError: A setting cannot work; the text says which, and the mend.
    """

    @classmethod
    def from_env(cls, **settings: Any) -> Guard:
        """Make a guard from the environment; keywords, those of the constructor, override it.

        Reads `PURETALK_API_KEY`, `PURETALK_BASE_URL`, `ADMISSION_REDIS_URL` (or `ADMISSION_LEDGER=memory`) and
        `ADMISSION_ACCOUNT`. All else, as `hooks` and `policy`, is given by keyword. Guards of a process that find
        the same ledger there share it.

        Raises:
            ConfigurationError: Something is missing; the text names the variable.
        """
        return cls(**environment.fill(settings))

    def hold(self, *misuse: Never, lane: str = "default", timeout: float | None = UNSET) -> Block:
        """Return a block that lives as long as its call: `with guard.hold() as reservation:`, or a decorator.

        Args:
            lane: The class of traffic.
            timeout: Seconds to wait for a slot: `None` for ever, 0 not at all; not given, the policy's.

        Raises:
            ConfigurationError: An argument cannot work. Entering the block, or calling the decorated function, raises
                what `acquire` raises, and `RuntimeError` for a block that was entered before.
        """
        kind = check_kind(track=False, call_id=None, misuse=misuse, made_by="hold")
        return Block(self, kind, lane=lane, timeout=timeout)

    def place(
        self,
        *misuse: Never,
        lane: str = "default",
        timeout: float | None = UNSET,
        track: bool = False,
        call_id: Callable[[Any], object] | None = None,
        rejected: Callable[[BaseException], bool] | None = None,
        retry: bool = True,
    ) -> Block:
        """Return a block, or a decorator, that places one call and is left; the call outlives it.

        Args:
            lane: The class of traffic.
            timeout: Seconds to wait for a slot: `None` for ever, 0 not at all; not given, the policy's.
            track: Keep the booking by its call id until `call_ended`.
            call_id: Takes a decorated function's answer, returns the call's id.
            rejected: Takes an error of the block; true says that the provider refused the call for concurrency, so that
                it was surely not placed.
            retry: Whether a decorated function whose call was refused runs again when there is room.

        Raises:
            ConfigurationError: An argument cannot work, or the lane has a cap and `track` was not given. Entering the
                block, or calling the decorated function, raises what `acquire` raises; when the provider refused the
                call and the time is up, the provider's own exception.
        """
        kind = check_kind(track=track, call_id=call_id, misuse=misuse, made_by="place")
        return Block(self, kind, lane=lane, timeout=timeout, rejected=rejected, call_id=call_id, retry=retry)

    def acquire(self, *, lane: str = "default", timeout: float | None = UNSET) -> Reservation:
        """Claim a slot as a hold for code that has no block; leave it by `ended()`, `cancel()` or `release()`.

        Args:
            lane: The class of traffic.
            timeout: Seconds to wait for a slot: `None` for ever, 0 not at all; not given, the policy's.

        Raises:
            Refused: No slot was free in time (`Saturated`, `QueueFull`, `Paused`).
            Unavailable: The provider or the ledger could not be asked.
            Closed: The guard is closed.
            ConfigurationError: The key or a setting is wrong.
        """
        reservation, _ = Block(self, Kind.HOLD, lane=lane, timeout=timeout)._admit()
        return reservation

    def call_started(self, call_id: object) -> None:
        """Book a call that the fleet did not place (an inbound call's webhook) as placed now.

        For an id that is known it does nothing. Waits until the ledger has it, for 5 s at most; kept and delivered
        later while the ledger is away.

        Args:
            call_id: The provider's id of the call: text, or anything that `str` tells apart.

        Raises:
            ConfigurationError: There is no id (`None`, an empty text), or it cannot be written as text.
        """
        box = ThreadBox(self._clock)
        rid, at = self._mint(), self._clock.now()
        self._run(plans.tell(TellStarted(box, rid, required_call_id(call_id), at), self._patience), box)

    def call_ended(self, call_id: object) -> None:
        """Say that a call is over, by its id, from any process; an id not known yet is remembered for an hour.

        Waits until the ledger has it, for 5 s at most; kept and delivered later while the ledger is away.

        Args:
            call_id: The provider's id of the call, as it was told when the call was placed.

        Raises:
            ConfigurationError: There is no id (`None`, an empty text), or it cannot be written as text.
        """
        box = ThreadBox(self._clock)
        self._run(plans.tell(TellEnded(box, required_call_id(call_id)), self._patience), box)

    def status(self) -> Status:
        """Return the ledger's view of the account; the provider is not asked.

        Raises:
            LedgerUnavailable: The ledger does not answer.
        """
        box = ThreadBox(self._clock)
        status = self._run(plans.ask(GetStatus(box), self._patience), box)
        assert isinstance(status, Status)  # noqa: S101 - what the request is answered with
        return status

    def holders(self) -> Holders:
        """Return who holds what: the reservations that the ledger holds booked, a thousand at the most.

        Raises:
            LedgerUnavailable: The ledger does not answer.
        """
        box = ThreadBox(self._clock)
        holders = self._run(plans.ask(GetHolders(box), self._patience), box)
        assert isinstance(holders, Holders)  # noqa: S101 - what the request is answered with
        return holders

    def refresh(self) -> Status:
        """Read the provider now and return the account's state after it.

        Raises:
            UsageUnavailable: The provider could not be read.
            LedgerUnavailable: The ledger does not answer.
            ConfigurationError: The key is wrong.
        """
        box = ThreadBox(self._clock)
        return self._run(plans.refresh(box, self._timeout + self._patience), box)

    def pause(self, reason: str, lane: str | None = None) -> None:
        """Stop the very next claim of the whole fleet; running calls go on, callers wait on.

        Args:
            reason: What operators and refused callers are told.
            lane: Only the claims of this lane; `None` for all.

        Raises:
            LedgerUnavailable: The ledger does not answer; `status()` says later whether it has heard of the pause.
            ConfigurationError: There is no such lane.
        """
        box = ThreadBox(self._clock)
        self._run(plans.ask(pausing(box, on=True, reason=reason, lane=lane), self._patience), box)

    def resume(self, lane: str | None = None) -> None:
        """Undo `pause`.

        Args:
            lane: The lane that was paused; `None` for the account.

        Raises:
            LedgerUnavailable: The ledger does not answer; `status()` says later whether the pause still stands.
            ConfigurationError: There is no such lane.
        """
        box = ThreadBox(self._clock)
        self._run(plans.ask(pausing(box, on=False, reason="", lane=lane), self._patience), box)

    def set_lane(self, lane: Lane) -> None:
        """Set how a lane is served, for the whole fleet and from the next claim on; a new one is added.

        The last word counts. A lane cannot be removed; nobody is thrown out where a cap is lowered below use.

        Args:
            lane: The lane's name, and all of its settings.

        Raises:
            LedgerUnavailable: The ledger does not answer; nothing is set.
            ConfigurationError: The account has too many lanes, or `lane` is no `Lane`.
        """
        box = ThreadBox(self._clock)
        self._run(plans.ask(SetLane(box, check_lane(lane)), self._patience), box)

    def close(self) -> None:
        """Wake the waiters with `Closed`, and deliver what was noted, for at most 2 s; what is left is logged."""
        self._closed = True
        if self._here.made() is None:
            return
        box = ThreadBox(self._clock)
        if not self._run(plans.tell(Shut(box), DRAIN), box):
            self._log_undelivered()

    def __enter__(self) -> Guard:  # noqa: PYI034 - guards are not subclassed
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self, plan: Generator[Effect, plans.Heard, T], box: ThreadBox) -> T:
        return run(plan, box, self._post, self._clock, self._ask_directly)

    def _ask_directly(self, want: Want) -> Answer | None:
        return direct.ask(*self._here.get(), want)

    def _begin_reading(self, t0: int) -> None:
        reader = threading.Thread(target=self._read, args=(t0,), name="admission-reader", daemon=True)
        _READERS.add(reader)
        try:
            reader.start()
        except RuntimeError as error:
            # This is the clerk's thread, and the lack of another may pass.
            failure = UsageError(f"no thread could be started to read the provider: {error}")
            self._post(outcome_of(t0, failure))

    def _read(self, t0: int) -> None:
        began = self._clock.now()
        fetched = Fetched(t0, Outcome.ABANDONED)
        try:
            fetched = outcome_of(t0, self._source.fetch())
        except Exception as error:  # noqa: BLE001 - mapped in one place
            fetched = outcome_of(t0, error)
        finally:
            self._post(replace(fetched, took=self._clock.now() - began))


class Block(BlockBase):
    """A `hold` or `place` of a `Guard`: a context manager to enter once, and a decorator."""

    _guard: Guard
    _reservation: Reservation
    _enclosing: Enclosing

    def __call__(self, fn: Callable[P, T]) -> Callable[P, T]:
        """Decorate a function: every call books anew."""
        check_function(fn, coroutine=False, made_by="hold" if self._kind is Kind.HOLD else "place")

        @functools.wraps(fn)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            reservation, want = self._admit()
            try:
                while True:
                    enclosing = enter(reservation)
                    try:
                        answer = fn(*args, **kwargs)
                        self._check_answer(reservation, answer)
                        self._bind_call_id(reservation, answer)
                    except BaseException as error:
                        way = judge(reservation._booking, error, self._rejected)
                        if not self._may_retry(want, way, self._guard._clock.now()):
                            reservation._leave(way)
                            raise
                        refusal = error
                    else:
                        reservation._leave(ByValue())
                        return answer
                    finally:
                        leave(enclosing)
                    reservation, want = self._admit_again(reservation, want, way, refusal)
            except BaseException:
                # An exception that a signal raised may have come before it was left.
                reservation._leave(Unknown())
                raise

        return guarded

    def __enter__(self) -> Reservation:
        self._enter_once()
        self._reservation, _ = self._admit()
        try:
            self._enclosing = enter(self._reservation)
        except BaseException:  # a signal raised it: nobody has dialled yet
            self._reservation._leave(Unplaced())
            raise
        return self._reservation

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            leave(self._enclosing)
            self._reservation._leave(judge(self._reservation._booking, error, self._rejected))
        except BaseException:  # a signal raised it, maybe before the block was left
            self._reservation._leave(Unknown())
            raise

    async def __aenter__(self) -> Reservation:
        raise ConfigurationError("this block belongs to a Guard: write `with`, or take an AsyncGuard")

    async def __aexit__(self, *exc: object) -> None:
        """Never reached."""

    def _admit(self, want: Want | None = None) -> tuple[Reservation, Want]:
        """Wait until a slot is claimed; whatever interrupts the wait gives back what the ledger may have booked."""
        guard = self._guard
        asked = want is not None
        if want is None:
            box = ThreadBox(guard._clock)
            want = guard._want(box, self._lane, self._kind, self._timeout)
        try:
            told = False
            while True:
                plan = plans.admit(want, guard._schedule(), guard._mint, guard._timeout, asked=asked)
                booking = guard._run(plan, want.box)  # type: ignore[arg-type]  # this guard's own box
                # Told once: a hook that is always too slow costs each caller one more claim and no more.
                if told or guard._tell_admitted(want, booking):
                    return Reservation(booking, guard.account, guard._post, guard._clock), want
                told, asked = True, False
        except BaseException as error:
            guard._post(GiveUp(want))
            guard._tell_refused(want, error)
            raise

    def _admit_again(
        self, reservation: Reservation, want: Want, way: Exit, refusal: BaseException
    ) -> tuple[Reservation, Want]:
        """Leave for the head of the line and wait for another run; out of time, raise the provider's own exception."""
        again = self._guard._again(want)
        try:
            reservation._leave(way, again)
            return self._admit(again)
        except (Refused, Unavailable):
            raise refusal from None
        except BaseException:
            self._guard._post(GiveUp(again))
            raise
