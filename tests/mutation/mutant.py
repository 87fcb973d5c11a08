"""A mutant: one place of one file, and what stands there instead."""

from __future__ import annotations

from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

_FOUND = PathFinder.find_spec("admission")
assert _FOUND is not None
assert _FOUND.origin is not None
HOME = Path(_FOUND.origin).parents[1]
"""Where the package is, in the tree or installed; the paths of mutants are relative to it. It is not imported here."""


class Mutant(NamedTuple):
    """One change to a file, which is made in memory only.

    Attributes:
        path: The file.
        start, end: The characters that are replaced.
        new: What by.
        where: The function around it, empty for none.
    """

    path: str
    start: int
    end: int
    new: str
    where: str

    def source(self) -> str:
        """Return the file as it is."""
        return (HOME / self.path).read_text("utf-8")

    def text(self) -> str:
        """Return the file as it is changed."""
        source = self.source()
        return source[: self.start] + self.new + source[self.end :]

    @property
    def line(self) -> int:
        """The number of its line."""
        return self.source().count("\n", 0, self.start) + 1

    def lines(self) -> tuple[str, str]:
        """Return the lines around it, as they are and as they are changed."""
        source = self.source()
        first = source.rfind("\n", 0, self.start) + 1
        last = source.find("\n", self.end)
        last = len(source) if last < 0 else last
        before = source[first:last]
        after = source[first : self.start] + self.new + source[self.end : last]
        return " ".join(before.split()), " ".join(after.split())

    def key(self) -> tuple[str, str, str, str]:
        """Return what it is known by, wherever its line moves."""
        return (self.path, self.where, *self.lines())
