import threading

import pytest

from admission import clerk, drivers
from tests.guards.asleep import WatchedQueues
from tests.waiting import wait_until

CALLERS = {"job", "admission-reader"}


@pytest.fixture(autouse=True)
def queues_are_watched(monkeypatch):
    """Whoever waits in these tests is known to."""
    for module in (clerk, drivers):
        monkeypatch.setattr(module, "queue", WatchedQueues)


@pytest.fixture(autouse=True)
def nobody_is_left_behind():
    """A test ends with no caller that still waits, and no reading under way."""
    yield
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name in CALLERS])
