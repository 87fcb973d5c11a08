"""What the table of unfaithful providers says, on a short life of each."""

from __future__ import annotations

import pytest

from tests.simulation import providers
from tests.simulation.providers import CASES, LIMIT, live

SAFE = [case for case in CASES if case.provider == "is true" or case.setting.endswith("`visibility_lag=31`")]
HELD = [case for case in CASES if case.way in {"hold", "track"}]
PATIENT = [case for case in CASES if case.provider in {"counts 4 too many", "answers after 1 to 1.9 s"}]
UNSAFE = [case for case in CASES if case.provider == "counts half of the calls" and case.way == "place"]


@pytest.fixture(autouse=True)
def short_lives(monkeypatch):
    monkeypatch.setattr(providers, "RAMP", 40.0)
    monkeypatch.setattr(providers, "SPAN", 60.0)


def named(case):
    return f"{case.provider}, {case.setting}, {case.way}"


@pytest.mark.parametrize("case", [*SAFE, *(case for case in [*HELD, *PATIENT] if case not in SAFE)], ids=named)
def test_there_is_a_line_for_every_dial(case):
    row = live(case, 0)
    assert row.dials > 0
    assert (row.no_line, row.most <= LIMIT) == (0, True)


@pytest.mark.parametrize("case", UNSAFE, ids=named)
def test_a_provider_that_counts_too_few_is_seen_to_be_overrun(case):
    row = live(case, 0)
    assert row.no_line > 0
    assert row.most > LIMIT
