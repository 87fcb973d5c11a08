"""This process's own name in ledgers."""

from __future__ import annotations

import os
import secrets

_token: tuple[int, str] = (0, "")


def process_token() -> str:
    """Return the process's random name, 12 hex digits; a forked child has another."""
    global _token  # noqa: PLW0603 - one name a process
    if _token[0] != os.getpid():
        _token = (os.getpid(), secrets.token_hex(6))
    return _token[1]
