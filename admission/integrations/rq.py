"""RQ: a job that waits briefly for a slot, and is scheduled anew when there is none."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack

from admission.errors import ConfigurationError
from admission.integrations.extras import needs
from admission.integrations.handback import WAIT, Placing, is_inside, jobs_of

with needs("rq"):
    from rq import Retry, get_current_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission import Guard

P = ParamSpec("P")
T = TypeVar("T")

_NO_WORKER = "sync"
"""The worker that a queue with `is_async=False` names: it runs jobs itself, and runs none again."""


def admitted(
    guard: Guard, *, lane: str = "default", wait: float = WAIT, **place: Unpack[Placing]
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator for the function of an RQ job, which places one call and returns; the call outlives it.

    When no slot is free in time, the provider refuses the call until then, or nobody can say, the job is scheduled
    anew: the same job, and no try of its `Retry` counted. Called outside of a worker, or by another job, it raises
    instead.

    Args:
        guard: A `Guard`, made at module level.
        lane: The class of traffic.
        wait: Seconds to stand in line before the job is handed back; less than its time limit, by the time of a dial.
        place: `track`, `call_id`, `rejected` and `retry`, as `guard.place` takes them.

    Raises:
        ConfigurationError: The decorator is used wrongly; the text says the mend.
    """
    return jobs_of(guard, place, lane=lane, wait=wait, check=_check, hand_back=_hand_back)


def _check(fn: object) -> None:
    if hasattr(fn, "delay"):
        raise ConfigurationError("put @admitted(...) below @job, so that what a worker runs is guarded")


def _hand_back(fn: object, error: Exception, delay: float) -> Any:  # noqa: ANN401 - in place of what the job's function returns
    """Return what has the worker schedule the running job anew: the same id, and no try of its own `Retry` counted."""
    job = get_current_job()
    if job is None or job.worker_name == _NO_WORKER or not is_inside(job.func, fn):
        raise error
    return Retry(max=sys.maxsize, interval=math.ceil(delay))
