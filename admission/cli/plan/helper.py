"""A process that lives through some lives of a plan: calls come pickled on stdin, what came of them goes back."""

from __future__ import annotations

import pickle
import signal
import sys


def main() -> int:
    """Do what comes on stdin, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all of us; who started us ends us
    asked, said = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            what, calls = pickle.load(asked)  # noqa: S301 - who started us writes it
        except EOFError:
            return 0
        pickle.dump([what(*call) for call in calls], said)
        said.flush()


if __name__ == "__main__":
    sys.exit(main())
