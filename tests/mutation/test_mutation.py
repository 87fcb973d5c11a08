"""Mutants are what one would think of, and one that no test could find is told from one that is found."""

from __future__ import annotations

import subprocess
import sys

from tests.mutation import __main__ as command
from tests.mutation import lua, python
from tests.mutation.trial import ROOT


def changed(language, source):
    """Return the lines that change, and how."""
    found = list(language.mutants("a file", source))
    texts = [source[: mutant.start] + mutant.new + source[mutant.end :] for mutant in found]
    return {
        tuple(line.strip() for line in text.splitlines() if line not in source.splitlines()): mutant.where
        for text, mutant in zip(texts, found, strict=True)
    }


def test_mutants_of_python():
    source = '''"""A module."""

LIMIT = 5


class Book:
    """A book."""

    size: int = -1

    def add(self, count: int | None, most: int = 3) -> int:
        """Add."""
        if count is not None and count + 1 <= most:
            self.size += max(count, 2 * most)
            return count
        return None
'''
    assert changed(python, source) == {
        ("size: int = -2",): "Book",
        ("def add(self, count: int | None, most: int = 4) -> int:",): "Book.add",
        ("if not (count is not None and count + 1 <= most):",): "Book.add",
        ("if count is not None or count + 1 <= most:",): "Book.add",
        ("if count is None and count + 1 <= most:",): "Book.add",
        ("if count is not None and count + 1 < most:",): "Book.add",
        ("if count is not None and count - 1 <= most:",): "Book.add",
        ("if count is not None and count + 2 <= most:",): "Book.add",
        ("pass",): "Book.add",
        ("self.size -= max(count, 2 * most)",): "Book.add",
        ("self.size += min(count, 2 * most)",): "Book.add",
        ("self.size += max(count, 2 // most)",): "Book.add",
        ("self.size += max(count, 3 * most)",): "Book.add",
        ("return None",): "Book.add",
    }


def test_mutants_of_lua():
    source = """-- A verb.

--- Say how many.
local function number_of(what)
  if what == 'all' and not counted then -- once
    count('[' .. what, -1)
  end
  return math.min(total + 0.5, 2)
end
"""
    assert changed(lua, source) == {
        ("if not (what == 'all' and not counted) then -- once",): "number_of",
        ("if what ~= 'all' and not counted then -- once",): "number_of",
        ("if what == 'all' or not counted then -- once",): "number_of",
        ("if what == 'all' and  counted then -- once",): "number_of",
        ("count('(' .. what, -1)",): "number_of",
        ("count('[' .. what, -2)",): "number_of",
        ("",): "number_of",
        ("return math.max(total + 0.5, 2)",): "number_of",
        ("return math.min(total - 0.5, 2)",): "number_of",
        ("return math.min(total + 1.5, 2)",): "number_of",
        ("return math.min(total + 0.5, 3)",): "number_of",
    }


def test_what_survives_is_known_with_a_reason():
    assert set(command.known_survivors().values()) <= {"equivalent", "cost", "words"}


def play(code):
    """Run Python in a process that has nothing of the project yet, as a trial needs."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_fault_is_found_and_a_change_that_is_none_is_not():
    code = """
from tests.mutation.__main__ import SERVER
from tests.mutation.mutant import HOME, Mutant
from tests.mutation.suites import Suite
from tests.mutation.trial import try_out

def tried(path, old, new, *tests):
    start = (HOME / path).read_text().index(old)
    mutant = Mutant(path, start, start + len(old), new, "")
    print(try_out(mutant, Suite("quick", tests), SERVER, 60.0).verdict)

RULE, TABLE = "admission/ledger/rule.py", "tests/unit/test_rule_table.py"
tried(RULE, "now + facts.timeout + facts.lag", "now + facts.timeout", TABLE)
tried(RULE, "now + facts.timeout + facts.lag", "facts.lag + now + facts.timeout", TABLE)
TWIN, KEYS = "admission/ledger/lua/include/twin.lua", "tests/lua/test_keys.py"
tried(TWIN, "other ~= rid", "other ~= rid then", KEYS)
tried("admission/cli/exits.py", "import", "import", TABLE)
"""
    assert play(code) == ["killed", "survived", "broken", "unseen"]
