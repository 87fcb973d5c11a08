"""Each shape of dialer: its fault, as people write it, and the fault gone. The page shows the same figures."""

import pytest

from tests.examples import runs, web
from tests.examples.table import play
from tests.servers import redis_server


@pytest.fixture(scope="module")
def redis():
    with redis_server() as server:
        yield server.url


def test_a_semaphore_is_no_limit_of_the_account(redis):
    before = play(redis, "two asyncio scripts at once", "before")
    assert before.overshoots
    assert before.never


def test_guarded_campaigns_share_the_account(redis):
    assert play(redis, "two asyncio scripts at once", "after").is_good


def test_tasks_that_look_before_they_dial_dial_together(redis):
    before = play(redis, "six Celery tasks at once", "before")
    assert before.peak > before.limit


def test_guarded_tasks_take_turns(redis):
    assert play(redis, "six Celery tasks at once", "after").is_good


def test_a_task_that_is_retried_calls_a_lead_twice(redis):
    assert play(redis, "the answer to a Celery task's dial is lost", "before").again


def test_a_guarded_task_does_not_dial_again_when_nobody_knows(redis):
    assert play(redis, "the answer to a Celery task's dial is lost", "after").is_good


def test_a_job_that_waits_for_a_line_is_killed_by_its_time_limit(redis):
    assert play(redis, "arq jobs wait for longer than their time limit", "before").never


def test_a_guarded_job_outlives_its_time_limit(redis):
    assert play(redis, "arq jobs wait for longer than their time limit", "after").is_good


def test_runs_that_overlap_dial_the_same_free_lines(redis):
    before = play(redis, "two runs of a cron script overlap", "before")
    assert before.peak > before.limit


def test_guarded_runs_may_overlap(redis):
    assert play(redis, "two runs of a cron script overlap", "after").is_good


def test_a_guarded_run_gives_back_a_lead_that_was_refused(redis):
    assert runs.failing_dials(redis) == ["new", "unknown"]


def test_events_that_are_repeated_or_lost_break_a_campaign(redis):
    before = play(redis, "end events come three times, or never", "before")
    assert before.peak > before.limit
    assert before.never


def test_events_that_are_repeated_or_lost_do_not_matter_to_a_guarded_campaign(redis):
    assert play(redis, "end events come three times, or never", "after").is_good


def test_an_event_that_comes_early_does_not_matter_to_a_guarded_campaign(redis):
    assert web.early_event(redis, "after").is_good
