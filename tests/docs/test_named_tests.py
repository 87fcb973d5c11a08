"""Every test that the docs name is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_every_test_that_is_named_exists():
    pages = [page.read_text("utf-8") for page in (ROOT / "docs").rglob("*.md")]
    named = {found for page in pages for found in NAMED.findall(page)}
    assert len(named) > 30
    missing = {
        (file, test)
        for file, test in named
        if not re.search(rf"def {test}\(", (ROOT / "tests" / file).read_text("utf-8"))
    }
    assert not missing
