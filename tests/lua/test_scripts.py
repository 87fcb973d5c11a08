"""What is sent to a server: sources, keys, arguments."""

from __future__ import annotations

from hashlib import sha1

from admission.ledger import scripts
from admission.ledger.requests import Ask, Beat, Ended, Entry, Pause, Who
from admission.ledger.wire import Code


def test_every_fragment_and_every_verb_is_there():
    source = scripts.SCRIPT.source
    assert "--@" not in source
    assert source.count("local function read(") == 1
    assert source.count("redis.call('TIME')") == 1
    for verb in scripts.VERBS:
        assert source.count(f"if verb == '{verb}' then") == 1


def test_the_server_knows_the_script_by_the_same_name(client):
    script = scripts.SCRIPT
    assert client.script_load(script.source) == script.sha == sha1(script.source.encode()).hexdigest()


def test_another_clock_makes_another_script():
    still = scripts.assemble(clock="local server_now_ms = 5\n")
    assert "redis.call('TIME')" not in still.source
    assert still.sha != scripts.SCRIPT.sha
    assert scripts.assemble() == scripts.SCRIPT


def test_the_keys_of_an_account_share_one_hash_tag(client):
    keys = scripts.keys("a:b/c@d")
    assert len(set(keys)) == len(scripts.KEYS)
    assert all(key.startswith("admission:{a:b/c@d}:") for key in keys)


def test_arguments_are_who_speaks_the_records_it_is_about_and_the_requests():
    ask = Ask("s", "r", "default", 0, 1, 2, 3, 1, 0)
    entry = Entry("b", "default", 1, 2, 3, 4, 0, 1, 5, 6, "")
    said = scripts.arguments("run", Who("p", 7, "1,2", 5), [Ended("e", ""), ask, Beat(0, 0, "", 0, (entry,))])
    assert said == [
        "run", "p", 7, "1,2", 5, 4, "re", "rr", "ss", "rb",
        "ended", 2, "e", "",
        "ask", 9, "s", "r", "default", 0, 1, 2, 3, 1, 0,
        "beat", 15, 0, 0, "", 0, *entry,
    ]  # fmt: skip


def test_a_beat_of_thousands_asks_for_no_more_records_than_lua_can_pass(desk):
    book = desk(5_000)
    rids = [f"r{number}" for number in range(3_000)]
    book.grant(*rids)
    entries = tuple(Entry(rid, "default", 1, 0, 5_000, 500, 0, 1, 5_500, 60_000, "") for rid in rids)
    assert book.say(Beat(0, 0, "", 0, entries)).code == Code.OK


def test_replies_are_the_head_and_each_answer():
    said = [Ended("x", ""), Pause(1, "why", "bulk")]
    assert scripts.replies([9, 8, 7, 6, 5, 4, b"7 s r 3\n", 1, [1, 5, b"bulk"]], said) == [
        [1, 9, 8, 7, 6, 5, 4, "7 s r 3\n"],
        [1, 9, 8, 7, 6, 5, 4, "7 s r 3\n", 5, "bulk"],
    ]
