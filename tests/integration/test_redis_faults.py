"""What becomes of slots when Redis, or the way to it, fails: real servers, a proxy that cuts, both colours."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import as_completed
from contextlib import ExitStack, suppress

import pytest
from redis.exceptions import OutOfMemoryError

from admission import LedgerUnavailable, NotPlaced, Saturated
from admission.ledger import scripts
from tests.integration.fleet_crews import fleet, provider
from tests.integration.fleet_sides import POLICY, side
from tests.waiting import wait_until

LIMIT = 5
PAUSE = 1.0 + POLICY.visibility_lag
"""Seconds at the beginning of an epoch in which nothing is claimed: one beat and the visibility lag."""


@pytest.fixture(params=["before", "after"])
def cut(request, open_store):
    """Cuts the connection at the next request of a verb, before the server gets it or after it has answered."""
    _, between, _ = open_store

    def arm(verb):
        between.cut(f"\r\n{verb}\r\n".encode(), before=request.param == "before")
        return lambda: wait_until(lambda: between.cuts == 1)

    yield arm
    assert between.cuts == 1


def fill(guard):
    """Claim all slots."""
    return [guard.acquire() for _ in range(LIMIT)]


# The connection is lost in the middle of a request


def test_a_lost_ask_claims_once(opened, cut):
    opened.acquire().ended()
    cut("ask")
    reservation = opened.acquire(timeout=10)
    assert opened.status().pending == 1
    reservation.cancel()
    opened.check_whole()


def test_a_lost_ask_takes_one_seat(opened, cut):
    held = fill(opened)
    cut("ask")
    waiter = opened.submit("acquire", timeout=60)
    opened.wait_waiting(1)
    held.pop().cancel()
    waiter.result(10).cancel()
    assert (opened.status().waiting, opened.status().pending) == (0, LIMIT - 1)
    for reservation in held:
        reservation.cancel()
    opened.check_whole()


def check_passed_on_once(opened, holder, cut, verb):
    """Have a slot go from a guard to a waiter of `opened` while a verb is cut; it is claimed once."""
    held = fill(holder)
    waiter = opened.submit("acquire", timeout=60)
    opened.wait_waiting(1)
    struck = cut(verb)
    held.pop().cancel()
    admitted = waiter.result(10)
    struck()  # on a slow machine the waiter has claimed by itself, and the next beat is cut
    assert (opened.status().waiting, opened.status().pending) == (0, LIMIT)
    for reservation in [admitted, *held]:
        reservation.cancel()


def test_an_offer_whose_taking_up_was_lost_is_claimed_once(opened, open_store, at, colour, cut):
    one, _, account = open_store
    # A slot that another process frees is offered; the next beat takes it up.
    with side(colour, at, one.url, account) as other:
        check_passed_on_once(opened, other, cut, "beat")
    opened.check_whole()


def test_a_slot_whose_handing_over_was_lost_is_claimed_once(opened, cut):
    check_passed_on_once(opened, opened, cut, "ended")
    opened.check_whole()


def test_a_lost_placed_is_told_again(opened, at, cut):
    reservation = opened.acquire()
    reservation_call = at.fake.start_call()
    struck = cut("placed")
    reservation.placed(reservation_call)
    struck()
    opened.wait_for(free=LIMIT - 1, held=1, pending=0)
    at.fake.end_call(reservation_call)
    reservation.ended()
    opened.check_whole()


def test_a_lost_leave_is_told_again(opened, cut):
    reservation = opened.acquire()
    struck = cut("leave")
    reservation.release()
    struck()
    # Long before its placement timeout.
    opened.wait_for(free=LIMIT)
    opened.check_whole()


def test_a_lost_end_is_told_again(opened, at, cut):
    reservation = opened.acquire()
    reservation.placed("over soon")
    struck = cut("ended")
    reservation.ended()
    struck()
    assert opened.status().free == LIMIT
    opened.check_whole()


def test_a_lost_withdrawal_leaves_no_seat(opened, cut):
    held = fill(opened)
    struck = cut("withdraw")
    with pytest.raises((Saturated, LedgerUnavailable)):
        opened.acquire(timeout=0.2)
    struck()
    assert opened.status().waiting == 0
    for reservation in held:
        reservation.cancel()
    opened.check_whole()


@pytest.mark.parametrize("verb", ["duty", "reading"])
def test_a_lost_reading_is_followed_by_others(opened, at, cut, verb):
    held = fill(opened)
    waiter = opened.submit("acquire", timeout=20)
    opened.wait_waiting(1)
    struck = cut(verb)
    struck()
    read = at.fake.readings
    wait_until(lambda: at.fake.readings > read + 3)
    held.pop().cancel()
    waiter.result(10).cancel()
    for reservation in held:
        reservation.cancel()
    opened.check_whole()


def test_a_lost_beat_keeps_the_block_open(opened, cut):
    block = opened.guard.place(timeout=10)
    reservation = opened.enter(block)
    first = reservation.deadline
    struck = cut("beat")
    struck()
    wait_until(lambda: reservation.deadline > first + 0.5)
    assert opened.status().pending == 1
    opened.leave(block, NotPlaced())
    opened.check_whole()


def test_flushed_scripts_are_loaded_again(opened, at, open_store):
    store, _, _ = open_store
    store.client.script_flush()
    reservation = opened.acquire()
    store.client.script_flush()
    call = at.fake.start_call()
    reservation.placed(call)
    store.client.script_flush()
    opened.wait_for(free=LIMIT - 1)
    held = [opened.acquire() for _ in range(LIMIT - 1)]
    waiter = opened.submit("acquire", timeout=60)
    opened.wait_waiting(1)
    store.client.script_flush()
    held.pop().cancel()
    waiter.result(10).cancel()
    at.fake.end_call(call)
    for other in [reservation, *held]:
        other.ended()
    opened.check_whole()


# Redis is away for a while


@pytest.mark.parametrize("way", ["down", "swallow"])
def test_callers_are_told_at_their_timeout_that_redis_is_away(opened, open_store, way):
    _, between, _ = open_store
    opened.acquire().ended()
    getattr(between, way)()
    for timeout in (0, 0.7):
        began = time.monotonic()
        with pytest.raises(LedgerUnavailable) as raised:
            opened.acquire(timeout=timeout)
        waited = time.monotonic() - began
        # A server that says nothing is given a second.
        assert timeout <= waited < timeout + 15
        assert raised.value.retry_after > 0
    with pytest.raises(LedgerUnavailable):
        opened.status()
    between.up()
    opened.check_whole()


def test_what_was_noted_while_redis_was_away_arrives(opened, at, open_store):
    _, between, _ = open_store
    placed, ended, left, cancelled = [opened.acquire() for _ in range(4)]
    between.down()
    placed.placed(at.fake.start_call())
    ended.placed("over soon")
    ended.ended()
    left.placed(at.fake.start_call())
    left.release()
    cancelled.cancel()
    between.up()
    opened.wait_for(free=LIMIT - 2, held=1, pending=0)
    at.fake.end_call(placed.call_id)
    at.fake.end_call(left.call_id)
    placed.ended()
    opened.check_whole()


@pytest.mark.parametrize("way", ["down", "swallow"])
def test_the_line_moves_when_redis_is_back(opened, open_store, way):
    _, between, _ = open_store
    held = fill(opened)
    waiters = [opened.submit("acquire", timeout=30) for _ in range(3)]
    opened.wait_waiting(3)
    getattr(between, way)()
    for _ in range(3):
        held.pop().cancel()
    time.sleep(1)
    between.up()
    back = time.monotonic()
    admitted = [waiter.result(20) for waiter in waiters]
    assert time.monotonic() - back < 15
    assert (opened.status().waiting, opened.status().pending) == (0, LIMIT)
    for reservation in [*admitted, *held]:
        reservation.cancel()
    opened.check_whole()


@pytest.mark.usefixtures("ledger_has_time")
def test_a_server_without_memory_loses_nothing_and_says_so(guard, at, own):
    placed, cancelled = guard.acquire(), guard.acquire()
    own.client.config_set("maxmemory", 100_000)
    # A script that takes something away first is run as a whole, any other is refused as a whole.
    with pytest.raises(LedgerUnavailable, match="maxmemory"):
        for _ in range(50):
            guard.ask("acquire", timeout=0).cancel()
    placed.placed(at.fake.start_call())
    cancelled.cancel()
    own.client.config_set("maxmemory", 0)
    guard.wait_for(free=LIMIT - 1, held=1, pending=0)
    at.fake.end_call(placed.call_id)
    placed.ended()
    guard.check_whole()


def test_half_open_connections_are_given_up(guard, own):
    held = fill(guard)
    waiter = guard.submit("acquire", timeout=30)
    guard.wait_waiting(1)

    def ears():
        return {client["id"] for client in own.client.client_list(_type="pubsub")}

    stranded = wait_until(ears)
    own.proxy.strand()
    held.pop().cancel()
    waiter.result(10).cancel()
    waiter = guard.submit("acquire", timeout=30)
    # The wake-up connection too, on which there is nothing to say.
    wait_until(lambda: ears() - stranded, timeout=20)
    held.pop().cancel()
    waiter.result(10).cancel()
    for reservation in held:
        reservation.cancel()
    guard.check_whole()


def test_a_slow_way_only_slows(opened, open_store):
    _, between, _ = open_store
    between.delay = 0.1
    held = fill(opened)
    waiter = opened.submit("acquire", timeout=60)
    opened.wait_waiting(1)
    held.pop().cancel()
    waiter.result(10).cancel()
    for reservation in held:
        reservation.cancel()
    between.delay = 0.0
    opened.check_whole()


def test_a_line_moves_without_a_thread_that_listens(guard, monkeypatch):
    start, refused = threading.Thread.start, []

    def short(thread):
        if thread.name == "admission-ear":
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", short)
    held = fill(guard)
    waiter = guard.submit("acquire", timeout=30)
    guard.wait_waiting(1)
    wait_until(lambda: refused)
    held.pop().cancel()
    waiter.result(20).cancel()
    for reservation in held:
        reservation.cancel()
    guard.check_whole()


# Redis has lost data


def stands(guard):
    """Return how many wait and what is in use; `None` where a busy machine lets the 2 s of a reply pass."""
    with suppress(LedgerUnavailable):
        status = guard.status()
        return status.waiting, status.in_use
    return None


def check_told_again(guard, at, began, held):
    """Check a new epoch that knows of `held` holds: it waits for a reading, then admits what is left."""
    waiters = [guard.submit("acquire", timeout=20) for _ in range(LIMIT)]
    wait_until(lambda: sum(waiter.done() for waiter in waiters) == LIMIT - held)
    admitted = [waiter.result() for waiter in waiters if waiter.done()]
    assert min(reservation.granted_at for reservation in admitted) >= began + PAUSE
    assert max(reservation.granted_at for reservation in admitted) < began + PAUSE + 20
    read = at.fake.readings
    wait_until(lambda: at.fake.readings > read + 3)
    assert sum(waiter.done() for waiter in waiters) == LIMIT - held
    wait_until(lambda: stands(guard) == (held, LIMIT))
    for reservation in admitted:
        reservation.cancel()
    for waiter in as_completed(waiters, timeout=60):
        waiter.result().cancel()


def test_a_server_that_comes_back_empty_is_told_everything(guard, at, own):
    holds = [guard.acquire() for _ in range(2)]
    for hold in holds:
        hold.placed(at.fake.start_call())
    block = guard.guard.place()
    guard.enter(block)
    own.kill()
    began = time.time()
    own.start()
    check_told_again(guard, at, began, held=3)
    assert (guard.status().held, guard.status().pending) == (2, 1)
    guard.leave(block, NotPlaced())
    for hold in holds:
        at.fake.end_call(hold.call_id)
        hold.ended()
    guard.check_whole()


def test_an_old_snapshot_is_not_believed(guard, at, own):
    forgotten = guard.acquire()
    forgotten.placed(at.fake.start_call())
    own.client.save()
    at.fake.end_call(forgotten.call_id)
    forgotten.ended()
    hold = guard.acquire()
    hold.placed(at.fake.start_call())
    guard.wait_for(free=LIMIT - 1)
    own.kill()
    began = time.time()
    own.start()
    assert own.client.dbsize() == len(scripts.KEYS)
    check_told_again(guard, at, began, held=1)
    assert (guard.status().held, guard.status().pending) == (1, 0)
    at.fake.end_call(hold.call_id)
    hold.ended()
    guard.check_whole()


@pytest.mark.parametrize("lost", ["keys", "all"])
def test_lost_keys_begin_a_new_epoch(colour, own, lost):
    """Each key of an account is lost in turn, or all of all accounts at once."""
    with ExitStack() as stack:
        ats, guards, holds = {}, {}, {}
        for key in scripts.KEYS:
            ats[key] = stack.enter_context(provider(LIMIT))
            guards[key] = stack.enter_context(side(colour, ats[key], own.url, key))
        for key, guard in guards.items():
            holds[key] = guard.acquire()
            holds[key].placed(ats[key].fake.start_call())
            guard.wait_for(free=LIMIT - 1)
        began = time.time()
        if lost == "all":
            own.client.flushall()
        else:
            for key in guards:
                assert own.client.delete(own.keys(key)[key]) == 1
        for key, guard in guards.items():
            # The first word of any process begins the epoch.
            guard.status()
            assert len(own.keys(key)) == len(scripts.KEYS)
        for guard in guards.values():
            claimed = guard.acquire()
            assert claimed.granted_at >= began + PAUSE
            guard.wait_for(free=LIMIT - 2, held=1, pending=1)
            claimed.cancel()
            assert len(guard.claim_all()) == LIMIT - 1


def test_evicted_keys_begin_a_new_epoch(guard, at, own):
    hold = guard.acquire()
    hold.placed(at.fake.start_call())
    guard.wait_for(free=LIMIT - 1)
    began = time.time()
    own.client.config_set("maxmemory-policy", "volatile-lru")
    own.client.config_set("maxmemory", own.client.info("memory")["used_memory"] + 500_000)
    # What has no TTL takes the place of what has one.
    with pytest.raises(OutOfMemoryError):
        for number in range(1_000):
            own.client.set(f"filler-{number}", os.urandom(20_000))
    assert own.client.info("stats")["evicted_keys"] > 0
    own.client.config_set("maxmemory", 0)
    own.client.delete(*own.client.keys("filler-*"))
    check_told_again(guard, at, began, held=1)
    at.fake.end_call(hold.call_id)
    hold.ended()
    guard.check_whole()


def test_live_calls_never_exceed_the_limit_whatever_redis_loses(at, own):
    """Two processes make short calls while the server is killed, emptied, robbed of a key and cut off."""
    policy = {"refresh_interval": 0.1, "visibility_lag": 0.1, "placement_timeout": 20.0, "lease_ttl": 2.0}
    at.fake.visibility_lag = 0.1

    def restart():
        own.kill()
        own.start()

    def lose_pending():
        own.client.delete(own.keys("robbed")["pending"])

    with fleet(at, own.url, ["sync", "async"], account="robbed", policy=policy, callers=10, call=0.6) as calling:
        calling.begin()
        for fault in (restart, own.client.flushall, lose_pending, own.proxy.up):
            started = at.fake.started
            wait_until(lambda: at.fake.started > started + 2 * LIMIT)  # noqa: B023 - waited for at once
            fault()
        started = at.fake.started
        wait_until(lambda: at.fake.started > started + 2 * LIMIT)
        assert at.fake.overshoots == 0
        summaries = calling.stop()
    assert [summary["errors"] for summary in summaries.values()] == [[], []]


def test_a_process_that_lapsed_gets_its_holds_back(colour, at, own):
    policy = {"refresh_interval": 0.05, "visibility_lag": 0.05, "lease_ttl": 1.0, "placement_timeout": 2.0}
    with (
        side("sync", at, own.url, "lapsed", POLICY.__class__(**policy)) as guard,
        fleet(at, own.url, [colour], account="lapsed", policy=policy, callers=2, call=None) as holding,
    ):
        (process,) = holding.processes
        holding.begin()
        wait_until(lambda: at.fake.live == 2)
        wait_until(lambda: guard.ask("refresh").held == 2)
        process.freeze()
        wait_until(lambda: guard.status().held == 0)
        # Its calls are in the provider's count all the same.
        assert guard.ask("refresh").free == LIMIT - 2
        process.thaw()
        wait_until(lambda: guard.status().held == 2)
        assert guard.ask("refresh").free == LIMIT - 2
        holding.stop()
