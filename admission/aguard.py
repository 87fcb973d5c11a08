"""The guard for event loops and coroutine functions."""

from __future__ import annotations

import asyncio
import contextlib
import functools
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
from admission.drivers import LoopBox, arun
from admission.errors import ConfigurationError, Refused, Unavailable
from admission.ledger.wire import Kind, Outcome
from admission.loops import LoopTasks
from admission.reservation import Reservation, enter, leave, required_call_id
from admission.values import Holders, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from types import TracebackType

    from admission.core.exits import Exit
    from admission.core.messages import Answer, Effect
    from admission.reservation import Enclosing
    from admission.values import Lane

P = ParamSpec("P")
T = TypeVar("T")


class AsyncGuard(GuardBase):
    """Admits calls of tasks and coroutine functions.

    Constructing one does no I/O and needs no event loop, so make one at module level; it serves any number of loops,
    one after another or at once. As an asynchronous context manager it is closed at the end of the block.

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
    def from_env(cls, **settings: Any) -> AsyncGuard:
        """Make a guard from the environment; keywords, those of the constructor, override it.

        Reads `PURETALK_API_KEY`, `PURETALK_BASE_URL`, `ADMISSION_REDIS_URL` (or `ADMISSION_LEDGER=memory`) and
        `ADMISSION_ACCOUNT`. All else, as `hooks` and `policy`, is given by keyword. Guards of a process that find
        the same ledger there share it.

        Raises:
            ConfigurationError: Something is missing; the text names the variable.
        """
        return cls(**environment.fill(settings))

    def hold(self, *misuse: Never, lane: str = "default", timeout: float | None = UNSET) -> AsyncBlock:
        """Return a block that lives as long as its call: `async with guard.hold() as reservation:`, or a decorator.

        Args:
            lane: The class of traffic.
            timeout: Seconds to wait for a slot: `None` for ever, 0 not at all; not given, the policy's.

        Raises:
            ConfigurationError: An argument cannot work. Entering the block, or calling the decorated function, raises
                what `acquire` raises, and `RuntimeError` for a block that was entered before.
        """
        kind = check_kind(track=False, call_id=None, misuse=misuse, made_by="hold")
        return AsyncBlock(self, kind, lane=lane, timeout=timeout)

    def place(
        self,
        *misuse: Never,
        lane: str = "default",
        timeout: float | None = UNSET,
        track: bool = False,
        call_id: Callable[[Any], object] | None = None,
        rejected: Callable[[BaseException], bool] | None = None,
        retry: bool = True,
    ) -> AsyncBlock:
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
        return AsyncBlock(self, kind, lane=lane, timeout=timeout, rejected=rejected, call_id=call_id, retry=retry)

    async def acquire(self, *, lane: str = "default", timeout: float | None = UNSET) -> Reservation:
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
        reservation, _ = await AsyncBlock(self, Kind.HOLD, lane=lane, timeout=timeout)._admit()
        return reservation

    async def call_started(self, call_id: object) -> None:
        """Book a call that the fleet did not place (an inbound call's webhook) as placed now.

        For an id that is known it does nothing. Waits until the ledger has it, for 5 s at most; kept and delivered
        later while the ledger is away.

        Args:
            call_id: The provider's id of the call: text, or anything that `str` tells apart.

        Raises:
            ConfigurationError: There is no id (`None`, an empty text), or it cannot be written as text.
        """
        box = LoopBox(self._clock)
        rid, at = self._mint(), self._clock.now()
        await self._run(plans.tell(TellStarted(box, rid, required_call_id(call_id), at), self._patience), box)

    async def call_ended(self, call_id: object) -> None:
        """Say that a call is over, by its id, from any process; an id not known yet is remembered for an hour.

        Waits until the ledger has it, for 5 s at most; kept and delivered later while the ledger is away.

        Args:
            call_id: The provider's id of the call, as it was told when the call was placed.

        Raises:
            ConfigurationError: There is no id (`None`, an empty text), or it cannot be written as text.
        """
        box = LoopBox(self._clock)
        await self._run(plans.tell(TellEnded(box, required_call_id(call_id)), self._patience), box)

    async def status(self) -> Status:
        """Return the ledger's view of the account; the provider is not asked.

        Raises:
            LedgerUnavailable: The ledger does not answer.
        """
        box = LoopBox(self._clock)
        status = await self._run(plans.ask(GetStatus(box), self._patience), box)
        assert isinstance(status, Status)  # noqa: S101 - what the request is answered with
        return status

    async def holders(self) -> Holders:
        """Return who holds what: the reservations that the ledger holds booked, a thousand at the most.

        Raises:
            LedgerUnavailable: The ledger does not answer.
        """
        box = LoopBox(self._clock)
        holders = await self._run(plans.ask(GetHolders(box), self._patience), box)
        assert isinstance(holders, Holders)  # noqa: S101 - what the request is answered with
        return holders

    async def refresh(self) -> Status:
        """Read the provider now and return the account's state after it.

        Raises:
            UsageUnavailable: The provider could not be read.
            LedgerUnavailable: The ledger does not answer.
            ConfigurationError: The key is wrong.
        """
        box = LoopBox(self._clock)
        return await self._run(plans.refresh(box, self._timeout + self._patience), box)

    async def pause(self, reason: str, lane: str | None = None) -> None:
        """Stop the very next claim of the whole fleet; running calls go on, callers wait on.

        Args:
            reason: What operators and refused callers are told.
            lane: Only the claims of this lane; `None` for all.

        Raises:
            LedgerUnavailable: The ledger does not answer; `status()` says later whether it has heard of the pause.
            ConfigurationError: There is no such lane.
        """
        box = LoopBox(self._clock)
        await self._run(plans.ask(pausing(box, on=True, reason=reason, lane=lane), self._patience), box)

    async def resume(self, lane: str | None = None) -> None:
        """Undo `pause`.

        Args:
            lane: The lane that was paused; `None` for the account.

        Raises:
            LedgerUnavailable: The ledger does not answer; `status()` says later whether the pause still stands.
            ConfigurationError: There is no such lane.
        """
        box = LoopBox(self._clock)
        await self._run(plans.ask(pausing(box, on=False, reason="", lane=lane), self._patience), box)

    async def set_lane(self, lane: Lane) -> None:
        """Set how a lane is served, for the whole fleet and from the next claim on; a new one is added.

        The last word counts. A lane cannot be removed; nobody is thrown out where a cap is lowered below use.

        Args:
            lane: The lane's name, and all of its settings.

        Raises:
            LedgerUnavailable: The ledger does not answer; nothing is set.
            ConfigurationError: The account has too many lanes, or `lane` is no `Lane`.
        """
        box = LoopBox(self._clock)
        await self._run(plans.ask(SetLane(box, check_lane(lane)), self._patience), box)

    async def close(self) -> None:
        """Wake the waiters with `Closed`, and deliver what was noted, for at most 2 s; what is left is logged."""
        self._closed = True
        if self._here.made() is None:
            return
        box = LoopBox(self._clock)
        if not await self._run(plans.tell(Shut(box), DRAIN), box):
            self._log_undelivered()
        await (await self._tasks_here()).end()

    async def __aenter__(self) -> AsyncGuard:  # noqa: PYI034 - guards are not subclassed
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _run(self, plan: Generator[Effect, plans.Heard, T], box: LoopBox) -> T:
        tasks = await self._tasks_here()
        tasks.callers += 1
        try:
            return await arun(plan, box, self._post, self._clock, self._ask_directly)
        finally:
            tasks.callers -= 1

    async def _ask_directly(self, want: Want) -> Answer | None:
        return await direct.aask(*self._here.get(), want)

    async def _tasks_here(self) -> LoopTasks:
        """Return the running loop's tasks, made at its first use."""
        loop = asyncio.get_running_loop()
        for tasks in list(self._loops):
            if tasks.loop is loop:
                return tasks
            if tasks.loop.is_closed():
                with contextlib.suppress(ValueError):  # another loop's thread was quicker
                    self._loops.remove(tasks)
        tasks = LoopTasks()
        await tasks.begin()
        self._loops.append(tasks)
        return tasks

    def _begin_reading(self, t0: int) -> None:
        def refused() -> None:
            # The loops that wanted to dial have ended, and nobody there waits for the reading any more.
            self._post(Fetched(t0, Outcome.ABANDONED))

        # In turn, so that a loop that stands still does not keep readings from the others; first where somebody waits.
        self._loops.rotate()
        loops = sorted(self._loops, key=lambda tasks: not tasks.callers)
        if not any(tasks.start(lambda: self._read(t0), refused) for tasks in loops):
            refused()

    async def _read(self, t0: int) -> None:
        began = self._clock.now()
        fetched = Fetched(t0, Outcome.ABANDONED)
        try:
            async with asyncio.timeout(self._timeout + 1.0):
                usage = await self._source.afetch()
            fetched = outcome_of(t0, usage)
        except Exception as error:  # noqa: BLE001 - mapped in one place
            fetched = outcome_of(t0, error)
        finally:
            self._post(replace(fetched, took=self._clock.now() - began))


class AsyncBlock(BlockBase):
    """A `hold` or `place` of an `AsyncGuard`: a context manager to enter once, and a decorator."""

    _guard: AsyncGuard
    _reservation: Reservation
    _enclosing: Enclosing

    def __call__(self, fn: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Decorate a coroutine function: every call books anew."""
        check_function(fn, coroutine=True, made_by="hold" if self._kind is Kind.HOLD else "place")

        @functools.wraps(fn)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            reservation, want = await self._admit()
            try:
                while True:
                    enclosing = enter(reservation)
                    try:
                        answer = await fn(*args, **kwargs)
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
                    reservation, want = await self._admit_again(reservation, want, way, refusal)
            except BaseException:
                # An exception that a signal raised may have come before it was left.
                reservation._leave(Unknown())
                raise

        return guarded

    async def __aenter__(self) -> Reservation:
        self._enter_once()
        self._reservation, _ = await self._admit()
        try:
            self._enclosing = enter(self._reservation)
        except BaseException:  # a signal raised it: nobody has dialled yet
            self._reservation._leave(Unplaced())
            raise
        return self._reservation

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            leave(self._enclosing)
            self._reservation._leave(judge(self._reservation._booking, error, self._rejected))
        except BaseException:  # a signal raised it, maybe before the block was left
            self._reservation._leave(Unknown())
            raise

    def __enter__(self) -> Reservation:
        raise ConfigurationError("this block belongs to an AsyncGuard: write `async with`, or take a Guard")

    def __exit__(self, *exc: object) -> None:
        """Never reached."""

    async def _admit(self, want: Want | None = None) -> tuple[Reservation, Want]:
        """Wait until a slot is claimed; whatever interrupts the wait gives back what the ledger may have booked."""
        guard = self._guard
        asked = want is not None
        if want is None:
            box = LoopBox(guard._clock)
            want = guard._want(box, self._lane, self._kind, self._timeout)
        try:
            told = False
            while True:
                plan = plans.admit(want, guard._schedule(), guard._mint, guard._timeout, asked=asked)
                booking = await guard._run(plan, want.box)  # type: ignore[arg-type]  # this guard's own box
                # Told once: a hook that is always too slow costs each caller one more claim and no more.
                if told or guard._tell_admitted(want, booking):
                    return Reservation(booking, guard.account, guard._post, guard._clock), want
                told, asked = True, False
        except BaseException as error:
            guard._post(GiveUp(want))
            guard._tell_refused(want, error)
            raise

    async def _admit_again(
        self, reservation: Reservation, want: Want, way: Exit, refusal: BaseException
    ) -> tuple[Reservation, Want]:
        """Leave for the head of the line and wait for another run; out of time, raise the provider's own exception."""
        again = self._guard._again(want)
        try:
            reservation._leave(way, again)
            return await self._admit(again)
        except (Refused, Unavailable):
            raise refusal from None
        except BaseException:
            self._guard._post(GiveUp(again))
            raise
