"""Placing calls at the stand-in provider over HTTP. The only file of the command line that knows httpx.

PureTalk documents no endpoint that places a phone call; these are the stand-in's own.
"""

from __future__ import annotations

from typing import Any

import httpx

_TIMEOUT = 10.0


class PhoneError(Exception):
    """The provider did not answer as it should."""


class Phone:
    """One process's connections to the provider.

    Args:
        base_url: The provider's, ending in `/api`.
        api_key: Its key.
    """

    def __init__(self, base_url: str, api_key: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"X-API-KEY": api_key},
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
        )

    async def dial(self, talk: float | None) -> str:
        """Place a call and return its id.

        Args:
            talk: Seconds after which the other side hangs up; `None` for never.

        Raises:
            PhoneError: It was not accepted, or nobody knows.
        """
        content = await self._ask("POST", "/calls", {} if talk is None else {"duration": talk})
        return str(content["call_id"])

    async def is_over(self, call_id: str) -> bool:
        """Return whether a call is over.

        Raises:
            PhoneError: Nobody knows.
        """
        content = await self._ask("GET", f"/calls/{call_id}")
        return bool(content["results"]["status"] == "completed")

    async def hang_up(self, call_id: str) -> None:
        """End a call.

        Raises:
            PhoneError: Nobody knows whether it ended.
        """
        await self._ask("POST", f"/calls/{call_id}/end")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, body: dict[str, float] | None = None) -> dict[str, Any]:
        try:
            response = await self._http.request(method, path, json=body)
            response.raise_for_status()
            content: dict[str, Any] = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise PhoneError(f"{method} {path}: {error}") from error
        return content
