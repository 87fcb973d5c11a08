"""The headers of the script and of every verb say what the code takes, returns and writes."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from admission.ledger import book, scripts, wire
from admission.ledger.replies import Head, Verdict, Written
from admission.ledger.requests import Entry, Request, Who
from admission.ledger.wire import LaneWire

LUA = Path(scripts.__file__).parent / "lua"
REQUESTS = {request.verb: request for request in Request.__subclasses__()}
KINDS = {"account": "hash"}
"""What each key is, where it is no zset."""
RETURNS = {
    **dict.fromkeys(("ask", "claim", "refuse", "withdraw"), Verdict._fields),
    "beat": (
        "pause_at", "pause_on", "pause_reason", "policy", "lapsed", "behind", "lanes_at", "lanes", "lane...", "seat...",
    ),
    "duty": ("token",),
    "holders": ("booked", "holder..."),
    "lane": ("lanes_at", "changed", "lane..."),
    "pause": ("pause_at", "|", "lanes_at", "changed", "lane..."),
    "reading": Written._fields,
    "requests": ("now", "epoch", "since", "waiting", "due_at", "next_at", "granted", "answer..."),
    "status": (
        "limit", "count", "in_use", "room", "pending", "held", "untracked", "usage_age", "seen", "booked", "pause_on",
        "pause_reason", "lane...",
    ),
}  # fmt: skip
"""What each verb answers besides its code, and the script before the answers."""
BARE = frozenset(
    (
        "epoch",
        "by_value",
        "join",
        "late",
        "leaving",
        "force",
        "pause_on",
        "on",
        "limit",
        "count",
        "kind",
        "most",
        "outcome",
        "how",
    )
)
"""Numbers that are no time."""
TEXTS = frozenset(
    ("run_id", "process", "policy", "seat", "rid", "lane", "call_id", "pause_reason", "reason", "error", "lanes")
)
"""What is no number."""


def parts(verb):
    """Return a verb's header by label, and its code."""
    lines = (LUA / f"{verb}.lua").read_text().splitlines()
    split = next(index for index, line in enumerate(lines) if not line.startswith("--"))
    header: dict[str, str] = {}
    label = ""
    for line in lines[1:split]:
        if found := re.match(r"-- (KEYS\[\d\]|ARGV\[[\d.]+\]|returns|writes|atomicity) +(.*)", line):
            label = found[1]
            header[label] = found[2]
        elif label:
            header[label] += " " + line.removeprefix("--").strip()
    return lines[0], header, lines[split:]


def bare(name):
    """Return a name without its unit."""
    return re.sub(r"_(ms|us)$", "", name)


@pytest.fixture(params=scripts.VERBS)
def verb(request):
    return request.param


def directives():
    """Return how each fragment is taken, by name."""
    ways: dict[str, set[str]] = {}
    for path in LUA.rglob("*.lua"):
        for way, name in re.findall(r"^--@(include|inline) (\w+)$", path.read_text(), re.MULTILINE):
            ways.setdefault(name, set()).add(way)
    return ways


def test_every_request_has_a_script_and_every_file_a_use():
    assert set(scripts.VERBS) == set(REQUESTS)
    assert {path.stem for path in LUA.glob("*.lua")} == {*REQUESTS, "requests"}
    assert {path.stem for path in (LUA / "include").glob("*.lua")} == set(directives())


def test_a_fragment_is_either_definitions_or_steps():
    assert not {name: ways for name, ways in directives().items() if len(ways) > 1}


def test_the_first_line_says_what_it_is_for(verb):
    assert re.match(rf"-- {verb}: \w", parts(verb)[0])


def test_keys_are_told_as_they_are_sent_and_stored():
    _, header, code = parts("requests")
    told = {label: told for label, told in header.items() if label.startswith("KEYS")}
    assert [tuple(text.split()[:2]) for text in told.values()] == [
        (name, KINDS.get(name, "zset") + ":") for name in scripts.KEYS
    ]
    assert list(told) == [f"KEYS[{place}]" for place in range(1, len(scripts.KEYS) + 1)]
    assert code[1] == "local keys = KEYS"


def test_what_is_said_with_every_run_is_told_as_it_is_sent_and_taken():
    _, header, code = parts("requests")
    told = [text.split()[0] for label, text in header.items() if label.startswith("ARGV")]
    assert [bare(name) for name in told] == ["run_id", *Who._fields, "wanted", "records", "requests"]
    assert f"local {', '.join(told[:6])} = unpack(ARGV, 1, 6)" in code


def test_arguments_are_told_as_they_are_sent_and_taken(verb):
    _, header, code = parts(verb)
    told = {int(re.search(r"\d+", label)[0]): text.split()[0] for label, text in header.items() if "ARGV" in label}
    assert list(told) == list(range(1, len(told) + 1))
    assert [bare(name) for name in told.values()] == [field.name for field in fields(REQUESTS[verb])]
    text = "\n".join(code)
    if verb == "beat":
        assert told.popitem() == (5, "entries")
        assert f"for first = first + 4, last, {len(Entry._fields)} do" in text
    if verb == "lane":
        assert told.popitem() == (2, "lanes")
        assert f"for place = first + 1, last, {len(LaneWire._fields)} do" in text
    if not told:
        assert "ARGV" not in text
        return
    taken = re.search(r"^local ([\w,\s]+) = unpack\(ARGV, first, (?:last|first|first \+ 3)\)$", text, re.MULTILINE)[1]
    assert re.split(r",\s+", taken) == list(told.values())
    numbers = re.findall(r"^([\w, ]+) = (tonumber\(\w+\).*)$", text, re.MULTILINE)
    for names_, values in numbers:
        assert values == ", ".join(f"tonumber({name})" for name in names_.split(", "))
    assert {name for names_, _ in numbers for name in names_.split(", ")} == set(told.values()) - TEXTS


def test_a_time_is_told_with_its_unit(verb):
    _, header, _ = parts(verb)
    for name in (text.split()[0] for label, text in header.items() if re.match(r"ARGV\[\d+\]", label)):
        assert name in TEXTS | BARE or name.endswith(("_ms", "_us")), name


def test_what_it_returns_is_told(verb):
    _, header, _ = parts(verb)
    assert [bare(name) for name in header["returns"].split()] == ["code", *RETURNS.get(verb, ())]


def test_what_a_run_returns_is_told_as_it_is_read():
    _, header, _ = parts("requests")
    whole, _, refusal = header["returns"].partition(" or ")
    told = [bare(name) for name in whole.split()]
    assert told == list(RETURNS["requests"])
    assert "OTHER_FORMAT and the format" in refusal
    assert told[:-1] == list(Head._fields[1:])


def test_the_ttl_rule_and_what_a_caller_may_assume_are_told(verb):
    assert "TTL" in parts("requests")[1]["writes"]
    _, header, _ = parts(verb)
    assert header["writes"]
    assert header["atomicity"]


def test_arguments_are_named_at_the_top_and_not_used_below(verb):
    _, _, code = parts(verb)
    top = next((index for index, line in enumerate(code) if line.startswith(("--@", "---", "local function"))), 0)
    assert not [line for line in code[top:] if re.search(r"\b(KEYS|ARGV)\b", line)]
    for path in (LUA / "include").glob("*.lua"):
        if path.stem != "open":  # it fetches the records that are named among them
            assert not re.search(r"\b(KEYS|ARGV)\b", path.read_text()), path.name


def test_a_beat_takes_entries_in_wire_order():
    code = "\n".join(parts("beat")[2])
    places = {"rid": 0}
    for names, values in re.findall(r"^  ((?:entry\.\w+(?:, )?)+) = (.*)$", code, re.MULTILINE):
        for name, value in zip(names.split(", "), values.split(", "), strict=True):
            places[bare(name.removeprefix("entry."))] = int(re.search(r"first \+ (\d+)", value)[1])
    for name, place in re.findall(r"(lane|kind) = (?:tonumber\()?ARGV\[first \+ (\d+)\]", code):
        places[name] = int(place)
    assert "rid = ARGV[first]," in code
    assert places == {name: place for place, name in enumerate(Entry._fields)}


def test_words_stand_for_the_numbers_of_the_wire():
    assert scripts.WORDS["GRANTED"] == "2"
    assert scripts.WORDS["OFFER_MS"] == str(wire.OFFER_MS)
    assert scripts.WORDS["DEMAND_MS"] == str(book.DEMAND_MS)
    source = scripts.SCRIPT.source
    code = "\n".join(line.split("--")[0] for line in source.splitlines())
    unknown = set(re.findall(r"(?<!['\w])[A-Z][A-Z_]{2,}\b(?!')", code)) - {"KEYS", "ARGV"}
    assert not unknown


def test_a_field_that_a_record_lacks_is_found_at_import():
    with pytest.raises(LookupError, match=r"state\.colour"):
        scripts.assemble(clock="local x = state.colour\n")
    with pytest.raises(LookupError):
        scripts.assemble(clock="local x = NEW_THING\n")
