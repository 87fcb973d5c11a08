"""A shell on a terminal of its own, in which a test types what a page says."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from typing import Self

PATIENCE = 240.0
"""Seconds that a command may take, on a busy machine."""
KILL = b"\x15"
"""Takes back what was typed of a line."""


class Shell:
    """A bash that types, waits and looks.

    Args:
        env: Its whole environment.
        cwd: Where it begins.
    """

    def __init__(self, env: dict[str, str], cwd: str) -> None:
        self.screen = ""
        self._typed = 0
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "--noediting", "-i"],
            env={"TERM": "xterm-256color", "COLUMNS": "110", "LINES": "40", "PS1": "", **env},
            cwd=cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=_hear_keys,  # noqa: PLW1509 - nothing is locked that it takes
        )
        os.close(slave)
        self._write("PS1=; stty -echo")
        self.run("true")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        # What runs in it, too: they have the session in common.
        os.write(self._master, b"\x03\x03")
        self._write("kill $(jobs -p) 2>/dev/null; exit")
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._master)

    def run(self, line: str) -> str:
        """Type a command, wait for its end, and return what it wrote; it must end well."""
        self.screen = ""
        self._typed += 1
        self._write(f"{line}\necho end-$?-{self._typed}.")
        found = self.read_until(rf"end-(\d+)-{self._typed}\.")
        assert found[1] == "0", f"`{line}` ended with {found[1]}: {self.screen}"
        return self.screen[: found.start()].replace("\r\n", "\n")

    def leave_running(self, line: str, until: str) -> None:
        """Type a command that stays, and wait for what it shows."""
        self.screen = ""
        self._write(line)
        self.read_until(until)

    def press(self, keys: bytes, until: str = "") -> None:
        """Press keys, and wait for the end of what runs; `until` is what it shows last, if it takes what is typed."""
        os.write(self._master, keys)
        self.read_until(until)
        self._typed += 1
        end = time.monotonic() + PATIENCE
        # Where a program puts its terminal back, or is only about to listen, what was typed meanwhile may be lost: then
        # a reader types it again.
        self._write(f"echo end-$?-{self._typed}.")
        while not self._shows(rf"end-\d+-{self._typed}\.", 5.0):
            assert time.monotonic() < end, f"what runs does not end: {self.screen[-2000:]}"
            os.write(self._master, keys + KILL)
            self._write(f"echo end-$?-{self._typed}.")

    def read_until(self, pattern: str) -> re.Match[str]:
        """Wait for something on the screen."""
        found = self._shows(pattern, PATIENCE)
        assert found, f"{pattern!r} never came: {self.screen[-2000:]}"
        return found

    def _shows(self, pattern: str, patience: float) -> re.Match[str] | None:
        """Wait for something on the screen; return `None` where it does not come in time."""
        end = time.monotonic() + patience
        while not (found := re.search(pattern, self.screen)):
            left = end - time.monotonic()
            if left <= 0:
                return None
            if select.select([self._master], [], [], left)[0]:
                self.screen += os.read(self._master, 65_536).decode("utf-8", "replace")
        return found

    def _write(self, line: str) -> None:
        os.write(self._master, f"{line}\n".encode())


def _hear_keys() -> None:
    """Have Ctrl-C end what is typed, though the tests were begun in the background, where it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
