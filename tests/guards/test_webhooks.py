"""Start and end events that a provider posts."""

import asyncio
import hashlib
import hmac
import json
import logging

import httpx
import pytest

from admission import AsyncGuard, ConfigurationError, Guard, MemoryLedger, Policy, PureTalk, Saturated
from admission.integrations.webhooks import MAX_BODY, Webhooks
from admission.testing import FakePureTalk, serve
from admission.testing.transport import transport

SECRET = "a secret of ours"
WITH_SECRET = {"X-Webhook-Secret": SECRET}
POLICY = Policy(visibility_lag=5.0, refresh_interval=0.05)
"""So late that whatever is pending stays so until it is told that it is over."""


@pytest.fixture(params=[Guard, AsyncGuard])
def kind(request):
    return request.param


@pytest.fixture
def fake():
    return FakePureTalk(1)


class Account:
    """A guard of either colour whose calls are told from within a running loop."""

    def __init__(self, kind, fake):
        client = (httpx.Client if kind is Guard else httpx.AsyncClient)(transport=transport(fake))
        source = PureTalk(fake.api_key, base_url="http://provider.test/api", client=client)
        self.guard = kind(source, MemoryLedger(), policy=POLICY)

    async def ask(self, name, *args, **kwargs):
        done = getattr(self.guard, name)
        if isinstance(self.guard, AsyncGuard):
            return await done(*args, **kwargs)
        return await asyncio.to_thread(done, *args, **kwargs)

    async def place(self, call_id):
        """Place the one call that there is room for."""

        def dial():
            return call_id

        async def adial():
            return call_id

        block = self.guard.place(track=True, call_id=str, timeout=0)
        if isinstance(self.guard, AsyncGuard):
            return await block(adial)()
        return await asyncio.to_thread(block(dial))


@pytest.fixture
async def account(kind, fake, ledger_has_time):
    account = Account(kind, fake)
    yield account
    await account.ask("close")


def posting(webhooks):
    return httpx.AsyncClient(transport=httpx.ASGITransport(webhooks), base_url="http://ours.test")


def webhooks_of(account, **settings):
    return Webhooks(
        account.guard, **{"secret": SECRET, "ended": ["call.ended"], "started": ["call.started"], **settings}
    )


async def test_an_end_frees_the_slot_of_a_call_that_another_placed(account):
    await account.place("call-1")
    with pytest.raises(Saturated):
        await account.place("call-2")
    async with posting(webhooks_of(account)) as client:
        for _ in range(2):  # providers repeat themselves
            answer = await client.post("/", json={"event": "call.ended", "call_id": "call-1"}, headers=WITH_SECRET)
            assert (answer.status_code, answer.text) == (200, "noted")
    await account.place("call-2")


async def test_an_end_that_comes_before_the_call_is_known_frees_it_too(account):
    async with posting(webhooks_of(account)) as client:
        await client.post("/", json={"event": "call.ended", "call_id": "call-1"}, headers=WITH_SECRET)
    await account.place("call-1")
    await account.place("call-2")


async def test_a_start_books_a_call_of_others(account):
    async with posting(webhooks_of(account)) as client:
        for _ in range(2):
            await client.post("/", json={"event": "call.started", "call_id": 17}, headers=WITH_SECRET)
        with pytest.raises(Saturated):
            await account.place("call-1")
        await client.post("/", json={"event": "call.ended", "call_id": 17}, headers=WITH_SECRET)
    await account.place("call-1")


async def test_names_and_ids_are_where_one_says_also_in_forms(account):
    nested = webhooks_of(account, event="message.type", call_id="message.call.id", ended=["end-of-call-report"])
    form = webhooks_of(account, event="CallStatus", call_id="CallSid", ended=["completed", "busy"])
    await account.place("call-1")
    async with posting(nested) as client:
        report = {"message": {"type": "end-of-call-report", "call": {"id": "call-1"}}}
        assert (await client.post("/any/path", json=report, headers=WITH_SECRET)).text == "noted"
    await account.place("call-2")
    async with posting(form) as client:
        fields = {"CallSid": "call-2", "CallStatus": "busy"}
        assert (await client.post("/", data=fields, headers=WITH_SECRET)).text == "noted"
    await account.place("call-3")


@pytest.mark.parametrize(
    ("sent", "status", "text"),
    [
        ({"json": {"event": "call.ended", "call_id": "c"}, "headers": {}}, 401, "the secret is missing or wrong"),
        ({"json": {"event": "call.ended", "call_id": "c"}, "headers": {"X-Webhook-Secret": "é"}}, 401, "the secret"),
        ({"json": {"event": "call.analysed", "call_id": "c"}}, 200, "nothing to do"),
        ({"json": {"call_id": "c"}}, 400, "no name of an event at event"),
        ({"json": {"event": ["call.ended"], "call_id": "c"}}, 400, "no name of an event at event"),
        ({"json": ["call.ended"]}, 400, "no name of an event at event"),
        ({"json": {"event": "call.ended"}}, 400, "no id of a call at call_id"),
        ({"json": {"event": "call.ended", "call_id": None}}, 400, "no id of a call at call_id"),
        ({"json": {"event": "call.ended", "call_id": True}}, 400, "no id of a call at call_id"),
        ({"json": {"event": "call.ended", "call_id": ""}}, 400, "no id of a call at call_id"),
        ({"content": b"call.ended"}, 400, "the body is neither JSON nor a form"),
        ({"content": b"\xff\xfe\xff"}, 400, "the body is neither JSON nor a form"),
        ({"content": b"[" * 100_000}, 400, "the body is neither JSON nor a form"),
        ({"content": b""}, 400, "the body is neither JSON nor a form"),
        ({"content": b" " * (MAX_BODY + 1)}, 413, "longer than"),
    ],
)
async def test_what_is_no_event_ends_nothing_and_is_told(account, sent, status, text):
    await account.place("c")
    async with posting(webhooks_of(account)) as client:
        headers = {name: value.encode("latin-1") for name, value in sent.get("headers", WITH_SECRET).items()}
        answer = await client.post("/", **{**sent, "headers": headers})
    assert answer.status_code == status
    assert answer.text.startswith(text)
    with pytest.raises(Saturated):
        await account.place("d")


async def test_an_event_that_is_cut_off_ends_no_call_of_a_shorter_id(account):
    await account.place("call-1")
    headers = [(b"x-webhook-secret", SECRET.encode()), (b"content-type", b"application/x-www-form-urlencoded")]
    came = iter(
        [
            {"type": "http.request", "body": b"event=call.ended&call_id=call-1", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent = []

    async def receive():
        return next(came)

    async def send(message):
        sent.append(message)

    await webhooks_of(account)({"type": "http", "method": "POST", "headers": headers}, receive, send)
    assert sent == []
    with pytest.raises(Saturated):
        await account.place("call-2")


async def test_a_refused_event_is_in_the_log_without_what_was_sent(account, caplog):
    with caplog.at_level(logging.INFO, "admission"):
        async with posting(webhooks_of(account)) as client:
            await client.post("/", json={"event": "call.ended"}, headers={"X-Webhook-Secret": "a guess"})
    (record,) = [record for record in caplog.records if getattr(record, "event", "") == "webhook_refused"]
    assert record.getMessage() == "admission: a webhook was refused: the secret is missing or wrong"


async def test_only_posts_are_events(account):
    async with posting(webhooks_of(account)) as client:
        assert (await client.get("/", headers=WITH_SECRET)).status_code == 405


async def test_a_provider_that_signs_is_checked_by_a_function(account):
    def signed(headers, body):
        good = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(headers.get("x-signature", ""), good)

    body = json.dumps({"event": "call.ended", "call_id": "call-1"}).encode()
    good = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    async with posting(webhooks_of(account, secret=signed)) as client:
        assert (await client.post("/", content=body, headers={"X-Signature": good})).status_code == 200
        assert (await client.post("/", content=body + b" ", headers={"X-Signature": good})).status_code == 401


async def never(_headers, _body):
    return False


class Never:
    async def __call__(self, _headers, _body):
        return False


async def test_a_check_whose_answer_must_be_awaited_lets_nobody_in(account):
    await account.place("call-1")
    async with posting(webhooks_of(account, secret=lambda headers, body: never(headers, body))) as client:
        with pytest.raises(ConfigurationError, match="returned a coroutine: give a plain function"):
            await client.post("/", json={"event": "call.ended", "call_id": "call-1"})
    with pytest.raises(Saturated):
        await account.place("call-2")


async def test_it_is_served_over_real_http(account):
    await account.place("call-1")
    with serve(webhooks_of(account)) as served:

        def post():
            return httpx.post(served.url, json={"event": "call.ended", "call_id": "call-1"}, headers=WITH_SECRET)

        # The guard of the other loop is not this server's; a sync one serves from any thread.
        if isinstance(account.guard, Guard):
            assert (await asyncio.to_thread(post)).text == "noted"
            await account.place("call-2")


def test_a_framework_that_is_not_async_hands_headers_and_body_over(fake):
    with Account(Guard, fake).guard as guard:
        reply = Webhooks(guard, secret=SECRET, ended=["over"]).handle(WITH_SECRET, b'{"event": "over", "call_id": "c"}')
    assert (reply.status, reply.text) == (200, "noted")
    with pytest.raises(ConfigurationError, match="await ahandle"):
        webhooks_of(Account(AsyncGuard, fake)).handle(WITH_SECRET, b"{}")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"secret": ""}, "anybody could end"),
        ({"secret": never}, "coroutine function: give a plain function"),
        ({"secret": Never()}, "coroutine function: give a plain function"),
        ({"ended": "call.ended"}, r"give a list of names, such as \['call.ended'\]"),
        ({"event": ""}, "say where they are"),
    ],
)
def test_what_cannot_work_is_refused(fake, settings, text):
    with pytest.raises(ConfigurationError, match=text):
        webhooks_of(Account(Guard, fake), **settings)


def test_something_that_is_no_guard_is_refused():
    with pytest.raises(ConfigurationError, match="give a Guard or an AsyncGuard"):
        Webhooks("guard", secret=SECRET, ended=["x"])
