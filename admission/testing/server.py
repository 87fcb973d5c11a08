"""`serve`: an ASGI app behind real HTTP on this machine, for as long as a block lasts. Needs uvicorn."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from admission.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    import uvicorn

    from admission.testing._asgi import Message, Receive, Send

    App = Callable[[Message, Receive, Send], Awaitable[None]]

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: its port, and the base URL to give to `PureTalk`."""

    port: int

    @property
    def url(self) -> str:
        """The base URL, ending in `/api`."""
        return f"http://{_HOST}:{self.port}/api"


@contextmanager
def serve(app: App, *, port: int = 0) -> Iterator[Served]:
    """Serve an ASGI app from a daemon thread on 127.0.0.1 until the block is left.

    The app's lifespan is not run. At the end nothing is waited for: what is still open is cut off.

    Args:
        app: Such as a `FakePureTalk`.
        port: 0 takes a free one; to come back after an outage, give that of the last time.

    Raises:
        ConfigurationError: uvicorn is not installed.
        OSError: The port is taken.
    """
    try:
        import uvicorn  # noqa: PLC0415 - an extra, needed by nobody who does not serve
    except ImportError as exc:
        raise ConfigurationError("serving over HTTP needs uvicorn: install admission[cli]") from exc
    with socket.create_server((_HOST, port), backlog=2048) as listener:
        requests = _Requests(app)
        server = uvicorn.Server(
            uvicorn.Config(
                requests,
                http="h11",
                ws="none",
                lifespan="off",
                log_level="warning",
                access_log=False,
                timeout_keep_alive=600,  # a shorter one would now and then close on a client's next request
            )
        )
        running = _Running(server, requests, listener)
        running.start()
        try:
            yield Served(listener.getsockname()[1])
        finally:
            running.stop()


class _Requests:
    """The app, with a list of the requests it is answering, so that they can be cut off without a word."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[Any]] = set()
        self._cut_off = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        task = asyncio.ensure_future(self._app(scope, receive, send))
        self._tasks.add(task)
        try:
            await task
        except asyncio.CancelledError:
            if not self._cut_off:
                raise
        finally:
            self._tasks.discard(task)

    def cut_off(self) -> None:
        self._cut_off = True
        for task in self._tasks:
            task.cancel()


class _Running:
    """A server in its thread."""

    def __init__(self, server: uvicorn.Server, requests: _Requests, listener: socket.socket) -> None:
        self._server = server
        self._requests = requests
        self._listener = listener
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="admission-testing-server", daemon=True)

    def start(self) -> None:
        # Nobody has to wait for uvicorn: the listener has a backlog already.
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._cut_off)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self._server.serve(sockets=[self._listener])

    def _cut_off(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        for connection in list(self._server.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        self._requests.cut_off()
