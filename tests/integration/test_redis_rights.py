"""A Redis user with exactly the rights that `docs/reference/redis.md` names can do all that guards do, and `doctor`."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from admission import Guard, Lane, Policy, PureTalk, RedisLedger
from admission.ledger.scripts import SCRIPT
from admission.testing import FakePureTalk, serve
from tests.integration.cli_kit import KEY, admission, environment
from tests.servers import BINARIES, redis_server
from tests.topologies import cluster
from tests.waiting import wait_until

DOCS = Path(__file__).parents[2] / "docs"
PAGE, GUIDE = ((DOCS / kind / "redis.md").read_text("utf-8") for kind in ("reference", "guides"))
USERS = {
    user: tuple(rights.split())
    for user, rights in re.findall(r"^ACL SETUSER (\w+) on >password ((?:.+\n)+?)```", PAGE, re.MULTILINE)
}
SENT = {"evalsha", "script|load", "info", "select", "ping", "subscribe"}
"""What clients send, besides what the script runs."""
POLICY = Policy(refresh_interval=0.05, visibility_lag=0.0, timeout=20)


def commands(rights):
    return {right.removeprefix("+") for right in rights if right.startswith("+")}


def user(rights):
    return ("--user", "dialer", "on", ">password", *rights)


def denied(client):
    """What the server refused, but for the name that redis-py would like to give itself."""
    refused = {(entry["reason"], entry["object"]) for entry in client.acl_log()}
    return refused - {("command", "client"), ("command", "client|setinfo")}


@pytest.fixture(scope="module")
def provider():
    fake = FakePureTalk(3, api_key=KEY)
    with serve(fake) as served:
        yield served.url


def guard(provider, server, **settings):
    return Guard(PureTalk(KEY, base_url=provider), RedisLedger(server), account="acme", policy=POLICY, **settings)


def do_everything(one, other):
    """Have two guards of an account do all that there is to do."""
    held = [one.acquire() for _ in range(3)]
    for number, reservation in enumerate(held):
        reservation.placed(f"call-{number}")
    block = other.place(track=True, lane="bulk", call_id=str)
    other.set_lane(Lane("bulk", priority=1, max_in_flight=2))
    one.pause("why", lane="bulk")
    one.resume(lane="bulk")
    one.pause("why")
    one.resume()
    held.pop().ended()
    block(lambda: "call-9")()
    other.call_ended("call-9")
    one.call_started("call-10")
    one.call_ended("call-10")
    assert one.holders().booked == len(held)
    return held


def woken(one, other):
    """Have a caller of one guard wait for a slot that the other frees."""
    last = one.acquire()
    with ThreadPoolExecutor(1) as pool:
        waiter = pool.submit(other.acquire)
        wait_until(lambda: one.status().waiting == 1)
        last.ended()
        waiter.result().ended()


def test_the_page_names_two_users():
    assert list(USERS) == ["dialer", "doctor"]


def test_the_rights_are_those_of_the_commands_that_are_sent_and_run():
    run = set(re.findall(r"redis\.call\(\s*'([A-Z]+)'|(?:send|change)\('([A-Z]+)'", SCRIPT.source))
    run = {(one or other).lower() for one, other in run}
    changed = set(re.findall(r"'(ZADD|ZREM)'", SCRIPT.source))
    assert commands(USERS["dialer"]) == SENT | run | {name.lower() for name in changed}
    assert commands(USERS["doctor"]) - commands(USERS["dialer"]) == {"config|get", "scan", "hscan"}
    assert [right for right in USERS["dialer"] if right[0] != "+"] == [
        "resetkeys", "~admission:*", "resetchannels", "&admission:wake:*", "-@all",
    ]  # fmt: skip


@pytest.mark.parametrize("binary", list(BINARIES))
def test_every_server_understands_the_orders_of_the_pages(binary):
    orders = re.findall(r"^ACL SETUSER (?:.+\n)+?(?=```)", PAGE + GUIDE, re.MULTILINE)
    assert len(orders) == 3
    with redis_server(binary) as server, server.client() as client:
        for order in orders:
            assert client.execute_command(*order.split()) in {b"OK", True}


@pytest.mark.parametrize("keys", ["admission:*", "admission:{acme}:*"])
@pytest.mark.parametrize("binary", list(BINARIES))
def test_the_rights_are_enough_for_guards(binary, keys, provider):
    assert f"~{keys}" in PAGE
    rights = [f"~{keys}" if right[0] == "~" else right for right in USERS["dialer"]]
    with redis_server(binary, options=user(rights)) as server:
        url = f"redis://dialer:password@127.0.0.1:{server.port}/1"
        admin = server.client()
        with guard(provider, url) as one, guard(provider, url) as other:
            held = do_everything(one, other)
            woken(one, other)
            admin.flushall()
            # A new epoch: everything is told again.
            ids = {reservation.id for reservation in held}
            wait_until(lambda: ids <= {holder.id for holder in one.holders().rows})
            for reservation in held:
                reservation.ended()
            wait_until(lambda: other.refresh().in_use == 0)
        assert denied(admin) == set()
        ran = set(admin.info("commandstats"))
        assert {f"cmdstat_{name}" for name in ("persist", "publish", "select", "subscribe", "unlink")} <= ran
        admin.close()


@pytest.mark.parametrize("binary", list(BINARIES))
def test_the_rights_are_enough_for_the_doctor(binary, provider):
    with redis_server(binary, options=user(USERS["doctor"])) as server:
        url = f"redis://dialer:password@127.0.0.1:{server.port}/1"
        admin = server.client()
        env = environment(PURETALK_BASE_URL=provider, ADMISSION_REDIS_URL=url)
        done = admission("doctor", "--json", env=env)
        findings = json.loads(done.out)["findings"]
        assert {finding["level"] for finding in findings} <= {"ok", "note"}, findings
        assert denied(admin) == set()
        admin.close()


@pytest.mark.parametrize("binary", list(BINARIES))
def test_a_cluster_needs_what_its_client_asks(binary, provider):
    (more,) = re.findall(r"`RedisCluster` itself needs `([^`]+)`", PAGE)
    with cluster(binary, options=user((*USERS["dialer"], *more.split()))) as spread:
        place = spread.nodes[0].connection_pool.connection_kwargs
        client = redis.RedisCluster(host=place["host"], port=place["port"], username="dialer", password="password")
        with guard(provider, client) as one, guard(provider, client) as other:
            for reservation in do_everything(one, other):
                reservation.ended()
        client.close()
        assert {refused for node in spread.nodes for refused in denied(node)} == set()
