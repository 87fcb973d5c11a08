"""Webhooks of a provider that tell when calls start and end: an ASGI app, and functions for other frameworks."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs

from admission.aguard import AsyncGuard
from admission.errors import ConfigurationError
from admission.guard import Guard
from admission.log import logger
from admission.values import is_coroutine_function

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

Check: TypeAlias = "Callable[[Mapping[str, str], bytes], bool]"
"""Takes the headers, their names in lower case, and the body; returns whether the provider sent them."""

MAX_BODY = 1024 * 1024
"""Bytes of the longest body that is read; end-of-call reports carry transcripts."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the provider is answered: a status of HTTP, and a word for whoever reads its log of webhooks."""

    status: int
    text: str


class Webhooks:
    """Takes a provider's start and end events and tells the guard. It is an ASGI app: mount it where you like.

    Events may come twice, late, early, or for calls that nobody knows; each is harmless. An event of another name is
    answered with 200 and changes nothing.

    Args:
        guard: A `Guard` or an `AsyncGuard`. It stays yours to close.
        secret: What the provider sends along in `header`; compared in constant time. Or your own check, for providers
            that sign in a way of their own: it takes the headers, names in lower case, and the body.
        ended: Names of the events that say that a call is over.
        started: Names of the events that say that a call has begun: a call that the fleet did not place is booked.
            Calls of your own are known by their id only where they are placed with `track=True` or held; leave this
            empty where they are not, or they are counted twice for a moment.
        event: Where the event's name is in the JSON, or in the form: names joined by dots, such as `message.type`.
        call_id: Where the call's id is.
        header: The header with the secret.

    Raises:
        ConfigurationError: An argument cannot work.
    """

    def __init__(
        self,
        guard: Guard | AsyncGuard,
        *,
        secret: str | Check,
        ended: Collection[str],
        started: Collection[str] = (),
        event: str = "event",
        call_id: str = "call_id",
        header: str = "X-Webhook-Secret",
    ) -> None:
        if not isinstance(guard, (Guard, AsyncGuard)):
            raise ConfigurationError(f"guard={guard!r}: give a Guard or an AsyncGuard")
        if not secret:
            raise ConfigurationError(
                "secret is empty, so anybody could end the bookings of your calls: give what the provider sends along, "
                "or a check of its signature"
            )
        if is_coroutine_function(secret):
            raise ConfigurationError(f"secret={secret!r} is a coroutine function: {_PLAIN}")
        for name, names in (("ended", ended), ("started", started)):
            if isinstance(names, str):
                raise ConfigurationError(f"{name}={names!r}: give a list of names, such as [{names!r}]")
        if not event or not call_id:
            raise ConfigurationError("event and call_id: say where they are, such as 'call.id'")
        self._guard = guard
        self._check = secret if callable(secret) else _bears(header, secret)
        self._verbs = dict.fromkeys(started, "call_started") | dict.fromkeys(ended, "call_ended")
        self._event, self._call_id = event.split("."), call_id.split(".")

    def handle(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Take one event, for a web framework that is not async. Needs a `Guard`."""
        if isinstance(self._guard, AsyncGuard):
            raise ConfigurationError("these webhooks have an AsyncGuard: await ahandle(), or give them a Guard")
        heard = self._heed(headers, body)
        if isinstance(heard, Reply):
            return heard
        verb, call_id = heard
        getattr(self._guard, verb)(call_id)
        return _DONE

    async def ahandle(self, headers: Mapping[str, str], body: bytes) -> Reply:
        """Take one event, with a guard of either colour."""
        if isinstance(self._guard, Guard):
            return await asyncio.to_thread(self.handle, headers, body)
        heard = self._heed(headers, body)
        if isinstance(heard, Reply):
            return heard
        verb, call_id = heard
        await getattr(self._guard, verb)(call_id)
        return _DONE

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve one request as an ASGI app, whatever its path."""
        if scope["type"] != "http":
            raise ConfigurationError(f"webhooks come over HTTP, not as {scope['type']}")
        reply = Reply(405, "events are posted")
        if scope["method"] == "POST":
            try:
                body = await _body(receive)
            except ConnectionResetError:
                return
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            reply = _TOO_LONG if body is None else await self.ahandle(headers, body)
        text = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(reply.text.encode()))]
        await send({"type": "http.response.start", "status": reply.status, "headers": text})
        await send({"type": "http.response.body", "body": reply.text.encode()})

    def _heed(self, headers: Mapping[str, str], body: bytes) -> Reply | tuple[str, str]:
        """Return what to tell the guard of which call, or what to answer at once."""
        lower = {name.lower(): value for name, value in headers.items()}
        is_theirs = self._check(lower, body)
        if inspect.isawaitable(is_theirs):  # which is true, whatever it would come to
            if inspect.iscoroutine(is_theirs):
                is_theirs.close()
            raise ConfigurationError(f"secret returned a {type(is_theirs).__name__}: {_PLAIN}")
        if not is_theirs:
            return _refuse(401, "the secret is missing or wrong")
        try:
            content = _read(lower.get("content-type", ""), body)
        except ValueError:
            return _refuse(400, "the body is neither JSON nor a form")
        event, call_id = _at(content, self._event), _at(content, self._call_id)
        if not isinstance(event, str):
            return _refuse(400, f"no name of an event at {'.'.join(self._event)}")
        if event not in self._verbs:
            return Reply(200, "nothing to do")
        if isinstance(call_id, bool) or not isinstance(call_id, (str, int)) or call_id == "":
            return _refuse(400, f"no id of a call at {'.'.join(self._call_id)}")
        return self._verbs[event], str(call_id)


_DONE = Reply(200, "noted")
_PLAIN = "give a plain function, which says at once whether the provider sent an event"
_TOO_LONG = Reply(413, f"longer than {MAX_BODY} bytes")


def _bears(header: str, secret: str) -> Check:
    def check(headers: Mapping[str, str], _body: bytes) -> bool:
        sent = headers.get(header.lower(), "").encode("latin-1", "replace")
        return hmac.compare_digest(sent, secret.encode())

    return check


def _refuse(status: int, text: str) -> Reply:
    logger.info("admission: a webhook was refused: %s", text, extra={"event": "webhook_refused"})
    return Reply(status, text)


def _read(content_type: str, body: bytes) -> object:
    if content_type.startswith("application/x-www-form-urlencoded"):
        return {name: values[0] for name, values in parse_qs(body.decode()).items()}
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("too deep") from error


def _at(content: object, path: list[str]) -> object:
    for name in path:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


async def _body(receive: Callable[[], Awaitable[dict[str, Any]]]) -> bytes | None:
    """Return the whole body, `None` of one that is too long.

    Raises:
        ConnectionResetError: The client has left before its end.
    """
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            return None
    return body
