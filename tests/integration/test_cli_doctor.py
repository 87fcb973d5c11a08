"""`admission doctor` at real servers, good ones and bad ones."""

import json
import re
from pathlib import Path

import pytest
from redis import Redis

from admission import Guard, Policy, PureTalk, RedisLedger
from admission.cli.doctor import checks
from admission.ledger import scripts
from admission.testing import FakePureTalk, serve
from tests.integration.cli_kit import KEY, admission, environment
from tests.servers import BINARIES, free_port, redis_server
from tests.waiting import wait_until

UNAVAILABLE, CONFIG = 69, 78
CHECKS = Path(checks.__file__)


@pytest.fixture(scope="module")
def fake():
    return FakePureTalk(20, api_key=KEY, foreign=6)


@pytest.fixture(scope="module")
def base(fake):
    with serve(fake) as served:
        yield served.url


@pytest.fixture(scope="module", params=list(BINARIES))
def server(request):
    with redis_server(request.param) as one:
        yield one, iter(range(16))


@pytest.fixture
def redis(server):
    """The address of a database where nobody has been."""
    one, numbers = server
    return f"redis://127.0.0.1:{one.port}/{next(numbers)}"


def examined(base, redis_url, **settings):
    env = environment(PURETALK_BASE_URL=base, ADMISSION_REDIS_URL=redis_url, **settings)
    done = admission("doctor", "--json", env=env)
    assert done.err == ""
    told = json.loads(done.out)
    assert told["ok"] == (done.code == 0)
    return done.code, {finding["text"]: finding for finding in told["findings"]}


def found(findings, text):
    (one,) = [finding for said, finding in findings.items() if text in said]
    return one


def complaints(findings):
    return [finding for finding in findings.values() if finding["level"] not in ("ok", "note")]


def test_all_is_well(base, redis):
    account = "well"
    # A reading may take a second on a busy machine, and the doctor would tell that it comes late.
    source, policy = PureTalk(KEY, base_url=base), Policy(visibility_lag=0.0, refresh_interval=5.0, max_staleness=30.0)
    with Guard(source, RedisLedger(redis), account=account, policy=policy) as guard:
        with guard.hold(timeout=20) as reservation:
            code, findings = examined(base, redis, ADMISSION_ACCOUNT=account)
            reservation.ended()
    assert code == 0
    assert {finding["level"] for finding in findings.values()} == {"ok", "note"}, complaints(findings)
    assert found(findings, "the provider accepts the key")["topic"] == "key"
    assert found(findings, "6 of 20 calls")["topic"] == "provider"
    assert found(findings, "its timestamp moves")
    assert found(findings, "maxmemory-policy is noeviction")
    assert found(findings, "loads and runs the ledger's script")
    assert found(findings, "the fleet's settings work together")
    assert found(findings, f"{account}: a process of the fleet was heard")
    assert found(findings, "it keeps nothing over a restart")["level"] == "note"


def test_for_people(base, redis):
    env = environment(PURETALK_BASE_URL=base, ADMISSION_REDIS_URL=redis, ADMISSION_ACCOUNT="new")
    done = admission("doctor", env=env)
    assert (done.code, done.err) == (0, "")
    assert "ok     key       the provider accepts the key\n" in done.out
    assert "note   account   new: nobody of the fleet was heard lately" in done.out
    assert done.out.endswith(" ok\n")


def test_a_key_that_was_rotated(base, redis, fake):
    policy = Policy(visibility_lag=0.0, refresh_interval=0.05)
    old, new = "old", "new"
    source = PureTalk(KEY, base_url=base)
    with Guard(source, RedisLedger(redis), account=old, policy=policy) as guard, guard.hold(timeout=20):
        code, findings = examined(base, redis, ADMISSION_ACCOUNT=new)
        assert (code, found(findings, "was the key rotated?")["level"]) == (0, "warn")
        assert old in found(findings, "was the key rotated?")["text"]
        with Guard(source, RedisLedger(redis), account=new, policy=policy) as other, other.hold(timeout=20):
            other.refresh()
            guard.refresh()
            code, findings = examined(base, redis, ADMISSION_ACCOUNT=new)
            assert f"{new} and " in found(findings, "on this server are both in use")["text"]


def test_a_book_of_another_version(base, redis):
    account = "upgraded"
    with Guard(PureTalk(KEY, base_url=base), RedisLedger(redis), account=account) as guard:
        guard.status()
    with Redis.from_url(redis) as client:
        client.hset(scripts.keys(account)[0], "format", 2)
    code, findings = examined(base, redis, ADMISSION_ACCOUNT=account)
    assert code == CONFIG
    assert found(findings, "another version of admission keeps the account's book, in format 2")["level"] == "error"


def test_a_server_that_evicts(base):
    with redis_server(options=("--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru")) as server:
        code, findings = examined(base, server.url)
    assert code == CONFIG
    assert found(findings, "maxmemory-policy is volatile-lru")["level"] == "error"


def test_a_replica(base):
    with redis_server() as primary:
        options = ("--replicaof", "127.0.0.1", str(primary.port))
        with redis_server(options=options) as replica:
            client = replica.client()
            wait_until(lambda: client.info("replication")["master_link_status"] == "up")
            code, findings = examined(base, replica.url)
            assert code == CONFIG
            assert f"127.0.0.1:{primary.port}" in found(findings, "it is a replica")["mend"]
            code, findings = examined(base, primary.url)
            assert (code, found(findings, "min-replicas-to-write is 0")["level"]) == (0, "warn")
            client.close()


@pytest.mark.parametrize(
    ("rights", "text", "code"),
    [
        (("~admission:*", "&*", "+@all", "-info"), "its run_id cannot be read", 0),
        (("~other:*", "&*", "+@all"), "does not run the ledger's script", CONFIG),
        (("~admission:*", "&*", "+@all", "-script"), "does not run the ledger's script", CONFIG),
        (("~admission:*", "resetchannels", "+@all"), "carries no wake-up messages", 0),
        (("~admission:*", "&*", "+@all", "-config", "-scan"), "loads and runs the ledger's script", 0),
    ],
)
def test_a_user_of_few_rights(base, rights, text, code):
    with redis_server(options=("--user", "alice", "on", ">pass-of-redis", *rights)) as server:
        url = server.url.replace("redis://", "redis://alice:pass-of-redis@")
        ended, findings = examined(base, url)
    assert found(findings, text)
    assert ended == code
    assert "pass-of-redis" not in json.dumps(findings)


def test_the_rights_that_it_asks_for_are_enough(base):
    rights = re.findall(r"ACL: ([^)]*)\)", CHECKS.read_text("utf-8"))
    # What is asked for the script, then what for the channels.
    assert [text[0] for text in rights] == ["+", "~", "&"]
    options = ("--user", "alice", "on", ">pass-of-redis", "resetchannels", *rights[1].split(), *rights[2].split())
    with redis_server(list(BINARIES)[-1], options=options) as server:
        url = server.url.replace("redis://", "redis://alice:pass-of-redis@")
        code, findings = examined(base, url)
        assert code == 0
        assert {finding["level"] for finding in findings.values()} == {"ok", "note"}, complaints(findings)
        policy = Policy(visibility_lag=0.0, refresh_interval=0.05)
        with Guard(PureTalk(KEY, base_url=base), RedisLedger(url), policy=policy) as guard:
            guard.acquire(timeout=20).release()


def test_a_wrong_password(base):
    with redis_server(options=("--user", "alice", "on", ">pass-of-redis", "~*", "+@all")) as server:
        code, findings = examined(base, server.url.replace("redis://", "redis://alice:another-pass@"))
    assert (code, found(findings, "refuses us")["level"]) == (CONFIG, "error")
    assert "another-pass" not in json.dumps(findings)


def test_a_redis_that_is_away(base):
    code, findings = examined(base, f"redis://127.0.0.1:{free_port()}/0")
    assert code == UNAVAILABLE
    assert found(findings, "cannot be reached")["level"] == "error"


def test_a_wrong_key(base, redis):
    code, findings = examined(base, redis, PURETALK_API_KEY="pt-live-another-key-altogether")
    assert code == CONFIG
    assert found(findings, "does not accept the key")["topic"] == "key"
    assert "pt-live-another" not in json.dumps(findings)


def test_a_provider_that_is_away(redis):
    code, findings = examined(f"http://127.0.0.1:{free_port()}/api", redis)
    assert code == UNAVAILABLE
    assert found(findings, "no answer from")["topic"] == "provider"


def test_nothing_is_set():
    env = environment()
    del env["PURETALK_API_KEY"], env["ADMISSION_LEDGER"]
    done = admission("doctor", env=env)
    assert done.code == CONFIG
    assert "PURETALK_API_KEY is not set" in done.out
    assert "ADMISSION_REDIS_URL is not set" in done.out
    assert done.out.endswith("2 error, 1 ok\n")


def test_a_url_that_cannot_be_read(base):
    code, findings = examined(base, "localhost:pass-of-redis")
    assert code == CONFIG
    assert "pass-of-redis" not in json.dumps(findings)
