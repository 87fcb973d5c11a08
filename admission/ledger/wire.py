"""The words that both sides of the wire know: codes, spans, and how a policy and a lane travel.

Everything on the wire is a whole number of milliseconds, a small whole number, or a string. `requests.py` has what a
process says, `replies.py` what the ledger says back. No I/O, no clock.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from admission.values import Lane

if TYPE_CHECKING:
    from collections.abc import Iterable

Wire = list[int | str]
"""A reply as it travels."""

BEAT_MS = 1_000
"""A process with waiters, holds or open blocks is heard at least this often."""
OFFER_MS = 1_000
"""An offer not claimed within this time goes on to the next in line."""
PASS_MAX_MS = 8_000
"""Longest span for which a process that let offers lapse is passed over."""
COOL_MAX_MS = 30_000
"""Longest cool-down without the provider's own `Retry-After`."""
BACKOFF_MAX_MS = 5_000
"""Longest pause between two failing readings without the provider's own `Retry-After`."""
RETRY_MAX_MS = 300_000
"""Upper bound of every `retry_after`, told or obeyed."""
TOMBSTONE_MS = 600_000
"""How long a withdrawn seat is remembered, so that an ask still on its way cannot revive it."""
REMEMBER_MS = 3_600_000
"""How long call ids are remembered."""

LAST_MS = 10**13 - 1
"""The last time that thirteen digits can tell."""


class Code(IntEnum):
    """The first entry of every reply."""

    OK = 1
    GRANTED = 2
    IN_LINE = 3
    SATURATED = 4
    FULL = 5
    PAUSED = 6
    UNREAD = 7
    UNKNOWN = 8
    WITHDRAWN = 9
    FOREIGN = 10
    NOT_DUE = 11
    OVERLAPPING = 12
    TOO_OLD = 13
    CACHED = 14
    DISBELIEVED = 15
    LATE = 16
    NO_LANE = 17
    UNTRACKED = 18
    OTHER_FORMAT = 19


class Kind(IntEnum):
    """How a reservation was booked."""

    HOLD = 0
    PLACE = 1
    TRACK = 2
    STARTED = 3


class Standing(IntEnum):
    """Where a reservation stands in the book."""

    PENDING = 0
    COVERED = 1
    HELD = 2
    TRACKED = 3


class Outcome(IntEnum):
    """What became of an attempt to read the provider."""

    READ = 0
    PASSING = 1
    FINAL = 2
    ABANDONED = 3


class Word(IntEnum):
    """How lanes are told: by a guard's constructor, by an operator, or again after the ledger lost them."""

    DECLARE = 0
    SET = 1
    RETELL = 2


ONLOOKER = ",o"
"""How the policy's text ends of a process that has asked for no slot yet: it has no say in what is agreed."""


class PolicyWire(NamedTuple):
    """The account-wide part of a policy, milliseconds; processes that differ get the stricter of each."""

    refresh: int
    staleness: int
    lease: int
    headroom: int
    max_waiting: int
    lag: int
    duration: int
    pace: int
    """Microseconds from one start to the next at least, 0 for no limit."""

    def text(self) -> str:
        """Return it as one argument."""
        return ",".join(map(str, self))

    @property
    def opening(self) -> int:
        """How long after its beginning the readings of a new epoch admit nobody: one beat tells all bookings again."""
        return BEAT_MS + self.lag

    @classmethod
    def parse(cls, text: str) -> PolicyWire:
        """Read what `text` wrote."""
        return cls(*map(int, text.removesuffix(ONLOOKER).split(",")))

    @classmethod
    def agreed(cls, texts: Iterable[str]) -> PolicyWire:
        """Return the stricter of each setting of the processes heard, whose policies are `texts`; of one at least."""
        told = [*texts]
        # Whoever only looks on has no say, unless nobody else is there.
        policies = [cls.parse(text) for text in told if not text.endswith(ONLOOKER)] or [*map(cls.parse, told)]
        return cls(
            refresh=max(policy.refresh for policy in policies),
            staleness=min(policy.staleness for policy in policies),
            lease=max(policy.lease for policy in policies),
            headroom=max(policy.headroom for policy in policies),
            max_waiting=min(policy.max_waiting for policy in policies),
            lag=max(policy.lag for policy in policies),
            duration=max(policy.duration for policy in policies),
            pace=max(policy.pace for policy in policies),
        )


DEFAULT = "default"
"""The lane of callers that name none; it always exists."""


class LaneWire(NamedTuple):
    """One lane as it travels.

    Attributes:
        name: The lane.
        at: Ledger time of the newest word on it.
        priority: 0 is served first; -1 is the lowest of all that were told.
        weight: Its share in thousandths.
        headroom: Slots that it leaves free.
        cap: Most reservations at once, 0 for no cap.
        promote: Milliseconds of waiting that lift a waiter by one priority, 0 for never.
        declared: The settings that a guard's constructor told last, as `settings` has them; empty before the first.
        paused: 1 while it is paused.
        reason: The operator's reason.
    """

    name: str
    at: int = 0
    priority: int = -1
    weight: int = 1_000
    headroom: int = 0
    cap: int = 0
    promote: int = 0
    declared: str = ""
    paused: int = 0
    reason: str = ""

    @property
    def settings(self) -> str:
        """What can be set, as one text."""
        return f"{self.priority},{self.weight},{self.headroom},{self.cap},{self.promote}"

    def lane(self, lowest: int = 0) -> Lane:
        """Return the lane; one whose priority nobody told has the `lowest` of all.

        Raises:
            ConfigurationError: There can be no such lane.
        """
        return Lane(
            self.name,
            priority=self.priority if self.priority >= 0 else lowest,
            weight=self.weight / 1000,
            headroom=self.headroom,
            max_in_flight=self.cap or None,
            promote_after=self.promote / 1000 or None,
        )

    @staticmethod
    def rows(flat: Iterable[int | str]) -> list[LaneWire]:
        """Read lanes that follow one another in a reply."""
        items = iter(flat)
        return [
            LaneWire(str(row[0]), *map(int, row[1:7]), str(row[7]), int(row[8]), str(row[9]))  # type: ignore[arg-type,call-arg]  # in wire order
            for row in zip(*[items] * len(LaneWire._fields), strict=True)
        ]
