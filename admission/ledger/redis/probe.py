"""Asks a server what can be learnt of it and of the books on it, without a guard. It changes no booking."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from admission.core.spans import wire_policy
from admission.ledger import scripts
from admission.ledger.redis.facts import BookFacts, ServerFacts
from admission.ledger.redis.pipe import Pipe, script_command
from admission.ledger.requests import AskStatus, Who
from admission.ledger.wire import ONLOOKER
from admission.process import process_token
from admission.values import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from admission.ledger.redis.ledger import RedisLedger

TRIPS = 5
"""Round trips that are timed."""
MOST_SCANS = 100
"""Looks at about a thousand keys each, for other accounts."""
MOST_OTHERS = 50
"""Other accounts that are looked at."""
SECTIONS = ("server", "replication", "memory", "persistence", "cluster")
SETTINGS = ("save", "min-replicas-to-write", "min-replicas-max-lag")


def probe(ledger: RedisLedger, account: str) -> ServerFacts:
    """Return what can be learnt of a ledger's server, and of an account's book on it.

    Args:
        ledger: The ledger, as for a guard, on one server.
        account: The account's name in it.
    """
    where = repr(ledger).removeprefix("RedisLedger(").removesuffix(")")
    # In the older protocol every command is answered in order, a subscription too.
    pipe = Pipe(ledger._client.connection_pool, protocol=2)  # noqa: SLF001 - part of the package
    try:
        pipe.connect()
        return _facts(pipe, where, account)
    except (RedisError, OSError) as error:
        return ServerFacts(where, fault=str(error) or type(error).__name__)
    finally:
        pipe.disconnect()


def _facts(pipe: Pipe, where: str, account: str) -> ServerFacts:
    latencies: list[float] = []
    answer: Any = None
    for _ in range(TRIPS):
        begun = time.perf_counter()
        (answer,) = pipe.run([("PING",)])
        latencies.append(time.perf_counter() - begun)
    if isinstance(answer, Exception):
        return ServerFacts(where, fault=str(answer))
    begun, (now,) = time.time(), pipe.run([("TIME",)])
    clock = None if isinstance(now, Exception) else int(now[0]) + int(now[1]) / 1e6
    ahead = None if clock is None else clock - (begun + time.time()) / 2
    told = pipe.run([("INFO", section) for section in SECTIONS] + [("CONFIG", "GET", name) for name in SETTINGS])
    info = {name: text for answer in told[: len(SECTIONS)] for name, text in _info(answer)}
    settings = [pair for answer in told[len(SECTIONS) :] for pair in _pairs(answer)]
    # The books are read before the script may begin a new one.
    book = None if clock is None or not account else _book(pipe, account, clock)
    others, all_seen = ((), True) if clock is None else _others(pipe, account, clock)
    fault, other_format = _script(pipe, account)
    return ServerFacts(
        where,
        latencies=tuple(latencies),
        info=tuple(info.items()),
        run_id=pipe.run_id,
        settings=tuple(settings),
        clock_ahead=ahead,
        script=fault,
        other_format=other_format,
        channel=_channel(pipe),
        book=book,
        others=others,
        all_seen=all_seen,
    )


def _info(answer: Any) -> Iterator[tuple[str, str]]:
    if isinstance(answer, Exception):
        return
    for line in _text(answer).splitlines():
        name, colon, text = line.partition(":")
        if colon and not name.startswith("#"):
            yield name, text


def _pairs(answer: Any) -> Iterator[tuple[str, str]]:
    """Return what `CONFIG GET` answers: names and values, one after another."""
    if isinstance(answer, list):
        items = iter(map(_text, answer))
        yield from zip(items, items, strict=False)


def _text(data: Any) -> str:
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)


def _script(pipe: Pipe, account: str) -> tuple[str, int | None]:
    """Load the ledger's script, and run it in the name of nobody that is in the book; see `ServerFacts`."""
    policy = wire_policy(Policy()).text() + ONLOOKER
    run = script_command(pipe.run_id, account, Who(f"{process_token()}.doctor", 0, policy), [AskStatus()])
    # Without an account there is no book to run it at.
    answers = pipe.run([("SCRIPT", "LOAD", scripts.SCRIPT.source), *([run] if account else [])])
    for answer in answers:
        if isinstance(answer, Exception):
            return str(answer), None
    return "", scripts.other_format(answers[-1])


def _channel(pipe: Pipe) -> str:
    channel = scripts.wake_channel(process_token())
    for answer in pipe.run([("PUBLISH", channel, ""), ("SUBSCRIBE", channel)]):
        if isinstance(answer, Exception):
            return str(answer)
    return ""


# The books


def _others(pipe: Pipe, account: str, clock: float) -> tuple[tuple[BookFacts, ...], bool]:
    found: dict[str, BookFacts] = {}
    cursor = "0"
    for _ in range(MOST_SCANS):
        (answer,) = pipe.run([("SCAN", cursor, "MATCH", "admission:{*}:account", "COUNT", "1000")])
        if isinstance(answer, Exception):
            return (), False
        cursor = _text(answer[0])
        for key in map(_text, answer[1]):
            name = key.removeprefix("admission:{").removesuffix("}:account")
            if name != account and name not in found and len(found) < MOST_OTHERS:
                book = _book(pipe, name, clock)
                if book is not None:
                    found[name] = book
        if cursor == "0":
            return tuple(found.values()), len(found) < MOST_OTHERS
    return tuple(found.values()), False


def _book(pipe: Pipe, account: str, clock: float) -> BookFacts | None:
    key = scripts.keys(account)[0]
    records, more = pipe.run([("HMGET", key, "format", "clock", "state"), ("HSCAN", key, "0", "COUNT", "1000")])
    if isinstance(records, Exception) or None in records or records[0] != b"%d" % scripts.BOOK_FORMAT:
        return None
    try:
        times, state = (_record(name, data) for name, data in zip(("clock", "state"), records[1:], strict=True))
        rows = [] if isinstance(more, Exception) else list(zip(*[iter(more[1])] * 2, strict=True))
        members = [_record("member", data) for name, data in rows if name[:1] == b"p"]
        booked = [_record("reservation", data) for name, data in rows if name[:1] == b"r"]
    except (struct.error, ValueError, TypeError, IndexError):
        return None
    told = {member["policy"] for member in members}
    return BookFacts(
        account,
        heard_ago=max(0.0, clock + (times["offset"] - times["heard"]) / 1000) if members else None,
        limit=int(state["limit"]),
        count=int(state["count"]),
        refresh=state["refresh"] / 1000,
        staleness=state["staleness"] / 1000,
        lease=state["lease"] / 1000,
        lag=state["lag"] / 1000,
        duration=state["duration"] / 1000,
        headroom=int(state["headroom"]),
        seen=state["seen"] / 1000 if state["seen"] >= 0 else -1.0,
        timeouts=tuple(sorted({one["timeout"] / 1000 for one in booked if one["timeout"]})),
        policies=len({policy for policy in told if not policy.endswith(ONLOOKER)}),
    )


def _record(name: str, data: bytes) -> dict[str, Any]:
    """Return a record by field, as Lua's `struct` has written it.

    Raises:
        struct.error: It is none.
    """
    found: dict[str, Any] = {}
    at = 0
    for field, how in scripts.RECORDS[name].items():
        letters = "<" + how.letters.removesuffix("c0").replace("I4", "I").replace("I2", "H")
        (value,) = struct.unpack_from(letters, data, at)
        at += struct.calcsize(letters)
        if how.letters.endswith("c0"):
            at, value = at + value, data[at : at + value].decode("utf-8", "replace")
        found[field] = value
    if at != len(data):
        raise struct.error("there is more than its fields")
    return found
