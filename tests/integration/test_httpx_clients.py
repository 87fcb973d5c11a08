"""Guarded httpx clients against the stand-in provider over real HTTP: its own peak is the judge."""

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from admission import AsyncGuard, Guard, MemoryLedger, Policy, PureTalk, RedisLedger
from admission.integrations.httpx import AdmissionTransport, AsyncAdmissionTransport
from admission.testing import FakePureTalk, serve
from tests.servers import redis_server
from tests.waiting import wait_until

LINES = 4
CALLS = 30
POLICY = Policy(refresh_interval=0.05, visibility_lag=0.0, timeout=60)


@pytest.fixture
def fake():
    """A provider that takes every call, so that one too many shows in its peak."""
    return FakePureTalk(LINES, enforce=False)


@pytest.fixture
def served(fake):
    with serve(fake) as served:
        yield served


def settings(fake, served):
    return {"base_url": served.url, "headers": {"X-API-KEY": fake.api_key}, "timeout": 30}


@pytest.fixture
def guard(fake, served):
    with Guard(PureTalk(fake.api_key, base_url=served.url), MemoryLedger(), policy=POLICY) as guard:
        yield guard


@pytest.fixture
def client(fake, served, guard):
    with httpx.Client(transport=AdmissionTransport(guard, places="POST /calls"), **settings(fake, served)) as client:
        yield client


@contextlib.asynccontextmanager
async def guarded(fake, served, sender=None, **options):
    """A guard and a guarded client on an event loop."""
    async with AsyncGuard(PureTalk(fake.api_key, base_url=served.url), MemoryLedger(), policy=POLICY) as guard:
        transport = AsyncAdmissionTransport(guard, sender, places="POST /calls", **options)
        async with httpx.AsyncClient(transport=transport, **settings(fake, served)) as client:
            yield guard, client


def test_threads_never_exceed_the_limit(fake, client):
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: client.post("/calls", json={"duration": 0.1}), range(CALLS)))
    assert [answer.status_code for answer in answers] == [201] * CALLS
    assert len({answer.json()["results"]["call_id"] for answer in answers}) == CALLS
    assert (fake.overshoots, fake.started) == (0, CALLS)
    assert fake.peak <= LINES


async def test_tasks_never_exceed_the_limit(fake, served):
    async with guarded(fake, served) as (_, client):
        answers = await asyncio.gather(*(client.post("/calls", json={"duration": 0.1}) for _ in range(CALLS)))
    assert [answer.status_code for answer in answers] == [201] * CALLS
    assert (fake.overshoots, fake.started) == (0, CALLS)
    assert fake.peak <= LINES


async def test_an_asgi_app_is_guarded_alike(fake, served):
    async with guarded(fake, served, httpx.ASGITransport(app=fake)) as (_, client):
        await asyncio.gather(*(client.post("/calls", json={"duration": 0.05}) for _ in range(CALLS)))
    assert (fake.overshoots, fake.started) == (0, CALLS)


async def test_both_colours_share_a_ledger(fake, served):
    with redis_server() as server:
        source = PureTalk(fake.api_key, base_url=served.url)
        with Guard(source, RedisLedger(server.url), policy=POLICY) as plain:
            async with AsyncGuard(source, RedisLedger(server.url), policy=POLICY) as awaited:
                one = httpx.Client(transport=AdmissionTransport(plain, places="POST /calls"), **settings(fake, served))
                two = httpx.AsyncClient(
                    transport=AsyncAdmissionTransport(awaited, places="POST /calls"), **settings(fake, served)
                )
                with one, ThreadPoolExecutor(6) as pool:
                    async with two:
                        plainly = [
                            asyncio.wrap_future(pool.submit(one.post, "/calls", json={"duration": 0.1}))
                            for _ in range(CALLS // 2)
                        ]
                        others = [two.post("/calls", json={"duration": 0.1}) for _ in range(CALLS // 2)]
                        answers = await asyncio.gather(*plainly, *others)
        await source.aclose()
    assert {answer.status_code for answer in answers} == {201}
    assert (fake.overshoots, fake.started) == (0, CALLS)


def test_other_requests_pass_a_line_that_waits(fake, guard, client):
    fake.set_limit(0)
    waiting = threading.Thread(target=client.post, args=("/calls",), kwargs={"json": {"duration": 0.05}})
    waiting.start()
    wait_until(lambda: guard.status().waiting == 1)
    assert client.get("/calls/none").status_code == 404
    assert client.get("/users/concurrency-usage").status_code == 200
    assert guard.status().waiting == 1
    fake.set_limit(1)
    waiting.join(30)
    assert not waiting.is_alive()
    assert fake.started == 1


def test_a_refusal_is_the_clients_and_the_slot_is_free(fake, guard, client):
    fake.refuse_next(1, retry_after=0)
    answer = client.post("/calls", json={})
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "0"
    assert guard.status().pending == 0
    assert client.post("/calls", json={"duration": 0.05}).status_code == 201


async def test_a_refusal_is_sent_again_when_asked_for(fake, served):
    async with guarded(fake, served, retry=True) as (_, client):
        fake.refuse_next(2, retry_after=0)
        assert (await client.post("/calls", json={"duration": 0.05})).status_code == 201
    assert (fake.refused, fake.started) == (2, 1)


def test_a_refused_connection_frees_the_slot_at_once(fake, guard):
    with serve(fake) as gone:
        pass
    client = httpx.Client(transport=AdmissionTransport(guard, places="POST /calls"), **settings(fake, gone))
    with client, pytest.raises(httpx.ConnectError):
        client.post("/calls", json={})
    assert guard.status().pending == 0


def test_a_time_out_after_sending_is_unknown(fake, guard, client):
    fake.dial_latency = 3600
    with pytest.raises(httpx.ReadTimeout):
        client.post("/calls", json={"duration": 5}, timeout=httpx.Timeout(30, read=0.1))
    assert guard.status().pending == 1


async def test_cancelled_in_line_it_gives_up_its_seat(fake, served):
    fake.set_limit(0)
    async with guarded(fake, served) as (guard, client):
        task = asyncio.create_task(client.post("/calls", json={}))

        async def waits(callers):
            return (await guard.status()).waiting == callers

        await reached(lambda: waits(1))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await reached(lambda: waits(0))
    assert fake.started == 0


async def test_cancelled_while_it_dials_it_books_on(fake, served):
    fake.dial_latency = 3600
    async with guarded(fake, served) as (guard, client):
        task = asyncio.create_task(client.post("/calls", json={"duration": 30}))

        async def dials():
            return (await guard.status()).pending == 1

        await reached(dials)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The provider may have got it all the same.
        assert (await guard.status()).pending == 1


async def reached(condition):
    """Wait until what `condition()` awaits is true."""
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.01)
