"""The other providers: what is asked, the shapes that they answer with, and everything that is no reading."""

import asyncio
import copy
import json
import logging
import pickle
import socket
from datetime import datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from admission import CallRejected, ConfigurationError, Guard, Usage, UsageError
from admission.sources import Bolna, ElevenLabs, JsonUsage, Retell

KEY = "key-0123456789abcdef"
STAMP = "2025-05-02T02:36:10.686259"

# As the providers' documentation shows them.
RETELL = {
    "current_concurrency": 10,
    "concurrency_limit": 100,
    "base_concurrency": 20,
    "purchased_concurrency": 80,
    "concurrency_purchase_limit": 100,
    "remaining_purchase_limit": 20,
    "reserved_inbound_concurrency": 10,
    "concurrency_burst_enabled": True,
    "concurrency_burst_limit": 300,
}
BOLNA = {
    "id": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
    "name": "Bruce Wayne",
    "email": "bruce@example.com",
    "wallet": 42.42,
    "concurrency": {"max": 10, "current": 3},
}
ELEVENLABS = {"count": 3}
VAPI = {
    "subscriptionLimits": {"concurrencyBlocked": False, "concurrencyLimit": 10, "remainingConcurrentCalls": 9},
    "apiLimits": {},
}


def vapi(**options):
    paths = {"limit": "subscriptionLimits.concurrencyLimit", "remaining": "subscriptionLimits.remainingConcurrentCalls"}
    return JsonUsage("https://api.vapi.test/limits", {"Authorization": f"Bearer {KEY}"}, **paths, **options)


MAKERS = {
    "Retell": lambda **options: Retell(KEY, **options),
    "Bolna": lambda **options: Bolna(KEY, **options),
    "ElevenLabs": lambda **options: ElevenLabs(KEY, 20, **options),
    "JsonUsage": vapi,
}
ANSWERS = {"Retell": RETELL, "Bolna": BOLNA, "ElevenLabs": ELEVENLABS, "JsonUsage": VAPI}
READINGS = {"Retell": Usage(90, 10), "Bolna": Usage(10, 3), "ElevenLabs": Usage(20, 3), "JsonUsage": Usage(10, 1)}
every_source = pytest.mark.parametrize("kind", sorted(MAKERS))


def without(document, path):
    """Return a document without one of its fields."""
    changed = copy.deepcopy(document)
    *way, name = path.split(".")
    inside = changed
    for step in way:
        inside = inside[step]
    del inside[name]
    return changed


def put(document, path, value):
    """Return a document with another value in one of its fields."""
    changed = copy.deepcopy(document)
    *way, name = path.split(".")
    inside = changed
    for step in way:
        inside = inside[step]
    inside[name] = value
    return changed


@pytest.fixture(params=["sync", "async"])
def colour(request):
    return request.param


@pytest.fixture
def ask(colour):
    """Has a source, made by `make`, read one answer; checks that no key is shown."""

    async def ask(make, answer, requests=None, status=200, headers=None):
        def handle(request):
            if requests is not None:
                requests.append(request)
            body = answer if isinstance(answer, (bytes, str)) else json.dumps(answer)
            return httpx.Response(status, content=body, headers=headers)

        kind = httpx.Client if colour == "sync" else httpx.AsyncClient
        source = make(client=kind(transport=httpx.MockTransport(handle)))
        try:
            return source.fetch() if colour == "sync" else await source.afetch()
        except (UsageError, ConfigurationError) as error:
            assert KEY not in f"{error} {error!r} {vars(error)} {error.__cause__!r}"
            raise

    return ask


# What is asked, and by whom.


@every_source
async def test_a_recorded_answer_is_read(ask, kind):
    assert await ask(MAKERS[kind], ANSWERS[kind]) == READINGS[kind]


@pytest.mark.parametrize(
    ("kind", "url", "header", "value"),
    [
        ("Retell", "https://api.retellai.com/get-concurrency", "authorization", f"Bearer {KEY}"),
        ("Bolna", "https://api.bolna.ai/user/me", "authorization", f"Bearer {KEY}"),
        ("ElevenLabs", "https://api.elevenlabs.io/v1/convai/analytics/live-count", "xi-api-key", KEY),
        ("JsonUsage", "https://api.vapi.test/limits", "authorization", f"Bearer {KEY}"),
    ],
)
async def test_one_request_with_the_key_where_it_belongs(ask, kind, url, header, value):
    requests = []
    await ask(MAKERS[kind], ANSWERS[kind], requests)
    (request,) = requests
    assert (request.method, str(request.url)) == ("GET", url)
    assert request.headers[header] == value
    assert request.headers["accept-encoding"] == "identity"


@every_source
def test_a_source_names_its_account_and_hides_its_key(kind):
    one, same = MAKERS[kind](), MAKERS[kind]()
    assert one.account == same.account
    assert Guard(one).account == one.account
    assert one.timeout == 5.0
    assert KEY not in repr(one)
    assert one.account in repr(one)
    with pytest.raises(TypeError, match="holds an API key"):
        pickle.dumps(one)


def test_another_key_or_another_address_is_another_account():
    sources = [
        *(kind(key) for kind in (Retell, Bolna) for key in (KEY, KEY + "0")),
        Retell(KEY, base_url="https://retell.test"),
        ElevenLabs(KEY, 20),
        *(
            JsonUsage(url, headers, limit=1, count="count")
            for url in ("https://a.test/x", "https://a.test/y", "https://a.test/x?agent=1")
            for headers in (None, {"X-Key": KEY})
        ),
    ]
    assert len({source.account for source in sources}) == len(sources)
    assert ElevenLabs(KEY, 60).account == ElevenLabs(KEY, 20).account


@every_source
@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_wrong_key_or_address_is_final_and_names_the_provider(ask, kind, status):
    with pytest.raises(ConfigurationError, match="api.vapi.test" if kind == "JsonUsage" else kind) as caught:
        await ask(MAKERS[kind], {"message": f"no {KEY}"}, status=status)
    assert caught.value.status == status


@every_source
@pytest.mark.parametrize("status", [302, 408, 429, 500, 503])
async def test_everything_else_may_pass(ask, kind, status):
    with pytest.raises(UsageError) as caught:
        await ask(MAKERS[kind], f"busy {KEY}", status=status, headers={"Retry-After": "3"})
    assert (caught.value.status, caught.value.retry_after) == (status, 3.0)


@every_source
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b"<html>", b'{"a": ', f'"{KEY}"'.encode()])
async def test_what_is_no_reading_is_told(ask, kind, body):
    with pytest.raises(UsageError):
        await ask(MAKERS[kind], body)


NEEDED = [
    ("Retell", "current_concurrency"),
    ("Retell", "concurrency_limit"),
    ("Bolna", "concurrency"),
    ("Bolna", "concurrency.max"),
    ("Bolna", "concurrency.current"),
    ("ElevenLabs", "count"),
    ("JsonUsage", "subscriptionLimits"),
    ("JsonUsage", "subscriptionLimits.concurrencyLimit"),
    ("JsonUsage", "subscriptionLimits.remainingConcurrentCalls"),
]


@pytest.mark.parametrize(("kind", "path"), NEEDED)
async def test_a_field_that_is_omitted_is_named(ask, kind, path):
    with pytest.raises(UsageError, match=f"answered 200, but {path} is missing"):
        await ask(MAKERS[kind], without(ANSWERS[kind], path))


@pytest.mark.parametrize(("kind", "path"), NEEDED)
@pytest.mark.parametrize("value", [None, "3", 2.5, True, [], 10**7, -(10**7), KEY])
async def test_a_field_of_another_kind_is_named(ask, kind, path, value):
    with pytest.raises(UsageError, match=f"answered 200, but {path} is "):
        await ask(MAKERS[kind], put(ANSWERS[kind], path, value))


@pytest.mark.parametrize(("kind", "path"), [pair for pair in NEEDED if pair[1].split(".")[-1] not in (
    "concurrency", "subscriptionLimits", "remainingConcurrentCalls")])  # fmt: skip
async def test_a_count_or_a_limit_below_nothing_is_refused(ask, kind, path):
    with pytest.raises(UsageError, match=f"{path} is -1, not a whole number"):
        await ask(MAKERS[kind], put(ANSWERS[kind], path, -1))


def refused(url, status=429):
    request = httpx.Request("POST", url)
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, headers={"Retry-After": "4"}))


@every_source
def test_a_429_of_a_post_to_the_own_host_is_a_refusal(kind):
    source = MAKERS[kind]()
    own = str(source._url.copy_with(path="/call", query=None))
    rejection = source.rejected(refused(own))
    assert isinstance(rejection, CallRejected)
    assert rejection.retry_after == 4.0
    assert source.rejected(refused("https://crm.test/call")) is None
    assert source.rejected(refused(own, 402)) is None


@pytest.mark.parametrize("kind", [Retell, Bolna, lambda key: ElevenLabs(key, 20)])
@pytest.mark.parametrize("key", [None, "", "a b", "a\nb", "\u00e9", "x" * 5000])
def test_a_key_that_cannot_be_one_is_refused(kind, key):
    with pytest.raises(ConfigurationError, match="api_key"):
        kind(key)


def test_a_key_in_the_address_is_refused():
    with pytest.raises(ConfigurationError, match="base_url contains the API key"):
        Retell(KEY, base_url=f"https://a.test/{KEY}")


# Retell's limits.


@pytest.mark.parametrize(
    ("changed", "burst", "limit"),
    [
        ({}, False, 90),
        ({}, True, 290),
        ({"reserved_inbound_concurrency": None}, False, 100),
        ({"reserved_inbound_concurrency": 0}, True, 300),
        ({"reserved_inbound_concurrency": 200}, False, 0),
        ({"concurrency_burst_enabled": False, "concurrency_burst_limit": 0}, True, 90),
        ({"concurrency_burst_enabled": None, "concurrency_burst_limit": None}, True, 90),
        ({"concurrency_burst_enabled": "yes"}, False, 90),
        # The documentation's own example has a burst limit below the usual one, which holds in any case.
        ({"concurrency_burst_limit": 60}, True, 90),
    ],
)
async def test_retells_limit_is_what_outbound_calls_may_use(ask, changed, burst, limit):
    usage = await ask(lambda **options: Retell(KEY, burst=burst, **options), RETELL | changed)
    assert usage == Usage(limit, 10)


async def test_an_older_retell_answer_has_neither_reserve_nor_burst(ask):
    old = {name: RETELL[name] for name in ("current_concurrency", "concurrency_limit", "base_concurrency")}
    assert await ask(lambda **options: Retell(KEY, burst=True, **options), old) == Usage(100, 10)


@pytest.mark.parametrize(
    "changed",
    [
        {"concurrency_burst_limit": -1},
        {"concurrency_burst_limit": None},
        {"concurrency_burst_enabled": "yes"},
        {"reserved_inbound_concurrency": -1},
        {"reserved_inbound_concurrency": "10"},
    ],
)
async def test_a_burst_or_a_reserve_that_makes_no_sense_is_told(ask, changed):
    with pytest.raises(UsageError, match=next(iter(changed))):
        await ask(lambda **options: Retell(KEY, burst=True, **options), RETELL | changed)


# A limit that is given.


@pytest.mark.parametrize("limit", [-1, 2.5, "20", True, None, 10**7])
def test_a_given_limit_is_checked(limit):
    with pytest.raises(ConfigurationError, match="limit="):
        ElevenLabs(KEY, limit)


async def test_a_given_limit_stands_beside_a_count(ask):
    counted = await ask(
        lambda **options: JsonUsage("https://a.test/", limit=7, count="a.b", **options), {"a": {"b": 3}}
    )
    assert counted == Usage(7, 3)


# What remains, as Vapi tells it.


@pytest.mark.parametrize(("remaining", "count"), [(10, 0), (9, 1), (0, 10), (-1, 11), (-(10**6), 10**6)])
async def test_what_remains_is_taken_from_the_limit(ask, remaining, count):
    answer = put(VAPI, "subscriptionLimits.remainingConcurrentCalls", remaining)
    assert await ask(vapi, answer) == Usage(10, count)


async def test_more_cannot_remain_than_the_limit(ask):
    answer = put(VAPI, "subscriptionLimits.remainingConcurrentCalls", 11)
    with pytest.raises(UsageError, match="remainingConcurrentCalls is 11, not at most the limit of 10"):
        await ask(vapi, answer)


# Any JSON.


def any_json(**options):
    return JsonUsage(
        f"https://api.example.com/usage/?team=7&token={KEY}",
        {"X-Team": "blue", "accept": "application/vnd.usage+json"},
        limit="data.limit",
        count="data.active",
        timestamp="at",
        **options,
    )


async def test_the_address_is_asked_as_it_stands_with_the_headers(ask):
    requests = []
    usage = await ask(any_json, {"data": {"limit": 5, "active": 2}, "at": STAMP + "Z"}, requests)
    assert usage == Usage(5, 2, datetime.fromisoformat(STAMP))
    (request,) = requests
    assert str(request.url) == f"https://api.example.com/usage/?team=7&token={KEY}"
    assert request.headers["x-team"] == "blue"
    assert request.headers.get_list("accept") == ["application/vnd.usage+json"]


@pytest.mark.parametrize("stamp", [None, "yesterday", 5])
async def test_a_timestamp_that_was_asked_for_must_be_one(ask, stamp):
    with pytest.raises(UsageError, match="at is .*, not an ISO 8601 date and time"):
        await ask(any_json, {"data": {"limit": 5, "active": 2}, "at": stamp})


def test_the_query_is_not_shown():
    source = any_json()
    assert repr(source) == f"JsonUsage(url='https://api.example.com/usage/', account='{source.account}')"


def test_a_secret_in_the_path_is_not_shown_either():
    source = JsonUsage(f"https://a.test/{KEY}/usage", {"X-Key": KEY}, limit=1, count="n")
    assert "https://a.test/***/usage" in repr(source)
    assert str(source._url) == f"https://a.test/{KEY}/usage"


@pytest.mark.parametrize("own", [{}, {"params": {"page": "1"}}], ids=["as it stands", "with more"])
async def test_httpx_logs_no_query_of_a_reading(colour, caplog, own):
    """And of other requests, with the same client too, what it always does."""
    caplog.set_level(logging.DEBUG)
    answer = {"data": {"limit": 5, "active": 2}, "at": STAMP}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    if colour == "sync":
        client = httpx.Client(transport=transport, **own)
        any_json(client=client).fetch()
    else:
        client = httpx.AsyncClient(transport=transport, **own)
        await any_json(client=client).afetch()
    assert 'HTTP Request: GET https://api.example.com/usage/?*** "HTTP/1.1 200 OK"' in caplog.text
    assert KEY not in caplog.text
    asked = client.get("https://crm.test/leads", params={"page": "2"})
    await asked if colour == "async" else None
    assert "https://crm.test/leads?page=2" in caplog.text


async def test_httpx_logs_no_secret_of_a_path(ask, caplog):
    caplog.set_level(logging.DEBUG)

    def make(**options):
        return JsonUsage(f"https://a.test/{KEY}/usage", {"X-Key": KEY}, limit=1, count="n", **options)

    assert await ask(make, {"n": 1}) == Usage(1, 1)
    assert "HTTP Request: GET https://a.test/***/usage " in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "count=... or remaining=..."),
        ({"count": "a", "remaining": "b"}, "count=... or remaining=..."),
        ({"count": ""}, "count is no path"),
        ({"count": "a..b"}, "count is no path"),
        ({"count": 5}, "count is no path"),
        ({"count": "a", "timestamp": ".a"}, "timestamp is no path"),
        ({"count": "a", "limit": "a b"}, "limit is no path"),
        ({"count": "a", "limit": None}, "limit="),
        ({"count": "a", "limit": -1}, "limit="),
        ({"count": "a", "url": "https://a.test/#x"}, "url has a user or a fragment"),
        ({"count": "a", "url": f"https://u:{KEY}@a.test/"}, "url has a user or a fragment"),
        ({"count": "a", "url": "a.test/usage"}, "url has no http or https scheme"),
        ({"count": "a", "url": None}, "url is no string"),
        ({"count": "a", "headers": [("X-Key", KEY)]}, "headers is no mapping"),
        ({"count": "a", "headers": {"X Key": KEY}}, "headers has a name"),
        ({"count": "a", "headers": {"X-Key": f"{KEY}\r\nX: 1"}}, "the header X-Key is not usable"),
        ({"count": "a", "headers": {"X-Key": KEY.encode()}}, "the header X-Key is not usable"),
        ({"count": "a", "headers": {"X-Key": ""}}, "the header X-Key is not usable"),
        ({"count": "a", "headers": {"accept-encoding": "gzip"}}, "headers has accept-encoding"),
        ({"count": "a", "timeout": 0}, "timeout is not usable"),
        ({"count": "a", "client": "x"}, "client is of type str"),
    ],
)
def test_arguments_that_cannot_work_are_refused_without_showing_them(arguments, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        JsonUsage(**{"url": "https://a.test/", "limit": 1, **arguments})
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r}"


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40).map("k-".__add__),
    st.sampled_from(["header", "bearer", "query"]),
    st.integers(200, 599),
    st.sampled_from(["plain", "field", "upper", "redirect"]),
)
def test_no_secret_of_a_json_source_is_ever_shown(key, place, status, shape):
    headers = {"header": {"X-Key": key}, "bearer": {"Authorization": f"Bearer {key}"}}.get(place)
    query = "?" + str(httpx.QueryParams(key=key)) if place == "query" else ""
    body = {"field": json.dumps({"n": key}), "upper": key.upper()}.get(shape, f"your {key} is bad")
    location = {"location": f"https://{key}.test/"} if shape == "redirect" else {}
    answer = httpx.Response(status, content=body, headers=location)
    with httpx.Client(transport=httpx.MockTransport(lambda _: answer)) as client:
        source = JsonUsage("https://a.test/usage" + query, headers, limit=1, count="n", client=client)
        assert key not in repr(source)
        with pytest.raises((UsageError, ConfigurationError)) as caught:
            source.fetch()
    shown = f"{caught.value} {caught.value!r} {vars(caught.value)} {caught.value.__cause__!r}"
    assert key.lower() not in shown.lower()


# What shows tracebacks may show the locals of their frames.


def shown_of(error):
    """Return all that an error, those that it chains, and their frames, but for this file's, would show."""
    links, texts = [error], []
    while links:
        link = links.pop()
        if link is None:
            continue
        texts += [f"{link!r} {link.args!r}"]
        trace = link.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename != __file__:
                texts += [f"{trace.tb_frame.f_code.co_qualname} {trace.tb_frame.f_locals!r}"]
            trace = trace.tb_next
        links += [link.__cause__, link.__context__, *getattr(link, "exceptions", ())]
    return texts


def fails(kind):
    def handle(request):
        raise kind(f"no {KEY}" if kind is httpx.RemoteProtocolError else "no", request=request)

    return handle


def says(status, text):
    return lambda _: httpx.Response(status, content=text)


FAULTS = {
    "401": says(401, f"no {KEY}"),
    "500": says(500, f"no {KEY}"),
    "garbage": says(200, f"no {KEY}"),
    "time-out": fails(httpx.ReadTimeout),
    "no connection": fails(httpx.ConnectError),
    "an echo": fails(httpx.RemoteProtocolError),
}
LEAKY = {**MAKERS, "a key in the query": lambda **options: any_json(**options)}


async def fault_of(source, colour):
    with pytest.raises((UsageError, ConfigurationError)) as caught:
        source.fetch() if colour == "sync" else await source.afetch()
    return caught.value


@pytest.mark.parametrize("kind", LEAKY)
@pytest.mark.parametrize("fault", FAULTS)
async def test_no_frame_of_an_error_has_the_key(colour, kind, fault):
    client = httpx.Client if colour == "sync" else httpx.AsyncClient
    source = LEAKY[kind](client=client(transport=httpx.MockTransport(FAULTS[fault])))
    assert [text for text in shown_of(await fault_of(source, colour)) if KEY in text] == []


async def test_no_frame_has_the_key_where_nobody_listens(colour):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        error = await fault_of(Retell(KEY, base_url=address), colour)
        assert isinstance(error.__cause__, httpx.ConnectError)
        assert [text for text in shown_of(error) if KEY in text] == []


async def test_a_reading_that_is_cancelled_shows_no_key_either():
    async def hang(_):
        await asyncio.Event().wait()

    source = Retell(KEY, client=httpx.AsyncClient(transport=httpx.MockTransport(hang)))
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.01):
            await source.afetch()
    assert [text for text in shown_of(caught.value) if KEY in text] == []


async def test_an_error_that_the_caller_handles_keeps_its_frames(colour):
    client = httpx.Client if colour == "sync" else httpx.AsyncClient
    source = Retell(KEY, client=client(transport=httpx.MockTransport(FAULTS["time-out"])))
    try:
        {}["his own"]
    except KeyError as own:
        await fault_of(source, colour)
        assert own.__traceback__ is not None
