"""The book in Lua on a real server, spoken to like the one in Python: `tests.books` with another book behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from admission.ledger import scripts
from tests.books import POLICY, REFRESH, Desk
from tests.lua import state

if TYPE_CHECKING:
    import redis

    from admission.ledger.requests import Request, Who
    from admission.ledger.wire import Wire

START = 1_763_000_000_000
CLOCK = "local server_now_ms = tonumber(redis.call('GET', 'now'))\n"
SCRIPT = scripts.assemble(clock=CLOCK)
"""The script with a clock that is set by hand, in the key `now`."""


class Shelf:
    """One account's book on a server.

    Args:
        client: The server.
        account: The account.
        run_id: The server's run id, as the process knows it.
        by_hand: Whether the clock is set by hand, not the server's own.
    """

    def __init__(self, client: redis.Redis, account: str, *, run_id: str = "", by_hand: bool = True) -> None:
        self.client = client
        self.account = account
        self.run_id = run_id
        self.keys = dict(zip(scripts.KEYS, scripts.keys(account), strict=True))
        self._script = SCRIPT if by_hand else scripts.SCRIPT

    @property
    def epoch(self) -> int:
        """The epoch, 0 when there is no book."""
        text = self.client.hget(self.keys["account"], "state")
        return state.unpack("state", text)["epoch"] if text else 0

    def execute(self, now: int, who: Who, *requests: Request) -> list[Wire]:
        """Run requests when the server's clock shows `now`."""
        self.client.set("now", now)
        # Enumerations travel as the numbers they stand for.
        sent = [int(word) if isinstance(word, int) else word for word in scripts.arguments(self.run_id, who, requests)]
        reply = self.client.eval(self._script.source, len(self.keys), *self.keys.values(), *sent)
        return scripts.replies(reply, requests)

    def dump(self, ran_at: int) -> dict[str, Any]:
        """Return everything that the book knows, and check that its keys agree with one another."""
        return state.of_keys(
            [self.client.execute_command(*command) for command in state.commands(self.account)], ran_at
        )

    def contents(self) -> dict[str, Any]:
        """Return what the keys hold, byte by byte."""
        account, *others = self.keys.values()
        found = {key: self.client.zrange(key, 0, -1, withscores=True) for key in others}
        return {account: self.client.hgetall(account), **found}

    def ttls(self) -> list[int]:
        """Return the milliseconds left to every key; -1 for one that stays."""
        return [self.client.pttl(key) for key in self.keys.values()]


class LuaDesk(Desk):
    """Processes that speak to a book on a server.

    Args:
        client: The server.
        limit: The provider's limit. Given, the epoch is open and a reading of `count` calls has just been taken.
        count: The provider's count.
        account: The account.
        by_hand: Whether the clock is set by hand.
        policy: Settings of every process that differ from `POLICY`.
    """

    def __init__(
        self,
        client: redis.Redis,
        limit: int | None = None,
        count: int = 0,
        *,
        account: str = "acct",
        by_hand: bool = True,
        **policy: int,
    ) -> None:
        self.now = START
        self.shelf = self.book = Shelf(client, account, by_hand=by_hand)
        self.policy = POLICY._replace(**policy)
        self.policies = {}
        self.limit = -1
        self.beat()
        if limit is not None:
            self.open(limit, count)

    def open(self, limit: int, count: int = 0) -> None:
        """Let a new epoch's first beat pass, and take a reading."""
        self.now += REFRESH + self.policy.lag + 1
        self.reading(count, limit=limit)
        self.after(1)

    def dump(self) -> dict[str, Any]:
        """Return everything that the book knows, as after the last request."""
        return self.shelf.dump(self.now)
