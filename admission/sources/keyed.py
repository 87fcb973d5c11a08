"""What the sources have in common that ask a provider's own API with the account's key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from admission.sources.addresses import checked_address, checked_key
from admission.sources.http import HttpSource

if TYPE_CHECKING:
    import httpx

    from admission.sources.answers import Provider


@dataclass(frozen=True, slots=True)
class Api:
    """Where and how a provider's API is asked.

    Attributes:
        provider: Who is asked, for texts.
        base_url: The address where none is given.
        path: What comes behind the address.
        header: The header that carries the key.
        whence: Where users find the key, for the error.
        scheme: What stands before the key in the header.
    """

    provider: Provider
    base_url: str
    path: str
    header: str
    whence: str
    scheme: str = ""


class KeyedSource(HttpSource):
    """Asks an API with a key, and reads the answer as its subclass says.

    Args:
        api: The API.
        api_key: The account's key.
        base_url: The address, http or https.
        client: A client of the caller's to use as it is, or `None`.
        timeout: Seconds for a whole request.

    Raises:
        ConfigurationError: An argument cannot work.
    """

    __slots__ = ()

    def __init__(
        self,
        api: Api,
        api_key: str,
        *,
        base_url: str,
        client: httpx.Client | httpx.AsyncClient | None,
        timeout: float,
    ) -> None:
        key = checked_key(api_key, api.whence)
        address = checked_address(base_url, "base_url", api.base_url)[0]
        super().__init__(
            api.provider,
            address,
            address + api.path,
            {api.header: api.scheme + key},
            secrets=(key,),
            mark=key,
            client=client,
            timeout=timeout,
        )
