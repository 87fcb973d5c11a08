"""Each shape of dialer: its fault, as people write it, and the fault gone."""

import pytest

from tests.examples import campaigns, queues, runs, web
from tests.servers import redis_server


@pytest.fixture(scope="module")
def redis():
    with redis_server() as server:
        yield server.url


def test_a_semaphore_is_no_limit_of_the_account(redis):
    before = campaigns.two_campaigns(redis, "before")
    assert (before.overshoots, before.never) == (15, 15)


def test_guarded_campaigns_share_the_account(redis):
    after = campaigns.two_campaigns(redis, "after")
    assert after.is_good
    assert after.peak == 20


def test_tasks_that_look_before_they_dial_dial_together(redis):
    before = queues.workers_at_once(redis, "before")
    assert (before.peak, before.overshoots) == (6, 3)


def test_guarded_tasks_take_turns(redis):
    after = queues.workers_at_once(redis, "after")
    assert after.is_good
    assert after.peak == 3


def test_a_task_that_is_retried_calls_a_lead_twice(redis):
    assert queues.lost_answer(redis, "before").again == 1


def test_a_guarded_task_does_not_dial_again_when_nobody_knows(redis):
    assert queues.lost_answer(redis, "after").is_good


def test_a_job_that_waits_for_a_line_is_killed_by_its_time_limit(redis):
    assert queues.full_for_long(redis, "before").never == 4


def test_a_guarded_job_outlives_its_time_limit(redis):
    assert queues.full_for_long(redis, "after").is_good


def test_runs_that_overlap_dial_the_same_free_lines(redis):
    before = runs.overlapping_runs(redis, "before")
    assert (before.peak, before.overshoots) == (20, 10)


def test_guarded_runs_may_overlap(redis):
    after = runs.overlapping_runs(redis, "after")
    assert after.is_good
    assert after.peak == 10


def test_events_that_are_repeated_or_lost_break_a_campaign(redis):
    before = web.unreliable_events(redis, "before")
    assert (before.peak, before.overshoots) == (7, 2)
    assert before.never == 12


def test_events_that_are_repeated_or_lost_do_not_matter_to_a_guarded_campaign(redis):
    after = web.unreliable_events(redis, "after")
    assert after.is_good
    assert after.peak == 5


def test_an_event_that_comes_early_does_not_matter_to_a_guarded_campaign(redis):
    assert web.early_event(redis, "after").is_good
