"""Lives of one reservation, each a run of the book itself."""

from __future__ import annotations

from admission.ledger.wire import Code, Kind
from docs.drawings import svg
from docs.drawings.tape import Tape
from docs.drawings.timeline import Bar, Mark, Row, Timeline, calls, readings, standing

KEY = (
    (svg.PENDING, "pending"), (svg.COVERED, "covered"), (svg.HELD, "held"), (svg.CALL, "the call"),
    (svg.LOOK, "window of a reading, and its count"),
)  # fmt: skip


def life() -> str:
    """Return the life of one reservation: nothing goes wrong."""
    tape = Tape(4)
    call = (2.6, 13.0)
    tape.look(0.4, 0.9, 0)
    tape.to(1.5).grant("r")
    tape.look(2.4, 2.9, 0)
    tape.to(3.0).placed("r")
    settle = 5.0
    tape.look(4.4, 4.9, 1)
    tape.look(6.4, 6.9, 1)
    for begin in (8.4, 10.4, 12.4):
        tape.look(begin, begin + 0.5, 1)
    tape.to(13.2).ended("r")
    tape.look(14.4, 14.9, 1)
    tape.look(16.4, 16.9, 0)
    return Timeline(
        "A reservation is pending from its claim until a reading that began after its settle time; then it is held",
        (0, 18),
        [
            Row("reservation", standing(tape, "r", 18)),
            Row("call", calls([call])),
            Row("readings", readings(tape)),
        ],
        [
            Mark(1.5, "claim", 1), Mark(2.6, "accepted", 0), Mark(3.0, "placed()", 1, "start"),
            Mark(settle, "settle time", 0, "start"), Mark(6.4, "begun after it", 1, "start"),
            Mark(13.0, "call over", 0), Mark(13.2, "ended()", 1, "start"),
        ],
        used=tape.used(), live=[call], slot=30,
        notes=[
            (2.05, 1.5, "in_use"), (5.8, 2.5, "counted twice"), (9.7, 0.5, "really live"),
            (14.95, 1.5, "not counted down yet"),
        ],
        key=(KEY[0], *KEY[2:]),
    ).draw()  # fmt: skip


def hand_off() -> str:
    """Return the life of a reservation whose block only places the call."""
    tape = Tape(4)
    call = (2.6, 13.0)
    tape.look(0.4, 0.9, 0)
    tape.to(1.5).grant("r", kind=Kind.PLACE)
    tape.look(2.4, 2.9, 0)
    tape.to(3.0).placed("r", kind=Kind.PLACE, leaving=1)
    tape.look(4.4, 4.9, 1)
    for begin in (6.4, 8.4, 10.4, 12.4):
        tape.look(begin, begin + 0.5, 1)
    tape.look(14.4, 14.9, 1)
    tape.look(16.4, 16.9, 0)
    return Timeline(
        "The block places the call and is left: the reservation is pending until the count has taken the call over",
        (0, 18),
        [
            Row("block", [Bar(1.5, 3.0, svg.GOOD, "open")]),
            Row("reservation", standing(tape, "r", 18)),
            Row("call", calls([call])),
            Row("readings", readings(tape)),
        ],
        [
            Mark(1.5, "claim", 1), Mark(2.6, "accepted", 0), Mark(3.0, "left", 1, "start"),
            Mark(5.0, "settle time", 0, "start"), Mark(6.9, "hand-off", 1, "start"), Mark(13.0, "call over", 0),
        ],
        used=tape.used(), live=[call], slot=30,
        notes=[(5.8, 2.5, "counted twice"), (10, 0.5, "the count alone carries it")],
        key=(KEY[0], (svg.GOOD, "the block"), *KEY[3:]),
    ).draw()  # fmt: skip


def crash() -> str:
    """Return what becomes of a reservation whose holder is killed after its dial."""
    tape = Tape(4)
    call = (2.6, 16.0)
    tape.look(0.4, 0.9, 0)
    tape.to(1.5).grant("r", by="q")
    tape.look(2.4, 2.9, 0)
    for begin in (4.4, 6.4, 8.4, 10.4, 12.4, 14.4, 16.4):
        tape.look(begin, begin + 0.5, 1)
    tape.look(18.4, 18.9, 0)
    return Timeline(
        "The holder is killed after its dial: its slot is booked until a reading has surely seen the call",
        (0, 20),
        [
            Row("holder", [Bar(0.2, 3.2, svg.GOOD, "alive")]),
            Row("reservation", standing(tape, "r", 20)),
            Row("call", calls([call])),
            Row("readings", readings(tape)),
        ],
        [
            Mark(1.5, "claim", 1), Mark(2.6, "accepted", 0), Mark(3.2, "killed", 1, "start", svg.ALARM),
            Mark(8.5, "settle time of the claim", 0), Mark(10.4, "begun after it", 1, "start"),
            Mark(16.0, "call over", 0),
        ],
        used=tape.used(), live=[call], slot=30,
        notes=[
            (7.7, 2.5, "counted twice: the price of not knowing"), (13.4, 0.5, "the count alone carries it"),
        ],
        key=(*KEY[:2], (svg.GOOD, "the holder"), *KEY[3:]),
    ).draw()  # fmt: skip


def overlap() -> str:
    """Return a reading that is dropped, and what would come of it if it were not."""
    tape = Tape(1)
    call = (2.6, 14.0)
    tape.look(0.4, 0.9, 0)
    tape.to(1.6).grant("r", kind=Kind.PLACE, lag=1_000)
    tape.to(2.8).placed("r", lag=1_000)
    tape.to(3.0).leave("r")
    tape.look(5.0, 6.0, 1, by="b")
    code = tape.look(2.0, 8.0, 0, by="a")
    if code != Code.OVERLAPPING:
        raise AssertionError(code)
    slow = Bar(2.0, 8.0, svg.LOOK, "begun early, written late: 0")
    tape.look(10.0, 10.5, 1, by="b")
    return Timeline(
        "A reading that began before the newest one was written is dropped: nobody can tell which looked later",
        (0, 14),
        [
            Row("reservation", standing(tape, "r", 14)),
            Row("call", calls([call])),
            Row("first reader", [Bar(0.4, 0.9, svg.LOOK, "0"), slow]),
            Row("second reader", [Bar(5.0, 6.0, svg.LOOK, "1"), Bar(10.0, 10.5, svg.LOOK, "1")]),
        ],
        [
            Mark(2.2, "looked here", 1, "middle"), Mark(2.8, "placed()", 0, "start"),
            Mark(3.8, "settle time", 1, "start"), Mark(5.0, "begun after it", 0, "start"),
            Mark(8.0, "t0 = 2 is not above t1 = 6: dropped", 1, "start", svg.ALARM),
        ],
        used=tape.used(), live=[call], limit=1, slot=34, otherwise=[(8.0, 1), (8.01, 0), (10.5, 1)],
        notes=[(9.25, 0.5, "if believed")],
        key=(KEY[0], *KEY[3:]),
    ).draw()  # fmt: skip
