"""What the commands' arguments are made of: their parser, and the kinds of values."""

from __future__ import annotations

import argparse
import math
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from admission.cli import exits
from admission.cli.text import say

if TYPE_CHECKING:
    from collections.abc import Callable

    Commands = argparse._SubParsersAction[Any]  # noqa: SLF001 - it has no public name
    """Where a command is added."""

ENVIRONMENT = """\
environment:
  PURETALK_API_KEY     the account's API key
  PURETALK_BASE_URL    the provider's address, if not PureTalk's own
  ADMISSION_REDIS_URL  the Redis that the fleet shares
  ADMISSION_LEDGER     `memory`: no fleet, this process alone (for `run`)
  ADMISSION_ACCOUNT    the account's name in the ledger; by default a hash of address and key
"""

USUAL = (exits.OK, exits.USAGE, exits.UNAVAILABLE, exits.SOFTWARE, exits.CONFIG)
"""The exit codes of a command that asks the ledger."""
SIGNAL = "ended by signal n"


class Parser(argparse.ArgumentParser):
    """Ends with our exit code for wrong arguments."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and how it should be."""
        self.print_usage(sys.stderr)
        say(f"{message}; see `{self.prog} --help`")
        self.exit(exits.USAGE)


def add(
    commands: Commands,
    name: str,
    go: Callable[[argparse.Namespace], int],
    *,
    summary: str,
    description: str,
    codes: str,
    environment: str = ENVIRONMENT,
) -> Parser:
    """Add a command and return its parser.

    Args:
        commands: Where it is added.
        name: Its name.
        go: Runs it and returns the exit code.
        summary: What it does, for the list of commands.
        description: What it does, for its own help.
        codes: Its exit codes, as `exits.epilog` lists them.
        environment: What it reads from the environment.
    """
    parser: Parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"{environment}\n{codes}" if environment else codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(go=go)
    return parser


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from {low} to {high}")
        return value

    return parse


def number(low: float, high: float, what: str = "a number of seconds") -> Callable[[str], float]:
    """Return what reads a number of seconds, or of something else, from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: give {what} from {low:g} to {high:g}")
        return value

    return parse
