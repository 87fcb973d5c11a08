"""The directive `commands`: every command of `admission` with its arguments and exit codes, from the parser itself."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING
from unittest import mock

from sphinx.util.docutils import SphinxDirective

from admission.cli import exits
from admission.cli.arguments import ENVIRONMENT
from admission.cli.main import _parser

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

TERMINAL = {"COLUMNS": "90", "NO_COLOR": "1"}
MEANINGS = {str(code): meaning for code, meaning in exits.MEANINGS.items()}
OPTION = re.compile(r"(?<![\w`-])--\w[\w-]*")
CODE = re.compile(r"^  (\S+) +(.+)$", re.MULTILINE)


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the commands of a parser by name."""
    (found,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001 - argparse has no other way
    return dict(found.choices)


def shown(text: str) -> str:
    """Return a text of the help with its options written as code."""
    return OPTION.sub(r"`\g<0>`", " ".join(text.split()))


def of_action(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return an argument's row."""
    value = f" {action.metavar or action.dest.upper()}" if action.nargs != 0 else ""
    names = ", ".join(f"`{name}{value}`" for name in action.option_strings) or f"`{action.metavar or action.dest}`"
    text = parser._get_formatter()._expand_help(action) if action.help else ""  # noqa: SLF001 - what `--help` says
    return f"| {names} | {shown(text)}{'; required' if action.required and action.option_strings else ''} |"


def of_command(name: str, parser: argparse.ArgumentParser) -> list[str]:
    """Return the Markdown of a command's section."""
    usage = re.sub(r"^(usage: | {7})", "", parser.format_usage().rstrip(), flags=re.MULTILINE)
    description = shown(parser.description or "")
    lines = [f"### {name}", "", description, "", "```text", usage, "```", ""]
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]  # noqa: SLF001 - same
    if actions:
        lines += ["| argument | is |", "|---|---|", *(of_action(parser, action) for action in actions), ""]
    environment, _, codes = (parser.epilog or "").partition("exit codes:\n")
    more = " ".join(environment.removeprefix(ENVIRONMENT).split())
    if more and environment.startswith(ENVIRONMENT):
        variable, _, what = more.partition(" ")
        lines += [f"It also reads `{variable}`: {what}.", ""]
    told = [code if MEANINGS.get(code) == what else f"{code} ({what})" for code, what in CODE.findall(codes)]
    return [*lines, f"Exit codes: {', '.join(told)}.", ""]


class Commands(SphinxDirective):
    """Tells of every command."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        with mock.patch.dict(os.environ, TERMINAL):
            found = subcommands(_parser())
            lines = [line for name, parser in found.items() for line in of_command(name, parser)]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add it to the site."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
