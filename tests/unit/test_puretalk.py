"""PureTalk without a network: arguments, requests, every bad answer, the rule for refusals."""

import asyncio
import contextlib
import copy
import gzip
import json
import logging
import pickle
import threading
import zlib
from datetime import datetime

import httpx
import pytest

from admission import CallRejected, ConfigurationError, Usage, UsageError
from admission.sources import PureTalk
from admission.sources.answers import MAX_BODY_BYTES, hiding, retry_after, unpacked
from admission.sources.connections import Line as _Line

KEY = "pt-live-0123456789abcdef"
STAMP = "2025-05-02T02:36:10.686259"
GOOD = {
    "msg": "Success",
    "err": False,
    "results": {"concurrency_limit": 20, "concurrency_count": 11, "timestamp": STAMP},
}
READING = Usage(20, 11, datetime.fromisoformat(STAMP))


@pytest.fixture(params=["sync", "async"])
def colour(request):
    return request.param


@pytest.fixture
def client(colour):
    """A maker of clients of the colour, on a handler instead of a network."""
    kind = httpx.Client if colour == "sync" else httpx.AsyncClient
    return lambda handler, **options: kind(transport=httpx.MockTransport(handler), **options)


@pytest.fixture
def read(colour):
    async def read(source):
        return source.fetch() if colour == "sync" else await source.afetch()

    return read


@pytest.fixture
def ask(client, read):
    """Reads an answer that is given as an `httpx.Response`, or as a handler, and checks that no key is shown."""

    async def ask(answer):
        handler = answer if callable(answer) else lambda _: answer
        try:
            return await read(PureTalk(KEY, client=client(handler)))
        except (UsageError, ConfigurationError) as exc:
            if KEY in f"{exc} {exc!r} {vars(exc)}":
                pytest.fail("the key is shown")
            raise

    return ask


def good(**changed):
    return {**GOOD, "results": {**GOOD["results"], **changed}}


# The request.


async def test_one_request_gives_the_reading(client, read):
    requests = []

    def answer(request):
        requests.append(request)
        return httpx.Response(200, json=GOOD)

    assert await read(PureTalk(KEY, client=client(answer))) == READING
    (request,) = requests
    assert request.method == "GET"
    assert str(request.url) == "https://api.puretalk.ai/api/users/concurrency-usage"
    assert request.headers["x-api-key"] == KEY
    assert request.headers["accept-encoding"] == "identity"
    assert request.extensions["timeout"] == dict.fromkeys(("connect", "read", "write", "pool"), 5.0)


async def test_a_failed_request_is_not_repeated(client, read):
    requests = []

    def answer(request):
        requests.append(request)
        return httpx.Response(503)

    with pytest.raises(UsageError):
        await read(PureTalk(KEY, client=client(answer)))
    assert len(requests) == 1


async def test_settings_of_the_callers_client_do_not_undo_ours(client, read):
    requests = []

    def answer(request):
        requests.append(request)
        return httpx.Response(302, headers={"Location": "https://elsewhere.test/"})

    mine = client(
        answer,
        headers={"X-API-KEY": "other", "Accept-Encoding": "gzip", "X-Trace": "1"},
        follow_redirects=True,
        timeout=None,
        base_url="https://wrong.test",
    )
    with pytest.raises(UsageError, match=r"redirected to host 'elsewhere\.test', not followed; set base_url"):
        await read(PureTalk(KEY, base_url="https://a.test/x", client=mine, timeout=2))
    (request,) = requests
    assert request.url == "https://a.test/x/users/concurrency-usage"
    assert request.headers.get_list("x-api-key") == [KEY]
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["x-trace"] == "1"
    assert request.extensions["timeout"]["read"] == 2.0
    assert not mine.is_closed


async def test_closing_the_source_leaves_the_callers_client_open(client, read):
    mine = client(lambda _: httpx.Response(200, json=GOOD))
    source = PureTalk(KEY, client=mine)
    await read(source)
    source.close()
    await source.aclose()
    assert not mine.is_closed
    assert await read(source) == READING


async def test_a_closed_client_is_the_callers_to_mend(colour, client, read):
    mine = client(lambda _: httpx.Response(200, json=GOOD))
    if colour == "sync":
        mine.close()
    else:
        await mine.aclose()
    with pytest.raises(ConfigurationError, match="is closed: keep it open"):
        await read(PureTalk(KEY, client=mine))


async def test_a_client_of_the_wrong_colour_names_the_mend():
    with pytest.raises(ConfigurationError, match=r"give it an httpx\.Client or none, or use AsyncGuard"):
        PureTalk(KEY, client=httpx.AsyncClient()).fetch()
    with (
        httpx.Client() as mine,
        pytest.raises(ConfigurationError, match=r"give it an httpx\.AsyncClient or none, or use Guard"),
    ):
        await PureTalk(KEY, client=mine).afetch()


async def test_logs_never_show_the_key(client, read, caplog):
    with caplog.at_level(logging.DEBUG):
        await read(PureTalk(KEY, client=client(lambda _: httpx.Response(200, json=GOOD))))
    assert "users/concurrency-usage" in caplog.text
    assert KEY not in caplog.text


async def test_a_hook_may_have_read_the_body(colour, client, read):
    def sync_hook(response):
        response.read()

    async def async_hook(response):
        await response.aread()

    mine = client(
        lambda _: httpx.Response(
            200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(json.dumps(GOOD).encode())
        ),
        event_hooks={"response": [sync_hook if colour == "sync" else async_hook]},
    )
    assert await read(PureTalk(KEY, client=mine)) == READING


async def test_a_hook_that_threw_the_body_away_is_no_crash(colour, client, read):
    class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self):
            yield b"{}"

        async def __aiter__(self):
            yield b"{}"

    def sync_hook(response):
        list(response.iter_raw())

    async def async_hook(response):
        [chunk async for chunk in response.aiter_raw()]

    mine = client(
        lambda _: httpx.Response(200, stream=Chunks()),
        event_hooks={"response": [sync_hook if colour == "sync" else async_hook]},
    )
    with pytest.raises(UsageError, match="ResponseNotRead"):
        await read(PureTalk(KEY, client=mine))


@pytest.mark.parametrize(("status", "error"), [(401, ConfigurationError), (503, UsageError)])
async def test_a_hook_that_raises_for_the_status_changes_nothing(colour, client, read, status, error):
    def sync_hook(response):
        response.raise_for_status()

    async def async_hook(response):
        response.raise_for_status()

    mine = client(
        lambda _: httpx.Response(status, headers={"Retry-After": "7"}),
        event_hooks={"response": [sync_hook if colour == "sync" else async_hook]},
    )
    with pytest.raises(error) as caught:
        await read(PureTalk(KEY, client=mine))
    assert caught.value.status == status
    assert getattr(caught.value, "retry_after", 7.0) == 7.0


# The arguments.


@pytest.mark.parametrize("key", ["", None, b"bytes", 7, "with space", "line\n", "\ttab", "kéy", "nul\0", "k" * 4097])
def test_an_unusable_key_is_refused_unseen(key):
    with pytest.raises(ConfigurationError, match="api_key is") as caught:
        PureTalk(key)
    if key:
        assert str(key) not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "why"),
    [
        (None, "is no string"),
        ("https://a.test/" + "x" * 2000, "a very long one"),
        ("", "no http or https scheme"),
        ("api.puretalk.ai/api", "no http or https scheme"),
        ("ftp://api.puretalk.ai/api", "no http or https scheme"),
        ("https:///api", "no usable host"),
        ("https://a b/api", "no usable host"),
        ("https://a..b/api", "no usable host"),
        ("https://" + "a" * 64 + ".test", "no usable host"),
        ("https://a\\b/api", "no usable host"),
        ("https://[::z]/api", "no usable host"),
        ("https://[::1/api", "no usable host"),
        ("https://a\n/api", "no usable host"),
        ("https://user:secret@a.test/api", "has a user, a query or a fragment"),
        ("https://a.test/api?", "has a user, a query or a fragment"),
        ("https://a.test/api?x=1", "has a user, a query or a fragment"),
        ("https://a.test/api#x", "has a user, a query or a fragment"),
        ("https://a.test:0/api", "no usable port"),
        ("https://a.test:65536/api", "no usable port"),
        (f"https://a.test/{KEY}/api", "contains the API key"),
    ],
)
def test_an_unusable_address_is_refused_unseen(base_url, why):
    with pytest.raises(ConfigurationError, match=why) as caught:
        PureTalk(KEY, base_url=base_url)
    assert "secret" not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "timeout", [0, 0.04, 60.1, -1, float("nan"), float("inf"), True, "5", None, pytest.param(10**5000, id="huge")]
)
def test_a_timeout_out_of_range_is_refused(timeout):
    with pytest.raises(ConfigurationError, match=r"give a number from 0\.05 to 60"):
        PureTalk(KEY, timeout=timeout)


@pytest.mark.parametrize("mine", ["client", httpx.Client, httpx.MockTransport(lambda _: httpx.Response(200))])
def test_a_client_of_another_kind_is_refused(mine):
    with pytest.raises(ConfigurationError, match=r"give an httpx\.Client"):
        PureTalk(KEY, client=mine)


def test_the_account_is_one_for_every_way_to_write_the_address():
    written = ["https://a.test/api", "https://a.test/api/", "HTTPS://A.test:443/api//", "https://a.test/x/../api"]
    accounts = {PureTalk(KEY, base_url=base_url).account for base_url in written}
    assert len(accounts) == 1
    others = {
        PureTalk(KEY).account,
        PureTalk(KEY + "x", base_url="https://a.test/api").account,
        PureTalk(KEY, base_url="https://a.test/API").account,
        PureTalk(KEY, base_url="https://a.test:8443/api").account,
        PureTalk(KEY, base_url="http://a.test/api").account,
        PureTalk(KEY, base_url="http://[::1]:8000/api").account,
    }
    assert len(others | accounts) == 7


def test_the_account_never_changes_between_versions():
    assert PureTalk(KEY).account == "puretalk-bbb1a76c54ecc4dd7dcf"


def test_the_key_is_in_no_text_and_no_pickle():
    source = PureTalk(KEY, base_url="http://[::1]:8000/api/", timeout=1)
    assert repr(source) == f"PureTalk(base_url='http://[::1]:8000/api', account='{source.account}')"
    assert source.timeout == 1.0
    assert not hasattr(source, "__dict__")
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="neither pickled nor copied"):
            way(source)


# Bad answers: a status.


@pytest.mark.parametrize("status", [401, 403, 404, 405, 410])
async def test_a_wrong_key_or_address_is_final(ask, status):
    with pytest.raises(ConfigurationError, match=rf"\({status}\): check") as caught:
        await ask(httpx.Response(status, json={"err": True, "msg": f"no such key {KEY}"}))
    assert caught.value.status == status
    assert "no such key ***" in str(caught.value)


@pytest.mark.parametrize(
    "status", [101, 201, 202, 204, 206, 300, 304, 400, 402, 407, 408, 409, 422, 425, 429, 451, 500, 502, 503, 529]
)
async def test_every_other_status_may_pass(ask, status):
    with pytest.raises(UsageError, match=f"PureTalk answered {status}") as caught:
        await ask(httpx.Response(status, headers={"Retry-After": "2.5"}, content=b"<b>try\nlater</b>\x07"))
    assert caught.value.status == status
    assert caught.value.retry_after == 2.5
    assert caught.value.excerpt == "<b>try later</b>"


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("https://Other.test/x?key=1", "host 'other.test'"),
        ("//other.test/x", "host 'other.test'"),
        ("/login", "another path"),
        ("", "another path"),
        (f"https://{KEY}.test/", r"host '\*\*\*.test'"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_named_and_not_followed(ask, status, location, where):
    requests = []

    def answer(request):
        requests.append(request)
        return httpx.Response(status, headers={"Location": location})

    with pytest.raises(UsageError, match=f"redirected to {where}, not followed; set base_url") as caught:
        await ask(answer)
    assert caught.value.status == status
    assert len(requests) == 1


async def test_a_redirect_to_nonsense_is_no_crash(ask):
    with pytest.raises(UsageError, match="makes no sense"):
        await ask(httpx.Response(305, headers={"Location": "http://[::1"}))
    for location in ("http://[::1", "A:0", "\x1f", "https://a:b/"):
        with pytest.raises(UsageError):
            await ask(httpx.Response(302, headers={"Location": location}))
    with pytest.raises(UsageError, match="redirects to an address that makes no sense"):
        await ask(httpx.Response(302, headers={"Location": "A:0"}))


# Bad answers: a body.


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"<!doctype html><title>Sign in</title>", "is not JSON; it begins '<!doctype html>"),
        (b"{'err': false}", "is not JSON"),
        (b'{"err": false', "is not JSON"),
        (b"{} {}", "is not JSON"),
        (b"\xff\xfe{\x00}\x00", "is not UTF-8"),
        (b'{"msg": "\xe9"}', "is not UTF-8"),
        (b"[" * 200_000, "is nested too deeply"),
        (b"[" * 65 + b"]" * 65, "is nested too deeply"),
        (b'{"results":' * 90_000, "is nested too deeply"),
        (b"[" * 99_999 + b'"\\" ' + b"]" * 99_999, "is nested too deeply"),
        (b'{"results": 1]', "is not JSON, or is nested"),
        (b" " * (MAX_BODY_BYTES + 1), "is longer than 1,048,576 bytes"),
        (b"[]", "the answer is a list, not an object"),
        (b"null", "the answer is null, not an object"),
        (b"1" * 5000, "the answer is Infinity, not an object"),
        (b'"ok"', "the answer is 'ok', not an object"),
        (b"{}", "results is missing"),
        (b'{"concurrency_limit": 20, "concurrency_count": 1}', "results is missing"),
        (b'{"results": {}, "results": {}}', "results is given twice, not an object"),
    ],
)
async def test_a_body_that_is_no_answer(ask, body, why):
    with pytest.raises(UsageError, match=why) as caught:
        await ask(httpx.Response(200, content=body))
    assert caught.value.status == 200
    assert len(caught.value.excerpt) <= 200


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), json.dumps(GOOD).encode() + b"\r\n"])
async def test_a_byte_order_mark_and_space_are_fine(ask, body):
    assert await ask(httpx.Response(200, content=body)) == READING


async def test_brackets_within_strings_and_some_nesting_are_fine(ask):
    nested = json.loads("[" * 30 + "]" * 30)
    assert await ask(httpx.Response(200, json={'a\\"[': "[{" * 999, "b": nested, **GOOD})) == READING


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({**GOOD, "err": True}, "err is true, msg is 'Success'"),
        ({"err": True}, "err is true$"),
        ({**GOOD, "err": True, "msg": f"key {KEY} unknown"}, r"err is true, msg is 'key \*\*\* unknown'"),
        ({**GOOD, "err": True, "msg": {"deep": []}}, "err is true, msg is an object"),
        ({**GOOD, "err": 0}, "err is 0, not true or false"),
        ({**GOOD, "err": None}, "err is null, not true or false"),
        ({**GOOD, "err": "false"}, "err is 'false', not true or false"),
        ({**GOOD, "results": None}, "results is null, not an object"),
        ({**GOOD, "results": [GOOD["results"]]}, "results is a list, not an object"),
        ({**GOOD, "results": {}}, r"results\.concurrency_limit is missing"),
    ],
)
async def test_a_wrong_envelope_names_the_field(ask, answer, why):
    with pytest.raises(UsageError, match=why) as caught:
        await ask(httpx.Response(200, json=answer))
    assert caught.value.status == 200
    assert caught.value.excerpt.startswith("{")


async def test_an_envelope_without_err_will_do(ask):
    assert await ask(httpx.Response(200, json={"results": GOOD["results"]})) == READING


@pytest.mark.parametrize("field", ["concurrency_limit", "concurrency_count"])
@pytest.mark.parametrize(
    ("literal", "shown"),
    [
        ("-1", "-1"),
        ("1000001", "1000001"),
        ("9" * 19, "9" * 19),
        ("9" * 5000, "Infinity"),
        ("1e400", "Infinity"),
        ("20.0", r"20\.0"),
        ("0.5", r"0\.5"),
        ("2e1", r"20\.0"),
        ("true", "true"),
        ("false", "false"),
        ("null", "null"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ('"20"', "'20'"),
        (f'"{KEY}"', r"'\*\*\*'"),
        ("[20]", "a list"),
        ("{}", "an object"),
        ('1, "{}": 2, "{}": 3', "given twice"),
    ],
)
async def test_a_number_that_is_none_names_the_field(ask, field, literal, shown):
    body = json.dumps(good(**{field: "HERE"})).replace(
        '"HERE"', literal.replace("{}", field) if ":" in literal else literal
    )
    with pytest.raises(UsageError, match=rf"results\.{field} is {shown}, not a whole number from 0 to 1,000,000"):
        await ask(httpx.Response(200, content=body))


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (1_000_000, 1_000_000), (5, 9), (1, 0)])
async def test_every_number_in_range_is_taken(ask, limit, count):
    usage = await ask(httpx.Response(200, json=good(concurrency_limit=limit, concurrency_count=count)))
    assert (usage.limit, usage.count) == (limit, count)


@pytest.mark.parametrize("field", ["concurrency_limit", "concurrency_count", "timestamp"])
async def test_a_missing_field_is_named(ask, field):
    answer = good()
    del answer["results"][field]
    with pytest.raises(UsageError, match=rf"results\.{field} is missing"):
        await ask(httpx.Response(200, json=answer))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-05-02T02:36:10.686259", datetime(2025, 5, 2, 2, 36, 10, 686259)),  # noqa: DTZ001 - it has no zone
        ("2025-05-02 02:36:10", datetime(2025, 5, 2, 2, 36, 10)),  # noqa: DTZ001
        ("2025-05-02T02:36:10.123456789", datetime(2025, 5, 2, 2, 36, 10, 123456)),  # noqa: DTZ001
        ("2025-05-02T02:36:10Z", datetime(2025, 5, 2, 2, 36, 10)),  # noqa: DTZ001 - turned to UTC, then without
        ("2025-05-02T02:36:10.5+05:30", datetime(2025, 5, 1, 21, 6, 10, 500000)),  # noqa: DTZ001
        ("2025-05-02T02:36:10-0100", datetime(2025, 5, 2, 3, 36, 10)),  # noqa: DTZ001
    ],
)
async def test_timestamps_with_and_without_a_zone_can_be_compared(ask, text, moment):
    usage = await ask(httpx.Response(200, json=good(timestamp=text)))
    assert usage.timestamp == moment
    assert usage.timestamp.tzinfo is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        1746153370,
        True,
        [],
        "",
        "now",
        KEY,
        "2025-05-02",
        "2025-05-02T02:36",
        "2025-13-02T02:36:10",
        "2025-02-30T02:36:10",
        "2025-05-02T25:36:10",
        "2025-05-02T02:36:10 ",
        "٢025-05-02T02:36:10",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "0000-01-01T00:00:00",
        "2025-05-02T02:36:10+99:99",
        "2025-05-02T02:36:10." + "1" * 5000,
    ],
)
async def test_a_timestamp_that_is_none_names_the_field(ask, text):
    with pytest.raises(UsageError, match=r"results\.timestamp is .*, not an ISO 8601 date and time"):
        await ask(httpx.Response(200, json=good(timestamp=text)))


# Codings. A transport without a stream has undone them already, so these come in chunks.


class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, body, size=1000):
        self.parts = [body[start : start + size] for start in range(0, len(body), size)]
        self.taken = 0

    def __iter__(self):
        for part in self.parts:
            self.taken += 1
            yield part

    async def __aiter__(self):
        for part in self.parts:
            self.taken += 1
            yield part


def coded(body, coding, status=200):
    return httpx.Response(status, headers={"Content-Encoding": coding}, stream=Chunks(body))


@pytest.mark.parametrize(
    ("coding", "pack"),
    [("gzip", gzip.compress), ("X-GZIP ", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
async def test_a_coding_that_was_not_asked_for_is_undone(ask, coding, pack):
    assert await ask(coded(pack(json.dumps(GOOD).encode()), coding)) == READING


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"{}", "br"),
        (b"{}", "gzip, gzip"),
        (b"not packed", "gzip"),
        (gzip.compress(json.dumps(GOOD).encode())[:-9], "gzip"),
        (b"", "gzip"),
    ],
)
async def test_a_coding_that_cannot_be_undone_is_named(ask, body, coding):
    with pytest.raises(UsageError, match=f"cannot be unpacked from '{coding}'") as caught:
        await ask(coded(body, coding))
    assert caught.value.status == 200
    with pytest.raises(ConfigurationError, match="refuses the API key"):
        await ask(coded(body, coding, status=403))


async def test_a_bomb_does_not_go_off(ask):
    bomb = gzip.compress(b" " * 200_000_000, compresslevel=1)
    assert len(bomb) < MAX_BODY_BYTES
    assert len(unpacked(bomb, "gzip")) == MAX_BODY_BYTES + 1
    with pytest.raises(UsageError, match="is longer than"):
        await ask(coded(bomb, "gzip"))


async def test_a_large_body_is_not_read_on(ask):
    chunks = Chunks(b" " * 3 * MAX_BODY_BYTES, size=65_536)
    with pytest.raises(UsageError, match="is longer than"):
        await ask(httpx.Response(200, stream=chunks))
    assert chunks.taken == 17


async def test_a_large_body_does_not_hide_the_status(ask):
    with pytest.raises(ConfigurationError, match="refuses the API key"):
        await ask(httpx.Response(401, stream=Chunks(b"x" * 2 * MAX_BODY_BYTES, size=65_536)))


# No answer.


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (
            httpx.ConnectError("[Errno 111] refused"),
            r"no answer from https://api\.puretalk\.ai/api \(ConnectError: \[Er",
        ),
        (httpx.ConnectTimeout("slow"), r"no full answer from https://api\.puretalk\.ai/api within 5 s"),
        (TimeoutError(), "within 5 s"),
        (httpx.PoolTimeout(""), "within 5 s"),
        (ValueError("odd"), "ValueError: odd"),
        (RecursionError("deep"), "RecursionError: deep"),
    ],
)
async def test_faults_on_the_way_may_pass(ask, fault, why):
    def answer(_):
        raise fault

    with pytest.raises(UsageError, match=why) as caught:
        await ask(answer)
    assert caught.value.__cause__ is fault
    assert caught.value.status is None


@pytest.mark.parametrize("key", [KEY, "a\\b'c/0123456789", 'a\\b"c/0123456789', "a\"b'c"])
async def test_a_fault_that_quotes_the_key_is_not_chained(client, read, key):
    said = f"illegal header line: {bytearray(key.encode())}"

    def answer(_):
        raise httpx.RemoteProtocolError(said) from ValueError(said)

    with pytest.raises(
        UsageError, match=r"RemoteProtocolError: illegal header line: bytearray\(b['\"]\*\*\*['\"]"
    ) as caught:
        await read(PureTalk(key, client=client(answer)))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_an_address_that_cannot_be_asked_is_final(ask):
    fault = httpx.UnsupportedProtocol("ftp")

    def answer(_):
        raise fault

    with pytest.raises(ConfigurationError, match="check base_url") as caught:
        await ask(answer)
    assert caught.value.__cause__ is fault


@pytest.mark.parametrize("fault", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
async def test_orders_to_stop_are_not_swallowed(ask, fault):
    async def run():
        def answer(_):
            raise fault

        try:
            await ask(answer)
        except BaseException as exc:  # noqa: BLE001 - KeyboardInterrupt would end the loop
            return type(exc)

    assert await run() is fault


def test_threads_that_hang_are_bounded():
    go_on = threading.Event()

    def hang(_):
        go_on.wait(20)
        return httpx.Response(200, json=GOOD)

    source = PureTalk(KEY, client=httpx.Client(transport=httpx.MockTransport(hang)), timeout=0.05)
    for _ in range(8):
        with pytest.raises(UsageError, match=r"no full answer from .* within 0\.05 s"):
            source.fetch()
    with pytest.raises(UsageError, match=r"8 earlier requests to .* still hang"):
        source.fetch()
    hanging = [thread for thread in threading.enumerate() if thread.name == "admission-puretalk"]
    assert len(hanging) >= 8
    go_on.set()
    for thread in hanging:
        thread.join(10)
    for _ in range(100):
        # A loaded machine takes its time.
        with contextlib.suppress(UsageError):
            assert source.fetch() == READING
            break
    else:
        pytest.fail("there is no room again")


def test_no_thread_to_be_had_may_pass(monkeypatch):
    def start(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(UsageError, match="can't start new thread"):
            PureTalk(KEY).fetch()


async def test_a_cancelled_reading_stays_cancelled():
    asked = asyncio.Event()

    async def hang(_):
        asked.set()
        await asyncio.sleep(60)

    source = PureTalk(KEY, client=httpx.AsyncClient(transport=httpx.MockTransport(hang)))
    task = asyncio.create_task(source.afetch())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_async_reading_ends_in_time():
    async def hang(_):
        await asyncio.sleep(60)

    source = PureTalk(KEY, client=httpx.AsyncClient(transport=httpx.MockTransport(hang)), timeout=0.05)
    with pytest.raises(UsageError, match=r"within 0\.05 s"):
        await source.afetch()


@pytest.mark.parametrize(("variable", "value"), [("HTTPS_PROXY", "gopher://p.test"), ("SSL_CERT_FILE", "junk.pem")])
async def test_an_environment_without_a_client_is_final(monkeypatch, tmp_path, read, variable, value):
    (tmp_path / "junk.pem").write_text("no certificate")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=r"check the variables for proxies .* and certificates"):
        await read(PureTalk(KEY, base_url="https://127.0.0.1:9"))


def test_a_socket_that_comes_up_late_is_cut_at_once():
    cut = []

    class Stream:
        def get_extra_info(self, _):
            return cut.append("seen")

    line = _Line(httpx.Client())
    line.trace("connection.connect_tcp.started", {})
    line.trace("connection.connect_tcp.complete", {"return_value": Stream()})
    line.cut()
    line.trace("connection.start_tls.complete", {"return_value": Stream()})
    line.close()
    assert cut == ["seen", "seen"]


# Texts and headers.


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        (KEY, f"<{KEY}>"),
        (KEY, KEY.upper()),
        (KEY, KEY[:9] + "\0\u202e" + KEY[9:]),
        ('a"b/c&d\\ee', json.dumps('a"b/c&d\\ee')),
        ('a"b/c&d\\ee', r"a\"b\/c&d\\ee"),
        ('a"b/c&d\\ee', "a%22b%2Fc%26d%5Cee"),
        ('a"b/c&d\\ee', "a&quot;b/c&amp;d\\ee"),
        (KEY, "x" * 190 + KEY + "tail"),
        (KEY, "\0" * 8180 + KEY),
        (KEY, "\0" * 8150 + KEY + "\0" * 1000),
    ],
)
def test_the_secret_is_never_shown(secret, text):
    shown = hiding(secret)(text)
    for length in range(6, len(secret)):
        assert secret[:length].lower() not in shown.lower()


def test_shown_text_is_short_and_on_one_line():
    shown = hiding("")
    assert shown(" a\n\tb\x00\x1b[31m\u2028c\ud800 ") == "a b[31m c"
    assert shown("x" * 200) == "x" * 200
    assert shown("x" * 100_000) == "x" * 199 + "…"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "5, 5"}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "3601"}, 3600.0),
        ({"retry-after": "9" * 5000}, 3600.0),
        ({"retry-after": "Fri, 02 May 2025 02:36:40 GMT"}, None),
        ({"retry-after": "Fri, 02 May 2025 02:36:40 GMT", "date": "Fri, 02 May 2025 02:36:10 GMT"}, 30.0),
        ({"retry-after": "Fri, 02 May 2025 02:36:40 -0000", "date": "Fri, 02 May 2025 02:36:10 +0000"}, 30.0),
        ({"retry-after": "Fri, 02 May 2025 02:36:10 GMT", "date": "Fri, 02 May 2025 02:36:40 GMT"}, 0.0),
        ({"retry-after": "Fri, 02 May 2036 02:36:40 GMT", "date": "Fri, 02 May 2025 02:36:10 GMT"}, 3600.0),
        ({"retry-after": "Fri, 02 May 2025 02:36:40 GMT", "date": "yesterday"}, None),
        ({"retry-after": "Fri, 99 May 2025 02:36:40 GMT", "date": "Fri, 02 May 2025 02:36:10 GMT"}, None),
        ({"retry-after": "Fri, 02 May 2025 02:36:40 +9999", "date": "Fri, 02 May 2025 02:36:10 GMT"}, None),
        ({"retry-after": "Fri, 02 May 2025 02:36:40 GMT" + " " * 60 + "x"}, None),
    ],
)
def test_retry_after_is_seconds_in_range_or_none(headers, seconds):
    assert retry_after(headers) == seconds


# The rule for refusals of calls.


def refused(url="https://api.puretalk.ai/api/calls", method="POST", status=429, headers=None):
    request = httpx.Request(method, url)
    return httpx.HTTPStatusError(
        "no", request=request, response=httpx.Response(status, headers=headers, request=request)
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [(None, None), ({"Retry-After": "4"}, 4.0), ({"Retry-After": "-4"}, None), ({"Retry-After": "99999"}, 3600.0)],
)
def test_a_429_of_a_post_to_the_own_host_is_a_refusal(headers, seconds):
    rejection = PureTalk(KEY).rejected(refused(headers=headers))
    assert isinstance(rejection, CallRejected)
    assert rejection.retry_after == seconds


@pytest.mark.parametrize(
    "exc",
    [
        refused(method="GET"),
        refused(method="PUT"),
        refused(status=503),
        refused(status=409),
        refused("https://crm.test/api/calls"),
        refused("https://api.puretalk.ai:8443/api/calls"),
        refused("http://api.puretalk.ai/api/calls"),
        refused("/api/calls"),
        httpx.HTTPStatusError("no", request=None, response=httpx.Response(429)),
        httpx.ConnectError("no"),
        ValueError(429),
        KeyboardInterrupt(),
    ],
)
def test_nothing_else_is(exc):
    assert PureTalk(KEY).rejected(exc) is None


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://API.puretalk.ai:443/api", "https://api.puretalk.ai/calls"),
        ("https://api.puretalk.ai/api", "HTTPS://API.PURETALK.AI:443/v2/calls"),
        ("http://localhost:8000", "http://LOCALHOST:8000/calls"),
        ("http://localhost", "http://localhost:80/calls"),
        ("http://[::1]:8000", "http://[::1]:8000/calls"),
    ],
)
def test_the_own_host_is_known_however_it_is_written(base_url, url):
    assert PureTalk(KEY, base_url=base_url).rejected(refused(url)) is not None
