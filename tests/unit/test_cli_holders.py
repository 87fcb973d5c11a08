"""What `admission holders` shows of a fleet."""

import pytest

from admission import Holder, Holders
from admission.cli import holders as command


@pytest.fixture
def show(monkeypatch, capsys):
    def shown(found, *, as_json=False):
        class Fleet:
            def __enter__(self):
                return self

            def __exit__(self, *exc):
                pass

            def holders(self):
                return found

        monkeypatch.setattr(command, "fleet", lambda verb: Fleet())
        assert command.holders(as_json=as_json) == 0
        return capsys.readouterr()

    return shown


def row(rid, age, **more):
    facts = {"lane": "bulk", "kind": "hold", "process": "p.0", "state": "held", "placed": True, "call_id": "c"}
    return Holder(rid, age=age, **{**facts, **more})


def test_the_oldest_come_first(show):
    out = show(
        Holders("fleet", 3, (row("young", 3.0), row("old", 700.0), row("new", 0.04, placed=False, state="pending")))
    )
    lines = out.out.splitlines()
    assert lines[0].split() == ["reservation", "lane", "kind", "state", "since", "placed", "held", "by", "call"]
    assert [line.split()[0] for line in lines[1:4]] == ["old", "young", "new"]
    assert "12 min" in lines[1]
    assert lines[4] == "3 booked on fleet: 2 held, 1 pending"
    assert out.err == ""


def test_what_is_left_out_is_said(show):
    assert show(Holders("fleet", 1500, (row("a", 1.0),))).err == "admission: 1499 more are not shown\n"


def test_a_call_id_cannot_draw_on_the_terminal(show):
    assert "\x1b" not in show(Holders("fleet", 1, (row("a", 1.0, call_id="\x1b[2J\n"),))).out
