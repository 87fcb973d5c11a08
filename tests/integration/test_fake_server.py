import asyncio
import logging
import sys
import threading
import time

import httpx
import pytest

from admission.errors import ConfigurationError
from admission.testing.fake import FakePureTalk, garbage
from admission.testing.server import serve

KEY = {"X-API-KEY": "test-key"}


def server_threads():
    return [thread for thread in threading.enumerate() if thread.name == "admission-testing-server"]


@pytest.fixture(autouse=True)
def silent(caplog):
    """A server that starts, serves and stops has nothing to complain of, and leaves no thread."""
    caplog.set_level(logging.WARNING)
    yield
    assert caplog.records == []
    assert server_threads() == []


def test_a_fake_over_real_http():
    fake = FakePureTalk(2)
    with serve(fake) as served, httpx.Client(base_url=served.url, headers=KEY) as http:
        assert served.url == f"http://127.0.0.1:{served.port}/api"
        assert [http.post("/calls").status_code for _ in range(3)] == [201, 201, 429]
        results = http.get("/users/concurrency-usage").json()["results"]
    assert (results["concurrency_limit"], results["concurrency_count"]) == (2, 2)
    assert (fake.live, fake.overshoots) == (2, 1)


async def test_many_clients_at_once():
    fake = FakePureTalk(30)
    with serve(fake) as served:
        limits = httpx.Limits(max_connections=60)
        async with httpx.AsyncClient(base_url=served.url, headers=KEY, limits=limits, timeout=30) as http:
            answers = await asyncio.gather(*(http.post("/calls") for _ in range(60)))
    assert sorted(answer.status_code for answer in answers) == [201] * 30 + [429] * 30


def test_two_servers_have_their_own_ports():
    with serve(FakePureTalk(1)) as first, serve(FakePureTalk(2)) as second:
        assert first.port != second.port
        answers = [httpx.get(f"{one.url}/users/concurrency-usage", headers=KEY) for one in (first, second)]
    assert [answer.json()["results"]["concurrency_limit"] for answer in answers] == [1, 2]


def test_a_provider_comes_back_where_it_was():
    fake = FakePureTalk()
    with serve(fake) as served:
        httpx.post(f"{served.url}/calls", headers=KEY)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{served.url}/users/concurrency-usage", headers=KEY)
    with serve(fake, port=served.port) as again:
        answer = httpx.get(f"{again.url}/users/concurrency-usage", headers=KEY)
    assert answer.json()["results"]["concurrency_count"] == 1


def test_a_taken_port_is_told():
    with (
        serve(FakePureTalk()) as served,
        pytest.raises(OSError, match="in use"),
        serve(FakePureTalk(), port=served.port),
    ):
        pass


def test_a_block_left_at_once_or_by_an_error_stops_the_server():
    with serve(FakePureTalk()):
        pass
    with pytest.raises(ZeroDivisionError), serve(FakePureTalk()):
        raise ZeroDivisionError
    assert server_threads() == []


@pytest.mark.parametrize("hang", ["latency", "drip"])
def test_requests_that_hang_do_not_hold_up_the_end(hang):
    fake = FakePureTalk()
    setattr(fake, hang, 3600.0)
    failures = []

    def ask(url):
        try:
            httpx.get(f"{url}/users/concurrency-usage", headers=KEY, timeout=60)
        except httpx.HTTPError as exc:
            failures.append(exc)

    with serve(fake) as served:
        asking = threading.Thread(target=ask, args=[served.url])
        asking.start()
        while fake.readings == 0:
            time.sleep(0.001)
        begin = time.monotonic()
    assert time.monotonic() - begin < 30
    asking.join(30)
    assert len(failures) == 1


def test_a_dripping_body_arrives_within_every_single_timeout():
    fake = FakePureTalk()
    fake.drip = 0.0005
    with serve(fake) as served:
        answer = httpx.get(f"{served.url}/users/concurrency-usage", headers=KEY)
    assert answer.json()["err"] is False


@pytest.mark.parametrize("kind", ["html", "truncated", "huge", "empty"])
def test_garbage_over_real_http(kind):
    fake = FakePureTalk()
    fake.fail_next(1, status=200, body=garbage(kind))
    with serve(fake) as served:
        answer = httpx.get(f"{served.url}/users/concurrency-usage", headers=KEY)
    assert answer.content == garbage(kind)


def test_a_client_that_gives_up_may_still_get_its_call():
    fake = FakePureTalk()
    fake.dial_latency = 2.0
    with serve(fake) as served:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{served.url}/calls", headers=KEY, timeout=httpx.Timeout(30, read=0.02))
        while fake.live == 0:
            time.sleep(0.001)


def test_without_uvicorn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ConfigurationError, match=r"install admission\[cli\]"), serve(FakePureTalk()):
        pass


def test_the_fake_itself_needs_no_server():
    import subprocess

    imports = "import sys; import admission.testing.fake, admission.testing.server"
    code = f"{imports}; print(*{{'uvicorn'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
