"""The accounting rule: which reservations are pending, covered or held, and what moves them.

    in_use = max(count, |held|) + |pending|

A reservation is pending until a reading that began after its settle time surely includes its call; then it is
covered, and a covered hold whose holder said `placed` and is alive is held. Reservations move between these by
name, so a message that arrives twice, late or out of order is harmless. Nothing here frees a slot early: a slot of a
covered call is free when the provider's own count says so. Whole milliseconds of ledger time; no I/O, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from admission.ledger.replies import HolderWire
from admission.ledger.wire import LAST_MS, REMEMBER_MS, Code, Kind, Standing

if TYPE_CHECKING:
    from collections.abc import Container

    from admission.ledger.requests import Entry

ENDED = ""
"""What a call id is bound to when its call is over."""


@dataclass(slots=True)
class Facts:
    """What the book knows of one reservation besides its place in it."""

    process: str
    lane: str
    kind: int
    claimed: int
    timeout: int
    lag: int
    placed: int = 0
    open: int = 0
    call_id: str = ""

    @property
    def tracked(self) -> bool:
        """Whether the booking stays known, by its call id, after it is covered, if its call was placed."""
        return self.kind in {Kind.TRACK, Kind.STARTED}

    @property
    def live(self) -> bool:
        """Whether its holder says that its call is live."""
        return bool(self.kind == Kind.HOLD and self.open and self.placed)


class Reservations:
    """Every booked reservation of one account.

    Args:
        alive: The processes that are heard.
    """

    def __init__(self, alive: Container[str]) -> None:
        self.alive = alive
        self.reset()

    def reset(self) -> None:
        """Forget everything, as a new epoch does."""
        self.t0: int = -1
        """When the newest reading began; settle times below it are covered."""
        self.facts: dict[str, Facts] = {}
        self.lanes: dict[str, set[str]] = {}
        """The reservations of each lane."""
        self.pending: dict[str, int] = {}
        """Settle time by reservation."""
        self.held: set[str] = set()
        self.until: dict[str, int] = {}
        """When `max_call_duration` is over, by reservation."""
        self.calls: dict[str, tuple[str, int]] = {}
        """Call id to (reservation or `ENDED`, when to forget it)."""
        self.forgetting: list[tuple[int, str]] = []
        """A heap of when to look whether a call id is to be forgotten: maybe too early, never too late."""
        self.gone: int = 0
        """How many live calls were left, ended or lapsed."""

    def in_use(self, count: int) -> int:
        """Return the slots in use when the provider counts `count`."""
        return max(count, len(self.held)) + len(self.pending)

    def in_flight(self, lane: str) -> int:
        """Return how many of a lane are booked."""
        return len(self.lanes.get(lane, ()))

    def young(self, t0: int) -> list[int]:
        """Return how long before `t0` each pending live call was accepted, in order."""
        settles = ((self.facts[rid], settle) for rid, settle in self.pending.items())
        ages = (t0 - (settle - facts.lag) for facts, settle in settles if facts.live)
        return sorted(age for age in ages if age > 0)

    def holders(self, most: int, now: int) -> list[HolderWire]:
        """Return who holds what, by its standing and its process; of more than `most` the first."""

        def place(rid: str) -> tuple[str, str, int, str]:
            facts = self.facts[rid]
            letter = "h" if rid in self.held else "o" if facts.open else "l"
            return letter, facts.process, min(LAST_MS, self.until.get(rid, LAST_MS)), rid

        return [self._holder(rid, now) for rid in sorted(self.facts, key=place)[:most]]

    def _holder(self, rid: str, now: int) -> HolderWire:
        facts = self.facts[rid]
        if rid in self.pending:
            standing = Standing.PENDING
        elif rid in self.held:
            standing = Standing.HELD
        else:
            standing = Standing.TRACKED if facts.tracked else Standing.COVERED
        age = now - facts.claimed
        return HolderWire(rid, facts.lane, facts.process, facts.kind, age, standing, facts.placed, facts.call_id)

    # What moves a reservation

    def claim(self, rid: str, facts: Facts, duration: int, now: int) -> None:
        """Book a claim: if its call is placed at all, it is placed within the placement timeout."""
        self._enter(rid, facts)
        self.until[rid] = now + duration
        self.pending[rid] = now + facts.timeout + facts.lag

    def placed(self, rid: str, at: int, call_id: str, recreate: Facts | None, left: int, now: int) -> Code:
        """The provider accepted the call at `at`.

        `recreate` is given for a call placed after its deadline: then `at` decides, whatever the book says.
        """
        if call_id and self._binding(call_id) == ENDED:
            self.ended(rid, call_id, now)
            return Code.OK
        facts = self.facts.get(rid)
        if facts is None:
            if recreate is None:
                return Code.UNKNOWN
            facts = self._enter(rid, recreate)
            self.until[rid] = now + left
        facts.placed = 1
        settle = at + facts.lag
        if recreate is not None:
            self.held.discard(rid)
            self.pending[rid] = settle
        elif rid in self.pending:
            self.pending[rid] = min(self.pending[rid], settle)
        if call_id:
            self._bind(rid, facts, call_id, now)
        self._review(rid)
        return Code.OK if recreate is None else Code.LATE

    def leave(self, rid: str, at: int, *, by_value: bool) -> Code:
        """The block was left at `at`. A pending slot is never freed at once: an abandoned dial may still land."""
        facts = self.facts.get(rid)
        if facts is None:
            return Code.UNKNOWN
        self._close(facts)
        if rid in self.pending and (by_value or facts.placed):
            self.pending[rid] = min(self.pending[rid], at + facts.lag)
        self._review(rid)
        return Code.OK

    def ended(self, rid: str, call_id: str, now: int) -> Code:
        """The call is surely over, or was surely never placed: out of the books at once."""
        facts = self.facts.get(rid)
        call_id = call_id or (facts.call_id if facts else "")
        if call_id:
            if twin := self._twin(rid, call_id):
                self._drop(twin)
            self._remember(call_id, ENDED, now + REMEMBER_MS)
        if facts is None:
            return Code.UNKNOWN
        self._close(facts)
        self._drop(rid)
        return Code.OK

    def call_ended(self, call_id: str, now: int) -> Code:
        """A call is over, by its id; an id that is not known yet is remembered as ended."""
        rid = self._binding(call_id) or ENDED
        return self.ended(rid, call_id, now)

    def call_started(self, rid: str, facts: Facts, at: int, duration: int, now: int) -> Code:
        """Book a call that the fleet did not place, unless it is known already."""
        if rid in self.facts or facts.call_id in self.calls:
            return Code.UNKNOWN
        self._enter(rid, facts)
        self.until[rid] = now + duration
        self.pending[rid] = at + facts.lag
        self._remember(facts.call_id, rid, max(now + REMEMBER_MS, self.until[rid]))
        self._review(rid)
        return Code.OK

    def listed(self, process: str, entry: Entry, now: int) -> None:
        """A beat lists a reservation: an open place block is extended, what was forgotten is booked again."""
        if entry.call_id and self._binding(entry.call_id) == ENDED:
            return
        settle = now + entry.settle
        facts = self.facts.get(entry.rid)
        if facts is None:
            claimed = now - entry.claimed
            facts = Facts(process, entry.lane, entry.kind, claimed, entry.timeout, entry.lag)
            self._enter(entry.rid, facts)
            self.until[entry.rid] = now + entry.left
        if not entry.open:
            self._close(facts)
        facts.open = entry.open
        facts.placed = max(facts.placed, entry.placed)
        may_still_dial = facts.open and not facts.placed and facts.kind != Kind.HOLD
        if entry.rid not in self.pending:
            self.held.discard(entry.rid)
            self.pending[entry.rid] = settle
        elif may_still_dial:
            self.pending[entry.rid] = max(self.pending[entry.rid], settle)
        if entry.call_id:
            self._bind(entry.rid, facts, entry.call_id, now)
        self._review(entry.rid)

    def reading(self, t0: int) -> None:
        """A reading that began at `t0` is the newest: cover what it surely includes."""
        self.t0 = t0
        for rid in [rid for rid, settle in self.pending.items() if settle < t0]:
            self._review(rid)

    def lapse_process(self, process: str) -> int:
        """A process was not heard for `lease_ttl`; return how many holds that takes out of held."""
        lapsed = 0
        for rid in [rid for rid, facts in self.facts.items() if facts.process == process and facts.open]:
            self._close(self.facts[rid])
            lapsed += rid in self.held
            self._review(rid)
        return lapsed

    def lapse(self, now: int) -> int:
        """Take out what `max_call_duration` is over for; return how many. A pending one keeps counting."""
        over = [rid for rid, until in self.until.items() if until <= now]
        for rid in over:
            del self.until[rid]
            self._close(self.facts[rid])
            self._review(rid)
        while self.forgetting and self.forgetting[0][0] <= now:
            _, call_id = heappop(self.forgetting)
            _, forget = self.calls.get(call_id, (ENDED, 0))
            if forget > now:
                heappush(self.forgetting, (forget, call_id))
            else:
                self.calls.pop(call_id, None)
        return len(over)

    # How it is kept

    def _review(self, rid: str) -> None:
        """Put a reservation where it belongs: pending, held, covered and known, or out."""
        facts = self.facts[rid]
        if rid in self.pending:
            if self.pending[rid] >= self.t0:
                return
            del self.pending[rid]
        live = facts.open and rid in self.until
        if live and facts.kind == Kind.HOLD and facts.placed and facts.process in self.alive:
            self.held.add(rid)
            return
        self.held.discard(rid)
        if not live and not (facts.tracked and facts.placed and rid in self.until):
            self._drop(rid)

    def _close(self, facts: Facts) -> None:
        self.gone += facts.live
        facts.open = 0

    def _enter(self, rid: str, facts: Facts) -> Facts:
        self.facts[rid] = facts
        self.lanes.setdefault(facts.lane, set()).add(rid)
        return facts

    def _drop(self, rid: str) -> None:
        self.lanes[self.facts.pop(rid).lane].remove(rid)
        self.pending.pop(rid, None)
        self.held.discard(rid)
        self.until.pop(rid, None)

    def _remember(self, call_id: str, rid: str, forget: int) -> None:
        _, before = self.calls.get(call_id, (ENDED, LAST_MS))
        self.calls[call_id] = (rid, forget)
        # A beat tells the same ids again and again, mostly with a later time: that needs no second look.
        if forget < before:
            heappush(self.forgetting, (forget, call_id))

    def _binding(self, call_id: str) -> str | None:
        return self.calls.get(call_id, (None, 0))[0]

    def _bind(self, rid: str, facts: Facts, call_id: str, now: int) -> None:
        """Bind a call id; a call that was reported as started under it merges into the reservation."""
        twin = self._twin(rid, call_id)
        facts.call_id = call_id
        self._remember(call_id, rid, max(now + REMEMBER_MS, self.until.get(rid, 0)))
        if twin:
            if rid in self.pending:
                self.pending[rid] = min(self.pending[rid], self.pending.get(twin, -1))
            self._drop(twin)

    def _twin(self, rid: str, call_id: str) -> str | None:
        """Return the other reservation under a call id, if it was booked when the call was reported as started.

        Any other under the same id is a caller's mistake and keeps its slot: two calls may be live.
        """
        other = self._binding(call_id)
        if other and other != rid and other in self.facts and self.facts[other].kind == Kind.STARTED:
            return other
        return None
