"""A TCP proxy on loopback that cuts, delays or swallows what passes, as a bad network does."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress

CHUNK = 1 << 16


class Proxy:
    """Stands between clients and a server on this machine.

    Args:
        target: The server's port.
        tls: How clients are spoken to, where that is TLS.

    Attributes:
        target: The port of the server that new connections lead to.
        port: Where clients connect.
        delay: Seconds that each request is held back.
        forges: Takes what the server answers, and returns what is let through in its place.
        cuts: How often `cut` has struck.
    """

    def __init__(self, target, tls=None):
        self.target = target
        self._tls = tls
        self.delay = 0.0
        self.forges = lambda answer: answer
        self.cuts = 0
        self._down = False
        self._swallows = False
        self._pattern = b""
        self._before = False
        self._lock = threading.Lock()
        self._links = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def cut(self, pattern, *, before):
        """Cut the connection once, at the next request that contains `pattern`.

        Args:
            pattern: Bytes.
            before: Cut before the server gets it; else when the server has answered, and swallow the answer.
        """
        with self._lock:
            self._pattern, self._before = pattern, before

    def down(self):
        """Cut all connections, and close each new one at once."""
        self._down = True
        self._cut_all()

    def swallow(self):
        """Take everything from now on and let nothing through, in either direction."""
        self._swallows = True

    def cut_half(self):
        """Cut every second connection."""
        with self._lock:
            links = list(self._links)[::2]
        for link in links:
            link.cut()

    def strand(self):
        """Let nothing through any more on the connections that there are; new ones are served."""
        with self._lock:
            for link in self._links:
                link.swallows = True

    def up(self):
        """Let everything through again, on new connections."""
        self._down = self._swallows = False
        self._cut_all()

    def close(self):
        self._down = True
        # Wakes the thread that accepts.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for link in self._cut_all():
            link.join()

    def _cut_all(self):
        with self._lock:
            links, self._links = self._links, set()
        for link in links:
            link.cut()
        return links

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._down:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            link = _Link(self, client, server)
            with self._lock:
                self._links = {known for known in self._links if known.alive} | {link}
            link.start()

    def _strikes(self, data):
        """Whether this is the request to cut at: `before` or `after`, else `None`."""
        with self._lock:
            if not self._pattern or self._pattern not in data:
                return None
            self._pattern = b""
            self.cuts += 1
            return "before" if self._before else "after"


class _Link:
    """One client's connection, and the proxy's own to the server."""

    def __init__(self, proxy, client, server):
        self._proxy = proxy
        self._client = client
        self._server = server
        self._answer_is_last = False
        self.swallows = False
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._requests, self._answers)]

    @property
    def alive(self):
        return any(thread.is_alive() for thread in self._threads)

    def start(self):
        for thread in self._threads:
            thread.start()

    def cut(self):
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def join(self):
        for thread in self._threads:
            thread.join()

    def _requests(self):
        self._pump(self._client, self._request)
        self._client.close()

    def _answers(self):
        self._pump(self._server, self._answer)
        self._server.close()

    def _pump(self, source, take):
        with suppress(OSError):
            while (data := source.recv(CHUNK)) and take(data):
                pass
        self.cut()

    def _request(self, data):
        if self._proxy.delay:
            time.sleep(self._proxy.delay)
        strikes = self._proxy._strikes(data)
        if strikes == "before":
            return False
        self._answer_is_last |= strikes == "after"
        if not (self._proxy._swallows or self.swallows):
            self._server.sendall(data)
        return True

    def _answer(self, data):
        if self._answer_is_last:
            return False
        if not (self._proxy._swallows or self.swallows):
            self._client.sendall(self._proxy.forges(data))
        return True


@contextmanager
def proxy(target, tls=None):
    """Run a proxy in front of a port."""
    between = Proxy(target, tls)
    try:
        yield between
    finally:
        between.close()
