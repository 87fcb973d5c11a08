"""Lets the index name pages in an order of its own and then, with `guides/*`, whatever else is in the folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def leave_out_empty(app: Sphinx, docname: str, source: list[str]) -> None:
    """Take a line such as `guides/*` out where the folder has no other pages: Sphinx warns of those."""
    if docname != "index":
        return
    pages = {Path(page) for page in app.env.found_docs}
    named = {Path(line) for line in source[0].splitlines()}
    for folder in re.findall(r"^(\S+)/\*$", source[0], re.MULTILINE):
        if {page for page in pages if page.parent == Path(folder)} <= named:
            source[0] = source[0].replace(f"\n{folder}/*\n", "\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Add it to the site."""
    app.connect("source-read", leave_out_empty)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
