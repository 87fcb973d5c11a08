"""Running `admission` as users do: as a process of its own, with an environment, signals, and sometimes a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "pt-live-0123456789abcdef"
TIMEOUT = 120.0

# Signals as in a fresh shell, whatever this test run was started with; then the terminal, if there is one.
_LAUNCH = """
import fcntl, os, signal, sys, termios
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)
if sys.argv[1] == "terminal":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[2], sys.argv[2:])
"""

_PROGRAM = ("-m", "admission.cli")
_IGNORE = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
NOHUP = ("-c", f"{_IGNORE}; from admission.cli import main; sys.exit(main())")
"""`admission` as `nohup` starts it."""


class Ended(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str


def environment(**settings: str) -> dict[str, str]:
    """Return an environment without any setting of ours but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PURETALK_", "ADMISSION_"))}
    return {**kept, "PURETALK_API_KEY": KEY, "ADMISSION_LEDGER": "memory", **settings}


def _command(arguments: tuple[str, ...], *, terminal: bool = False, program: tuple[str, ...] = _PROGRAM) -> list[str]:
    how = "terminal" if terminal else "none"
    return [sys.executable, "-c", _LAUNCH, how, sys.executable, *program, *arguments]


@contextmanager
def started(
    *arguments: str, env: dict[str, str], program: tuple[str, ...] = _PROGRAM
) -> Iterator[subprocess.Popen[str]]:
    """Run `admission` in the background, in a session of its own; what still runs at the end is killed."""
    pipe = subprocess.PIPE
    command = _command(arguments, program=program)
    with subprocess.Popen(
        command, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(process: subprocess.Popen[str], given: str | None = None) -> Ended:
    """Wait for a command's end; no key may be in what it wrote."""
    out, err = process.communicate(given, timeout=TIMEOUT)
    assert KEY not in out + err
    return Ended(process.returncode, out, err)


def admission(*arguments: str, env: dict[str, str], given: str | None = None) -> Ended:
    """Run `admission` to its end."""
    with started(*arguments, env=env) as process:
        return finish(process, given)


class Terminal:
    """`admission` on a terminal of its own, of 110 columns and 40 rows, or so many of both."""

    def __init__(
        self,
        *arguments: str,
        env: dict[str, str],
        size: tuple[int, int] = (110, 40),
        program: tuple[str, ...] = _PROGRAM,
    ) -> None:
        self.screen = ""
        self._master, slave = pty.openpty()
        settings = {"COLUMNS": str(size[0]), "LINES": str(size[1]), "TERM": "xterm-256color"}
        self._process = subprocess.Popen(
            _command(arguments, terminal=True, program=program),
            env={**settings, **env},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def read_until(self, text: str) -> None:
        """Wait until something is on the screen."""
        end = time.monotonic() + TIMEOUT
        while text not in self.screen:
            assert time.monotonic() < end, f"{text!r} never came: {self.screen[-2000:]!r}"
            assert self._read(), f"{text!r} never came: {self.screen[-2000:]!r}"

    def forget(self) -> None:
        """Wait for what comes from now on."""
        self.screen = ""

    def settings(self) -> list[object]:
        """Return how the terminal is set."""
        return termios.tcgetattr(self._master)

    def signal(self, signum: int) -> None:
        """Send the process a signal."""
        self._process.send_signal(signum)

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._master, keys)

    def finish(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        assert KEY not in self.screen
        return self._process.wait(TIMEOUT)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], TIMEOUT)
        try:
            data = os.read(self._master, 65_536) if ready else b""
        except OSError:  # how Linux tells that nobody has the terminal open any more
            data = b""
        self.screen += data.decode("utf-8", "replace")
        return bool(data)
