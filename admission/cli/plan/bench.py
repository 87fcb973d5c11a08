"""Where lives are lived: how long each is, so that an answer always takes about the same work, and in which process."""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from admission.cli.plan.account import Life, Time
from admission.cli.plan.campaign import Campaign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from admission.cli.plan.case import Case

WORK = 36_000
"""Requests to the ledger that all lives of an answer may make, about: a few seconds of two processors."""
LEAST = 12.0
"""Seconds that are worth measuring, at least."""
MOST = 7 * 86_400.0
"""Seconds of one life, at most."""
PILOT = 400.0
"""Requests after which it is known how many there are in a second."""
OVERDRAFT = 1.5
"""How much more than planned a life may work before it ends early."""


class Bench:
    """Runs lives.

    Args:
        seed: Of the first life of each case; the others have those that follow.
        effort: How much work an answer may take, 1 for a few seconds.
        jobs: Processes that share it, this one included. What comes of it does not hang on them.
    """

    def __init__(self, seed: int = 0, effort: float = 1.0, jobs: int = 1) -> None:
        self.seed = seed
        self.budget: float = WORK * effort
        self.work: float = 0.0
        """Requests so far."""
        self._jobs = jobs
        self._helpers: list[subprocess.Popen[bytes]] = []

    @contextmanager
    def open(self) -> Iterator[Bench]:
        """Have the other processes for as long as the block lasts."""
        # With -P, no module of the current folder is taken for one of ours or of the library.
        command = [sys.executable, "-P", "-m", "admission.cli.plan.helper"]
        try:
            for _ in range(self._jobs - 1):
                self._helpers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))  # noqa: S603 - ourselves
            yield self
        finally:
            for helper in self._helpers:
                helper.kill()
                helper.communicate()
            self._helpers.clear()

    def rates(self, cases: Sequence[Case]) -> list[float]:
        """Return the requests of each case in a second of its life, about."""
        self.work += PILOT * len(cases)
        return self._each(rate, [(case, self.seed) for case in cases])

    def live(self, cases: Sequence[Case], share: float, rate: float, *, lives: int = 2) -> list[list[Life]]:
        """Live through cases with a share of the budget; there may be time only for the first of them.

        Args:
            cases: What is simulated; each begins with the same seed, and lives as long.
            share: Of the budget.
            rate: Requests of one of them in a second of its life.
            lives: Of each case, where there is time for so many.
        """
        work = share * self.budget
        lives, kept = _lives(cases, work / rate, lives)
        time = _time(cases, work / (lives * kept), rate)
        came: list[Life] = self._each(
            live, [(case, self.seed + number, time) for case in cases[:kept] for number in range(lives)]
        )
        self.work += sum(life.work for life in came)
        return [came[at : at + lives] for at in range(0, len(came), lives)]

    def _each(self, what: Callable[..., Any], calls: Sequence[tuple[object, ...]]) -> list[Any]:
        """Return what comes of calls, in their order; every process takes its turn at them."""
        came: list[Any] = [None] * len(calls)
        turns = len(self._helpers) + 1
        for turn, helper in enumerate(self._helpers, 1):
            pickle.dump((what, calls[turn::turns]), _pipe(helper.stdin))
            _pipe(helper.stdin).flush()
        came[0::turns] = [what(*call) for call in calls[0::turns]]
        for turn, helper in enumerate(self._helpers, 1):
            came[turn::turns] = pickle.load(_pipe(helper.stdout))  # noqa: S301 - written by ourselves
        return came


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - it was asked for
    return stream


def _lives(cases: Sequence[Case], seconds: float, most: int) -> tuple[int, int]:
    """Return how many lives there are of how many cases, where there are so many seconds of life for all."""
    least = max(_settling(case) for case in cases) + LEAST
    for lives in range(most, 0, -1):
        if seconds >= lives * len(cases) * least:
            return lives, len(cases)
    return 1, max(1, min(len(cases), int(seconds / least)))


def _time(cases: Sequence[Case], work: float, rate: float) -> Time:
    total = min(MOST, work / rate)
    settled, mean = max(map(_settling, cases)), max(case.mix.mean() for case in cases)
    warm = max(min(settled, total / 3), min(mean, total / 4))
    return Time(warm, total - warm, OVERDRAFT * work)


def _settling(case: Case) -> float:
    """Return the seconds in which the books fill: a few times as long as a start is in them twice."""
    return 2.5 * case.around


def rate(case: Case, seed: int) -> float:
    """Return the requests of a case in a second of its life, about."""
    return max(Campaign(case, seed).rate(PILOT), 1e-6)


def live(case: Case, seed: int, time: Time) -> Life:
    """Return what comes of a life."""
    return Campaign(case, seed).live(time)
