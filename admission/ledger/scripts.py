"""The Lua of the ledger, ready to be sent: one script, which runs any number of requests of a process at one account.

It is put together from `lua/` at import. Most of what a request costs the server is the setting up of a script, so the
requests of one round trip share it. In the Lua files,

- the line `--@verbs` stands for every `lua/<verb>.lua`, one of which is run for each request;
- a line `--@include name` stands for `lua/include/name.lua`, unless what stands around it has it already: definitions.
  Every run makes anew the functions that the script defines, and a verb's are made for that verb only;
- a line `--@inline name` stands for it wherever it is named: steps that need no function;
- a word of `WORDS`, such as `GRANTED` or `OFFER_MS`, stands for what `wire.py` says;
- `keys.line` stands for a key's place among `KEYS`;
- a record is an array: `booked.settle` stands for its place in it, `NEW_RESERVATION` for a new one,
  `PACK_RESERVATION(booked)` and `UNPACK_RESERVATION(text)` for writing and reading one as text, from a place on where
  one is given. See `RECORDS`.

Knows no Redis client: who runs a script needs its source, its SHA1, the keys of the account and the arguments of the
request, all given here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from admission.errors import ConfigurationError
from admission.ledger import book, lanes, line, readings, room, wire
from admission.ledger.checks import Garbled, check, check_head
from admission.ledger.replies import HEAD
from admission.ledger.wire import Code

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from admission.ledger.requests import Request, Who
    from admission.ledger.wire import Wire

VERBS = (
    "ended", "ask", "claim", "placed", "leave", "withdraw", "beat", "refuse", "duty", "reading", "call_ended",
    "started", "status", "holders", "lane", "pause", "jumped",
)  # fmt: skip
"""What a request can be, the frequent first: that is the order in which the script looks."""
MOST_REQUESTS = 100
"""Requests that one run takes at most, since a server serves nobody else meanwhile."""
MOST_WANTED = 1_000
"""Records that one run names beforehand at most: Lua passes some thousands of arguments."""
BOOK_FORMAT = 1
"""The number of the format in which books are kept, which stands in each. It is raised whenever what is stored, or what
that means, changes: processes of another number refuse such a book, since they would misread it."""
KEYS = ("account", "pending", "due", "processes", "line", "lanes", "turns")
"""The keys of an account, in the order in which every script takes them."""

MOST_TOLD = 1 << 20
"""Length of the longest wake-up message that is looked at: some 30,000 seats. A lost one is made up for by a beat."""

SHORTEST_TTL_MS = 3_600_000
"""Keys live at least this long after the last request."""
NEVER_MS = 1 << 53
"""Later than any time."""

NONE = -(1 << 53)
"""Stands where a time is missing."""


class Field(NamedTuple):
    """How one field of a record is stored: its letters in Lua's `struct`, and what a new record holds."""

    letters: str
    new: int | str

    @property
    def literal(self) -> str:
        """What a new record holds, as Lua writes it."""
        return str(self.new) if isinstance(self.new, int) else f"'{self.new}'"


TEXT = Field("I4c0", "")
NAME = Field("I2c0", "")
SMALL = Field("B", 0)
SPAN = Field("I4", 0)
NUMBER = Field("d", 0)
UNSET = Field("d", -1)

RECORDS: Mapping[str, Mapping[str, Field]] = {
    "clock": {
        "last": NUMBER, "offset": NUMBER, "expires": NUMBER, "next_due": Field("d", NEVER_MS), "heard": NUMBER,
        "grace_until": NUMBER, "claimed": NUMBER, "gap": NUMBER, "lapsed": NUMBER, "last_score": NUMBER,
        "paced_until": NUMBER, "hinted": NUMBER, "gone": NUMBER,
    },
    "state": {
        "run_id": TEXT, "epoch": NUMBER, "opened": UNSET,
        "pause_at": NUMBER, "pause_on": SMALL, "pause_reason": TEXT,
        "refresh": NUMBER, "staleness": NUMBER, "lease": NUMBER, "headroom": NUMBER, "max_waiting": NUMBER,
        "lag": NUMBER, "duration": NUMBER, "pace": NUMBER,
        "limit": UNSET, "count": UNSET, "stamp": UNSET, "t0": UNSET, "t1": UNSET, "covers_to": UNSET,
        "earlier": UNSET, "earlier_answers": NUMBER, "earlier_since": NUMBER, "earlier_least": NUMBER,
        "earlier_most": NUMBER, "open_after": UNSET, "begun": UNSET, "reader": TEXT, "reader_until": NUMBER,
        "fails": NUMBER, "retry_at": NUMBER, "mean": NUMBER, "error": TEXT,
        "cool_span": NUMBER, "cool_since": UNSET, "cool_after": UNSET, "cool_until": NUMBER,
        "lanes_at": NUMBER,
        "seen": UNSET, "seen_at": NUMBER, "missed": NUMBER, "missed_gone": NUMBER,
    },
    "member": {
        "since": NUMBER, "heard": NUMBER, "policy": TEXT, "asked": UNSET, "barred": SMALL, "silent": SMALL,
        "span": NUMBER, "passed_until": NUMBER, "handed": TEXT, "handed_at": UNSET, "next_over": Field("d", NEVER_MS),
    },
    "reservation": {
        "process": NAME, "lane": NAME, "kind": SMALL, "claimed": NUMBER, "timeout": SPAN, "lag": SPAN, "placed": SMALL,
        "open": SMALL, "call_id": TEXT, "settle": Field("d", NONE), "over_at": Field("d", NONE), "held": SMALL,
    },
    "seat": {
        "process": NAME, "lane": NAME, "score": NUMBER, "rid": NAME, "kind": SMALL, "timeout": SPAN, "lag": SPAN,
        "duration": SPAN,
    },
    "lane": {
        "name": NAME, "at": NUMBER, "priority": UNSET, "weight": Field("I4", 1_000), "headroom": SPAN, "cap": SPAN,
        "promote": SPAN, "declared": NAME, "paused": SMALL, "reason": TEXT,
        "level": NUMBER, "start": NUMBER, "finish": NUMBER,
    },
}  # fmt: skip
"""What is stored of each, in this order. The names are those of `book.py` and its neighbours."""

WORDS: Mapping[str, str] = {
    **{
        word.name: str(word.value)
        for words in (wire.Code, wire.Kind, wire.Standing, wire.Outcome, wire.Word)
        for word in words
    },
    **{
        name: str(value)
        for module in (wire, book, line, readings)
        for name, value in vars(module).items()
        if name.endswith("_MS")
    },
    "BOOK_FORMAT": str(BOOK_FORMAT),
    "LEAST_AGREEING": str(readings.LEAST_AGREEING),
    "SHORTEST_TTL_MS": str(SHORTEST_TTL_MS),
    "NEVER_MS": str(NEVER_MS),
    "NONE": str(NONE),
    "COST_OF_WEIGHT": str(lanes.COST_OF_WEIGHT),
    "MOST_LANES": str(lanes.MOST_LANES),
    "UNPACED": str(room.UNPACED),
    "DEFAULT": f"'{wire.DEFAULT}'",
    "ONLOOKER": f"'{wire.ONLOOKER}'",
}
"""What stands for a number, or a text, in the Lua files."""

_DIRECTIVE = re.compile(r"--@(?:(include|inline) (\w+)|verbs)\n")
_SEAT = re.compile(r"\.[0-9a-f]{1,16}\.[0-9a-f]{1,16}")
_WORD = re.compile(r"\b[A-Z][A-Z_]+\b")
_RECORD = re.compile(r"\b(NEW|PACK|UNPACK)_([A-Z]+)\b(?:\(([\w\[\]]+)(, \w+)?\))?")
_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "keys": KEYS,
    "clock": tuple(RECORDS["clock"]),
    "state": tuple(RECORDS["state"]),
    **dict.fromkeys(("me", "member"), tuple(RECORDS["member"])),
    **dict.fromkeys(("booked", "kept", "twin"), tuple(RECORDS["reservation"])),
    "place": tuple(RECORDS["seat"]),
    **dict.fromkeys(("terms", "known", "other"), tuple(RECORDS["lane"])),
}
"""The variables of the Lua files that hold an array, and what is in it."""
_FIELD = re.compile(rf"\b({'|'.join(_VARIABLES)})\.(\w+)")


@dataclass(frozen=True, slots=True)
class Script:
    """What Redis runs.

    Attributes:
        source: Its Lua.
        sha: SHA1 of the source, by which `EVALSHA` calls it.
    """

    source: str
    sha: str


def assemble(**fragments: str) -> Script:
    """Return the script.

    Args:
        fragments: Lua to take in the place of an include of that name, as tests do with the clock.

    Raises:
        LookupError: The Lua names a record or a field that there is not.
    """
    lua = files("admission.ledger") / "lua"

    def expand(text: str, included: set[str]) -> str:
        return "".join(fragment(row, included) for row in text.splitlines(keepends=True))

    def fragment(row: str, included: set[str]) -> str:
        found = _DIRECTIVE.fullmatch(row)
        if found is None:
            return row
        how, name = found.groups()
        if how is None:
            return verbs(included)
        if how == "include" and name in included:
            return ""
        if how == "include":
            included.add(name)
        else:
            included = included.copy()
        return expand(fragments.get(name) or (lua / "include" / f"{name}.lua").read_text("utf-8"), included)

    def verbs(included: set[str]) -> str:
        branches = (
            f"if verb == '{verb}' then\n{expand((lua / f'{verb}.lua').read_text('utf-8'), included.copy())}"
            for verb in VERBS
        )
        return "else".join(branches) + "end\n"

    source = _resolve(expand((lua / "requests.lua").read_text("utf-8"), set()))
    return Script(source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def _resolve(source: str) -> str:
    """Put Lua in the place of what the module's docstring lists."""
    source = _RECORD.sub(lambda found: _record(*found.groups()), source)
    source = _WORD.sub(lambda found: WORDS.get(found[0], found[0]), source)
    return _FIELD.sub(lambda found: f"{found[1]}[{_place(found[1], found[2])}]", source)


def _place(variable: str, field: str) -> int:
    """Return a field's place in the array that a variable holds."""
    if field not in _VARIABLES[variable]:
        raise LookupError(f"the Lua files name {variable}.{field}, which there is not")
    return _VARIABLES[variable].index(field) + 1


def _record(what: str, name: str, argument: str, place: str | None) -> str:
    fields = RECORDS[name.lower()]
    letters = "<" + "".join(field.letters for field in fields.values())
    if what == "NEW":
        return f"{{{', '.join(field.literal for field in fields.values())}}}"
    if what == "UNPACK":
        return f"{{struct.unpack('{letters}', {argument}{place or ''})}}"
    values = [
        f"#{argument}[{place}], {argument}[{place}]" if field in {TEXT, NAME} else f"{argument}[{place}]"
        for place, field in enumerate(fields.values(), start=1)
    ]
    return f"struct.pack('{letters}', {', '.join(values)})"


SCRIPT = assemble()
"""The script, with the server's own clock."""


@lru_cache(maxsize=10_000)
def keys(account: str) -> tuple[str, ...]:
    """Return the keys of an account: the hash tag keeps them in one slot of a cluster."""
    return tuple(f"admission:{{{account}}}:{name}" for name in KEYS)


def arguments(run_id: str, who: Who, requests: Iterable[Request]) -> Wire:
    """Return what the script is called with: the server's `run_id` (or empty), who speaks, and what it says."""
    wanted: Wire = []
    said: Wire = []
    for request in requests:
        wanted += request.records()
        fields = request.fields()
        said += (request.verb, len(fields), *fields)
    del wanted[MOST_WANTED:]
    return [run_id, *who, len(wanted), *wanted, *said]


def replies(reply: Sequence[Any], requests: Sequence[Request]) -> list[Wire]:
    """Return what the script has returned as a reply for each request, head first; see `Head`.

    Args:
        reply: What came.
        requests: What was said.

    Raises:
        ConfigurationError: The book is another version's.
        Garbled: It is no reply to that.
    """
    other = other_format(reply)
    if other is not None:
        raise ConfigurationError(
            f"the account's book in this ledger is kept in format {other} by another version of admission; this one, "
            f"{version('admission')}, keeps format {BOOK_FORMAT}: run versions of one format on an account"
        )
    if not isinstance(reply, list) or len(reply) != HEAD - 1 + len(requests):
        raise Garbled("what came is no list of a head and a reply for each request")
    if not all(reply[HEAD - 1 :]) or not all(isinstance(answer, (int, list)) for answer in reply[HEAD - 1 :]):
        raise Garbled("a reply is neither a code nor a list")
    head = [_text(item) for item in reply[: HEAD - 1]]
    check_head(head)
    told = []
    for request, answer in zip(requests, reply[HEAD - 1 :], strict=True):
        code, *rest = [answer] if isinstance(answer, int) else answer
        tail = [_text(item) for item in rest]
        check(request, code, tail)
        told.append([code, *head, *tail])
    return told


def other_format(reply: object) -> int | None:
    """Return the format of the book where the script says that it is another version's; else `None`."""
    match reply:
        case [Code.OTHER_FORMAT, int(other)]:
            return other
    return None


def _text(item: int | str | bytes) -> int | str:
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else item


def wake_channel(process: str) -> str:
    """Return the channel on which a process is told its offers; see `seats_told`.

    Guards of one operating-system process share the part of their names before the dot, and with it the channel.
    """
    return f"admission:wake:{process.partition('.')[0]}"


def seats_told(message: object, token: str) -> dict[str, list[str]]:
    """Return what a wake-up message tells: processes, and seats of theirs that are offered slots.

    Anybody may publish to the channel, so whatever names no seat of an operating-system process's own is left out.

    Args:
        message: What came, text or bytes: the account, then seats, one a line.
        token: The part of the processes' names before the dot.
    """
    if not isinstance(message, (str, bytes)) or len(message) > MOST_TOLD:
        return {}
    text = message.decode("ascii", "replace") if isinstance(message, bytes) else message
    told: dict[str, list[str]] = {}
    for seat in text.split("\n")[1:]:
        if seat.startswith(f"{token}.") and _SEAT.fullmatch(seat, len(token)):
            told.setdefault(seat.rpartition(".")[0], []).append(seat)
    return told
