"""Bolna's usage: `concurrency` in the answer to `GET /user/me`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.sources.answers import Answer, Provider, read_fields
from admission.sources.keyed import Api, KeyedSource
from admission.values import Usage

if TYPE_CHECKING:
    import httpx

_DEFAULT = "https://api.bolna.ai"
_PROVIDER = Provider("Bolna", "bolna", hint=f"which is {_DEFAULT} by default")
_API = Api(
    _PROVIDER,
    _DEFAULT,
    "/user/me",
    header="Authorization",
    scheme="Bearer ",
    whence="the account's key from Bolna's dashboard, as a string",
)


class Bolna(KeyedSource):
    """Reads an account's concurrency from Bolna. Its answers have no timestamp: a cached one is not noticed.

    Args:
        api_key: The account's key, sent as a bearer token. It is in no text of this package.
        base_url: The API's address, http or https.
        client: A client of yours to use as it is; see `PureTalk`.
        timeout: Seconds for a whole request, 0.05 to 60.

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
        fields = read_fields(answer, self._shown, _PROVIDER)
        return Usage(fields.calls("concurrency.max"), fields.calls("concurrency.current"))
