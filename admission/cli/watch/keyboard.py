"""Keys of a terminal, one at a time and without an echo; and what they mean while an account is watched."""

from __future__ import annotations

import codecs
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from admission.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_CHARS = 200
"""Length of the longest reason that can be typed."""

ENTER, ESCAPE, DELETE, CLEAR, QUIT = "enter", "escape", "delete", "clear", "q"
_NAMES = {"\r": ENTER, "\n": ENTER, "\x1b": ESCAPE, "\x7f": DELETE, "\b": DELETE, "\x15": CLEAR}


@contextmanager
def keys_of(fd: int) -> Iterator[None]:
    """Have a terminal give each key at once, unseen, as long as the block lasts.

    Ctrl-C still interrupts, Ctrl-Backslash quits. Ctrl-Z does nothing: a shell would get the terminal as it is now.

    Raises:
        ConfigurationError: This system has no such terminals.
    """
    try:
        import termios  # noqa: PLC0415 - not on every system
    except ImportError as error:
        raise ConfigurationError("watch needs a POSIX terminal; `admission status` works everywhere") from error
    former = termios.tcgetattr(fd)
    changed: list[Any] = termios.tcgetattr(fd)
    changed[3] &= ~(termios.ECHO | termios.ICANON)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    changed[6][termios.VSUSP] = b"\0"
    try:
        termios.tcsetattr(fd, termios.TCSADRAIN, changed)
        yield
    finally:
        # What was typed and not read is not for the shell.
        termios.tcsetattr(fd, termios.TCSAFLUSH, former)


class Keys:
    """Reads keys from a terminal: characters, and the names of some others.

    Args:
        fd: The terminal.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> list[str] | None:
        """Return the keys that were pressed; `None` when the terminal is gone."""
        try:
            data = os.read(self._fd, 1024)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        text = self._decoder.decode(data)
        if text.startswith("\x1b") and len(text) > 1:
            return []  # an arrow or the like
        return [_NAMES.get(char, char) for char in text if char in _NAMES or char.isprintable()]


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator has asked for: `quit`, `pause` or `resume`."""

    verb: str
    reason: str = ""


class Prompt:
    """What is being asked of the operator, and what was typed so far.

    Args:
        unsaid: The reason of a pause for which none is typed.
    """

    def __init__(self, unsaid: str) -> None:
        self.asks: str = ""
        """`pause` while a reason is typed, `resume` while that is to be confirmed, else empty."""
        self.typed: str = ""
        self.unsaid = unsaid

    def press(self, key: str, *, paused: bool) -> Order | None:
        """Take a key; return what it asks for, if anything.

        Args:
            key: The key.
            paused: Whether the account is paused.
        """
        if self.asks == "pause":
            return self._type(key)
        if self.asks == "resume":
            self.asks = ""
            return Order("resume") if key in {"p", "r", ENTER} else None
        if key in {QUIT, "Q"}:
            return Order("quit")
        if key in {"p", "r"}:
            wanted = "resume" if paused else "pause"
            self.asks = wanted if wanted.startswith(key) or key == "p" else ""
        return None

    def _type(self, key: str) -> Order | None:
        if key == ENTER:
            reason = self.typed.strip() or self.unsaid
            self.asks = self.typed = ""
            return Order("pause", reason)
        if key == ESCAPE:
            self.asks = self.typed = ""
        elif key == DELETE:
            self.typed = self.typed[:-1]
        elif key == CLEAR:
            self.typed = ""
        elif len(key) == 1:
            self.typed = (self.typed + key)[:MOST_CHARS]
        return None
