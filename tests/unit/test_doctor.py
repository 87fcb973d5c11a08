"""What the doctor says of facts that are not as they should be."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from admission.cli.doctor.checks import check, numbers
from admission.cli.doctor.facts import Facts, ProviderFacts, ReadingFacts
from admission.cli.doctor.findings import LEVELS, code_of
from admission.ledger.redis.facts import BookFacts, ServerFacts

NOON = datetime(2025, 5, 2, 12)  # noqa: DTZ001 - the provider's have no zone
READINGS = (ReadingFacts(0.1, 20, 11, NOON), ReadingFacts(0.2, 20, 11, NOON + timedelta(seconds=1)))
PROVIDER = ProviderFacts("https://api.puretalk.ai/api", "mine", READINGS)
BOOK = BookFacts(
    "mine", 1.0, limit=20, count=11, refresh=1.0, staleness=15.0, lease=10.0, lag=5.0, duration=3600.0,
    timeouts=(10.0,), policies=1,
)  # fmt: skip
INFO = {
    "redis_version": "7.2.4", "role": "master", "connected_slaves": "0", "maxmemory": "0", "cluster_enabled": "0",
    "maxmemory_policy": "noeviction", "aof_enabled": "1", "loading": "0",
}  # fmt: skip
SERVER = ServerFacts(
    "redis:6379/0", latencies=(0.001,) * 5, info=tuple(INFO.items()), run_id="abc", clock_ahead=0.01, book=BOOK,
    settings=(("save", ""), ("min-replicas-to-write", "0")),
)  # fmt: skip
VERSIONS = {"python": "3.12.1", "admission": "0.1", "redis-py": "5.1.0", "httpx": "0.27", "tenacity": "9.0"}
GOOD = Facts(account="mine", provider=PROVIDER, server=SERVER, versions=VERSIONS)
CONFIG, UNAVAILABLE = 78, 69


def provider(**changes):
    return replace(GOOD, provider=replace(PROVIDER, **changes))


def server(**changes):
    return replace(GOOD, server=replace(SERVER, **changes))


def info(settings=None, **changes):
    told = {**INFO, **{name: text for name, text in changes.items() if text is not None}}
    for name, text in changes.items():
        if text is None:
            del told[name]
    more = {} if settings is None else {"settings": tuple(settings.items())}
    return server(info=tuple(told.items()), **more)


def book(**changes):
    return server(book=replace(BOOK, **changes))


def bad(facts):
    return [finding for finding in check(facts) if finding.level != "ok"]


def test_of_good_facts_there_is_nothing_to_say():
    assert bad(GOOD) == []
    assert len(check(GOOD)) >= 10
    assert code_of(check(GOOD)) == 0


def timed(seconds):
    return tuple(replace(reading, seconds=seconds) for reading in READINGS)


def stamped(*seconds):
    return tuple(replace(READINGS[0], timestamp=NOON + timedelta(seconds=second)) for second in seconds)


CASES = [
    # the key and the provider
    (Facts(versions=VERSIONS, has_key=False, server=SERVER), "error", "PURETALK_API_KEY is not set", CONFIG),
    (provider(readings=(), fault="401", is_final=True, status=401), "error", "does not accept the key: 401", CONFIG),
    (provider(readings=(), fault="no such page", is_final=True, status=404), "error", "no such page", CONFIG),
    (provider(readings=(), fault="no answer"), "error", "no answer", UNAVAILABLE),
    (provider(where="http://calls.example/api"), "warn", "without TLS", 0),
    (provider(readings=stamped(0, 0)), "warn", "did not move within a second", 0),
    (provider(readings=stamped(1, 0)), "warn", "moved back", 0),
    (provider(readings=(replace(READINGS[0], limit=0),)), "warn", "its limit is 0", 0),
    # Redis
    (replace(GOOD, server=None), "error", "ADMISSION_REDIS_URL is not set", CONFIG),
    (replace(GOOD, server=None, has_memory=True), "note", "each process admits up to the limit by itself", 0),
    (replace(GOOD, server=None, url_fault="cannot be read"), "error", "cannot be read", CONFIG),
    (server(fault="Connection refused"), "error", "cannot be reached: Connection refused", UNAVAILABLE),
    (server(fault="NOAUTH Authentication required."), "error", "refuses us: NOAUTH", CONFIG),
    (server(fault="invalid username-password pair"), "error", "refuses us", CONFIG),
    (server(latencies=(0.001, 0.2, 0.2)), "warn", "a round trip takes 200.0 ms", 0),
    (server(latencies=(0.6, 0.6, 0.6)), "error", "offers, which last a second, are missed", CONFIG),
    (info(redis_version="6.0.9"), "error", "Redis 6.0.9 is too old", CONFIG),
    (info(redis_version=None), "note", "its version cannot be read", 0),
    (info(role="slave", master_host="db1", master_port="6379"), "error", "it is a replica", CONFIG),
    (info(cluster_enabled="1"), "note", "a node of a cluster", 0),
    (info(loading="1"), "error", "still loading", UNAVAILABLE),
    (info(maxmemory_policy="volatile-lru"), "warn", "nothing is evicted only as maxmemory is not set", 0),
    (info(maxmemory_policy="volatile-lru", maxmemory="100"), "error", "it may evict bookings", CONFIG),
    (info(aof_enabled="0"), "note", "it keeps nothing over a restart", 0),
    (info(connected_slaves="1"), "warn", "after a split both sides admit", 0),
    (info(connected_slaves="1", settings={}), "note", "min-replicas-to-write cannot be read", 0),
    (server(run_id=""), "warn", "its run_id cannot be read", 0),
    (server(script="NOPERM no"), "error", "does not run the ledger's script: NOPERM no", CONFIG),
    (server(channel="NOPERM no"), "warn", "carries no wake-up messages", 0),
    (server(clock_ahead=600.0), "warn", "its clock is 10 min ahead of this machine's", 0),
    (server(clock_ahead=-3.0), "warn", "its clock is 3.0 s behind this machine's", 0),
    # settings
    (book(staleness=1.5), "error", "less than twice refresh_interval", CONFIG),
    (replace(provider(readings=timed(14.5)), server=SERVER), "error", "older than max_staleness", CONFIG),
    (replace(provider(readings=timed(1.5)), server=SERVER), "warn", "longer than refresh_interval", 0),
    (book(headroom=20), "error", "headroom 20 leaves nothing of the limit 20", CONFIG),
    (book(seen=6.0), "warn", "up to 6.0 s late, and visibility_lag is 5 s", 0),
    (book(timeouts=(5.0, 30.0)), "warn", "placement_timeout 30 s is longer than lease_ttl 10 s", 0),
    (book(duration=12.0), "error", "max_call_duration 12 s is less", CONFIG),
    (book(policies=3), "warn", "have 3 policies", 0),
    (server(other_format=2), "error", "another version of admission keeps the account's book, in format 2", CONFIG),
    # the account
    (book(heard_ago=None), "note", "nobody of the fleet was heard lately", 0),
    (server(book=None), "note", "nobody of the fleet was heard lately", 0),
    (server(others=(replace(BOOK, account="theirs"),)), "warn", "mine and theirs on this server are both in use", 0),
    (server(book=None, others=(replace(BOOK, account="theirs"),)), "warn", "was the key rotated?", 0),
    (server(all_seen=False), "note", "more keys on the server", 0),
    # versions
    (replace(GOOD, versions={**VERSIONS, "redis-py": "4.6.0"}), "error", "redis-py 4.6.0", CONFIG),
    (replace(GOOD, versions=VERSIONS | {"httpx": "is gone"}), "error", "httpx is gone", CONFIG),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "level", "text", "code"), CASES, ids=[text for _, _, text, _ in CASES])
def test_what_is_said_of_bad_facts(facts, level, text, code):
    found = [finding for finding in bad(facts) if text in finding.text]
    assert [finding.level for finding in found] == [level], bad(facts)
    assert found[0].mend or level == "note"
    assert code_of(check(facts)) == code


@pytest.mark.parametrize(
    "others",
    [
        replace(BOOK, account="theirs", limit=50),
        replace(BOOK, account="theirs", count=7),
        replace(BOOK, account="theirs", heard_ago=3_000.0),
        replace(BOOK, account="theirs", heard_ago=None),
    ],
)
def test_another_account_is_no_twin(others):
    assert bad(server(others=(others,))) == []


def test_idle_accounts_are_no_twins():
    idle = replace(BOOK, count=0)
    facts = server(book=idle, others=(replace(idle, account="theirs"),))
    readings = tuple(replace(reading, count=0) for reading in READINGS)
    assert bad(replace(facts, provider=replace(PROVIDER, readings=readings))) == []


def test_what_cannot_heal_by_itself_decides_the_code():
    facts = replace(provider(readings=(), fault="no answer"), server=replace(SERVER, script="NOPERM"))
    assert code_of(check(facts)) == CONFIG


def test_nothing_is_looked_at_twice_when_nothing_answers():
    facts = Facts(
        account="mine", provider=provider(readings=(), fault="no").provider, server=ServerFacts("r", fault="no")
    )
    assert {finding.topic for finding in check(facts)} <= {"provider", "redis", "versions"}


def test_a_replica_is_not_blamed_for_refusing_the_script():
    facts = server(info=tuple({**INFO, "role": "slave"}.items()), script="READONLY You can't write")
    assert ["it is a replica" in finding.text for finding in bad(facts)] == [True]


def test_levels_are_known():
    assert {finding.level for facts, *_ in CASES for finding in check(facts)} == set(LEVELS)


@pytest.mark.parametrize(("text", "found"), [("7.2.4", (7, 2, 4)), ("0.27.0rc1", (0, 27, 0)), ("", ()), ("x", ())])
def test_numbers_of_a_version(text, found):
    assert numbers(text) == found
