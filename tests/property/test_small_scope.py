"""A small account, exhaustively: see `tests/exhaustive`."""

from __future__ import annotations

import pytest

from admission.ledger.wire import Kind
from tests.exhaustive.account import Scope
from tests.exhaustive.search import Overshoot, Search
from tests.exhaustive.walk import SCOPES, Away, Walk
from tests.property import test_rule_machine as rules
from tests.servers import BINARIES, redis_server

SMALL = Scope(limit=1, reservations=2, readings=1, steps=4)
LIMIT_2 = Scope(limit=2, reservations=3, readings=1, steps=3, kinds=(Kind.HOLD,))


@pytest.mark.parametrize(
    ("scope", "states"),
    [
        (SMALL, 6_000),
        (LIMIT_2, 30_000),
        (Scope(limit=1, reservations=2, readings=1, steps=4, kinds=(Kind.HOLD,), duration=2), 3_000),
        (Scope(limit=1, reservations=2, readings=1, steps=4, kinds=(Kind.TRACK,)), 2_000),
    ],
    ids=["limit 1", "limit 2", "short durations", "tracked"],
)
def test_no_order_of_things_has_one_call_too_many(scope, states):
    search = Search(scope)
    assert search.run() > states
    assert search.admitted_again > 20


class Plain(Search):
    """Takes no two reservations as alike."""

    def _alike(self, ground, job, part):
        return self._number(job, part)


def visited(search):
    """Let a search run; return every state, with its reservations as things."""
    states = set()
    visit = search._visit

    def keep(seen):
        later = visit(seen)
        for state in seen:
            ground, jobs = search._unpack(state)
            states.add((search._grounds.things[ground], tuple(search._jobs.things[job] for job in jobs)))
        return later

    search._visit = keep
    search.run()
    return states


@pytest.mark.parametrize(
    "scope",
    [
        Scope(limit=1, reservations=1, readings=1, steps=4, kinds=(Kind.HOLD,)),
        Scope(limit=1, reservations=1, readings=2, steps=3, kinds=(Kind.PLACE,)),
        Scope(limit=1, reservations=1, readings=1, steps=3, kinds=(Kind.TRACK,), duration=2),
    ],
    ids=["hold", "place", "track"],
)
def test_taking_states_as_alike_loses_none(scope):
    plain, search = visited(Plain(scope)), Search(scope)

    def stands_for(ground, jobs):
        return ground, tuple(search._jobs.things[job] for job in sorted(search._alike(ground, *job) for job in jobs))

    reduced = visited(search)
    assert {stands_for(*state) for state in plain} == reduced
    assert len(reduced) < len(plain)


OVERLAPPING = Scope(limit=1, reservations=2, readings=2, steps=5, kinds=(Kind.PLACE,))


def mistake_a_lapse_for_an_end(patch: pytest.MonkeyPatch) -> None:
    """What was pending goes with its process."""
    lapse = rules.Reservations.lapse_process

    def broken(self, process):
        for rid in [rid for rid, facts in self.facts.items() if facts.process == process and facts.open]:
            self.pending.pop(rid, None)
        return lapse(self, process)

    patch.setattr(rules.Reservations, "lapse_process", broken)


def take_a_beat_for_nothing(patch: pytest.MonkeyPatch) -> None:
    """The beat of an open block does not move its settle time along."""
    patch.setattr(rules.Reservations, "listed", lambda self, process, entry, now: None)


@pytest.mark.parametrize(
    ("break_it", "scope"),
    [
        (rules.settle_without_lag, SMALL),
        (rules.free_a_pending_slot_on_leaving, SMALL),
        (rules.take_overlapping_readings, OVERLAPPING),
        (rules.count_held_and_pending_against_the_count, LIMIT_2),
        (rules.free_what_lapses, Scope(limit=1, reservations=2, readings=1, steps=4, duration=1)),
        (mistake_a_lapse_for_an_end, SMALL),
        (take_a_beat_for_nothing, Scope(limit=1, reservations=2, readings=1, steps=5, kinds=(Kind.PLACE,))),
    ],
)
def test_a_broken_rule_is_found(break_it, scope, monkeypatch):
    break_it(monkeypatch)
    with pytest.raises(Overshoot, match=r"2 of 1|3 of 2"):
        Search(scope).run()


@pytest.fixture(scope="module", params=BINARIES)
def client(request):
    with redis_server(request.param) as server, server.client() as client:
        yield client


@pytest.mark.parametrize("scope", SCOPES, ids=str)
def test_lua_walks_the_same_paths(client, scope):
    assert sum(Walk(client, scope, seed).run() for seed in range(6)) > 60


@pytest.mark.parametrize("break_it", [rules.settle_without_lag, rules.free_a_pending_slot_on_leaving])
def test_a_rule_that_is_broken_in_one_ledger_is_found(break_it, client, monkeypatch):
    break_it(monkeypatch)
    with pytest.raises((Away, Overshoot), match="book|of 1"):
        for seed in range(50):
            Walk(client, SCOPES[0], seed).run()
