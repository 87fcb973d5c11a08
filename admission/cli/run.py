"""`run`: hold a slot while a command runs. The command is the call: it is placed when it starts, over when it ends."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from admission.cli import exits
from admission.cli.arguments import add, number
from admission.cli.exits import BY_SIGNAL, NOT_EXECUTABLE, NOT_FOUND
from admission.cli.text import log_to_stderr, say
from admission.errors import LedgerUnavailable
from admission.guard import Guard

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from admission.cli.arguments import Commands
    from admission.reservation import Reservation

PASSED_ON = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name))
"""Signals that the command gets too."""

_OF_THE_KEYBOARD = {getattr(signal, name) for name in ("SIGINT", "SIGQUIT") if hasattr(signal, name)}


class Interrupted(BaseException):
    """A signal came before the command was started."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def add_run(commands: Commands) -> None:
    """Add `run`."""
    codes = exits.epilog(
        exits.USAGE,
        exits.UNAVAILABLE,
        exits.SOFTWARE,
        exits.TEMPFAIL,
        exits.CONFIG,
        exits.NOT_EXECUTABLE,
        exits.NOT_FOUND,
        **{"128_n": "COMMAND, or the waiting for a slot, was ended by signal n", "other": "COMMAND's own exit code"},
    )
    parser = add(
        commands,
        "run",
        _run,
        summary="hold a slot while a command runs",
        description="Wait for a slot, then hold it while COMMAND runs. SIGINT, SIGTERM, SIGHUP and SIGQUIT are passed "
        "on to it (a\nkey at the terminal reaches it from there). It finds the reservation's id in "
        "ADMISSION_RESERVATION.",
        codes=codes,
    )
    parser.usage = "admission run [--lane L] [--timeout S] -- COMMAND [ARGUMENT ...]"
    parser.add_argument("--lane", default="default", metavar="L", help="the class of traffic (default)")
    parser.add_argument(
        "--timeout", type=number(0, 604_800), metavar="S", help="seconds to wait for a slot; 0: not at all (for ever)"
    )


def _run(chosen: argparse.Namespace) -> int:
    has_timeout = chosen.timeout is not None
    return run(chosen.rest, lane=chosen.lane, timeout=chosen.timeout, has_timeout=has_timeout)


def run(command: Sequence[str], *, lane: str, timeout: float | None, has_timeout: bool) -> int:
    """Hold a slot while `command` runs; return the exit code.

    Args:
        command: The program and its arguments.
        lane: The class of traffic.
        timeout: Seconds to wait for a slot.
        has_timeout: Whether `timeout` was given; if not, the policy's counts.
    """
    relay = _Relay()
    waiting: dict[str, Any] = {"timeout": timeout} if has_timeout else {}
    # Whoever waits for ever is told what goes wrong; otherwise the error at the end tells it.
    log_to_stderr(on=not has_timeout)
    with relay.listening(), ExitStack() as stack:
        guard = Guard.from_env()
        stack.callback(guard.close)
        try:
            with guard.hold(lane=lane, **waiting) as reservation:
                relay.begin()
                log_to_stderr(on=True)
                return _run_child(command, reservation, relay)
        except LedgerUnavailable:
            # Closing would wait in vain for the ledger to take what is noted.
            stack.pop_all()
            log_to_stderr(on=False)
            raise
        except Interrupted as interrupted:
            return BY_SIGNAL + interrupted.signum


def _run_child(command: Sequence[str], reservation: Reservation, relay: _Relay) -> int:
    try:
        child = subprocess.Popen(command, env={**os.environ, "ADMISSION_RESERVATION": reservation.id})  # noqa: S603 - what the user asked for
    except OSError as error:
        reservation.cancel()
        say(f"{command[0]}: {error.strerror or error}")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    reservation.placed()
    code = relay.wait(child)
    reservation.ended()
    return code if code >= 0 else BY_SIGNAL - code


class _Relay:
    """What becomes of signals: an end of the waiting, a note while the command is being started, then passed on."""

    def __init__(self) -> None:
        self._waiting = True
        self._child: subprocess.Popen[bytes] | None = None
        self._noted: list[int] = []
        self._bell = -1

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals that are passed on, and the end of the command, as long as the block lasts."""
        # What the caller had ignored (nohup, a shell's background job) stays ignored, by the command too.
        former = {signum: signal.getsignal(signum) for signum in PASSED_ON}
        heard = {signum: handler for signum, handler in former.items() if handler is not signal.SIG_IGN}
        heard[signal.SIGCHLD] = signal.getsignal(signal.SIGCHLD)
        for signum in heard:
            signal.signal(signum, self._take)
        self._bell, ringer = os.pipe()
        for end in (self._bell, ringer):
            os.set_blocking(end, False)
        bell_before = signal.set_wakeup_fd(ringer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(bell_before)
            for signum, handler in heard.items():
                signal.signal(signum, handler)
            os.close(self._bell)
            os.close(ringer)

    def begin(self) -> None:
        """A slot is claimed: from now on signals are the command's."""
        self._waiting = False

    def wait(self, child: subprocess.Popen[bytes]) -> int:
        """Pass signals on to the command until it ends, and return its exit code."""
        self._child = child
        for signum in self._noted:
            self._pass_on(child, signum)
        while (code := child.poll()) is None:
            # Not `child.wait`: a signal that comes a moment before that blocks, or to another thread, is taken only
            # when the command has ended. A bell that was rung before is heard.
            select.select([self._bell], [], [])
            with suppress(BlockingIOError):
                os.read(self._bell, 4096)
        return code

    def _take(self, signum: int, _frame: FrameType | None) -> None:
        if signum == signal.SIGCHLD:
            return
        if self._waiting:
            # Only once: a second one must not cut short what gives the seat back.
            self._waiting = False
            raise Interrupted(signum)
        if self._child is None:
            self._noted.append(signum)
        else:
            self._pass_on(self._child, signum)

    @staticmethod
    def _pass_on(child: subprocess.Popen[bytes], signum: int) -> None:
        # A key at the terminal signals the whole foreground, so the command has had it.
        if signum not in _OF_THE_KEYBOARD or not _in_foreground():
            with suppress(OSError):
                child.send_signal(signum)


def _in_foreground() -> bool:
    """Whether this process is in the foreground of its terminal, if it has one."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
