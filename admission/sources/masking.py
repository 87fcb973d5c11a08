"""Keeps out of httpx's log what addresses hide: it tells the address of every request, at `INFO`."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Mask: TypeAlias = "Callable[[object], object]"
"""Takes an argument of a log record, and returns what is logged instead."""

_mask: ContextVar[Mask | None] = ContextVar("admission_mask", default=None)


@contextmanager
def masked(mask: Mask) -> Iterator[None]:
    """Have httpx log the requests of a block as `mask` says; those of others stay as they are."""
    before = _mask.get()
    _mask.set(mask)
    try:
        yield
    finally:
        # No `reset`: a task that its loop has forgotten ends in another context.
        _mask.set(before)


def _filter(record: logging.LogRecord) -> bool:
    mask = _mask.get()
    if mask is not None and isinstance(record.args, tuple):
        record.args = tuple(map(mask, record.args))
    return True


logging.getLogger("httpx").addFilter(_filter)
