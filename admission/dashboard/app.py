"""The dashboard's ASGI app: which request is answered with what, and who may ask for it."""

from __future__ import annotations

import asyncio
import hmac
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from admission.aguard import AsyncGuard
from admission.dashboard.answers import (
    FILES,
    STREAM,
    Answer,
    event,
    head,
    live_through,
    page,
    read_body,
    send_answer,
    told,
    until_gone,
)
from admission.errors import AdmissionError, ConfigurationError, Unavailable
from admission.views.feed import EVERY, SAMPLE, Feed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from admission.dashboard.answers import Message, Receive, Send

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""What this machine calls itself in a browser's address bar."""
SHORTEST_TOKEN = 16
"""Characters that a token has at least."""
MOST_VIEWERS = 200
"""Pages that are open at once, at most."""
_MOST_BODY = 4096
"""Bytes of the longest order that is read."""


def _first_words(fault: str) -> str:
    """Return what is said of a fault before its details, which may tell addresses."""
    return fault.partition(":")[0]


class Dashboard:
    """An account on a web page, live: an ASGI app to be mounted where you like, and to be found at a path's `/`.

    The ledger is asked once a second for all viewers together, and not at all without any; the provider never is.

    Args:
        guard: An `AsyncGuard`, for the account. It stays yours to close.
        token: What a browser must send to pause and to resume; at least 16 characters. `None`: nobody can, and the
            page has no buttons.
        private: Whether to see the state takes the token, too.
        hosts: The names under which the page may be asked for, without ports; a browser that was led here under
            another name (DNS rebinding) is refused. `None` for any name: then let `private` or a proxy keep
            strangers out.
        clean: Takes the text of a fault of the ledger's, returns what viewers are shown of it. By default its first
            words, which tell no address.

    Raises:
        ConfigurationError: An argument cannot work.
    """

    def __init__(
        self,
        guard: AsyncGuard,
        *,
        token: str | None = None,
        private: bool = False,
        hosts: Collection[str] | None = LOOPBACK,
        clean: Callable[[str], str] = _first_words,
    ) -> None:
        if not isinstance(guard, AsyncGuard):
            raise ConfigurationError(f"guard={guard!r}: give an AsyncGuard")
        if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
            raise ConfigurationError(f"token: give at least {SHORTEST_TOKEN} characters of ASCII")
        if private and token is None:
            raise ConfigurationError("private=True: give a token")
        if isinstance(hosts, str):
            raise ConfigurationError(f"hosts={hosts!r}: give a list of names, such as [{hosts!r}]")
        self.feed: Feed = Feed(guard, clean=clean)
        self._guard = guard
        self._token = None if token is None else token.encode()
        self._private = private
        self._hosts = None if hosts is None else frozenset(map(str.lower, hosts))
        self._clean = clean

    def close(self) -> None:
        """Let all viewers go, as before a server stops: it would wait for them."""
        self.feed.close()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await live_through(receive, send)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        asked = "GET" if scope["method"] == "HEAD" else scope["method"], path
        refusal = self._refusal(headers, asked)
        if refusal is None and asked == ("GET", "/events"):
            await self._stream(receive, send, bodiless=scope["method"] == "HEAD")
            return
        answer = refusal or await self._answer(asked, scope, receive)
        await send_answer(send, answer, bodiless=scope["method"] == "HEAD")

    # Who may ask

    def _refusal(self, headers: dict[str, str], asked: tuple[str, str]) -> Answer | None:
        """Return the answer to a request that is not served, if it is one."""
        host = _without_port(headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            return told(421, error="this dashboard does not go by that name: see its hosts")
        method, path = asked
        orders = method == "POST" and path in {"/pause", "/resume"}
        if orders and self._token is None:
            return told(403, error="this dashboard has no token, so it cannot pause or resume")
        if (orders or (self._private and path in {"/state", "/events"})) and not self._bears_token(headers):
            # A header that no page of another site can send along: so nobody is led to pause a fleet, either.
            return Answer(401, b'{"error": "the token is missing or wrong"}', more=(("www-authenticate", "Bearer"),))
        if path == "/events" and self.feed.viewers >= MOST_VIEWERS:
            return told(503, error="too many pages are open")
        return None

    def _bears_token(self, headers: dict[str, str]) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return (
            self._token is not None
            and scheme.lower() == "bearer"
            and hmac.compare_digest(given.strip().encode("latin-1", "replace"), self._token)
        )

    # What is answered

    async def _answer(self, asked: tuple[str, str], scope: Message, receive: Receive) -> Answer:
        match asked:
            case "GET", path if path in FILES:
                return page(path)
            case "GET", "":
                return Answer(308, b"", more=(("location", f"{scope.get('root_path', '')}/"),))
            case "GET", "/state":
                return told(200, **(await self.feed.look()).json(self._guard.policy))
            case "POST", ("/pause" | "/resume") as path:
                return await self._order(path, await read_body(receive, _MOST_BODY))
            case _, path if path in {*FILES, "/state", "/events", "/pause", "/resume"}:
                return told(405, error="not in this way")
        return told(404, error="there is no such page")

    async def _order(self, path: str, body: bytes | None) -> Answer:
        order = _order_of(body)
        if order is None:
            return told(400, error='send JSON such as {"reason": "why", "lane": null}')
        reason, lane = order
        try:
            if path == "/pause":
                await self._guard.pause(reason or "from the dashboard", lane)
            else:
                await self._guard.resume(lane)
        except AdmissionError as error:
            is_away = isinstance(error, Unavailable)
            return told(503 if is_away else 400, error=self._clean(str(error)) if is_away else str(error))
        return told(200, paused=path == "/pause", lane=lane)

    async def _stream(self, receive: Receive, send: Send, *, bodiless: bool) -> None:
        """Send a viewer what was seen so far, then each moment, until it leaves or the dashboard closes."""
        await send(head(200, STREAM, [("x-accel-buffering", "no")]))
        if not bodiless:
            tasks = [asyncio.ensure_future(self._tell(send)), asyncio.ensure_future(until_gone(receive))]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        await send({"type": "http.response.body", "body": b""})

    async def _tell(self, send: Send) -> None:
        hello = {
            "account": self._guard.account,
            "orders": self._token is not None,
            "every": EVERY,
            "fields": SAMPLE,
            "history": [moment.sample() for moment in self.feed.history],
        }
        await send({"type": "http.response.body", "body": event("hello", hello), "more_body": True})
        async with aclosing(self.feed.moments()) as moments:
            async for moment in moments:
                body = event("moment", {**moment.json(self._guard.policy), "sample": moment.sample()})
                await send({"type": "http.response.body", "body": body, "more_body": True})


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() and (not name.startswith("[") or name.endswith("]")) else host).lower()


def _order_of(body: bytes | None) -> tuple[str, str | None] | None:
    """Return the reason and the lane of an order, or `None` when it cannot be read."""
    try:
        order: Any = json.loads(body or b"{}") if body is not None else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(order, dict):
        return None
    reason, lane = order.get("reason", ""), order.get("lane")
    if not isinstance(reason, str) or not (lane is None or isinstance(lane, str)):
        return None
    return reason.strip(), lane
