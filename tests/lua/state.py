"""Everything that a ledger knows of one account, as one plain dict: read from a book, and from the keys in Redis.

Reading the keys also checks that they agree with one another: each index holds just what the records say.
"""

from __future__ import annotations

import struct
from dataclasses import astuple
from typing import Any

from admission.ledger.line import OFFER_MS
from admission.ledger.scripts import BOOK_FORMAT, NAME, NEVER_MS, NONE, RECORDS, TEXT, keys
from admission.ledger.wire import LAST_MS

INF = float("inf")

CLOCK, STATE, MEMBER, LANE = (tuple(RECORDS[name]) for name in ("clock", "state", "member", "lane"))
EARLIER = STATE[STATE.index("earlier") : STATE.index("open_after")]
READING = tuple(
    name for name in STATE[STATE.index("limit") : STATE.index("cool_span")] if name not in {"covers_to", *EARLIER}
)
POLICY = STATE[STATE.index("refresh") : STATE.index("limit")]
COOLING = STATE[STATE.index("cool_span") : STATE.index("lanes_at")]
VISIBILITY = STATE[STATE.index("seen") :]


def of_book(book: Any) -> dict[str, Any]:
    """Return what a book knows."""
    kept, line, room = book.reservations, book.line, book.room
    return {
        "epoch": (book.epoch, book.opened),
        "pause": (room.pause_at, room.pause_on, room.pause_reason),
        "policy": tuple(room.policy),
        "clock": (
            book.heard,
            book.grace_until,
            room.claimed,
            room.gap,
            book.lapsed,
            line.last_score,
            room.paced_until,
            book.serving.hinted,
            kept.gone,
        ),
        "visibility": astuple(book.visibility),
        "reading": {name: getattr(book.readings, name) for name in READING},
        "earlier": astuple(book.readings.earlier),
        "cooling": astuple(room.cooling),
        "covers_to": kept.t0,
        "members": {
            name: tuple(getattr(member, field) for field in MEMBER[:-1]) for name, member in book.members.items()
        },
        "reservations": {
            rid: (*astuple(facts), kept.pending.get(rid, NONE), kept.until.get(rid, NONE), rid in kept.held)
            for rid, facts in kept.facts.items()
        },
        "calls": dict(kept.calls),
        "tombstones": dict(book.tombstones),
        "lanes": [(*terms.told, terms.level, terms.start, terms.finish) for terms in book.lanes.terms.values()],
        "lanes_at": book.lanes.at,
        "seats": {name: astuple(seat) for name, seat in line.seats.items()},
        "line": {lane: [seat for _, seat in order] for lane, order in line.order.items()},
        "offers": dict(line.offers),
    }


def unpack(record: str, data: bytes, *, whole: bool = True) -> dict[str, Any]:
    """Return a record by field, and the `rest` where others may follow it."""
    found: dict[str, Any] = {}
    for name, field in RECORDS[record].items():
        if field in {TEXT, NAME}:
            wide = 4 if field is TEXT else 2
            end = wide + int.from_bytes(data[:wide], "little")
            found[name], data = data[wide:end].decode(), data[end:]
        else:
            form = "<" + field.letters.replace("I4", "I")
            value, data = struct.unpack(form, data[: struct.calcsize(form)])[0], data[struct.calcsize(form) :]
            assert value == int(value)
            found[name] = int(value)
    if not whole:
        found["rest"] = data
    assert not whole or not data
    return found


def commands(account: str) -> list[list[str]]:
    """Return the commands whose replies `of_keys` takes."""
    names = keys(account)
    return [["HGETALL", names[0]], *(["ZRANGE", name, "0", "-1", "WITHSCORES"] for name in names[1:])]


def _scores(flat: Any) -> dict[str, int]:
    pairs = list(zip(flat[::2], flat[1::2], strict=True)) if flat and not isinstance(flat[0], (tuple, list)) else flat
    return {member.decode(): INF if float(score) == INF else int(score) for member, score in pairs}


def of_keys(replies: list[Any], ran_at: int) -> dict[str, Any]:
    """Return what the keys know; `ran_at` is when a request last ran what was due."""
    raw = replies[0]
    raw = dict(zip(raw[::2], raw[1::2], strict=True)) if isinstance(raw, list) else raw
    records = {name.decode(): text for name, text in raw.items()}
    pending, due, processes, line, lanes, turns = (_scores(flat) for flat in replies[1:])
    for index in (pending, due, turns):
        assert index.pop("") == INF
    for index in (processes, line, lanes):
        assert index.pop("") == 0
        assert set(index.values()) <= {0}

    assert records.pop("format") == str(BOOK_FORMAT).encode()
    clock = unpack("clock", records.pop("clock"))
    state = unpack("state", records.pop("state"))
    told = list(_rows(records.pop("lanes", b"")))
    by_letter: dict[str, dict[str, bytes]] = {letter: {} for letter in "prsc"}
    for name, text in records.items():
        by_letter[name[0]][name[1:]] = text
    members = {name: tuple(unpack("member", text).values()) for name, text in by_letter["p"].items()}
    next_over = {name: member[-1] for name, member in members.items()}
    members = {name: member[:-1] for name, member in members.items()}
    reservations = {rid: tuple(unpack("reservation", text).values()) for rid, text in by_letter["r"].items()}
    places = {seat: _place(seat, text) for seat, text in by_letter["s"].items() if text}
    offers = {turn[1:]: at for turn, at in turns.items() if turn[0] == "o"}
    found = {
        "epoch": (state["epoch"], state["opened"]),
        "pause": (state["pause_at"], state["pause_on"], state["pause_reason"]),
        "policy": tuple(state[name] for name in POLICY),
        "clock": tuple(clock[name] for name in CLOCK[CLOCK.index("heard") :]),
        "reading": {name: state[name] for name in READING},
        "earlier": tuple(state[name] for name in EARLIER),
        "cooling": tuple(state[name] for name in COOLING),
        "covers_to": state["covers_to"],
        "visibility": tuple(state[name] for name in VISIBILITY),
        "members": members,
        "reservations": reservations,
        "calls": {
            entry[1:]: (by_letter["c"].get(entry[1:], b"").decode(), at) for entry, at in due.items() if entry[0] == "c"
        },
        "tombstones": {entry[1:]: at for entry, at in due.items() if entry[0] == "t"},
        "lanes": told,
        "lanes_at": state["lanes_at"],
        "seats": places,
        "line": _line(line, places),
        "offers": offers,
    }

    settles = {rid: facts[9] for rid, facts in reservations.items()}
    assert pending == {rid: settle for rid, settle in settles.items() if settle != NONE}
    ends = {rid: facts[10] for rid, facts in reservations.items()}
    timers = {entry[1:]: at for entry, at in due.items() if entry[0] == "u"}
    for rid, end in ends.items():
        assert end == NONE or timers[reservations[rid][0]] <= end, rid
    assert all(over == NEVER_MS or timers[name] <= over for name, over in next_over.items())
    assert set(by_letter["c"]) <= set(found["calls"])
    assert {seat for seat, text in by_letter["s"].items() if not text} == set(found["tombstones"])
    looks = {entry[1:]: at for entry, at in due.items() if entry[0] == "p"}
    assert set(looks) == set(members)
    for name, at in looks.items():
        latest = members[name][1] + state["lease"] + 1
        assert at <= latest, f"{name} is looked at at {at}, not by {latest}"
    assert len(due) == len(timers) + sum(len(found[kind]) for kind in ("calls", "tombstones", "members"))
    assert clock["next_due"] <= min(due.values(), default=NEVER_MS)
    assert {entry[entry.index("\0") + 17 :] for entry in line} == set(places)
    assert set(processes) == {
        *("p" + name for name in members),
        *(
            f"{'h' if facts[11] else 'o' if facts[7] else 'l'}{facts[0]}\0{over(ends[rid])}{rid}"
            for rid, facts in reservations.items()
        ),
        *(f"f{places[seat][0]}\0{seat}" for seat in offers),
        *(f"s{places[seat][0]}\0{entry_of(seat, places)}" for seat in places if seat not in offers),
    }
    heads = _check_heads(members, places, offers, turns, ran_at)
    assert set(lanes) == {
        *("h" + entry for entry in heads),
        *(f"o{places[seat][1]}\0{seat}" for seat in offers),
        *(f"b{facts[1]}\0{rid}" for rid, facts in reservations.items() if facts[1] != "default"),
    }
    return found


def _place(seat: str, text: bytes) -> tuple[Any, ...]:
    """Return a seat's place; a reservation that is named like the seat is not written out."""
    place = unpack("seat", text)
    place["rid"] = place["rid"] or seat
    return tuple(place.values())


def _rows(data: bytes) -> Any:
    """Return the lanes, one after another."""
    while data:
        row = unpack("lane", data, whole=False)
        data = row.pop("rest")
        yield tuple(row.values())


def _line(line: Any, places: Any) -> dict[str, list[str]]:
    """Return the seats of each lane in order; each entry of the key is what its seat's record says."""
    order: dict[str, list[str]] = {}
    for entry in line:
        lane, seat = entry[: entry.index("\0")], entry[entry.index("\0") + 17 :]
        assert entry == entry_of(seat, places)
        order.setdefault(lane, []).append(seat)
    return order


def entry_of(seat: str, places: Any) -> str:
    """Return the entry of a seat."""
    _, lane, score, *_ = places[seat]
    return f"{lane}\0{score:016d}{seat}"


def over(end: int) -> str:
    """Return the end of a reservation as its entry has it."""
    return f"{LAST_MS if end == NONE else min(end, LAST_MS):013d}"


def _check_heads(members, places, offers, turns, ran_at):
    """Check who is passed over; return the entries of the seats that may be offered a slot next."""
    first: dict[tuple[str, str], str] = {}
    for seat, (process, lane, *_) in places.items():
        if seat not in offers:
            entry = entry_of(seat, places)
            first[process, lane] = min(first.get((process, lane), entry), entry)
    waiting = {process for process, _ in first}
    silent = {name: members[name][5] for name in waiting}
    passed = {name: members[name][7] for name in waiting}
    assert {turn[1:]: at for turn, at in turns.items() if turn[0] == "p"} == {
        name: passed[name] for name in waiting if not silent[name] and passed[name] > ran_at
    }
    assert all(at <= ran_at + OFFER_MS for at in offers.values())
    return [entry for (name, _), entry in first.items() if not silent[name] and passed[name] <= ran_at]
