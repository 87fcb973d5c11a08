"""What a process tells the ledger of lanes, and what it makes of what it is told: fed by hand, without I/O."""

from __future__ import annotations

import pytest

from admission import ConfigurationError, Lane
from admission.core.lanes import OwnLanes
from admission.core.messages import Done, Failed
from admission.core.outbox import Outbox
from admission.ledger.lanes import MOST_LANES
from admission.ledger.replies import Head
from admission.ledger.requests import Lanes, Pause
from admission.ledger.wire import Code, LaneWire, Word
from tests.unit.test_desk import Box

BULK = LaneWire("bulk", at=5, priority=1)
VIP = LaneWire("vip", at=4, priority=0)


class Process:
    """What a process knows of lanes, and what it sends and reports."""

    def __init__(self, *declared):
        self.reports = []
        self.outbox = Outbox(self._report)
        self.lanes = OwnLanes("acme", declared, self.outbox, self._report)

    def _report(self, event, **facts):
        self.reports.append((event, facts))

    def sent(self):
        """Take what is to be sent, as it is made."""
        return [draft.make(0.0) for draft in self.outbox.take(0.0)]

    def reply(self, code=Code.OK, at=5, changed="", rows=(BULK,)):
        """Reply to the one thing that is to be sent."""
        (draft,) = self.outbox.take(0.0)
        draft.then(Head(int(code), 0, 7, 1, 0, 0, 0, ""), [at, changed, *flat(*rows)], 0.0)

    def hears(self, at, *rows):
        self.lanes.heard(at, flat(*rows))
        return self.sent()


def flat(*rows):
    return [field for row in rows for field in row]


def retold(*rows):
    return [Lanes(int(Word.RETELL), rows)]


def test_what_a_guard_declares_is_told_once():
    process = Process(Lane("vip"), Lane("bulk", priority=1, weight=2.5, headroom=3, max_in_flight=4, promote_after=1.5))
    for _ in range(2):
        process.lanes.declare()
    bulk = LaneWire("bulk", priority=1, weight=2_500, headroom=3, cap=4, promote=1_500)
    assert process.sent() == [Lanes(int(Word.DECLARE), (LaneWire("vip", priority=0), bulk))]


def test_a_guard_without_lanes_declares_none():
    process = Process()
    process.lanes.declare()
    assert process.sent() == []


def test_a_declaration_is_delivered_whatever_becomes_of_the_ledger():
    process = Process(Lane("vip"))
    process.lanes.declare()
    assert [draft.note for draft in process.outbox] == [True]


@pytest.mark.parametrize("say", ["set", "pause"])
def test_what_an_operator_says_is_said_again_by_who_waits_for_its_answer_alone(say):
    process = Process()
    box = Box()
    if say == "set":
        process.lanes.set(box, Lane("bulk"))
    else:
        process.lanes.pause(box, "bulk", on=True, reason="lunch")
    assert [(draft.note, draft.box) for draft in process.outbox] == [(False, box)]


def test_an_operator_sets_a_lane():
    process = Process()
    box = Box()
    process.lanes.set(box, Lane("bulk", priority=1))
    assert process.sent() == [Lanes(int(Word.SET), (LaneWire("bulk", priority=1),))]
    process.lanes.set(box, Lane("bulk", priority=1))
    process.reply(changed="bulk")
    assert box.mail == [Done()]
    assert process.reports == [("lanes_told", {"account": "acme", "lanes": "bulk"})]
    assert process.lanes.at == 5


@pytest.mark.parametrize("on", [True, False])
def test_an_operator_pauses_and_resumes_a_lane(on):
    process = Process()
    process.lanes.pause(Box(), "bulk", on=on, reason="lunch")
    assert process.sent() == [Pause(int(on), "lunch", "bulk")]


def test_a_word_that_changes_nothing_is_not_reported():
    process = Process()
    process.lanes.set(Box(), Lane("bulk"))
    process.reply(changed="")
    assert process.reports == []


def test_a_lane_that_is_not_known_is_refused_with_those_that_are():
    process = Process()
    box = Box()
    process.lanes.pause(box, "blk", on=True, reason="")
    process.reply(Code.NO_LANE, rows=(VIP, BULK))
    (failed,) = box.mail
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, ConfigurationError)
    assert str(failed.error) == "lane 'blk' is not known; known are: bulk, default, vip"


def test_one_lane_too_many_is_refused_to_the_operator():
    process = Process()
    box = Box()
    process.lanes.set(box, Lane("bulk"))
    process.reply(Code.FULL, rows=())
    (failed,) = box.mail
    assert isinstance(failed.error, ConfigurationError)
    assert f"an account has {MOST_LANES}" in str(failed.error)


@pytest.mark.parametrize(("code", "events"), [(Code.OK, []), (Code.FULL, ["lanes_refused"])])
def test_declared_lanes_that_were_refused_are_reported(code, events):
    process = Process(Lane("vip"), Lane("bulk"))
    process.lanes.declare()
    process.reply(code, rows=())
    assert [event for event, _ in process.reports] == events
    assert all(facts == {"account": "acme", "lanes": ["vip", "bulk"]} for _, facts in process.reports)


def test_a_declaration_s_reply_tells_of_all_lanes():
    process = Process(Lane("vip"))
    process.lanes.declare()
    process.reply(rows=(BULK, VIP))
    process.lanes.retell()
    assert process.sent() == retold(BULK, VIP)


# Told again


def test_who_knows_of_no_lane_has_nothing_to_tell_again():
    process = Process()
    process.lanes.retell()
    assert process.sent() == []
    assert process.lanes.at == 0


def test_a_ledger_that_lost_the_lanes_is_told_before_all_else():
    process = Process()
    process.hears(5, BULK, VIP)
    process.lanes.set(Box(), Lane("bulk"))
    process.lanes.retell()
    first, second = process.sent()
    assert [first] == retold(BULK, VIP)
    assert second.how == int(Word.SET)


def test_what_the_ledger_has_is_not_told_again():
    process = Process()
    assert process.hears(5, BULK) == []
    assert process.hears(6, BULK, VIP) == []
    assert process.lanes.at == 6


def test_what_the_ledger_has_lost_is_told_again_and_stays_known():
    process = Process()
    process.hears(5, BULK, VIP)
    assert process.hears(6, VIP) == retold(BULK)
    process.lanes.retell()
    assert process.sent() == retold(VIP, BULK)


def test_an_older_word_than_is_known_is_told_again_and_reported_by_nobody():
    process = Process()
    process.hears(5, BULK)
    assert process.hears(6, BULK._replace(at=3, priority=9)) == retold(BULK)
    assert process.reports == []


def test_what_is_told_again_is_answered_like_any_word():
    process = Process()
    process.hears(5, BULK)
    process.lanes.retell()
    process.reply(at=9, rows=(BULK, VIP))
    assert process.lanes.at == 9


def test_a_word_that_is_known_is_heard_once():
    process = Process()
    process.hears(5, BULK)
    assert process.hears(5) == [], "a reply that bears no lanes, since the process knows the newest word"
    process.lanes.retell()
    assert process.sent() == retold(BULK)


# Changes


def test_a_lane_that_another_has_changed_is_reported_with_what_it_was():
    process = Process()
    process.hears(5, BULK)
    process.hears(6, BULK._replace(at=6, priority=2))
    facts = {"lane": "bulk", "settings": Lane("bulk", priority=2), "before": Lane("bulk", priority=1)}
    assert process.reports == [("lane_changed", facts)]


@pytest.mark.parametrize(
    "rows", [(BULK, VIP), (BULK._replace(at=6, paused=1),)], ids=["a lane that is new", "a pause alone"]
)
def test_nothing_else_is_a_change(rows):
    process = Process()
    process.hears(5, BULK)
    process.hears(6, *rows)
    assert process.reports == []
