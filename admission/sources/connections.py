"""What HTTP sources talk over: a client for one request at a time, and what a process and a loop keep of them.

No answers and no addresses here, only clients, sockets and the bytes of a body.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from admission.sources.answers import MAX_BODY_BYTES

if TYPE_CHECKING:
    import threading
    from asyncio.trsock import TransportSocket
    from collections.abc import AsyncGenerator, Mapping

    import httpx

Mark: TypeAlias = tuple[int, asyncio.AbstractEventLoop]
"""A process and a loop in it."""

Kept: TypeAlias = "dict[Mark, tuple[httpx.AsyncClient, AsyncGenerator[None, None]]]"
"""The client of each loop, and what closes it with the loop."""


class Line:
    """A blocking client that serves one request at a time, and, of an own one, the socket that it talks on."""

    __slots__ = ("_cut", "_socket", "client", "own")

    def __init__(self, client: httpx.Client, *, own: bool = True) -> None:
        self.client: Any = client
        self.own: bool = own
        self._cut = False
        self._socket: socket.socket | None = None

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note the socket; httpcore calls this at every step of a request."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._cut:
                self.cut()

    def cut(self) -> None:
        """End what the client's thread reads or writes, from any thread."""
        # The flag first: a socket that comes up meanwhile is then cut by `trace`.
        self._cut = True
        if self._socket is not None:
            # Not `close`: that frees the descriptor's number for others while the thread still reads from it.
            sever(self._socket)

    def close(self) -> None:
        """Close an own client."""
        if self.own:
            self.client.close()


class Handshake:
    """Closes a connection whose TLS handshake was cancelled: httpcore would leave that to the collector."""

    __slots__ = ("_stream",)

    def __init__(self) -> None:
        self._stream: Any = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note the connection, and close it; httpcore awaits this at every step of a request."""
        if event.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]
        elif event.endswith("start_tls.failed") and self._stream is not None:
            await self._stream.aclose()


class Process:
    """What one process has: idle lines, and threads that outlasted their requests' time."""

    __slots__ = ("_idle", "stuck")

    def __init__(self) -> None:
        self._idle: deque[Line] = deque()
        self.stuck: list[threading.Thread] = []

    def line(self) -> Line | None:
        """Take an idle line, if there is one."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def take_back(self, line: Line, processes: Mapping[int, Process]) -> None:
        """Keep an own line for the next request, unless the source was closed meanwhile."""
        if line.own:
            self._idle.append(line)
            if processes.get(os.getpid()) is not self:
                self.close()

    def count_stuck(self) -> int:
        """Count the threads that still hang, and forget those that ended."""
        for thread in [known for known in self.stuck if not known.is_alive()]:
            with suppress(ValueError):
                self.stuck.remove(thread)
        return len(self.stuck)

    def close(self) -> None:
        """Close the idle lines."""
        while (line := self.line()) is not None:
            line.close()


def read_body(response: httpx.Response, deadline: float) -> tuple[bytes, str]:
    """Return the body, cut off where it is too long, and the coding that it is in."""
    if response.is_stream_consumed:
        # A hook of the caller's, or a transport without a stream, has read and unpacked it.
        return response.content, ""
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
        if time.monotonic() >= deadline:
            raise TimeoutError
    return bytes(body), response.headers.get("content-encoding", "")


async def aread_body(response: httpx.Response) -> tuple[bytes, str]:
    """Do the same on an event loop, whose caller bounds the time."""
    if response.is_stream_consumed:
        return response.content, ""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
    return bytes(body), response.headers.get("content-encoding", "")


def spoil(response: httpx.Response) -> None:
    """Have a connection not used again on which more came than an answer.

    It would be taken for the answer to the next request, and was made before that: a reading older than it seems.
    """
    stream: Any = response.stream
    try:
        # What was read and is left over, nobody else tells.
        more, _ = stream._stream._httpcore_stream._stream._connection._h11_state.trailing_data  # noqa: SLF001
    except AttributeError:
        return  # another transport than httpx's own, or one that keeps answers apart
    if more:
        sock = response.extensions["network_stream"].get_extra_info("socket")
        if sock is not None:
            sever(sock)


def sever(sock: socket.socket | TransportSocket) -> None:
    """End what reads or writes on a socket, or on what stands for one on an event loop, and reset it once it is closed.

    Without a reset, an other end that still sends may hang for minutes: once a socket is shut down, nobody tells that
    end that there is room again for what it sends.
    """
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(OSError):
        if isinstance(sock, socket.socket):
            # Not a TLS socket's own `shutdown`, which takes the session away from under the thread that reads.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        else:
            sock.shutdown(socket.SHUT_RDWR)


def let_go(processes: dict[int, Process], kept: Kept) -> None:
    """Close what a source has opened, when it is gone."""
    for process in processes.values():
        process.close()
    for mark in list(kept):
        if mark[0] == os.getpid():
            # The keeper ends with it, and the loop's hook for such ends closes the client.
            kept.pop(mark, None)


async def keep(client: httpx.AsyncClient, kept: Kept, mark: Mark) -> AsyncGenerator[None, None]:
    """Hold a loop's client open: the loop's own `shutdown_asyncgens` ends this, and so closes it in time."""
    try:
        yield
    finally:
        kept.pop(mark, None)
        await client.aclose()
