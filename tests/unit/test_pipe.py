"""What a connection makes of errors that come under redis-py's hands."""

import pytest
import redis

from admission.ledger.redis.pipe import Pipe, script_command
from admission.ledger.requests import Ask, Beat, Who
from admission.ledger.wire import ONLOOKER, Kind
from tests.books import POLICY, entry
from tests.guards.interrupts import Alarm

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

    read_response = send_packed_command


def broken(error):
    pipe = Pipe(None)
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
