"""The mail boxes of tasks: who waits is woken, and a loop is woken once for all its boxes that have mail."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from admission.clocks import SystemClock
from admission.core.messages import Done
from admission.drivers import LoopBox
from tests.guards.interrupts import Alarm


class Counting(asyncio.SelectorEventLoop):
    """A loop that counts how often other threads wake it."""

    woken = 0

    def call_soon_threadsafe(self, *args, **more):
        self.woken += 1
        return super().call_soon_threadsafe(*args, **more)


def from_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_mail_of_one_moment_for_many_tasks_wakes_their_loop_once():
    async def run():
        boxes = [LoopBox(SystemClock()) for _ in range(50)]
        tasks = [asyncio.create_task(box.get(None)) for box in boxes]
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        for times in (1, 2):
            from_a_thread(lambda: [box.put(Done()) for box in boxes])
            assert loop.woken == times
            await asyncio.gather(*tasks)
            tasks = [asyncio.create_task(box.get(None)) for box in boxes]
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()

    with asyncio.Runner(loop_factory=Counting) as runner:
        runner.run(run())


def test_a_loop_that_is_closed_takes_no_mail():
    async def open_box():
        return LoopBox(SystemClock())

    with asyncio.Runner() as runner:
        box, other = runner.run(open_box()), runner.run(open_box())
        assert box.put(Done())  # the loop may run once more
    assert not box.put(Done())
    assert not other.put(Done())


def test_a_loop_that_could_not_be_woken_is_woken_the_next_time():
    class Interrupted(Counting):
        def call_soon_threadsafe(self, *args, **more):
            if not self.woken:
                self.woken += 1
                raise KeyboardInterrupt
            return super().call_soon_threadsafe(*args, **more)

    async def run():
        box = LoopBox(SystemClock())
        with pytest.raises(KeyboardInterrupt):
            box.put(Done())
        task = asyncio.create_task(box.get(None))
        assert await task == Done()
        task = asyncio.create_task(box.get(None))
        await asyncio.sleep(0)
        from_a_thread(lambda: box.put(Done()))
        assert await asyncio.wait_for(task, 10) == Done()

    with asyncio.Runner(loop_factory=Interrupted) as runner:
        runner.run(run())


@pytest.mark.parametrize("moment", ["before it is called back", "as a box is rung"])
def test_a_call_that_the_loop_has_dropped_is_made_up_for_with_the_next_mail(monkeypatch, moment):
    """A signal's handler that raises in a callback, or just before it, makes an event loop drop that callback."""

    class Dropping(asyncio.SelectorEventLoop):
        dropped = False

        def call_soon_threadsafe(self, callback, *args, **more):
            if not self.dropped and moment == "before it is called back":
                self.dropped = True
                return None
            return super().call_soon_threadsafe(callback, *args, **more)

    class Raising(LoopBox):
        raised = False

        def ring(self):
            if not self.raised and moment == "as a box is rung":
                self.raised = True
                raise Alarm
            super().ring()

    async def run():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        boxes = [Raising(SystemClock()), LoopBox(SystemClock())]
        tasks = [asyncio.create_task(box.get(None)) for box in boxes]
        await asyncio.sleep(0)
        from_a_thread(lambda: [box.put(Done()) for box in boxes])
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in tasks)
        monkeypatch.setattr("admission.drivers.PULL_AGAIN", 0.0)  # as if that long had passed
        from_a_thread(lambda: boxes[1].put(Done()))
        assert await asyncio.wait_for(asyncio.gather(*tasks), 10) == [Done(), Done()]

    with asyncio.Runner(loop_factory=Dropping) as runner:
        runner.run(run())


def test_undelivered_mail_keeps_no_loop():
    async def open_box():
        box = LoopBox(SystemClock())
        box.put(Done())
        return weakref.ref(asyncio.get_running_loop()), box

    loop = asyncio.new_event_loop()
    seen, box = loop.run_until_complete(open_box())
    box.put(Done())
    loop.close()
    del loop, box
    gc.collect()
    assert seen() is None
