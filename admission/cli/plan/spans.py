"""How long calls last: spans as they are written on the command line, and mixes of them."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = 3_600.0
"""Seconds of a call, at most."""
DRAWN = 2_048
"""Lengths that are drawn to find out how long calls go on that live at some moment."""
_NORMAL_P95 = 1.6448536269514722
"""The 95th percentile of the standard normal distribution."""


class Shape(StrEnum):
    """How the lengths of a span are spread."""

    EXPONENTIAL = "exponential"
    EVEN = "even"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds, by chance; none is longer than an hour.

    Attributes:
        shape: How they are spread.
        low: The mean (exponential), the least (even), or the median (log-normal).
        high: The most (even), or the 95th percentile (log-normal); the same as `low` where there is one number.
    """

    shape: Shape
    low: float
    high: float

    @classmethod
    def parse(cls, text: str) -> Span:
        """Read `60` (exponential of that mean), `20-40` (even), or `75~300` (log-normal: median and 95th percentile).

        Raises:
            ValueError: It is none of these, or out of 0 to 3,600 seconds.
        """
        for mark, shape in (("~", Shape.LOGNORMAL), ("-", Shape.EVEN)):
            low, found, high = text.partition(mark)
            if found:
                return cls(shape, *_ordered(float(low), float(high), least=0.01 if mark == "~" else 0.0))
        return cls(Shape.EXPONENTIAL, *_ordered(float(text), float(text), least=0.01))

    def text(self) -> str:
        """Return it as it is written."""
        mark = {Shape.LOGNORMAL: "~", Shape.EVEN: "-"}.get(self.shape)
        return f"{self.low:g}" if mark is None else f"{self.low:g}{mark}{self.high:g}"

    def mean(self) -> float:
        """Return the mean, the longest not cut off."""
        match self.shape:
            case Shape.EXPONENTIAL:
                return self.low
            case Shape.EVEN:
                return (self.low + self.high) / 2
            case Shape.LOGNORMAL:
                return self.low * math.exp(self._sigma() ** 2 / 2)

    def draw(self, dice: random.Random) -> float:
        """Return one length."""
        match self.shape:
            case Shape.EXPONENTIAL:
                span = dice.expovariate(1 / self.low)
            case Shape.EVEN:
                span = dice.uniform(self.low, self.high)
            case Shape.LOGNORMAL:
                span = self.low * dice.lognormvariate(0, self._sigma())
        return min(LONGEST, span)

    def _sigma(self) -> float:
        return math.log(self.high / self.low) / _NORMAL_P95


def _ordered(low: float, high: float, *, least: float) -> tuple[float, float]:
    if not least <= low <= high <= LONGEST:
        raise ValueError(f"not in order, or not from {least:g} to {LONGEST:g}")
    return low, high


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way in which calls go.

    Attributes:
        name: What it is.
        share: How often it is, in proportion to the others.
        span: How long it takes from the provider's acceptance, or from the answer where it is `answered`.
        answered: Whether it rings first.
    """

    name: str
    share: float
    span: Span
    answered: bool = False


USUAL = (
    Outcome("no-answer", 30, Span(Shape.EVEN, 20, 30)),
    Outcome("busy", 5, Span(Shape.EVEN, 0.5, 2)),
    Outcome("failed", 5, Span(Shape.EVEN, 0.5, 2)),
    Outcome("voicemail", 35, Span(Shape.EVEN, 20, 40), answered=True),
    Outcome("human", 25, Span(Shape.LOGNORMAL, 75, 300), answered=True),
)
"""How calls of outbound campaigns go."""
RING = Span(Shape.EVEN, 6, 22)
"""How long they ring until somebody answers."""


@dataclass(frozen=True, slots=True)
class Mix:
    """What calls there are.

    Attributes:
        outcomes: How they go; the shares add up to more than nothing.
        ring: How long those ring that are answered.
    """

    outcomes: tuple[Outcome, ...] = USUAL
    ring: Span = RING

    @classmethod
    def plain(cls, span: Span) -> Mix:
        """Return calls of one kind."""
        return cls((Outcome("call", 1, span),))

    def mean(self) -> float:
        """Return the mean seconds of a call."""
        total = sum(outcome.share for outcome in self.outcomes)
        return (
            sum(
                outcome.share * (outcome.span.mean() + self.ring.mean() * outcome.answered) for outcome in self.outcomes
            )
            / total
        )

    def draw(self, dice: random.Random) -> float:
        """Return the seconds of one call."""
        outcome = dice.choices(self.outcomes, [outcome.share for outcome in self.outcomes])[0]
        ring = self.ring.draw(dice) if outcome.answered else 0.0
        return min(LONGEST, ring + outcome.span.draw(dice))


class Rests:
    """How much longer calls go on that live at some moment.

    The longer a call, the more likely it is met, at an even moment of its time.

    Args:
        kind: What calls there are.
        seed: Of the lengths that are drawn.
    """

    def __init__(self, kind: Mix | Span, seed: str) -> None:
        dice = random.Random(seed)  # noqa: S311 - a simulation, no secret
        self._lengths: Sequence[float] = [kind.draw(dice) for _ in range(DRAWN)]
        self._weights = list(itertools.accumulate(self._lengths))

    def draw(self, dice: random.Random) -> float:
        """Return the seconds that one goes on."""
        return dice.random() * dice.choices(self._lengths, cum_weights=self._weights)[0]
