"""The command line: `admission`. Nothing of the extra `cli` is imported before a command needs it."""

from admission.cli.main import main

__all__ = ["main"]
