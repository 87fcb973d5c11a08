"""What the commands write: one-line messages on stderr, plain tables on stdout, and never a secret.

Pause reasons, call ids and faults are what somebody else has said: nothing in them may move a terminal's cursor.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

_MIN_SECRET_CHARS = 4


def hide(text: str) -> str:
    """Return `text` without the API key and the Redis password of the environment."""
    for secret in _secrets():
        if len(secret) >= _MIN_SECRET_CHARS:
            text = text.replace(secret, "***")
    return text


def _secrets() -> list[str]:
    found = [os.environ.get("PURETALK_API_KEY", "")]
    try:
        password = urlsplit(os.environ.get("ADMISSION_REDIS_URL", "")).password or ""
    except ValueError:
        password = ""
    return [*found, password, unquote(password)]


def printable(text: str) -> str:
    """Return `text` with a `?` for every character that is not shown, such as those that a terminal obeys."""
    return "".join(char if char.isprintable() else "?" for char in text)


def say(message: object) -> None:
    """Write a message for people: one line on stderr."""
    sys.stderr.write(f"admission: {printable(hide(' '.join(str(message).split())))}\n")
    sys.stderr.flush()


def write(text: str) -> None:
    """Write a command's result: on stdout, at once."""
    lines = map(printable, text.split("\n"))
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Return two columns, the left one a label."""
    listed = list(rows)
    width = max(len(label) for label, _ in listed)
    return "\n".join(f"{label:<{width}}  {printable(value)}".rstrip() for label, value in listed)


class _Saying(logging.Handler):
    """Says each record once for as long as it repeats."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record."""
        message = record.getMessage()
        if message != self._last:
            self._last = message
            # Where nobody can hear it any more, the command goes on.
            with suppress(OSError, AttributeError):
                say(message.removeprefix("admission: "))


def log_to_stderr(*, on: bool) -> None:
    """Say the package's warnings, or keep them to ourselves."""
    logger = logging.getLogger("admission")
    logger.propagate = False
    logger.handlers[:] = [_Saying() if on else logging.NullHandler()]
