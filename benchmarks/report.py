"""What a benchmark hands back, and how it is shown as text and as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        key: Where a row has its value.
        head: What stands above, with the unit.
        form: How a number is written, as `format` takes it.
    """

    key: str
    head: str
    form: str = ""

    def show(self, row: Row) -> str:
        """Return a row's value as text; `-` where there is none."""
        value = row.get(self.key)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return "-"
        if isinstance(value, float) and math.isinf(value):
            return "never"
        return value if isinstance(value, str) else format(value, self.form)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one benchmark came to.

    Attributes:
        title: What was measured.
        columns: Of the table, the first one left-aligned.
        rows: One for each subject and case; more keys than columns are for the JSON.
        notes: What the figures mean.
        plots: SVG texts by file name.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    plots: Mapping[str, str] = field(default_factory=dict)


def table(result: Result) -> str:
    """Return a result as lines of text, columns under their heads."""
    cells = [[column.head for column in result.columns]]
    cells += [[column.show(row) for column in result.columns] for row in result.rows]
    widths = [max(len(line[at]) for line in cells) for at in range(len(result.columns))]
    lines = ["  ".join(_align(text, width, at) for at, (text, width) in enumerate(zip(line, widths, strict=True)))
             for line in cells]  # fmt: skip
    remarks = [f"  {row.get('subject', '')}: {row['remark']}" for row in result.rows if row.get("remark")]
    ruler = "  ".join("-" * width for width in widths)
    parts = [result.title, "=" * len(result.title), *result.notes, "", lines[0], ruler, *lines[1:], *remarks, ""]
    return "\n".join(part.rstrip() for part in parts)


def _align(text: str, width: int, at: int) -> str:
    return text.rjust(width) if at else text.ljust(width)


def as_json(facts: Mapping[str, object], results: Mapping[str, Result]) -> str:
    """Return all rows and the facts of the machine; a number that is none is `null`, one that is infinite `"never"`."""
    content = {
        "facts": facts,
        "benchmarks": {
            name: {"title": result.title, "rows": [_plain(row) for row in result.rows]}
            for name, result in results.items()
        },
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _plain(row: Row) -> Row:
    return {key: _number(value) for key, value in row.items()}


def _number(value: object) -> object:
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return None
    return "never" if math.isinf(value) else round(value, 6)
