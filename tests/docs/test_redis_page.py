"""The examples of the page on Redis, on servers as it describes them."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from admission import Guard, Saturated
from admission.testing import FakePureTalk, serve
from tests.integration.proxy import proxy
from tests.servers import BINARIES, redis_server
from tests.topologies import cluster, watched

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guides" / "redis.md").read_text("utf-8")
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BINARY = list(BINARIES)[-1]


def blocks_of(title):
    """Return what a section's blocks of Python and of the console are."""
    found = BLOCK.findall(dict(SECTION.findall(PAGE))[title])
    return ["".join(text for kind, text in found if kind == wanted) for wanted in ("python", "console")]


@pytest.fixture
def provider(monkeypatch, quick):
    fake = FakePureTalk(2)
    with serve(fake) as served:
        monkeypatch.setenv("PURETALK_API_KEY", fake.api_key)
        monkeypatch.setenv("PURETALK_BASE_URL", served.url)
        monkeypatch.delenv("ADMISSION_REDIS_URL", raising=False)
        yield fake


def run(code, **instead):
    """Run a section's Python where names stand for other places, and use its guard for a call."""
    imports, _ = blocks_of("One server")
    for said, done in instead.items():
        assert said in code
        code = code.replace(said, str(done))
    names = {}
    exec(compile(imports.split("\n\n")[0] + "\n" + code, "redis.md", "exec"), names)
    (guard,) = (thing for thing in names.values() if isinstance(thing, Guard))
    with guard:
        guard.acquire(timeout=30).ended()
    return names


def doctor(url):
    """Return what `admission doctor` says of a server."""
    env = {**os.environ, "ADMISSION_REDIS_URL": url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "admission.cli", "doctor"]
    return subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=60).stdout


def test_one_server(provider):
    code, _ = blocks_of("One server")
    with redis_server() as server:
        run(code, **{"redis.internal:6379": f"127.0.0.1:{server.port}"})
        assert not re.search("^(error|warn) +redis", doctor(server.url), re.MULTILINE)


def test_a_password_and_tls_and_a_user_who_may_do_no_more(provider, tmp_path):
    code, (acl) = blocks_of("Password and TLS")
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", key, "-out", certificate)
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *names, *files)
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with redis_server(BINARY) as server, proxy(server.port, tls=context) as tls, server.client() as client:
        client.execute_command(*acl.split())
        run(code, **{"redis.internal:6379": f"localhost:{tls.port}", "/etc/ssl/redis-ca.pem": certificate})
        said = doctor(f"redis://fleet:a-password@127.0.0.1:{server.port}/0")
    assert not re.search("^(error|warn) +redis", said, re.MULTILINE)


def test_sentinel(provider, tmp_path):
    code, _ = blocks_of("Sentinel")
    with watched(BINARY, tmp_path) as servers:
        sentinel = servers.place.rpartition(":")[2]
        places = {f'"sentinel-{n}.internal", 26379': f'"127.0.0.1", {sentinel}' for n in (1, 2, 3)}
        run(code, **places)


def test_cluster(provider):
    code, _ = blocks_of("Cluster")
    with cluster(BINARY) as servers:
        ports = servers.place.rpartition(":")[2].split(",")
        places = {f'"node-{n}.internal", 6379': f'"127.0.0.1", {ports[n]}' for n in (1, 2)}
        names = run(code, **places)
        names["spread"]._ledger._client.close()


@pytest.mark.usefixtures("ledger_has_time")
def test_nobody_is_admitted_twice_over_while_a_fleet_moves(provider, monkeypatch):
    with ExitStack() as stack:
        old, new = (stack.enter_context(redis_server()) for _ in range(2))
        before = stack.enter_context(guard_at(monkeypatch, old))
        held = before.acquire(timeout=30)
        held.placed(provider.start_call())
        assert BLOCK.search(dict(SECTION.findall(PAGE))["Move to another Redis"])[2].startswith("admission pause")
        before.pause("moving Redis")
        after = stack.enter_context(guard_at(monkeypatch, new))
        there = after.acquire(timeout=30)
        there.placed(provider.start_call())
        with pytest.raises(Saturated, match="2 of 2 in use"):
            after.acquire(timeout=0)
        there.ended()
        held.ended()


def guard_at(monkeypatch, server):
    monkeypatch.setenv("ADMISSION_REDIS_URL", server.url)
    return Guard.from_env()
