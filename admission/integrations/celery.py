"""Celery: a task that waits briefly for a slot, and is sent anew when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never, ParamSpec, TypeVar, Unpack

from admission.integrations.extras import needs
from admission.integrations.handback import WAIT, Placing, insist, jobs_of

with needs("celery"):
    from celery import current_task
    from celery.exceptions import OperationalError, Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission import Guard

P = ParamSpec("P")
T = TypeVar("T")


def admitted(
    guard: Guard, *, lane: str = "default", wait: float = WAIT, **place: Unpack[Placing]
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator for the function of a Celery task, which places one call and returns; the call outlives it.

    When no slot is free in time, the provider refuses the call until then, or nobody can say, the job is sent anew with
    a countdown: the same task, and no retry counted. Called directly, outside of a worker, it raises instead.

    Args:
        guard: A `Guard`, made at module level.
        lane: The class of traffic.
        wait: Seconds to stand in line before the job is handed back; less than its time limit, by the time of a dial.
        place: `track`, `call_id`, `rejected` and `retry`, as `guard.place` takes them.

    Raises:
        ConfigurationError: The decorator is used wrongly; the text says the mend.
    """
    return jobs_of(guard, place, lane=lane, wait=wait, hand_back=_hand_back)


def _hand_back(_fn: object, error: Exception, delay: float) -> Never:
    """Send the running task anew: the same id, chain and options, and no retry counted."""
    task: Any = current_task
    if not task or task.request.called_directly or task.request.is_eager:
        raise error
    again = task.signature_from_request(task.request, countdown=delay, retries=task.request.retries)
    insist(again.apply_async, OperationalError)
    raise Retry(exc=error, when=delay, sig=again) from error
