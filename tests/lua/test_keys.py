"""The keys of an account: how long they live, what is noticed when one is gone, and that no other's are touched."""

from __future__ import annotations

import pytest

from admission.ledger import scripts
from admission.ledger.requests import AskStatus, Who
from admission.ledger.wire import Code
from tests.books import DURATION, LAG, TIMEOUT, entry

HOUR = 3_600_000
NUMBERS = ("limit", "count", "stamp", "t0", "t1", "mean")
"""What a new epoch keeps of the newest reading."""


def about(ttls, ttl):
    """Whether all keys have the same time to live, which was set a moment ago."""
    return max(ttls) - min(ttls) < 1_000 and all(ttl - 60_000 < left <= ttl for left in ttls)


def test_an_idle_account_is_nothing_but_its_keys(desk, client):
    book = desk(2)
    book.grant("r1", "r2")
    book.wait("s1")
    book.ended("r1")
    book.claim("s1")
    book.ended("s1")
    book.ended("r2")
    assert set(client.keys("admission:*")) == {key.encode() for key in book.shelf.keys.values()}
    status = book.status()
    assert (status.pending, status.held, status.booked, status.in_use, status.room) == (0, 0, 0, 0, 2)
    assert book.beat().head.waiting == 0
    for name in scripts.KEYS[1:]:
        members = client.zrange(book.shelf.keys[name], 0, -1)
        assert b"" in members, name
        assert {member[:1] for member in members} <= {b"", b"p", b"u"}, name


def test_what_marks_a_key_is_no_member(desk, client):
    book = desk(1)
    book.grant("r1")
    book.wait("s1")
    assert book.ask("s2").verdict.position == 1
    assert book.reading(0, t0=book.now + 60_000) == Code.OK
    assert client.zscore(book.shelf.keys["pending"], "") == float("inf")
    assert book.status().pending == 0
    book.quiet(20_000, "p")
    assert book.dump()["offers"] == {}


def test_every_key_has_the_same_ttl(desk):
    book = desk(1)
    assert about(book.shelf.ttls(), HOUR)
    book.policies["q"] = book.policy._replace(duration=6 * HOUR)
    book.status(by="q")
    assert about(book.shelf.ttls(), 12 * HOUR)


def test_a_ttl_is_renewed_when_a_quarter_has_gone(desk, client):
    book = desk(1)
    book.status()
    for key in book.shelf.keys.values():
        client.pexpire(key, 1_000_000)
    book.after(HOUR // 4 - 10_000)
    book.status()
    assert about(book.shelf.ttls(), 1_000_000)
    book.after(11_000)
    book.status()
    assert about(book.shelf.ttls(), HOUR)


def test_nothing_ends_while_paused(desk):
    book = desk(1)
    book.pause("lunch")
    assert set(book.shelf.ttls()) == {-1}
    book.after(10 * HOUR)
    book.status()
    assert set(book.shelf.ttls()) == {-1}
    book.resume()
    assert about(book.shelf.ttls(), HOUR)


def test_nothing_ends_while_a_lane_is_paused(desk):
    book = desk(1)
    book.lane("bulk")
    book.pause("lunch", lane="bulk")
    assert set(book.shelf.ttls()) == {-1}
    book.resume(lane="bulk")
    assert about(book.shelf.ttls(), HOUR)


def test_a_pause_told_by_a_beat_keeps_the_keys_too(desk):
    book = desk(1)
    book.beat(pause=(book.now, 1, "told"))
    assert set(book.shelf.ttls()) == {-1}


def test_a_new_epoch_while_paused_stays_paused_and_stays(desk, client):
    book = desk(1)
    book.pause("lunch")
    client.delete(book.shelf.keys["line"])
    assert book.beat().code == Code.FOREIGN
    assert set(book.shelf.ttls()) == {-1}
    assert book.status().pause_reason == "lunch"


@pytest.mark.parametrize("name", scripts.KEYS)
def test_a_key_that_was_evicted_opens_a_new_epoch(desk, client, name):
    book = desk(4, 1)
    book.grant("r1")
    book.placed("r1", "call")
    book.grant("r2", "r3")
    book.wait("s1")
    before = book.dump()
    client.delete(book.shelf.keys[name])
    epoch = before["epoch"][0]
    reply = book.ended("r2")
    assert reply.code == Code.FOREIGN
    assert reply.head.epoch == book.now > epoch
    after = book.dump()
    assert after["reservations"] == after["calls"] == after["members"] == after["seats"] == after["offers"] == {}
    assert after["epoch"] == (book.now, book.now)
    assert after["reading"]["open_after"] == book.now + 1_000 + LAG
    kept = {number: after["reading"][number] for number in NUMBERS}
    if name == "account":
        assert set(kept.values()) == {-1, 0}
    else:
        assert kept == {number: before["reading"][number] for number in NUMBERS}
    assert book.ask("r4", join=0).code == Code.UNREAD
    assert all(book.shelf.client.exists(key) for key in book.shelf.keys.values())
    assert about(book.shelf.ttls(), HOUR)


def test_a_server_that_lost_everything_begins_anew(desk, client):
    book = desk(1)
    book.grant("r1")
    book.pause("lunch")
    client.flushall()
    assert book.beat().code == Code.FOREIGN
    status = book.status()
    assert (status.limit, status.booked, status.pause_on, status.room) == (-1, 0, 0, 0)


def test_another_server_opens_a_new_epoch_once(desk):
    book = desk(1)
    book.shelf.run_id = "one"
    epoch = book.shelf.epoch
    book.grant("r1")
    assert book.shelf.epoch == epoch
    book.shelf.run_id = "two"
    book.after(1)
    assert book.ended("r1").code == Code.FOREIGN
    epoch = book.shelf.epoch
    assert book.status().booked == 0
    assert book.shelf.epoch == epoch
    book.shelf.run_id = ""
    assert book.status().booked == 0
    assert book.shelf.epoch == epoch


def test_bookings_come_back_with_the_first_beats_of_an_epoch(desk, client):
    book = desk(2)
    book.grant("r1")
    client.flushall()
    book.beat()
    book.beat(entry("r1"))
    book.open(2)
    assert book.status().pending == 1
    book.grant("r2")
    assert book.ask("r3", join=0).code == Code.SATURATED


def test_the_epoch_of_a_jump(desk):
    book = desk(1)
    book.grant("r1")
    book.after(1)
    reply = book.jumped()
    assert (reply.code, reply.head.epoch) == (Code.FOREIGN, book.now)
    assert book.status().booked == 0


def test_ledger_time_never_goes_back(desk):
    book = desk(2)
    book.grant("r1")
    last, behind = book.now, 0
    for step, late in ((-1, 0), (-HOUR, 0), (250, 250), (1, 251), (-7, 251), (100, 351)):
        book.now += step
        assert book.status().usage_age - 1 == late
        behind -= min(0, step)
        assert book.beaten().behind == behind
        assert book.beat().head.now == last + late
    assert book.placed("r1").head.now == last + 351


def test_a_foreign_request_moves_the_clock_too(desk):
    book = desk(2)
    book.after(500)
    last = book.now
    stale = book.shelf.epoch - 1
    policy = book.policy.text()
    assert book.shelf.execute(book.now, Who("p", stale, policy), AskStatus())[0][:2] == [Code.FOREIGN, last]
    assert book.shelf.execute(book.now - 400, Who("p", stale, policy), AskStatus())[0][:2] == [Code.FOREIGN, last]


def test_the_server_s_own_clock(desk, client):
    book = desk(by_hand=False)
    seconds, micros = client.time()
    now = book.beat().head.now
    later, _ = client.time()
    assert seconds * 1_000 + micros // 1_000 <= now <= (later + 1) * 1_000
    assert book.beat().head.now >= now


def test_accounts_share_nothing(desk, client):
    books = [desk(2, account=account) for account in ("a", "a:line", "A", "a:")]
    before = {book.shelf.account: book.dump() for book in books}
    books[0].grant("r1")
    books[0].started("call")
    books[0].pause("a only")
    for book in books[1:]:
        assert book.dump() == before[book.shelf.account]
    client.delete(*books[0].shelf.keys.values())
    books[0].beat()
    for book in books[1:]:
        assert book.dump() == before[book.shelf.account]


def test_a_full_server_refuses_whole_requests(desk, client, server):
    book = desk(2)
    book.grant("r1")
    before = book.shelf.contents()
    client.config_set("maxmemory", 1)
    try:
        for say in (lambda: book.ask("r2"), lambda: book.ended("r1"), lambda: book.pause("why")):
            with pytest.raises(Exception, match="OOM|maxmemory"):
                say()
    finally:
        client.config_set("maxmemory", 0)
    assert book.shelf.contents() == before
    book.grant("r2")


CALL_IDS = ["a b", "new\nline", "nul\0nul", "\0", "{x}:*?[]", "é☎\U0001f4de", "x" * 100_000, "c", "p", "', 1) os.exit("]


@pytest.mark.parametrize("call_id", CALL_IDS, ids=range(len(CALL_IDS)))
def test_hostile_call_ids_are_just_ids(desk, call_id):
    book = desk(3)
    book.grant("r1", "r2")
    book.placed("r1", call_id)
    assert book.dump()["calls"][call_id] == ("r1", book.now + HOUR)
    assert book.started(call_id).code == Code.UNKNOWN
    assert book.call_ended(call_id + "x").code == Code.UNKNOWN
    assert book.call_ended(call_id).code == Code.OK
    assert book.dump()["reservations"].keys() == {"r2"}
    assert book.placed("r2", call_id).code == Code.OK
    assert book.dump()["reservations"] == {}


def test_reasons_and_errors_travel_as_they_are(desk):
    book = desk(1)
    text = "é\n\0 '\"\\ ☎"
    book.pause(text)
    assert book.status().pause_reason == text
    book.after(1_000)
    book.failing(book.duty(), error=text)
    assert book.ask("r1").verdict.error == text


def test_large_numbers_stay_whole(desk):
    book = desk(1)
    stamp = 1_763_000_000_123_457
    book.after(1)
    book.reading(0, stamp=stamp)
    book.after(1)
    assert book.reading(0, stamp=stamp) == Code.CACHED
    book.after(1)
    assert book.reading(0, stamp=stamp + 1) == Code.OK
    book.grant("r0")
    book.wait("s1", waited=1)
    book.wait("s2")
    seats = book.dump()["seats"]
    assert {seat: place[2] for seat, place in seats.items()} == {
        "s1": (book.now - 1) * 1_000,
        "s2": book.now * 1_000,
    }


def test_a_dropped_answer_is_old_when_a_cache_gives_it_again(desk):
    book = desk(1)
    stamp = 1_763_000_000_123_457
    early = book.now + 1
    book.after(2)
    book.reading(0, stamp=stamp)
    assert book.reading(1, stamp=stamp + 5, t0=early) == Code.OVERLAPPING
    book.after(1)
    assert book.reading(1, stamp=stamp + 5) == Code.CACHED
    assert book.reading(1, stamp=stamp + 7) == Code.OK


def test_a_process_that_lapses_takes_thousands_of_seats_along(desk):
    book = desk(0, max_waiting=10_000)
    for number in range(2_500):
        book.wait(f"s{number}", by="q")
    book.quiet(11_000, "p")
    after = book.dump()
    assert set(after["members"]) == {"p"}
    assert after["seats"] == {}


def test_a_beat_lists_thousands(desk):
    book = desk(5)
    book.beat(*(entry(f"r{number}") for number in range(2_500)))
    assert book.status().booked == 2_500
    book.quiet(DURATION, "p")
    book.open(5)
    assert book.status().booked == 0


def test_a_reading_covers_thousands(desk):
    book = desk(2_500)
    book.grant(*(f"r{number}" for number in range(2_500)))
    for number in range(2_500):
        book.placed(f"r{number}")
    book.quiet(TIMEOUT + LAG, "p")
    book.reading(2_500)
    status = book.status()
    assert (status.pending, status.held) == (0, 2_500)
