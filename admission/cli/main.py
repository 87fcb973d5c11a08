"""`admission`: which commands there are, and how a run of one ends."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from importlib.metadata import version
from typing import TYPE_CHECKING

from admission.cli import account, dashboard, exits, holders, run
from admission.cli.arguments import ENVIRONMENT, Parser
from admission.cli.demo import arguments as demo
from admission.cli.doctor import command as doctor
from admission.cli.plan import arguments as plan
from admission.cli.text import hide, say
from admission.cli.watch import command as watch
from admission.errors import AdmissionError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (
    demo.add_demo,
    plan.add_plan,
    account.add_status,
    watch.add_watch,
    dashboard.add_dashboard,
    holders.add_holders,
    doctor.add_doctor,
    run.add_run,
    account.add_pause,
    account.add_resume,
)
"""Every command, in the order of the help; each adds itself, and imports what belongs to an extra when it runs."""

BEGIN = """\
to begin:
  `admission demo` needs no account and no server; with the environment below set, `admission doctor` says what is
  missing or wrong, and `admission status` shows the account
"""

_CODES = (exits.OK, exits.USAGE, exits.UNAVAILABLE, exits.SOFTWARE, exits.TEMPFAIL, exits.CONFIG)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: The arguments without the program's name; `None` for those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return exits.BY_SIGNAL + 2
    except BrokenPipeError:
        # Whoever read our output has left; without this, the interpreter complains at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.BY_SIGNAL + 13
    except AdmissionError as error:
        say(error)
        return exits.code_of(error)
    except Exception:  # noqa: BLE001 - nothing else may look like the exit code of a command that was run
        sys.stderr.write(hide(traceback.format_exc()))
        return exits.SOFTWARE


def _run(arguments: list[str]) -> int:
    command: list[str] = []
    if arguments[:1] == ["run"] and "--" in arguments:
        at = arguments.index("--")
        arguments, command = arguments[:at], arguments[at + 1 :]
    parser = _parser()
    chosen, unknown = parser.parse_known_args(arguments)
    if chosen.command == "run" and not command:
        parser.error("run: write the command, with its arguments, after --")
    if unknown:
        parser.error(f"unknown arguments: {' '.join(unknown)}")
    chosen.rest = command
    code: int = chosen.go(chosen)
    return code


def _parser() -> Parser:
    parser = Parser(
        prog="admission",
        description="Call admission for voice-AI dialers: never above the provider's limit, never idle below it.",
        epilog=f"{BEGIN}\n{ENVIRONMENT}\n{exits.epilog(*_CODES)}\n\n`admission COMMAND --help` tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"admission {version('admission')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    return parser
