"""Mutants of Lua, line by line. Whether one compiles is for a server to say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.mutation.mutant import Mutant

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*)"""
    r"""|(?P<string>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")"""
    r"""|(?P<number>\d+(?:\.\d+)?)"""
    r"""|(?P<name>[A-Za-z_][\w.]*)"""
    r"""|(?P<operator><=|>=|==|~=|\.\.|[-+*/%<>=#(){}\[\],;:^])"""
)
SWAPPED = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "~=", "~=": "==", "+": "-", "*": "/", "/": "*", "-": "+",
    "and": "or", "or": "and", "not": "", "true": "false", "false": "true", "math.min": "math.max",
    "math.max": "math.min", "math.floor": "math.ceil", "math.ceil": "math.floor",
}  # fmt: skip
KEYWORDS = frozenset(
    ("and", "or", "not", "return", "then", "else", "elseif", "if", "while", "until", "in", "do", "local", "for")
)
CONDITION = re.compile(r"\s*(?:if|elseif|while) (.+) (?:then|do)(?: +--.*)?$|\s*until (.+)$")
HEADER = re.compile(r"\s*(?:local )?function ([\w.]+)\(")
KEPT = re.compile(
    r"\s*(?:--(?!@inline).*|end[)]*|else|do|repeat|\}|(?:if|elseif|while|for|until) .*|(?:local )?function .*)?\n?$"
)
"""Lines that are no statement of their own."""


def mutants(path: str, source: str) -> Iterator[Mutant]:
    """Return every mutant of a file; some may not compile."""
    lines = source.splitlines(keepends=True)
    at = 0
    for number, line in enumerate(lines):
        where = _function(lines, number)
        for first, last, new in _changes(line):
            yield Mutant(path, at + first, at + last, new, where)
        at += len(line)


def _function(lines: list[str], number: int) -> str:
    """Return the name of the function around a line: the nearest header above that is indented less."""
    indent = _indent(lines[number])
    for line in reversed(lines[:number]):
        if line.strip() and _indent(line) < indent:
            indent = _indent(line)
            if found := HEADER.match(line):
                return found[1]
    return ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _changes(line: str) -> Iterator[tuple[int, int, str]]:
    """Return what to replace in a line, and what by."""
    if not KEPT.match(line):
        yield _indent(line), len(line.rstrip("\n")), ""
    if condition := CONDITION.match(line.rstrip("\n")):
        place = 1 if condition[1] else 2
        yield *condition.span(place), f"not ({condition[place]})"
    before = ""
    """The token before, empty where an operand may begin."""
    for token in TOKEN.finditer(line):
        text, kind = token[0], token.lastgroup
        if kind == "comment":
            return
        if kind == "number":
            yield *token.span(), f"{float(text) + 1:g}" if "." in text else str(int(text) + 1)
        elif kind == "string":
            if text[1:-1] in {"[", "("}:  # whether a range takes its end in
                yield *token.span(), "'('" if text[1] == "[" else "'['"
        elif text in SWAPPED and not (text == "-" and before in {"", *KEYWORDS}):
            yield *token.span(), SWAPPED[text]
        before = "" if kind == "operator" and text not in {")", "]", "}"} else text
