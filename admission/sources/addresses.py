"""What may be given to an HTTP source: keys, addresses, time limits. Nothing that is refused is shown."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import TypeAlias

import httpx

from admission.errors import ConfigurationError

Origin: TypeAlias = tuple[bytes, int]
"""A host and a port."""

MIN_SECRET_CHARS = 8
"""No shorter key is looked for in an address: it could be there by chance."""

_PORTS = {"http": 80, "https": 443}
_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
_HOST = re.compile(r"[a-z0-9._-]+")
_MIN_TIMEOUT, _MAX_TIMEOUT = 0.05, 60.0
_MAX_ADDRESS_CHARS = 2000


def checked_key(api_key: object, whence: str) -> str:
    """Return an API key that can stand in a header.

    Args:
        api_key: The key.
        whence: Where users find it, for the error.
    """
    if not isinstance(api_key, str) or not api_key:
        raise ConfigurationError(f"api_key is missing: give {whence}")
    if not _KEY.fullmatch(api_key):
        raise ConfigurationError(
            "api_key is not usable: it has spaces, line breaks or characters beyond ASCII, or is longer than 4,096 "
            "characters; look for what came along when it was copied"
        )
    return api_key


def checked_timeout(timeout: object) -> float:
    """Return the seconds that a whole request may take."""
    good = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not good or not _MIN_TIMEOUT <= timeout <= _MAX_TIMEOUT:  # type: ignore[operator]  # `good` says so
        raise ConfigurationError(f"timeout is not usable: give a number from {_MIN_TIMEOUT:g} to {_MAX_TIMEOUT:g}")
    return float(timeout)  # type: ignore[arg-type]  # same


def checked_client(client: object) -> httpx.Client | httpx.AsyncClient | None:
    """Return a caller's own client, or `None` for none."""
    if client is not None and not isinstance(client, (httpx.Client, httpx.AsyncClient)):
        raise ConfigurationError(
            f"client is of type {type(client).__name__}: give an httpx.Client (for Guard), an httpx.AsyncClient "
            "(for AsyncGuard), or none"
        )
    return client


def checked_address(address: object, argument: str, example: str, *, query: bool = False) -> tuple[str, str]:
    """Return the one way to write an address that stands for all, and its query apart.

    Args:
        address: The address.
        argument: What it was given as.
        example: One that would do.
        query: Whether it may have a query.
    """
    # What was given is not shown: it may be a key in the wrong place, or hold a password.
    hint = f"give an address like {example!r}"
    if not isinstance(address, str) or len(address) > _MAX_ADDRESS_CHARS:
        raise ConfigurationError(f"{argument} is no string, or a very long one: {hint}")
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in _PORTS or not _is_host(url.raw_host):
        raise ConfigurationError(f"{argument} has no http or https scheme, or no usable host: {hint}")
    if url.userinfo or "#" in address or ("?" in address and not query):
        parts = "a user or a fragment" if query else "a user, a query or a fragment"
        raise ConfigurationError(f"{argument} has {parts}: {hint}, without them")
    number = origin(url)[1]
    if not 1 <= number <= 65_535:  # noqa: PLR2004 - the range of ports
        raise ConfigurationError(f"{argument} has no usable port: {hint}")
    host = f"[{url.host}]" if ":" in url.host else url.raw_host.decode("ascii")
    port = "" if number == _PORTS[url.scheme] else f":{number}"
    path = url.raw_path.decode("ascii").partition("?")[0]
    # A whole address stands as it was given; something comes behind a base.
    path = path if query else path.rstrip("/")
    return f"{url.scheme}://{host}{port}{path}", url.query.decode("ascii")


def origin(url: httpx.URL) -> Origin:
    """Return the host and port that an address leads to."""
    return url.raw_host, _PORTS.get(url.scheme, 0) if url.port is None else url.port


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
