"""Every exit code of the command line, what each means, and which error ends in which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.errors import ConfigurationError, Refused, Unavailable, UsageError

if TYPE_CHECKING:
    from admission.errors import AdmissionError

OK = 0
OVERSHOT = 1
USAGE = 64
UNAVAILABLE = 69
SOFTWARE = 70
TEMPFAIL = 75
CONFIG = 78
NOT_EXECUTABLE = 126
NOT_FOUND = 127
BY_SIGNAL = 128
"""Added to a signal's number."""

MEANINGS = {
    OK: "done",
    OVERSHOT: "a guarded run overshot the limit",
    USAGE: "wrong arguments",
    UNAVAILABLE: "the provider or the ledger (Redis) cannot be reached or does not serve",
    SOFTWARE: "admission failed inside",
    TEMPFAIL: "no slot: saturated, the line is full, or paused; try again later",
    CONFIG: "configuration: a missing or wrong key, an unknown lane, a missing extra",
    NOT_EXECUTABLE: "COMMAND cannot be executed",
    NOT_FOUND: "COMMAND was not found",
}


def code_of(error: AdmissionError) -> int:
    """Return the exit code for an error of the package."""
    match error:
        case Refused():
            return TEMPFAIL
        case Unavailable() | UsageError():
            return UNAVAILABLE
        case ConfigurationError():
            return CONFIG
        case _:
            return SOFTWARE


def epilog(*codes: int, **more: str) -> str:
    """Return the list of exit codes that ends a command's `--help`.

    Args:
        codes: Those of `MEANINGS` that the command has.
        more: Further lines, by what stands in the place of the code.
    """
    lines = [f"  {code:<5} {MEANINGS[code]}" for code in codes]
    lines += [f"  {code.replace('_', '+'):<5} {meaning}" for code, meaning in more.items()]
    return "\n".join(["exit codes:", *lines])
