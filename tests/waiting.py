"""Waiting for a condition instead of sleeping."""

import asyncio
import time


def wait_until(condition, timeout=30.0, every=0.005):
    """Return the first true value of `condition()`; fail when there is none within `timeout` real seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {timeout} s: {condition}"
        time.sleep(every)


async def until(condition, timeout=30.0, every=0.005):
    """Return the first true value of `condition()`, for tests on an event loop."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {timeout} s: {condition}"
        await asyncio.sleep(every)
