"""What must not be heard while callers are interrupted: errors that nobody catches, warnings, errors in the log."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OUR_THREADS = {"admission-clerk", "admission-reader", "admission-ear"}


class Noise(logging.Handler):
    """Listens, from `with` to its end, in all threads.

    Attributes:
        heard: What came, as text.
        torn: How often a reservation was cut off from its block, told by the warning that says so.
        unawaited: Whether a coroutine may be cut off from its await.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []
        self.torn = 0
        self.unawaited = False

    def __enter__(self) -> Noise:  # noqa: PYI034 - as the others here
        self._hooks = sys.unraisablehook, threading.excepthook
        sys.unraisablehook = lambda args: self.heard.append(f"unraisable: {args.exc_value!r} in {args.object!r}")
        threading.excepthook = lambda args: self.heard.append(f"in {args.thread}: {args.exc_value!r}")
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("always")
        warnings.showwarning = self._warned
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *exc: object) -> None:
        gc.collect()
        logging.getLogger().removeHandler(self)
        self._warnings.__exit__(None, None, None)
        sys.unraisablehook, threading.excepthook = self._hooks

    def on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen to a loop's own handler too."""
        loop.set_exception_handler(lambda _, context: self.heard.append(f"loop: {context}"))

    def _warned(self, message: object, category: type[Warning], *_: object, **__: object) -> None:
        if category is ResourceWarning and "was never left" in str(message):
            self.torn += 1
        elif category is RuntimeWarning and "was never awaited" in str(message) and self.unawaited:
            pass  # a signal came just before the await, as it may in any coroutine
        else:
            self.heard.append(f"{category.__name__}: {message}")

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else ""
        self.heard.append(f"log: {record.getMessage()} {error!r}")

    def take(self) -> list[str]:
        """Return what was heard since the last time."""
        heard, self.heard = self.heard, []
        return heard


def strangers() -> Iterator[str]:
    """Tell of threads and tasks that should have ended, and of threads that were begun and never ran."""
    limbo = list(threading._limbo)  # type: ignore[attr-defined]  # there is no other way to see them
    for thread in threading.enumerate():
        if thread in limbo:
            yield f"{thread} never ran"
        elif thread.name == "admission-reader":
            yield f"{thread} still runs"
    try:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
    except RuntimeError:
        return
    for task in tasks:
        yield f"{task} is left"
