"""arq: a job that waits briefly for a slot, and is deferred when there is none."""

from __future__ import annotations

import functools
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Never, ParamSpec, TypeVar, Unpack

from admission.integrations.extras import needs
from admission.integrations.handback import WAIT, Placing, Run, check_use

with needs("arq"):
    from arq import Retry
    from arq.constants import retry_key_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from admission import AsyncGuard

P = ParamSpec("P")
T = TypeVar("T")

_INSIDE: ContextVar[bool] = ContextVar("admission_inside", default=False)
"""Whether a decorated function runs, which calls whatever else runs here."""


def admitted(
    guard: AsyncGuard, *, lane: str = "default", wait: float = WAIT, **place: Unpack[Placing]
) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Return a decorator for the function of an arq job, which places one call and returns; the call outlives it.

    When no slot is free in time, the provider refuses the call until then, or nobody can say, the job is
    deferred: the same job, and no try counted. Called outside of a worker, or by another decorated function, it raises
    instead.

    Args:
        guard: An `AsyncGuard`, made at module level.
        lane: The class of traffic.
        wait: Seconds to stand in line before the job is handed back; less than its time limit, by the time of a dial.
        place: `track`, `call_id`, `rejected` and `retry`, as `guard.place` takes them.

    Raises:
        ConfigurationError: The decorator is used wrongly; the text says the mend.
    """
    check_use(guard, wait)
    block = guard.place(lane=lane, timeout=wait, **place)

    def decorate(fn: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        block(fn)  # refuses what cannot be a job

        @functools.wraps(fn)
        async def job(*args: P.args, **kwargs: P.kwargs) -> T:
            run, is_inside = Run(block), _INSIDE.get()
            _INSIDE.set(True)

            @functools.wraps(fn)
            async def watched(*args: P.args, **kwargs: P.kwargs) -> T:
                run.begin()
                try:
                    return await fn(*args, **kwargs)
                except BaseException as error:
                    run.failed(error)
                    raise

            try:
                return await block(watched)(*args, **kwargs)
            except Exception as error:
                delay = run.delay(error)
                if delay is None or is_inside:
                    raise
                return await _hand_back(args, error, delay)
            finally:
                _INSIDE.set(is_inside)

        return job

    return decorate


async def _hand_back(args: tuple[object, ...], error: Exception, delay: float) -> Never:
    """Have the worker run the job later. It counts every start as a try: this one is taken off again."""
    # A method's context comes second.
    ctx = next((one for one in args[:2] if isinstance(one, dict) and {"job_id", "redis"} <= one.keys()), None)
    if ctx is None:
        raise error
    with suppress(Exception):  # while its Redis is away, a try is counted rather than the contact lost
        await ctx["redis"].decr(retry_key_prefix + ctx["job_id"])
    raise Retry(defer=delay) from error
