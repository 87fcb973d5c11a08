"""A ledger on a cluster, and on a primary with a replica, watched or behind one address: both colours, real servers."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from admission import LedgerUnavailable, RedisLedger
from admission.ledger.scripts import wake_channel
from admission.process import process_token
from tests.integration.fleet_sides import side
from tests.topologies import NODES, behind_one_address, cluster, watched
from tests.waiting import wait_until

ACCOUNTS = [f"account-{number}" for number in range(6)]


@pytest.fixture
def spread(binary):
    with cluster(binary) as one:
        yield one


def serve_a_line(guard):
    """Fill the account, let others wait, and see that each is woken."""
    held = [guard.acquire(timeout=20) for _ in range(5)]
    waiters = [guard.submit("acquire", timeout=20) for _ in range(3)]
    guard.wait_waiting(3)
    for reservation in held:
        reservation.ended()
    for waiter in waiters:
        waiter.result(20).ended()


def test_accounts_spread_over_a_cluster(colour, at, spread):
    assert len({spread.place_of(f"admission:{{{account}}}:line") for account in ACCOUNTS}) == 3
    with ExitStack() as stack:
        guards = [stack.enter_context(side(colour, at, spread.client, account)) for account in ACCOUNTS]
        for guard in guards:
            guard.status()
        for guard in guards:
            serve_a_line(guard)
            guard.check_whole()


@pytest.mark.usefixtures("ledger_has_time")
def test_the_address_of_one_node_is_no_address_of_a_cluster(colour, at, spread):
    node = next(
        node for number, node in enumerate(spread.nodes) if number != spread.place_of("admission:{account}:line")
    )
    address = f"redis://127.0.0.1:{node.connection_pool.connection_kwargs['port']}/0"
    with (
        side(colour, at, address, "account") as guard,
        pytest.raises(LedgerUnavailable, match="give RedisLedger a redis"),
    ):
        guard.acquire(timeout=0)


def test_a_slot_that_moves_keeps_its_account(colour, at, spread):
    with side(colour, at, spread.client, "account") as guard:
        held = guard.acquire(timeout=20)
        held.placed(at.fake.start_call())
        before = spread.place_of("admission:{account}:line")
        spread.move("admission:{account}:line")
        guard.acquire(timeout=20).ended()
        assert spread.place_of("admission:{account}:line") != before
        # The other node is another server: all is told to it again.
        wait_until(lambda: guard.status().held == 1)
        guard.claim_all()
        assert guard.status().in_use == 5
        at.fake.end_call(held.call_id)


def test_a_node_that_is_gone_takes_only_its_own_accounts_along(colour, at, binary):
    with ExitStack() as stack:
        spread = stack.enter_context(cluster(binary, options=("--cluster-require-full-coverage", "no")))
        ledger = RedisLedger(spread.client)
        guards = {}
        for account in ACCOUNTS:
            node = spread.place_of(f"admission:{{{account}}}:line")
            if node not in guards:
                guards[node] = stack.enter_context(side(colour, at, ledger, account))
                guards[node].acquire(timeout=20).ended()
        lost, *others = guards.values()
        spread.kill(next(iter(guards)))
        with pytest.raises(LedgerUnavailable):
            lost.acquire(timeout=0.5)
        # One that waits for its account keeps nobody else from theirs.
        waiter = lost.submit("acquire", timeout=30)
        for guard in others:
            serve_a_line_of(guard, 5)
        assert not waiter.done()
        spread.start(next(iter(guards)))
        waiter.result(30).ended()


def test_the_wake_up_connection_goes_to_a_node_that_is_there(colour, at, binary):
    with cluster(binary, options=("--cluster-require-full-coverage", "no")) as spread:
        channel = wake_channel(process_token())
        lost = spread.place_of(channel)
        account = next(name for name in ACCOUNTS if spread.place_of(f"admission:{{{name}}}:line") != lost)
        others = [node for index, node in enumerate(spread.nodes) if index != lost]
        with side(colour, at, spread.client, account) as guard:
            held = [guard.acquire(timeout=20) for _ in range(5)]
            waiter = guard.submit("acquire", timeout=40)
            guard.wait_waiting(1)
            spread.kill(lost)
            wait_until(lambda: any(channel.encode() in node.pubsub_channels() for node in others), timeout=20)
            for reservation in held:
                reservation.ended()
            waiter.result(20).ended()


def test_a_cluster_that_is_gone_is_found_again(colour, at, spread):
    with side(colour, at, spread.client, "account") as guard:
        guard.acquire(timeout=20).ended()
        for node in range(NODES):
            spread.kill(node)
        for timeout in (0, 0.5):
            with pytest.raises(LedgerUnavailable):
                guard.acquire(timeout=timeout)
        spread.start(*range(NODES))
        guard.acquire(timeout=20).ended()
        guard.check_whole()


def test_an_address_that_moves_to_the_new_primary_is_followed(colour, at, binary):
    with behind_one_address(binary) as both, side(colour, at, both.place, "account") as guard:
        held = guard.acquire(timeout=20)
        held.placed(at.fake.start_call())
        serve_a_line_of(guard, 4)
        # The connections to the old one stay open: it says that it is a replica.
        both.swap()
        guard.acquire(timeout=20).ended()
        wait_until(lambda: guard.status().held == 1)
        serve_a_line_of(guard, 4)
        at.fake.end_call(held.call_id)


def test_an_address_that_leads_to_a_replica_admits_nobody(colour, at, binary):
    with behind_one_address(binary) as both, side(colour, at, both.place, "account") as guard:
        guard.acquire(timeout=20).ended()
        both.point_at(both.replica)
        with pytest.raises(LedgerUnavailable) as raised:
            guard.acquire(timeout=5)
        assert "read only" in str(raised.value)
        # It leads to the primary again, and whoever is connected to the replica stays so.
        both.proxy.target = both.primary.port
        guard.acquire(timeout=20).ended()
        guard.check_whole()


def test_a_failover_tells_all_to_the_new_primary(colour, at, binary, tmp_path):
    with watched(binary, tmp_path) as one, side(colour, at, one.client, "account") as guard:
        held = guard.acquire(timeout=20)
        held.placed(at.fake.start_call())
        serve_a_line_of(guard, 4)
        one.fail_over()
        guard.acquire(timeout=40).ended()
        wait_until(lambda: guard.status().held == 1)
        serve_a_line_of(guard, 4)
        at.fake.end_call(held.call_id)


def serve_a_line_of(guard, free):
    held = [guard.acquire(timeout=20) for _ in range(free)]
    waiter = guard.submit("acquire", timeout=20)
    guard.wait_waiting(1)
    held.pop().ended()
    waiter.result(20).ended()
    for reservation in held:
        reservation.ended()
