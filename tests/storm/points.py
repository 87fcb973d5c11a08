"""The points of the package's code at which an exception can come from outside, and how it is made to come there.

The interpreter looks for signals, and for exceptions that another thread has set, when a function or generator begins
to run, after a call, and where a loop goes back; nowhere else. Between two such points nothing can come.
"""

from __future__ import annotations

import dis
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.guards.interrupts import HOME, LEFT_OUT, current_task

if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

OWN = str(HOME)
WAITED = {dis.opmap["RESUME"]: 2}
"""A `RESUME` with this argument or a greater one goes on after an `await`, and there nothing comes."""


class Point(NamedTuple):
    """One point: a function of the package, the offset of the next instruction, and the how many-th time."""

    file: str
    function: str
    offset: int
    time: int

    @property
    def place(self) -> str:
        """Where it is, for figures."""
        return f"{self.file}:{self.function}"


def _is_look(opcode: int) -> bool:
    name = dis.opname[opcode]
    return name.startswith("CALL") or ("JUMP_BACKWARD" in name and "NO_INTERRUPT" not in name)


LOOKS = {opcode for opcode in range(256) if _is_look(opcode)}
"""After these instructions the interpreter looks for what has come."""


class Points:
    """Notes at which points of the package this thread or task could be hit; raises `error` at the point `at`.

    Attributes:
        seen: How often it came to each place, by file, function and offset.
        raised: The error that was raised, once it was.
    """

    def __init__(self, at: Point | None = None, error: type[BaseException] = RuntimeError) -> None:
        self.seen: Counter[tuple[str, str, int]] = Counter()
        self.raised: BaseException | None = None
        self._at = at
        self._error = error
        self._last: dict[int, int] = {}

    def __enter__(self) -> Points:  # noqa: PYI034 - as the others here
        self._task = current_task()
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *exc: object) -> None:
        sys.settrace(self._before)

    def all(self, times: int) -> list[Point]:
        """Return all points, the first `times` times of each."""
        return [Point(*place, time) for place, seen in self.seen.items() for time in range(1, min(seen, times) + 1)]

    def _trace(self, frame: FrameType, event: str, _arg: object) -> object:
        code = frame.f_code
        file = code.co_filename
        if self.raised is not None or not file.startswith(OWN) or file in LEFT_OUT or code.co_name == "__del__":
            return None
        if current_task() is not self._task:
            return None
        key = id(frame)
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            self._last[key] = -1
            if _can_come_at_start(code, frame.f_lasti):
                self._come(frame)
        elif event == "opcode":
            if self._last.get(key, -1) in LOOKS:
                self._come(frame)
            self._last[key] = code.co_code[frame.f_lasti]
        elif event == "return":
            self._last.pop(key, None)
        return self._trace

    def _come(self, frame: FrameType) -> None:
        code = frame.f_code
        place = (code.co_filename[len(OWN) + 1 :], code.co_qualname, frame.f_lasti)
        self.seen[place] += 1
        if self._at is not None and (*place, self.seen[place]) == self._at:
            self.raised = self._error(f"at {place}")
            raise self.raised


def _can_come_at_start(code: CodeType, offset: int) -> bool:
    if offset < 0:
        return True
    instruction = code.co_code[offset]
    return instruction not in WAITED or code.co_code[offset + 1] < WAITED[instruction]


def place_of(error: BaseException) -> str:
    """Return where in the package an exception came, for figures: the innermost of the package's frames."""
    place = "in the caller's own code"
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith(OWN):
            place = f"{Path(code.co_filename).relative_to(HOME)}:{code.co_qualname}"
        trace = trace.tb_next
    return place
