"""The book in Python and the book in Lua are one: the same requests at the same times, the same replies and state.

`Trace` makes up requests as real processes would send them, and as they never should: late, twice, of an old epoch,
with ids that collide. After every step the replies, everything that the two books know, and the wakes are compared.
`ADMISSION_TRACES` multiplies the number of steps, for a longer run.
"""

from __future__ import annotations

import os
import random
from collections import deque
from importlib.resources import files
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from admission.ledger import scripts
from admission.ledger.book import Book
from admission.ledger.requests import (
    Ask,
    AskHolders,
    AskStatus,
    Beat,
    CallEnded,
    Claim,
    Duty,
    Ended,
    Entry,
    Jumped,
    Lanes,
    Leave,
    Pause,
    Placed,
    Reading,
    Refuse,
    Request,
    Started,
    Who,
    Withdraw,
)
from admission.ledger.wire import ONLOOKER, Code, Kind, LaneWire, Outcome, PolicyWire, Word
from tests.lua import state
from tests.servers import BINARIES, redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from admission.ledger.wire import Wire

LENGTH = int(os.environ.get("ADMISSION_TRACES", "1"))
START = 1_763_000_000_000
STEPS_PER_TRACE = 250
TRACES = 8 * LENGTH

CLOCK = "local server_now_ms = tonumber(redis.call('GET', 'now'))\n"
SORTED = (files("admission.ledger") / "lua" / "include" / "sorted.lua").read_text("utf-8")
# The first few of a line are fetched at once: so few here that the lines of a trace reach beyond them.
assert "local most = 16\n" in SORTED
SCRIPT = scripts.assemble(clock=CLOCK, sorted=SORTED.replace("local most = 16\n", "local most = 2\n"))

PAUSES = (0,) * 8 + (1, 1, 3, 50, 400, 999, 1_000, 1_001, 1_500, 3_000)
"""Milliseconds between two steps."""
LONG_PAUSES = (4_000, 7_000, 9_000, 11_000, 30_000, 61_000, 601_000, 3_601_000)
CALL_IDS = ("", "", "call", "CALL", "a\nb", "é\0 ü", "{x}:*?[", "x" * 400, "\U0001f4de")
POLICY = PolicyWire(
    refresh=1_000, staleness=15_000, lease=10_000, headroom=0, max_waiting=12, lag=2_000, duration=60_000, pace=0
)
POLICIES = (
    POLICY.text(),
    POLICY.text(),
    POLICY._replace(refresh=500, lease=6_000, max_waiting=5).text(),
    POLICY._replace(staleness=4_000, headroom=2, lag=5_000).text(),
    POLICY._replace(lease=30_000, duration=7_200_000).text(),
    POLICY._replace(pace=200_000).text(),
    POLICY._replace(pace=300).text(),
    POLICY._replace(lease=3_000, lag=9_000, headroom=5).text() + ONLOOKER,
)


class Away(AssertionError):
    """The two books differ."""


class Pair:
    """The two books of one account, side by side."""

    def __init__(self, client: redis.Redis, account: str) -> None:
        self.client = client
        self.account = account
        self.server_now = START
        self.wakes: list[tuple[str, str]] = []
        self.last = self.offset = 0
        self.run_id = "run 1"
        self.keys = scripts.keys(account)
        self.ear = client.pubsub()
        self.ear.psubscribe("admission:wake:*")
        assert self.ear.get_message(timeout=5)["type"] == "psubscribe"
        self.fresh()

    def close(self) -> None:
        self.ear.close()

    def fresh(self) -> None:
        """Both lose everything."""
        self.last = self.offset = 0
        self.book = Book(self.now, cold=True)
        self.client.flushdb()
        self.ran_at = self.now

    @property
    def now(self) -> int:
        return max(self.last, self.server_now + self.offset)

    # What happens to a server

    def new_server(self) -> None:
        """The server restarted or failed over, with its data."""
        self.run_id = f"run {int(self.run_id.split()[1]) + 1}"
        self.lost = True

    def lose(self, name: str) -> None:
        """The server lost one key."""
        self.client.delete(self.keys[scripts.KEYS.index(name)])
        if name == "account":
            self.last = self.offset = 0
            self.book = Book(self.now, cold=True)
        else:
            self.lost = True

    lost = False

    def say(self, who: Who, *requests: Request) -> list[Wire]:
        """Run requests in both, and compare everything; return the replies. Whom that wakes is in `wakes` then."""
        self.offset = self.book.behind = self.now - self.server_now
        self.last = now = self.now
        if self.lost and self.book.epoch:
            self.book._new_epoch(now, PolicyWire.parse(who.policy))
        self.lost = False
        self.book.heard = self.book.heard if self.book.epoch else now
        epoch = self.book.epoch
        expected = self.book.execute(now, who, *requests)
        if expected[0][0] != Code.FOREIGN or self.book.epoch != epoch:
            self.ran_at = now
        serving = self.book.serving
        self.wakes, serving.wakes = serving.wakes, []

        pipe = self.client.pipeline(transaction=False)
        pipe.set("now", self.server_now)
        sent = scripts.arguments(self.run_id, who, requests)
        # Enumerations travel as the numbers they stand for.
        numbers = (int(word) if isinstance(word, int) else word for word in sent)
        pipe.execute_command("EVALSHA", SCRIPT.sha, len(self.keys), *self.keys, *numbers)
        for command in state.commands(self.account):
            pipe.execute_command(*command)
        pipe.execute_command("PUBLISH", "admission:wake:", "over")
        _, reply, *dumped, _ = pipe.execute()
        self.same("reply", expected, scripts.replies(reply, requests))
        self.same("wakes", set(self.wakes), self.heard_wakes())
        mine, theirs = state.of_book(self.book), state.of_keys(dumped, self.ran_at)
        if mine != theirs:
            for part in mine:
                self.same(part, mine[part], theirs[part])
        return expected

    def heard_wakes(self) -> set[tuple[str, str]]:
        wakes = set()
        processes = set()
        while (message := self.ear.get_message(timeout=5))["channel"] != b"admission:wake:":
            process = message["channel"].decode().removeprefix("admission:wake:")
            account, *seats = message["data"].decode().split("\n")
            assert account == self.account
            assert process not in processes, "one message for each process and request"
            processes.add(process)
            wakes |= {(process, seat) for seat in seats}
        return wakes

    @staticmethod
    def same(what: str, expected: Any, found: Any) -> None:
        if expected != found:
            if isinstance(expected, dict):
                names = [name for name in {*expected, *found} if expected.get(name) != found.get(name)]
                expected = {name: expected.get(name) for name in names}
                found = {name: found.get(name) for name in names}
            raise Away(f"{what}\n  book: {expected!r}\n  keys: {found!r}")


class Trace:
    """Requests made up at random, most of them sensible.

    Args:
        pair: Who is told.
        dice: Where the choices come from.
    """

    def __init__(self, pair: Pair, dice: random.Random) -> None:
        self.pair = pair
        self.dice = dice
        self.names = count()
        self.processes = [f"p{index}" for index in range(dice.choice((1, 2, 5)))]
        self.policies = dict.fromkeys(self.processes, POLICY.text())
        self.limit = dice.choice((0, 1, 3, 6))
        self.stamp = 1_700_000_000_000_000
        self.rids: deque[str] = deque(maxlen=30)
        self.seats: deque[str] = deque(maxlen=30)
        self.sent: deque[tuple[Who, list[Request]]] = deque(maxlen=20)
        self.epochs: deque[int] = deque([0], maxlen=3)
        self.token = 0
        self.log: deque[str] = deque(maxlen=12)
        self.steady = dice.random() < 0.7
        """Whether the fleet is mostly heard, and the server mostly keeps its data."""
        self.lane_names = ("default", *dice.choice(((), ("bulk",), ("a", "b", "bulk"))))

    # Choices

    @property
    def now(self) -> int:
        return self.pair.now

    def one(self, options: Any) -> Any:
        return self.dice.choice(tuple(options))

    def rarely(self, chance: float) -> bool:
        return self.dice.random() < chance

    def rid(self) -> str:
        known = self.pair.book.reservations.facts
        if known and not self.rarely(0.15):
            return str(self.one(sorted(known)))
        return self.one(self.rids) if self.rids and not self.rarely(0.1) else f"r{next(self.names)}"

    def seat(self) -> str:
        line = self.pair.book.line
        options = sorted(line.offers) if line.offers and not self.rarely(0.2) else sorted(line.seats)
        if options and not self.rarely(0.15):
            return str(self.one(options))
        return self.one(self.seats) if self.seats and not self.rarely(0.3) else f"s{next(self.names)}"

    def new(self) -> tuple[str, str]:
        """Return a new seat and its reservation; sometimes a known one."""
        if self.rarely(0.1) and self.rids:
            return self.seat(), self.rid()
        name = next(self.names)
        self.rids.append(f"r{name}")
        self.seats.append(f"s{name}")
        return f"s{name}", f"r{name}"

    def call_id(self) -> str:
        return str(self.one(CALL_IDS)) if self.rarely(0.4) else f"call {self.dice.randrange(12)}"

    def age(self) -> int:
        return int(self.one((0, 0, 0, 1, 700, 2_500, 20_000)))

    def lane(self) -> str:
        return str(self.one(self.lane_names)) if not self.rarely(0.02) else self.one(("typo", "bulk", "a"))

    def terms(self) -> tuple[str, int, int, int, int]:
        """Return lane, kind, placement timeout, lag, longest duration."""
        kind = self.one((Kind.HOLD, Kind.HOLD, Kind.PLACE, Kind.TRACK))
        return (
            self.lane(),
            int(kind),
            5_000,
            self.one((500, 2_000)),
            self.one((60_000, 8_000, 3_600_000)),
        )

    # Requests

    def request(self) -> Request:
        """Make one up."""
        kinds = (
            (self.ask, 20), (self.claim, 14), (self.placed, 12), (self.leave, 7), (self.ended, 8), (self.refuse, 3),
            (self.withdraw, 4), (self.beat, 10), (self.duty, 6), (self.reading, 18), (self.started, 3),
            (self.call_ended, 3), (self.pause, 1), (AskStatus, 2), (self.lanes, 2),
            (self.holders, 2),
        )  # fmt: skip
        makers, weights = zip(*kinds, strict=True)
        if not self.steady and self.rarely(0.004):
            return Jumped()
        return self.dice.choices(makers, weights)[0]()

    def holders(self) -> Request:
        return AskHolders(int(self.one((0, 1, 3, 1_000))))

    def ask(self) -> Request:
        seat, rid = self.new()
        waited = self.one((0, 0, 0, 1, 1_500, 40_000))
        return Ask(seat, rid, *self.terms(), join=int(not self.rarely(0.15)), waited=waited)

    def claim(self) -> Request:
        seat = self.seat()
        rid = seat.replace("s", "r") if not self.rarely(0.1) else self.rid()
        self.rids.append(rid)
        return Claim(seat, rid, *self.terms())

    def placed(self) -> Request:
        lane, kind, timeout, lag, left = self.terms()
        late = int(self.rarely(0.15))
        return Placed(
            self.rid(), self.age(), late, int(self.rarely(0.3)), self.call_id() if self.rarely(0.6) else "", lane, kind,
            self.one((0, 3_000, 9_000)), timeout, lag, left,
        )  # fmt: skip

    def leave(self) -> Request:
        return Leave(self.rid(), self.age(), int(self.rarely(0.6)))

    def ended(self) -> Request:
        return Ended(self.rid(), self.call_id() if self.rarely(0.3) else "")

    def refuse(self) -> Request:
        seat = self.one(("", self.seat(), self.new()[0]))
        retry_after = self.one((0, 0, 0, 2_000, 400_000))
        return Refuse(self.rid(), self.age(), retry_after, seat, *self.terms())

    def withdraw(self) -> Request:
        return Withdraw(self.seat(), self.rid())

    def beat(self) -> Request:
        pause_at = self.one((0, 0, 0, self.now, self.now - 5_000)) if self.rarely(0.1) else 0
        entries = tuple(self.entry() for _ in range(self.one((0, 0, 0, 1, 2, 5))))
        lanes_at = self.pair.book.lanes.at if self.rarely(0.6) else 0
        return Beat(pause_at, int(self.rarely(0.4)), "told by a beat", lanes_at, entries)

    def entry(self) -> Entry:
        lane, kind, timeout, lag, _ = self.terms()
        settle = self.one((timeout + lag, 100, -1, -30_000))
        left = self.one((50_000, 10, 3_600_000))
        call_id = self.call_id() if self.rarely(0.2) else ""
        placed, still = int(self.rarely(0.5)), int(self.rarely(0.8))
        return Entry(self.rid(), lane, kind, self.age(), timeout, lag, placed, still, settle, left, call_id)

    def duty(self) -> Request:
        return Duty(self.one((200, 5_000)), int(self.rarely(0.2)))

    def reading(self) -> Request:
        readings = self.pair.book.readings
        began = self.one((self.now, self.now - 1, readings.begun, readings.t1, readings.t1 + 1, self.now - 20_000))
        t0 = int(self.now if self.rarely(0.6) else began)
        self.stamp += self.one((0, 1, 1, 1_000_000, -3_600_000_000))
        stamp = self.one((self.stamp, self.stamp, -1, readings.stamp))
        if self.rarely(0.1):
            self.limit = self.one((0, 1, 3, 6))
        calls = self.one((0, 0, 1, 2, self.limit, max(0, readings.count)))
        outcome = Outcome.READ if not self.rarely(0.2) else self.one(Outcome)
        error = "" if outcome == Outcome.READ else self.one(("503", "é\n\0"))
        return Reading(t0, int(outcome), self.limit, calls, stamp, self.one((0, 0, 7_000, 10**9)), error)

    def started(self) -> Request:
        _, rid = self.new()
        return Started(rid, self.call_id() or "call", self.age(), 2_000, self.one((60_000, 5_000, 7_200_000)))

    def call_ended(self) -> Request:
        return CallEnded(self.call_id() or "call")

    def pause(self) -> Request:
        lane = self.lane() if self.rarely(0.6) else ""
        return Pause(int(self.rarely(0.3)), self.one(("", "lunch", "é\n")), lane)

    def lanes(self) -> Request:
        how = self.one(Word)
        names = self.dice.sample(self.lane_names, self.dice.randrange(1, len(self.lane_names) + 1))
        return Lanes(int(how), tuple(self.told(name, how) for name in names))

    def told(self, name: str, how: Word) -> LaneWire:
        settings = LaneWire(
            name, 0, self.one((0, 0, 1, 2, 5)), self.one((1_000, 1_000, 3_000, 1, 333)), self.one((0, 0, 1, 2)),
            self.one((0, 0, 0, 1, 3)), self.one((0, 0, 500, 3_000)),
        )  # fmt: skip
        if how is not Word.RETELL:
            return settings
        at = self.one((0, self.now - 1_000, self.now, self.now + 5))
        priority = self.one((settings.priority, -1))
        return settings._replace(
            at=at, priority=priority, declared=self.one(("", "0,1000,0,0,0")), paused=int(self.rarely(0.2)), reason="é"
        )

    # Steps

    def step(self) -> None:
        """Let time pass, let something happen to the server, and say something."""
        self.pass_time()
        self.befall()
        if self.sent and self.rarely(0.06):
            who, requests = self.one(self.sent)
        else:
            requests = [self.request() for _ in range(self.one((1, 1, 2, 5)))]
            process = self.one(self.processes)
            request = requests[0]
            if isinstance(request, Claim) and not self.rarely(0.1) and request.seat in self.pair.book.line.seats:
                process = self.pair.book.line.seats[request.seat].process
            if isinstance(request, Reading) and self.rarely(0.7):
                process = self.pair.book.readings.reader or process
            if self.rarely(0.02):
                self.policies[process] = self.one(POLICIES)
            epoch = self.pair.book.epoch if not self.rarely(0.01) else self.one(self.epochs)
            who = Who(process, epoch, self.policies[process], self.learnt(process))
            self.sent.append((who, requests))
        self.log.append(f"{self.now} {who.process} epoch {who.epoch}: {requests}")
        self.pair.say(who, *requests)
        if self.pair.book.epoch != self.epochs[-1]:
            self.epochs.append(self.pair.book.epoch)

    def learnt(self, process: str) -> int:
        """Return the last hand-over that reached a process; replies may be lost, and waiters be slow."""
        if self.rarely(0.4):
            return -1
        member = self.pair.book.members.get(process)
        return int(self.one((member.handed_at, member.handed_at - 1, max(0, member.handed_at), 0))) if member else 0

    def pass_time(self) -> None:
        self.pair.server_now += self.one(PAUSES)
        if self.rarely(0.01 if self.steady else 0.04):
            self.pair.server_now += self.one(LONG_PAUSES)

    def befall(self) -> None:
        if self.rarely(0.005):
            self.pair.server_now -= self.one((1, 500, 3_600_000))
        if self.rarely(0.001 if self.steady else 0.01):
            what = self.dice.randrange(4)
            self.log.append(f"{self.now} befalls {what}")
            if what == 0:
                self.pair.fresh()
            elif what == 1:
                self.pair.new_server()
            else:
                self.pair.lose(self.one(scripts.KEYS))

    def run(self, steps: int) -> None:
        """Run steps; a difference is told with what led to it."""
        try:
            for _ in range(steps):
                self.step()
        except (Away, AssertionError) as error:
            error.add_note("\n".join(self.log))
            raise


@pytest.fixture(scope="module", params=BINARIES)
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    with redis_server(request.param) as server, server.client() as client:
        assert client.script_load(SCRIPT.source) == SCRIPT.sha
        yield client


def run(client: redis.Redis, dice: random.Random, steps: int) -> None:
    pair = Pair(client, "acct")
    try:
        Trace(pair, dice).run(steps)
    finally:
        pair.close()


@pytest.mark.parametrize("seed", range(TRACES))
def test_seeded_traces(client, seed):
    run(client, random.Random(seed), STEPS_PER_TRACE)


@settings(
    max_examples=10 * LENGTH,
    # No shrinking: a trace is no shorter for it, and what led to a difference is told.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(dice=st.randoms(use_true_random=False))
def test_traces_that_hypothesis_finds(client, dice):
    run(client, dice, 40)
