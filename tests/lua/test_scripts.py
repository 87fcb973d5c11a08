"""What is sent to a server: sources, keys, arguments."""

from __future__ import annotations

from hashlib import sha1

import pytest

from admission.ledger import scripts
from admission.ledger.wire import Ask, Beat, Entry, Who


@pytest.mark.parametrize("verb", scripts.VERBS)
def test_every_fragment_is_there(verb):
    source = scripts.SCRIPTS[verb].source
    assert "--@" not in source
    assert source.count("local function read(") == 1
    assert source.count("redis.call('TIME')") == 1


@pytest.mark.parametrize("verb", scripts.VERBS)
def test_the_server_knows_a_script_by_the_same_name(client, verb):
    script = scripts.SCRIPTS[verb]
    assert client.script_load(script.source) == script.sha == sha1(script.source.encode()).hexdigest()


def test_another_clock_makes_another_script():
    still = scripts.assemble("ask", clock="local server_now_ms = 5\n")
    assert "redis.call('TIME')" not in still.source
    assert still.sha != scripts.SCRIPTS["ask"].sha
    assert scripts.assemble("ask") == scripts.SCRIPTS["ask"]


def test_the_keys_of_an_account_share_one_hash_tag(client):
    keys = scripts.keys("a:b/c@d")
    assert len(set(keys)) == len(scripts.KEYS)
    assert all(key.startswith("admission:{a:b/c@d}:") for key in keys)


def test_arguments_are_who_speaks_and_the_request():
    ask = Ask("s", "r", "default", 0, 1, 2, 3, 1, 0)
    assert scripts.arguments("run", Who("p", 7, "1,2"), ask) == [
        "run", "p", 7, "1,2", "s", "r", "default", 0, 1, 2, 3, 1, 0,
    ]  # fmt: skip
    entry = Entry("r", "default", 1, 2, 3, 4, 0, 1, 5, 6, "")
    assert scripts.arguments("", Who("p", 7, "1,2"), Beat(0, 0, "", (entry,)))[4:] == [0, 0, "", *entry]
