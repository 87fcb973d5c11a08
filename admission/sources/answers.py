"""Reads PureTalk's answer to the usage request: status, headers and body in, `Usage` or an error out.

No I/O, no clock, no HTTP library. Whatever the provider sends, only `UsageError` and `ConfigurationError` come
out. What it sent gets into their texts through one function, made by `hiding`, that keeps the API key out; for
the same reason nothing here chains a parser's exception: those carry the text that they stumbled over.
"""

from __future__ import annotations

import html
import json
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from admission.errors import ConfigurationError, UsageError
from admission.values import MAX_CALLS, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_BODY_BYTES = 1024 * 1024
"""An answer has some 150 bytes: what is larger than this is not read on."""

MAX_EXCERPT_CHARS = 200
"""The longest piece of foreign text that gets into an error."""

MAX_RETRY_AFTER = 3600.0
"""Seconds: a provider that asks for a longer wait is asked again after this."""

_OK = 200
_KEY_REFUSED = frozenset({401, 403})
_NOTHING_HERE = frozenset({404, 405, 410})
_WINDOW_CHARS = 8192
_MAX_DIGITS = 20
_MAX_TIME_CHARS = 64
_MAX_NESTING = 32
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # also one without an end: else quadratic time
_NO_BRACKETS = re.compile(r"[^\[\]{}]+")
_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP.

    Attributes:
        status: The HTTP status.
        headers: The headers, looked up by lower-case name.
        body: The body with its content coding undone; one that is longer than `MAX_BODY_BYTES` was cut off
            somewhere behind that.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def hiding(secret: str) -> Callable[[str], str]:
    """Return a function that makes foreign text fit to be shown.

    It removes what cannot be printed, puts `***` for `secret` (also as JSON, HTML, a URL or Python would write it,
    in upper or lower case), and keeps at most `MAX_EXCERPT_CHARS` characters.

    Args:
        secret: What must not be shown; empty for nothing.
    """
    in_json = json.dumps(secret)[1:-1]
    in_python = repr(bytearray(secret.encode())).removeprefix("bytearray(b")[1:-2]
    in_markup = {html.escape(secret), quote(secret, safe="")}
    written = {secret, in_json, in_json.replace("/", "\\/"), repr(secret)[1:-1], in_python} | in_markup
    forms = sorted(written - {""}, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, forms)), re.IGNORECASE) if forms else None
    longest = len(forms[0]) if forms else 0

    def shown(text: str) -> str:
        clean = "".join(char for char in " ".join(text[:_WINDOW_CHARS].split()) if char.isprintable())
        if pattern is not None:
            clean = pattern.sub("***", clean)
            if len(text) > _WINDOW_CHARS:
                # The window's edge may run through the secret.
                clean = clean[: max(0, len(clean) - longest)]
        return clean if len(clean) <= MAX_EXCERPT_CHARS else clean[: MAX_EXCERPT_CHARS - 1] + "…"

    return shown


def unpacked(body: bytes, coding: str) -> bytes | None:
    """Undo a content coding, without making more than `MAX_BODY_BYTES` and one byte of it.

    The request asks for none; servers and proxies that add one all the same are humoured.

    Args:
        body: The body as it was sent.
        coding: The Content-Encoding header, empty when there was none.

    Returns:
        The bytes meant, or `None` when the coding is unknown or the body is not in it.
    """
    match coding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip" | "deflate":
            unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
            try:
                plain = unpacker.decompress(body, MAX_BODY_BYTES + 1)
            except zlib.error:
                return None
            whole = unpacker.eof or len(plain) > MAX_BODY_BYTES
            return plain if whole else None
        case _:
            return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the Retry-After header asks to wait, from 0 to `MAX_RETRY_AFTER`.

    A date is measured from the answer's own Date header, never from a clock of ours. What is missing or not
    understood is `None`.
    """
    told = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(told):
        seconds = float(told)
    else:
        due, sent = _http_date(told), _http_date(headers.get("date", ""))
        if due is None or sent is None:
            return None
        seconds = (due - sent).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _http_date(text: str) -> datetime | None:
    if len(text) > _MAX_TIME_CHARS:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def refusal(answer: Answer, shown: Callable[[str], str]) -> UsageError | ConfigurationError:
    """Return the error that an answer's status means, where it is not the 200 that was asked for.

    The key refused (401, 403) and no such address (404, 405, 410) are final. Everything else may pass: time-outs,
    rate limits, faults of the server, redirects (not followed: the key would go along), odd ones.
    """
    status, excerpt = answer.status, _excerpt(answer, shown)
    said = f"; it says {excerpt!r}" if excerpt else ""
    if status in _KEY_REFUSED:
        return ConfigurationError(
            f"PureTalk refuses the API key ({status}): check that it is complete, not revoked, and of the account "
            f"and the address (base_url) that you mean{said}",
            status=status,
        )
    if status in _NOTHING_HERE:
        return ConfigurationError(
            f"PureTalk has no concurrency usage at this address ({status}): check base_url, which ends in /api "
            f"by default, and that the API key's account exists{said}",
            status=status,
        )
    what = f"PureTalk answered {status}"
    if "location" in answer.headers and 300 <= status < 400:  # noqa: PLR2004 - the class of redirects
        where = _redirected_to(answer.headers["location"], shown)
        what += f": redirected to {where}, not followed; set base_url to the address that answers itself"
    return _unusable(answer, shown, what + said)


def read_usage(answer: Answer, shown: Callable[[str], str]) -> Usage:
    """Read an answer field by field.

    The timestamp has to be there, as an ISO 8601 date and time. One without a zone is taken as it stands; one
    with a zone is turned to UTC and given without it too, so that any two of a source can be compared.

    Args:
        answer: The answer.
        shown: Makes foreign text fit for an error, see `hiding`.

    Raises:
        UsageError: It cannot be used, now.
        ConfigurationError: The key or the address is wrong.
    """
    if answer.status != _OK:
        raise refusal(answer, shown)
    if len(answer.body) > MAX_BODY_BYTES:
        raise _unusable(answer, shown, f"PureTalk's answer is longer than {MAX_BODY_BYTES:,} bytes")
    document, complaint = _document(answer.body)
    if complaint:
        raise _unusable(answer, shown, f"PureTalk's answer {complaint}; it begins {_excerpt(answer, shown)!r}")
    return _Fields(answer, shown).usage(document)


def _unusable(answer: Answer, shown: Callable[[str], str], message: str) -> UsageError:
    return UsageError(
        message,
        status=answer.status,
        retry_after=retry_after(answer.headers),
        excerpt=_excerpt(answer, shown),
    )


def _excerpt(answer: Answer, shown: Callable[[str], str]) -> str:
    # Four bytes at most make a character: the window of `shown` is full.
    return shown(answer.body[: 4 * _WINDOW_CHARS + 4].decode("utf-8", errors="replace"))


def _redirected_to(location: str, shown: Callable[[str], str]) -> str:
    try:
        host = urlsplit(location).hostname
    except ValueError:
        return "an address that makes no sense"
    return f"host {shown(host)!r}" if host else "another path"


_TWICE = object()
"""Stands for a field that the same object has more than once: which of them is meant?"""


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, value in pairs:
        members[name] = _TWICE if name in members else value
    return members


def _number(text: str) -> int | float:
    # `int` refuses thousands of digits with an error of its own, or takes quadratic time.
    return int(text) if len(text) <= _MAX_DIGITS else float(text)


def _is_deep(text: str) -> bool:
    """Tell whether parsing could go deep; also true of brackets that do not match.

    The parser has a guard of its own, but until that trips, every finaliser that happens to run, of whatever
    object in the process, runs at the end of the stack and fails.
    """
    brackets = _NO_BRACKETS.sub("", _STRING.sub("", text))
    for _ in range(_MAX_NESTING):
        # The innermost pairs go; what is left after this many rounds is deeper.
        brackets = brackets.replace("[]", "").replace("{}", "")
    return bool(brackets)


def _document(body: bytes) -> tuple[object, str]:
    """Return the JSON document, or `None` and a complaint."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None, "is not UTF-8"
    if not text.strip():
        return None, "is empty"
    if _is_deep(text):
        return None, "is not JSON, or is nested too deeply"
    try:
        return json.loads(text, parse_int=_number, object_pairs_hook=_members), ""
    except (ValueError, RecursionError):
        return None, "is not JSON"


@dataclass(frozen=True, slots=True)
class _Fields:
    """The walk through a parsed answer; each fault names its field."""

    answer: Answer
    shown: Callable[[str], str]

    def usage(self, document: object) -> Usage:
        envelope = self.members("the answer", document)
        err = envelope.get("err", False)
        if err is True:
            said = envelope.get("msg")
            raise self.fault("err is true" + (f", msg is {self.value(said)}" if said is not None else ""))
        if err is not False:
            raise self.wrong("err", err, "true or false")
        results = self.members("results", self.field(envelope, "results"))
        return Usage(
            limit=self.calls(results, "concurrency_limit"),
            count=self.calls(results, "concurrency_count"),
            timestamp=self.moment(results, "timestamp"),
        )

    def field(self, members: dict[str, object], name: str, inside: str = "") -> object:
        if name not in members:
            raise self.fault(f"{inside}{name} is missing")
        return members[name]

    def members(self, name: str, value: object) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self.wrong(name, value, "an object")
        return value

    def calls(self, results: dict[str, object], name: str) -> int:
        value = self.field(results, name, "results.")
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_CALLS:
            raise self.wrong(f"results.{name}", value, f"a whole number from 0 to {MAX_CALLS:,}")
        return value

    def moment(self, results: dict[str, object], name: str) -> datetime:
        value = self.field(results, name, "results.")
        moment = _timestamp(value) if isinstance(value, str) else None
        if moment is None:
            raise self.wrong(f"results.{name}", value, "an ISO 8601 date and time")
        return moment

    def wrong(self, name: str, value: object, wanted: str) -> UsageError:
        return self.fault(f"{name} is {self.value(value)}, not {wanted}")

    def fault(self, what: str) -> UsageError:
        return _unusable(self.answer, self.shown, f"PureTalk answered {_OK}, but {what}")

    def value(self, value: object) -> str:
        if value is _TWICE:
            return "given twice"
        if isinstance(value, dict):
            return "an object"
        if isinstance(value, list):
            return "a list"
        return repr(self.shown(value)) if isinstance(value, str) else self.shown(json.dumps(value))


def _timestamp(text: str) -> datetime | None:
    if not _TIMESTAMP.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment
    except (ValueError, OverflowError):
        return None
