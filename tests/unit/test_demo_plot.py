"""The plot of demos: what is drawn where."""

import re
from xml.etree import ElementTree as ET

import pytest

from admission.cli.demo.plot import Record, svg
from admission.cli.demo.provider import Truth

SVG = "{http://www.w3.org/2000/svg}"


def truth(elapsed, live, peak):
    return Truth(elapsed, 20, live, 0, peak, 0, 0, 0, None)


def record(guarded, peak, admissions=((1.0, 0.5), (6.0, 3.0))):
    result = {"guarded": guarded, "limit": 20, "peak": peak, "overshoots": max(0, peak - 20), "seconds": 10.0}
    return Record(result, [truth(0, 4, 4), truth(5, 18, peak), truth(10, 18, peak)], admissions)


def drawn(*records):
    return ET.fromstring(svg(records))


def heights(page):
    """Return the pixels that the calls of each demo reach at their highest."""
    paths = [path.get("d") for path in page.iter(f"{SVG}path")]
    return [min(float(y) for y in re.findall(r"V([\d.]+)", path)) for path in paths[::2]]


def test_the_same_scale_for_all_and_a_peak_between_two_looks_is_seen():
    by_hand, guarded = heights(drawn(record(guarded=False, peak=40), record(guarded=True, peak=20)))
    bottom = 276
    assert bottom - by_hand == pytest.approx(2 * (bottom - guarded), abs=0.2)


def test_what_is_beyond_the_limit_has_a_colour_of_its_own():
    below, beyond = list(drawn(record(guarded=False, peak=40)).iter(f"{SVG}path"))
    assert below.get("d") == beyond.get("d")
    assert below.get("fill") != beyond.get("fill")


def test_a_dot_for_every_caller_that_was_admitted():
    page = drawn(record(guarded=False, peak=40), record(guarded=True, peak=20, admissions=[]))
    assert len(list(page.iter(f"{SVG}circle"))) == 2


def test_nobody_admitted_is_drawn_too():
    assert "with admission" in svg([record(guarded=True, peak=1, admissions=[])])
