"""Which files are mutated, and which tests must find it: the quick and likely first."""

from __future__ import annotations

from typing import NamedTuple

from tests.mutation.mutant import HOME


class Suite(NamedTuple):
    """Tests that run together in one process.

    Attributes:
        name: What it is called in the report.
        tests: Test files or single tests, as pytest takes them; `{server}` stands for the one server that is taken.
        traces: How many times the usual number of traces and examples.
    """

    name: str
    tests: tuple[str, ...]
    traces: int = 1


def _traces(first: int, last: int) -> tuple[str, ...]:
    return tuple(
        f"tests/property/test_ledgers_agree.py::test_seeded_traces[{{server}}-{seed}]" for seed in range(first, last)
    )


WIRE = Suite("wire", ("tests/unit/test_wire.py",))
TABLE = Suite(
    "table",
    (
        "tests/unit/test_rule_table.py",
        "tests/unit/test_line_and_refusals.py",
        "tests/unit/test_lanes.py",
        "tests/unit/test_handover.py",
    ),
)
CORE = Suite(
    "core",
    tuple(
        f"tests/unit/test_{name}.py"
        for name in (
            "desk", "desk_notes", "desk_times", "desk_told", "callers", "plans", "plan_times", "refusals_told",
            "ownbooks", "reader", "outbox", "lanes_told", "handovers", "handover",
        )
    ),
)  # fmt: skip
TRACES = Suite("traces", _traces(0, 3))
MORE_TRACES = Suite("more traces", _traces(3, 12), traces=2)
LUA = Suite(
    "lua",
    (
        *(f"tests/lua/test_{name}.py" for name in ("scripts", "keys", "wakes", "cost")),
        *("-k", "not thousands and not crowd and not waiters_are_small"),
    ),
)
BOTH = Suite("both books", ("tests/lua/test_both_books.py",))
WORLDS = Suite(
    "worlds", ("tests/property/test_rule_machine.py::test_no_seeded_world_overshoots_and_none_loses_a_slot",)
)
GUARDS = Suite(
    "guards",
    tuple(
        f"tests/guards/test_{name}.py"
        for name in (
            "blocks", "readings", "waiting", "refusals", "lanes", "outages", "holders", "hooks", "noted_answers",
            "processes",
        )
    ),
)  # fmt: skip
FLEETS = Suite("fleets", ("tests/simulation/test_simulation.py::test_a_fleet_lives_through_it",))

PYTHON = {
    **dict.fromkeys(
        (f"admission/ledger/{name}.py" for name in ("rule", "room", "serving", "book", "readings", "line", "lanes")),
        (TABLE, TRACES, BOTH, WORLDS, MORE_TRACES),
    ),
    **dict.fromkeys(
        (f"admission/ledger/{name}.py" for name in ("wire", "requests", "replies")), (WIRE, TABLE, TRACES, CORE, LUA)
    ),
    **dict.fromkeys(
        (
            f"admission/core/{name}.py"
            for name in ("plans", "desk", "agreed", "callers", "handovers", "outbox", "lanes", "ownbooks", "reader")
        ),
        (CORE, FLEETS, GUARDS),
    ),
}
"""By file, the suites that must find a mutant of it."""
LUA_FILES = sorted(str(path.relative_to(HOME)) for path in (HOME / "admission" / "ledger" / "lua").rglob("*.lua"))
FILES: dict[str, tuple[Suite, ...]] = PYTHON | dict.fromkeys(LUA_FILES, (TRACES, LUA, BOTH, MORE_TRACES))
