"""`FakePureTalk`: a stand-in provider that keeps its own truth, lags, refuses and fails as a test asks it to."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from admission.errors import ConfigurationError
from admission.testing._account import Account, check
from admission.testing._asgi import live_through, read_body, read_headers, send_answer
from admission.testing._calls import Mark, Overshoot
from admission.testing._messages import (
    GARBAGE,
    Answer,
    Body,
    Caches,
    Script,
    error_answer,
    garbage,
    json_answer,
    read_dial,
    scripted_answer,
    success,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from admission.testing._asgi import Message, Receive, Send, Sleep
    from admission.testing._calls import Call

__all__ = ["GARBAGE", "Answer", "FakePureTalk", "Mark", "Overshoot", "Seconds", "garbage"]

Seconds: TypeAlias = "float | Callable[[], float]"
"""A time span in seconds, or something that is asked for one each time."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_reading(self) -> bool:
        return self.method == "GET" and self.path == "/api/users/concurrency-usage"

    @property
    def is_dial(self) -> bool:
        return self.method == "POST" and self.path == "/api/calls"


@dataclass(frozen=True, slots=True)
class _DialFault:
    answer: Answer
    accepted: bool
    refusal: bool


class FakePureTalk(Account):
    """A provider for tests and demos: an ASGI app, for `httpx.ASGITransport` or any ASGI server.

    `GET /api/users/concurrency-usage` answers as PureTalk documents it. PureTalk documents no endpoint that
    places a phone call, and no answers but 200 and 404, so the rest is ours, and stands in for whatever places
    the calls of an account: `POST /api/calls` (JSON, all optional: `duration` and `ring` in seconds,
    `metadata`) answers 201 with a `call_id`, or 429 with no line free; `GET /api/calls/{call_id}`;
    `POST /api/calls/{call_id}/end`, as often as one likes. Every request needs the key, or is answered 401.

    Calls that come through this API are *own*; *foreign* ones are only there, and never start above the limit.
    The truth is worked out from the clock at each use: nothing runs in the background. Threads and event loops
    may share one object. A client that gives up while a scripted `dial_latency` passes may still get its call
    placed when a server stands between, and not when `httpx.ASGITransport` cancels the app.

    Args:
        limit: Calls that the account may run at once.
        visibility_lag: See the attribute.
        jitter: See the attribute.
        enforce: See the attribute.
        count_ringing: See the attribute.
        seed: Of all randomness; the same seed and the same requests give the same answers.
        api_key: What `X-API-KEY` must say.
        foreign: Foreign calls that are live from the beginning.
        foreign_rate: Foreign calls that come each minute, at random (Poisson).
        foreign_duration: Seconds that each of those lasts.
        clock: The present in seconds, never going back.
        sleep: Waits for scripted latency, seconds.
        wall_clock: The provider's date and time at the beginning; `None` for now. Without a zone it is UTC.

    Attributes:
        visibility_lag: Seconds, at most, until a start or an end shows in the reported count.
        jitter: `False`: every reading lags by all of `visibility_lag`. `True`: each by a random part of it.
            Either way no reading looks behind an earlier one.
        count_ringing: Whether a call that rings is in the reported count. It has a line in any case.
        enforce: Whether a start with no line free is refused. If not, the call is taken.
        latency: Seconds from a usage request to its answer, or a callable that gives them.
        look_at: The part of `latency` that passes before the provider looks: 0, it looks at once and answers
            late; 1, it looks just before it answers.
        drip: Seconds between the bytes of a usage answer's body; 0 sends it whole.
        dial_latency: Seconds from a dial's request to its acceptance, or a callable.
        dial_reply_latency: Seconds from a dial's acceptance to its answer, or a callable.
        refusal_retry_after: Seconds for the `Retry-After` of refusals for want of a line; `None` for none.
        timestamp_shift: Seconds added to the usage timestamps: a provider's clock that was set anew.
        alter: Gets the content of every good usage answer and returns what is sent in its place.
        api_key: What `X-API-KEY` must say; may be changed.
        refused: Dials that were refused, for want of a line or by `refuse_next`.
        reading_times: When usage requests arrived, seconds of `clock`.
        peak_readings: Most usage requests that were open at once.
    """

    def __init__(
        self,
        limit: int = 20,
        *,
        visibility_lag: float = 0.0,
        jitter: bool = False,
        enforce: bool = True,
        count_ringing: bool = True,
        seed: int = 0,
        api_key: str = "test-key",
        foreign: int = 0,
        foreign_rate: float = 0.0,
        foreign_duration: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
        wall_clock: datetime | None = None,
    ) -> None:
        super().__init__(
            limit,
            visibility_lag=visibility_lag,
            jitter=jitter,
            enforce=enforce,
            count_ringing=count_ringing,
            seed=seed,
            foreign=foreign,
            foreign_rate=foreign_rate,
            foreign_duration=foreign_duration,
            clock=clock,
        )
        self.api_key = api_key
        self.latency: Seconds = 0.0
        self.look_at: float = 0.0
        self.drip: float = 0.0
        self.dial_latency: Seconds = 0.0
        self.dial_reply_latency: Seconds = 0.0
        self.timestamp_shift: float = 0.0
        self.alter: Callable[[dict[str, Any]], object] | None = None
        self.reading_times: list[float] = []
        self.peak_readings: int = 0
        self._open_readings = 0
        self._sleep = sleep
        begin = datetime.now(UTC) if wall_clock is None else wall_clock
        self._wall_begin = begin.replace(tzinfo=UTC) if begin.tzinfo is None else begin
        self._readings_to_come: Script[Answer] = Script()
        self._dials_to_come: Script[_DialFault] = Script()
        self._caches = Caches()

    def __repr__(self) -> str:
        return (
            f"FakePureTalk(limit={self.limit}, live={self.live}, peak={self.peak}, overshoots={self.overshoots}, "
            f"started={self.started}, refused={self.refused}, readings={self.readings})"
        )

    @property
    def readings(self) -> int:
        """Usage requests that arrived, whatever became of them."""
        return len(self.reading_times)

    # Faults

    def fail_next(
        self, n: int = 1, status: int = 503, headers: Mapping[str, str] | None = None, body: Body = None
    ) -> None:
        """Give the next `n` readings this answer, after those that were asked for before.

        Args:
            n: Readings.
            status: The HTTP status; 200 for garbage, 302 with a `Location` header for a redirect.
            headers: Such as `{"Retry-After": "2"}`.
            body: Bytes or text as they are (see `garbage`), a mapping as JSON, `None` for the usual error.
        """
        with self._lock:
            self._readings_to_come.add(n, scripted_answer(status, headers, body))

    def fail_always(self, status: int = 503, headers: Mapping[str, str] | None = None, body: Body = None) -> None:
        """Give every reading this answer until `heal`, once those of `fail_next` are through."""
        with self._lock:
            self._readings_to_come.last(scripted_answer(status, headers, body))

    def cached_for(self, seconds: float, *, caches: int = 1) -> None:
        """Repeat each good usage answer as it is, timestamp and all, for a time; 0 ends that.

        Adds to `visibility_lag`.

        Args:
            seconds: How long an answer is repeated; infinite for a timestamp that never moves again.
            caches: How many caches are asked in turn, each with an answer of its own: from 2 on, answers go
                back and forth in time.
        """
        check(seconds=seconds)
        if caches < 1:
            raise ConfigurationError(f"caches={caches!r}: give at least 1")
        with self._lock:
            self._caches = Caches(seconds, caches)

    def refuse_next(self, n: int = 1, retry_after: float | None = None) -> None:
        """Refuse the next `n` dials with 429, lines or no lines.

        Args:
            n: Dials.
            retry_after: Seconds for the `Retry-After` header; `None` for none.
        """
        refusal = error_answer(429, "Too many requests", retry_after=retry_after)
        with self._lock:
            self._dials_to_come.add(n, _DialFault(refusal, accepted=False, refusal=True))

    def fail_next_dials(
        self,
        n: int = 1,
        status: int = 502,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        *,
        accepted: bool = False,
    ) -> None:
        """Give the next `n` dials this answer.

        Args:
            n: Dials.
            status: The HTTP status.
            headers: Of the answer.
            body: As in `fail_next`.
            accepted: Whether the call is placed all the same, as when only the answer is lost.
        """
        fault = _DialFault(scripted_answer(status, headers, body), accepted=accepted, refusal=False)
        with self._lock:
            self._dials_to_come.add(n, fault)

    def heal(self) -> None:
        """Forget all scripted answers, of readings and dials; latencies, caches and the like stay."""
        with self._lock:
            self._readings_to_come.clear()
            self._dials_to_come.clear()

    # HTTP

    def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Answer one request at once, without latency: for `httpx.MockTransport` and the like.

        Args:
            method: Such as `GET`.
            path: Such as `/api/calls`.
            headers: By lower-case name.
            body: The request's.
        """
        request = _Request(method, path, headers, body)
        if request.is_reading:
            self._note_reading()
        return self._route(request)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await live_through(receive, send)
            return
        if scope["type"] != "http":
            raise ConfigurationError(f"FakePureTalk speaks HTTP only, not {scope['type']}")
        body = await read_body(receive)
        if body is None:
            return
        request = _Request(scope["method"], scope["path"], read_headers(scope), body)
        if request.is_reading:
            latency = _span(self.latency)
            with self._open_reading():
                await self._converse(request, send, latency * self.look_at, latency * (1 - self.look_at), self.drip)
        elif request.is_dial:
            await self._converse(request, send, _span(self.dial_latency), _span(self.dial_reply_latency))
        else:
            await self._converse(request, send)

    async def _converse(
        self, request: _Request, send: Send, before: float = 0.0, after: float = 0.0, drip: float = 0.0
    ) -> None:
        if before > 0:
            await self._sleep(before)
        answer = self._route(request)
        if after > 0:
            await self._sleep(after)
        await send_answer(send, answer, drip=drip, sleep=self._sleep)

    def _note_reading(self) -> None:
        with self._lock:
            self.reading_times.append(self._clock())

    @contextmanager
    def _open_reading(self) -> Iterator[None]:
        with self._lock:
            self._note_reading()
            self._open_readings += 1
            self.peak_readings = max(self.peak_readings, self._open_readings)
        try:
            yield
        finally:
            with self._lock:
                self._open_readings -= 1

    def _route(self, request: _Request) -> Answer:
        if request.headers.get("x-api-key") != self.api_key:
            return error_answer(401, "Invalid API key")
        if request.is_reading:
            return self._read()
        if request.is_dial:
            return self._dial(request.body)
        match request.method, request.path.split("/")[1:]:
            case "GET", ["api", "calls", call_id]:
                return self._show(call_id)
            case "POST", ["api", "calls", call_id, "end"]:
                return self._show(call_id, end=True)
            case _:
                return error_answer(404, "Not found")

    def _read(self) -> Answer:
        with self._lock:
            scripted = self._readings_to_come.take()
            if scripted is not None:
                return scripted
            results = self._caches.get(self._clock(), self._look)
        if self.alter is None:
            return success(200, results=results)
        return json_answer(200, self.alter({"msg": "Success", "err": False, "results": dict(results)}))

    def _look(self) -> dict[str, object]:
        with self._present() as book:
            checked = self._wall(book.now) + timedelta(seconds=self.timestamp_shift)
            return {
                "concurrency_limit": book.limit,
                "concurrency_count": self._count(book),
                "timestamp": checked.replace(tzinfo=None).isoformat(timespec="microseconds"),
            }

    def _dial(self, body: bytes) -> Answer:
        try:
            dial = read_dial(body)
        except ValueError as exc:
            return error_answer(400, str(exc))
        with self._lock:
            fault = self._dials_to_come.take()
            if fault is not None and not fault.accepted:
                with self._present() as book:
                    book.attempt()
                if fault.refusal:
                    self._count_refusal()
                return fault.answer
            call = self._start(dial)
            if call is None:
                message = f"Concurrency limit of {self.limit} calls reached"
                return error_answer(429, message, retry_after=self.refusal_retry_after)
            if fault is not None:
                return fault.answer
            return self._describe(201, call)

    def _show(self, call_id: str, *, end: bool = False) -> Answer:
        with self._present() as book:
            call = book.find(call_id)
            if call is None:
                return error_answer(404, "Call not found")
            if end:
                book.end(call)
            return self._describe(200, call)

    def _describe(self, status: int, call: Call) -> Answer:
        ended = call.ended_at
        results = {
            "call_id": call.call_id,
            "status": "in-progress" if ended is None else "completed",
            "start_time": self._wall(call.started_at).isoformat(),
            "end_time": None if ended is None else self._wall(ended).isoformat(),
            "call_duration_seconds": None if ended is None else ended - call.started_at,
            "metadata": call.metadata,
        }
        return success(status, call_id=call.call_id, results=results)

    def _wall(self, at: float) -> datetime:
        return self._wall_begin + timedelta(seconds=at - self._begin)


def _span(seconds: Seconds) -> float:
    return seconds() if callable(seconds) else seconds
