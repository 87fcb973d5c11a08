"""Keeps tables within the page: marks long code in them, which may be broken, and the tables that hold sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SENTENCE = 30
"""Characters of a cell that is read, and not compared with others."""
LONG = 36
"""Characters of code that a column of its own cannot hold."""


class Tables(SphinxPostTransform):
    """Gives tables with a long cell in most rows the class `sentences`, and long code in any the class `long`."""

    default_priority = 900
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Mark them."""
        for table in self.document.findall(nodes.table):
            rows = [row for body in table.findall(nodes.tbody) for row in body.findall(nodes.row)]
            long = [row for row in rows if any(len(cell.astext()) > SENTENCE for cell in row.findall(nodes.entry))]
            if len(long) * 2 >= len(rows):
                table["classes"].append("sentences")
            for literal in table.findall(nodes.literal):
                if len(literal.astext()) > LONG:
                    literal["classes"].append("long")


def setup(app: Sphinx) -> dict[str, bool]:
    """Add it to the site."""
    app.add_post_transform(Tables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
