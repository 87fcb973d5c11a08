"""The arguments of `admission`, and which command they call."""

from __future__ import annotations

import argparse
import math
import os
import sys
import traceback
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from admission.cli import exits
from admission.cli.text import hide, say
from admission.errors import AdmissionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ENVIRONMENT = """\
environment:
  PURETALK_API_KEY     the account's API key
  PURETALK_BASE_URL    the provider's address, if not PureTalk's own
  ADMISSION_REDIS_URL  the Redis that the fleet shares
  ADMISSION_LEDGER     `memory`: no fleet, this process alone (for `run`)
  ADMISSION_ACCOUNT    the account's name in the ledger; by default a hash of address and key
"""

_SIGNAL = "ended by signal n"


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
    command: list[str] | None = None
    if arguments[:1] == ["run"] and "--" in arguments:
        at = arguments.index("--")
        arguments, command = arguments[:at], arguments[at + 1 :]
    parser = _parser()
    chosen, unknown = parser.parse_known_args(arguments)
    if chosen.command == "run" and not command:
        parser.error("run: write the command, with its arguments, after --")
    if unknown:
        parser.error(f"unknown arguments: {' '.join(unknown)}")
    match chosen.command:
        case "demo":
            return _demo(chosen)
        case "status":
            from admission.cli.account import status  # noqa: PLC0415 - each command imports what it needs

            return status(as_json=chosen.json)
        case "run":
            from admission.cli.run import run  # noqa: PLC0415 - same

            has_timeout = chosen.timeout is not None
            return run(command or [], lane=chosen.lane, timeout=chosen.timeout, has_timeout=has_timeout)
        case "pause":
            from admission.cli.account import pause  # noqa: PLC0415 - same

            return pause(chosen.reason, chosen.lane)
        case _:
            from admission.cli.account import resume  # noqa: PLC0415 - same

            return resume(chosen.lane)


def _demo(chosen: argparse.Namespace) -> int:
    from admission.cli.demo.command import demo  # noqa: PLC0415 - same
    from admission.cli.demo.settings import settings_of  # noqa: PLC0415 - same

    settings = settings_of(
        limit=chosen.limit,
        workers=chosen.workers,
        seconds=chosen.seconds,
        processes=chosen.processes,
        redis=chosen.redis is not None,
        guarded=not chosen.unguarded,
        seed=chosen.seed,
    )
    return demo(settings, chosen.redis, as_json=chosen.json, plot=chosen.plot)


class _Parser(argparse.ArgumentParser):
    """Ends with our exit code for wrong arguments."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and how it should be."""
        self.print_usage(sys.stderr)
        say(message)
        self.exit(exits.USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="admission",
        description="Call admission for voice-AI dialers: never above the provider's limit, never idle below it.",
        epilog=f"{_ENVIRONMENT}\n{exits.epilog(*_ALL)}\n\n`admission COMMAND --help` tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"admission {version('admission')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_demo, _add_status, _add_run, _add_pause, _add_resume):
        add(commands)
    return parser


_ALL = (exits.OK, exits.USAGE, exits.UNAVAILABLE, exits.SOFTWARE, exits.TEMPFAIL, exits.CONFIG)

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[_Parser]  # noqa: SLF001 - it has no public name


def _add(commands: _Commands, name: str, summary: str, description: str, epilog: str) -> _Parser:
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_demo(commands: _Commands) -> None:
    parser = _add(
        commands,
        "demo",
        "show on this machine what the guard does",
        "Start a stand-in provider on this machine and let dialers work against it over HTTP: more of them than\n"
        "there are lines, beside calls of others, with a count that lags. Ends with a report. Needs the extra `cli`.\n"
        "No account is needed, and nothing outside of this machine is called, except the Redis that you name.",
        exits.epilog(
            exits.OK,
            exits.OVERSHOT,
            exits.USAGE,
            exits.UNAVAILABLE,
            exits.SOFTWARE,
            exits.CONFIG,
            **{"128_n": f"{_SIGNAL}, Ctrl-C too, after the report so far"},
        ),
    )
    parser.add_argument("--limit", type=_whole(1, 1000), default=20, help="lines of the account (20)")
    parser.add_argument("--workers", type=_whole(1, 5000), help="dialers, over all processes (twice the limit)")
    parser.add_argument("--seconds", type=_number(1, 3600), default=12.0, help="how long they dial (12)")
    parser.add_argument("--redis", metavar="URL", help="share a ledger on this Redis between several processes")
    parser.add_argument("--processes", type=_whole(1, 64), help="processes that dial (3 with --redis, else 1)")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--unguarded", action="store_true", help="check the count and dial, as is done by hand")
    either.add_argument(
        "--plot", type=Path, metavar="FILE.svg", help="run the load both ways, and draw the two side by side"
    )
    parser.add_argument("--seed", type=_whole(0, 2**63), default=0, help="of the calls' lengths and the like (0)")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object as the last line on stdout, progress on stderr"
    )


def _add_status(commands: _Commands) -> None:
    parser = _add(
        commands,
        "status",
        "show the account: limit, count, what is booked, who waits",
        "Read the provider now and show the account. Without ADMISSION_REDIS_URL these are the provider's own\n"
        "numbers, with it also what the fleet has booked, even when the provider cannot be read (exit code 69\n"
        "or 78 then).",
        f"{_ENVIRONMENT}\n{exits.epilog(exits.OK, exits.USAGE, exits.UNAVAILABLE, exits.SOFTWARE, exits.CONFIG)}",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _add_run(commands: _Commands) -> None:
    codes = exits.epilog(
        exits.USAGE,
        exits.UNAVAILABLE,
        exits.SOFTWARE,
        exits.TEMPFAIL,
        exits.CONFIG,
        exits.NOT_EXECUTABLE,
        exits.NOT_FOUND,
        **{"128_n": "COMMAND, or the waiting for a slot, was ended by signal n", "other": "COMMAND's own exit code"},
    )
    parser = _add(
        commands,
        "run",
        "hold a slot while a command runs",
        "Wait for a slot, then hold it while COMMAND runs. SIGINT, SIGTERM, SIGHUP and SIGQUIT are passed on to it (a\n"
        "key at the terminal reaches it from there). It finds the reservation's id in ADMISSION_RESERVATION.",
        f"{_ENVIRONMENT}\n{codes}",
    )
    parser.usage = "admission run [--lane L] [--timeout S] -- COMMAND [ARGUMENT ...]"
    parser.add_argument("--lane", default="default", metavar="L", help="the class of traffic (default)")
    parser.add_argument(
        "--timeout", type=_number(0, 604_800), metavar="S", help="seconds to wait for a slot; 0: not at all (for ever)"
    )


def _add_pause(commands: _Commands) -> None:
    parser = _add(
        commands,
        "pause",
        "stop the very next start of the whole fleet",
        "Pause the account: nothing more is started until `admission resume`; running calls go on. Needs a\n"
        "ledger that is shared.",
        f"{_ENVIRONMENT}\n{exits.epilog(exits.OK, exits.USAGE, exits.UNAVAILABLE, exits.SOFTWARE, exits.CONFIG)}",
    )
    parser.add_argument("--reason", required=True, metavar="R", help="what operators and refused callers are told")
    _add_lane(parser)


def _add_lane(parser: _Parser) -> None:
    parser.add_argument("--lane", metavar="L", help="only this class of traffic (the whole account)")


def _add_resume(commands: _Commands) -> None:
    parser = _add(
        commands,
        "resume",
        "undo pause",
        "Let a paused account, or lane, go on. Needs a ledger that is shared.",
        f"{_ENVIRONMENT}\n{exits.epilog(exits.OK, exits.USAGE, exits.UNAVAILABLE, exits.SOFTWARE, exits.CONFIG)}",
    )
    _add_lane(parser)


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from {low} to {high}")
        return value

    return parse


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: give a number of seconds from {low:g} to {high:g}")
        return value

    return parse
