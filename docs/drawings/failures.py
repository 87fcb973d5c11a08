"""What becomes of an account when a part of it fails, each a run of the book itself."""

from __future__ import annotations

from admission.ledger.wire import Code, Kind
from docs.drawings import svg
from docs.drawings.tape import Tape
from docs.drawings.timeline import Bar, Mark, Row, Timeline, admits, calls, readings, standing
from tests.books import DURATION, entry

KEY = (
    (svg.PENDING, "pending"), (svg.HELD, "held"), (svg.CALL, "a call"),
    (svg.LOOK, "window of a reading, and its count"),
)  # fmt: skip


def lost() -> str:
    """Return how a fleet comes back when the ledger has lost everything."""
    tape = Tape(3)
    hold, placed, newcomer = (0.5, 18.0), (0.9, 18.0), (11.0, 18.0)
    tape.to(0.1).grant("hold", by="q")
    tape.to(0.2).grant("place", kind=Kind.PLACE, by="r")
    tape.to(0.6).placed("hold", by="q")
    tape.to(1.0).placed("place", kind=Kind.PLACE, leaving=1, by="r")
    tape.look(3.4, 3.8, 2, by="q")
    lost = 6.0
    tape.to(lost).lose()
    # Everybody believes in the old epoch until he hears of the new one.
    tape.to(6.01).beat(by="r")
    tape.to(6.4).beat(by="q")
    tape.beat(entry("hold", kind=Kind.HOLD, placed=1, settle=-1_000, left=DURATION), by="q")
    tape.to(7.0).wait("new", by="r")
    tape.look(7.4, 7.8, 2, by="q")
    opens = (tape.book.readings.open_after - tape.book.opened) / 1000
    tape.look(9.4, 9.8, 2, by="q")
    if tape.to(9.9).claim("new", by="r").code != Code.GRANTED:
        raise AssertionError(tape.book.readings)
    tape.to(11.2).placed("new", by="r")
    for begin, count in ((11.4, 2), (13.4, 3), (15.4, 3)):
        tape.look(begin, begin + 0.4, count, by="q")
    return Timeline(
        "The ledger has lost everything: nobody is admitted until a reading has surely seen what nobody could tell",
        (4, 17),
        [
            Row("claims", admits(tape, 17)),
            Row("a hold", standing(tape, "hold", 17)),
            Row("a waiter", [Bar(7.0, 9.9, "#eef0f2", "in line"), *standing(tape, "new", 17)]),
            Row("calls", calls([(0.5, 17)], "one held, one placed and handed off, later a third")),
            Row("readings", readings(tape)),
        ],
        [
            Mark(lost, "lost", 0, "middle", svg.ALARM), Mark(6.4, "told again", 1, "start"),
            Mark(6.01 + opens, "one beat and δ later", 0, "middle"), Mark(9.4, "begun after it", 1, "start"),
        ],
        used=tape.used(), live=[hold, placed, newcomer], limit=3, slot=26,
        key=KEY,
    ).draw()  # fmt: skip


def outage() -> str:
    """Return what becomes of claims while the provider does not answer."""
    tape = Tape(3, staleness=6_000)
    failed: list[Bar] = []
    began, last, end = 2.0, 15.0, 20.0
    second = 0.4
    while second < end:
        token = tape.to(second).duty(by="q")
        if token and began <= second < last:
            tape.to(second + 0.3).failing(token, by="q", error="503")
            failed.append(Bar(second, second + 0.3, svg.ALARM))
        elif token:
            tape.look(second, second + 0.3, 1, by="q")
        else:
            tape.beat(by="q")
        second = round(max(second + 0.1, tape.seconds + 0.1), 1)
    return Timeline(
        "The provider does not answer: the newest reading serves until it is older than max_staleness",
        (0, end),
        [
            Row("provider", [Bar(began, last, svg.SHUT, "answers 503")]),
            Row("readings", [*readings(tape, texts=False), *failed]),
            Row("claims", admits(tape, end)),
        ],
        [Mark(2.0, "fails", 0, "start", svg.ALARM), Mark(15.0, "answers again", 0, "middle")],
        key=((svg.LOOK, "a reading"), (svg.ALARM, "one that failed")),
    ).draw()  # fmt: skip
