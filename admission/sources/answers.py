"""Reads a provider's answer to the usage request: status, headers and body in, values of its fields or an error out.

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
from admission.values import MAX_CALLS

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
class Provider:
    """Who is asked, as errors say it.

    Attributes:
        name: The provider's name.
        slug: The same for names of accounts and threads.
        argument: The name of the argument that says where to ask.
        hint: What more is to be said of that argument, or nothing.
    """

    name: str
    slug: str
    argument: str = "base_url"
    hint: str = ""


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


def hiding(*secrets: str) -> Callable[[str], str]:
    """Return a function that makes foreign text fit to be shown.

    It removes what cannot be printed, puts `***` for each of `secrets` (also as JSON, HTML, a URL or Python would
    write it, in upper or lower case), and keeps at most `MAX_EXCERPT_CHARS` characters.

    Args:
        secrets: What must not be shown; empty ones stand for nothing.
    """
    forms = sorted(set().union(*map(_written, secrets)) - {""}, key=len, reverse=True)
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


def _written(secret: str) -> set[str]:
    """Return the ways to write a secret."""
    in_json = json.dumps(secret)[1:-1]
    in_python = repr(bytearray(secret.encode())).removeprefix("bytearray(b")[1:-2]
    in_markup = {html.escape(secret), quote(secret, safe="")}
    return {secret, in_json, in_json.replace("/", "\\/"), repr(secret)[1:-1], in_python} | in_markup


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


def refusal(answer: Answer, shown: Callable[[str], str], provider: Provider) -> UsageError | ConfigurationError:
    """Return the error that an answer's status means, where it is not the 200 that was asked for.

    The key refused (401, 403) and no such address (404, 405, 410) are final. Everything else may pass: time-outs,
    rate limits, faults of the server, redirects (not followed: the key would go along), odd ones.
    """
    status, excerpt = answer.status, _excerpt(answer, shown)
    name, argument = provider.name, provider.argument
    said = f"; it says {excerpt!r}" if excerpt else ""
    if status in _KEY_REFUSED:
        return ConfigurationError(
            f"{name} refuses the API key ({status}): check that it is complete, not revoked, and of the account "
            f"and the address ({argument}) that you mean{said}",
            status=status,
        )
    if status in _NOTHING_HERE:
        return ConfigurationError(
            f"{name} has no concurrency usage at this address ({status}): check {argument}, "
            f"{provider.hint and provider.hint + ', '}and that the API key's account exists{said}",
            status=status,
        )
    what = f"{name} answered {status}"
    if "location" in answer.headers and 300 <= status < 400:  # noqa: PLR2004 - the class of redirects
        where = _redirected_to(answer.headers["location"], shown)
        what += f": redirected to {where}, not followed; set {argument} to the address that answers itself"
    return _unusable(answer, shown, what + said)


def read_fields(answer: Answer, shown: Callable[[str], str], provider: Provider) -> Fields:
    """Take a good answer apart; its fields are then read one by one.

    Args:
        answer: The answer.
        shown: Makes foreign text fit for an error, see `hiding`.
        provider: Who answered.

    Raises:
        UsageError: It cannot be used, now.
        ConfigurationError: The key or the address is wrong.
    """
    if answer.status != _OK:
        raise refusal(answer, shown, provider)
    if len(answer.body) > MAX_BODY_BYTES:
        raise _unusable(answer, shown, f"{provider.name}'s answer is longer than {MAX_BODY_BYTES:,} bytes")
    document, complaint = _document(answer.body)
    if complaint:
        raise _unusable(answer, shown, f"{provider.name}'s answer {complaint}; it begins {_excerpt(answer, shown)!r}")
    return Fields(answer, shown, provider, document)


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
class Fields:
    """The fields of a good answer. They are named by paths: names joined by dots. Each fault names its field."""

    answer: Answer
    shown: Callable[[str], str]
    provider: Provider
    document: object

    def at(self, path: str) -> object:
        """Return what stands at a path.

        Raises:
            UsageError: Nothing does.
        """
        value, passed = self.document, ""
        for name in path.split("."):
            members = self._members(passed or "the answer", value)
            passed = f"{passed}.{name}" if passed else name
            if name not in members:
                raise self.fault(f"{passed} is missing")
            value = members[name]
        return value

    def get(self, name: str, default: object = None) -> object:
        """Return a field of the answer itself, `default` where it is missing."""
        return self._members("the answer", self.document).get(name, default)

    def calls(self, path: str, low: int = 0) -> int:
        """Return a number of calls.

        Raises:
            UsageError: It is no whole number from `low` to what an account is believed to have.
        """
        value = self.at(path)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= MAX_CALLS:
            raise self.wrong(path, value, f"a whole number from {low:,} to {MAX_CALLS:,}")
        return value

    def calls_or(self, default: int, name: str) -> int:
        """Return a number of calls in the answer itself, `default` where it is missing or null."""
        return default if self.get(name) is None else self.calls(name)

    def flag(self, name: str) -> bool:
        """Return whether a field of the answer itself is true; it is not where it is missing or null.

        Raises:
            UsageError: It is anything else.
        """
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, value, "true or false")
        return value is True

    def moment(self, path: str) -> datetime:
        """Return a date and time. One with a zone is turned to UTC and given without it too: any two compare.

        Raises:
            UsageError: It is none.
        """
        value = self.at(path)
        moment = _timestamp(value) if isinstance(value, str) else None
        if moment is None:
            raise self.wrong(path, value, "an ISO 8601 date and time")
        return moment

    def wrong(self, path: str, value: object, wanted: str) -> UsageError:
        """Return the error that a field has the wrong value."""
        return self.fault(f"{path} is {self.value(value)}, not {wanted}")

    def fault(self, what: str) -> UsageError:
        """Return the error that something is wrong with a good answer."""
        return _unusable(self.answer, self.shown, f"{self.provider.name} answered {_OK}, but {what}")

    def value(self, value: object) -> str:
        """Return a value as it can be shown."""
        if value is _TWICE:
            return "given twice"
        if isinstance(value, dict):
            return "an object"
        if isinstance(value, list):
            return "a list"
        return repr(self.shown(value)) if isinstance(value, str) else self.shown(json.dumps(value))

    def _members(self, name: str, value: object) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self.wrong(name, value, "an object")
        return value


def _timestamp(text: str) -> datetime | None:
    if not _TIMESTAMP.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment
    except (ValueError, OverflowError):
        return None
