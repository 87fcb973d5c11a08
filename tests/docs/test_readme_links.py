"""Every link of the README and the changelog leads to a file, and to a heading in it, that there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page):
    """The places in a page, as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_every_link_leads_somewhere(name):
    page = ROOT / name
    links = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    assert links or name != "README.md"
    for link in links:
        path, _, anchor = link.partition("#")
        target = ROOT / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_leads_to_every_kind_of_page():
    links = LINK.findall((ROOT / "README.md").read_text("utf-8"))
    for kind in ("guides", "explanation", "reference"):
        assert [link for link in links if link.startswith(f"docs/{kind}/")]
