import threading

import pytest

from tests.waiting import wait_until

CALLERS = {"job", "admission-reader"}


@pytest.fixture(autouse=True)
def nobody_is_left_behind():
    """A test ends with no caller that still waits, and no reading under way."""
    yield
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name in CALLERS])
