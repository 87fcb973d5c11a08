"""Every check: facts in, findings out. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from admission.cli.doctor.findings import Finding, away, note, ok, warn, wrong
from admission.views.state import span

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission.cli.doctor.facts import Facts, ProviderFacts
    from admission.ledger.redis.facts import BookFacts, ServerFacts

OLDEST = {"python": (3, 11), "redis-py": (5, 1), "httpx": (0, 27), "tenacity": (8, 3)}
"""The oldest versions that are supported."""
OLDEST_SERVER = (6, 2)
SLOW_TRIP = 0.1
"""Seconds of a round trip from which on waiters feel it."""
TOO_SLOW_TRIP = 0.5
"""Seconds of a round trip from which on offers, which last a second, are missed."""
CLOCKS_APART = 2.0
ALIVE = 60.0
"""Seconds since a process was heard within which a fleet counts as alive."""
_LOCAL = ("localhost", "127.0.0.1", "::1")


def check(facts: Facts) -> list[Finding]:
    """Return what all checks find, in the order in which one asks."""
    return [finding for look in CHECKS for finding in look(facts)]


# The key and the provider


def check_key(facts: Facts) -> list[Finding]:
    """Look whether there is a key, and whether the provider accepts it."""
    told = facts.provider
    if not facts.has_key:
        return [
            wrong("key", "PURETALK_API_KEY is not set", "give it the account's API key, from the provider's dashboard")
        ]
    if told is None:
        return []
    if told.is_final and told.status in {401, 403}:
        return [
            wrong("key", f"the provider does not accept the key: {told.fault}", "look for it under 'API Keys' there")
        ]
    if told.is_final:
        return [wrong("key", told.fault, "see whether PURETALK_BASE_URL and the key belong together")]
    return [ok("key", "the provider accepts the key")] if told.readings else []


def check_address(facts: Facts) -> list[Finding]:
    """Look whether the key travels in the clear."""
    told = facts.provider
    if told is None:
        return []
    parts = urlsplit(told.where)
    if parts.scheme == "http" and parts.hostname not in _LOCAL:
        return [warn("provider", "the key is sent to it without TLS", "write https:// in PURETALK_BASE_URL")]
    return []


def check_answer(facts: Facts) -> list[Finding]:
    """Look at what the provider answers, and how fast."""
    told = facts.provider
    if told is None:
        return []
    if told.fault:
        if told.is_final:
            return []
        return [away("provider", told.fault, f"see whether {told.where} can be reached from here, and is well")]
    last = told.readings[-1]
    slowest = max(reading.seconds for reading in told.readings)
    found = [ok("provider", f"{last.count} of {last.limit} calls; it answers within {slowest:.2f} s")]
    if last.limit == 0:
        found.append(warn("provider", "its limit is 0: nobody is admitted", "have the account unlocked there"))
    return [*found, *_clock_of(told)]


def _clock_of(told: ProviderFacts) -> list[Finding]:
    stamps = [reading.timestamp for reading in told.readings if reading.timestamp is not None]
    if len(stamps) < 2:  # noqa: PLR2004 - two can be compared
        return []
    if stamps[-1] == stamps[0]:
        text = "its timestamp did not move within a second: the answers are cached"
        return [warn("provider", text, "make visibility_lag longer than they are kept, and refresh_interval too")]
    if stamps[-1] < stamps[0]:
        return [warn("provider", "its timestamp moved back", "tell the provider; readings are dropped meanwhile")]
    return [ok("provider", "its timestamp moves")]


# Redis


def check_redis(facts: Facts) -> list[Finding]:
    """Look whether there is a server, and whether it answers."""
    server = facts.server
    if facts.url_fault:
        return [wrong("redis", facts.url_fault, "write ADMISSION_REDIS_URL as redis://user:password@host:port/db")]
    if server is None and facts.has_memory:
        return [note("redis", "ADMISSION_LEDGER=memory: each process admits up to the limit by itself")]
    if server is None:
        return [wrong("redis", "ADMISSION_REDIS_URL is not set", "give it the Redis that the fleet shares")]
    if not server.fault:
        return [ok("redis", f"{server.where} answers"), *_trips(server)]
    if re.search(r"NOAUTH|WRONGPASS|NOPERM|invalid username-password|Authentication", server.fault):
        mend = "see user and password in ADMISSION_REDIS_URL, and the user's ACL"
        return [wrong("redis", f"{server.where} refuses us: {server.fault}", mend)]
    return [
        away("redis", f"{server.where} cannot be reached: {server.fault}", "see whether it runs, and a way leads there")
    ]


def _trips(server: ServerFacts) -> list[Finding]:
    middle = sorted(server.latencies)[len(server.latencies) // 2]
    text = f"a round trip takes {1000 * middle:.1f} ms ({1000 * max(server.latencies):.1f} ms at worst)"
    if middle >= TOO_SLOW_TRIP:
        return [wrong("redis", f"{text}: offers, which last a second, are missed", "take a server that is nearer")]
    if middle >= SLOW_TRIP:
        return [warn("redis", text, "take a server that is nearer: every admission takes a round trip")]
    return [ok("redis", text)]


def check_server(facts: Facts) -> list[Finding]:
    """Look at the server's version, its role, and what it may forget."""
    server = _answering(facts)
    if server is None:
        return []
    info, settings = dict(server.info), dict(server.settings)
    return [
        *_version(info),
        *_role(info),
        *_memory(info),
        *_disk(info, settings),
        *_split(info, settings),
    ]


def _answering(facts: Facts) -> ServerFacts | None:
    return None if facts.server is None or facts.server.fault else facts.server


def _version(info: dict[str, str]) -> list[Finding]:
    if text := info.get("valkey_version"):
        return [ok("redis", f"Valkey {text}")]
    text = info.get("redis_version", "")
    if not text:
        return [note("redis", "its version cannot be read (INFO is not allowed)")]
    if numbers(text) < OLDEST_SERVER:
        return [wrong("redis", f"Redis {text} is too old", "take Redis 6.2 or newer, or Valkey")]
    return [ok("redis", f"Redis {text}")]


def _role(info: dict[str, str]) -> list[Finding]:
    found = []
    if info.get("role") == "slave":
        primary = f"{info.get('master_host', 'its primary')}:{info.get('master_port', '')}".rstrip(":")
        found.append(wrong("redis", "it is a replica: nothing can be booked on it", f"name the primary, now {primary}"))
    if info.get("cluster_enabled") == "1":
        mend = "in code give RedisLedger a redis.cluster.RedisCluster; this command speaks to this node only"
        found.append(note("redis", "it is a node of a cluster, which a plain URL reaches in part", mend))
    if info.get("loading") == "1":
        found.append(away("redis", "it is still loading its data", "wait"))
    return found


def _memory(info: dict[str, str]) -> list[Finding]:
    policy, most = info.get("maxmemory_policy"), info.get("maxmemory", "0")
    if policy is None:
        return []
    if policy == "noeviction":
        return [ok("redis", "maxmemory-policy is noeviction")]
    mend = "set maxmemory-policy noeviction, or give the ledger a server of its own"
    if most == "0":
        return [warn("redis", f"maxmemory-policy is {policy}; nothing is evicted only as maxmemory is not set", mend)]
    return [
        wrong("redis", f"maxmemory-policy is {policy}: it may evict bookings; the fleet then stands and waits", mend)
    ]


def _disk(info: dict[str, str], settings: dict[str, str]) -> list[Finding]:
    if "aof_enabled" not in info:
        return []
    if info["aof_enabled"] == "1" or settings.get("save"):
        return [ok("redis", "it keeps its data over a restart")]
    text = "it keeps nothing over a restart: the fleet then waits some seconds for a reading; pauses are told again"
    return [note("redis", text, "appendonly yes spares that, if it matters")]


def _split(info: dict[str, str], settings: dict[str, str]) -> list[Finding]:
    replicas, least = info.get("connected_slaves", "0"), settings.get("min-replicas-to-write")
    if replicas == "0" or info.get("role") != "master":
        return []
    if least is None:
        return [
            note("redis", "min-replicas-to-write cannot be read (CONFIG is not allowed)", "see that it is at least 1")
        ]
    if least == "0":
        text = f"it has {replicas} replica(s), and min-replicas-to-write is 0: after a split both sides admit"
        return [warn("redis", text, "set min-replicas-to-write 1, and min-replicas-max-lag 10")]
    return [ok("redis", f"min-replicas-to-write is {least}")]


def check_rights(facts: Facts) -> list[Finding]:
    """Look whether the server lets us do what the ledger does."""
    server = _answering(facts)
    if server is None:
        return []
    found = []
    if not server.run_id:
        text = "its run_id cannot be read: lost data is noticed by sentinels in the keys only"
        found.append(warn("redis", text, "allow the user INFO (ACL: +info)"))
    is_replica = dict(server.info).get("role") == "slave"
    if server.other_format is not None:
        text = f"another version of admission keeps the account's book, in format {server.other_format}"
        found.append(wrong("redis", text, "run versions of one format on an account, or give this one another ledger"))
    elif server.script and not is_replica:
        mend = "allow the user the ledger's keys and commands (ACL: ~admission:* +@all -@admin -@dangerous +info)"
        found.append(wrong("redis", f"it does not run the ledger's script: {server.script}", mend))
    elif not is_replica:
        found.append(ok("redis", "it loads and runs the ledger's script"))
    if server.channel:
        text = f"it carries no wake-up messages, so waiters are woken once a second only: {server.channel}"
        found.append(warn("redis", text, "allow the user the channels (ACL: &admission:*)"))
    return found


def check_clock(facts: Facts) -> list[Finding]:
    """Look whether the server's clock and this machine's agree."""
    server = _answering(facts)
    if server is None or server.clock_ahead is None:
        return []
    ahead = server.clock_ahead
    if abs(ahead) < CLOCKS_APART:
        return [ok("redis", "its clock and this machine's agree")]
    way = "ahead of" if ahead > 0 else "behind"
    text = f"its clock is {span(abs(ahead))} {way} this machine's; the ledger goes by its own, but one of them is wrong"
    return [warn("redis", text, "see NTP on both: a jump of the server's clock makes the fleet wait")]


# Settings


def check_settings(facts: Facts) -> list[Finding]:
    """Look for settings of the fleet that cannot work together."""
    server = _answering(facts)
    book = None if server is None else server.book
    if book is None or not book.refresh or not book.policies:
        return []
    slowest = max((reading.seconds for reading in facts.provider.readings), default=0.0) if facts.provider else 0.0
    found = [*_against_readings(book, slowest), *_against_calls(book)]
    if book.policies > 1:
        text = f"the processes that are heard have {book.policies} policies: of each setting the stricter counts"
        found.append(warn("settings", text, "start all of them with the same Policy"))
    return found or [ok("settings", "the fleet's settings work together")]


def _against_readings(book: BookFacts, slowest: float) -> list[Finding]:
    found = []
    if book.staleness < 2 * book.refresh:
        text = f"max_staleness {book.staleness:g} s is less than twice refresh_interval {book.refresh:g} s"
        found.append(wrong("settings", f"{text}: admission stops between two readings", "bring both together"))
    if slowest and slowest + book.refresh >= book.staleness:
        text = (
            f"a reading took {slowest:.2f} s: with refresh_interval {book.refresh:g} s it is older than max_staleness"
        )
        found.append(wrong("settings", f"{text} {book.staleness:g} s", "raise max_staleness"))
    elif slowest > book.refresh:
        text = f"a reading took {slowest:.2f} s, longer than refresh_interval {book.refresh:g} s: they come late"
        found.append(warn("settings", text, f"set refresh_interval to {max(1.0, round(2 * slowest)):g} s or so"))
    if 0 <= book.limit <= book.headroom and book.limit:
        text = f"headroom {book.headroom} leaves nothing of the limit {book.limit}"
        found.append(wrong("settings", text, "lower headroom"))
    return found


def _against_calls(book: BookFacts) -> list[Finding]:
    found = []
    if book.seen > book.lag:
        text = f"calls came into the count up to {book.seen:.1f} s late, and visibility_lag is {book.lag:g} s"
        found.append(
            warn("settings", text, f"set visibility_lag to more than {book.seen:.1f}: the fleet can overshoot")
        )
    longest = max(book.timeouts, default=0.0)
    if longest > book.lease:
        text = f"placement_timeout {longest:g} s is longer than lease_ttl {book.lease:g} s: a process is taken for dead"
        found.append(warn("settings", f"{text} while it may still dial", "make lease_ttl as long"))
    if longest and book.duration < longest + book.lag:
        text = f"max_call_duration {book.duration:g} s is less than placement_timeout + visibility_lag"
        found.append(wrong("settings", text, "raise max_call_duration"))
    return found


# The account


def check_account(facts: Facts) -> list[Finding]:
    """Look whether the fleet books under this name, and nobody books the same calls under another."""
    server = _answering(facts)
    if server is None or not facts.account:
        return []
    mine = server.book
    alive = [book for book in server.others if _is_alive(book)]
    limit = facts.provider.readings[-1].limit if facts.provider and facts.provider.readings else -1
    count = facts.provider.readings[-1].count if facts.provider and facts.provider.readings else -1
    known = limit if limit >= 0 else mine.limit if mine else -1
    alike = [book for book in alive if book.limit == known >= 0]
    own_name = facts.account
    found = [] if server.all_seen else [note("account", "there are more keys on the server than were looked through")]
    if mine is not None and _is_alive(mine):
        # Idle accounts look alike, whoever they belong to.
        same = [book for book in alike if book.count in {count, mine.count} - {0}]
        if same:
            return [*found, _twins(own_name, same)]
        return [
            *found,
            ok("account", f"{own_name}: a process of the fleet was heard {span(mine.heard_ago or 0.0)} ago"),
        ]
    if alike:
        return [*found, _elsewhere(own_name, alike)]
    return [
        *found,
        note("account", f"{own_name}: nobody of the fleet was heard lately, so it is idle, or books elsewhere"),
    ]


def _is_alive(book: BookFacts) -> bool:
    return book.heard_ago is not None and book.heard_ago <= ALIVE


def _twins(name: str, same: list[BookFacts]) -> Finding:
    others = ", ".join(book.account for book in same)
    text = (
        f"{name} and {others} on this server are both in use, and the provider tells them the same numbers: this "
        "looks like one account with two keys, a part of the fleet booking apart, each up to the full limit"
    )
    return warn("account", text, "give all processes one key, or one name in ADMISSION_ACCOUNT, and start them again")


def _elsewhere(name: str, alike: list[BookFacts]) -> Finding:
    others = ", ".join(book.account for book in alike)
    text = (
        f"nobody was heard on {name}, but {others} on this server is in use, with the same limit: was the key rotated?"
    )
    mend = "the name comes of address and key; set ADMISSION_ACCOUNT to one name everywhere, or the same key"
    return warn("account", text, mend)


# Versions


def check_versions(facts: Facts) -> list[Finding]:
    """Look whether what is installed is new enough."""
    old = [name for name, least in OLDEST.items() if numbers(facts.versions.get(name, "")) < least]
    told = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    found = [
        wrong(
            "versions",
            f"{name} {facts.versions.get(name, 'is missing')}",
            f"take {'.'.join(map(str, OLDEST[name]))} or newer",
        )
        for name in old
    ]
    return found or [ok("versions", told)]


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's leading numbers."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


CHECKS: tuple[Callable[[Facts], list[Finding]], ...] = (
    check_key,
    check_address,
    check_answer,
    check_redis,
    check_server,
    check_rights,
    check_clock,
    check_settings,
    check_account,
    check_versions,
)
