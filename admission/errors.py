"""Every error of the package, split by who must act. No I/O, no imports of the package.

`Refused` asks for patience, `Unavailable` for the provider's or Redis's operator, `UsageError` tells what
the provider answered, `ConfigurationError` is the caller's own to mend. `CallRejected` and `NotPlaced` go the
other way: code that places calls raises them to tell the guard what became of the dial.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any


def _rebuilt(kind: type[BaseException], args: tuple[object, ...], facts: dict[str, object]) -> BaseException:
    """Return an error as it was in the process that it comes from."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


class AdmissionError(Exception):
    """The base of every error that `admission` raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Task queues and process pools carry errors to another process, which must find the facts too.
        return _rebuilt, (type(self), self.args, self.__dict__)


class Refused(AdmissionError):
    """The call may not start now; trying again later is right.

    Attributes:
        limit: The provider's limit, or `None` before the first reading.
        in_use: Slots in use at the moment of the refusal.
        waited: Seconds that the caller had waited.
        position: Callers ahead in the line, 0 at its head.
        retry_after: Seconds after which another try is worthwhile.
    """

    limit: int | None
    in_use: int
    waited: float
    position: int
    retry_after: float

    def __init__(
        self,
        message: str,
        *,
        limit: int | None,
        in_use: int,
        waited: float,
        position: int,
        retry_after: float,
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.in_use = in_use
        self.waited = waited
        self.position = position
        self.retry_after = retry_after


class Saturated(Refused):
    """No slot was free in the time that the caller gave."""


class QueueFull(Refused):
    """The line already holds `Policy.max_waiting` callers."""


class Paused(Refused):
    """An operator has paused the account, or the caller's lane.

    Attributes:
        reason: What the operator gave as the reason.
    """

    reason: str = ""


class Unavailable(AdmissionError):
    """Admission cannot be decided, so nothing is admitted.

    Attributes:
        cause: The newest fault that explains it, or `None` when none is known.
        retry_after: Seconds after which another try is worthwhile.
    """

    cause: BaseException | None
    retry_after: float

    def __init__(self, message: str, *, cause: BaseException | None = None, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.cause = cause
        self.retry_after = retry_after


class UsageUnavailable(Unavailable):
    """There is no reading of the provider young enough to admit on."""


class LedgerUnavailable(Unavailable):
    """The ledger (Redis) cannot be reached or does not serve."""


class Closed(AdmissionError):
    """The guard was closed, before or while the caller waited."""

    def __init__(
        self, message: str = "the guard is closed, so it admits nobody: make a new one, or close it later"
    ) -> None:
        super().__init__(message)


class UsageError(AdmissionError):
    """The provider's answer cannot be used, or there was none; the guard tries again.

    Attributes:
        status: The HTTP status, or `None` when there was no answer.
        retry_after: Seconds that the provider asked to wait, or `None`.
        excerpt: The first characters of the answer's body, without the API key.
    """

    status: int | None
    retry_after: float | None
    excerpt: str

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None, excerpt: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.excerpt = excerpt


class ConfigurationError(AdmissionError):
    """A setting, a key or a use of the API is wrong; trying again cannot help.

    Attributes:
        status: The HTTP status where the provider said so (401, 403, 404), else `None`.
    """

    status: int | None

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def _seconds(told: float | str | timedelta | None) -> float | None:
    """Return the seconds that an error of whatever library asks to wait, `None` where it does not plainly say."""
    if told is None or isinstance(told, bool):
        return None
    try:
        seconds = told.total_seconds() if isinstance(told, timedelta) else float(told)
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < math.inf else None


class CallRejected(Exception):
    """Raised by placing code: the provider refused this call for concurrency, so it was not placed.

    Args:
        retry_after: Seconds that the provider asked to wait, or `None`.

    Attributes:
        retry_after: The same.
    """

    retry_after: float | None

    def __init__(self, retry_after: float | None = None) -> None:
        retry_after = _seconds(retry_after)
        wait = "" if retry_after is None else f"; it asks to wait {retry_after:g} s"
        super().__init__(f"the provider refused the call{wait}")
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.args, self.__dict__)


class NotPlaced(Exception):
    """Raised by placing code: the call was surely not placed, for a reason of the caller's own."""
