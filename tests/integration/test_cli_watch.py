"""`admission watch` on a real terminal, beside a real ledger."""

import re
import signal

import pytest

from admission import Guard, Policy, PureTalk, RedisLedger
from admission.testing import FakePureTalk, serve
from tests.integration.cli_kit import KEY, NOHUP, Terminal, admission, environment
from tests.servers import free_port, kill, redis_server

USAGE, CONFIG = 64, 78
POLICY = Policy(visibility_lag=0.0, refresh_interval=0.05, placement_timeout=1.0)
OUT_OF_THE_ALTERNATE_SCREEN = "\x1b[?1049l"
CURSOR_ON = "\x1b[?25h"
COLOUR = re.compile(r"\x1b\[[0-9;]*?\b(3[0-7]|9[0-7]|38;)")


@pytest.fixture
def fake():
    return FakePureTalk(20, api_key=KEY, foreign=6)


@pytest.fixture
def url(fake):
    with serve(fake) as served:
        yield served.url


@pytest.fixture(scope="module")
def redis():
    with redis_server() as server:
        yield server


@pytest.fixture
def env(url, redis, request):
    return environment(
        PURETALK_BASE_URL=url,
        ADMISSION_REDIS_URL=redis.url,
        ADMISSION_ACCOUNT=request.node.name.replace("[", "-").strip("]"),
    )


@pytest.fixture
def guard(env):
    source = PureTalk(KEY, base_url=env["PURETALK_BASE_URL"])
    ledger = RedisLedger(env["ADMISSION_REDIS_URL"])
    with Guard(source, ledger, account=env["ADMISSION_ACCOUNT"], policy=POLICY) as one:
        yield one


def test_the_numbers_move_and_the_provider_is_not_asked(env, guard, fake):
    guard.refresh()
    readings = fake.readings
    with Terminal("watch", env=env) as terminal:
        before = terminal.settings()
        terminal.read_until("in use ")
        terminal.read_until("6 of 20")
        guard.call_started("a call from outside")
        terminal.read_until("7 of 20")
        terminal.press(b"q")
        assert terminal.finish() == 0
        assert OUT_OF_THE_ALTERNATE_SCREEN in terminal.screen
        assert CURSOR_ON in terminal.screen
        assert terminal.settings()[:4] == before[:4]
    assert fake.readings == readings


def test_pause_and_resume(env, guard):
    with Terminal("watch", env=env) as terminal:
        terminal.read_until("p\x1b")
        terminal.press(b"p")
        terminal.read_until("pause, reason:")
        terminal.press(b"too many complaints\r")
        terminal.read_until("■ paused: too many complaints")
        assert guard.status().pause_reason == "too many complaints"
        terminal.press(b"p")
        terminal.read_until("resume the fleet?")
        terminal.press(b"p")
        terminal.read_until("the fleet goes on")
        assert not guard.status().paused
        terminal.press(b"p\x03")
        assert terminal.finish() == 128 + signal.SIGINT


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_restores_the_terminal(env, signum):
    with Terminal("watch", env=env) as terminal:
        before = terminal.settings()
        terminal.read_until("of ?")
        terminal.signal(signum)
        assert terminal.finish() == 128 + signum
        assert OUT_OF_THE_ALTERNATE_SCREEN in terminal.screen
        assert terminal.settings()[:4] == before[:4]


def test_ctrl_backslash_restores_the_terminal(env):
    with Terminal("watch", env=env) as terminal:
        before = terminal.settings()
        terminal.read_until("of ?")
        terminal.press(b"\x1c")
        assert terminal.finish() == 128 + signal.SIGQUIT
        assert OUT_OF_THE_ALTERNATE_SCREEN in terminal.screen
        assert terminal.settings()[:4] == before[:4]


def test_a_hang_up_that_the_caller_ignores_is_none(env):
    with Terminal("watch", env=env, program=NOHUP) as terminal:
        terminal.read_until("of ?")
        terminal.signal(signal.SIGHUP)
        terminal.press(b"p")
        terminal.read_until("pause, reason:")
        terminal.signal(signal.SIGTERM)
        assert terminal.finish() == 128 + signal.SIGTERM


def test_no_colour(env):
    with Terminal("watch", env={**env, "NO_COLOR": "1"}, size=(40, 16)) as terminal:
        terminal.read_until("of ?")
        terminal.press(b"q")
        assert terminal.finish() == 0
        assert not COLOUR.search(terminal.screen)
    with Terminal("watch", env=env) as terminal:
        terminal.read_until("of ?")
        terminal.press(b"q")
        assert terminal.finish() == 0
        assert COLOUR.search(terminal.screen)


def test_a_ledger_that_goes_and_comes_back(url):
    port = free_port()
    env = environment(PURETALK_BASE_URL=url, ADMISSION_REDIS_URL=f"redis://alice:pass-of-redis@127.0.0.1:{port}/0")
    options = ("--user", "alice", "on", ">pass-of-redis", "~*", "&*", "+@all")
    with Terminal("watch", env=env) as terminal:
        terminal.read_until("did not answer")
        with redis_server(port=port, options=options) as server:
            terminal.read_until("of ?")
            kill(server)
            terminal.forget()
            terminal.read_until("told")  # one word, which no line is broken in
            terminal.press(b"pwhy\r")
            terminal.read_until("pause failed")
            terminal.press(b"q")
            assert terminal.finish() == 0
        assert "pass-of-redis" not in terminal.screen


def test_what_is_no_terminal(env):
    done = admission("watch", env=env)
    assert (done.code, done.out) == (USAGE, "")
    assert done.err == "admission: watch needs a terminal; `admission status` shows the account once\n"
    with Terminal("watch", env={**env, "TERM": "dumb"}) as terminal:
        assert terminal.finish() == USAGE


def test_no_fleet():
    with Terminal("watch", env=environment()) as terminal:
        assert terminal.finish() == CONFIG
        assert "there is no fleet to watch" in terminal.screen


def test_a_fault_of_our_own_restores_the_terminal(env):
    block = (
        "import sys; from admission.cli.watch import screen; from admission.cli import main\n"
        "def fail(*_): raise ZeroDivisionError\n"
        "screen.Drawing._numbers = fail\n"
        "sys.exit(main())"
    )
    with Terminal("watch", env=env, program=("-c", block)) as terminal:
        before = terminal.settings()
        assert terminal.finish() == 70
        assert "ZeroDivisionError" in terminal.screen.partition(OUT_OF_THE_ALTERNATE_SCREEN)[2]
        assert terminal.settings()[:4] == before[:4]
