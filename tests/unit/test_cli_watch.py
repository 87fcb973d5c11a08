"""The parts of `admission watch` that need no terminal: what keys mean, and what is drawn."""

import io
import os
import pty
import time

import pytest
from rich.console import Console
from rich.text import Text

from admission import Lane, LaneStatus, Policy
from admission.cli.watch.keyboard import CLEAR, DELETE, ENTER, ESCAPE, Keys, Order, Prompt, keys_of
from admission.cli.watch.screen import View
from admission.views.feed import Moment
from tests.views.test_state import status

LANES = tuple(LaneStatus(f"lane-{n}", n, n, n == 1, "why", Lane(f"lane-{n}", priority=n)) for n in range(4))
NOW = 1_000_000.0


def pressed(*keys, paused=False):
    prompt = Prompt("by me")
    orders = [prompt.press(key, paused=paused) for key in keys]
    return prompt, [order for order in orders if order is not None]


def test_keys_while_nothing_is_asked():
    assert pressed("q")[1] == [Order("quit")]
    assert pressed("x", ENTER, ESCAPE)[1] == []
    assert pressed("r")[0].asks == ""


def test_a_pause_takes_a_reason():
    prompt, orders = pressed("p", *"tooo", DELETE, *" many q", ENTER)
    assert orders == [Order("pause", "too many q")]
    assert prompt.asks == ""
    assert pressed("p", ENTER)[1] == [Order("pause", "by me")]
    assert pressed("p", *"why", CLEAR, *"so", ENTER)[1] == [Order("pause", "so")]
    assert pressed("p", *"why", ESCAPE, ENTER)[1] == []
    assert len(pressed("p", *"x" * 1000, ENTER)[1][0].reason) == 200


def test_a_resume_is_confirmed():
    assert pressed("p", paused=True)[1] == []
    assert pressed("p", "p", paused=True)[1] == [Order("resume")]
    assert pressed("r", ENTER, paused=True)[1] == [Order("resume")]
    prompt, orders = pressed("p", "q", paused=True)
    assert (prompt.asks, orders) == ("", [])


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        (b"p", ["p"]),
        (b"\r", [ENTER]),
        (b"\x1b", [ESCAPE]),
        (b"\x1b[A", []),
        (b"\x7f\x15", [DELETE, CLEAR]),
        ("zu spät\n".encode(), [*"zu spät", ENTER]),
        (b"\x00\x07a", ["a"]),
    ],
)
def test_what_a_terminal_sends(sent, keys):
    master, slave = pty.openpty()
    try:
        with keys_of(slave):
            os.write(master, sent)
            assert Keys(slave).read() == keys
    finally:
        os.close(master)
        os.close(slave)


def test_a_terminal_that_is_gone():
    reader, writer = os.pipe()
    os.close(writer)
    keys = Keys(reader)
    assert keys.read() is None
    os.close(reader)
    assert keys.read() is None


def drawn(moments, width=80, height=24, encoding="utf-8", **settings):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)
    console = Console(file=stream, width=width, height=height, force_terminal=True, color_system=None, **settings)
    console.print(View("fleet", tuple(moments), Policy(), Text("q quit"), NOW))
    stream.seek(0)
    return stream.read().splitlines()


def history(number=120, **changes):
    moments = [Moment(NOW - number + n, status(in_use=n % 21, **changes)) for n in range(number)]
    return [*moments, Moment(NOW, status(**changes))]


@pytest.mark.parametrize(("width", "height"), [(200, 60), (80, 24), (44, 20), (30, 12), (20, 8), (12, 4)])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_fits_every_terminal(width, height, encoding):
    rows = drawn(history(lanes=LANES, paused=True, pause_reason="much " * 60), width, height, encoding)
    assert len(rows) <= height
    assert max(map(len, rows)) <= width
    assert rows[-1].startswith("q quit")


def test_the_numbers_are_there():
    text = "\n".join(drawn(history()))
    assert "in use 17 of 20   free 3   waiting 0" in text
    assert "█ held 7  ▓ covered 3  ▒ untracked 3  ░ pending 4" in text
    assert "reading  0.4 s old (young)   count 13" in text
    assert " 20┤" in text
    assert "2 min ago" in text
    assert "lane" not in text


def test_lanes_a_pause_and_a_full_account():
    text = "\n".join(drawn(history(lanes=LANES, paused=True, pause_reason="complaints"), height=40, width=100))
    assert "PAUSED" in text
    assert "■ paused: complaints" in text
    assert "▲ lane lane-1 is paused: why" in text
    assert "lane-3" in text
    assert "priority 3, weight 1" in text


def test_a_reason_does_not_move_the_cursor():
    text = "\n".join(drawn(history(paused=True, pause_reason="\x1b[2J\x07 lunch\nbreak")))
    assert "■ paused: ?[2J? lunch break" in text
    assert "\x1b[2J" not in text


def test_more_lanes_than_rows():
    lanes = tuple(LaneStatus(f"lane-{n}", 0, 0) for n in range(50))
    text = "\n".join(drawn(history(lanes=lanes), height=40))
    assert "and 37 more lanes" in text


def test_before_the_first_answer():
    assert "asking the ledger" in "\n".join(drawn([]))
    assert "■ nobody there" in "\n".join(drawn([Moment(NOW, None, "nobody there")]))


def test_a_ledger_that_fell_silent():
    moments = [*history(10), Moment(NOW + 12, None, "the ledger did not answer")]
    stream = io.StringIO()
    console = Console(file=stream, width=100, height=30, force_terminal=True, color_system=None)
    console.print(View("fleet", tuple(moments), Policy(), Text("q quit"), NOW + 12))
    text = stream.getvalue()
    assert "the ledger did not answer; shown is what it told 12.0 s ago" in text
    assert "reading  12.4 s old" in text


def test_an_account_that_was_never_read():
    text = "\n".join(drawn([Moment(NOW, status(limit=None, count=None, usage_age=None, in_use=0, free=0))]))
    assert "in use 0 of ?" in text
    assert "reading  none yet" in text


def test_the_chart_has_a_gap_where_nobody_looked():
    moments = [Moment(NOW - 50, status(in_use=20)), Moment(NOW - 10, status(in_use=20)), Moment(NOW, status())]
    rows = drawn(moments, 68, 24)
    floor = next(row for row in rows if row.startswith("  0"))[4:]
    assert [len(run) for run in floor.split()] == [6, 6, 1]


def test_drawing_ten_minutes_takes_no_time():
    moments = history(600)
    begun = time.process_time()
    drawn(moments, 200, 60)
    assert time.process_time() - begun < 1
