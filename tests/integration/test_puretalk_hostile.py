"""PureTalk against servers that mean it badly: without end, packed full, broken off; on its own clients and others'."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
import tracemalloc
import zlib

import httpx
import pytest

from admission import UsageError
from tests import waiting
from tests.integration.puretalk_kit import (
    BODY,
    KEY,
    SLACK,
    helpers,
    recovered,
    response,
    source_of,
    until,
)

MIB = 1 << 20
BRIEF = 0.5
"""Seconds for a server that never ends."""
AMPLE = 60.0
"""Seconds within which a server that is caught at something is caught."""
MOST_MEMORY = 24 * MIB


@pytest.fixture(params=["own", "mine"])
def whose(request):
    """Whether the source uses clients of its own, or one of the caller's."""
    return request.param


@pytest.fixture
async def ask(serve, colour, whose):
    """Has a source read a server, checks that it ends in time and that nothing is left, and returns what came of it."""
    opened = []

    async def ask(answer, timeout):
        server = serve(answer)
        client = (httpx.Client if colour == "sync" else httpx.AsyncClient)() if whose == "mine" else None
        source = source_of(server, timeout, client=client)
        opened.append((server, source, client))
        try:
            return server, source, await read(source)
        except UsageError as error:
            assert KEY not in f"{error!r} {vars(error)} {error.__cause__!r}"
            return server, source, error

    async def read(source):
        began = time.monotonic()
        try:
            return source.fetch() if colour == "sync" else await source.afetch()
        finally:
            assert time.monotonic() - began < source.timeout + SLACK

    ask.again = read
    yield ask
    for server, source, client in opened:
        await source.aclose()
        if client is not None:
            assert not client.is_closed
            client.close() if colour == "sync" else await client.aclose()
        if (colour, whose) == ("sync", "mine"):
            # A caller's own blocking client is left to its thread, which ends with its server.
            server.close()
        await until(lambda: not helpers())
        await until(lambda server=server: server.closed == server.opened)
    # A generator that was left before its end is closed by a task of its own.
    await waiting.until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


def without_end(first, again, pause=0.0):
    """Return an answer that begins with `first` and goes on with `again` for as long as somebody listens."""

    def answer(connection):
        connection.sendall(first)
        while True:
            connection.sendall(again)
            time.sleep(pause)

    return answer


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"

SLOW = {
    "a header a byte at a time": without_end(OK + b"X-Long: ", b"x", 0.02),
    "a status line a byte at a time": without_end(b"HTTP/1.1 200 ", b"O", 0.02),
    "interim answers": without_end(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 0.02),
    "a flood of interim answers": without_end(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "chunks of a byte": without_end(CHUNKED, b"1\r\n \r\n", 0.02),
    "a flood of chunks of a byte": without_end(CHUNKED, b"1\r\n \r\n" * 100),
    "a body a byte at a time": without_end(OK + b"Content-Length: 1000000\r\n\r\n", b" ", 0.02),
    "a body that stops": lambda connection: [connection.sendall(response()[:-1]), connection.recv(1)],
    "a body that is longer told": lambda connection: [
        connection.sendall(response().replace(b"Content-Length: 1", b"Content-Length: 9")), connection.recv(1)
    ],
    "a chunk that stops": lambda connection: [connection.sendall(CHUNKED + b"ff\r\n{"), connection.recv(1)],
}  # fmt: skip


@pytest.mark.parametrize("name", SLOW)
async def test_what_never_ends_ends_in_time(ask, name):
    server, source, error = await ask(SLOW[name], BRIEF)
    assert isinstance(error, UsageError)
    assert f"no full answer from {server.url} within {BRIEF:g} s" in str(error)
    server.answer = lambda connection: connection.sendall(response())
    assert (await recovered(ask.again, source)).count == 11


MUCH = {
    "a body": (without_end(OK + b"\r\n", b" " * 65_536), "is longer than 1,048,576 bytes"),
    "a body of promised length": (
        without_end(OK + b"Content-Length: 1000000000000\r\n\r\n", b" " * 65_536),
        "is longer than 1,048,576 bytes",
    ),
    "chunks": (without_end(CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n"), "is longer than 1,048,576 bytes"),
    "an error's body": (without_end(b"HTTP/1.1 500 No\r\n\r\n", b"x" * 65_536), "PureTalk answered 500"),
    "a status line": (without_end(b"HTTP/1.1 200 ", b"O" * 65_536), "RemoteProtocolError"),
    "a header": (without_end(OK + b"X-Long: ", b"x" * 65_536), "RemoteProtocolError"),
    "headers": (without_end(OK, b"X-Many: of these\r\n" * 1_000), "RemoteProtocolError"),
    "a chunk's length": (without_end(CHUNKED, b"0" * 65_536), "RemoteProtocolError"),
    "a chunk's extension": (without_end(CHUNKED + b"1;", b"x" * 65_536), "RemoteProtocolError"),
    "trailers": (without_end(CHUNKED + b"0\r\n", b"X-Many: of these\r\n" * 1_000), "RemoteProtocolError"),
}


@pytest.mark.parametrize("name", MUCH)
async def test_what_is_much_is_not_taken(ask, name):
    answer, says = MUCH[name]
    with bounded():
        _, _, error = await ask(answer, AMPLE)
    assert isinstance(error, UsageError)
    assert says in str(error)


@contextlib.contextmanager
def bounded():
    """Check that no more memory is taken than it may be, whoever takes it."""
    tracemalloc.start(1)
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY, f"{peak / MIB:.0f} MiB"


def bomb(wbits, gigabytes=1):
    """Return what unpacks into gigabytes of blanks, made without making those: one packed piece over and over."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    first = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(b" " * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + piece * (1024 * gigabytes)


GZIP, ZLIB, RAW = 31, 15, -15
BOMBS = {
    "gzip": ("gzip", lambda: bomb(GZIP)),
    "x-gzip": ("x-gzip", lambda: bomb(GZIP)),
    "deflate": ("deflate", lambda: bomb(ZLIB)),
    "ten gigabytes": ("gzip", lambda: bomb(GZIP, 10)),
    "raw deflate": ("deflate", lambda: bomb(RAW)),
    "twice": ("gzip, gzip", lambda: bomb(GZIP)),
    "brotli": ("br", lambda: bytes.fromhex("cbffffff") * 1000),
    "zstd": ("zstd", lambda: bytes.fromhex("28b52ffd") * 1000),
    "unknown": ("x", lambda: b"{}"),
}


def test_a_bomb_is_one():
    unpacker = zlib.decompressobj(GZIP)
    packed, size = bomb(GZIP), 0
    assert len(packed) < 2 * MIB
    while packed:
        size += len(unpacker.decompress(packed, MIB))
        packed = unpacker.unconsumed_tail
    assert size == 1024 * MIB


@pytest.mark.parametrize("status", ["200 OK", "503 Busy"])
@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_is_not_unpacked(ask, name, status):
    coding, packed = BOMBS[name]
    body = packed()
    sent = response(body, f"Content-Encoding: {coding}", status=status)
    with bounded():
        _, _, error = await ask(lambda connection: connection.sendall(sent), AMPLE)
    assert isinstance(error, UsageError)
    assert error.status == int(status[:3])
    if status == "200 OK":
        assert "is longer than" in str(error) or f"cannot be unpacked from {coding!r}" in str(error)


def reset(connection):
    """Close a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return True


def half_closed(connection):
    """Say that nothing more comes, and go on listening."""
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65_536):
        pass
    return True


BROKEN = {
    "in the status line": lambda connection: [connection.sendall(b"HTTP/1.1 2")],
    "in the headers": lambda connection: [connection.sendall(OK + b"Content-Le")],
    "in the body": lambda connection: [connection.sendall(response()[:-10])],
    "in a chunk": lambda connection: [connection.sendall(CHUNKED + b"ff\r\n{")],
    "between chunks": lambda connection: [connection.sendall(CHUNKED + b"1\r\n{\r\n")],
    "before the end of the chunks": lambda connection: [
        connection.sendall(CHUNKED + f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n")
    ],
    "with a reset": lambda connection: [connection.sendall(response()[:-10]), reset(connection)],
    "with a reset at once": reset,
    "by half": lambda connection: [connection.sendall(response()[:-10]), half_closed(connection)],
    "by half, at once": half_closed,
    "with a length too long": lambda connection: [
        connection.sendall(response().replace(b"Content-Length: 1", b"Content-Length: 9"))
    ],
    "with two lengths": lambda connection: connection.sendall(response(BODY, "Content-Length: 5")),
    "with a length below nothing": lambda connection: [connection.sendall(OK + b"Content-Length: -1\r\n\r\n" + BODY)],
    "with a length that is none": lambda connection: [connection.sendall(OK + b"Content-Length: 1e3\r\n\r\n" + BODY)],
    "with a length of many digits": lambda connection: [
        connection.sendall(OK + b"Content-Length: " + b"9" * 10_000 + b"\r\n\r\n" + BODY)
    ],
    "with a chunk that is none": lambda connection: [connection.sendall(CHUNKED + b"zz\r\n" + BODY)],
    "with a chunk below nothing": lambda connection: [connection.sendall(CHUNKED + b"-1\r\n" + BODY)],
    "with another coding of the way": lambda connection: [
        connection.sendall(OK + b"Transfer-Encoding: gzip\r\n\r\n" + BODY)
    ],
    "with zeros in a header": lambda connection: [connection.sendall(OK + b"X: \0\r\n\r\n" + BODY)],
    "in another protocol": lambda connection: [connection.sendall(b"HTTP/2 200\r\n\r\n" + BODY)],
    "in the oldest one": lambda connection: [connection.sendall(BODY)],
    "by switching over": lambda connection: [
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n" + BODY)
    ],
    "with nothing in it": lambda connection: connection.sendall(response(b"")),
    "with nothing in it, closed": lambda connection: [connection.sendall(OK + b"\r\n")],
    "with no chunk in it": lambda connection: connection.sendall(CHUNKED + b"0\r\n\r\n"),
    "with blanks in it": lambda connection: connection.sendall(response(b" \r\n\t")),
    "with no content": lambda connection: connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "unchanged": lambda connection: connection.sendall(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "with a length too short": lambda connection: connection.sendall(
        response().replace(f"Content-Length: {len(BODY)}".encode(), b"Content-Length: 9")
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_breaks_off_or_is_odd_is_told_and_passes(ask, name):
    server, source, error = await ask(BROKEN[name], AMPLE)
    assert isinstance(error, UsageError), error
    server.answer = lambda connection: connection.sendall(response())
    assert (await recovered(ask.again, source)).count == 11


async def test_what_comes_after_an_answer_is_no_answer(ask):
    """An answer that nobody asked for was made before the request that it seems to answer."""
    old = json.dumps({"results": {"concurrency_limit": 20, "concurrency_count": 0, "timestamp": "2025-05-02T02:36:11"}})
    sent = response() + response(old.encode())
    server, source, usage = await ask(lambda connection: connection.sendall(sent), AMPLE)
    assert usage.count == 11
    server.answer = lambda connection: connection.sendall(response())
    assert (await recovered(ask.again, source)).count == 11


@pytest.mark.parametrize("colour", ["sync"])  # a task is cancelled
async def test_a_reader_that_is_stuck_again_and_again_stops_asking(serve, colour):
    """A caller's own blocking client that cannot be cut: threads that hang are bounded, and end with their server."""
    before = threading.active_count()  # what tests before this one have left behind, too
    server = serve(without_end(OK + b"X-Long: ", b"x", 0.02))
    with httpx.Client() as client:
        source = source_of(server, 0.3, client=client)
        said = ""
        for _ in range(200):
            # On a loaded machine a byte comes too late, and a thread ends.
            with pytest.raises(UsageError) as caught:
                source.fetch()
            said = str(caught.value)
            assert len(helpers()) <= 8
            if "still hang: none is added" in said:
                break
        assert "still hang: none is added" in said
        server.close()
        await until(lambda: not helpers())
    assert threading.active_count() < before + 20
