"""The dashboard's page, as a browser runs it."""

import shutil

import pytest

from tests.browser.stage import KEY, TOKEN, Dialers, chromium, stage
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def at():
    assert shutil.which("chromium"), "there is no chromium on the PATH: leave these tests out"
    with stage() as one:
        yield one


@pytest.fixture(scope="module")
def context():
    with chromium() as one:
        yield one


@pytest.fixture
def faults():
    """What the browser complains of; nothing may be left at the end."""
    return []


@pytest.fixture
def page(context, at, faults):
    one = context.new_page()
    one.on("console", lambda message: faults.append(message.text) if message.type in {"error", "warning"} else None)
    one.on("pageerror", lambda error: faults.append(str(error)))
    one.goto(at.url)
    one.wait_for_selector("#main:not([hidden])")
    yield one
    assert KEY not in one.content()
    one.close()
    assert faults == []
    at.guard.resume()


def becomes(page, condition):
    # Not `page.wait_for_function`, which the page's own rules forbid: it evaluates text in the page.
    wait_until(lambda: page.evaluate(condition), timeout=30, every=0.05)


def number(page, name):
    return int(page.locator(f"#{name}").text_content())


def order(page, verb, reason=""):
    page.locator(f"#{verb}").click()
    if reason:
        page.locator("#ask-reason").fill(reason)
    if page.locator("#ask-token").is_visible():
        page.locator("#ask-token").fill(TOKEN)
    page.locator("#ask-yes").click()
    page.wait_for_selector("#ask:not([open])", state="attached")


def test_the_values_move_with_the_load_and_a_pause_stops_it(at, page):
    assert number(page, "in-use") >= 3
    with Dialers(at, 25):
        becomes(page, "Number(document.getElementById('in-use').textContent) > 12")
        becomes(page, "document.querySelectorAll('#chart polygon').length >= 4")
        order(page, "pause", "too many complaints")
        page.wait_for_selector("#notes .stop:has-text('paused: too many complaints')")
        assert at.guard.status().pause_reason == "too many complaints"
        started = at.fake.started
        becomes(page, "Number(document.getElementById('in-use').textContent) === 3")
        assert at.fake.started == started
        order(page, "resume")
        becomes(page, "Number(document.getElementById('in-use').textContent) > 12")
        assert at.fake.started > started
    assert page.locator("#notes .stop").count() == 0


def test_a_wrong_token_changes_nothing(at, page, faults):
    page.locator("#pause").click()
    page.locator("#ask-token").fill("a wrong token of length")
    with page.expect_response("**/pause") as answer:
        page.locator("#ask-yes").click()
    assert answer.value.status == 401
    page.wait_for_selector("#ask-fault:has-text('not the token')")
    assert not at.guard.status().paused
    page.locator("#ask-no").click()
    wait_until(lambda: faults)
    assert "status of 401" in faults.pop()


def test_the_keyboard_reaches_everything(at, page):
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "pause":
            break
    else:
        pytest.fail("the keyboard does not reach the button")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("#ask[open]")
    assert page.evaluate("document.activeElement.id") == "ask-reason"
    page.keyboard.type("by keyboard")
    page.keyboard.press("Tab")
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector("#resume:visible")
    assert at.guard.status().pause_reason == "by keyboard"
    wait_until(lambda: page.evaluate("document.activeElement.id") == "resume")
    page.keyboard.press("Enter")
    page.wait_for_selector("#ask[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#ask:not([open])", state="attached")
    assert at.guard.status().paused


def test_one_lane(at, page):
    with Dialers(at, 3):
        button = page.get_by_role("button", name="Pause lane bulk")
        button.click()
        page.locator("#ask-reason").fill("no agents")
        page.locator("#ask-token").fill(TOKEN)
        page.locator("#ask-yes").click()
        page.wait_for_selector("#notes .look:has-text('lane bulk is paused: no agents')")
    page.get_by_role("button", name="Resume lane bulk").click()
    page.locator("#ask-yes").click()
    wait_until(lambda: not any(lane.paused for lane in at.guard.status().lanes))


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_narrow_page_does_not_scroll_sideways(at, page, width):
    page.set_viewport_size({"width": width, "height": 800})
    with Dialers(at, 5):
        becomes(page, "document.querySelectorAll('#chart polygon').length >= 4")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#pause").click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        box = page.locator("#ask").bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        page.locator("#ask-no").click()


def test_dark_and_light_differ(page):
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds[0] != grounds[1]


def test_the_parts_are_told_apart_without_colour(page):
    fills = {
        page.evaluate(f"getComputedStyle(document.querySelector('#legend .fill-{part}')).fill")
        for part in ("held", "covered", "untracked", "pending")
    }
    assert len(fills) == 4
    assert all("url(" in fill for fill in fills)


def test_what_a_stranger_writes_is_shown_as_text(at, page):
    text = "<img src=x onerror=alert(1)><b>bold</b>"
    at.guard.pause(text)
    page.wait_for_selector("#notes .stop")
    assert text in page.locator("#notes .stop").first.text_content()
    assert page.locator("#notes b, #notes img").count() == 0


def test_a_dashboard_without_a_token_has_no_buttons(context):
    with stage(token=None) as other:
        page = context.new_page()
        page.goto(other.url)
        page.wait_for_selector("#main:not([hidden])")
        becomes(page, "document.querySelectorAll('#lanes tr').length > 0")
        assert page.get_by_role("button").count() == 0
        page.close()


def test_a_private_dashboard_asks_first(context):
    with stage(private=True) as other:
        page = context.new_page()
        page.goto(other.url)
        page.wait_for_selector("#gate:not([hidden])")
        assert not page.locator("#main").is_visible()
        page.locator("#gate-token").fill("a wrong token of length")
        page.keyboard.press("Enter")
        page.wait_for_selector("#gate-fault:has-text('not the token')")
        page.locator("#gate-token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector("#main:not([hidden])")
        assert TOKEN not in page.url
        page.close()
