"""PureTalk against a server of a few lines that may do anything to its sockets: time, size, connections, forks."""

import asyncio
import gc
import gzip
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import traceback

import httpx
import pytest

from admission import ConfigurationError, Usage, UsageError
from admission.sources import JsonUsage, PureTalk
from admission.sources.connections import Line
from tests.integration.puretalk_kit import (
    BODY,
    KEY,
    SLACK,
    helpers,
    recovered,
    response,
    source_of,
    until,
    wait_until,
)


@pytest.fixture
async def read(colour):
    """Reads a source, checks that it took no longer than it may, and closes it at the end of the test."""
    sources = set()

    async def read(source):
        sources.add(source)
        begun = time.monotonic()
        try:
            return source.fetch() if colour == "sync" else await source.afetch()
        finally:
            assert time.monotonic() - begun < source.timeout + SLACK

    yield read
    for source in sources:
        await source.aclose()


def drip(connection, data):
    """Send a byte every 50 ms, for a minute: each read of the client is quick, the whole is not."""
    for number in range(1200):
        connection.sendall(data[number : number + 1] or b"x")
        time.sleep(0.05)


# Time.


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda connection: connection.recv(1), id="nothing"),
        pytest.param(lambda connection: drip(connection, b"HTTP/1.1 200 OK\r\nX-Long: "), id="headers"),
        pytest.param(lambda connection: [drip(connection, b"HTTP/1.1 100 Continue\r\n\r\n" * 99)], id="interim"),
        pytest.param(
            lambda connection: [connection.sendall(response()[:60]), drip(connection, response()[60:])], id="body"
        ),
    ],
)
async def test_a_slow_answer_ends_in_time_and_leaves_nothing_behind(serve, read, answer):
    server = serve(answer)
    source = source_of(server, timeout=0.2)
    with pytest.raises(UsageError, match=r"no full answer from .* within 0\.2 s"):
        await read(source)
    await until(lambda: not helpers())
    # On a busy machine the time was over before it connected.
    await until(lambda: server.closed == server.opened)
    server.answer = lambda connection: connection.sendall(response())
    assert (await recovered(read, source)).count == 11


async def test_a_drip_on_a_kept_connection_ends_in_time_too(serve, read):
    server = serve()
    source = source_of(server, timeout=0.2)
    await recovered(read, source)
    opened = server.opened
    server.answer = lambda connection: drip(connection, b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(UsageError, match="no full answer"):
        await read(source)
    assert server.opened == opened
    await until(lambda: not helpers())
    await until(lambda: server.closed == opened)


def test_a_connection_that_is_cut_while_its_server_floods_it_is_over_for_the_server_too(serve, monkeypatch):
    def flood(connection):
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

    def trace_slowly(line, event, info):
        trace(line, event, info)
        if event.endswith("receive_response_headers.started"):
            # Nothing is read until all buffers are full, and the connection is cut.
            wait_until(lambda: line._cut)
            time.sleep(0.05)

    trace = Line.trace
    monkeypatch.setattr(Line, "trace", trace_slowly)
    server = serve(flood)
    with pytest.raises(UsageError, match="no full answer"):
        source_of(server, timeout=0.5).fetch()
    wait_until(lambda: not helpers())
    wait_until(lambda: server.closed == 1)


async def test_a_server_that_never_accepts_ends_in_time(read):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        with pytest.raises(UsageError, match="no full answer"):
            await read(PureTalk(KEY, base_url=f"http://127.0.0.1:{port}", timeout=0.2))
        await until(lambda: not helpers())
        for filler in fillers:
            filler.close()


@pytest.fixture
def deaf(serve):
    """A server that takes everything that comes and says nothing."""
    server = serve()

    def swallow(connection):
        while data := connection.recv(65_536):
            server.requests.append(data)

    server._request = swallow
    server.url = server.url.replace("http:", "https:")
    return server


async def test_a_handshake_that_hangs_ends_in_time(deaf, read):
    with pytest.raises(UsageError, match="no full answer"):
        await read(source_of(deaf, timeout=0.2))
    await until(lambda: not helpers())
    await until(lambda: deaf.closed == deaf.opened)


async def test_a_handshake_that_is_cancelled_leaves_nothing_open(deaf):
    source = source_of(deaf)
    task = asyncio.create_task(source.afetch())
    await until(lambda: deaf.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: deaf.closed == 1)


async def test_a_resolver_that_hangs_ends_in_time(read, monkeypatch):
    go_on = threading.Event()

    def hang(*_args, **_kwargs):
        go_on.wait(20)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        with pytest.raises(UsageError, match="no full answer"):
            await read(PureTalk(KEY, base_url="http://hangs.test", timeout=0.2))
    finally:
        go_on.set()
    await until(lambda: not helpers())


async def test_a_slow_answer_on_the_callers_client_ends_in_time_and_leaves_the_client_alone(serve, colour, read):
    server = serve()
    mine = httpx.Client() if colour == "sync" else httpx.AsyncClient()
    source = source_of(server, client=mine, timeout=0.2)
    await recovered(read, source)
    stop = threading.Event()

    def dripping(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not stop.wait(0.05):
            connection.sendall(b"x")
        connection.sendall(b"\r\n" + response()[17:])

    server.answer = dripping
    with pytest.raises(UsageError, match="no full answer"):
        await read(source)
    stop.set()
    await until(lambda: not helpers())
    server.answer = lambda connection: connection.sendall(response())
    assert (await recovered(read, source)).count == 11
    assert not mine.is_closed
    mine.close() if colour == "sync" else await mine.aclose()


def test_an_exception_raised_by_a_signal_ends_the_wait_and_the_request(serve):
    class TimeLimitError(Exception):
        pass

    def limit(_signum, _frame):
        raise TimeLimitError

    def answer(connection):
        os.kill(os.getpid(), signal.SIGALRM)
        drip(connection, b"HTTP/1.1 200 OK\r\n")

    server = serve(answer)
    source = source_of(server, timeout=30)
    before = signal.signal(signal.SIGALRM, limit)
    try:
        with pytest.raises(TimeLimitError):
            source.fetch()
    finally:
        signal.signal(signal.SIGALRM, before)
    wait_until(lambda: not helpers())
    wait_until(lambda: server.closed == 1)


# Size.


async def test_a_body_without_end_is_not_read_on(serve, read):
    sent = 0

    def pour(connection):
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            sent += connection.send(b" " * 65_536)

    server = serve(pour)
    with pytest.raises(UsageError, match="is longer than 1,048,576 bytes") as caught:
        await read(source_of(server))
    assert caught.value.status == 200
    await until(lambda: server.closed == 1)
    # What the kernel holds on both sides comes on top.
    assert sent < 40_000_000


async def test_a_packed_body_is_read_within_bounds(serve, read):
    server = serve(lambda connection: connection.sendall(response(gzip.compress(BODY), "Content-Encoding: gzip")))
    source = source_of(server)
    assert (await read(source)).limit == 20
    assert b"accept-encoding: identity\r\n" in server.requests[0].lower()
    bomb = gzip.compress(b" " * 50_000_000)
    server.answer = lambda connection: connection.sendall(response(bomb, "Content-Encoding: gzip"))
    with pytest.raises(UsageError, match="is longer than"):
        await read(source)


async def test_headers_without_end_are_not_read_on(serve, read):
    server = serve(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-Many: of these\r\n" * 100_000))
    with pytest.raises(UsageError, match="RemoteProtocolError"):
        await read(source_of(server))


# What is no answer.


@pytest.mark.parametrize(
    "sent",
    [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", b"HTTP/1.1 20 X\r\n\r\n\0"],
)
async def test_a_connection_that_breaks_off_may_pass(serve, read, sent):
    server = serve(lambda connection: [connection.sendall(sent)])
    with pytest.raises(UsageError, match="no answer from") as caught:
        await read(source_of(server))
    assert caught.value.status is None
    assert isinstance(caught.value.__cause__, httpx.TransportError)
    assert KEY not in repr(caught.value.__cause__)


async def test_nobody_there_may_pass(serve, read):
    server = serve()
    server.close()
    with pytest.raises(UsageError, match="ConnectError"):
        await read(source_of(server))


async def test_plain_http_behind_an_https_address_may_pass(serve, read):
    server = serve(lambda connection: [connection.sendall(response())])
    # The greeting of TLS ends in no blank line: the server has to answer unasked.
    server._request = lambda connection: connection.recv(65_536)
    with pytest.raises(UsageError, match="no answer from https://"):
        await read(PureTalk(KEY, base_url=server.url.replace("http:", "https:")))


async def test_an_echo_of_the_request_shows_no_key(serve, read):
    server = serve(lambda connection: [connection.sendall(b"HTTP/1.1 200 OK\r\n :" + server.requests[-1])])
    with pytest.raises(UsageError, match="RemoteProtocolError") as caught:
        await read(source_of(server))
    assert KEY not in "".join(traceback.format_exception(caught.value))


async def test_no_log_of_a_request_shows_a_key_in_its_address(serve, read, caplog):
    server = serve()
    with caplog.at_level(logging.DEBUG):
        await read(
            JsonUsage(f"{server.url}/usage?key={KEY}", {"X-Key": KEY}, limit=1, count="results.concurrency_count")
        )
    assert f"key={KEY}".encode() in server.requests[-1]
    assert {record.name.partition(".")[0] for record in caplog.records} >= {"httpx", "httpcore"}
    assert KEY not in caplog.text


@pytest.mark.parametrize("follow", [False, True])
async def test_a_redirect_takes_the_key_nowhere(serve, colour, read, follow):
    thief = serve()
    kind = httpx.Client if colour == "sync" else httpx.AsyncClient
    server = serve(lambda connection: connection.sendall(response(b"", f"Location: {thief.url}/x", status="307 Moved")))
    mine = kind(follow_redirects=True) if follow else None
    source = source_of(server, client=mine)
    with pytest.raises(UsageError, match=r"redirected to host '127\.0\.0\.1', not followed; set base_url"):
        await read(source)
    assert len(server.requests) == 1
    assert thief.opened == 0
    if mine is not None:
        mine.close() if colour == "sync" else await mine.aclose()


async def test_cookies_are_not_kept(serve, read):
    server = serve(lambda connection: connection.sendall(response(BODY, "Set-Cookie: a=b", "Set-Cookie: c=d; Path=/")))
    source = source_of(server)
    await read(source)
    await read(source)
    assert b"cookie" not in b"".join(server.requests).lower()


# Connections.


async def test_readings_share_a_connection_and_close_ends_it(serve, read):
    server = serve()
    source = source_of(server)
    for _ in range(3):
        assert isinstance(await read(source), Usage)
    assert (server.opened, len(server.requests)) == (1, 3)
    await source.aclose()
    await source.aclose()
    await until(lambda: server.closed == 1)
    await read(source)
    assert server.opened == 2


async def test_a_connection_survives_a_bad_answer(serve, read):
    server = serve(lambda connection: connection.sendall(response(b"{}", status="503 Busy")))
    source = source_of(server)
    for _ in range(3):
        with pytest.raises(UsageError):
            await read(source)
    assert server.opened == 1


@pytest.mark.parametrize("cyclic", [False, True])
async def test_a_source_that_nobody_holds_closes_its_connections(serve, colour, cyclic):
    server = serve()
    source = source_of(server)
    if cyclic:
        holder = [source]
        holder.append(holder)
        del holder
    await asyncio.to_thread(source.fetch) if colour == "sync" else await source.afetch()
    await until(lambda: not helpers())
    del source
    gc.collect()
    for _ in range(3):
        await asyncio.sleep(0)
    await until(lambda: server.closed == 1)


def test_threads_have_a_connection_each_and_hand_it_on(serve):
    server = serve()
    source = source_of(server)
    gate = threading.Barrier(4)

    def answer(connection):
        gate.wait(10)
        connection.sendall(response())

    server.answer = answer
    usages = []
    threads = [threading.Thread(target=lambda: usages.append(source.fetch())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (len(usages), server.opened) == (4, 4)
    server.answer = lambda connection: connection.sendall(response())
    for _ in range(8):
        source.fetch()
    assert server.opened == 4
    source.close()
    wait_until(lambda: server.closed == 4)


def test_closing_during_a_reading_lets_it_end_and_keeps_nothing(serve):
    asked, go_on = threading.Event(), threading.Event()

    def answer(connection):
        asked.set()
        go_on.wait(10)
        connection.sendall(response())

    server = serve(answer)
    source = source_of(server)
    usages = []
    thread = threading.Thread(target=lambda: usages.append(source.fetch()))
    thread.start()
    assert asked.wait(10)
    source.close()
    go_on.set()
    thread.join(10)
    assert len(usages) == 1
    wait_until(lambda: server.closed == 1)


async def test_many_tasks_share_one_loop_client(serve):
    server = serve()
    source = source_of(server)
    usages = await asyncio.gather(*(source.afetch() for _ in range(5)))
    assert len(usages) == 5
    assert len(source._kept) == 1
    await source.aclose()
    assert not source._kept


def test_loops_that_end_close_their_connections(serve):
    server = serve()
    source = source_of(server)
    for ended in range(1, 4):
        assert asyncio.run(source.afetch()).count == 11
        wait_until(lambda ended=ended: server.closed == ended)
        assert not source._kept


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_loop_that_was_closed_without_its_shutdown_is_forgotten(serve):
    server = serve()
    source = source_of(server)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(source.afetch())
    loop.close()
    assert len(source._kept) == 1
    with asyncio.Runner() as runner:
        runner.run(source.afetch())
        assert len(source._kept) == 1
        del loop
        gc.collect()


async def test_a_wrong_key_names_what_to_check(serve, read):
    server = serve(
        lambda connection: connection.sendall(response(b'{"err": true, "msg": "no"}', status="401 Unauthorized"))
    )
    with pytest.raises(ConfigurationError, match="refuses the API key"):
        await read(source_of(server))


async def test_another_process_does_not_use_what_it_inherits(serve, colour, monkeypatch):
    # In one process, with the number changed, so that what is closed can be seen to be closed.
    server = serve()
    source = source_of(server)
    parent = os.getpid()

    async def read(source):
        return source.fetch() if colour == "sync" else await source.afetch()

    await read(source)
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    await read(source)
    await read(source)
    assert server.opened == 2
    # Sockets alone are closed; a parent's loop is left alone.
    await until(lambda: server.closed == (colour == "sync"))
    await source.aclose()
    await until(lambda: server.closed == 1 + (colour == "sync"))
    held = source._kept
    del source
    gc.collect()
    assert len(held) == (colour == "async")
    monkeypatch.setattr(os, "getpid", lambda: parent)
    held.clear()
    for _ in range(3):
        await asyncio.sleep(0)
    await until(lambda: server.closed == server.opened)


# Whole processes: with every warning an error, nothing may be said.


def run_python(code, *args):
    script = textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *args],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.split()


def test_a_program_that_never_closes_anything_ends_without_a_word(serve):
    server = serve()
    out = run_python(
        """
        import asyncio, sys
        from admission.sources import PureTalk
        source = PureTalk("pt-live-0123456789abcdef", base_url=sys.argv[1], timeout=30)
        print(source.fetch().count)
        async def twice():
            await source.afetch()
            return (await source.afetch()).count
        print(asyncio.run(twice()))
        print(asyncio.run(twice()))
        """,
        server.url,
    )
    assert out == ["11", "11", "11"]
    wait_until(lambda: server.closed == 3)
    assert server.opened == 3


def test_a_forked_child_opens_its_own_connections(serve):
    server = serve()
    out = run_python(
        """
        import asyncio, os, sys, time, threading, warnings
        from admission.sources import PureTalk
        source = PureTalk("pt-live-0123456789abcdef", base_url=sys.argv[1], timeout=30)
        source.fetch()
        loop = asyncio.new_event_loop()
        loop.run_until_complete(source.afetch())
        while threading.active_count() > 1:
            time.sleep(0.01)
        pid = os.fork()
        if not pid:
            source.fetch()
            asyncio.run(source.afetch())
            asyncio.run(source.aclose())
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        source.fetch()
        loop.run_until_complete(source.afetch())
        loop.run_until_complete(source.aclose())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        print("fine")
        """,
        server.url,
    )
    assert out == ["fine"]
    assert len(server.requests) == 6
    assert server.opened == 4


def test_a_request_in_flight_does_not_hold_up_the_end_of_the_program(serve, tmp_path):
    asked = tmp_path / "asked"

    def never(connection):
        asked.touch()
        connection.recv(1)

    server = serve(never)
    (ends,) = run_python(
        """
        import pathlib, sys, threading, time
        from admission.sources import PureTalk
        source = PureTalk("pt-live-0123456789abcdef", base_url=sys.argv[1], timeout=60)
        threading.Thread(target=source.fetch, daemon=True).start()
        # Python 3.11.2 crashes if it ends before a daemon thread that was started has begun.
        while not pathlib.Path(sys.argv[2]).exists():
            time.sleep(0.01)
        print(time.monotonic())
        """,
        server.url,
        str(asked),
    )
    assert time.monotonic() - float(ends) < 30
