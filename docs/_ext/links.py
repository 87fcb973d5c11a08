"""Checks at the end of a build that every link within the site leads to a page, and to a place in it, that there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LINK = re.compile(r'<(?:a|img|link|script|source)\b[^>]*? (?:href|src)="([^"]*)"')
PLACE = re.compile(r'\bid="([^"]*)"')

logger = logging.getLogger(__name__)


def wrong_links(site: Path) -> list[tuple[Path, str]]:
    """Return the links of a built site that lead nowhere, each with its page."""
    pages = {page.resolve(): page.read_text("utf-8") for page in site.rglob("*.html")}
    places = {page: set(PLACE.findall(text)) for page, text in pages.items()}
    wrong = []
    for page, text in pages.items():
        for link in sorted(set(LINK.findall(text))):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "#":
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if target.is_dir():
                target /= "index.html"
            known = places.get(target)
            if not target.exists() or (parts.fragment and known is not None and unquote(parts.fragment) not in known):
                wrong.append((page.relative_to(site.resolve()), link))
    return wrong


def check(app: Sphinx, failed: Exception | None) -> None:
    """Warn of every wrong link, which fails a build with `-W`."""
    if failed is None and app.builder.format == "html":
        for page, link in wrong_links(Path(app.outdir)):
            logger.warning("%s links to %s, which there is not", page, link)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add it to the site."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
