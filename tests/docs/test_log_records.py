"""The log records that the docs name are written, at the level that they say."""

import logging
import re
from pathlib import Path

from admission.telling import EVENTS

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "unfaithful-providers.md"
ROW = re.compile(r"^\| (.+) \| (warning|info) \|", re.MULTILINE)


def test_every_log_record_that_is_named_is_written_at_that_level():
    levels = {
        event: level
        for events, level in ROW.findall(PAGE.read_text("utf-8"))
        for event in re.findall(r"`(\w+)`", events)
    }
    assert len(levels) >= 10
    assert {event: logging.getLevelName(EVENTS[event].level).lower() for event in levels if event in EVENTS} == levels
