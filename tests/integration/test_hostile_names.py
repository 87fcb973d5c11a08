"""Names, ids, reasons and numbers that are meant to hurt, through guards of both colours on both ledgers."""

from __future__ import annotations

import itertools
import math
from contextlib import ExitStack
from functools import partial

import pytest
from redis.crc import key_slot

from admission import (
    CallRejected,
    ConfigurationError,
    Lane,
    MemoryLedger,
    Paused,
    Policy,
    RedisLedger,
    UsageError,
    UsageUnavailable,
)
from admission.ledger import scripts
from tests.guards.colours import both_colours, until
from tests.guards.stage import Provider
from tests.servers import BINARIES, redis_server

POLICY = Policy(refresh_interval=0.05, visibility_lag=0.05, max_staleness=30.0, timeout=20.0)
SERVERS = sorted({next(iter(BINARIES)), next(reversed(BINARIES))})

NO_NAMES = {
    "nul": "a\0b",
    "newline": "a\nb",
    "return": "a\r\n$1\r\n",
    "tag": "{acme}",
    "two tags": "a}{b",
    "closing": "acme}:line",
    "surrogate": "\ud800",
    "a half": "acme\udfff",
    "megabyte": "x" * 2**20,
    "rtl": "acme\u202egnp",
    "invisible": "acme\u200b",
    "marks": "a" + "\u0301" * 10_000,
    "full width": "\uff41\uff43\uff4d\uff45",
    "digits": "٣٤",
    "spaces": "1 p.0.0 p.0.0 2",
    "comma": "1,2",
    "minus": "-1",
    "pattern": "acme*",
    "lua": "', redis.call('FLUSHALL'), '",
    "empty": "",
    "bytes": b"acme",
    "number": 5,
    "yes": True,
    "list": ["acme"],
}
NAMES = ["0", "00", "1e999", "NaN", "None", "acme:line", "acme:", "ACME", "acme/account", "p.0.0", "9" * 100]
"""What may be an account or a lane, though it looks like something else."""
TEXTS = {name: text for name, text in NO_NAMES.items() if isinstance(text, str)}

_numbers = itertools.count()


@pytest.fixture(scope="module")
def servers():
    with ExitStack() as stack:
        yield {name: stack.enter_context(redis_server(name)) for name in SERVERS}


@pytest.fixture(params=["memory", *SERVERS])
def ledger(request, servers):
    return MemoryLedger() if request.param == "memory" else RedisLedger(servers[request.param].url)


@pytest.fixture
def account():
    return f"account-{next(_numbers)}"


def is_short(error):
    """Whether an error's text can be shown."""
    return len(str(error)) < 500 and str(error).isprintable()


# Accounts


@both_colours
@pytest.mark.parametrize("name", NO_NAMES)
async def test_what_is_no_name_is_no_account(colour, name):
    with pytest.raises(ConfigurationError, match="account .* is not usable") as caught:
        colour.guard(Provider(), MemoryLedger(), account=NO_NAMES[name])
    assert is_short(caught.value)


@both_colours
async def test_accounts_with_names_that_look_alike_share_nothing(colour, ledger, account):
    names = [account, *(f"{account}{end}" for end in (":line", ":", ".0", "0", "/account")), account.upper()]
    guards = [colour.guard(Provider(3), ledger, account=name, policy=POLICY) for name in names]
    first, *others = guards
    reservations = [await first.acquire() for _ in range(3)]
    await first.pause("only this one")
    await first.call_started("c")
    for guard in others:
        status = await guard.status()
        assert (status.in_use, status.pending, status.waiting, status.paused) == (0, 0, 0, False)
        await guard.call_ended("c")
    assert (await first.status()).pending == 4
    for reservation in reservations:
        reservation.cancel()
    for guard in guards:
        await guard.resume()
        await guard.close()


def test_the_keys_of_an_account_are_its_own_and_in_one_slot():
    names = [*NAMES, "acme", "acme:pending", "a:b", "a", "a:b:line"]
    owners = {}
    for name in names:
        keys = scripts.keys(name)
        assert {key_slot(key.encode()) for key in keys} == {key_slot(name.encode())}
        for key in keys:
            assert owners.setdefault(key, name) == name
            assert (key.count("{"), key.count("}")) == (1, 1)


@both_colours
@pytest.mark.parametrize("server", SERVERS)
async def test_nothing_is_written_but_the_keys_of_the_account(colour, servers, server, account):
    """Whatever ids, reasons and lanes it is told."""
    guard = colour.guard(Provider(3), RedisLedger(servers[server].url), account=account, policy=POLICY)
    with servers[server].client() as client:
        before = set(client.keys("*"))
        for text in TEXTS.values():
            await guard.call_started(text or "an id")
            await guard.pause(text)
            with pytest.raises(ConfigurationError):
                await guard.pause("why", lane=text)
        await guard.resume()
        written = set(client.keys("*")) - before
    assert written == {key.encode() for key in scripts.keys(account)}
    await guard.close()


# Lanes


@both_colours
async def test_what_is_no_name_is_no_lane(colour, ledger, account):
    guard = colour.guard(Provider(), ledger, account=account, policy=POLICY)
    for lane in NO_NAMES.values():
        with pytest.raises(ConfigurationError, match="lane .* is not usable") as caught:
            Lane(lane)
        assert is_short(caught.value)
        for make in (guard.hold, guard.place):
            with pytest.raises(ConfigurationError, match="lane .* is not usable"):
                make(lane=lane)
        for call in (guard.acquire, partial(guard.pause, "why"), guard.resume):
            with pytest.raises(ConfigurationError, match="lane .* is not usable"):
                await call(lane=lane)
    assert not (await guard.status()).paused
    await guard.close()


@both_colours
async def test_lanes_are_nothing_but_names(colour, ledger, account):
    guard = colour.guard(Provider(20), ledger, account=account, policy=POLICY)
    for name in NAMES:
        await guard.set_lane(Lane(name))
    reservations = [await guard.acquire(lane=name) for name in NAMES]
    await guard.pause("why", lane=NAMES[0])
    lanes = {lane.name: lane for lane in (await guard.status()).lanes}
    assert set(lanes) == {"default", *NAMES}
    assert [lanes[name].in_flight for name in NAMES] == [1] * len(NAMES)
    assert {name for name in lanes if lanes[name].paused} == {NAMES[0]}
    for reservation in reservations:
        reservation.cancel()
    await guard.resume(lane=NAMES[0])
    await guard.close()


# Call ids


CALL_IDS = {**NO_NAMES, **{name: name for name in NAMES}, "a digest": "sha256:" + "0" * 64}


@both_colours
async def test_call_ids_are_nothing_but_ids(colour, ledger, account):
    guard = colour.guard(Provider(40), ledger, account=account, policy=POLICY)
    ids = list({str(call_id): call_id for call_id in CALL_IDS.values() if call_id != ""}.values())
    for number, call_id in enumerate(ids, 1):
        await guard.call_started(call_id)
        await guard.call_started(call_id)
        assert (await guard.status()).in_use >= number - 1
    for call_id in ids:
        await guard.call_ended(call_id)
    assert (await guard.status()).in_use == 0
    await guard.close()


@both_colours
async def test_a_tracked_call_is_found_by_any_id(colour, ledger, account):
    guard = colour.guard(Provider(2), ledger, account=account, policy=POLICY)

    @guard.place(track=True, call_id=lambda answer: answer)
    async def dial(call_id):
        return call_id

    for text in filter(None, TEXTS.values()):
        await dial(text)
        await guard.call_ended(text + "x")
        assert (await guard.status()).lanes[0].in_flight == 1
        await guard.call_ended(text)
        assert (await guard.status()).lanes[0].in_flight == 0
    await guard.close()


class Wordless:
    def __str__(self):
        raise RuntimeError("no words")


@both_colours
@pytest.mark.parametrize("call_id", [Wordless(), 10**5_000], ids=["wordless", "huge"])
async def test_what_cannot_be_written_is_no_call_id(colour, account, call_id, caplog):
    guard = colour.guard(Provider(2), MemoryLedger(), account=account, policy=POLICY)
    for tell in (guard.call_started, guard.call_ended):
        with pytest.raises(ConfigurationError, match="call id of type .* cannot be written"):
            await tell(call_id)
    async with guard.hold() as reservation:
        reservation.placed(call_id)
        assert reservation.call_id is None
    assert "is booked without its id" in caplog.text
    await guard.close()


# Reasons, errors, numbers


@both_colours
@pytest.mark.usefixtures("ledger_has_time")
async def test_a_reason_is_kept_as_it_is_as_far_as_it_can_be(colour, ledger, account):
    guard = colour.guard(Provider(2), ledger, account=account, policy=POLICY)
    (await guard.acquire()).cancel()
    for text in TEXTS.values():
        await guard.pause(text)
        kept = (await guard.status()).pause_reason
        assert kept == text[:200].encode("utf-8", "backslashreplace").decode()
        with pytest.raises(Paused) as caught:
            await guard.acquire(timeout=0)
        assert caught.value.reason == kept
    await guard.resume()
    (await guard.acquire()).cancel()
    await guard.close()


ERRORS = [
    UsageError("\ud800"),
    UsageError("a\0b\n"),
    RuntimeError("x" * 2**20),
    *(UsageError("later", retry_after=wait) for wait in (math.nan, -5, "5", True, math.inf, 10**400)),
]


@both_colours
async def test_whatever_a_source_raises_is_told_and_passes(colour, ledger, account, caplog):
    provider = Provider(2)
    guard = colour.guard(provider, ledger, account=account, policy=POLICY)
    for error in ERRORS:
        provider.script.append(error)
        with pytest.raises(UsageUnavailable) as caught:
            await guard.refresh()
        assert isinstance(caught.value.cause, UsageError)
    # The last ones ask for a pause as long as is obeyed, but a reading may be had.
    assert (await guard.refresh()).limit == 2
    await guard.close()
    assert caplog.text.encode()  # a log that is kept in a file can hold it


@both_colours
async def test_a_refusal_may_ask_for_any_wait(colour, ledger, account):
    guard = colour.guard(Provider(20), ledger, account=account, policy=POLICY)

    @guard.place(retry=False, timeout=60)
    async def dial(wait):
        raise CallRejected(wait)

    async def is_told():
        return (await guard.status()).pending == 0

    for wait in (math.nan, -1, -math.inf, 1e-300, math.inf):
        with pytest.raises(CallRejected):
            await dial(wait)
        await until(colour, is_told)
    await guard.close()


@both_colours
@pytest.mark.parametrize("timeout", [None, "5", 0, -1, math.nan, math.inf, True, 10**400], ids=lambda it: str(it)[:5])
async def test_a_source_has_a_timeout_that_can_be_kept(colour, timeout):
    provider = Provider()
    provider.timeout = timeout
    with pytest.raises(ConfigurationError, match=r"the source's timeout=.*give a number"):
        colour.guard(provider, account="acme")
