"""The lanes of an account: what is told of them, and whose turn it is.

A better priority goes first. Within a priority the lanes share by weight, by start-time fair queuing (Goyal, Vin and
Cheng, 1996): a grant in a lane starts at `max(V, finish)` of the lane's virtual time, finishes `cost` later, and the
lane whose next grant would start first is served, where `V` is the newest start at that priority. So a lane that was
idle has no claim on the past, and its share went to the others. Only claims are charged; open offers are counted in.
No I/O, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from admission.ledger.wire import DEFAULT, Code, LaneWire, Word

if TYPE_CHECKING:
    from collections.abc import Callable

COST_OF_WEIGHT = 100_000_000
"""Virtual time of a grant, times the weight in thousandths."""
MOST_LANES = 100
"""Lanes of one account, at most."""


@dataclass(slots=True)
class Terms:
    """A lane's settings and its virtual time at the priority where it was served last."""

    told: LaneWire
    level: int = 0
    start: int = 0
    finish: int = 0

    @property
    def cost(self) -> int:
        """Virtual time of one grant."""
        return COST_OF_WEIGHT // self.told.weight


@dataclass(slots=True)
class LaneBook:
    """What is known of the lanes. Empty until a lane is told of; then `default` is among them."""

    terms: dict[str, Terms] = field(default_factory=dict)
    at: int = 0
    """When the newest word came."""

    def known(self, name: str) -> bool:
        """Whether there is such a lane."""
        return name == DEFAULT or name in self.terms

    def of(self, name: str) -> Terms:
        """Return a lane's terms; one that the ledger has lost is served as the default."""
        return self.terms.get(name) or self.terms.get(DEFAULT) or Terms(LaneWire(DEFAULT))

    def names(self) -> str:
        """Return the known lanes, for an error's text."""
        return ", ".join(sorted({DEFAULT, *self.terms}))

    # Words

    def tell(self, how: int, lanes: tuple[LaneWire, ...], now: int) -> tuple[Code, list[str]]:
        """Take words on lanes; return which lanes that changed."""
        if len({DEFAULT, *self.terms, *(lane.name for lane in lanes)}) > MOST_LANES:
            return Code.FULL, []
        changed = [lane.name for lane in lanes if self._tell(how, lane, now)]
        if changed:
            self._changed(now)
        return Code.OK, changed

    def _tell(self, how: int, lane: LaneWire, now: int) -> bool:
        known = self.terms.get(lane.name, Terms(LaneWire(lane.name))).told
        at = self._stamp(known, now)
        if how == Word.RETELL:
            news = lane if lane.at > known.at else known
        elif how == Word.SET:
            news = lane._replace(declared=known.declared, paused=known.paused, reason=known.reason, at=at)
        elif lane.settings == known.declared:
            news = known  # a process that begins anew says nothing new
        else:
            news = lane._replace(declared=lane.settings, paused=known.paused, reason=known.reason, at=at)
        if news == known:
            return False
        self._put(news)
        return True

    def pause(self, name: str, on: int, reason: str, now: int) -> Code:
        """Pause or resume one lane."""
        if not self.known(name):
            return Code.NO_LANE
        known = self.of(name).told
        self._put(known._replace(paused=on, reason=reason, at=self._stamp(known, now)))
        self._changed(now)
        return Code.OK

    def _stamp(self, known: LaneWire, now: int) -> int:
        """Return when a new word came, later than all before: one told again may be of a clock that was ahead."""
        return max(now, self.at + 1, known.at + 1)

    def _put(self, told: LaneWire) -> None:
        if told.name in self.terms:
            self.terms[told.name].told = told
        else:
            self.terms[told.name] = Terms(told)

    def _changed(self, now: int) -> None:
        self.at = max(now, self.at + 1)
        self.terms.setdefault(DEFAULT, Terms(LaneWire(DEFAULT)))

    # Turns

    def priority(self, terms: Terms) -> int:
        """Return a lane's priority; the default's is the lowest, unless it was told another."""
        if terms.told.priority >= 0:
            return terms.told.priority
        return max(0, *(other.told.priority for other in self.terms.values())) if self.terms else 0

    def level(self, terms: Terms, waited: int) -> int:
        """Return the priority of a waiter: `promote_after` lifts it by one for each such span of waiting."""
        promote = terms.told.promote
        lifted = max(0, waited) // promote if promote else 0
        return max(0, self.priority(terms) - lifted)

    def start(self, terms: Terms, level: int) -> int:
        """Return when, in virtual time, the lane's next grant at a priority starts."""
        newest = max((other.start for other in self.terms.values() if other.level == level), default=0)
        return max(newest, terms.finish) if terms.level == level else newest

    def ahead(self, name: str, rank: int, waiting: Callable[[str], int]) -> int:
        """Return how many are likely to be served before a caller that has `rank` others of its lane before it.

        `waiting` says how many wait in a lane.
        """
        mine = self.of(name)
        total = rank
        for other, terms in self.terms.items():
            if other == name:
                continue
            priority = self.priority(terms)
            if priority < self.priority(mine):
                total += waiting(other)
            elif priority == self.priority(mine):
                total += min(waiting(other), (rank + 1) * mine.cost // terms.cost)
        return total

    def charge(self, name: str, level: int) -> None:
        """A slot was granted in a lane, at a priority."""
        if not self.terms:
            return
        terms = self.of(name)
        terms.start = self.start(terms, level)
        terms.level = level
        terms.finish = terms.start + terms.cost
