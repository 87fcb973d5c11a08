"""Replies are looked at before they are believed: what the Lua tells goes through, and nothing else."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from admission.ledger import checks, scripts
from admission.ledger.checks import LARGEST, Garbled
from admission.ledger.requests import (
    Ask,
    AskHolders,
    AskStatus,
    Beat,
    CallEnded,
    Claim,
    Duty,
    Ended,
    Jumped,
    Lanes,
    Leave,
    Pause,
    Placed,
    Reading,
    Refuse,
    Request,
    Started,
    Withdraw,
)
from admission.ledger.wire import Code

HEAD = [1_000, 1, 900, 0, 1_500, 0, ""]
TEXTS = {"pause_reason", "error", "policy", "changed"}
"""What the headers of the Lua files name that is a text; the rest is numbers."""
HOLDER = ["r", "bulk", "p.0", 1, 20, 2, 1, "call"]
ROW = ["bulk", 7, 1, 1_000, 0, 0, 0, "", 0, ""]
SAID: dict[str, Request] = {
    "ask": Ask("s", "r", "default", 0, 1, 1, 1, 1, 0),
    "claim": Claim("s", "r", "default", 0, 1, 1, 1),
    "placed": Placed("r", 0, 0, 0, "", "default", 0, 0, 1, 1, 1),
    "leave": Leave("r", 0, 1),
    "ended": Ended("r", ""),
    "refuse": Refuse("r", 0, 0, "", "default", 0, 0, 0, 0),
    "withdraw": Withdraw("s", "r"),
    "beat": Beat(0, 0, "", 0, ()),
    "duty": Duty(1, 0),
    "reading": Reading(0, 0, 1, 0, -1, 0, ""),
    "status": AskStatus(),
    "holders": AskHolders(10),
    "pause": Pause(1, "why", ""),
    "lane": Lanes(0, ()),
    "started": Started("r", "c", 0, 1, 1),
    "call_ended": CallEnded("c"),
    "jumped": Jumped(),
}


def check(said, reply):
    checks.check_head(reply[1:8])
    checks.check(said, reply[0], reply[8:])


def told(verb, *, lane=False):
    """Return what a verb's header says it adds to the head, for one lane and one seat."""
    lua = (files("admission.ledger") / "lua" / f"{verb}.lua").read_text("utf-8")
    text = re.search(r"^-- returns     code(.*)$", lua, re.MULTILINE)[1]
    text = text.split("|")[-1 if lane else 0]
    tail = []
    for word in text.split():
        if word == "lane...":
            tail += ROW if verb != "status" else [*ROW, 3, 4]
        elif word == "holder...":
            tail += HOLDER
        elif word == "seat...":
            tail.append("p.0.1")
        else:
            tail.append("text" if word in TEXTS else 1)
    return tail


def test_every_verb_is_looked_at():
    assert set(SAID) == set(scripts.VERBS)


@pytest.mark.parametrize("verb", scripts.VERBS)
def test_what_the_header_of_a_verb_says_is_a_reply(verb):
    tail = told(verb)
    check(SAID[verb], [Code.OK.value, *HEAD, *tail])
    check(SAID[verb], [Code.FOREIGN.value, *HEAD])
    for wrong in ([*tail, 1], [*tail, None], tail[:-1] if tail and verb != "beat" else [1, 2]):
        with pytest.raises(Garbled):
            check(SAID[verb], [Code.OK.value, *HEAD, *wrong])


def test_a_word_on_one_lane_is_answered_with_all_lanes():
    said = Pause(1, "why", "bulk")
    check(said, [Code.OK.value, *HEAD, *told("pause", lane=True)])
    with pytest.raises(Garbled):
        check(said, [Code.OK.value, *HEAD, *told("pause")])


@pytest.mark.parametrize("verb", scripts.VERBS)
@pytest.mark.parametrize("wrong", [None, True, 1.0, b"x", [], LARGEST + 1, 10**400], ids=repr)
def test_no_entry_is_of_another_kind(verb, wrong):
    reply = [Code.OK.value, *HEAD, *told(verb)]
    for place in range(len(reply)):
        with pytest.raises(Garbled):
            check(SAID[verb], [*reply[:place], wrong, *reply[place + 1 :]])


def test_any_number_of_holders_is_told():
    for number in range(3):
        check(SAID["holders"], [Code.OK.value, *HEAD, number, *HOLDER * number])


@pytest.mark.parametrize(("place", "wrong"), [(3, 4), (3, -1), (5, 4), (5, -1)])
def test_no_reservation_is_told_that_cannot_be(place, wrong):
    row = [*HOLDER[:place], wrong, *HOLDER[place + 1 :]]
    with pytest.raises(Garbled):
        check(SAID["holders"], [Code.OK.value, *HEAD, 2, *HOLDER, *row])


@pytest.mark.parametrize("code", [0, 99, -1, "1"])
def test_no_verdict_is_unknown(code):
    with pytest.raises(Garbled):
        check(SAID["ended"], [code, *HEAD])


@pytest.mark.parametrize(
    "text",
    ["x", "1 s r", "1 s r 2 3", "s 1 2 r\n", "1 s r 2\nx", f"{10**400} s r 1", "1 s r -1", f"1 s r {LARGEST + 1}"],
)
def test_what_is_handed_over_can_be_read(text):
    with pytest.raises(Garbled):
        check(SAID["ended"], [Code.OK.value, *HEAD[:-1], text])


@pytest.mark.parametrize("lanes", [-1, 2, 3, LARGEST])
def test_a_beat_tells_as_many_lanes_as_it_says(lanes):
    tail = told("beat")
    check(SAID["beat"], [Code.OK.value, *HEAD, *tail])
    with pytest.raises(Garbled):
        check(SAID["beat"], [Code.OK.value, *HEAD, *tail[:7], lanes, *tail[8:]])


@pytest.mark.parametrize(
    ("place", "wrong"), [(0, ""), (0, "two words"), (2, 1_001), (3, 0), (4, -1), (5, -1), (6, 99_999_999)]
)
def test_a_lane_is_one_that_can_be(place, wrong):
    row = [*ROW[:place], wrong, *ROW[place + 1 :]]
    with pytest.raises(Garbled, match="a lane that cannot be"):
        check(SAID["lane"], [Code.OK.value, *HEAD, 7, "bulk", *row])


@pytest.mark.parametrize(
    "reply", [None, 1, b"OK", [], [1], HEAD, [*HEAD, 0], [*HEAD, []], [*HEAD, None], [*HEAD, 1, 1]]
)
def test_what_is_no_list_of_replies_is_none(reply):
    with pytest.raises(Garbled):
        scripts.replies(reply, [SAID["ended"]])


# Wake-up messages


def test_a_wake_up_message_tells_the_seats_of_ones_own_processes():
    message = "acme\nab12.0.1\nab12.f.ff\nab12.0.2"
    expected = {"ab12.0": ["ab12.0.1", "ab12.0.2"], "ab12.f": ["ab12.f.ff"]}
    assert scripts.seats_told(message.encode(), "ab12") == scripts.seats_told(message, "ab12") == expected


@pytest.mark.parametrize(
    "message",
    [
        b"", b"acme", "ab12.0.1", b"acme\nab1.0.1", b"acme\nab12.0", b"acme\nab12.0.", b"acme\nab12..1",
        b"acme\nab12.0.1 ", b"acme\nab12.0.1\r", b"acme\nab12.0.g", b"acme\n ab12.0.1", b"acme\nab12.0.1\0",
        "acme\nab12.0.\u0661", None, 5, [], b"acme\nab12.0." + b"1" * 17, b"acme" + b"\nab12.0.1" * (1 << 17),
    ],
)  # fmt: skip
def test_what_names_no_seat_of_ones_own_tells_nothing(message):
    assert scripts.seats_told(message, "ab12") == {}
