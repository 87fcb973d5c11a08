"""One question a turn for all who look on, and none when nobody does."""

import asyncio
from contextlib import aclosing

import pytest

from admission import Closed, LedgerUnavailable
from admission.views.feed import Feed
from tests.views.test_state import status
from tests.waiting import until

EVERY = 0.02


class Stub:
    """A guard of which nothing but `status` is there."""

    def __init__(self):
        self.fault = None
        self.waits = False
        self.asked = 0

    async def status(self):
        self.asked += 1
        if self.waits:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        return status()


async def first(feed, number=1):
    found = []
    async with aclosing(feed.moments()) as moments:
        async for moment in moments:
            found.append(moment)
            if len(found) == number:
                break
    return found


@pytest.fixture
def guard():
    return Stub()


@pytest.fixture
def feed(guard):
    return Feed(guard, every=EVERY)


async def test_all_viewers_see_the_same(guard, feed):
    seen = await asyncio.gather(*(first(feed, 3) for _ in range(20)))
    assert guard.asked <= 4
    assert all(moments == seen[0] for moments in seen)
    assert [moment.status.in_use for moment in seen[0]] == [17] * 3


async def test_nobody_is_asked_when_nobody_looks(guard, feed):
    assert guard.asked == 0
    await first(feed, 2)
    assert feed.viewers == 0
    asked = guard.asked
    await asyncio.sleep(EVERY * 5)
    assert guard.asked == asked
    await first(feed)
    assert guard.asked > asked


async def test_a_viewer_that_is_cancelled_leaves(feed):
    task = asyncio.create_task(first(feed, 10_000))
    await until(lambda: feed.viewers)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert feed.viewers == 0


async def test_a_ledger_that_is_away_is_told_and_then_its_return(guard):
    feed = Feed(guard, every=EVERY, clean=lambda text: text.replace("secret", "***"))
    guard.fault = LedgerUnavailable("no secret answer")
    (moment,) = await first(feed)
    assert (moment.status, moment.fault) == (None, "no *** answer")
    guard.fault = None
    assert (await first(feed))[0].status is not None
    assert [moment.status is None for moment in list(feed.history)[:2]] == [True, False]


async def test_a_ledger_that_is_silent(guard, feed, monkeypatch):
    monkeypatch.setattr("admission.views.feed.ANSWER", 0.02)
    guard.waits = True
    (moment,) = await first(feed)
    assert "did not answer within" in moment.fault


async def test_a_fault_of_our_own_reaches_the_viewers(guard, feed):
    guard.fault = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await first(feed)
    guard.fault = Closed("the guard is closed")
    assert (await first(feed))[0].fault == "the guard is closed"


async def test_the_history_is_bounded(guard):
    feed = Feed(guard, every=0.001, kept=5)
    await first(feed, 9)
    assert len(feed.history) == 5


async def test_a_look_asks_at_most_once_a_turn(guard):
    feed = Feed(guard, every=30.0)
    looks = [await feed.look() for _ in range(10)]
    assert guard.asked == 1
    assert all(look is looks[0] for look in looks)


async def test_closing_lets_all_viewers_go(feed):
    tasks = [asyncio.create_task(first(feed, 10_000)) for _ in range(3)]
    await until(lambda: feed.viewers == 3)
    feed.close()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert feed.viewers == 0
