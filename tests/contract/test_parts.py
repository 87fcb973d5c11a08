"""Imports point one way: each part of the package imports what stands above it in the architecture page's table."""

from pathlib import Path

import pytest

import admission
from docs.drawings.parts import PAGE, floors
from tests.contract.test_shape import imports

PACKAGE = Path(admission.__file__).parent
FLOORS = {part: floor for floor, row in enumerate(floors()) for part in row}
CONTENTS = "__init__"
"""The table of contents of the whole: who imports `admission` imports all that it lists."""
FLOORS[CONTENTS] = FLOORS["aguard"]


def part_of(module):
    """The longest part that a module belongs to; `None` for one that is in no row."""
    words = module.split(".")[1:] or [CONTENTS]
    names = [".".join(words[: length + 1]) for length in range(len(words))]
    return next((name for name in reversed(names) if name in FLOORS), None)


def module_of(path):
    return ".".join(["admission", *path.relative_to(PACKAGE).with_suffix("").parts])


FILES = sorted(path for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_module_imports_only_what_stands_above_it(path):
    own = part_of(module_of(path))
    assert own is not None, f"{module_of(path)} is in no row of {PAGE.name}"
    for name in imports(path):
        if name.split(".")[0] == "admission":
            other = part_of(name)
            assert other is not None, name
            assert other == own or FLOORS[other] <= FLOORS[own], f"{own} imports {other}, which stands below it"


def test_every_part_is_there():
    parts = {part_of(module_of(path)) for path in FILES}
    assert set(FLOORS) == parts
