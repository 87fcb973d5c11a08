"""What reaches Redis: whoever looks on there learns no key, and not the machine's name."""

from __future__ import annotations

import platform

import pytest

from admission import Lane, UsageUnavailable
from tests.integration.fleet_crews import KEY


def test_neither_the_key_nor_the_machine_s_name_is_told_to_redis(opened, open_store):
    one, _, _ = open_store
    with one.client.monitor() as monitor:
        block = opened.guard.hold(timeout=20)
        reservation = opened.enter(block)
        reservation.placed("call-4711")
        opened.ask("refresh")
        opened.leave(block)
        opened.ask("call_started", call_id="call-4712")
        opened.ask("call_ended", call_id="call-4712")
        opened.ask("set_lane", lane=Lane("bulk", priority=1))
        opened.ask("pause", reason="why not")
        opened.ask("holders")
        opened.ask("resume")
        one.client.echo("that is all")
        heard = []
        while "that is all" not in (command := monitor.next_command()["command"]):
            heard.append(command)
    text = "\n".join(heard)
    assert "call-4711" in text
    assert "why not" in text
    assert KEY not in text
    assert platform.node() not in text


def test_a_fault_that_quotes_the_key_is_kept_without_it(opened, open_store, at):
    one, _, account = open_store
    at.fake.fail_always(500, body=f"no such key: {KEY}")
    with pytest.raises(UsageUnavailable, match="no such key"):
        opened.ask("refresh")
    kept = repr(one.client.hgetall(one.keys(account)["account"]))
    assert "no such key" in kept
    assert KEY not in kept
