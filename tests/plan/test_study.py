"""What is simulated beside the case that was given, for how much work, and what is advised."""

import pytest

from admission.cli.plan import options
from admission.cli.plan.advice import advice
from admission.cli.plan.bench import WORK, Bench
from admission.cli.plan.spans import Span
from admission.cli.plan.study import needed, study
from tests.plan.kit import SHORT, case


def answer(of, *, wait=5.0, effort=0.3, jobs=1, seed=0):
    with Bench(seed, effort, jobs).open() as bench:
        return study(of, wait, bench)


def advised(found, risk=10.0):
    return {one.knob: one for one in advice(found, risk)}


def test_the_limit_that_carries_the_load_is_found_and_what_a_lag_that_is_too_long_costs():
    found = answer(case(limit=10, calls_per_hour=3600, visibility_lag=10.0, mix=SHORT), effort=0.4)
    assert not found.found.carries(5.0)
    limits = [tried.option.case.limit for tried in found.limits]
    assert limits == sorted(set(limits))
    told = advised(found)
    assert 20 <= needed(found).option.case.limit <= 40
    assert told["limit"].value == needed(found).option.case.limit
    assert told["visibility_lag"].value == 2.0
    assert "calls per hour" in told["visibility_lag"].text
    # Nobody else calls, so it is the load that is swept.
    busy = [tried.found["busy"] for tried in found.swept]
    assert [tried.option.knob for tried in found.swept] == ["load"] * len(busy)
    assert busy[0] < busy[-1]


def test_a_limit_far_above_the_load_is_told_and_that_workers_are_idle():
    found = answer(case(limit=60, calls_per_hour=300, workers=60), effort=0.1)
    told = advised(found)
    assert found.others == []
    assert told["limit"].value < 30
    assert told["workers"].value < 20
    assert set(told) == {"limit", "workers"}


def test_a_visibility_lag_below_the_provider_s_is_advised_against():
    found = answer(case(limit=10, calls_per_hour=2400, lag=8.0, visibility_lag=2.0, mix=SHORT))
    told = advised(found)
    assert found.found["no_line_per_1000"] > 50
    assert told["visibility_lag"].value == 9.0
    assert "later than what is set; starts with no line free" in told["visibility_lag"].text
    assert told["way"].value == "hold"


def test_headroom_is_swept_where_others_call_and_advised_where_it_is_needed():
    crowded = case(limit=10, calls_per_hour=1500, foreign_per_hour=900, foreign=SHORT.outcomes[0].span, mix=SHORT)
    found = answer(crowded, effort=0.6)
    told = advised(found)
    assert [tried.option.knob for tried in found.swept] == ["headroom"] * len(found.swept)
    assert found.found["no_line_per_1000"] > 10
    assert told["headroom"].value >= 1
    assert "calls of others turned away" in told["headroom"].text


def test_too_few_workers_are_told():
    found = answer(case(limit=12, calls_per_hour=3600, way="hold", workers=4, mix=SHORT), effort=0.2)
    assert advised(found)["workers"].value == 8


def test_a_pace_that_holds_the_calls_up_is_all_that_is_told():
    found = answer(case(calls_per_hour=720, starts_per_second=0.1), effort=0.05)
    assert {knob: one.value for knob, one in advised(found).items()} == {"starts_per_second": 0.2}


def test_a_limit_that_is_out_of_reach_is_not_looked_for():
    found = answer(case(limit=100, calls_per_hour=200_000, mix=case().mix.plain(Span.parse("3600"))), effort=0.05)
    assert found.limits == []
    assert needed(found) is None
    assert "limit" not in advised(found)


def test_nothing_is_said_of_what_was_hardly_seen():
    found = answer(case(limit=1, calls_per_hour=900, mix=case().mix.plain(case().foreign)), effort=0.05)
    assert found.base.starts < 30
    assert set(advised(found)) <= {"limit"}


@pytest.mark.parametrize(
    ("limit", "calls_per_hour", "way", "foreign"),
    [
        (1, 0.1, "hold", 0),
        (1, 100_000, "place", 0),
        (2000, 100_000, "hold", 1000),
        (2000, 130_000, "tracked", 0),
        (20, 1000, "place", 5000),
    ],
)
def test_every_answer_takes_about_the_same_work(limit, calls_per_hour, way, foreign):
    effort = 0.15
    found = answer(case(limit, calls_per_hour, way=way, foreign_per_hour=foreign), effort=effort)
    assert found.work < 1.8 * effort * WORK + 2_000
    assert sum(one.starts for one in found.lives) < found.work


def test_the_same_seed_gives_the_same_answer_in_however_many_processes():
    small = case(calls_per_hour=900, foreign_per_hour=60)
    answers = [answer(small, effort=0.05, jobs=jobs, seed=3) for jobs in (1, 2)]
    assert answers[0] == answers[1]
    assert answer(small, effort=0.05, seed=4) != answers[0]


def test_a_case_that_cannot_be_is_not_tried():
    # Twice the refresh interval must not be longer than max_staleness; a lag and a placement timeout fit into a call.
    assert all(option.case.policy.visibility_lag <= 300 for option in options.others(case(lag=300.0)))
    assert {option.value for option in options.headrooms(case(limit=2, foreign_per_hour=3600))} == {0, 1}
    assert options.limits(case(calls_per_hour=200_000, mix=case().mix.plain(case().foreign)), 5.0) != []
