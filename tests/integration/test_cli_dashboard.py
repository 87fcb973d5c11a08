"""`admission dashboard`: where it listens, for whom, and how it ends."""

import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from tests.integration.cli_kit import KEY, NOHUP, admission, environment, finish, started
from tests.servers import redis_server

CONFIG = 78
TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def env():
    with redis_server() as server:
        # The provider is never asked: nobody listens there.
        yield environment(PURETALK_BASE_URL="http://127.0.0.1:9/api", ADMISSION_REDIS_URL=server.url)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_comes(env, signum):
    with started("dashboard", "--port", "0", env=env) as process:
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
        assert httpx.get(url).status_code == 200
        assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 421
        assert httpx.post(f"{url}pause", json={}).status_code == 403
        with httpx.stream("GET", f"{url}events", timeout=20) as response:
            lines = response.iter_lines()
            assert next(lines) == "event: hello"
            process.send_signal(signum)
            assert KEY not in "".join(lines)
        assert finish(process) == (128 + signum, "", "")


def test_a_hang_up_that_the_caller_ignores_is_none(env):
    with started("dashboard", "--port", "0", env=env, program=NOHUP) as process:
        url = process.stdout.readline().strip()
        assert httpx.get(url).status_code == 200
        process.send_signal(signal.SIGHUP)
        assert httpx.get(url).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert finish(process) == (128 + signal.SIGTERM, "", "")


def test_elsewhere_everything_takes_the_token(env):
    done = admission("dashboard", "--host", "0.0.0.0", env=env)
    assert (done.code, done.out) == (CONFIG, "")
    assert "others than this machine could look on; set ADMISSION_DASHBOARD_TOKEN" in done.err
    settings = {**env, "ADMISSION_DASHBOARD_TOKEN": TOKEN}
    with started("dashboard", "--host", "0.0.0.0", "--port", "0", env=settings) as process:
        url = process.stdout.readline().strip().replace("0.0.0.0", "127.0.0.1")
        bearer = {"Authorization": f"Bearer {TOKEN}", "Host": "calls.example"}
        assert httpx.get(url, headers={"Host": "calls.example"}).status_code == 200
        assert httpx.get(f"{url}state").status_code == 401
        assert httpx.get(f"{url}state", headers=bearer).status_code == 200
        assert httpx.post(f"{url}pause", headers=bearer, json={"reason": "why"}).json()["paused"] is True
        process.terminate()
        assert TOKEN not in "".join(finish(process)[1:])


def test_only_some_names_elsewhere(env):
    settings = {**env, "ADMISSION_DASHBOARD_TOKEN": TOKEN}
    with started("dashboard", "--host", "0.0.0.0", "--name", "calls.example", "--port", "0", env=settings) as process:
        url = process.stdout.readline().strip().replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(url, headers={"Host": "calls.example:1"}).status_code == 200
        assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 421
        process.terminate()
        finish(process)


def test_a_token_that_is_too_short(env):
    done = admission("dashboard", env={**env, "ADMISSION_DASHBOARD_TOKEN": "too-short"})
    assert done.code == CONFIG
    assert "at least 16 characters" in done.err
    assert "too-short" not in done.err


def test_a_port_that_is_taken(env):
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = admission("dashboard", "--port", str(other.getsockname()[1]), env=env)
    assert done.code == CONFIG
    assert "cannot listen there (Address already in use)" in done.err


def test_no_fleet():
    done = admission("dashboard", env=environment())
    assert done.code == CONFIG
    assert "there is no fleet to show" in done.err


def test_without_the_extra(env):
    block = "import sys; sys.modules.update(rich=None, uvicorn=None); from admission.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", block, "dashboard"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (CONFIG, "")
    assert done.stderr == "admission: the dashboard needs uvicorn: install admission[dashboard]\n"
