"""An exception at any line of the package's own code, as a signal's handler may raise one."""

import asyncio
import linecache
import sys
from collections import Counter
from pathlib import Path

import admission

HOME = Path(admission.__file__).parent
LEFT_OUT = {str(HOME / "clocks.py")}
"""The virtual clock has a lock; the machine's own has none."""


class Alarm(Exception):
    """What a framework's time limit raises from its signal handler: an `Exception`."""


class Lines:
    """Notes which lines of the package this thread or task runs, and how often; raises `Alarm` at `interrupt`.

    Attributes:
        seen: How often each line was run, by (file, line).
        raised: Whether the interrupt came.
    """

    def __init__(self, interrupt=None):
        self.seen = Counter()
        self.raised = False
        self._interrupt = interrupt

    def __enter__(self):
        self._task = current_task()
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *exc):
        sys.settrace(self._before)

    def _trace(self, frame, event, _arg):
        file = frame.f_code.co_filename
        if self.raised or not is_struck(frame.f_code):
            return None
        if event == "line" and current_task() is self._task and not _at_edge(file, frame.f_lineno):
            place = (file[len(str(HOME)) + 1 :], frame.f_lineno)
            self.seen[place] += 1
            if (*place, self.seen[place]) == self._interrupt:
                self.raised = True
                raise Alarm(f"{place}")
        return self._trace


def is_struck(code):
    """Whether code is the package's own, and such as an exception may come to from outside."""
    file = code.co_filename
    return file.startswith(str(HOME)) and file not in LEFT_OUT and code.co_name != "__del__"


def current_task():
    """Return the running task, if any."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _at_edge(file, line):
    """Whether a line begins or ends a block: these are traced, but no signal can come there."""
    text = linecache.getline(file, line).strip()
    return text.startswith("with ") or text == "try:"
