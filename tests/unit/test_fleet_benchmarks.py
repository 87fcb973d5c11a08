"""Fleets on virtual time, and what they come to: the figures of the pages on the rule and on sizing."""

import pytest

from benchmarks import fairness, strategies
from benchmarks.cluster import EXAMPLE, Plan, on_paper
from benchmarks.fleet import Agenda, Bell, Fleet, Load, Process
from benchmarks.sizing import Cost, Units
from benchmarks.ways import Admission, ByHand

CASES = {case.name: case for case in strategies.CASES}


def test_things_are_done_in_the_order_of_their_times():
    agenda, done = Agenda(), []
    agenda.after(20, lambda: done.append("second"))
    agenda.after(10, lambda: (done.append("first"), agenda.after(30, lambda: done.append("third"))))
    agenda.run(39)
    assert done == ["first", "second"]
    agenda.run(40)
    assert done == ["first", "second", "third"]


def test_a_task_waits_for_its_bell_and_no_task_of_a_killed_process_goes_on():
    fleet = Fleet(Load(processes=0, crash=0), ByHand())
    bell, done = Bell(), []

    def task(name):
        yield 10
        done.append(f"{name} slept")
        yield bell
        done.append(f"{name} was woken")

    process = Process("p")
    fleet.spawn(process, task("a"))
    fleet.run(1)
    assert done == ["a slept"]
    bell.ring()
    fleet.run(2)
    assert done.pop() == "a was woken"
    fleet.spawn(process, task("b"))
    process.alive = False
    fleet.run(3)
    assert done == ["a slept"]


def test_the_guard_never_dials_on_a_line_that_its_own_books_know_to_be_taken():
    alone = strategies.live(CASES["admission, others do not dial"])
    assert alone.overshoots == 0
    assert alone.peak <= strategies.LOAD.limit
    assert alone.busy > 90


@pytest.mark.parametrize("name", ["the count, each by itself", "a semaphore", "a semaphore, and the count"])
def test_simpler_ways_dial_on_lines_that_are_taken(name):
    guarded = strategies.live(CASES["admission"])
    assert strategies.live(CASES[name]).overshoots > 5 * guarded.overshoots


def test_adding_all_up_leaves_lines_idle():
    both = strategies.live(CASES["the count + the semaphore"])
    assert both.overshoots == 0
    assert both.busy < strategies.live(CASES["admission"]).busy - 20


def test_crashes_lose_no_line_for_good():
    fleet = Fleet(Load(foreign=0, foreign_rate=0, crash=30), Admission())
    fleet.run(900)
    began = fleet.provider.mark()
    fleet.run(1_800)
    assert fleet.provider.busy(began) > 0.9
    assert fleet.provider.overshoots == 0


def test_lanes_of_one_priority_share_by_weight_and_a_better_one_goes_first():
    shared = fairness.lanes()
    alone = [place for place, at in enumerate(shared.at) if 300 <= at < fairness.BUSY[0]]
    campaign, survey = (sum(shared.calls[lane][place] for place in alone) for lane in ("campaign", "survey"))
    assert 2.4 < campaign / survey < 3.8
    longest = {lane: max(w for name, at, w in shared.waits if name == lane and at > 600) for lane in fairness.LANES}
    assert longest["callbacks"] < longest["campaign"] < longest["survey"]


UNITS = Units(
    account=1_000.0, in_use=1_500.0, slot=0.0, process=500.0, held=500.0, waiting=1.0, call_id=100.0, gave_up=1.0,
    quiet=Cost(4.0, 0.001, 0.002), busy=Cost(1.0, 1.0, 1.0), beat=Cost(1.0, 0.0001, 0.0002),
)  # fmt: skip


def test_paper_adds_up_calls_and_beats():
    plan = Plan(accounts=1_000_000, processes=30, rate=30.0, talk=10.0, seconds=10.0)
    told = on_paper(plan, UNITS)
    assert told.runs == pytest.approx((30 * 4 + 300) / 3)
    assert told.redis == pytest.approx(100 * (30 * 0.001 + 300 * 0.0001) / 3)
    assert told.client == pytest.approx(100 * (30 * 0.002 + 300 * 0.0002) / 30)
    assert told.connections == pytest.approx(30 * 2 + 10)
    assert told.megabytes == pytest.approx((1_000_000 * 1_000 + 300 * 500 + 300 * 100) / 3e6, rel=1e-3)


def test_call_ids_are_remembered_for_an_hour_and_no_longer():
    day, hour = (on_paper(Plan(accounts=1, processes=1, rate=1, talk=1, seconds=s), UNITS) for s in (86_400, 3_600))
    assert day == hour


def test_the_example_has_more_calls_than_processes():
    assert EXAMPLE.live == 1_800
