"""What all sources have in common that ask over HTTP, in both colours; what answers mean is in `answers`.

httpx bounds each read and each connection attempt, not the request: a server that sends one byte of a header
every few seconds, or a resolver that hangs, holds a blocking caller for as long as it likes. So a blocking
request runs in a thread of its own and its caller waits for `timeout` seconds at most; the connection is then cut
under the thread, which ends it. Without a thread on an event loop: cancelling does the same there.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import threading
import time
import weakref
from concurrent.futures import Future, wait
from contextvars import copy_context
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import httpx

from admission.errors import AdmissionError, CallRejected, ConfigurationError, UsageError
from admission.sources.addresses import MIN_SECRET_CHARS, checked_client, checked_timeout, origin
from admission.sources.answers import Answer, Provider, hiding, refusal, retry_after, unpacked
from admission.sources.connections import Handshake, Kept, Line, Process, aread_body, keep, let_go, read_body, spoil
from admission.sources.masking import masked

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from admission.values import Usage

_MAX_STUCK = 8
_TOO_MANY_REQUESTS = 429

_Client = TypeVar("_Client", httpx.Client, httpx.AsyncClient)


class HttpSource:
    """Asks one address for the account's usage, and reads the answer as its subclass says.

    Building one does no I/O and needs no event loop. Connections are opened with the first reading and kept for
    the next ones: per process and thread in use, and per event loop (the loop's own shutdown closes those). One
    object may serve many threads, loops and guards; a forked child opens its own.

    Args:
        provider: Who is asked, for texts.
        base_url: The address as it may be shown.
        url: The whole address that is asked.
        headers: Of the request.
        secrets: What is in no text of this package: no error, log or `repr`.
        mark: What tells accounts apart at one address; it goes into the account's name as a hash.
        client: A client of the caller's to use as it is, or `None`.
        timeout: Seconds for a whole request, from the look-up of the host to the last byte.

    Raises:
        ConfigurationError: An argument cannot work.
    """

    __slots__ = (
        "__weakref__",
        "_account",
        "_base_url",
        "_client",
        "_headers",
        "_kept",
        "_origin",
        "_processes",
        "_provider",
        "_secrets",
        "_shown",
        "_timeout",
        "_tls",
        "_url",
    )

    def __init__(
        self,
        provider: Provider,
        base_url: str,
        url: str,
        headers: Mapping[str, str],
        *,
        secrets: Sequence[str],
        mark: str,
        client: httpx.Client | httpx.AsyncClient | None,
        timeout: float,
    ) -> None:
        self._provider = provider
        self._base_url = base_url
        self._url = httpx.URL(url)
        self._origin = origin(self._url)
        self._headers = dict(headers)
        self._secrets = tuple(secrets)
        if any(len(secret) >= MIN_SECRET_CHARS and secret in base_url for secret in secrets):
            raise ConfigurationError(
                f"{provider.argument} contains the API key, and addresses are logged: leave it out there"
            )
        self._client = checked_client(client)
        self._timeout = checked_timeout(timeout)
        self._shown = hiding(*secrets)
        digest = hashlib.sha256(f"{base_url}\0{mark}".encode()).hexdigest()
        self._account = f"{provider.slug}-{digest[:20]}"
        self._tls: ssl.SSLContext | None = None
        self._kept: Kept = {}
        self._processes: dict[int, Process] = {}
        # It also keeps both reachable: a collector that finds clients and sockets in one go with this object would
        # let the sockets complain before anybody could close them.
        weakref.finalize(self, let_go, self._processes, self._kept)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._provider.argument}={self._base_url!r}, account={self._account!r})"

    def __getstate__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} holds an API key and is neither pickled nor copied: build one in each process"
        )

    @property
    def account(self) -> str:
        """The account's name in the ledger, a hash of address and key, the same in every process."""
        return self._account

    @property
    def timeout(self) -> float:
        """Seconds that a whole request may take."""
        return self._timeout

    def fetch(self) -> Usage:
        """Ask the provider, blocking; one request.

        Raises:
            UsageError: The answer cannot be used, or there was none within `timeout`.
            ConfigurationError: The key, the address or the client is wrong.
        """
        if isinstance(self._client, httpx.AsyncClient):
            raise ConfigurationError(
                f"this {type(self).__name__} was given an httpx.AsyncClient, which Guard and fetch() cannot use: give "
                "it an httpx.Client or none, or use AsyncGuard"
            )
        here = self._here()
        stuck = here.count_stuck()
        if stuck >= _MAX_STUCK:
            raise UsageError(f"{stuck} earlier requests to {self._base_url} still hang: none is added")
        if self._client is not None:
            line = Line(self._client, own=False)
        else:
            line = here.line() or Line(self._own(httpx.Client))
        answer: Future[Usage] = Future()
        # The caller's context goes along, for what instruments clients.
        name = f"admission-{self._provider.slug}"
        thread = threading.Thread(
            target=copy_context().run, args=(self._serve, here, line, answer), name=name, daemon=True
        )
        try:
            try:
                thread.start()
            except RuntimeError as exc:
                line.close()
                raise UsageError(f"no thread could be started to ask {self._provider.name}: {exc}") from exc
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
        """Ask the provider; one request.

        Raises:
            UsageError: The answer cannot be used, or there was none within `timeout`.
            ConfigurationError: The key, the address or the client is wrong.
        """
        handled = id(sys.exception())  # the caller's own, which stays as it is
        try:
            return await self._aask()
        except BaseException as exc:
            _take_frames(exc, handled)
            raise

    def rejected(self, exc: BaseException) -> CallRejected | None:
        """Tell whether an error of placing code says that the provider refused the call for concurrency.

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
        if request.method.upper() != "POST" or origin(request.url) != self._origin:
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

    def _serve(self, here: Process, line: Line, answer: Future[Usage]) -> None:
        """Make one blocking request in this thread, and hand over what became of it."""
        outcome: Usage | BaseException
        try:
            outcome = self._ask(line)
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread that waits
            outcome = exc
            _take_frames(exc)
        if not answer.set_running_or_notify_cancel():
            line.close()
            return
        here.take_back(line, self._processes)
        if isinstance(outcome, BaseException):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    def _ask(self, line: Line) -> Usage:
        if not line.own:
            self._check_open(line.client)
        deadline = time.monotonic() + self._timeout
        options = self._options()
        if line.own:
            options["extensions"] = {"trace": line.trace}
        try:
            with masked(self._logged), line.client.stream("GET", self._url, **options) as response:
                body, coding = read_body(response, deadline)
                spoil(response)
        except Exception as exc:  # noqa: BLE001 - a client of the caller's may raise anything
            raise self._fault(exc) from self._cause(exc)
        return self._usage(response, body, coding)

    async def _aask(self) -> Usage:
        if isinstance(self._client, httpx.Client):
            raise ConfigurationError(
                f"this {type(self).__name__} was given an httpx.Client, which AsyncGuard and afetch() cannot use: give "
                "it an httpx.AsyncClient or none, or use Guard"
            )
        options = self._options()
        if self._client is not None:
            client = self._client
            self._check_open(client)
        else:
            client = await self._loop_client()
            options["extensions"] = {"trace": Handshake().trace}
        try:
            with masked(self._logged):
                async with asyncio.timeout(self._timeout), client.stream("GET", self._url, **options) as response:
                    body, coding = await aread_body(response)
                    spoil(response)
        except Exception as exc:  # noqa: BLE001 - a client of the caller's may raise anything
            raise self._fault(exc) from self._cause(exc)
        return self._usage(response, body, coding)

    def _options(self) -> dict[str, Any]:
        headers = {
            "Accept": "application/json",
            **self._headers,
            # A packed body could be a bomb, and a cached one is old news.
            "Accept-Encoding": "identity",
            "Cache-Control": "no-cache",
        }
        return {"headers": headers, "timeout": httpx.Timeout(self._timeout), "follow_redirects": False}

    def _usage(self, response: httpx.Response, body: bytes, coding: str) -> Usage:
        headers, status = response.headers, response.status_code
        plain = unpacked(body, coding)
        if plain is not None:
            return self._read(Answer(status, headers, plain))
        if status != httpx.codes.OK:
            raise refusal(Answer(status, headers, b""), self._shown, self._provider)
        raise UsageError(
            f"{self._provider.name}'s answer cannot be unpacked from {self._shown(coding)!r}", status=status
        )

    def _read(self, answer: Answer) -> Usage:
        """Read what this provider answers; the one thing that differs between them."""
        raise NotImplementedError

    def _fault(self, exc: Exception) -> AdmissionError:
        """Return what an exception on the way to an answer means."""
        if isinstance(exc, (TimeoutError, httpx.TimeoutException)):
            return self._too_slow()
        if isinstance(exc, httpx.HTTPStatusError):
            return refusal(Answer(exc.response.status_code, exc.response.headers, b""), self._shown, self._provider)
        what = f"{type(exc).__name__}: {self._shown(str(exc))}"
        if isinstance(exc, httpx.UnsupportedProtocol):
            return ConfigurationError(
                f"{self._base_url} cannot be asked ({what}): check {self._provider.argument} and client"
            )
        if isinstance(exc, httpx.InvalidURL):
            # Not ours, which was checked: httpx looks where a redirect leads even if it is not to follow.
            return UsageError(f"{self._base_url} redirects to an address that makes no sense ({what})")
        return UsageError(f"no answer from {self._base_url} ({what})")

    def _cause(self, exc: Exception) -> Exception | None:
        """Return an exception to chain, unless its text, or that of one that it chains, quotes the key."""
        link: BaseException | None = exc
        while link is not None:
            # Quoted bytes come with backslashes of their own.
            text = str(link).replace("\\", "")
            if any(secret.replace("\\", "") in text for secret in self._secrets):
                return None
            link = link.__cause__ or link.__context__
        return exc

    def _logged(self, arg: object) -> object:
        """Return an argument of httpx's log as it may be logged."""
        if not isinstance(arg, httpx.URL):
            return arg
        return self._shown(str(arg.copy_with(query=None))) + ("?***" if arg.query else "")

    def _too_slow(self) -> UsageError:
        return UsageError(f"no full answer from {self._base_url} within {self._timeout:g} s")

    def _check_open(self, client: httpx.Client | httpx.AsyncClient) -> None:
        if client.is_closed:
            raise ConfigurationError(
                f"the client that this {type(self).__name__} was given is closed: keep it open while it is used"
            )

    def _here(self) -> Process:
        pid = os.getpid()
        here = self._processes.setdefault(pid, Process())
        for other in [known for known in list(self._processes) if known != pid]:
            # The parent's: closing our copies of the sockets tells its servers nothing.
            self._processes.pop(other, Process()).close()
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
            keeper = keep(client, self._kept, mark)
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


def _take_frames(error: BaseException, known: int = 0) -> None:
    """Take the frames that an error came through, and all that it chains: what shows tracebacks may show their locals.

    Those of ours and of httpx hold the request with its key, and answers that may quote it.

    Args:
        error: The error.
        known: The `id` of an error where the chain ends.
    """
    links: list[BaseException | None] = [error]
    seen = {known, id(None)}
    while links:
        link = links.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        link.__traceback__ = None
        if link.__suppress_context__:
            # It may be left out since it quotes the key.
            link.__context__ = None
        links += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            links += link.exceptions
