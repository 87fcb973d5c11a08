"""The page about the examples shows lines that are in them."""

import re

import pytest

from tests.examples.stage import EXAMPLES
from tests.examples.table import HEAD, PAGE, SCENARIOS

SECTION = re.compile(r"^`(\w+)` \(\[before\]\(\1/before\.py\).*?^```diff\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = dict(SECTION.findall(PAGE.read_text("utf-8")))


def test_every_example_is_on_the_page():
    assert set(SHOWN) == {folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()}


@pytest.mark.parametrize("example", SHOWN)
def test_a_shown_change_is_the_change(example):
    before, after = (
        set((EXAMPLES / example / f"{version}.py").read_text("utf-8").splitlines()) for version in ("before", "after")
    )
    for hunk in SHOWN[example].strip().split("\n\n"):
        gone, come = ({line[1:] for line in hunk.splitlines() if line[0] == sign} for sign in ("-", "+"))
        assert gone | come
        assert gone <= before
        assert come <= after
        assert not gone or not gone <= after
        assert not come or not come <= before


def test_the_page_has_no_row_but_those_that_are_tested():
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| .+ \| (before|after) \|", line)]
    assert len(rows) == 2 * len(SCENARIOS)
    assert "\n".join(HEAD) in PAGE.read_text("utf-8")
