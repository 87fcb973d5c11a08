"""What a browser is told: answers with their headers, and the files of the page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]

JSON = "application/json"
STREAM = "text/event-stream"

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/chart.js": ("chart.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""The page's files, by the path at which they are served."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""What every answer says: nothing from elsewhere, nothing inline, in nobody's frame, kept by nobody."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: a status of HTTP, a body, its type, and more headers."""

    status: int
    body: bytes
    kind: str = JSON
    more: tuple[tuple[str, str], ...] = ()


def told(status: int, **facts: object) -> Answer:
    """Return an answer of JSON."""
    return Answer(status, json.dumps(facts).encode())


@lru_cache(maxsize=len(FILES))
def page(path: str) -> Answer:
    """Return a file of the page."""
    name, kind = FILES[path]
    return Answer(200, (files("admission.dashboard") / "page" / name).read_bytes(), kind)


def event(name: str, facts: object) -> bytes:
    """Return one server-sent event."""
    return f"event: {name}\ndata: {json.dumps(facts)}\n\n".encode()


def head(status: int, kind: str, more: Iterable[tuple[str, str]] = ()) -> Message:
    """Return the message that begins an answer."""
    fields = [*HEADERS.items(), ("content-type", kind), *more]
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    return {"type": "http.response.start", "status": status, "headers": headers}


async def send_answer(send: Send, answer: Answer, *, bodiless: bool) -> None:
    """Send an answer, without its body for a HEAD."""
    length = ("content-length", str(len(answer.body)))
    await send(head(answer.status, answer.kind, (*answer.more, length)))
    await send({"type": "http.response.body", "body": b"" if bodiless else answer.body})


async def read_body(receive: Receive, most: int) -> bytes | None:
    """Return a request's body, or `None` when it is longer than `most` bytes or its client has left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def until_gone(receive: Receive) -> None:
    """Wait until a client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def live_through(receive: Receive, send: Send) -> None:
    """Serve a lifespan: there is nothing to start and nothing to stop."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
