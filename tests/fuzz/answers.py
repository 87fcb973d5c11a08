"""The provider's answers: a reading, a `UsageError` or a `ConfigurationError` comes of any, and no key is shown.

An input is written like an answer: the status, headers, an empty line, the body. The header `Repeat` says how often the
body comes, so that short inputs stand for long ones.
"""

from __future__ import annotations

from datetime import datetime

import httpx

from admission import ConfigurationError, Usage, UsageError
from admission.sources import PureTalk

KEY = "pt-live-0123456789abcdef"
MOST_BYTES = 1 << 21
SOURCE = PureTalk(KEY)


def check(data: bytes) -> None:
    """Read one answer.

    Raises:
        AssertionError: What came of it must not.
    """
    response, body = parse(data)
    coding = response.headers.get("content-encoding", "")
    request = httpx.Request("POST", SOURCE._base_url)
    refused = SOURCE.rejected(httpx.HTTPStatusError("", request=request, response=response))
    assert (refused is not None) == (response.status_code == 429)
    _check_wait(refused and refused.retry_after)
    try:
        usage = SOURCE._usage(response, body, coding)
    except (UsageError, ConfigurationError) as error:
        _check_error(error, response.status_code)
    else:
        _check_usage(usage)


def parse(data: bytes) -> tuple[httpx.Response, bytes]:
    """Return an input's response, without a body, and the body."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    headers = [(name.strip(), text.strip()) for name, _, text in (line.partition(b":") for line in lines)]
    response = httpx.Response(int(first) if first.isdigit() and len(first) == 3 else 200, headers=headers)
    times = response.headers.get("repeat", "")
    if times.isascii() and times.isdigit():
        body *= min(int(times[:7]), MOST_BYTES // max(1, len(body)))
    return response, body


def _check_usage(usage: Usage) -> None:
    assert isinstance(usage, Usage)
    for number in (usage.limit, usage.count):
        assert type(number) is int
        assert 0 <= number <= 1_000_000
    assert isinstance(usage.timestamp, datetime)
    assert usage.timestamp.tzinfo is None


def _check_error(error: UsageError | ConfigurationError, status: int) -> None:
    link: BaseException | None = error
    while link is not None:
        assert KEY not in f"{link} {link!r} {vars(link)}".lower()
        link = link.__cause__ or link.__context__
    assert str(error).isprintable()
    assert len(str(error)) < 1000
    assert error.status == status
    if isinstance(error, UsageError):
        _check_wait(error.retry_after)
        assert len(error.excerpt) <= 200
        assert error.excerpt.isprintable()


def _check_wait(seconds: float | None) -> None:
    assert seconds is None or 0 <= seconds <= 3600
