"""Reaches a `FakePureTalk` in the same process, with httpx's own clients, for both colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from admission.testing.fake import FakePureTalk


def transport(fake: FakePureTalk) -> httpx.MockTransport:
    """Return a transport whose requests `fake` answers at once, without its scripted latencies.

    It serves `httpx.Client` and `httpx.AsyncClient` alike.
    """

    def handle(request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = fake.handle(request.method, request.url.path, headers, request.content)
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)

    return httpx.MockTransport(handle)
