"""The dashboard over HTTP: what it serves, to whom, and what it never says."""

import asyncio
import json
import re
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest

from admission import AsyncGuard, ConfigurationError, Guard, Lane, MemoryLedger, PureTalk
from admission.dashboard import Dashboard
from admission.dashboard.answers import FILES
from admission.testing import serve
from tests.waiting import until, wait_until

KEY = "pt-live-0123456789abcdef"
TOKEN = "a token of some length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ORDERS = ["/pause", "/resume"]


@pytest.fixture
def guard():
    # Nobody listens there: the provider is never asked.
    return AsyncGuard(PureTalk(KEY, base_url="http://127.0.0.1:9/api"), MemoryLedger(), lanes=[Lane("bulk")])


@asynccontextmanager
async def client_of(app, base="http://localhost"):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base) as client:
        yield client


def seen(response):
    """Everything that went over the wire."""
    return str(response.headers.raw) + response.text


@pytest.mark.parametrize("path", FILES)
async def test_the_page_and_its_files(guard, path):
    async with client_of(Dashboard(guard)) as client:
        response = await client.get(path)
        assert response.status_code == 200
        assert response.headers["content-type"] == FILES[path][1]
        assert (await client.head(path)).content == b""
        assert (await client.head(path)).headers["content-length"] == str(len(response.content))


async def test_every_answer_forbids_what_is_not_its_own(guard):
    async with client_of(Dashboard(guard)) as client:
        for path in [*FILES, "/state", "/nowhere", "/pause"]:
            headers = (await client.get(path)).headers
            assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in headers


def test_the_page_names_nothing_elsewhere_and_nothing_inline():
    page = (path.read_text("utf-8") for path in _files())
    for text in page:
        assert not set(re.findall(r"https?://[^\s\"')]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not re.search(r"<script(?! src=)|<style|\bstyle=|\son\w+=|innerHTML|javascript:", text)


def _files():
    from importlib.resources import files

    return [files("admission.dashboard") / "page" / name for name, _ in FILES.values()]


async def test_the_state(guard):
    async with client_of(Dashboard(guard)) as client:
        response = await client.get("/state")
        told = response.json()
    assert told["state"]["account"] == guard.account
    assert told["state"]["parts"] == {"held": 0, "covered": 0, "untracked": 0, "pending": 0}
    assert [lane["name"] for lane in told["state"]["lanes"]] == ["default"]
    assert told["fault"] == ""
    assert KEY not in seen(response)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/../app.py", 404),
        ("POST", "/", 405),
        ("GET", "/pause", 405),
        ("PUT", "/state", 405),
    ],
)
async def test_what_is_not_there(guard, method, path, status):
    async with client_of(Dashboard(guard, token=TOKEN)) as client:
        assert (await client.request(method, path)).status_code == status


# Orders


@pytest.mark.parametrize("path", ORDERS)
async def test_nobody_orders_anything_without_a_token_of_the_dashboard(guard, path):
    async with client_of(Dashboard(guard)) as client:
        assert (await client.post(path, headers=BEARER, json={})).status_code == 403
        assert not (await guard.status()).paused


@pytest.mark.parametrize("path", ORDERS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer \xff\xfe".encode("latin-1")},
        {"Cookie": f"token={TOKEN}"},
    ],
)
async def test_nobody_orders_anything_without_the_token(guard, path, headers):
    async with client_of(Dashboard(guard, token=TOKEN)) as client:
        response = await client.post(path, params={"token": TOKEN}, headers=headers, json={"reason": "why"})
        assert response.status_code == 401
        assert TOKEN not in seen(response)
        assert not (await guard.status()).paused


async def test_pause_and_resume(guard):
    async with client_of(Dashboard(guard, token=TOKEN)) as client:
        response = await client.post("/pause", headers=BEARER, json={"reason": " complaints "})
        assert (response.status_code, response.json()) == (200, {"paused": True, "lane": None})
        status = await guard.status()
        assert (status.paused, status.pause_reason) == (True, "complaints")
        assert (await client.post("/resume", headers=BEARER)).status_code == 200
        assert not (await guard.status()).paused
        assert (await client.post("/pause", headers=BEARER, json={})).status_code == 200
        assert (await guard.status()).pause_reason == "from the dashboard"


async def test_one_lane(guard):
    async with client_of(Dashboard(guard, token=TOKEN)) as client:
        order = {"reason": "no agents", "lane": "default"}
        assert (await client.post("/pause", headers=BEARER, json=order)).status_code == 200
        status = await guard.status()
        paused = {lane.name: lane.pause_reason for lane in status.lanes if lane.paused}
        assert (status.paused, paused) == (False, {"default": "no agents"})
        assert (await client.post("/resume", headers=BEARER, json={"lane": "default"})).status_code == 200
        response = await client.post("/pause", headers=BEARER, json={"lane": "typo"})
        assert response.status_code == 400
        assert "lane 'typo' is not known" in response.json()["error"]


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b"1", b"\xff", b'{"lane": 3}', b'{"reason": null}', b"[" * 4000, b" " * 5000]
)
async def test_orders_that_cannot_be_read(guard, body):
    async with client_of(Dashboard(guard, token=TOKEN)) as client:
        assert (await client.post("/pause", headers=BEARER, content=body)).status_code == 400
        assert not (await guard.status()).paused


async def test_a_ledger_that_is_away(monkeypatch):
    from admission import RedisLedger

    guard = AsyncGuard(PureTalk(KEY), RedisLedger("redis://:pass-of-redis@127.0.0.1:9/0"))
    async with guard, client_of(Dashboard(guard, token=TOKEN)) as client:
        told = (await client.get("/state")).json()
        assert (told["state"], told["fault"]) == (None, "the ledger did not answer")
        response = await client.post("/pause", headers=BEARER, json={})
        assert (response.status_code, response.json()) == (503, {"error": "the ledger did not answer"})


# Who may look on


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8765", 200),
        ("127.0.0.1:8765", 200),
        ("[::1]:8765", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("evil.example:8765", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("", 421),
        ("localhost:80:80", 421),
    ],
)
@pytest.mark.parametrize("path", ["/", "/state", "/events"])
async def test_a_browser_that_was_led_here_under_another_name(guard, host, status, path):
    async with client_of(Dashboard(guard)) as client:
        # The stream would not end: its head is enough.
        assert (await client.head(path, headers={"Host": host})).status_code == status


async def test_other_names_may_be_allowed(guard):
    async with client_of(Dashboard(guard, hosts=["Calls.example"]), "http://calls.example:81") as client:
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/", headers={"Host": "localhost"})).status_code == 421
    async with client_of(Dashboard(guard, hosts=None), "http://any.example") as client:
        assert (await client.get("/")).status_code == 200


async def test_a_private_dashboard_shows_nothing_without_the_token(guard):
    async with client_of(Dashboard(guard, token=TOKEN, private=True)) as client:
        for path in ("/state", "/events"):
            response = await client.get(path)
            assert response.status_code == 401
            assert guard.account not in seen(response)
        assert (await client.get("/state", headers=BEARER)).status_code == 200
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"token": "short"}, "at least 16 characters"),
        ({"token": "with a line\nbreak in it"}, "characters of ASCII"),
        ({"token": "über geheimes Zeichen"}, "characters of ASCII"),
        ({"private": True}, "give a token"),
        ({"hosts": "localhost"}, "give a list"),
    ],
)
def test_settings_that_cannot_work(guard, settings, complaint):
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        Dashboard(guard, **settings)
    assert str(settings.get("token")) not in str(caught.value)


def test_the_wrong_colour():
    with pytest.raises(ConfigurationError, match="AsyncGuard"):
        Dashboard(Guard(PureTalk(KEY)))


# Where it is mounted


async def test_it_can_be_mounted(guard):
    app = Dashboard(guard)

    async def mounted(scope, receive, send):
        assert scope["path"].startswith("/ops")
        await app({**scope, "root_path": "/ops"}, receive, send)

    async with client_of(mounted) as client:
        response = await client.get("/ops")
        assert (response.status_code, response.headers["location"]) == (308, "/ops/")
        assert (await client.get("/ops/")).status_code == 200
        assert (await client.get("/ops/state")).status_code == 200


async def test_it_can_be_mounted_in_fastapi(guard):
    from fastapi import FastAPI

    app = FastAPI()
    app.mount("/ops", Dashboard(guard))
    async with client_of(app) as client:
        assert (await client.get("/ops/")).status_code == 200
        assert (await client.get("/ops/page.js")).status_code == 200


async def test_a_lifespan_and_a_websocket(guard):
    sent, app = [], Dashboard(guard)

    async def receive():
        return {"type": "lifespan.startup" if not sent else "lifespan.shutdown"}

    async def send(message):
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    await app({"type": "websocket"}, receive, send)
    assert sent[-1] == "websocket.close"


# The stream


@contextmanager
def events(url, **headers):
    """Open a stream and yield what gives its next event."""
    with httpx.stream("GET", f"{url}events", headers=headers, timeout=20) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        lines = response.iter_lines()

        def following():
            name, data, blank = next(lines), next(lines), next(lines)
            assert (name[:7], data[:6], blank) == ("event: ", "data: ", "")
            assert KEY not in data
            return name[7:], json.loads(data[6:])

        yield following


@contextmanager
def served(app):
    with serve(app) as server:
        yield server.url.removesuffix("api")


def test_a_viewer_is_told_what_was_and_what_is(guard):
    app = Dashboard(guard, token=TOKEN)
    with served(app) as url:
        with events(url) as following:
            name, hello = following()
            assert (name, hello["account"], hello["orders"], hello["history"]) == ("hello", guard.account, True, [])
            for _ in range(2):
                name, moment = following()
                assert (name, moment["state"]["account"], moment["fault"]) == ("moment", guard.account, "")
                assert len(moment["sample"]) == len(hello["fields"])
        wait_until(lambda: app.feed.viewers == 0)
        with events(url) as following:
            assert len(following()[1]["history"]) >= 2
        wait_until(lambda: app.feed.viewers == 0)


def test_viewers_share_the_questions_and_leave_nothing_behind(guard):
    app = Dashboard(guard)
    with served(app) as url:
        assert app.feed.asked == 0
        with events(url) as one, events(url) as other, events(url) as third:
            for following in (one, other, third):
                following()
            seen_by = [set(), set(), set()]
            # Who came first has seen what was before the others came.
            while not set.intersection(*seen_by):
                for seen, following in zip(seen_by, (one, other, third), strict=True):
                    seen.add(following()[1]["at"])
            assert app.feed.viewers == 3
            told = {round(moment.at, 1) for moment in app.feed.history}
            assert set.union(*seen_by) <= told
        wait_until(lambda: app.feed.viewers == 0)
        asked = app.feed.asked
        # What others than viewers ask for meanwhile is asked for once.
        with httpx.Client(base_url=url) as client:
            assert client.get("state").status_code == 200
        assert app.feed.asked <= asked + 1


def test_a_pause_is_seen_by_who_looks_on(guard):
    with served(Dashboard(guard, token=TOKEN)) as url, events(url) as following:
        following()
        assert following()[1]["state"]["paused"] is False
        httpx.post(f"{url}pause", headers=BEARER, json={"reason": "complaints"}).raise_for_status()
        moment = wait_until(lambda: (told := following()[1])["state"]["paused"] and told)
        assert moment["state"]["notes"] == [{"level": "stop", "text": "paused: complaints"}] + [
            note for note in moment["state"]["notes"][1:] if note["level"] == "idle"
        ]


def test_there_are_not_any_number_of_viewers(guard, monkeypatch):
    monkeypatch.setattr("admission.dashboard.app.MOST_VIEWERS", 1)
    app = Dashboard(guard)
    with served(app) as url, events(url) as following:
        following()
        wait_until(lambda: app.feed.viewers)
        assert httpx.get(f"{url}events").status_code == 503
        assert httpx.get(f"{url}state").status_code == 200


async def test_closing_ends_the_streams(guard):
    app = Dashboard(guard)
    sent = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/events", "headers": [(b"host", b"localhost")]}
    stream = asyncio.create_task(app(scope, receive, send))
    await until(lambda: app.feed.viewers)
    app.close()
    await asyncio.wait_for(stream, 5)
    assert sent[-1] == {"type": "http.response.body", "body": b""}
    assert app.feed.viewers == 0
