"""What every process has of its own: its name in ledgers, and whatever a forked child must not share."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


_pid = os.getpid()


def _note_pid() -> None:
    global _pid  # noqa: PLW0603 - asking the system at every use is a system call at every use
    _pid = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_pid)


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
        made = self._made.get(_pid)
        if made is None:
            made = self._made.setdefault(_pid, self._make())
            for other in [known for known in list(self._made) if known != _pid]:
                self._made.pop(other, None)
        return made

    def made(self) -> T | None:
        """Return the running process's own, or `None` where it was never used."""
        return self._made.get(_pid)


_token = PerProcess(lambda: secrets.token_hex(6))


def process_token() -> str:
    """Return the process's random name, 12 hex digits; a forked child has another."""
    return _token.get()
