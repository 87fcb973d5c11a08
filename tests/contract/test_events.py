"""Every event is frozen and documented, and the one table of events has all that the core reports."""

import ast
import dataclasses
import inspect
import logging
import re
from pathlib import Path
from typing import get_args

import pytest

import admission
from admission import hooks, telling
from admission.core import messages
from admission.ledger.wire import Kind

CORE = Path(admission.__file__).parent / "core"
KINDS = get_args(hooks.Event)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_events_are_frozen_and_say_what_they_are(kind):
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert "__dict__" not in dir(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    assert names[0] == "account"
    described = re.findall(r"^    (\w+): \S", inspect.getdoc(kind), re.MULTILINE)
    assert described == names


def test_what_hooks_may_be_told_is_public():
    assert {kind.__name__ for kind in KINDS} <= set(hooks.__all__)
    assert all(hasattr(hooks, name) for name in hooks.__all__)


class Reported(ast.NodeVisitor):
    """Finds the names and the facts of all that a file of the core reports, as far as they are written out."""

    def __init__(self):
        self.events = {}

    def visit_Call(self, node):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in {"report", "_report", "_tell", "_failed"} and node.args and isinstance(node.args[0], ast.Constant):
            facts = {word.arg for word in node.keywords}
            self.events.setdefault(node.args[0].value, []).append(facts)
        self.generic_visit(node)


def reported():
    found = Reported()
    for path in sorted(CORE.glob("*.py")):
        found.visit(ast.parse(path.read_text("utf-8")))
    return found.events


def test_the_table_has_every_event_that_the_core_reports():
    events = set(reported())
    # Names that are put together, or told by the table's own file.
    events |= {"reading_failed", "reading_final", "reading_cached", "reading_overlapping", "reading_too_old"}
    assert events | {"hook_failed"} == set(telling.EVENTS)


@pytest.mark.parametrize("event", sorted(telling.EVENTS))
def test_an_event_s_facts_are_those_of_what_hooks_are_given(event):
    told = telling.EVENTS[event]
    words = set(re.findall(r"%\((\w+)\)s", told.text))
    assert told.level in {None, logging.INFO, logging.WARNING}
    if told.make is None:
        return
    fields = {field.name for field in dataclasses.fields(told.make)}
    assert words <= fields
    for facts in reported().get(event, []):
        if None not in facts and event != "reading_abandoned":
            assert facts == fields


def test_every_kind_of_reading_error_is_documented():
    """Those that `admission.base` maps, and those of answers that are dropped."""
    base = Path(admission.__file__).with_name("base.py").read_text("utf-8")
    kinds = set(re.findall(r'kind="(\w+)"', base)) | set(re.findall(r'return "(\w+)"(?: if| *$)', base, re.MULTILINE))
    kinds |= set(re.findall(r'else "(\w+)"$', base, re.MULTILINE)) | {messages.Fetched(0, 3).kind}
    kinds |= {"cached", "overlapping", "too_old"}
    assert kinds >= {"no_answer", "rate_limited", "server_error", "client_error", "bad_answer", "configuration"}
    documented = set(re.findall(r"`(\w+)`", inspect.getdoc(hooks.ReadingFailed)))
    assert kinds <= documented


def test_every_reason_and_way_of_booking_is_documented():
    text = inspect.getdoc(hooks.Refused)
    for name in [*telling.REASONS.values(), "interrupted", "failed"]:
        assert f"`{name}`" in text
    for kind in (Kind.HOLD, Kind.PLACE, Kind.TRACK):
        assert f"`{kind.name.lower()}`" in text
