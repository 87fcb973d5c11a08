"""Every order of what can happen to a few calls: a search through all states of a small account.

The truth and the book of the memory ledger go side by side. A few reservations may be asked for, dialled (accepted up
to the deadline, though the block was left by then), told of, left, hung up and told to be over, in any order that a
process can bring about. The windows of readings may overlap, and their count is any that the provider may tell. Time
passes in steps as long as the placement timeout and the visibility lag. States that are alike are visited once.

`python -m tests.exhaustive` visits the larger scope; the tests a smaller one.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from admission.ledger.book import Book
from admission.ledger.wire import Ask, Code, Duty, Ended, Kind, Leave, Outcome, Placed, PolicyWire, Reading, Who

if TYPE_CHECKING:
    from collections.abc import Iterator

    from admission.ledger.wire import Request, Wire

STEP = 1_000
"""Milliseconds from one moment to the next, of the placement timeout, and of the visibility lag."""
FAR = 10_000_000
"""Milliseconds that never pass here."""
POLICY = PolicyWire(
    refresh=1, staleness=FAR, lease=FAR, headroom=0, max_waiting=10, lag=STEP, duration=FAR, pace=0
).text()


class Overshoot(AssertionError):
    """One call too many, and how it came about."""


@dataclass(frozen=True)
class Scope:
    """How much may happen.

    Attributes:
        limit: The provider's.
        reservations, readings: How many there are.
        steps: Moments, from the first on.
        kinds: How reservations are booked, one after another.
    """

    limit: int
    reservations: int = 3
    readings: int = 2
    steps: int = 5
    kinds: tuple[Kind, ...] = (Kind.HOLD, Kind.PLACE, Kind.HOLD)


class Job(NamedTuple):
    """One reservation, and its call. Times are moments; -1 for never."""

    asked: bool = False
    claimed: int = -1
    accepted: int = -1
    live: bool = False
    told: bool = False
    left: bool = False
    over: bool = False


class Read(NamedTuple):
    """One reading: when it began, the count that the provider told (-1 before), and whether it was written."""

    t0: int = -1
    count: int = -1
    written: bool = False


class State(NamedTuple):
    """The truth; the book is kept beside it."""

    now: int
    jobs: tuple[Job, ...]
    reads: tuple[Read, ...]
    before: frozenset[int]
    """How many lived at one time or another in the moment before."""
    levels: frozenset[int]
    """The same, in this moment and up to now."""

    @property
    def live(self) -> int:
        return sum(job.live for job in self.jobs)

    def outline(self) -> tuple[object, ...]:
        """Return what of it decides what may happen next."""
        jobs = tuple(_what_counts(job, self.now) for job in self.jobs)
        return self.now, jobs, self.reads, self.before, self.levels


def _what_counts(job: Job, now: int) -> Job:
    """Forget the times of a job that decide nothing any more."""
    is_told = job.told or job.left
    may_be_accepted = job.accepted < 0 <= job.claimed and now <= job.claimed + 1 and not job.over
    return job._replace(
        claimed=job.claimed if job.claimed < 0 or may_be_accepted or not is_told else 0,
        accepted=job.accepted if job.accepted < 0 or not is_told else 0,
    )


class Search:
    """Visits every state of a scope.

    Args:
        scope: How much may happen.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.visited: set[tuple[object, ...]] = set()
        self.steps = 0
        self.admitted_again = 0
        """How often a slot was admitted on that an earlier call had."""

    def run(self) -> int:
        """Visit them all; return how many there are.

        Raises:
            Overshoot: In one of them more calls live than the limit.
        """
        scope = self.scope
        book = Book(0, cold=False)
        state = State(0, (Job(),) * scope.reservations, (Read(),) * scope.readings, frozenset({0}), frozenset({0}))
        self._say(book, 0, Reading(0, Outcome.READ, scope.limit, 0, -1, 0, ""))
        state = state._replace(now=1)
        todo = [(state, pickle.dumps(book, -1), ("begin",))]
        while todo:
            state, kept, story = todo.pop()
            for what, after, later in self._next(state, kept):
                self.steps += 1
                if after.live > scope.limit:
                    raise Overshoot(f"{after.live} of {scope.limit}: {', '.join((*story, what))}")
                key = after.outline(), _outline(later)
                if key not in self.visited:
                    self.visited.add(key)
                    todo.append((after, pickle.dumps(later, -1), (*story, what)))
        return len(self.visited)

    @staticmethod
    def _say(book: Book, now: int, request: Request) -> Wire:
        (reply,) = book.execute(now * STEP, Who("p", book.epoch, POLICY), request)
        return reply

    def _next(self, state: State, kept: bytes) -> Iterator[tuple[str, State, Book]]:
        """Yield everything that can happen next."""
        if state.now < self.scope.steps:
            later = state._replace(now=state.now + 1, before=state.levels, levels=frozenset({state.live}))
            yield f"{later.now}", later, pickle.loads(kept)
        for number, job in enumerate(state.jobs):
            yield from self._job(state, kept, number, job)
        for number, read in enumerate(state.reads):
            yield from self._read(state, kept, number, read)

    def _job(self, state: State, kept: bytes, number: int, job: Job) -> Iterator[tuple[str, State, Book]]:
        now, rid, kind = state.now, f"r{number}", self.scope.kinds[number]

        def after(what: str, request: Request | None, changed: Job, level: int = 0) -> tuple[str, State, Book]:
            book = pickle.loads(kept)
            if request is not None:
                self._say(book, now, request)
            jobs = (*state.jobs[:number], changed, *state.jobs[number + 1 :])
            levels = state.levels | {state.live + level}
            return f"{what} {rid}", state._replace(jobs=jobs, levels=levels), book

        if job.claimed < 0:
            # They are alike, so the first is asked for first.
            if number == 0 or state.jobs[number - 1].claimed >= 0 or self.scope.kinds[number - 1] != kind:
                book = pickle.loads(kept)
                reply = self._say(book, now, Ask(rid, rid, "default", kind, STEP, STEP, FAR, 0, 0))
                if reply[0] == Code.GRANTED:
                    self.admitted_again += any(other.accepted >= 0 and not other.live for other in state.jobs)
                    jobs = (*state.jobs[:number], job._replace(claimed=now), *state.jobs[number + 1 :])
                    yield f"claim {rid}", state._replace(jobs=jobs), book
            return
        if job.over:
            return
        in_time = now <= job.claimed + 1
        if job.accepted < 0 and in_time:
            yield after("accept", None, job._replace(accepted=now, live=True), +1)
        if job.live:
            yield after("hang up", None, job._replace(live=False), -1)
        if job.accepted >= 0 and not job.told and not job.left:
            age = (now - job.accepted) * STEP
            placed = Placed(rid, age, 0, 0, "", "default", kind, (now - job.claimed) * STEP, STEP, STEP, FAR)
            yield after("placed", placed, job._replace(told=True))
        if not job.left:
            by_value = job.accepted >= 0
            leave = Leave(rid, 0, int(by_value))
            yield after("leave" if by_value else "leave by an error", leave, job._replace(left=True))
            if job.accepted >= 0 and not job.live:
                yield after("ended", Ended(rid, ""), job._replace(left=True, over=True))
            if job.accepted < 0:
                # The caller knows that it has not dialled, and will not.
                yield after("cancel", Ended(rid, ""), job._replace(left=True, over=True))

    def _read(self, state: State, kept: bytes, number: int, read: Read) -> Iterator[tuple[str, State, Book]]:
        now = state.now

        def after(what: str, changed: Read, book: Book) -> tuple[str, State, Book]:
            reads = (*state.reads[:number], changed, *state.reads[number + 1 :])
            return f"{what} {number}", state._replace(reads=reads), book

        if read.t0 < 0:
            if number == 0 or state.reads[number - 1].t0 >= 0:
                book = pickle.loads(kept)
                if self._say(book, now, Duty(1, 1))[0] == Code.GRANTED:
                    yield after("begin", read._replace(t0=now), book)
        elif read.count < 0:
            # Whatever lived at any moment from a lag ago until now.
            for count in sorted(state.before | state.levels):
                yield after(f"see {count} in", read._replace(count=count), pickle.loads(kept))
        elif not read.written:
            book = pickle.loads(kept)
            reading = Reading(read.t0 * STEP, Outcome.READ, self.scope.limit, read.count, -1, 0, "")
            self._say(book, now, reading)
            yield after("write", read._replace(written=True), book)


def _outline(book: Book) -> tuple[object, ...]:
    """Return what of a book decides what it does next."""
    kept, readings = book.reservations, book.readings
    return (
        kept.t0,
        tuple(sorted(kept.pending.items())),
        tuple(sorted(kept.held)),
        tuple(sorted((rid, facts.placed, facts.open) for rid, facts in kept.facts.items())),
        (readings.count, readings.t0, readings.t1, readings.begun, readings.reader, readings.reader_until),
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.exhaustive", description=__doc__)
    parser.add_argument("--steps", type=int, default=5, help="moments (default: 5)")
    args = parser.parse_args()
    for limit in (1, 2):
        began = time.monotonic()
        search = Search(Scope(limit, steps=args.steps))
        states = search.run()
        print(
            f"limit {limit}: {states:,} states, {search.steps:,} steps between them, "
            f"{search.admitted_again:,} slots given anew, no overshoot; {time.monotonic() - began:.0f} s"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
