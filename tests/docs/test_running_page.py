"""The programs of the page on running dialers, stopped as systemd and Kubernetes stop them; its files parse."""

from __future__ import annotations

import configparser
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from admission import Guard
from admission.testing import FakePureTalk, serve
from tests.servers import redis_server
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guides" / "running.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PHONE = """
import os

import httpx


url = os.environ["PURETALK_BASE_URL"] + "/calls"
headers = {"X-API-KEY": os.environ["PURETALK_API_KEY"]}


def start(lead):
    return httpx.post(url, headers=headers, json={"metadata": lead}).raise_for_status().json()["call_id"]


async def start_async(lead):
    async with httpx.AsyncClient() as client:
        answer = await client.post(url, headers=headers, json={"metadata": lead})
    return answer.raise_for_status().json()["call_id"]
"""


@pytest.fixture
def provider():
    fake = FakePureTalk(3)
    with serve(fake) as served:
        yield fake, served.url


@pytest.fixture
def env(provider):
    fake, url = provider
    with redis_server() as server:
        yield {
            **os.environ,
            "PURETALK_API_KEY": fake.api_key,
            "PURETALK_BASE_URL": url,
            "ADMISSION_REDIS_URL": server.url,
            "PYTHONPATH": str(ROOT),
        }


def files(kind):
    """Return the page's files of a kind, by their names."""
    return {re.match(r"# (\S+)", text)[1]: text for found, text in BLOCK.findall(PAGE) if found == kind}


@pytest.fixture
def folder(tmp_path):
    for name, text in {**files("python"), "phone.py": PHONE}.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


@pytest.mark.parametrize("program", ["dialer.py", "campaign.py"])
def test_a_program_that_is_told_to_stop_ends_in_order_while_others_wait(program, env, provider, folder):
    fake, _ = provider
    command = [sys.executable, program, *(f"lead-{number}" for number in range(6))]
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        wait_until(lambda: fake.started == 3, timeout=60)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert (fake.started, fake.refused) == (3, 0)


@pytest.mark.parametrize("program", ["dialer.py", "campaign.py"])
def test_a_dial_that_fails_ends_no_program(program, env, provider, folder):
    fake, _ = provider
    fake.fail_next_dials(1, status=400)
    command = [sys.executable, program, "lead-0", "lead-1"]
    done = subprocess.run(command, check=False, cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert fake.started == 1
    assert done.stderr.count("only the provider can say") == 1


def test_a_command_runs_as_long_as_its_call(env, provider, folder):
    fake, _ = provider
    calls = "import phone; print(phone.start('lead-0'))"
    command = [sys.executable, "run.py", sys.executable, "-c", calls]
    subprocess.run(command, check=True, cwd=folder, env=env, timeout=60)
    assert fake.started == 1
    failed = subprocess.run(
        [*command[:-1], "raise SystemExit(3)"], check=False, cwd=folder, env=env, capture_output=True, timeout=60
    )
    assert failed.returncode == 1
    assert b"the command ended with 3" in failed.stderr


def test_the_unit_parses_and_names_what_there_is():
    (unit,) = files("ini").values()
    parser = configparser.ConfigParser(strict=False)
    parser.optionxform = str
    parser.read_string(unit)
    assert parser["Service"]["ExecStartPre"].endswith("admission doctor")
    assert parser["Service"]["ExecStart"].endswith(" dialer.py")
    assert "dialer.py" in files("python")


def test_the_environment_of_the_deployment_is_one_that_guards_read(monkeypatch):
    named = re.findall(r"\{name: ([A-Z_]+),", PAGE)
    assert named == ["ADMISSION_ACCOUNT", "PURETALK_API_KEY", "ADMISSION_REDIS_URL"]
    for name in named:
        monkeypatch.setenv(name, "redis://127.0.0.1:1/0" if name.endswith("URL") else "puretalk-main")
    assert Guard.from_env().account == "puretalk-main"
