"""PureTalk's usage: `GET /users/concurrency-usage`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.sources.answers import Answer, Provider, read_fields
from admission.sources.keyed import Api, KeyedSource
from admission.values import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

_DEFAULT = "https://api.puretalk.ai/api"
_PROVIDER = Provider("PureTalk", "puretalk", hint="which ends in /api by default")
_API = Api(
    _PROVIDER,
    _DEFAULT,
    "/users/concurrency-usage",
    header="X-API-KEY",
    whence=(
        "the key from PureTalk's dashboard, under 'API Keys', as a string (for example from the variable "
        "PURETALK_API_KEY)"
    ),
)


class PureTalk(KeyedSource):
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

    __slots__ = ()

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = _DEFAULT,
        client: httpx.Client | httpx.AsyncClient | None = None,
        timeout: float = 5.0,
    ) -> None:
        super().__init__(_API, api_key, base_url=base_url, client=client, timeout=timeout)

    def _read(self, answer: Answer) -> Usage:
        return read_usage(answer, self._shown)


def read_usage(answer: Answer, shown: Callable[[str], str]) -> Usage:
    """Read an answer field by field.

    The timestamp has to be there, as an ISO 8601 date and time. One without a zone is taken as it stands; one
    with a zone is turned to UTC and given without it too, so that any two of a source can be compared.

    Args:
        answer: The answer.
        shown: Makes foreign text fit for an error, see `hiding`.

    Raises:
        UsageError: It cannot be used, now.
        ConfigurationError: The key or the address is wrong.
    """
    fields = read_fields(answer, shown, _PROVIDER)
    err = fields.get("err", default=False)
    if err is True:
        said = fields.get("msg")
        raise fields.fault("err is true" + (f", msg is {fields.value(said)}" if said is not None else ""))
    if err is not False:
        raise fields.wrong("err", err, "true or false")
    return Usage(
        limit=fields.calls("results.concurrency_limit"),
        count=fields.calls("results.concurrency_count"),
        timestamp=fields.moment("results.timestamp"),
    )
