"""Who can go on by itself: where time is the test's to turn, it turns it only when nobody can.

A pause of some real milliseconds would do on a machine that does nothing else, and not on one that is busy.
"""

import asyncio
import sys
import threading

from admission.clerk import Clerk
from admission.drivers import ThreadBox

ACTORS = {"job", "admission-reader"}
"""The names of the threads of a scenario, besides the clerk's."""


def someone_goes_on(clerk):
    """Whether a job, a reader, the clerk, or a task of the loop that runs in this thread is about to do something."""
    frames = sys._current_frames()
    others = [thread for thread in threading.enumerate() if thread.name in ACTORS or thread is clerk._thread]
    if not all(_waits(frames.get(thread.ident)) for thread in others):
        return True
    try:
        return bool(asyncio.get_running_loop()._ready)
    except RuntimeError:
        return False


def _waits(frame):
    """Whether a thread stands where only others can let it go on, and nobody has done that yet."""
    if frame is None:
        return False
    code, known = frame.f_code, frame.f_locals
    if code is threading.Condition.wait.__code__:
        return "waiter" in known and known["waiter"].locked()
    if code is ThreadBox.get.__code__:
        return known["self"]._mail.empty()
    if code in (Clerk._receive.__code__, Clerk._wait_idle.__code__):
        return known["self"]._inbox.empty()
    return False
