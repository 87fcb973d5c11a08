"""A server of a few lines that may do anything to its sockets, and sources that read it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time

import pytest

from admission import UsageError
from admission.sources import PureTalk

KEY = "pt-live-0123456789abcdef"
BODY = json.dumps(
    {
        "msg": "Success",
        "err": False,
        "results": {"concurrency_limit": 20, "concurrency_count": 11, "timestamp": "2025-05-02T02:36:10.686259"},
    }
).encode()
SLACK = 15.0
"""Seconds that a loaded machine may be late; what never ends here would take a minute."""


def response(body=BODY, *headers, status="200 OK"):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.005)


class Server:
    """Answers each request on each connection by `answer(connection)`, until that returns something true."""

    def __init__(self, answer=None):
        self.answer = answer or (lambda connection: connection.sendall(response()))
        self.requests = []
        self.opened = 0
        self.closed = 0
        self._connections = []
        self._threads = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self._start(self._accept)

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True, name="test-server")
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self.opened += 1
            self._start(self._serve, connection)

    def _serve(self, connection):
        with connection:
            try:
                while request := self._request(connection):
                    self.requests.append(request)
                    if self.answer(connection):
                        break
            except OSError:
                pass
            self.closed += 1

    def _request(self, connection):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            data = connection.recv(65_536)
            if not data:
                return b""
            request += data
        return request

    def close(self):
        for sock in [self._listener, *self._connections]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(10)


def source_of(server, timeout=30.0, **options):
    """A source that has all the time it needs, unless the test is about time."""
    return PureTalk(KEY, base_url=server.url, timeout=timeout, **options)


async def until(condition):
    await asyncio.to_thread(wait_until, condition)


async def recovered(read, source):
    """A reading of a source that has little time, which a loaded machine may miss."""
    for _ in range(100):
        with contextlib.suppress(UsageError):
            return await read(source)
    pytest.fail("it never recovered")


def helpers():
    return [thread for thread in threading.enumerate() if thread.name == "admission-puretalk"]
