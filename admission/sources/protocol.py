"""What a guard asks of a source of readings. Types only: nothing is registered, inherited or checked at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from admission.values import Usage


class Source(Protocol):
    """Something that asks the provider for its usage: any object with these two methods will do.

    Each call makes one request and tries nothing again: when to read, and how to wait after an error, is the
    guard's business. Bound the time of a call: the guard gives the duty of reading to somebody else when it
    takes too long. `Guard` calls `fetch` from any of its threads, `AsyncGuard` awaits `afetch` on its caller's
    loop.
    """

    def fetch(self) -> Usage:
        """Ask the provider, blocking until it has answered.

        Raises:
            UsageError: The answer cannot be used, or there was none; the guard tries again, and waits for its
                `retry_after` where it is given.
            ConfigurationError: Trying again cannot help (a wrong key, a wrong address); final for this process's
                callers.
        """
        ...

    async def afetch(self) -> Usage:
        """Ask the provider.

        Raises:
            UsageError: The answer cannot be used, or there was none; the guard tries again, and waits for its
                `retry_after` where it is given.
            ConfigurationError: Trying again cannot help (a wrong key, a wrong address); final for this process's
                callers.
        """
        ...
