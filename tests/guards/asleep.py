"""Who can go on by himself: where time is the test's to turn, it is turned only when nobody can.

A pause of some real milliseconds would do on a machine that does nothing else, and not on one that is busy.
"""

import asyncio
import os
import queue
import threading

ASLEEP = set()
"""The threads that wait for mail, and for which there is none."""
_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    # Or a forked child could find it held by a thread that it does not have.
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


class WatchedQueue:
    """A `SimpleQueue` that knows who waits: whoever puts something into it takes him from the sleepers at once."""

    def __init__(self):
        self._queue = queue.SimpleQueue()
        self._waiter = None

    def put(self, item):
        with _LOCK:
            ASLEEP.discard(self._waiter)
            self._queue.put(item)

    def get(self, timeout=None):
        self._waiter = threading.get_ident()
        with _LOCK:
            if self._queue.empty():
                ASLEEP.add(self._waiter)
        try:
            return self._queue.get(timeout=timeout)
        finally:
            ASLEEP.discard(self._waiter)

    def get_nowait(self):
        return self._queue.get_nowait()

    def empty(self):
        return self._queue.empty()


class WatchedQueues:
    """What stands for the module `queue` where the product makes its queues."""

    SimpleQueue = WatchedQueue
    Empty = queue.Empty


def someone_goes_on(clerk, asleep_readings):
    """Whether a job, a reader, the clerk, or a task of the loop that runs in this thread is about to do something.

    Args:
        clerk: The clerk.
        asleep_readings: How many readers wait for the test.
    """
    threads = threading.enumerate()
    if any(one.ident not in ASLEEP for one in threads if one.name == "job" or one is clerk._thread):
        return True
    if sum(one.name == "admission-reader" for one in threads) > asleep_readings:
        return True
    try:
        return bool(asyncio.get_running_loop()._ready)
    except RuntimeError:
        return False
