"""The ledger of one process: a book for every account in its memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from admission.clerk import Clerk
from admission.clocks import Clock, SystemClock
from admission.errors import ConfigurationError
from admission.ledger.book import Book
from admission.ledger.requests import runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from admission.ledger.requests import Request, Run, Who
    from admission.ledger.wire import Wire


class MemoryLedger:
    """A ledger without a server, for one process; its threads and event loops may share it, and so may many guards.

    Args:
        clock: For tests: a clock other than the machine's.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._pid = os.getpid()
        self._clerk = Clerk(BookStore(clock or SystemClock()), clock or SystemClock())

    def __repr__(self) -> str:
        return "MemoryLedger()"

    def clerk(self) -> Clerk:
        """Return what drives the guards of this process.

        Raises:
            ConfigurationError: This is a forked child: each process would admit the full limit.
        """
        if self._pid != os.getpid():
            raise ConfigurationError(
                f"this MemoryLedger belongs to process {self._pid} and was used in process {os.getpid()}: each would "
                "admit the full limit; take a RedisLedger, or make the guard after the fork in one process only"
            )
        return self._clerk


class BookStore:
    """Runs requests on books."""

    lingers = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._books: dict[str, Book] = {}
        self._offers: list[tuple[str, str]] = []

    def exchange(self, batch: Sequence[tuple[str, Who, Request]]) -> list[Wire | Exception]:
        """Run requests in order."""
        return [reply for run in runs(batch) for reply in self._run(run)]

    def _run(self, run: Run) -> list[Wire]:
        now = int(self._clock.now() * 1000)
        book = self._books.get(run.account)
        if book is None:
            book = self._books[run.account] = Book(now, cold=False)
        replies = book.execute(now, run.who, *run.requests)
        self._offers += book.serving.wakes
        book.serving.wakes.clear()
        return replies

    def way(self, account: str) -> None:
        """Return nothing: books are for the clerk's thread alone."""

    def offers(self) -> list[tuple[str, str]]:
        """Return the offers made since the last call."""
        offers, self._offers = self._offers, []
        return offers

    def listen(self, clerk: Clerk) -> None:
        """Do nothing: every offer of this process comes up in its own exchanges."""

    def disconnect(self) -> None:
        """Do nothing: there are no connections."""
