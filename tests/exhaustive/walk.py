"""Random walks through the small account: the production script on a real server, and a whole book in Python.

The search asks books that are put together from what matters of them. Here one book lives through a whole walk, and so
does the one in Lua. After each step both must have replied the same and know the same, and a book that is put together
must have replied the same too and know the same of what matters.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from admission.ledger.book import Book
from admission.ledger.requests import Beat, Who
from admission.ledger.wire import Code, Kind
from tests.exhaustive import kept
from tests.exhaustive.account import BEATS, FAR, STEP, Event, Job, Scope, ask, claimed, duty, events, reading
from tests.exhaustive.kept import READER, TEXT
from tests.exhaustive.search import Overshoot
from tests.lua import state
from tests.lua.shelf import Shelf

if TYPE_CHECKING:
    import redis

    from admission.ledger.requests import Request

BEGIN = 5
"""The moment of the first reading. A new epoch, which is how the account begins here, admits nobody before."""
SCOPES = tuple(
    Scope(limit, reservations=4, readings=3, steps=8, kinds=(Kind.HOLD, Kind.PLACE, Kind.TRACK), duration=duration)
    for duration in (FAR, 3)
    for limit in (1, 2)
)
"""What is walked through, which is wider than what is searched."""


class Away(AssertionError):
    """Two books differ."""


class Walk:
    """One path through an account, chosen by a seed.

    Args:
        client: The server; it is emptied.
        scope: How much may happen.
        seed: The seed.
    """

    def __init__(self, client: redis.Redis, scope: Scope, seed: int) -> None:
        self.scope = scope
        self.dice = random.Random(seed)
        self.now = 0
        self.jobs = [Job()] * scope.reservations
        self.reads: list[int] = []
        self.left = scope.readings
        self.story = [f"seed {seed}"]
        client.flushdb()
        self.shelf = Shelf(client, "acct")
        self.book = Book(0, cold=True)
        self._both(0, READER, Beat(0, 0, "", 0, ()))
        for at in range(BEATS[0], BEGIN * STEP + 1, BEATS[0]):
            self._both(at, READER, Beat(0, 0, "", 0, ()))
        self.now = BEGIN
        self._both(self.now * STEP, READER, reading(scope.limit, self.now, 0))
        self._pass_time()

    def run(self) -> int:
        """Walk on until nothing is left to happen; return the steps.

        Raises:
            Away: The books differ.
            Overshoot: More calls live than the limit.
        """
        steps = 0
        try:
            while self._step():
                steps += 1
                if sum(job.live for job in self.jobs) > self.scope.limit:
                    raise Overshoot(f"{self.scope.limit + 1} of {self.scope.limit}")
        except AssertionError as error:
            error.add_note("\n".join(self.story))
            raise
        return steps

    def _step(self) -> bool:
        """Let something happen; return whether anything could."""
        last = BEGIN + self.scope.steps
        claims = [name for name, job in enumerate(self.jobs) if job.kind < 0][:1]
        happens = claims + [name for name, job in enumerate(self.jobs) if job.kind >= 0 and self._events(name)]
        beside = [self._pass_time] * (self.now < last) + [self._write] * bool(self.reads)
        beside += [self._begin] * (self.left > 0 and self.now not in self.reads)
        chosen = self.dice.choice([*happens, *beside] or [None])
        if isinstance(chosen, int):
            self._happen(chosen)
        elif chosen is not None:
            chosen()
        # At the last moment a holder may beat for ever.
        return chosen is not None and (self.now < last or self.dice.random() < 0.9)

    def _events(self, name: int) -> list[Event]:
        return events(self.scope, self.jobs[name], self.now, name)

    def _happen(self, name: int) -> None:
        """Let something happen to a reservation; words first, so that the many ways to leave are no more likely."""
        if self.jobs[name].kind < 0:
            kind = self.dice.choice(self.scope.kinds)
            code = self._say(f"p{name}", ask(self.scope, kind, name))
            self.story.append(f"{self.now}: ask for r{name} as {kind.name.lower()}: {Code(code).name}")
            if code == Code.GRANTED:
                self.jobs[name] = claimed(kind, self.now)
            return
        found = self._events(name)
        word = self.dice.choice(sorted({event.what.split()[0] for event in found}))
        event = self.dice.choice([event for event in found if event.what.split()[0] == word])
        self.story.append(f"{self.now}: {event.what} r{name}")
        self.jobs[name] = event.after
        if event.request is not None:
            self._say(f"p{name}" if event.by_holder else READER, event.request)

    def _begin(self) -> None:
        self.story.append(f"{self.now}: begin to read")
        if self._say(READER, duty()) == Code.GRANTED:
            self.reads.append(self.now)
            self.left -= 1

    def _write(self) -> None:
        began = self.dice.choice(self.reads)
        surely = sum(job.live and job.accepted + 1 < began for job in self.jobs)
        count = self.dice.randint(min(surely, self.scope.limit), self.scope.limit)
        self.story.append(f"{self.now}: write {count} of {began}")
        self.reads.remove(began)
        self._say(READER, reading(self.scope.limit, began, count))

    def _pass_time(self) -> None:
        copy = self._copy()
        for after in BEATS:
            self._both(self.now * STEP + after, READER, Beat(0, 0, "", 0, ()))
        self.now += 1
        kept.pass_time(copy, self.now)
        self._same_in(copy)

    # The books

    def _say(self, process: str, request: Request) -> int:
        """Say something to all books; return the code of their reply."""
        copy = self._copy()
        code = self._both(self.now * STEP, process, request)
        (other, *_) = kept.say(copy, self.now * STEP, process, request)
        self._same("code of a book put together", code, other)
        self._same_in(copy)
        return code

    def _copy(self) -> Book:
        """Return a book that is put together from what matters of the whole one."""
        root, parts = kept.take(self.now, self.book, len(self.jobs))
        kinds = [job.kind for job in self.jobs]
        return kept.restore(self.now, self.scope.limit, root, list(zip(kinds, parts, strict=True)))

    def _same_in(self, copy: Book) -> None:
        names = len(self.jobs)
        self._same("book put together", kept.take(self.now, self.book, names), kept.take(self.now, copy, names))

    def _both(self, at_ms: int, process: str, request: Request) -> int:
        who = Who(process, self.book.epoch, TEXT)
        (expected,) = self.book.execute(at_ms, who, request)
        (found,) = self.shelf.execute(at_ms, who, request)
        self._same("reply", expected, found)
        mine, theirs = state.of_book(self.book), self.shelf.dump(at_ms)
        for part in mine:
            self._same(part, mine[part], theirs[part])
        return int(expected[0])

    @staticmethod
    def _same(what: str, expected: Any, found: Any) -> None:
        if expected != found:
            raise Away(f"{what}\n  book:  {expected!r}\n  other: {found!r}")
