"""What every process has of its own: its name in ledgers, and whatever a forked child must not share."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class PerProcess(Generic[T]):
    """Something that each process has one of, made at its first use there.

    Threads that come first together agree on one, without a lock: a fork could leave that locked for ever.

    Args:
        make: Makes one; it may be called more than once, and only one result is kept.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def get(self) -> T:
        """Return the running process's own."""
        pid = os.getpid()
        made = self._made.get(pid)
        if made is None:
            made = self._made.setdefault(pid, self._make())
            for other in [known for known in list(self._made) if known != pid]:
                self._made.pop(other, None)
        return made

    def made(self) -> T | None:
        """Return the running process's own, or `None` where it was never used."""
        return self._made.get(os.getpid())


_token = PerProcess(lambda: secrets.token_hex(6))


def process_token() -> str:
    """Return the process's random name, 12 hex digits; a forked child has another."""
    return _token.get()
