"""Any provider's usage that is somewhere in the JSON of a GET."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from admission.errors import ConfigurationError
from admission.sources.addresses import checked_address
from admission.sources.answers import Answer, Provider, hiding, read_fields
from admission.sources.http import HttpSource
from admission.values import MAX_CALLS, Usage

if TYPE_CHECKING:
    import httpx

    from admission.sources.answers import Fields

_EXAMPLE = "https://api.example.com/v1/usage"
_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,4094}[\x21-\x7e])?")
_OURS = frozenset({"accept-encoding", "cache-control"})
_LEAST_CHARS = 4


class JsonUsage(HttpSource):
    """Reads the usage from any address that tells it as JSON when it is asked with GET.

    A path names a field: `"data.calls.active"` is `active` in `calls` in `data`. Numbers must be whole, and not in
    quotes. A count below 0 is refused. What remains may be below 0, as providers show an account that is above its
    limit; nobody is then admitted.

    A number that comes only in the answers of placing calls cannot be a source: there is none before the first
    call, none once the account is full, and one that came earlier was not looked at when the guard asked.

    Args:
        url: The address, http or https; it may have a query. The query's values are in no text of this package, nor
            in what httpx logs of its requests.
        headers: Headers of the request, such as `{"Authorization": "Bearer ..."}`. Their values are in no text of
            this package, unless they are shorter than 4 characters.
        limit: The path of the limit, or the limit where the provider does not tell it.
        count: The path of the number of running calls. Give this or `remaining`.
        remaining: The path of the number of calls that could still be started; the count is the limit less this.
        timestamp: The path of the ISO 8601 date and time at which the provider looked, so that a cached answer is
            told from a new one; `None` when it does not say.
        client: A client of yours to use as it is; see `PureTalk`.
        timeout: Seconds for a whole request, 0.05 to 60.

    Raises:
        ConfigurationError: An argument cannot work.
    """

    __slots__ = ("_count", "_limit", "_remaining", "_timestamp")

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        limit: str | int,
        count: str | None = None,
        remaining: str | None = None,
        timestamp: str | None = None,
        client: httpx.Client | httpx.AsyncClient | None = None,
        timeout: float = 5.0,
    ) -> None:
        address, query = checked_address(url, "url", _EXAMPLE, query=True)
        sent = _checked_headers(headers)
        if (count is None) == (remaining is None):
            raise ConfigurationError("give the path of the count or of what remains: count=... or remaining=...")
        self._limit = limit if isinstance(limit, str) else Usage(limit, 0).limit
        self._count, self._remaining, self._timestamp = count, remaining, timestamp
        given = {"count": count, "remaining": remaining, "timestamp": timestamp}
        for name, path in {**given, "limit": limit if isinstance(limit, str) else None}.items():
            if path is not None:
                _check_path(name, path)
        secrets = _secrets(sent, query)
        shown = hiding(*secrets)(address)
        marks = sorted(f"{name.lower()}:{value}" for name, value in sent.items())
        super().__init__(
            Provider(shown.split("/")[2], "json", argument="url"),
            shown,
            f"{address}?{query}" if query else address,
            sent,
            secrets=secrets,
            mark="\n".join([address, query, *marks]),
            client=client,
            timeout=timeout,
        )

    def _read(self, answer: Answer) -> Usage:
        fields = read_fields(answer, self._shown, self._provider)
        limit = fields.calls(self._limit) if isinstance(self._limit, str) else self._limit
        stamp = None if self._timestamp is None else fields.moment(self._timestamp)
        if self._count is not None:
            return Usage(limit, fields.calls(self._count), stamp)
        return Usage(limit, _used(fields, str(self._remaining), limit), stamp)


def _used(fields: Fields, path: str, limit: int) -> int:
    remaining = fields.calls(path, -MAX_CALLS)
    if remaining > limit:
        raise fields.wrong(path, remaining, f"at most the limit of {limit:,}")
    return min(limit - remaining, MAX_CALLS)


def _check_path(name: str, path: object) -> None:
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ConfigurationError(f"{name} is no path: give names joined by dots, such as 'usage.active'")


def _checked_headers(headers: object) -> dict[str, str]:
    if headers is None:
        return {}
    # What was given is not shown: it holds keys.
    if not isinstance(headers, Mapping):
        raise ConfigurationError("headers is no mapping: give one such as {'Authorization': 'Bearer ...'}")
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigurationError("headers has a name that no header can have")
        if name.lower() in _OURS:
            raise ConfigurationError(f"headers has {name}, which is not yours to set: answers are asked for unpacked")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise ConfigurationError(
                f"the header {name} is not usable: it is no string, is empty, has line breaks, spaces at an end or "
                "characters beyond ASCII, or is longer than 4,096 characters"
            )
    return {"Accept" if name.lower() == "accept" else name: value for name, value in headers.items()}


def _secrets(headers: Mapping[str, str], query: str) -> tuple[str, ...]:
    values = [value for _, value in parse_qsl(query, keep_blank_values=True)]
    for value in headers.values():
        # A scheme may stand before the secret.
        values += [value, value.split()[-1]]
    return tuple(value for value in [query, *values] if len(value) >= _LEAST_CHARS)
