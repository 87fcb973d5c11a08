"""The log raises nothing of an application's filters and handlers, and tells which line has logged."""

import logging
import signal

import pytest

from admission.log import logger


class Fails(logging.Filter):
    """A filter that cannot do its work, as one that needs a request of a web server."""

    def __init__(self, error):
        self.error = error

    def filter(self, _record):
        raise self.error


@pytest.fixture
def filtered():
    """Have the log filtered by something until the test's end."""
    added = []

    def add(one):
        added.append(one)
        logger.logger.addFilter(one)

    yield add
    for one in added:
        logger.logger.removeFilter(one)


def test_a_filter_that_fails_is_no_fault_of_who_logs(filtered):
    filtered(Fails(RuntimeError("no request is under way")))
    logger.warning("a reading failed: %s", "503", extra={"event": "reading_failed"})
    logger.error("the clerk failed", exc_info=RuntimeError("ours"))


class TimeIsOver(Exception):
    """A job has had its time."""


def test_what_a_signal_raises_meanwhile_is_the_callers(filtered):
    def ring(*_):
        raise TimeIsOver

    before = signal.signal(signal.SIGTERM, ring)
    try:
        filtered(lambda _: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(TimeIsOver):
            logger.warning("a reading failed")
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_record_names_the_line_that_logged(caplog):
    logger.warning("one %s", "told", extra={"event": "told"})
    (record,) = caplog.records
    assert (record.filename, record.funcName) == ("test_log.py", "test_a_record_names_the_line_that_logged")
    assert (record.getMessage(), record.event) == ("one told", "told")
