"""The package's log. What it tells of must go on whatever becomes of a record."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping


class _Log(logging.LoggerAdapter[logging.Logger]):
    """A logger that raises nothing: an application's filter, or a handler with a full disk, is no fault of a caller's.

    In the clerk's thread it would end all admissions of its ledger.
    """

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:  # noqa: ANN401 - as its base
        """Leave a record as it is."""
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:  # noqa: ANN401 - as its base
        """Log one record, as of the line that asks for it."""
        kwargs.setdefault("stacklevel", 2)
        try:
            super().log(level, msg, *args, **kwargs)
        except Exception as error:
            if by_signal(error):
                raise


logger: logging.LoggerAdapter[logging.Logger] = _Log(logging.getLogger("admission"))


def by_signal(error: BaseException) -> bool:
    """Whether a signal's handler raised this while foreign code ran: then it is meant for the caller."""
    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()}
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False
