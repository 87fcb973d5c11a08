"""Every Python block of the README and of the docs is run, in the order of its page."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import httpx
import pytest

import admission
from admission.testing import FakePureTalk, serve
from tests.servers import redis_server

ROOT = Path(__file__).parents[2]
OWN_TESTS = {"redis.md": "test_redis_page.py", "running.md": "test_running_page.py", "tutorial.md": "test_tutorial.py"}
"""Pages whose examples are run in another way, and by which file."""
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.name not in OWN_TESTS)]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Client:
    """A reader's own client: it places calls at the stand-in provider."""

    def __init__(self, provider):
        self.provider = provider

    def start(self, lead):
        return self.provider.start_call(duration=0.05, metadata=lead)

    try_start = start

    def wait_until_over(self, call_id):
        time.sleep(0.05)
        self.provider.end_call(call_id)

    def find(self, lead):
        with self.provider._lock:
            return next((id_ for id_, call in self.provider._book._calls.items() if call.metadata == lead), None)


@pytest.fixture(scope="module")
def redis_url():
    with redis_server() as server:
        yield server.url


# What arq gives to a newer redis-py than it asks for.
@pytest.mark.filterwarnings("ignore:.*retry_on_timeout:DeprecationWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("quick")
def test_every_python_block_of_the_page_runs(page, redis_url, monkeypatch):
    blocks = BLOCK.findall(page.read_text("utf-8"))
    provider = FakePureTalk(limit=20)
    # What a page exports is gone after it.
    with serve(provider) as served, mock.patch.dict(os.environ):
        monkeypatch.setenv("PURETALK_API_KEY", provider.api_key)
        monkeypatch.setenv("PURETALK_BASE_URL", served.url)
        if page.name in {"README.md", "accounts.md", "task-queues.md"}:
            monkeypatch.setenv("ADMISSION_REDIS_URL", redis_url)
            # A new account is looked at for a second before it admits, and a busy machine takes its time to read:
            # a job of the page waits for two.
            with admission.Guard.from_env() as guard:
                guard.acquire(timeout=60).ended()
        else:
            monkeypatch.setenv("ADMISSION_LEDGER", "memory")
        namespace = {
            "__name__": "examples",
            "client": Client(provider),
            "leads": [f"lead-{n}" for n in range(20)],
            "redis_url": redis_url,
        }
        for number, block in enumerate(blocks):
            exec(compile(block, f"{page.name}, block {number + 1}", "exec"), namespace)
        for thing in namespace.values():
            if isinstance(thing, (admission.Guard, httpx.Client)):
                thing.close()
    assert provider.overshoots == 0


def test_the_tests_of_the_page_on_testing_pass(tmp_path, monkeypatch):
    blocks = BLOCK.findall((ROOT / "docs" / "guides" / "testing.md").read_text("utf-8"))
    dialer, *tests = blocks
    (tmp_path / "dialer.py").write_text(dialer, "utf-8")
    (tmp_path / "test_dialer.py").write_text("\n".join(["from dialer import *", *tests]), "utf-8")
    env = {**os.environ, "PURETALK_API_KEY": "key", "ADMISSION_LEDGER": "memory", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(tmp_path)]
    done = subprocess.run(command, check=False, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert f"{sum(block.count('def test_') for block in tests)} passed" in done.stdout


def test_the_pages_have_examples():
    counts = {str(page.relative_to(ROOT)): len(BLOCK.findall(page.read_text("utf-8"))) for page in PAGES}
    assert counts["README.md"] >= 3
    assert all((Path(__file__).parent / file).exists() for file in OWN_TESTS.values())
