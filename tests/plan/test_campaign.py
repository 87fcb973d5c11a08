"""Lives of worlds of which it is known what must come of them."""

import pytest

from admission.cli.plan.spans import Span
from tests.plan.kit import case, changed, life, lived

WAYS = ["hold", "place", "tracked"]


@pytest.mark.parametrize("way", WAYS)
def test_a_limit_far_above_the_load_has_nobody_wait_and_carries_all(way):
    found = lived(case(limit=40, calls_per_hour=600, way=way))
    assert found["wait_longest"] < 2.0  # the first of them, until there is a reading
    assert found["wait_p95"] < 0.5  # after a while without callers somebody waits for a reading
    assert found["calls_per_hour"] == pytest.approx(found["leads_per_hour"], rel=0.1)
    assert found["busy"] == pytest.approx(10 / 40, abs=0.1)
    assert found.carries(1.0)
    assert found.is_easy


@pytest.mark.parametrize("way", WAYS)
def test_a_limit_far_below_the_load_is_busy_all_the_time(way):
    long = case(limit=6, calls_per_hour=400, way=way, mix=case().mix.plain(Span.parse("400-600")))
    found = lived(long, warm=100, measured=1500)
    assert found["busy"] > 0.97
    assert found["calls_per_hour"] == pytest.approx(6 * 3600 / 505, rel=0.15)
    assert found["most_at_once"] == 6
    assert not found.carries(5.0)
    assert found["short_of_workers"] > 0.9


@pytest.mark.parametrize("way", WAYS)
def test_without_calls_of_others_there_is_a_line_for_every_start(way):
    found = lived(case(calls_per_hour=900, way=way), lives=2)
    assert found.starts > 50
    assert (found.no_line, found["most_above"]) == (0, 0)
    assert found["foreign_turned_away"] == 0
    assert found.values["foreign_turned_away"] is None


def test_headroom_is_what_others_take_unseen():
    crowded = case(limit=12, calls_per_hour=900, foreign_per_hour=600, foreign=Span.parse("20"))
    no_line = []
    turned_away = []
    for headroom in (0, 1, 3):
        found = lived(changed(crowded, headroom=headroom), lives=3, measured=400)
        no_line.append(found.no_line)
        turned_away.append(found["foreign_turned_away"])
    assert no_line[0] > 5
    assert no_line == sorted(no_line, reverse=True)
    assert no_line[-1] <= no_line[0] / 5
    assert turned_away == sorted(turned_away, reverse=True)


def test_calls_of_others_that_are_told_take_no_start_by_surprise():
    crowded = case(limit=12, calls_per_hour=900, foreign_per_hour=300, foreign=Span.parse("20"))
    unseen = lived(crowded, lives=2)
    told = lived(
        case(limit=12, calls_per_hour=900, foreign_per_hour=300, foreign=Span.parse("20"), webhook=True), lives=2
    )
    assert told.no_line < unseen.no_line


def test_a_visibility_lag_below_the_provider_s_overshoots_where_calls_are_only_placed():
    late = {"calls_per_hour": 900, "lag": 8.0}
    assert lived(case(**late, visibility_lag=2.0)).no_line > 10
    assert lived(case(**late, visibility_lag=9.0)).no_line == 0
    assert lived(case(**late, visibility_lag=2.0, way="hold")).no_line == 0


def test_callers_whose_time_is_up_are_refused():
    found = lived(case(calls_per_hour=1500, timeout=3.0))
    assert 0.2 < found["refused"] < 0.9
    assert found["wait_longest"] < 4.0
    assert not found.carries(5.0)


def test_workers_are_short_where_each_stays_with_its_call():
    found = lived(case(limit=10, calls_per_hour=900, way="hold", workers=4))
    assert found["most_at_once"] == 4
    assert found["busy"] < 0.45
    assert found["short_of_workers"] > 0.9


def test_a_pace_bounds_the_calls():
    found = lived(case(limit=10, calls_per_hour=900, starts_per_second=0.1))
    assert found["calls_per_hour"] <= 365


def test_a_seed_is_a_life():
    crowded = case(calls_per_hour=900, foreign_per_hour=60)
    assert life(crowded, 7) == life(crowded, 7)
    assert life(crowded, 7).waits != life(crowded, 8).waits


def test_what_comes_is_the_same_for_cases_with_one_seed():
    lives = [life(case(calls_per_hour=900, foreign_per_hour=60, way=way), 3) for way in WAYS]
    assert len({one.leads for one in lives}) == 1


def test_a_life_ends_early_when_it_has_worked_enough():
    whole = life(case(calls_per_hour=900))
    part = life(case(calls_per_hour=900), most_work=whole.work / 2)
    assert part.seconds < 0.7 * whole.seconds
    assert part.work < 0.6 * whole.work


def test_the_looks_tell_of_every_peak():
    one = life(case(calls_per_hour=900, foreign_per_hour=60), measured=200)
    assert max(look.most for look in one.looks) == one.most
    assert one.looks[0].at == 0
    assert all(look.own + look.foreign <= look.most for look in one.looks)
