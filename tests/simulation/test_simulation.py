"""A quick look at every scenario, and proof that the simulation would find what it looks for."""

from __future__ import annotations

import pytest

from admission.ledger.rule import Reservations
from admission.ledger.serving import Serving
from tests.property import test_rule_machine as rules
from tests.simulation.scenarios import SCENARIOS, Scenario
from tests.simulation.world import Fault, World


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_fleet_lives_through_it(name):
    for seed in range(2):
        figures = World(SCENARIOS[name], seed).live()
        assert figures.admissions > 0
        assert figures.overshoots == 0


def test_a_seed_is_a_life():
    lives = [World(SCENARIOS["everything"], 7).live() for _ in range(2)]
    assert lives[0] == lives[1]


@pytest.mark.parametrize(
    "break_it",
    [
        rules.settle_without_lag,
        rules.free_a_pending_slot_on_leaving,
        rules.count_held_and_pending_against_the_count,
    ],
)
def test_a_broken_rule_is_caught(break_it, monkeypatch):
    break_it(monkeypatch)
    with pytest.raises(Fault, match="one call too many"):
        live_on(SCENARIOS["calm"], SCENARIOS["everything"])


def test_a_lag_that_is_set_too_short_is_caught():
    with pytest.raises(Fault, match="one call too many"):
        live_on(SCENARIOS["calm"], visibility_lag=0.0)


def test_a_slot_that_is_lost_is_caught(monkeypatch):
    monkeypatch.setattr(Reservations, "reading", lambda self, t0: None)
    with pytest.raises(Fault, match="at the end"):
        live_on(SCENARIOS["calm"])


def test_a_slot_that_comes_back_late_after_a_crash_is_caught(monkeypatch):
    claim = Reservations.claim

    def claim_for_longer(self, rid, *args):
        claim(self, rid, *args)
        self.pending[rid] += 1_000

    monkeypatch.setattr(Reservations, "claim", claim_for_longer)
    with pytest.raises(Fault, match="which crashed, still booked"):
        live_on(SCENARIOS["crashes"])


def test_a_line_that_is_not_served_is_caught(monkeypatch):
    monkeypatch.setattr(Serving, "serve", lambda self, now: None)
    with pytest.raises(Fault, match="were free for"):
        live_on(SCENARIOS["calm"])


def live_on(*scenarios: Scenario, **policy: float) -> None:
    for seed in range(60):
        for scenario in scenarios:
            World(scenario, seed, **policy).live()
