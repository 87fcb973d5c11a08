"""PureTalk's usage over HTTP, in both colours. The only file that knows httpx; what answers mean is in `answers`.

httpx bounds each read and each connection attempt, not the request: a server that sends one byte of a header
every few seconds, or a resolver that hangs, holds a blocking caller for as long as it likes. So a blocking
request runs in a thread of its own and its caller waits for `timeout` seconds at most; the connection is then cut
under the thread, which ends it. Without a thread on an event loop: cancelling does the same there.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import socket
import threading
import time
import weakref
from collections import deque
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import copy_context
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

import httpx

from admission.errors import AdmissionError, CallRejected, ConfigurationError, UsageError
from admission.sources.answers import MAX_BODY_BYTES, Answer, hiding, read_usage, refusal, retry_after, unpacked

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Mapping

    from admission.values import Usage

_PATH = "/users/concurrency-usage"
_PORTS = {"http": 80, "https": 443}
_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
_HOST = re.compile(r"[a-z0-9._-]+")
_MIN_TIMEOUT, _MAX_TIMEOUT = 0.05, 60.0
_MAX_ADDRESS_CHARS = 2000
_MAX_STUCK = 8
_MIN_SECRET_CHARS = 8
_TOO_MANY_REQUESTS = 429

_Client = TypeVar("_Client", httpx.Client, httpx.AsyncClient)
_Origin: TypeAlias = tuple[bytes, int]
_Mark: TypeAlias = tuple[int, asyncio.AbstractEventLoop]
_Kept: TypeAlias = "dict[_Mark, tuple[httpx.AsyncClient, AsyncGenerator[None, None]]]"


class PureTalk:
    """Reads an account's concurrency usage from PureTalk.

    Building one does no I/O and needs no event loop. Connections are opened with the first reading and kept for
    the next ones: per process and thread in use, and per event loop (the loop's own shutdown closes those). One
    object may serve many threads, loops and guards; a forked child opens its own.

    Args:
        api_key: The account's key, sent as `X-API-KEY`. It is in no text of this package: no error, log or `repr`.
        base_url: The API's address, http or https, with the path before `/users`.
        client: A client of yours to use as it is, with its proxies, hooks, headers: an `httpx.Client` for `Guard`,
            an `httpx.AsyncClient` for `AsyncGuard`. It is never closed here. A blocking request on it that outlasts
            `timeout` is left to its thread, since cutting your connections could hit your other requests.
        timeout: Seconds for a whole request, from the look-up of the host to the last byte, 0.05 to 60.

    Raises:
        ConfigurationError: An argument cannot work.
    """

    __slots__ = (
        "__weakref__",
        "_account",
        "_api_key",
        "_base_url",
        "_client",
        "_kept",
        "_origin",
        "_processes",
        "_shown",
        "_timeout",
        "_tls",
        "_url",
    )

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = "https://api.puretalk.ai/api",
        client: httpx.Client | httpx.AsyncClient | None = None,
        timeout: float = 5.0,
    ) -> None:
        self._api_key = _checked_key(api_key)
        self._base_url = _checked_address(base_url)
        self._url = httpx.URL(self._base_url + _PATH)
        self._origin = _origin(self._url)
        if len(api_key) >= _MIN_SECRET_CHARS and api_key in self._base_url:
            raise ConfigurationError("base_url contains the API key, and addresses are logged: leave it out there")
        if client is not None and not isinstance(client, (httpx.Client, httpx.AsyncClient)):
            raise ConfigurationError(
                f"client is of type {type(client).__name__}: give an httpx.Client (for Guard), an httpx.AsyncClient "
                "(for AsyncGuard), or none"
            )
        self._client = client
        self._timeout = _checked_timeout(timeout)
        self._shown = hiding(api_key)
        digest = hashlib.sha256(f"{self._base_url}\0{api_key}".encode()).hexdigest()
        self._account = f"puretalk-{digest[:20]}"
        self._tls: ssl.SSLContext | None = None
        self._kept: _Kept = {}
        self._processes: dict[int, _Process] = {}
        # It also keeps both reachable: a collector that finds clients and sockets in one go with this object would
        # let the sockets complain before anybody could close them.
        weakref.finalize(self, _let_go, self._processes, self._kept)

    def __repr__(self) -> str:
        return f"PureTalk(base_url={self._base_url!r}, account={self._account!r})"

    def __getstate__(self) -> NoReturn:
        raise TypeError("a PureTalk holds an API key and is neither pickled nor copied: build one in each process")

    @property
    def account(self) -> str:
        """The account's name in the ledger: a hash of address and key, the same in every process."""
        return self._account

    @property
    def timeout(self) -> float:
        """Seconds that a whole request may take."""
        return self._timeout

    def fetch(self) -> Usage:
        """Ask PureTalk, blocking; one request.

        Raises:
            UsageError: The answer cannot be used, or there was none within `timeout`.
            ConfigurationError: The key, the address or the client is wrong.
        """
        if isinstance(self._client, httpx.AsyncClient):
            raise ConfigurationError(
                "this PureTalk was given an httpx.AsyncClient, which Guard and fetch() cannot use: give it an "
                "httpx.Client or none, or use AsyncGuard"
            )
        here = self._here()
        stuck = here.count_stuck()
        if stuck >= _MAX_STUCK:
            raise UsageError(f"{stuck} earlier requests to {self._base_url} still hang: none is added")
        if self._client is not None:
            line = _Line(self._client, own=False)
        else:
            line = here.line() or _Line(self._own(httpx.Client))
        answer: Future[Usage] = Future()
        # The caller's context goes along, for what instruments clients.
        thread = threading.Thread(
            target=copy_context().run, args=(self._serve, here, line, answer), name="admission-puretalk", daemon=True
        )
        try:
            try:
                thread.start()
            except RuntimeError as exc:
                line.close()
                raise UsageError(f"no thread could be started to ask PureTalk: {exc}") from exc
            wait((answer,), timeout=self._timeout)
        finally:
            # Also for an exception that a signal raised meanwhile.
            if answer.cancel():
                here.stuck.append(thread)
                line.cut()
        if answer.cancelled():
            raise self._too_slow()
        return answer.result()

    async def afetch(self) -> Usage:
        """Ask PureTalk; one request.

        Raises:
            UsageError: The answer cannot be used, or there was none within `timeout`.
            ConfigurationError: The key, the address or the client is wrong.
        """
        if isinstance(self._client, httpx.Client):
            raise ConfigurationError(
                "this PureTalk was given an httpx.Client, which AsyncGuard and afetch() cannot use: give it an "
                "httpx.AsyncClient or none, or use Guard"
            )
        options = self._options()
        if self._client is not None:
            client = self._client
            self._check_open(client)
        else:
            client = await self._loop_client()
            options["extensions"] = {"trace": _Handshake().trace}
        try:
            async with asyncio.timeout(self._timeout), client.stream("GET", self._url, **options) as response:
                body, coding = await _abody(response)
                _spoil(response)
        except Exception as exc:  # noqa: BLE001 - a client of the caller's may raise anything
            raise self._fault(exc) from self._cause(exc)
        return self._usage(response, body, coding)

    def rejected(self, exc: BaseException) -> CallRejected | None:
        """Tell whether an error of placing code says that PureTalk refused the call for concurrency.

        One case is known: an `httpx.HTTPStatusError` with status 429 of a POST to this source's own host and port.

        Args:
            exc: What the placing code raised.

        Returns:
            The refusal with the answer's Retry-After, or `None`: then nothing is known of the call.
        """
        if not isinstance(exc, httpx.HTTPStatusError) or exc.response.status_code != _TOO_MANY_REQUESTS:
            return None
        try:
            request = exc.request
        except RuntimeError:
            return None
        if request.method.upper() != "POST" or _origin(request.url) != self._origin:
            return None
        return CallRejected(retry_after(exc.response.headers))

    def close(self) -> None:
        """Close this process's own blocking connections; a later reading opens new ones."""
        here = self._processes.pop(os.getpid(), None)
        if here is not None:
            here.close()

    async def aclose(self) -> None:
        """Close the own connections of the running event loop, and the blocking ones as `close` does."""
        self.close()
        kept = self._kept.get((os.getpid(), asyncio.get_running_loop()))
        if kept is not None:
            await kept[1].aclose()

    def _serve(self, here: _Process, line: _Line, answer: Future[Usage]) -> None:
        """Make one blocking request in this thread, and hand over what became of it."""
        outcome: Usage | BaseException
        try:
            outcome = self._ask(line)
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread that waits
            outcome = exc
        if not answer.set_running_or_notify_cancel():
            line.close()
            return
        here.take_back(line, self._processes)
        if isinstance(outcome, BaseException):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    def _ask(self, line: _Line) -> Usage:
        if not line.own:
            self._check_open(line.client)
        deadline = time.monotonic() + self._timeout
        options = self._options()
        if line.own:
            options["extensions"] = {"trace": line.trace}
        try:
            with line.client.stream("GET", self._url, **options) as response:
                body, coding = _body(response, deadline)
                _spoil(response)
        except Exception as exc:  # noqa: BLE001 - a client of the caller's may raise anything
            raise self._fault(exc) from self._cause(exc)
        return self._usage(response, body, coding)

    def _options(self) -> dict[str, Any]:
        headers = {
            "X-API-KEY": self._api_key,
            "Accept": "application/json",
            # A packed body could be a bomb, and a cached one is old news.
            "Accept-Encoding": "identity",
            "Cache-Control": "no-cache",
        }
        return {"headers": headers, "timeout": httpx.Timeout(self._timeout), "follow_redirects": False}

    def _usage(self, response: httpx.Response, body: bytes, coding: str) -> Usage:
        headers, status = response.headers, response.status_code
        plain = unpacked(body, coding)
        if plain is not None:
            return read_usage(Answer(status, headers, plain), self._shown)
        if status != httpx.codes.OK:
            raise refusal(Answer(status, headers, b""), self._shown)
        raise UsageError(f"PureTalk's answer cannot be unpacked from {self._shown(coding)!r}", status=status)

    def _fault(self, exc: Exception) -> AdmissionError:
        """Return what an exception on the way to an answer means."""
        if isinstance(exc, (TimeoutError, httpx.TimeoutException)):
            return self._too_slow()
        if isinstance(exc, httpx.HTTPStatusError):
            return refusal(Answer(exc.response.status_code, exc.response.headers, b""), self._shown)
        what = f"{type(exc).__name__}: {self._shown(str(exc))}"
        if isinstance(exc, httpx.UnsupportedProtocol):
            return ConfigurationError(f"{self._base_url} cannot be asked ({what}): check base_url and client")
        if isinstance(exc, httpx.InvalidURL):
            # Not ours, which was checked: httpx looks where a redirect leads even if it is not to follow.
            return UsageError(f"{self._base_url} redirects to an address that makes no sense ({what})")
        return UsageError(f"no answer from {self._base_url} ({what})")

    def _cause(self, exc: Exception) -> Exception | None:
        """Return an exception to chain, unless its text, or that of one that it chains, quotes the key."""
        link: BaseException | None = exc
        while link is not None:
            # Quoted bytes come with backslashes of their own.
            if self._api_key.replace("\\", "") in str(link).replace("\\", ""):
                return None
            link = link.__cause__ or link.__context__
        return exc

    def _too_slow(self) -> UsageError:
        return UsageError(f"no full answer from {self._base_url} within {self._timeout:g} s")

    def _check_open(self, client: httpx.Client | httpx.AsyncClient) -> None:
        if client.is_closed:
            raise ConfigurationError("the client that this PureTalk was given is closed: keep it open while it is used")

    def _here(self) -> _Process:
        pid = os.getpid()
        here = self._processes.setdefault(pid, _Process())
        for other in [known for known in list(self._processes) if known != pid]:
            # The parent's: closing our copies of the sockets tells its servers nothing.
            self._processes.pop(other, _Process()).close()
        return here

    async def _loop_client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        mark = (os.getpid(), loop)
        if mark not in self._kept:
            for pid, other in list(self._kept):
                # A parent's loops stay: closing anything of theirs would reach into the poll that we share.
                if pid == mark[0] and other.is_closed():
                    self._kept.pop((pid, other), None)
            client = self._own(httpx.AsyncClient)
            keeper = _keep(client, self._kept, mark)
            self._kept[mark] = client, keeper
            await anext(keeper)
        return self._kept[mark][0]

    def _own(self, kind: type[_Client]) -> _Client:
        try:
            if self._tls is None:
                self._tls = httpx.create_ssl_context()
            # Cookies are not kept: a jar that the server fills has no bound.
            return kind(verify=self._tls, cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())))
        except (ImportError, OSError, ValueError, httpx.InvalidURL) as exc:
            raise ConfigurationError(
                f"no HTTP client can be made in this environment ({type(exc).__name__}): check the variables for "
                "proxies (HTTPS_PROXY, ALL_PROXY, NO_PROXY) and certificates (SSL_CERT_FILE, SSL_CERT_DIR)"
            ) from exc


class _Line:
    """A blocking client that serves one request at a time, and, of an own one, the socket that it talks on."""

    __slots__ = ("_cut", "_socket", "client", "own")

    def __init__(self, client: httpx.Client, *, own: bool = True) -> None:
        self.client = client
        self.own = own
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
            # Not `close`: that frees the descriptor's number for others while the thread still reads from it. And
            # not the TLS socket's own `shutdown`, which takes the session away from under the thread.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close an own client."""
        if self.own:
            self.client.close()


class _Handshake:
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


class _Process:
    """What one process has: idle lines, and threads that outlasted their requests' time."""

    __slots__ = ("_idle", "stuck")

    def __init__(self) -> None:
        self._idle: deque[_Line] = deque()
        self.stuck: list[threading.Thread] = []

    def line(self) -> _Line | None:
        """Take an idle line, if there is one."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def take_back(self, line: _Line, processes: Mapping[int, _Process]) -> None:
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


def _body(response: httpx.Response, deadline: float) -> tuple[bytes, str]:
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


async def _abody(response: httpx.Response) -> tuple[bytes, str]:
    if response.is_stream_consumed:
        return response.content, ""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            break
    return bytes(body), response.headers.get("content-encoding", "")


def _spoil(response: httpx.Response) -> None:
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
        with suppress(OSError):
            if isinstance(sock, socket.socket):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # see `_Line.cut`
            elif sock is not None:
                sock.shutdown(socket.SHUT_RDWR)  # what stands for one on an event loop


def _let_go(processes: dict[int, _Process], kept: _Kept) -> None:
    """Close what a source has opened, when it is gone."""
    for process in processes.values():
        process.close()
    for mark in list(kept):
        if mark[0] == os.getpid():
            # The keeper ends with it, and the loop's hook for such ends closes the client.
            kept.pop(mark, None)


async def _keep(client: httpx.AsyncClient, kept: _Kept, mark: _Mark) -> AsyncGenerator[None, None]:
    """Hold a loop's client open: the loop's own `shutdown_asyncgens` ends this, and so closes it in time."""
    try:
        yield
    finally:
        kept.pop(mark, None)
        await client.aclose()


def _checked_key(api_key: object) -> str:
    if not isinstance(api_key, str) or not api_key:
        raise ConfigurationError(
            "api_key is missing: give the key from PureTalk's dashboard, under 'API Keys', as a string "
            "(for example from the variable PURETALK_API_KEY)"
        )
    if not _KEY.fullmatch(api_key):
        raise ConfigurationError(
            "api_key is not usable: it has spaces, line breaks or characters beyond ASCII, or is longer than 4,096 "
            "characters; look for what came along when it was copied"
        )
    return api_key


def _checked_timeout(timeout: object) -> float:
    good = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not good or not _MIN_TIMEOUT <= timeout <= _MAX_TIMEOUT:  # type: ignore[operator]  # `good` says so
        raise ConfigurationError(f"timeout is not usable: give a number from {_MIN_TIMEOUT:g} to {_MAX_TIMEOUT:g}")
    return float(timeout)  # type: ignore[arg-type]  # same


def _checked_address(base_url: object) -> str:
    """Return the one way to write an address that stands for all."""
    # What was given is not shown: it may be a key in the wrong place, or hold a password.
    hint = "give an address like 'https://api.puretalk.ai/api'"
    if not isinstance(base_url, str) or len(base_url) > _MAX_ADDRESS_CHARS:
        raise ConfigurationError(f"base_url is no string, or a very long one: {hint}")
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in _PORTS or not _is_host(url.raw_host):
        raise ConfigurationError(f"base_url has no http or https scheme, or no usable host: {hint}")
    if url.userinfo or "?" in base_url or "#" in base_url:
        raise ConfigurationError(f"base_url has a user, a query or a fragment: {hint}, without them")
    number = _origin(url)[1]
    if not 1 <= number <= 65_535:  # noqa: PLR2004 - the range of ports
        raise ConfigurationError(f"base_url has no usable port: {hint}")
    host = f"[{url.host}]" if ":" in url.host else url.raw_host.decode("ascii")
    port = "" if number == _PORTS[url.scheme] else f":{number}"
    path = url.raw_path.decode("ascii").rstrip("/")
    return f"{url.scheme}://{host}{port}{path}"


def _is_host(raw_host: bytes) -> bool:
    try:
        host = raw_host.decode("ascii")
        if ":" in host:
            IPv6Address(host)
            return True
        # Refuses what the resolver would: empty labels, labels too long.
        host.encode("idna")
    except ValueError:
        return False
    return _HOST.fullmatch(host) is not None


def _origin(url: httpx.URL) -> _Origin:
    return url.raw_host, _PORTS.get(url.scheme, 0) if url.port is None else url.port
