"""What the task queues share: which errors hand a job back to its queue, and after how long. Imports none of them.

A job is handed back while it is sure that it dialled nobody: its function has not begun, or the provider refused the
call. Whatever else its function raises is the job's own error, and its queue's business.
"""

from __future__ import annotations

import functools
import random
import time
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar

from admission import AsyncGuard, Closed, ConfigurationError, Guard, Refused, Unavailable, current_reservation
from admission.core import plans
from admission.core.exits import RefusedCall, judge
from admission.core.messages import GetStatus
from admission.drivers import ThreadBox

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission.base import BlockBase
    from admission.guard import Block

P = ParamSpec("P")
T = TypeVar("T")

WAIT = 2.0
"""Seconds for which a job stands in line before it is handed back."""
UNTOLD = 1.0
"""Seconds until another try, where whoever refused did not say."""
LONGEST = 30.0
"""Seconds until another try at most: sooner than told does no harm, since the ledger knows."""
SPREAD = 1.25
"""Jobs that were refused together come back up to this many times later, each at a moment of its own."""
PAUSE = 1.0
"""Seconds between attempts to hand a job back while its queue is away."""
DELIVERY = 1.0
"""Seconds at most that a job's end waits for its last notes, which the ledger may not take now."""


class Placing(TypedDict, total=False):
    """What is passed on to `guard.place`, whose docstring explains it."""

    track: bool
    call_id: Callable[[Any], object] | None
    rejected: Callable[[BaseException], bool] | None
    retry: bool


class Run:
    """One run of a job.

    Args:
        block: The guard's decorator for it.
    """

    __slots__ = ("_begun", "_block", "_refusal", "_retry_after")

    def __init__(self, block: BlockBase) -> None:
        self._block = block
        self._begun = False
        self._refusal: BaseException | None = None
        """What the function raised at last, if that says that the provider refused the call."""
        self._retry_after: float | None = None

    def begin(self) -> None:
        """The function begins, and may dial at any moment."""
        self._begun, self._refusal = True, None

    def failed(self, error: BaseException) -> None:
        """The function raised: judge that as the guard does."""
        way = judge(current_reservation()._booking, error, self._block._rejected)  # noqa: SLF001 - the guard's own rule
        if isinstance(way, RefusedCall):
            self._refusal, self._retry_after = error, way.retry_after

    def delay(self, error: Exception) -> float | None:
        """Return the seconds after which the job may come back; `None` for an error that does not hand it back."""
        if error is self._refusal:
            told = self._retry_after
        elif self._begun and self._refusal is None:
            return None
        elif isinstance(error, (Refused, Unavailable)):
            told = error.retry_after
        elif isinstance(error, Closed):
            told = None
        else:
            return None
        return min(LONGEST, UNTOLD if told is None else told) * random.uniform(1.0, SPREAD)  # noqa: S311 - no secret


def check_use(guard: object, wait: object) -> None:
    """Refuse what is no guard, and a wait without an end.

    Raises:
        ConfigurationError: With the mend.
    """
    if not isinstance(guard, (Guard, AsyncGuard)):
        raise ConfigurationError("write @admitted(guard, lane=..., wait=...): the guard comes first")
    if wait is None:
        raise ConfigurationError(
            "wait=None would keep a worker for ever: give seconds, after which it hands the job back"
        )


def jobs_of(
    guard: Guard,
    place: Placing,
    *,
    lane: str,
    wait: float,
    hand_back: Callable[[object, Exception, float], Any],
    check: Callable[[object], None] = lambda _: None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return the decorator that makes a function a job that places one call.

    Args:
        guard: The guard.
        place: What is passed on to `guard.place`.
        lane: The class of traffic.
        wait: Seconds to stand in line.
        hand_back: Takes the function, what the guard raised, and seconds: gives the running job back to its queue, and
            raises or returns what its worker needs for that. Raises the error where no worker runs a job, or where the
            job is another that called this function.
        check: Refuses what the queue has already made a job of; by default nothing.

    Raises:
        ConfigurationError: It is used wrongly; the text says the mend.
    """
    check_use(guard, wait)
    block = guard.place(lane=lane, timeout=wait, **place)

    def decorate(fn: Callable[P, T]) -> Callable[P, T]:
        check(fn)
        block(fn)  # refuses what cannot be a job
        return _job(guard, block, fn, hand_back)

    return decorate


def insist(send: Callable[[], object], passing: type[Exception]) -> None:
    """Send a job anew, also while its queue is away: nothing was dialled, and a job that fails now loses its contact.

    Args:
        send: Sends it.
        passing: What it raises while the queue is away. It is raised after `LONGEST`; whatever else comes, a time
            limit too, at once.
    """
    until = time.monotonic() + LONGEST
    while True:
        try:
            send()
        except passing:
            if time.monotonic() + PAUSE > until:
                raise
        else:
            return
        time.sleep(PAUSE)


def is_inside(called: object, fn: object) -> bool:
    """Whether a function is what a worker calls, decorated and bound in whatever way."""
    return _inmost(called) is _inmost(fn)


def _inmost(fn: Any) -> object:  # noqa: ANN401 - whatever can be called
    while True:
        owner = getattr(fn, "__self__", None)
        if isinstance(owner, functools.partial):  # its __call__
            fn = owner
        elif isinstance(fn, functools.partial):
            fn = fn.func
        elif hasattr(fn, "__wrapped__"):
            fn = fn.__wrapped__
        elif hasattr(fn, "__func__"):
            fn = fn.__func__
        else:
            return fn


def _job(
    guard: Guard, block: Block, fn: Callable[P, T], hand_back: Callable[[object, Exception, float], Any]
) -> Callable[P, T]:
    @functools.wraps(fn)
    def job(*args: P.args, **kwargs: P.kwargs) -> T:
        run = Run(block)

        @functools.wraps(fn)
        def watched(*args: P.args, **kwargs: P.kwargs) -> T:
            run.begin()
            try:
                return fn(*args, **kwargs)
            except BaseException as error:
                run.failed(error)
                raise

        try:
            return block(watched)(*args, **kwargs)
        except Exception as error:
            delay = run.delay(error)
            if delay is None:
                raise
            answer: T = hand_back(fn, error, delay)
            return answer
        finally:
            _deliver(guard)

    return job


def _deliver(guard: Guard) -> None:
    """Wait until what was noted is in the ledger: worker processes end without the interpreter's exit, which does so.

    A time limit or a shutdown that comes here says nothing of the job any more; Dramatiq's are no `Exception`.
    """
    try:
        box = ThreadBox(guard._clock)  # noqa: SLF001 - `guard.status()`, but with less patience
        guard._run(plans.ask(GetStatus(box), DELIVERY), box)  # noqa: SLF001
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001, S110 - it would take the place of the job's own answer
        pass
