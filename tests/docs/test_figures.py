"""The figures of the docs that come out the same on every machine are those that their commands print."""

import re
from pathlib import Path

import pytest

from benchmarks import fairness, strategies
from benchmarks.harness import Options

PAGES = Path(__file__).parents[2] / "docs" / "explanation"


def rows_of(page):
    """Return the numbers of each row of the page's tables."""
    lines = (PAGES / page).read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {tuple(re.sub(r"[^\d.]", "", cell) for cell in cells[1:]) for cells in rows}


@pytest.mark.parametrize(
    ("page", "benchmark"), [("why-not-a-semaphore.md", strategies), ("fairness.md", fairness)], ids=["ways", "waits"]
)
def test_a_page_has_the_figures_that_are_printed(page, benchmark):
    result = benchmark.run(Options())
    told = rows_of(page)
    for row in result.rows:
        numbers = tuple(re.sub(r"[^\d.]", "", column.show(row)) for column in result.columns[1:])
        assert numbers in told, row["subject"]
