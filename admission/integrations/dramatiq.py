"""Dramatiq: an actor that waits briefly for a slot, and whose message is sent anew when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never, ParamSpec, TypeVar, Unpack

from admission.errors import ConfigurationError
from admission.integrations.extras import needs
from admission.integrations.handback import WAIT, Placing, insist, is_inside, jobs_of

with needs("dramatiq"):
    import dramatiq
    from dramatiq.middleware import CurrentMessage, SkipMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission import Guard

P = ParamSpec("P")
T = TypeVar("T")


def admitted(
    guard: Guard, *, lane: str = "default", wait: float = WAIT, **place: Unpack[Placing]
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator for the function of a Dramatiq actor, which places one call and returns; the call outlives it.

    When no slot is free in time, the provider refuses the call until then, or nobody can say, the job is sent anew with
    a delay: the same message, and no retry counted. Called outside of a worker, or by another actor, it raises instead.

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
    if isinstance(fn, dramatiq.Actor):
        raise ConfigurationError("put @admitted(...) below @dramatiq.actor, so that what a worker runs is guarded")


def _hand_back(fn: object, error: Exception, delay: float) -> Never:
    """Enqueue the running message anew: the same id and options, and no retry counted; what ran now is skipped."""
    broker = dramatiq.get_broker()
    if not any(isinstance(middleware, CurrentMessage) for middleware in broker.middleware):
        raise ConfigurationError(
            "give the broker the middleware CurrentMessage(): it knows what to send anew"
        ) from error
    message = CurrentMessage.get_current_message()
    if message is None:
        raise error
    called = broker.get_actor(message.actor_name).fn  # another broker's message would be lost here
    if not is_inside(getattr(called, "perform", called), fn):  # `perform` is what an actor that is a class runs
        raise error
    # Brokers pass on the errors of their clients; a time limit and a shutdown are none of them.
    insist(lambda: broker.enqueue(message, delay=round(delay * 1000)), Exception)
    message.options["store_results"] = False  # else a skipped message's result is None, though it has none yet
    raise SkipMessage(f"handed back for {delay:.1f} s: {error}") from error
