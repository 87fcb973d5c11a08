"""`admission`, `status`, `pause`, `resume`: what they show, and how they end."""

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from admission.testing import FakePureTalk, serve
from tests.integration.cli_kit import KEY, admission, environment, finish, started
from tests.servers import free_port, redis_server

USAGE, UNAVAILABLE, TEMPFAIL, CONFIG = 64, 69, 75, 78


@pytest.fixture
def fake():
    return FakePureTalk(20, api_key=KEY, foreign=6)


@pytest.fixture
def env(fake):
    with serve(fake) as served:
        yield environment(PURETALK_BASE_URL=served.url)


@pytest.fixture(scope="module")
def redis():
    with redis_server() as server:
        yield server


@pytest.fixture
def nobody():
    """An address where nobody listens."""
    return f"127.0.0.1:{free_port()}"


def one_line(text):
    assert text.startswith("admission: ")
    assert text.count("\n") == 1
    return text


def test_the_installed_program():
    program = Path(sysconfig.get_path("scripts")) / "admission"
    if not program.exists():
        pytest.skip("the package is not installed in this environment")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.startswith("admission ")


@pytest.mark.parametrize(
    "command", ["demo", "status", "watch", "dashboard", "holders", "doctor", "run", "pause", "resume"]
)
def test_help_lists_the_exit_codes(command):
    done = admission(command, "--help", env=environment())
    assert done.code == 0
    assert "exit codes:" in done.out
    assert "78    configuration" in done.out


def test_nothing_of_the_extra_is_needed_but_for_what_is_shown_live(env):
    block = "import sys; sys.modules.update(rich=None, uvicorn=None); from admission.cli import main; sys.exit(main())"
    done = [
        subprocess.run(
            [sys.executable, "-c", block, *arguments], env=env, capture_output=True, text=True, timeout=30, check=False
        )
        for arguments in (["status"], ["run", "--", "true"], ["demo", "--seconds", "1"], ["watch"])
    ]
    assert [one.returncode for one in done] == [0, 0, CONFIG, CONFIG]
    assert one_line(done[2].stderr) == "admission: the demo needs rich and uvicorn: install admission[cli]\n"
    assert one_line(done[3].stderr) == "admission: watch needs rich: install admission[cli]\n"


def test_status_shows_the_account(env):
    done = admission("status", env=env)
    assert (done.code, done.err) == (0, "")
    rows = dict(line.split(None, 1) for line in done.out.splitlines() if not line.startswith(("in use", "reading")))
    assert {name: rows[name] for name in ("limit", "count", "free", "pending", "held", "untracked", "waiting")} == {
        "limit": "20",
        "count": "6",
        "free": "14",
        "pending": "0",
        "held": "0",
        "untracked": "6",
        "waiting": "0",
    }
    assert rows["paused"] == "no"
    assert "in use       6" in done.out
    assert re.search(r"^reading age  \d+\.\d s$", done.out, re.MULTILINE)


def test_status_for_programs(env):
    done = admission("status", "--json", env=env)
    state = json.loads(done.out)
    assert (done.code, done.err, state["provider_error"]) == (0, "", None)
    assert (state["limit"], state["count"], state["in_use"], state["free"]) == (20, 6, 6, 14)
    assert state["parts"] == {"held": 0, "covered": 0, "untracked": 6, "pending": 0}
    assert (state["reading"], state["notes"]) == ("young", [])


def test_a_missing_key():
    settings = environment()
    del settings["PURETALK_API_KEY"]
    done = admission("status", env=settings)
    assert done.code == CONFIG
    assert "PURETALK_API_KEY is not set" in one_line(done.err)


def test_a_wrong_key(env, fake):
    fake.api_key = "another"
    done = admission("status", env=env)
    assert (done.code, done.out) == (CONFIG, "")
    assert "401" in one_line(done.err)


def test_a_provider_that_repeats_the_key(env, fake):
    fake.fail_always(500, body=f"do not show {KEY} to anybody")
    done = admission("status", env=env)
    assert done.code == UNAVAILABLE
    assert "do not show" in one_line(done.err)


def test_a_provider_that_is_away(nobody):
    done = admission("status", env=environment(PURETALK_BASE_URL=f"http://{nobody}/api"))
    assert done.code == UNAVAILABLE
    assert "no answer from" in one_line(done.err)


@pytest.mark.parametrize("arguments", [["status"], ["pause", "--reason", "r"], ["resume"]])
def test_a_redis_that_is_away(env, nobody, arguments):
    done = admission(*arguments, env={**env, "ADMISSION_REDIS_URL": f"redis://:pass-of-redis@{nobody}/0"})
    assert (done.code, done.out) == (UNAVAILABLE, "")
    assert "the ledger did not answer" in one_line(done.err)
    assert "pass-of-redis" not in done.err


def test_a_redis_url_that_cannot_be_read(env):
    done = admission("status", env={**env, "ADMISSION_REDIS_URL": "localhost:pass-of-redis"})
    assert done.code == CONFIG
    assert "Redis URL" in one_line(done.err)
    assert "pass-of-redis" not in done.err


@pytest.mark.parametrize("arguments", [["pause", "--reason", "why"], ["resume"]])
def test_a_memory_ledger_has_no_fleet_to_pause(env, arguments):
    done = admission(*arguments, env=env)
    assert (done.code, done.out) == (CONFIG, "")
    assert f"no fleet to {arguments[0]}" in one_line(done.err)


def test_the_state_of_a_fleet_is_shown_without_its_provider(redis, nobody):
    settings = environment(PURETALK_BASE_URL=f"http://{nobody}/api", ADMISSION_REDIS_URL=redis.url)
    assert admission("pause", "--reason", "the provider is away", env=settings).code == 0
    done = admission("status", env=settings)
    assert done.code == UNAVAILABLE
    assert "no answer from" in one_line(done.err)
    assert "limit        unknown" in done.out
    assert "paused       yes: the provider is away" in done.out
    state = json.loads(admission("status", "--json", env=settings).out)
    assert (state["limit"], state["paused"]) == (None, True)
    assert "no answer from" in state["provider_error"]


def test_one_lane_is_paused_alone(redis, nobody):
    settings = environment(PURETALK_BASE_URL=f"http://{nobody}/api", ADMISSION_REDIS_URL=redis.url)
    done = admission("pause", "--reason", "no agents", "--lane", "default", env=settings)
    assert (done.code, "lane default of" in done.out) == (0, True)
    shown = admission("status", env=settings).out
    assert re.search(r"^paused +no$", shown, re.MULTILINE)
    assert re.search(r"^lane default +0 waiting, 0 booked; .*; paused: no agents$", shown, re.MULTILINE)
    assert admission("resume", "--lane", "default", env=settings).code == 0
    assert "no agents" not in admission("status", env=settings).out
    done = admission("pause", "--reason", "why", "--lane", "typo", env=settings)
    assert done.code == CONFIG
    assert "lane 'typo' is not known; known are: default" in one_line(done.err)


def test_what_asks_the_ledger_only_needs_no_key_for_an_account_that_is_named(redis):
    settings = environment(ADMISSION_REDIS_URL=redis.url, ADMISSION_ACCOUNT="named")
    del settings["PURETALK_API_KEY"]
    assert admission("pause", "--reason", "why", env=settings).out == "named is paused: why\n"
    assert admission("resume", env=settings).out == "named goes on\n"
    assert admission("holders", env=settings).out == "0 booked on named\n"
    assert admission("status", env=settings).code == CONFIG
    with started("dashboard", "--port", "0", env=settings) as process:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.terminate()
        finish(process)


@pytest.mark.slow  # a new ledger admits nobody for as long as calls of before may be hidden: six seconds by default
def test_a_fleet_on_one_ledger(env, redis):
    env = {**env, "ADMISSION_REDIS_URL": redis.url, "ADMISSION_ACCOUNT": "fleet"}

    def state():
        return json.loads(admission("status", "--json", env=env).out)

    assert admission("pause", "--reason", "too many complaints", env=env).code == 0
    paused = admission("run", "--timeout", "3", "--", "echo", "never", env=env)
    assert (paused.code, paused.out) == (TEMPFAIL, "")
    assert "too many complaints" in one_line(paused.err)
    assert state()["paused"]
    assert admission("resume", env=env).code == 0
    assert not state()["paused"]

    with started("run", "--timeout", "20", "--", "sh", "-c", "echo on the phone; cat", env=env) as holder:
        assert holder.stdout.readline() == "on the phone\n"
        holding = state()
        assert holding["pending"] + holding["held"] == 1
        done = admission("holders", env=env)
        assert re.search(r"^\w+\.\w+\.\w+ +default  hold  (pending|held) .* yes ", done.out, re.MULTILINE)
        assert "1 booked on fleet: 1 " in done.out
        told = json.loads(admission("holders", "--json", env=env).out)
        assert (told["booked"], told["left_out"], told["rows"][0]["placed"]) == (1, 0, True)
        # Once it surely stands in the provider's count, which is others', it counts no more by itself.
        assert holding["in_use"] == 6 + holding["pending"]
        assert finish(holder, "") == (0, "", "")
    after = state()
    assert (after["pending"], after["held"], after["in_use"]) == (0, 0, 6)
    assert admission("holders", env=env).out == "0 booked on fleet\n"
