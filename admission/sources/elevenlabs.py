"""ElevenLabs' usage: `GET /v1/convai/analytics/live-count`, a count without a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.sources.answers import Answer, Provider, read_fields
from admission.sources.keyed import Api, KeyedSource
from admission.values import Usage

if TYPE_CHECKING:
    import httpx

_DEFAULT = "https://api.elevenlabs.io"
_PROVIDER = Provider("ElevenLabs", "elevenlabs", hint=f"which is {_DEFAULT} by default")
_API = Api(
    _PROVIDER,
    _DEFAULT,
    "/v1/convai/analytics/live-count",
    header="xi-api-key",
    whence="the workspace's key from ElevenLabs' dashboard, as a string",
)


class ElevenLabs(KeyedSource):
    """Reads a workspace's live conversations from ElevenLabs, which does not tell the limit: give it.

    Its answers have no timestamp: a cached one is not noticed.

    Args:
        api_key: The workspace's key, sent as `xi-api-key`. It is in no text of this package.
        limit: Calls that the workspace may run at once, 0 to 1,000,000. With burst pricing you may give the burst's
            ceiling; the calls above the plan's limit then cost more.
        base_url: The API's address, http or https.
        client: A client of yours to use as it is; see `PureTalk`.
        timeout: Seconds for a whole request, 0.05 to 60.

    Raises:
        ConfigurationError: An argument cannot work.
    """

    __slots__ = ("_limit",)

    def __init__(
        self,
        api_key: str,
        limit: int,
        *,
        base_url: str = _DEFAULT,
        client: httpx.Client | httpx.AsyncClient | None = None,
        timeout: float = 5.0,
    ) -> None:
        self._limit = Usage(limit, 0).limit
        super().__init__(_API, api_key, base_url=base_url, client=client, timeout=timeout)

    def _read(self, answer: Answer) -> Usage:
        return Usage(self._limit, read_fields(answer, self._shown, _PROVIDER).calls("count"))
