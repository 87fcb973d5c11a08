"""What answers is no ledger, and what wakes is nobody's business: typed errors, and all goes on where it was."""

from __future__ import annotations

import logging
import time

import pytest
import redis

from admission import Guard, LedgerUnavailable, MemoryLedger
from admission.ledger import scripts
from admission.ledger.wire import Code
from admission.process import process_token
from tests.guards.stage import Provider
from tests.integration.fleet_sides import POLICY, side
from tests.waiting import wait_until

LIMIT = 5

FORGED = {
    "a status": b"+OK\r\n",
    "a number": b":1\r\n",
    "nil": b"$-1\r\n",
    "no list": b"*-1\r\n",
    "an empty list": b"*0\r\n",
    "a short list": b"*3\r\n:1\r\n:2\r\n:3\r\n",
    "texts": b"*8\r\n" + b"$1\r\nx\r\n" * 8,
    "texts for numbers": b"*8\r\n:1000\r\n:1\r\n:1\r\n$1\r\nx\r\n:0\r\n:0\r\n$0\r\n\r\n:1\r\n",
    "an unknown verdict": b"*8\r\n:1000\r\n:1\r\n:1\r\n:0\r\n:0\r\n:0\r\n$0\r\n\r\n:99\r\n",
    "a short verdict": b"*8\r\n:1000\r\n:1\r\n:1\r\n:0\r\n:0\r\n:0\r\n$0\r\n\r\n*2\r\n:2\r\n:1\r\n",
    "errors inside": b"*8\r\n" + b"-ERR odd\r\n" * 8,
    "an error": b"-ERR unknown command\r\n",
    "a deep list": b"*1\r\n" * 30 + b":1\r\n",
    "a map": b"%1\r\n+a\r\n:1\r\n",
    "a push": b">2\r\n+invalidate\r\n*0\r\n",
    "a text of a hundred gigabytes": b"$99999999999\r\nx",
    "a list of a million": b"*1000000\r\n:1\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "TLS": b"\x15\x03\x03\x00\x02\x02\x46",
    "nothing but zeros": bytes(1000),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_is_no_reply_is_no_ledger(opened, open_store, name):
    _, between, _ = open_store
    kept = opened.acquire()
    lost = opened.acquire()
    between.forges = lambda _: FORGED[name]
    lost.ended()
    with pytest.raises(LedgerUnavailable):
        opened.status()
    with pytest.raises(LedgerUnavailable):
        opened.acquire(timeout=0.1)
    between.forges = lambda answer: answer
    between.up()
    # What was noted meanwhile has arrived, and whoever gave up holds nothing.
    wait_until(lambda: opened_status(opened).pending == 1)
    kept.ended()
    opened.check_whole()


def opened_status(guard):
    """Return the account's state, when the ledger answers again."""

    def look():
        try:
            return guard.status()
        except LedgerUnavailable:
            return None

    return wait_until(look)


@pytest.mark.parametrize("extra", [b"+OK\r\n", b":1\r\n", b"*0\r\n"])
def test_a_connection_that_is_out_of_step_is_not_kept(opened, open_store, extra):
    """One reply too many: what comes after it would belong to what was asked before."""
    _, between, _ = open_store
    opened.status()
    forged = []

    def once(answer):
        if forged:
            return answer
        forged.append(answer)
        return extra + answer

    between.forges = once
    for _ in range(20):
        assert 0 <= opened_status(opened).in_use <= LIMIT
    opened.check_whole()


def test_a_ledger_that_is_foreign_whatever_it_is_told_is_not_asked_without_a_pause(monkeypatch):
    ledger = MemoryLedger()
    asked = []

    def exchange(batch):
        asked.append(len(batch))
        return [[Code.FOREIGN, 1_000, 1_000 + len(asked), 0, 0, 0, 0, ""] for _ in batch]

    monkeypatch.setattr(ledger.clerk().store, "exchange", exchange)
    with Guard(Provider(), ledger, account="acme", policy=POLICY) as guard:
        began = time.monotonic()
        with pytest.raises(LedgerUnavailable):
            guard.acquire(timeout=0.5)
        assert len(asked) <= 5 + 2 * (time.monotonic() - began) / 0.05


class NoToken(Exception):
    """What a cloud's library raises where it gets no credentials: no error of redis-py's, nor of the system's."""


def test_whatever_a_client_raises_as_it_connects_the_ledger_is_away(at, colour, open_store):
    _, between, account = open_store
    raises = []

    def connect(connection):
        if raises:
            raise NoToken("the metadata service is busy")
        connection.on_connect()

    with client_of(between, redis_connect_func=connect) as client, side(colour, at, client, account) as guard:
        lost = guard.acquire()
        lost.placed("call-1")
        guard.status()
        raises.append(True)
        between.up()
        guard.ask("call_ended", call_id="call-1")
        with pytest.raises(LedgerUnavailable, match="NoToken: the metadata service is busy") as raised:
            guard.acquire(timeout=0.1)
        assert isinstance(raised.value.cause.__cause__, NoToken)
        raises.clear()
        guard.check_whole()


# Wake-up messages


def client_of(one, **settings):
    """Return a client of the caller's own."""
    return redis.Redis(port=one.port, **settings)


def payloads(account):
    """Messages on a process's channel that mean nothing, or harm."""
    mine = f"{process_token()}.0"
    return [
        b"",
        b"\0" * 1000,
        b"\xff\xfe\n\x80",
        b"\xed\xa0\x80\n" + b"\n" * 500,
        b'{"seat": 1}',
        f"{account}\n{mine}.ffffff\n{mine}.0\n{mine}\n{mine}.\n{mine}.0 x\n..\n.".encode(),
        f"{account}\n".encode() + "\n".join(f"{mine}.{number:x}" for number in range(5_000, 25_000)).encode(),
        b"x" * (scripts.MOST_TOLD + 1),
        f"another\n{mine}.0\u2028{mine}.1".encode(),
    ]


@pytest.mark.parametrize("texts", [False, True], ids=["bytes", "texts"])
def test_whatever_is_published_the_line_moves_on(at, colour, open_store, caplog, texts):
    """Also to a client that makes texts of all that comes."""
    one, _, account = open_store
    caplog.set_level(logging.INFO, "admission")
    with (
        side(colour, at, one.url, account) as other,
        client_of(one, decode_responses=texts) as client,
        side(colour, at, client, account) as guard,
    ):
        held = [other.acquire() for _ in range(LIMIT)]
        waiters = [guard.submit("acquire", timeout=30) for _ in range(3)]
        guard.wait_waiting(3)
        channel = scripts.wake_channel(process_token())
        wait_until(lambda: one.client.pubsub_numsub(channel)[0][1])
        for payload in payloads(account) * 3:
            assert one.client.publish(channel, payload)
        for reservation in held[:3]:
            reservation.ended()
        for waiter in waiters:
            waiter.result(30).ended()
        assert one.client.pubsub_numsub(channel)[0][1]
        wait_until(lambda: "1 wake-up messages were not of this library's making" in caplog.text)
        assert "connection broke" not in caplog.text
        assert "clerk failed" not in caplog.text
        # Nobody's seats were withdrawn, which would have been remembered.
        names = one.client.hkeys(one.keys(account)["account"])
        assert len(names) < 100
        for reservation in held[3:]:
            reservation.ended()
        guard.check_whole()


@pytest.mark.parametrize("settings", [{"decode_responses": True}, {"decode_responses": True, "encoding": "latin-1"}])
def test_a_client_may_make_texts_of_what_comes(at, colour, open_store, settings):
    one, _, account = open_store
    with client_of(one, **settings) as client, side(colour, at, client, account) as guard:
        guard.ask("pause", reason="r\xe9sum\xe9 \u2603")
        assert guard.status().pause_reason == "r\xe9sum\xe9 \u2603"
        guard.ask("resume")
        guard.check_whole()
