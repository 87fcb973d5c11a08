"""An httpx transport that lets the requests which place calls through a guard, and leaves all others alone.

`httpx.Client(transport=AdmissionTransport(guard, places="POST /calls"))` guards an existing client. All waiting,
retrying and booking is the guard's decorator; here is only what an answer over HTTP says of a call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import httpx

from admission import AsyncGuard, CallRejected, ConfigurationError, Guard, NotPlaced, current_reservation
from admission.base import UNSET
from admission.sources.answers import retry_after

if TYPE_CHECKING:
    from typing import Self

__all__ = ["AdmissionTransport", "AsyncAdmissionTransport"]

G = TypeVar("G", Guard, AsyncGuard)
W = TypeVar("W", httpx.BaseTransport, httpx.AsyncBaseTransport)

Places: TypeAlias = str | Callable[[httpx.Request], bool]
"""Which requests place calls: a method and a path, such as `"POST /calls"`, or a predicate."""

_PATTERN = re.compile(r"([A-Za-z]+) (/\S*)")
_TOO_MANY = 429
_UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""Errors with which no byte of a request went out."""


class _Left(Exception):
    """How a request that should place a call leaves its block. `result` is what its caller gets in the end.

    By itself it says nothing of the call.
    """

    def __init__(self, result: httpx.Response | Exception, retry_after: float | None = None) -> None:
        super().__init__()
        self.result = result
        self.retry_after = retry_after

    def given(self) -> httpx.Response:
        """Return the answer, or raise the error."""
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class _Refused(_Left, CallRejected):
    pass


class _Unplaced(_Left, NotPlaced):
    pass


class _Gate(Generic[G, W]):
    """What both colours have in common."""

    _guards: type[G]
    _send: Any

    def __init__(
        self,
        guard: G,
        wraps: W | None = None,
        *,
        places: Places,
        lane: str = "default",
        timeout: float | None = UNSET,
        track: bool = False,
        call_id: Callable[[httpx.Response], object] | None = None,
        retry: bool = False,
        not_placed: Collection[int] = (),
    ) -> None:
        if not isinstance(guard, self._guards):
            raise ConfigurationError(
                f"{type(self).__name__} takes a guard of class {self._guards.__name__}; for the other colour take the "
                "other transport (AdmissionTransport, AsyncAdmissionTransport)"
            )
        if not isinstance(not_placed, Collection):
            raise ConfigurationError("not_placed is no collection: give statuses, such as {400, 422}")
        self._wraps: W = self._sender() if wraps is None else wraps
        self._places = _predicate(places)
        self._not_placed = not_placed
        self._retry = retry
        self._reads = call_id is not None
        options: dict[str, Any] = {"lane": lane, "timeout": timeout, "track": track}
        if call_id is not None:
            if not callable(call_id):
                raise ConfigurationError("call_id takes the answer and returns the id: give a callable")
            options["call_id"] = lambda answer: call_id(_read(answer))
        self._once: Any = guard.place(retry=False, **options)(self._send)
        self._again: Any = guard.place(retry=True, **options)(self._send)

    def _sender(self) -> W:
        raise NotImplementedError

    def _placing(self, request: httpx.Request) -> Any:  # noqa: ANN401 - a function of either colour
        # A body that streams is used up by the first try.
        return self._again if self._retry and isinstance(request.stream, httpx.ByteStream) else self._once

    def _keeps(self, response: httpx.Response) -> bool:
        """Tell whether the body is needed here; of an accepted call it is read after that was said."""
        if response.is_success and self._reads:
            current_reservation().placed()
            return True
        # The connection of a refusal must not wait in line with its request.
        return self._retry and response.status_code == _TOO_MANY

    def _judged(self, response: httpx.Response) -> httpx.Response:
        """Return the answer that accepts a call; leave with any other."""
        if response.status_code == _TOO_MANY:
            raise _Refused(response, retry_after(response.headers))
        if response.status_code in self._not_placed:
            raise _Unplaced(response)
        if not response.is_success:
            raise _Left(response)
        return response


class AdmissionTransport(_Gate[Guard, httpx.BaseTransport], httpx.BaseTransport):
    """Guards the requests of an `httpx.Client` that place calls.

    A request that places a call waits for its slot first. An answer of 2xx says that the call was accepted. 429 is a
    refusal: the fleet cools down, for its Retry-After at least, and the caller gets the 429. A connection that never
    came about places nothing. Everything else says nothing of the call, so its slot stays booked until it is settled:
    other answers, time-outs, broken connections. The caller gets what httpx gives without a guard, and in addition
    the guard's errors (`Saturated`, `UsageUnavailable`, ...), which are no `httpx.HTTPError`.

    Args:
        guard: A `Guard`; an `AsyncGuard` for `AsyncAdmissionTransport`.
        wraps: The transport that sends, closed with this one; `None` is an `httpx.HTTPTransport()`. Give your own for
            proxies, certificates, HTTP/2: the client's arguments for those do not reach it.
        places: The requests that place calls: a method and the end of a path, in which `*` stands for one segment,
            such as `"POST /calls"` or `"POST /agents/*/calls"`; or a predicate of a request.
        lane: The class of traffic.
        timeout: Seconds to wait for a slot: `None` for ever, 0 not at all; not given, the policy's. The client's own
            time-outs begin after that.
        track: Keep the booking by its call id until `guard.call_ended(call_id)`.
        call_id: Takes the answer, read, and returns the call's id.
        retry: Whether a refused request goes back to the head of the line and is sent again until `timeout`. A body
            that streams cannot be sent twice: such a request gets its 429 at once.
        not_placed: Statuses that surely mean that no call was placed, such as `{400, 422}`: they free the slot at
            once. Only the provider can promise that.

    Raises:
        ConfigurationError: An argument cannot work.
    """

    _guards = Guard

    def _sender(self) -> httpx.BaseTransport:
        return httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; one that places a call waits for its slot."""
        if not self._places(request):
            return self._wraps.handle_request(request)
        try:
            response: httpx.Response = self._placing(request)(request)
        except _Left as left:
            way = left.with_traceback(None)
        else:
            return response
        return way.given()

    def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            response = self._wraps.handle_request(request)
        except _UNSENT as error:
            raise _Unplaced(error) from error
        if self._keeps(response) and isinstance(response.stream, httpx.SyncByteStream):
            stream = response.stream
            try:
                response.stream = httpx.ByteStream(b"".join(stream))
            finally:
                stream.close()
        return self._judged(response)

    def close(self) -> None:
        """Close the transport that sends; the guard is yours to close."""
        self._wraps.close()

    def __enter__(self) -> Self:
        self._wraps.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:  # noqa: ANN401, PYI036 - handed on
        self._wraps.__exit__(*exc)


class AsyncAdmissionTransport(_Gate[AsyncGuard, httpx.AsyncBaseTransport], httpx.AsyncBaseTransport):
    """Guards the requests of an `httpx.AsyncClient` that place calls; takes and does what `AdmissionTransport` does."""

    _guards = AsyncGuard

    def _sender(self) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; one that places a call waits for its slot."""
        if not self._places(request):
            return await self._wraps.handle_async_request(request)
        try:
            response: httpx.Response = await self._placing(request)(request)
        except _Left as left:
            way = left.with_traceback(None)
        else:
            return response
        return way.given()

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self._wraps.handle_async_request(request)
        except _UNSENT as error:
            raise _Unplaced(error) from error
        if self._keeps(response) and isinstance(response.stream, httpx.AsyncByteStream):
            stream = response.stream
            try:
                response.stream = httpx.ByteStream(b"".join([part async for part in stream]))
            finally:
                await stream.aclose()
        return self._judged(response)

    async def aclose(self) -> None:
        """Close the transport that sends; the guard is yours to close."""
        await self._wraps.aclose()

    async def __aenter__(self) -> Self:
        await self._wraps.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:  # noqa: ANN401, PYI036 - handed on
        await self._wraps.__aexit__(*exc)


def _read(answer: httpx.Response) -> httpx.Response:
    """Return a copy, read, of an answer whose body is here: the answer itself is the client's to read."""
    body = b"".join(answer.stream) if isinstance(answer.stream, httpx.ByteStream) else b""
    return httpx.Response(answer.status_code, headers=answer.headers, content=body)


def _predicate(places: Places) -> Callable[[httpx.Request], bool]:
    if callable(places):
        return places
    parts = _PATTERN.fullmatch(places) if isinstance(places, str) else None
    if parts is None:
        raise ConfigurationError(
            f"places={places!r}: give a method and a path, such as 'POST /calls', or a function of a request"
        )
    method = parts[1].upper()
    path = re.compile(".*" + re.escape(parts[2].rstrip("/")).replace(r"\*", "[^/]+") + "/?", re.DOTALL)
    return lambda request: request.method.upper() == method and path.fullmatch(request.url.path) is not None
