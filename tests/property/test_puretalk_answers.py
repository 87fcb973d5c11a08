"""Whatever a server sends, a reading, a `UsageError` or a `ConfigurationError` comes of it, and no key is shown."""

import asyncio
import gzip
import json
import string
from datetime import datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admission import ConfigurationError, Usage, UsageError
from admission.sources import PureTalk
from admission.sources.answers import Answer, hiding, retry_after, unpacked
from admission.sources.puretalk import read_usage

KEY = "pt-live-0123456789abcdef"

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 1_000_002),
    st.floats(),
    st.text(),
    st.datetimes().map(datetime.isoformat),
    st.just(KEY),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just(KEY), inner), max_leaves=10
)
good = st.fixed_dictionaries(
    {
        "msg": st.just("Success"),
        "err": st.just(False),
        "results": st.fixed_dictionaries(
            {
                "concurrency_limit": st.integers(0, 1_000_000),
                "concurrency_count": st.integers(0, 1_000_000),
                "timestamp": st.datetimes().map(datetime.isoformat),
            }
        ),
    }
)
tokens = st.lists(
    st.sampled_from(
        [*'{}[]:,"\\', "true", "null", "NaN", "1", "-", "1e9", "9" * 5000, "\\ud800", '"results"', '"err":', KEY]
    )
).map("".join)
header_text = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=80)
months = st.sampled_from(["Jan", "Feb", "May", "Dec", "Nix"])
dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Fri", "Mon", "x", ""]),
    st.integers(-1, 40),
    months,
    st.integers(-1, 12_000),
    st.integers(-1, 30),
    st.integers(-1, 70),
    st.integers(-1, 70),
    st.sampled_from(["GMT", "UTC", "+0000", "-0000", "+9999", "-2359", "EST", "", "\u00e9"]),
)
times = header_text | dates | st.integers().map(str) | st.floats().map(str) | st.text(string.digits)
statuses = st.integers(100, 999)


@pytest.fixture(scope="module", params=["sync", "async"])
def outcome(request):
    """Gives what a source makes of a response, checked."""
    with asyncio.Runner() as runner:

        def read(response):
            def answer(_):
                return response

            transport = httpx.MockTransport(answer)
            if request.param == "sync":
                with httpx.Client(transport=transport) as client:
                    return PureTalk(KEY, client=client).fetch()

            async def aread():
                async with httpx.AsyncClient(transport=transport) as client:
                    return await PureTalk(KEY, client=client).afetch()

            return runner.run(aread())

        def outcome(response):
            try:
                usage = read(response)
            except (UsageError, ConfigurationError) as exc:
                return checked(exc, KEY)
            return checked(usage, KEY)

        yield outcome


def checked(result, key):
    """Checks what anything that comes out has to be."""
    if isinstance(result, Usage):
        assert type(result.limit) is int
        assert type(result.count) is int
        assert isinstance(result.timestamp, datetime)
        assert result.timestamp.tzinfo is None
        return result
    shown = f"{result} {result!r} {vars(result)} {result.__cause__!r}"
    assert key.lower() not in shown.lower()
    assert len(str(result)) < 1000
    assert str(result).isprintable()
    if isinstance(result.__cause__, httpx.InvalidURL | httpx.RemoteProtocolError | None) and result.status is None:
        # httpx could make nothing of a Location, and tells no status.
        assert isinstance(result, UsageError)
    else:
        assert isinstance(result.status, int)
    if isinstance(result, UsageError):
        assert len(result.excerpt) <= 200
        assert result.excerpt.isprintable()
        assert result.retry_after is None or 0 <= result.retry_after <= 3600
    return result


class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, body):
        self.body = body

    def __iter__(self):
        for start in range(0, len(self.body), 65_536):
            yield self.body[start : start + 65_536]

    async def __aiter__(self):
        for part in self:
            yield part


def parsed(body, status=200, headers=None, key=KEY):
    try:
        return checked(read_usage(Answer(status, headers or {}, body), hiding(key)), key)
    except (UsageError, ConfigurationError) as exc:
        return checked(exc, key)


@given(good)
def test_a_good_answer_is_read_as_it_stands(outcome, answer):
    results = answer["results"]
    assert outcome(httpx.Response(200, json=answer)) == Usage(
        results["concurrency_limit"],
        results["concurrency_count"],
        datetime.fromisoformat(results["timestamp"]),
    )


@given(good, st.sampled_from(["", "err", "results", "concurrency_limit", "concurrency_count", "timestamp"]), values)
def test_any_value_in_place_of_any_field(outcome, answer, field, value):
    if not field:
        answer = value
    elif field in answer:
        answer[field] = value
    else:
        answer["results"][field] = value
    result = outcome(httpx.Response(200, content=json.dumps(answer).encode()))
    if isinstance(result, Usage) and field.startswith("concurrency"):
        assert type(value) is int
        assert 0 <= value <= 1_000_000


@given(good, st.sampled_from(["err", "results", "concurrency_limit", "concurrency_count", "timestamp"]), values)
def test_a_field_given_twice_is_never_believed(answer, field, value):
    first, second = json.dumps(value), json.dumps(answer.get(field, answer["results"].get(field)))
    body = json.dumps(answer).replace(f'"{field}": {second}', f'"{field}": {first}, "{field}": {second}', 1)
    assert isinstance(parsed(body.encode()), UsageError)


@settings(max_examples=50)
@given(good, st.dictionaries(st.text().filter(lambda name: name not in {"err", "results"}), values))
def test_fields_that_nobody_asked_for_are_passed_over(answer, more):
    assert isinstance(parsed(json.dumps({**more, **answer}).encode()), Usage)


@given(good, st.data())
def test_an_answer_cut_short_is_no_answer(answer, data):
    body = json.dumps(answer).encode()
    assert isinstance(parsed(body[: data.draw(st.integers(0, len(body) - 1))]), UsageError)


@given(statuses, st.binary(min_size=1), st.sampled_from([0, 100, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20]))
@settings(max_examples=60)
def test_any_bytes_up_to_megabytes(outcome, status, repeated, size):
    body = (repeated * (size // len(repeated) + 1))[:size]
    assert outcome(httpx.Response(status, stream=Chunks(body))).status == status


@given(
    st.sampled_from([b"[", b'{"a":', b'[{"":', b'"', b"1", b"-", b"\\u", b" ", b"\xc3", KEY.encode()]),
    st.integers(0, 2**20),
)
@settings(max_examples=40)
def test_the_same_thing_over_and_over(token, count):
    assert isinstance(parsed((token * count)[: 2**20]), UsageError)


@given(tokens)
def test_any_soup_of_json(soup):
    assert isinstance(parsed(soup.encode()), UsageError)


@given(st.sampled_from(["gzip", "deflate", "identity", "br", ""]) | header_text, st.binary(), st.booleans())
def test_any_coding(outcome, coding, body, packed):
    body = gzip.compress(body) if packed else body
    headers = [(b"Content-Encoding", coding.encode("latin-1"))]
    assert isinstance(outcome(httpx.Response(200, headers=headers, stream=Chunks(body))), UsageError)


@given(st.binary(), st.text())
def test_unpacking_never_raises_and_never_swells(body, coding):
    for any_coding in ("gzip", "deflate", coding):
        plain = unpacked(body, any_coding)
        assert plain is None or len(plain) <= max(len(body), 1024 * 1024 + 1)


@given(statuses, times, times, st.binary())
def test_any_retry_after(outcome, status, told, sent, body):
    headers = [(b"Retry-After", told.encode("latin-1")), (b"Date", sent.encode("latin-1"))]
    outcome(httpx.Response(status, headers=headers, stream=Chunks(body)))


@given(times | st.text(), times | st.text())
def test_retry_after_is_in_range_or_none(told, sent):
    seconds = retry_after({"retry-after": told, "date": sent})
    assert seconds is None or 0 <= seconds <= 3600


@given(
    statuses,
    header_text
    | st.sampled_from([f"https://{KEY}/", f"http://\xe9{KEY}_/", f"//[{KEY}]", "http://[", "https://a:b@c/"]),
)
def test_any_redirect(outcome, status, location):
    headers = [(b"Location", location.encode("latin-1"))]
    assert not isinstance(outcome(httpx.Response(status, headers=headers)), Usage)


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40).map("pt-".__add__),
    statuses,
    st.text(),
    st.text(),
    st.sampled_from(["plain", "upper", "message", "limit", "timestamp", "name", "nested"]),
)
def test_no_key_is_ever_shown(key, status, before, after, place):
    text = before + key + after
    results = {"concurrency_limit": 1, "concurrency_count": 1, "timestamp": "2025-05-02T02:36:10"}
    documents = {
        "message": {"err": True, "msg": text},
        "limit": {"results": {**results, "concurrency_limit": text}},
        "timestamp": {"results": {**results, "timestamp": text}},
        "name": {text: text},
        "nested": [[{text: [text]}]],
    }
    documents = {place: json.dumps(document) for place, document in documents.items()}
    body = {"plain": text, "upper": text.upper(), **documents}[place].encode(errors="replace")
    parsed(body, 200, key=key)
    parsed(body, status, {"location": f"https://{key}.test/"}, key=key)
