"""What a connection makes of errors that come under redis-py's hands."""

import socket
import threading
from contextlib import contextmanager, suppress

import pytest
import redis

from admission.ledger.redis import pipe as module
from admission.ledger.redis.ear import Ear
from admission.ledger.redis.pipe import Pipe, script_command
from admission.ledger.requests import Ask, Beat, Who
from admission.ledger.wire import ONLOOKER, Kind
from tests.books import POLICY, entry
from tests.guards.interrupts import Alarm
from tests.waiting import wait_until

COMMAND = [("PING",)]


def test_a_script_is_called_with_text_alone():
    """A number that hiredis packs as a signal's handler raises makes the interpreter crash."""
    who = Who("p", 1, POLICY.text() + ONLOOKER, -1)
    requests = [
        Ask("seat", "rid", "default", int(Kind.HOLD), 1, 2, 3, 1, 0),
        Beat(0, 0, "", 0, (entry("rid"),)),
    ]
    assert {type(one) for one in script_command("run", "acme", who, requests)} == {str}


class Broken:
    """A connection on which every use raises."""

    socket_timeout = 1.0

    def __init__(self, error):
        self.error = error

    def send_packed_command(self, *_args, **_settings):
        raise self.error

    connect = read_response = send_packed_command

    def disconnect(self):
        pass


class Pool:
    """A pool whose connections are broken."""

    def __init__(self, error):
        self.connection_kwargs = {}
        self._error = error

    def connection_class(self, **_settings):
        return Broken(self._error)


def broken(error):
    pipe = Pipe(Pool(error))
    pipe._connection = Broken(error)
    return pipe


USES = [pytest.param(lambda pipe: pipe.send(COMMAND), id="send"), pytest.param(Pipe.reply, id="reply")]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("error", [AttributeError("_sock"), ValueError("closed file"), RuntimeError("gone")])
def test_whatever_redis_py_stumbles_over_is_a_connection_that_failed(use, error):
    with pytest.raises(redis.ConnectionError, match=type(error).__name__) as caught:
        use(broken(error))
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("error", [Alarm("time is over"), KeyboardInterrupt(), redis.TimeoutError("slow"), OSError(32)])
def test_what_a_signal_has_raised_is_the_callers(use, error):
    with pytest.raises(type(error)) as caught:
        use(broken(error))
    assert caught.value is error
    assert error.__cause__ is None


class Refused(Exception):
    """Of somebody else's library."""


@pytest.mark.parametrize("error", [Refused("no token"), RuntimeError("gone"), redis.TimeoutError("slow"), OSError(32)])
def test_whatever_is_raised_in_the_clerks_thread_is_a_connection_that_failed(error):
    pipe = broken(error)
    for use in (lambda: pipe.run(COMMAND), pipe.connect):
        with pytest.raises((redis.RedisError, OSError), match=str(error.args[0])) as caught:
            use()
        assert error in {caught.value, caught.value.__cause__}
        assert pipe._connection is None


class Stalled:
    """A server that says a few bytes on every connection, and then nothing any more.

    Attributes:
        connections: The connections that it took.
    """

    def __init__(self, answer):
        self.connections = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections.append(connection)
                connection.sendall(self._answer)

    def close(self):
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in [self._listener, *self.connections]:
            one.close()


@contextmanager
def patient(answer, **settings):
    """Make a client without time-outs of a server that stalls; in the end whoever waits for that is cut off."""
    server = Stalled(answer)
    give_up = threading.Timer(60.0, server.close)
    give_up.start()
    try:
        with redis.Redis(port=server.port, socket_timeout=None, socket_connect_timeout=None, **settings) as client:
            yield server, client
    finally:
        give_up.cancel()
        server.close()


def test_a_server_that_takes_a_connection_and_says_nothing_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.1)
    with patient(b"") as (_, client):
        pipe = Pipe(client.connection_pool)
        with pytest.raises(redis.TimeoutError):
            pipe.connect()


def test_a_server_that_stops_in_the_middle_of_a_reply_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.1)

    def connect(connection):
        connection._parser.on_connect(connection)

    with patient(b"$10\r\nrun_id", redis_connect_func=connect) as (_, client):
        pipe = Pipe(client.connection_pool)
        with pytest.raises(redis.TimeoutError):
            pipe.connect()


def test_a_time_out_of_the_callers_own_is_kept():
    with redis.Redis(socket_timeout=7, socket_connect_timeout=8) as client:
        made = module.new_connection(client.connection_pool)
        assert (made.socket_timeout, made.socket_connect_timeout) == (7, 8)


class Clerk:
    """A clerk that nobody calls."""


def test_a_server_that_takes_a_connection_and_says_nothing_is_left_by_the_ear(monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.1)
    with patient(b"") as (server, client):
        ear = Ear(client, Clerk())
        try:
            wait_until(lambda: len(server.connections) > 1, timeout=50.0)
        finally:
            ear.stop()
