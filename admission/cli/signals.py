"""Which signals a command takes."""

from __future__ import annotations

import signal


def heeded(*names: str) -> list[signal.Signals]:
    """Return the signals of these names that the system has, and that are not ignored.

    What the caller had ignored (nohup, a shell's background job) stays ignored.
    """
    there = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    return [signum for signum in there if signal.getsignal(signum) is not signal.SIG_IGN]
