"""`admission run`: a slot for as long as a command runs, its exit code, its signals."""

import signal
import stat
import time
from pathlib import Path

import pytest

from admission.telling import EVENTS
from admission.testing import FakePureTalk, serve
from tests.integration.cli_kit import KEY, Terminal, admission, environment, finish, started
from tests.servers import free_port
from tests.waiting import wait_until

STALLED = EVENTS["handed_back"].text.split("%(reservation)s")[1] + "\n"
USAGE, UNAVAILABLE, TEMPFAIL, CONFIG, NOT_EXECUTABLE, NOT_FOUND = 64, 69, 75, 78, 126, 127

TRAPS = """
for name in INT TERM HUP QUIT; do trap "echo got $name; exit 7" $name; done
echo ready
while :; do sleep 0.02; done
"""


def granted(ended):
    """Return what came of a command that had its slot, without the word that it was too late to take another before."""
    told = [line for line in ended.err.splitlines(keepends=True) if not line.endswith(STALLED)]
    return ended._replace(err="".join(told))


@pytest.fixture
def fake():
    return FakePureTalk(3, api_key=KEY)


@pytest.fixture
def env(fake):
    with serve(fake) as served:
        yield environment(PURETALK_BASE_URL=served.url)


@pytest.mark.parametrize("code", [0, 1, 255])
def test_the_exit_code_is_the_commands(env, code):
    assert granted(admission("run", "--", "sh", "-c", f"exit {code}", env=env)) == (code, "", "")


def test_arguments_are_passed_as_they_are(env):
    done = admission("run", "--lane", "default", "--", "printf", "%s\n", "--timeout", "--", "a b", "", env=env)
    assert (done.code, done.out.splitlines()) == (0, ["--timeout", "--", "a b", ""])


def test_input_and_output_are_the_commands(env):
    done = admission("run", "--", "sh", "-c", "cat; echo problem >&2", env=env, given="of the lead\n")
    assert granted(done) == (0, "of the lead\n", "problem\n")


def test_the_command_knows_its_reservation(env):
    done = admission("run", "--", "sh", "-c", "echo $ADMISSION_RESERVATION", env=env)
    assert len(done.out.strip()) > 10


def test_a_full_account(env, fake):
    fake.set_foreign(3)
    before = time.monotonic()
    for _ in range(5):
        done = admission("run", "--timeout", "0", "--", "echo", "never", env=env)
        # Within a second; a busy machine's ledger may not have answered.
        if done.code != UNAVAILABLE:
            break
    assert (done.code, done.out) == (TEMPFAIL, "")
    assert done.err.startswith("admission: no slot was free: 3 of 3 in use")
    done = admission("run", "--timeout", "5", "--", "echo", "never", env=env)
    assert (done.code, done.out) == (TEMPFAIL, "")
    assert time.monotonic() - before >= 5


def test_it_waits_for_a_slot(env, fake):
    fake.set_foreign(3)
    with started("run", "--", "echo", "my turn", env=env) as process:
        wait_until(lambda: fake.readings > 1)
        assert process.poll() is None
        fake.set_foreign(2)
        assert granted(finish(process)) == (0, "my turn\n", "")


def test_a_wrong_key(env, fake):
    fake.api_key = "another"
    done = admission("run", "--", "echo", "never", env=env)
    assert (done.code, done.out) == (CONFIG, "")
    assert "401" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err


def test_a_provider_that_is_away():
    env = environment(PURETALK_BASE_URL=f"http://127.0.0.1:{free_port()}/api")
    done = admission("run", "--timeout", "3", "--", "echo", "never", env=env)
    assert (done.code, done.out) == (UNAVAILABLE, "")
    assert done.err.startswith("admission: no reading of the provider is young enough to admit on: no answer from")
    assert done.err.count("\n") == 1


def test_a_redis_that_is_away(env):
    env = {**env, "ADMISSION_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    done = admission("run", "--timeout", "0", "--", "echo", "never", env=env)
    assert (done.code, done.out) == (UNAVAILABLE, "")
    assert done.err.startswith("admission: the ledger did not answer")
    assert "`admission doctor` says what is wrong" in done.err
    assert done.err.count("\n") == 1


def test_an_unknown_lane(env):
    done = admission("run", "--lane", "bulk", "--", "echo", "never", env=env)
    assert (done.code, done.out) == (CONFIG, "")
    assert "lane 'bulk' is not declared; known are: default" in done.err


def test_a_single_process_must_be_meant(env):
    del env["ADMISSION_LEDGER"]
    done = admission("run", "--", "echo", "never", env=env)
    assert (done.code, done.out) == (CONFIG, "")
    assert "ADMISSION_LEDGER=memory" in done.err


def test_a_command_that_is_not_there(env):
    done = admission("run", "--", "no-such-program-of-ours", env=env)
    assert (done.code, done.out) == (NOT_FOUND, "")
    assert done.err == "admission: no-such-program-of-ours: No such file or directory\n"


def test_a_command_that_cannot_be_executed(env, tmp_path):
    (tmp_path / "plain").write_text("no program")
    (tmp_path / "garbage").write_bytes(b"\x00\x01\x02")
    (tmp_path / "garbage").chmod(stat.S_IRWXU)
    for name in ("plain", "garbage"):
        done = admission("run", "--", str(tmp_path / name), env=env)
        assert (done.code, done.out) == (NOT_EXECUTABLE, "")
        assert done.err.startswith("admission: ")


@pytest.mark.parametrize("arguments", [["run"], ["run", "--"], ["run", "echo", "hi"], ["run", "--timeout", "soon"]])
def test_wrong_arguments(env, arguments):
    done = admission(*arguments, env=env)
    assert (done.code, done.out) == (USAGE, "")
    assert "usage: admission" in done.err


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT"])
def test_signals_are_passed_on(env, name):
    with started("run", "--", "sh", "-c", TRAPS, env=env) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert granted(finish(process)) == (7, f"got {name}\n", "")


def test_a_command_that_is_ended_by_a_signal(env):
    assert admission("run", "--", "sh", "-c", "kill -KILL $$", env=env).code == 128 + signal.SIGKILL
    with started("run", "--", "sh", "-c", "echo ready; exec sleep 30", env=env) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert finish(process).code == 128 + signal.SIGTERM


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_a_signal_ends_the_waiting(env, fake, name):
    fake.set_foreign(3)
    with started("run", "--", "echo", "never", env=env) as process:
        wait_until(lambda: fake.readings > 0)
        time.sleep(0.1)
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert finish(process) == (128 + getattr(signal, f"SIG{name}"), "", "")


def test_a_key_at_the_terminal_reaches_the_command_once(env):
    script = "trap 'echo got one' INT; echo ready; read line; echo bye $line"
    with Terminal("run", "--", "bash", "-c", script, env=env) as terminal:
        terminal.read_until("ready")
        terminal.press(b"\x03")
        terminal.read_until("got one")
        terminal.press(b"now\n")
        assert terminal.finish() == 0
    assert terminal.screen.count("got one") == 1
    assert "bye now" in terminal.screen


def test_ctrl_c_at_a_terminal_ends_a_command_and_us(env):
    with Terminal("run", "--", "sh", "-c", "echo ready; exec sleep 30", env=env) as terminal:
        terminal.read_until("ready")
        terminal.press(b"\x03")
        assert terminal.finish() == 128 + signal.SIGINT
    assert "Traceback" not in terminal.screen


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="asks the kernel for the arguments")
def test_the_key_is_in_no_arguments(env):
    show = "tr '\\0' ' ' < /proc/$PPID/cmdline; tr '\\0' ' ' < /proc/$$/cmdline"
    done = admission("run", "--", "sh", "-c", show, env=env)
    assert "admission.cli run" in done.out  # that the key is not, is checked for every command
