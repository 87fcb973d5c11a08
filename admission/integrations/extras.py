"""What an integration says when the library that it is for is not installed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Have an import in the block that finds no such module name the extra which brings it.

    Args:
        extra: The extra of `admission`.

    Raises:
        ModuleNotFoundError: The module is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}: install admission[{extra}]", name=error.name, path=error.path) from error
