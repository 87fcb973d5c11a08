"""What a check finds. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from admission.cli import exits

LEVELS = ("ok", "note", "warn", "error")
"""How grave a finding is, the gravest last."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has found.

    Attributes:
        level: One of `LEVELS`.
        topic: What was looked at: `key`, `provider`, `redis`, `settings`, `account`, `versions`.
        text: What is so.
        mend: What to do about it; empty where nothing is.
        code: The exit code that an error ends in.
    """

    level: str
    topic: str
    text: str
    mend: str = ""
    code: int = exits.OK


def ok(topic: str, text: str) -> Finding:
    """Return that something is as it should be."""
    return Finding("ok", topic, text)


def note(topic: str, text: str, mend: str = "") -> Finding:
    """Return something to know."""
    return Finding("note", topic, text, mend)


def warn(topic: str, text: str, mend: str) -> Finding:
    """Return what works, and may cost something one day."""
    return Finding("warn", topic, text, mend)


def wrong(topic: str, text: str, mend: str) -> Finding:
    """Return what does not work until somebody changes it."""
    return Finding("error", topic, text, mend, exits.CONFIG)


def away(topic: str, text: str, mend: str) -> Finding:
    """Return what does not work now."""
    return Finding("error", topic, text, mend, exits.UNAVAILABLE)


def code_of(findings: list[Finding]) -> int:
    """Return the exit code: that of what cannot heal by itself first."""
    codes = {finding.code for finding in findings}
    return next((code for code in (exits.CONFIG, exits.UNAVAILABLE) if code in codes), exits.OK)
