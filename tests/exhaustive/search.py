"""The search: every state that a small account can come into, each visited once.

What makes it quick enough, and why nothing is lost by it:

- A state belongs to one moment and time does not go back: when a moment's states are visited, they are forgotten.
- Reservations are interchangeable: a state is kept with them sorted. A book knows them by name only.
- A book is asked once: it has no clock and no dice, so in a state that it was in before it answers as it did before,
  earlier or later: of times it knows but how long ago they were.
  What is taken out of a book for that (`kept.Part` and `kept.Root`) is held against a whole book by `walk.py`.
- A message about one reservation leaves the book's other parts as they were, or the search fails: so only one moves.
- Two times are alike if every reading that may yet be written, and the newest, began on the same side of both: a book
  and the provider compare times with those alone (`Search._alike`).
- The provider looks just before its answer is written: the calls that it must count, those accepted a lag before the
  reading began and still live, only become fewer, so whatever count it may tell earlier it may tell then.
- What is over, left, and not booked any more is the same whatever it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from admission.ledger.requests import Ask
from admission.ledger.wire import Code, Kind
from tests.exhaustive import kept
from tests.exhaustive.account import FAR, NEVER, STEP, Event, Job, Scope, ask, claimed, duty, events, reading
from tests.exhaustive.kept import READER, Part, Root

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from admission.ledger.book import Book
    from admission.ledger.requests import Request

T = TypeVar("T", bound="Hashable")
BITS = 20
"""Numbers are smaller than two to this."""
MASK = (1 << BITS) - 1
HERE = 2 * FAR
"""The moment at which books are asked."""


class Overshoot(AssertionError):
    """One call too many, and how it came about."""


class Ground(NamedTuple):
    """What of a state is no reservation's.

    Attributes:
        now: The moment.
        reads: When each of the readings under way began.
        left: How many may yet begin.
        root: What the book knows of readings.
    """

    now: int
    reads: tuple[int, ...]
    left: int
    root: Root


class Numbers(dict[T, int]):
    """Numbers for things, and the things by number."""

    def __init__(self) -> None:
        super().__init__()
        self.things: list[T] = []

    def __missing__(self, thing: T) -> int:
        self[thing] = number = len(self.things)
        self.things.append(thing)
        return number


class Move(NamedTuple):
    """Something that happens beside the reservations: the new ground, and the parts of the book as they are then.

    Attributes:
        what: What it is.
        ground, parts: Their numbers.
        later: Whether it is time that passes.
        began, count: The reading that is written; `NEVER` for none.
    """

    what: str
    ground: int
    parts: tuple[int, ...]
    later: bool = False
    began: int = NEVER
    count: int = 0


class Search:
    """Visits every state of a scope.

    Args:
        scope: How much may happen.
        remember: Whether to keep how each state came about, to tell of an overshoot.
    """

    def __init__(self, scope: Scope, *, remember: bool = False) -> None:
        self.scope = scope
        self.states = self.steps = 0
        self.asked = 0
        """How often a book was asked."""
        self.admitted_again = 0
        """How often a slot was admitted on that an earlier call had."""
        self._came: dict[int, tuple[int, str]] | None = {} if remember else None
        self._grounds: Numbers[Ground] = Numbers()
        self._roots: Numbers[Root] = Numbers()
        self._jobs: Numbers[tuple[Job, Part]] = Numbers()
        self._truths: Numbers[Job] = Numbers()
        self._parts: Numbers[tuple[int, Part]] = Numbers()
        """What a book knows of a reservation, with its kind."""
        self._books: Numbers[tuple[int, ...]] = Numbers()
        """The numbers of a root and of parts; requests are about the first of them."""
        self._requests: Numbers[tuple[bool, Request]] = Numbers()
        """What is said, and whether the holder says it."""
        self._part_of: list[int] = []
        self._truth_of: list[int] = []
        self._live: list[int] = []
        self._over: list[bool] = []
        self._moves_of_job: dict[tuple[int, ...], dict[int, str]] = {}
        self._moves_of_ground: dict[tuple[int, ...], tuple[Move, ...]] = {}
        self._plans: dict[tuple[int, int], list[tuple[str, int, int | None]]] = {}
        self._replies: dict[int, tuple[int, int]] = {}
        self._acts: dict[tuple[object, ...], tuple[Root, tuple[int, ...]]] = {}
        self._found: dict[int, int] = {}
        self._fresh = self._number(Job(), Part())

    # Visiting

    def run(self) -> int:
        """Visit them all; return how many there are.

        Raises:
            Overshoot: In one of them more calls live than the limit.
        """
        ground = self._grounds[Ground(1, (), self.scope.readings, Root(-1, -1, 0))]
        layer = {self._pack(ground, [self._fresh] * self.scope.reservations)}
        while layer:
            layer = self._visit(layer)
        return self.states

    def _visit(self, seen: set[int]) -> set[int]:  # noqa: PLR0912 - the one loop, where calls cost
        """Visit all states of a moment; return those of the next."""
        todo, later = list(seen), set()
        live, part_of, fresh, came = self._live, self._part_of, self._fresh, self._came
        while todo:
            state = todo.pop()
            ground, jobs = self._unpack(state)
            parts = [part_of[job] for job in jobs]
            for place, job in enumerate(jobs):
                if place and jobs[place - 1] == job:
                    continue  # what happens to its like is the same
                others = jobs[:place] + jobs[place + 1 :]
                key = (ground, job, *parts[:place], *parts[place + 1 :])
                moves = self._moves_of_job.get(key)
                if moves is None:
                    moves = self._moves_of_job[key] = dict(self._move_job(ground, job, key[2:]))
                self.steps += len(moves)
                if job == fresh and any(self._over[other] for other in others):
                    self.admitted_again += len(moves)
                for after in moves:
                    new = self._pack(ground, [after, *others])
                    if new not in seen:
                        seen.add(new)
                        todo.append(new)
                        if came is not None:
                            came[new] = state, moves[after]
                        if live[after] and sum([live[other] for other in others]) == self.scope.limit:
                            raise Overshoot(self._story(new))
            for move, new in self._beside(ground, jobs, parts):
                self.steps += 1
                target = later if move.later else seen
                if new not in target:
                    target.add(new)
                    if target is seen:
                        todo.append(new)
                    if came is not None:
                        came[new] = state, move.what
        self.states += len(seen)
        return later

    def _beside(self, ground: int, jobs: list[int], parts: list[int]) -> Iterator[tuple[Move, int]]:
        """Yield what can happen beside the reservations, and the state after it."""
        moves = self._moves_of_ground.get((ground, *parts))
        if moves is None:
            moves = self._moves_of_ground[ground, *parts] = tuple(self._move_ground(ground, tuple(parts)))
        truths = [self._truth_of[job] for job in jobs]
        for move in moves:
            if move.began == NEVER or self._surely_counted(move.began, truths) <= move.count:
                after = [
                    self._moved(move.ground, truth, part) for truth, part in zip(truths, move.parts, strict=True)
                ]  # fmt: skip
                yield move, self._pack(move.ground, after)

    def _surely_counted(self, began: int, truths: list[int]) -> int:
        """Return how many calls every provider counts that keeps to the visibility lag."""
        calls = [self._truths.things[truth] for truth in truths]
        return sum([call.live and call.accepted + 1 < began for call in calls])

    @staticmethod
    def _pack(ground: int, jobs: list[int]) -> int:
        jobs.sort()
        for job in jobs:
            ground = ground << BITS | job
        return ground

    def _unpack(self, state: int) -> tuple[int, list[int]]:
        places = range((self.scope.reservations - 1) * BITS, -1, -BITS)
        return state >> self.scope.reservations * BITS, [state >> place & MASK for place in places]

    def _story(self, state: int) -> str:
        """Tell how a state came about."""
        if self._came is None:
            try:
                Search(self.scope, remember=True).run()
            except Overshoot as again:
                return str(again)
        story: list[str] = []
        while self._came and state in self._came:
            now, jobs = self._grounds.things[self._unpack(state)[0]].now, self._unpack(state)[1]
            true = [self._jobs.things[job][0] for job in jobs]
            lives = ", ".join(Kind(job.kind).name.lower() + " live" * job.live for job in true if job.kind >= 0)
            state, what = self._came[state]
            story.append(f"{now}: {what} [{lives}]")
        return f"{self.scope.limit + 1} of {self.scope.limit}\n" + "\n".join(reversed(story))

    # What can happen to a reservation

    def _move_job(self, ground: int, job: int, others: tuple[int, ...]) -> Iterator[tuple[int, str]]:
        """Yield what becomes of a reservation, and how; `others` are the parts of the others."""
        plan = self._plans.get((ground, job))
        if plan is None:
            plan = self._plans[ground, job] = self._plan(self._grounds.things[ground], self._jobs.things[job][0])
        own = self._part_of[job]
        book = self._books[self._roots[self._grounds.things[ground].root], own, *sorted(others)]
        for what, after, request in plan:
            code, part = (Code.OK, own) if request is None else self._say(book, request)
            if (new := self._moved(ground, after, part)) != job and (job != self._fresh or code == Code.GRANTED):
                yield new, what

    def _plan(self, ground: Ground, true: Job) -> list[tuple[str, int, int | None]]:
        """Return what can happen to a reservation: what it is, what is true then, and the request."""
        scope, now = self.scope, ground.now
        found = [Event(f"claim {kind.name.lower()}", claimed(kind, now), ask(scope, kind, 0)) for kind in scope.kinds]
        if true.kind >= 0:
            found = events(scope, true, now, 0)
        return [
            (what, self._truths[after], None if request is None else self._requests[by_holder, request])
            for what, after, request, by_holder in found
        ]

    def _say(self, book: int, request: int) -> tuple[int, int]:
        """Return a book's reply to a request about its first reservation, and what it knows of that then."""
        key = book << BITS | request
        found = self._replies.get(key)
        if found is None:
            root, *numbers = self._books.things[book]
            known, before = self._roots.things[root], [self._parts.things[part] for part in numbers]
            by_holder, said = self._requests.things[request]
            whole = self._book(known, before)
            reply = kept.say(whole, HERE * STEP, "p0" if by_holder else READER, said)
            after, (own, *others) = kept.take(HERE, whole, len(before))
            assert after == known
            assert others == [part for _, part in before[1:]]
            kind = said.kind if isinstance(said, Ask) else before[0][0]
            found = self._replies[key] = int(reply[0]), self._parts[kind, own]
        return found

    def _book(self, root: Root, parts: list[tuple[int, Part]]) -> Book:
        self.asked += 1
        return kept.restore(HERE, self.scope.limit, root, parts)

    # What can happen beside

    def _move_ground(self, number: int, parts: tuple[int, ...]) -> Iterator[Move]:
        """Yield what can happen beside the reservations: time passes, a reading begins, or is written."""
        scope, ground = self.scope, self._grounds.things[number]
        now, reads = ground.now, ground.reads
        if now < scope.steps:
            after = self._after(ground._replace(now=now + 1), *self._act(ground.root, parts, None))
            yield Move("time passes", *after, later=True)
        if ground.left and now not in reads:
            root, same = self._act(ground.root, parts, duty())
            if root.begun and not ground.root.begun:
                after = self._after(ground._replace(reads=(*reads, now), left=ground.left - 1), root, same)
                yield Move("begin to read", *after)
        for began in reads:
            others = ground._replace(reads=tuple([read for read in reads if read != began]))
            for count in range(scope.limit + 1):
                told = self._act(ground.root, parts, reading(scope.limit, HERE + began - now, count))
                yield Move(f"write {count} of {began}", *self._after(others, *told), began=began, count=count)

    def _act(self, root: Root, parts: tuple[int, ...], request: Request | None) -> tuple[Root, tuple[int, ...]]:
        """Return what a book knows after what the reader says, or after a moment has passed."""
        key = root, parts, request
        found = self._acts.get(key)
        if found is None:
            before = [self._parts.things[part] for part in parts]
            book = self._book(root, before)
            if request is None:
                kept.pass_time(book, HERE + 1)
            else:
                kept.say(book, HERE * STEP, READER, request)
            after, known = kept.take(HERE + (request is None), book, len(before))
            numbers = [self._parts[kind, part] for (kind, _), part in zip(before, known, strict=True)]
            found = self._acts[key] = after, tuple(numbers)
        return found

    def _after(self, ground: Ground, root: Root, parts: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        """Return the numbers of the ground and of the parts."""
        # The end of the newest reading decides what becomes of those that began before it, and whether one may now.
        if root.t1 < 0 and all(began - ground.now > root.t1 for began in ground.reads):
            root = root._replace(t1=NEVER)
        return self._grounds[ground._replace(root=root)], parts

    # What is alike

    def _number(self, job: Job, part: Part) -> int:
        number = self._jobs[job, part]
        if number == len(self._live):
            self._live.append(int(job.live))
            self._over.append(job.kind >= 0 and not job.live and job.until < 0)
            self._part_of.append(self._parts[job.kind, part])
            self._truth_of.append(self._truths[job])
        return number

    def _moved(self, ground: int, true: int, part: int) -> int:
        """Return the number of a reservation on some ground, of which the book knows a part."""
        key = (ground << BITS | true) << BITS | part
        found = self._found.get(key)
        if found is None:
            known = self._parts.things[part][1]
            found = self._found[key] = self._alike(self._grounds.things[ground], self._truths.things[true], known)
        return found

    def _alike(self, ground: Ground, job: Job, part: Part) -> int:
        """Return the one that stands for all reservations that nothing tells from this one any more."""
        now = ground.now
        if job.kind < 0:
            return self._fresh
        marks = list(ground.reads)
        if ground.left:
            marks += range(now, self.scope.steps + 1)
        if part.settle != NEVER:
            settle = min([mark - now for mark in marks if mark - now > part.settle], default=FAR) - 1
            part = part._replace(settle=settle)
        marks.append(now + ground.root.t0)

        def early(moment: int, last: int) -> int:
            """Return the latest moment, up to `last`, whose call settles on the same side of every mark."""
            return min(last, min([mark for mark in marks if mark > moment + 1], default=FAR) - 2)

        until, accepted = job.until, job.accepted
        if not job.here or job.told:
            until = until if job.may_be_accepted(now) else NEVER
        elif now > until:
            until = early(until, now - 1) if job.kind == Kind.HOLD else until if until == now - 1 else NEVER
        if accepted >= 0:
            accepted = early(accepted, now) if job.live or job.here else 0
        job = job._replace(until=until, accepted=accepted, told=job.told and job.here)
        if not part.open:
            part = part._replace(heard=NEVER)
        if not job.here and job.is_over(now):
            if not part.known:
                job, part = Job(int(Kind.HOLD)), Part()
            elif job.kind != Kind.TRACK:
                job = job._replace(accepted=NEVER)
        return self._number(job, part)
