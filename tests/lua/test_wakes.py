"""Offers are told by publish/subscribe: one message for each process and request."""

from __future__ import annotations

import pytest

from admission.ledger import scripts


@pytest.fixture
def ear(client):
    with client.pubsub() as ear:
        ear.psubscribe("*")
        assert ear.get_message(timeout=5)["type"] == "psubscribe"
        yield ear


@pytest.fixture
def told(ear, client):
    """Return what was told since, by channel."""

    def listen():
        client.publish("over", "")
        messages = []
        while (message := ear.get_message(timeout=5))["channel"] != b"over":
            messages.append((message["channel"].decode(), message["data"].decode()))
        return sorted(messages)

    return listen


def test_one_message_for_each_process(desk, told):
    book = desk(4)
    book.grant("r1", "r2", "r3", "r4")
    book.wait("s1", "s2", by="p")
    book.wait("s3", by="q")
    assert told() == []
    book.reading(0, t0=book.now + 60_000)
    assert told() == [
        (scripts.wake_channel("p"), "acct\ns1\ns2"),
        (scripts.wake_channel("q"), "acct\ns3"),
    ]


def test_nothing_is_told_when_nothing_is_offered(desk, told):
    book = desk(1)
    book.grant("r1")
    book.wait("s1")
    book.beat()
    book.withdraw("s1")
    book.ended("r1")
    assert told() == []


def test_an_offer_is_told_by_whatever_frees_the_room(desk, told):
    book = desk(1)
    book.grant("r1")
    book.wait("s1", "s2", by="q")
    book.ended("r1")
    assert told() == [(scripts.wake_channel("q"), "acct\ns1")]
    book.claim("s1", by="q")
    assert told() == []
    book.pause()
    book.ended("s1", by="q")
    assert told() == []
    book.resume()
    assert told() == [(scripts.wake_channel("q"), "acct\ns2")]


def test_the_account_is_told_by_its_name(desk, told):
    book = desk(1, account="a:b/c@d+e-f.g")
    book.grant("r1")
    book.wait("s1")
    book.ended("r1")
    assert told() == [(scripts.wake_channel("p"), "a:b/c@d+e-f.g\ns1")]


def test_guards_of_one_process_share_a_channel(desk, told):
    book = desk(1)
    book.grant("r1")
    book.wait("s1", by="ab.1")
    book.wait("s2", by="ab.2")
    book.reading(0, limit=3, t0=book.now + 60_000)
    assert told() == [("admission:wake:ab", "acct\ns1"), ("admission:wake:ab", "acct\ns2")]
