"""The examples of the page on webhooks, behind real frameworks."""

import re
from pathlib import Path

import httpx
import pytest

from admission import Saturated
from admission.testing import FakePureTalk, serve

pytestmark = pytest.mark.usefixtures("ledger_has_time")

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "webhooks.md"
WITH_SECRET = {"X-Webhook-Secret": "what the provider sends along in X-Webhook-Secret"}
ENDED = {"event": "call.ended", "call": {"id": "call-1"}}


@pytest.fixture
def page(monkeypatch):
    """What the page's examples define; their account has one line, and a call on it."""
    provider = FakePureTalk(1)
    monkeypatch.setenv("PURETALK_API_KEY", provider.api_key)
    monkeypatch.setenv("ADMISSION_LEDGER", "memory")
    with serve(provider) as served:
        monkeypatch.setenv("PURETALK_BASE_URL", served.url)
        names = {"__name__": "examples"}
        for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            exec(compile(block, PAGE.name, "exec"), names)
        place(names["guard"], "call-1")
        with pytest.raises(Saturated):
            place(names["guard"], "call-2")
        yield names
        names["guard"].close()


def place(guard, call_id):
    guard.place(track=True, call_id=str, timeout=0)(lambda: call_id)()


async def test_fastapi(page):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(page["app"]), base_url="http://ours.test") as client:
        assert (await client.post("/webhooks/calls", json=ENDED)).status_code == 401
        assert (await client.post("/webhooks/calls", json=ENDED, headers=WITH_SECRET)).text == "noted"
    place(page["guard"], "call-2")


def test_flask(page):
    client = page["flask_app"].test_client()
    assert client.post("/webhooks/calls", json=ENDED).status_code == 401
    assert client.post("/webhooks/calls", json=ENDED, headers=WITH_SECRET).text == "noted"
    place(page["guard"], "call-2")
