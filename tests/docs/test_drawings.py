"""The drawings of the docs are those that the code draws, and they can be read."""

import re
import xml.etree.ElementTree as ET

import pytest

from docs.drawings import states
from docs.drawings.__main__ import DRAWINGS, FOLDER, PAGES

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", sorted(DRAWINGS))
def test_a_drawing_is_as_the_code_draws_it(name):
    drawn = DRAWINGS[name]()
    assert (FOLDER / f"{name}.svg").read_text("utf-8") == drawn, "draw it anew: python -m docs.drawings"


@pytest.mark.parametrize("name", sorted(DRAWINGS))
def test_a_drawing_says_what_it_shows_and_nothing_lies_beyond_its_edge(name):
    root = ET.fromstring((FOLDER / f"{name}.svg").read_text("utf-8"))
    assert root.findtext(f"{SVG}title")
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    for text in root.iter(f"{SVG}text"):
        size = float(text.attrib["font-size"])
        wide = 0.5 * size * len(text.text)
        left = float(text.attrib["x"]) - {"start": 0, "middle": wide / 2, "end": wide}[text.attrib["text-anchor"]]
        assert left >= 0, text.text
        assert left + wide <= width, text.text
        assert 0 < float(text.attrib["y"]) <= height, text.text


def test_every_drawing_is_on_a_page_and_every_page_has_its_drawings():
    shown = {
        name
        for page in PAGES.rglob("*.md")
        for name in re.findall(r"\.\./images/explanation/([\w-]+)\.svg", page.read_text("utf-8"))
    }
    assert shown == set(DRAWINGS) == {path.stem for path in FOLDER.glob("*.svg")}


def test_no_reading_moves_what_settles_when_it_begins_or_later():
    moves = states.edges()
    assert (states.EARLY in {word for begin, end, word in moves}) is True
    assert not [move for move in moves if move[2] == states.EARLY and move[0] != move[1]]
