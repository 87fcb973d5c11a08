"""The ASGI plumbing of the stand-in provider: a body in, an answer out, a lifespan lived through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from admission.testing._messages import Answer

    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    Sleep: TypeAlias = Callable[[float], Awaitable[object]]


def read_headers(scope: Message) -> dict[str, str]:
    """Return the request's headers by lower-case name."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def read_body(receive: Receive) -> bytes | None:
    """Return the request's body, or `None` when the client left before its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


async def send_answer(send: Send, answer: Answer, *, drip: float, sleep: Sleep) -> None:
    """Send an answer, its body at once or, with a `drip` of more than 0, so many seconds between two bytes."""
    fields = {**answer.headers, "content-length": str(len(answer.body))}
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if drip > 0:
        for at in range(len(answer.body)):
            await send({"type": "http.response.body", "body": answer.body[at : at + 1], "more_body": True})
            await sleep(drip)
    await send({"type": "http.response.body", "body": b"" if drip > 0 else answer.body})


async def live_through(receive: Receive, send: Send) -> None:
    """Serve a lifespan: there is nothing to start and nothing to stop."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
