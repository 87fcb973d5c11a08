"""What the stand-in provider is told and says: dials, answers, scripts of them, caches, garbage. No I/O."""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Body: TypeAlias = "bytes | str | Mapping[str, object] | None"
"""What a scripted answer carries; bytes and text go out as they are, a mapping as JSON, `None` is the usual error."""

HUGE_BODY_BYTES = 8 * 1024 * 1024
"""Length of the `huge` garbage: far more than an answer about three fields can need."""

_MOST_SECONDS = 1e9
"""Longer spans than a generation are mistakes."""

_Scripted = TypeVar("_Scripted")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer: its status, its body and its headers by lower-case name."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Dial:
    """What a dial asks for: a call's `duration` and `ring` in seconds, and anything to be kept with it."""

    duration: float = math.inf
    ring: float = 0.0
    metadata: object = None


def read_dial(body: bytes) -> Dial:
    """Return what the JSON body of a dial asks for; an empty one asks for a call that somebody has to end.

    Raises:
        ValueError: It is no JSON object, or a span is no number of seconds.
    """
    content = json.loads(body or b"{}")
    if not isinstance(content, dict):
        raise ValueError("give a JSON object")  # noqa: TRY004 - one kind of error for all that is wrong in it
    return Dial(_read_span(content, "duration", math.inf), _read_span(content, "ring", 0.0), content.get("metadata"))


def _read_span(content: dict[str, object], name: str, absent: float) -> float:
    value = content.get(name)
    if value is None:
        return absent
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST_SECONDS:
        raise ValueError(f"{name}: give a number of seconds, at least 0")
    return float(value)


def json_answer(status: int, content: object, headers: Mapping[str, str] | None = None) -> Answer:
    """Return `content` as a JSON answer."""
    return Answer(status, json.dumps(content).encode(), {"content-type": "application/json", **(headers or {})})


def success(status: int, **content: object) -> Answer:
    """Return the documented envelope of a good answer around `content`."""
    return json_answer(status, {"msg": "Success", "err": False, **content})


def error_answer(status: int, message: str, *, retry_after: float | None = None) -> Answer:
    """Return the documented error envelope; `retry_after` is seconds."""
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return json_answer(status, {"err": True, "msg": message}, headers)


def scripted_answer(status: int, headers: Mapping[str, str] | None, body: Body) -> Answer:
    """Return the answer that a test asks for; its headers win over the usual ones."""
    given = {name.lower(): value for name, value in (headers or {}).items()}
    if body is None or not isinstance(body, (bytes, str)):
        content = {"err": True, "msg": _phrase(status)} if body is None else body
        return json_answer(status, content, given)
    raw = body.encode() if isinstance(body, str) else body
    kind = "text/html" if raw.startswith(b"<") else "application/json"
    return Answer(status, raw, {"content-type": kind, **given})


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


class Script(Generic[_Scripted]):
    """What comes next: a number of scripted items in the order of their writing, then the lasting one, if any."""

    def __init__(self) -> None:
        self._next: deque[tuple[int, _Scripted]] = deque()
        self._lasting: _Scripted | None = None

    def add(self, times: int, item: _Scripted) -> None:
        """Give `item` the next so many times, after what was added before."""
        if times > 0:
            self._next.append((times, item))

    def last(self, item: _Scripted) -> None:
        """Give `item` from then on, whenever nothing else is due."""
        self._lasting = item

    def clear(self) -> None:
        """Forget everything."""
        self._next.clear()
        self._lasting = None

    def take(self) -> _Scripted | None:
        """Return what is due, or `None` for business as usual."""
        if not self._next:
            return self._lasting
        times, item = self._next.popleft()
        if times > 1:
            self._next.appendleft((times - 1, item))
        return item


class Caches:
    """Caches in front of the usage endpoint, asked in turn; each keeps its own answer for its own time.

    Args:
        seconds: How long an answer is repeated; 0 caches nothing.
        caches: How many caches stand side by side. From two on, answers go back and forth in time.
    """

    def __init__(self, seconds: float = 0.0, caches: int = 1) -> None:
        self._seconds = seconds
        self._kept: list[tuple[float, dict[str, object]] | None] = [None] * caches
        self._turn = -1

    def get(self, now: float, look: Callable[[], dict[str, object]]) -> dict[str, object]:
        """Return what the next cache keeps, or a fresh `look`, which it then keeps; `now` is seconds."""
        self._turn = (self._turn + 1) % len(self._kept)
        kept = self._kept[self._turn]
        if kept is None or now >= kept[0] + self._seconds:
            kept = self._kept[self._turn] = (now, look())
        return kept[1]


def _usage(**changes: object) -> bytes:
    results = {"concurrency_limit": 20, "concurrency_count": 11, "timestamp": "2025-05-02T02:36:10.686259"}
    content = {"msg": "Success", "err": False, "results": results | changes}
    return json.dumps(content).encode()


def _without(field: str) -> bytes:
    content = json.loads(_usage())
    del content["results"][field]
    return json.dumps(content).encode()


_GARBAGE: dict[str, Callable[[], bytes]] = {
    "bad timestamp": lambda: _usage(timestamp="yesterday"),
    "boolean": lambda: _usage(concurrency_count=True),
    "deep": lambda: b"[" * 200_000,
    "empty": lambda: b"",
    "error on 200": lambda: b'{"err": true, "msg": "Something went wrong"}',
    "flat": lambda: json.dumps(json.loads(_usage())["results"]).encode(),
    "fractional": lambda: _usage(concurrency_count=11.5),
    "html": lambda: b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>",
    "huge": lambda: _usage(padding="x" * HUGE_BODY_BYTES),
    "huge number": lambda: _usage(concurrency_limit=10**400),
    "infinite": lambda: _usage(concurrency_limit=float("inf")),
    "list": lambda: b"[]",
    "negative": lambda: _usage(concurrency_count=-1),
    "no count": lambda: _without("concurrency_count"),
    "no limit": lambda: _without("concurrency_limit"),
    "no timestamp": lambda: _without("timestamp"),
    "not a number": lambda: _usage(concurrency_limit=float("nan")),
    "not utf-8": lambda: b'{"msg": "\xff\xfe"}',
    "null": lambda: b"null",
    "null count": lambda: _usage(concurrency_count=None),
    "null results": lambda: b'{"msg": "Success", "err": false, "results": null}',
    "strings": lambda: _usage(concurrency_limit="20", concurrency_count="11"),
    "truncated": lambda: _usage()[:-25],
}

GARBAGE = tuple(_GARBAGE)
"""Every kind of garbage that `garbage` can make."""


def garbage(kind: str) -> bytes:
    """Return the body of a usage answer that nobody should believe, for `fail_next(status=200, body=…)`.

    Args:
        kind: One of `GARBAGE`.

    Raises:
        KeyError: There is no garbage of that kind.
    """
    return _GARBAGE[kind]()
