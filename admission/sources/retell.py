"""Retell's usage: `GET /get-concurrency`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.sources.answers import Answer, Provider, read_fields
from admission.sources.keyed import Api, KeyedSource
from admission.values import Usage

if TYPE_CHECKING:
    import httpx

_DEFAULT = "https://api.retellai.com"
_PROVIDER = Provider("Retell", "retell", hint=f"which is {_DEFAULT} by default")
_API = Api(
    _PROVIDER,
    _DEFAULT,
    "/get-concurrency",
    header="Authorization",
    scheme="Bearer ",
    whence="the workspace's key from Retell's dashboard, as a string",
)


class Retell(KeyedSource):
    """Reads a workspace's concurrency from Retell. Its answers have no timestamp: a cached one is not noticed.

    The limit is Retell's `concurrency_limit` less `reserved_inbound_concurrency`, which outbound calls may not use.
    Retell counts inbound and outbound calls together, so inbound ones in the reserve take room from outbound ones
    here that Retell might still give them: the safe side.

    Args:
        api_key: The workspace's key, sent as a bearer token. It is in no text of this package.
        burst: Whether to use `concurrency_burst_limit`, at Retell's surcharge, as the limit while the workspace has
            burst mode on. While it is off the usual limit counts.
        base_url: The API's address, http or https.
        client: A client of yours to use as it is; see `PureTalk`.
        timeout: Seconds for a whole request, 0.05 to 60.

    Raises:
        ConfigurationError: An argument cannot work.
    """

    __slots__ = ("_burst",)

    def __init__(
        self,
        api_key: str,
        *,
        burst: bool = False,
        base_url: str = _DEFAULT,
        client: httpx.Client | httpx.AsyncClient | None = None,
        timeout: float = 5.0,
    ) -> None:
        super().__init__(_API, api_key, base_url=base_url, client=client, timeout=timeout)
        self._burst = burst

    def _read(self, answer: Answer) -> Usage:
        fields = read_fields(answer, self._shown, _PROVIDER)
        limit = fields.calls("concurrency_limit")
        reserved = fields.calls_or(0, "reserved_inbound_concurrency")
        if self._burst and fields.flag("concurrency_burst_enabled"):
            limit = max(limit, fields.calls("concurrency_burst_limit"))
        return Usage(max(0, limit - reserved), fields.calls("current_concurrency"))
