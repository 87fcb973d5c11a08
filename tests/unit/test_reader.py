"""When a process asks for the duty to read the provider, and what it makes of the attempt: fed by hand, without I/O."""

from __future__ import annotations

from datetime import datetime

import pytest

from admission import Policy, Usage, UsageError
from admission.core.messages import Fetched, LedgerDown, News
from admission.core.reader import MARGIN, Reader
from admission.core.spans import wire_policy
from admission.ledger.replies import Head
from admission.ledger.requests import Duty, Reading
from admission.ledger.wire import Code, Outcome
from tests.unit.test_desk import Box
from tests.unit.test_plans import FAULT

TIMEOUT = 5.0
NOW = 100.0
TOKEN = 77_000
READ = Fetched(TOKEN, Outcome.READ, usage=Usage(20, 3), kind="", took=0.123_456_7)


class Process:
    """A reader, and what it sends, begins and reports."""

    def __init__(self, timeout=TIMEOUT):
        self.drafts = []
        self.begun = []
        self.reports = []
        self.since = None
        self.reader = Reader(
            "acme",
            timeout,
            wire_policy(Policy()),
            self.begun.append,
            self.drafts.append,
            lambda: self.since,
            lambda event, **facts: self.reports.append((event, facts)),
        )

    def sent(self):
        """Take what is to be sent, as it is made."""
        said = [draft.make(NOW) for draft in self.drafts]
        self.drafts.clear()
        return said

    def reply(self, code, *tail):
        """Reply to the one thing that was sent."""
        (draft,) = self.drafts
        self.drafts.clear()
        draft.then(Head(int(code), 0, 7, 1, 0, 0, 0, ""), list(tail), NOW)

    def granted(self):
        """Have an attempt under way."""
        self.reader.ask_duty(NOW)
        self.reply(Code.GRANTED, TOKEN)
        return self

    def written(self, fetched=READ, code=Code.OK, age=250, idle=-1):
        self.reader.fetched(fetched)
        self.reply(code, 20, 0, age, 0, 0, idle, -1)
        return self

    def events(self):
        return [event for event, _ in self.reports]

    def watcher(self):
        box = Box()
        self.reader.watchers.append(box)
        return box


@pytest.mark.parametrize(("due_at", "asks"), [(None, False), (NOW + 0.001, False), (NOW, True), (NOW - 1, True)])
def test_the_duty_is_asked_for_as_soon_as_a_reading_is_due(due_at, asks):
    process = Process()
    process.reader.due_at = due_at
    process.reader.renew(NOW)
    assert process.sent() == ([Duty(5_000, 0)] if asks else [])


def test_a_new_process_knows_of_no_reading_that_is_due():
    process = Process()
    process.reader.renew(NOW)
    assert process.sent() == []
    assert process.reader.wake_at() is None
    process.reader.due_at = NOW + 1
    assert process.reader.wake_at() is None, "it has not read yet, so another process goes on"


@pytest.mark.parametrize(("timeout", "told"), [(0.0, 1), (0.0005, 1), (2.5, 2_500)])
def test_the_ledger_is_told_the_source_s_timeout_in_milliseconds_and_never_none(timeout, told):
    process = Process(timeout)
    process.reader.ask_duty(NOW)
    assert process.sent() == [Duty(told, 0)]


def test_whoever_cannot_wait_for_the_next_reading_has_it_taken_before_it_is_due():
    process = Process()
    process.reader.ask_duty(NOW, force=True)
    assert process.sent() == [Duty(5_000, 1)]


def test_a_request_that_reads_is_no_note_but_its_loss_is_heard_of():
    process = Process()
    process.reader.ask_duty(NOW)
    process.reader.fetched(READ)
    assert [(draft.note, draft.reads) for draft in process.drafts] == [(False, True), (False, True)]


def test_who_is_given_the_duty_begins_an_attempt_with_its_token():
    process = Process().granted()
    assert process.begun == [TOKEN]
    assert not process.events()


def test_a_process_asks_for_no_second_duty_while_an_attempt_is_under_way():
    process = Process()
    process.reader.due_at = NOW
    for _ in range(2):
        process.reader.renew(NOW)
    assert process.sent() == [Duty(5_000, 0)]
    process.reader.due_at = NOW
    process.reader.ask_duty(NOW + TIMEOUT + MARGIN - 0.001)
    assert process.sent() == []


def test_a_question_for_the_duty_is_not_repeated_before_the_ledger_has_said_when_the_next_is_due():
    process = Process()
    process.reader.due_at = NOW
    process.reader.renew(NOW)
    process.drafts.clear()
    process.reader.renew(NOW + TIMEOUT + MARGIN)
    assert process.sent() == []


def test_an_attempt_of_which_nothing_is_heard_is_given_up():
    process = Process().granted()
    process.reader.ask_duty(NOW + TIMEOUT + MARGIN)
    assert process.sent() == [Duty(5_000, 0)]


def test_who_is_not_given_the_duty_begins_nothing_and_may_ask_again():
    process = Process()
    process.reader.ask_duty(NOW)
    process.reply(Code.OK, 0)
    assert process.begun == []
    process.reader.ask_duty(NOW)
    assert process.sent() == [Duty(5_000, 0)]


def test_who_forced_a_reading_that_another_takes_is_told_so_and_who_did_not_waits_on():
    process = Process()
    box = process.watcher()
    process.reader.ask_duty(NOW)
    process.reply(Code.OK, 0)
    assert box.mail == []
    process.reader.ask_duty(NOW, force=True)
    process.reply(Code.OK, 0)
    assert box.mail == [News(None)]
    assert process.reader.watchers == []


def test_who_is_given_the_duty_tells_nobody_before_it_has_read():
    process = Process()
    box = process.watcher()
    process.reader.ask_duty(NOW, force=True)
    process.reply(Code.GRANTED, TOKEN)
    assert box.mail == []


def test_the_newest_reader_wakes_for_the_next_reading_and_the_others_do_not():
    process = Process().granted()
    process.reader.due_at = NOW + 1
    assert process.reader.wake_at() is None, "an attempt is under way"
    process.written()
    assert process.reader.wake_at() == NOW + 1
    process.reader.ask_duty(NOW + 1)
    process.reply(Code.OK, 0)
    process.reader.due_at = NOW + 2
    assert process.reader.wake_at() is None, "another process reads now"


@pytest.mark.parametrize(
    ("outcome", "goes_on"),
    [(Outcome.READ, True), (Outcome.PASSING, True), (Outcome.FINAL, False), (Outcome.ABANDONED, False)],
)
def test_who_cannot_read_leaves_the_next_reading_to_others(outcome, goes_on):
    process = Process().granted()
    process.written(Fetched(TOKEN, outcome))
    process.reader.due_at = NOW + 1
    assert process.reader.wake_at() == (NOW + 1 if goes_on else None)


def test_what_was_read_is_written_as_it_was_said():
    process = Process()
    stamp = datetime(1, 1, 1, 0, 0, 1, 5)  # noqa: DTZ001 - as a provider without a zone says it
    process.reader.fetched(Fetched(TOKEN, Outcome.READ, usage=Usage(20, 3, stamp), kind=""))
    assert process.sent() == [Reading(TOKEN, int(Outcome.READ), 20, 3, 1_000_005, 0, "")]
    assert process.events() == []


def test_a_failure_is_written_with_what_others_should_know_of_it():
    process = Process()
    fault = UsageError("busy " * 100)
    fault.retry_after = 2.5
    process.reader.fetched(Fetched(TOKEN, Outcome.PASSING, error=fault, kind="server_error"))
    (reading,) = process.sent()
    assert reading.fields()[:-1] == [TOKEN, int(Outcome.PASSING), -1, -1, -1, 2_500]
    assert reading.error.startswith("busy busy")
    assert len(reading.error) == 200


@pytest.mark.parametrize(("outcome", "event"), [(Outcome.PASSING, "reading_failed"), (Outcome.FINAL, "reading_final")])
def test_a_failure_is_reported(outcome, event):
    process = Process()
    fault = UsageError("busy " * 1_000)
    process.reader.fetched(Fetched(TOKEN, outcome, error=fault, kind="server_error", took=1.234_567_8))
    ((told, facts),) = process.reports
    error = facts.pop("error")
    assert (told, facts) == (event, {"account": "acme", "kind": "server_error", "latency": 1.234_568})
    assert len(error) == 2_000
    assert process.reader.last_error is fault


def test_an_attempt_that_nobody_waits_for_any_more_is_reported_as_no_failure():
    process = Process()
    process.reader.fetched(Fetched(TOKEN, Outcome.ABANDONED))
    assert process.sent() == [Reading(TOKEN, int(Outcome.ABANDONED), -1, -1, -1, 0, "")]
    assert process.events() == ["reading_abandoned"]
    assert process.reader.last_error is None


@pytest.mark.parametrize("code", [Code.OK, Code.DISBELIEVED])
def test_a_reading_that_counts_is_reported_and_told_to_who_waits(code):
    process = Process().granted()
    process.reader.last_error = FAULT
    box = process.watcher()
    process.written(code=code)
    facts = {"account": "acme", "limit": 20, "count": 3, "latency": 0.123_457, "age": 0.25}
    assert process.reports[0] == ("reading_taken", facts)
    assert box.mail == [News(None)]
    assert process.reader.watchers == []
    assert process.reader.last_error is None


@pytest.mark.parametrize("code", [Code.CACHED, Code.TOO_OLD])
def test_an_answer_that_makes_nothing_younger_is_a_failure_to_who_waits(code):
    process = Process().granted()
    box = process.watcher()
    process.written(code=code)
    (told,) = box.mail
    assert isinstance(told.error, UsageError)
    assert process.reader.last_error is told.error
    assert process.events() == [f"reading_{code.name.lower()}"]
    facts = process.reports[0][1]
    assert facts == {"account": "acme", "kind": code.name.lower(), "error": str(told.error), "latency": 0.123_457}


def test_a_reading_that_overlaps_the_newest_is_reported_and_fails_nobody():
    process = Process().granted()
    process.reader.last_error = FAULT
    box = process.watcher()
    process.written(code=Code.OVERLAPPING)
    assert process.events() == ["reading_overlapping"]
    assert process.reports[0][1]["error"] == "it overlaps the newest reading"
    assert box.mail == [News(None)]
    assert process.reader.last_error is FAULT, "it was not the newest reading that went well"


def test_a_failure_is_told_to_who_waits_and_remembered_for_who_runs_out_of_time():
    process = Process().granted()
    box = process.watcher()
    process.written(Fetched(TOKEN, Outcome.PASSING, error=FAULT, kind="server_error"))
    assert box.mail == [News(FAULT)]
    assert process.events() == ["reading_failed"]
    assert process.reader.last_error is FAULT


def test_what_became_of_an_attempt_is_written_and_the_next_may_begin_at_once():
    process = Process().granted()
    process.written()
    process.reader.ask_duty(NOW)
    assert process.sent() == [Duty(5_000, 0)]


@pytest.mark.parametrize(("since", "told"), [(None, False), (NOW - 120, True), (NOW - 10, False)])
def test_a_line_that_stands_is_told_of_by_who_reads_for_it(since, told):
    process = Process().granted()
    process.since = since
    process.written(idle=120_000)
    assert ("line_stands" in process.events()) is told


def test_an_attempt_ends_when_the_ledger_is_away_and_who_waits_hears_why():
    process = Process()
    process.reader.ask_duty(NOW)
    process.drafts.clear()
    box = process.watcher()
    cause = OSError("refused")
    process.reader.lost(cause)
    assert box.mail == [LedgerDown(cause)]
    assert process.reader.watchers == []
    process.reader.ask_duty(NOW)
    assert process.sent() == [Duty(5_000, 0)]


def test_an_attempt_ends_when_the_ledger_has_forgotten_its_token():
    process = Process()
    process.reader.ask_duty(NOW)
    process.drafts.clear()
    box = process.watcher()
    process.reader.lost(None)
    assert box.mail == [News(None)]
    process.reader.ask_duty(NOW)
    assert process.sent() == [Duty(5_000, 0)]
