"""The points of the package's code at which an exception can come from outside, and how it is made to come there.

The interpreter looks for signals, and for exceptions that another thread has set, when a function or generator begins
to run, after a call, and where a loop goes back; nowhere else. Between two such points nothing can come.
"""

from __future__ import annotations

import dis
import functools
import gc
import sys
import threading
from collections import Counter
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, NamedTuple

from tests.guards.interrupts import HOME, current_task, is_struck

if TYPE_CHECKING:
    from types import FrameType, TracebackType

OWN = str(HOME)
TOOL = 4
"""A number for `sys.monitoring` that no known tool takes."""
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
    if name.startswith("CALL_INTRINSIC"):
        return False
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
        # Not where it begins: in a process of many objects this takes longer than what was prepared for it may last.
        watch_all()

    def __enter__(self) -> Points:  # noqa: PYI034 - as the others here
        self._task = current_task()
        self._thread = threading.get_ident()
        self._begin()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end()

    def all(self, times: int) -> list[Point]:
        """Return all points, the first `times` times of each."""
        return [Point(*place, time) for place, seen in self.seen.items() for time in range(1, min(seen, times) + 1)]

    if sys.version_info >= (3, 12):
        # `sys.settrace` does not tell the instructions of a function's first call here.

        def _begin(self) -> None:
            for kinds, callback in ((STARTS, self._starts), (STEPS, self._step)):
                for kind in kinds:
                    sys.monitoring.register_callback(TOOL, kind, callback)

        def _end(self) -> None:
            for kind in (*STARTS, *STEPS):
                sys.monitoring.register_callback(TOOL, kind, None)

        def _is_here(self) -> bool:
            return self.raised is None and threading.get_ident() == self._thread and current_task() is self._task

        def _starts(self, code: CodeType, offset: int) -> None:
            if self._is_here():
                self._last[id(sys._getframe(1))] = -1
                if _can_come_at_start(code, offset):
                    self._come(code, offset)

        def _step(self, code: CodeType, offset: int) -> None:
            if self._is_here():
                frame = id(sys._getframe(1))
                before, self._last[frame] = self._last.get(frame, -1), _instructions(code)[offset]
                if before in LOOKS:
                    self._come(code, offset)

    else:

        def _begin(self) -> None:
            self._before = sys.gettrace()
            sys.settrace(self._trace)

        def _end(self) -> None:
            sys.settrace(self._before)

        def _trace(self, frame: FrameType, event: str, _arg: object) -> object:
            code = frame.f_code
            if self.raised is not None or not is_struck(code) or current_task() is not self._task:
                return None
            key = id(frame)
            if event == "call":
                frame.f_trace_opcodes = True
                frame.f_trace_lines = False
                self._last[key] = -1
                if _can_come_at_start(code, frame.f_lasti):
                    self._come(code, frame.f_lasti)
            elif event == "opcode":
                if self._last.get(key, -1) in LOOKS:
                    self._come(code, frame.f_lasti)
                self._last[key] = _instructions(code)[frame.f_lasti]
            elif event == "return":
                self._last.pop(key, None)
            return self._trace

    def _come(self, code: CodeType, offset: int) -> None:
        place = (code.co_filename[len(OWN) + 1 :], code.co_qualname, offset)
        self.seen[place] += 1
        if self._at is not None and (*place, self.seen[place]) == self._at:
            self.raised = self._error(f"at {place}")
            raise self.raised


@functools.cache
def _instructions(code: CodeType) -> bytes:
    return code.co_code


def _can_come_at_start(code: CodeType, offset: int) -> bool:
    if offset < 0:
        return True
    instruction, argument = _instructions(code)[offset : offset + 2]
    return instruction not in WAITED or argument < WAITED[instruction]


if sys.version_info >= (3, 12):
    STARTS = (sys.monitoring.events.PY_START, sys.monitoring.events.PY_RESUME)
    STEPS = (sys.monitoring.events.INSTRUCTION,)
    _WATCHED: dict[int, CodeType] = {}
    """By identity: a module that a test has imported once more has the same code, and needs to be watched, too."""

    def watch_all() -> None:
        """Have every instruction of the package's functions told from now on."""
        if sys.monitoring.get_tool(TOOL) is None:
            sys.monitoring.use_tool_id(TOOL, "storm")
        for function in gc.get_objects():
            if type(function) is FunctionType:
                _watch(function.__code__)

    def _watch(code: CodeType) -> None:
        if id(code) in _WATCHED or not is_struck(code):
            return
        _WATCHED[id(code)] = code
        sys.monitoring.set_local_events(TOOL, code, sum((*STARTS, *STEPS)))
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                _watch(inner)

else:

    def watch_all() -> None:
        """Nothing need be prepared."""


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
