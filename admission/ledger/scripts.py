"""The Lua of the ledger, ready to be sent: one script for every verb, put together from `lua/` at import.

In the Lua files,

- a line `--@include name` stands for `lua/include/name.lua`, each fragment once;
- a word of `WORDS`, such as `GRANTED` or `OFFER_MS`, stands for its number in `wire.py`;
- a field of a record, such as `booked.settle`, stands for its place in the array that is stored: see `RECORDS`.

Knows no Redis client: who runs a script needs its source, its SHA1, the keys of the account and the arguments of the
request, all given here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from admission.ledger import book, readings, wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from admission.ledger.wire import Request, Who, Wire

VERBS = (
    "ask", "beat", "call_ended", "claim", "duty", "ended", "jumped", "leave", "pause", "placed", "reading", "refuse",
    "started", "status", "withdraw",
)  # fmt: skip
KEYS = ("account", "pending", "due", "processes", "line", "heads", "turns")
"""The keys of an account, in the order in which every script takes them."""

SHORTEST_TTL_MS = 3_600_000
"""Keys live at least this long after the last request."""
NEVER_MS = 1 << 53
"""Later than any time."""

RECORDS: Mapping[str, Mapping[str, int | bool | str]] = {
    "clock": {
        "last": 0, "offset": 0, "expires": 0, "next_due": NEVER_MS, "heard": 0, "grace_until": 0, "claimed": 0,
        "gap": 0, "lapsed": 0, "last_score": 0,
    },
    "state": {
        "epoch": 0, "opened": -1, "run_id": "", "pause_at": 0, "pause_on": 0, "pause_reason": "", "refresh": 0,
        "staleness": 0, "lease": 0, "headroom": 0, "max_waiting": 0, "lag": 0, "duration": 0, "limit": -1, "count": -1,
        "stamp": -1, "t0": -1, "t1": -1, "covers_to": -1, "earlier": -1, "open_after": -1, "begun": -1, "reader": "",
        "reader_until": 0, "fails": 0, "retry_at": 0, "mean": 0, "error": "", "cool_span": 0, "cool_since": -1,
        "cool_after": -1, "cool_until": 0,
    },
    "member": {
        "since": 0, "heard": 0, "policy": "", "asked": -1, "barred": False, "silent": False, "span": 0,
        "passed_until": 0,
    },
    "reservation": {
        "process": "", "lane": "", "kind": 0, "claimed": 0, "timeout": 0, "lag": 0, "placed": 0, "open": 0,
        "call_id": "", "settle": False, "over_at": False, "held": False,
    },
}  # fmt: skip
"""What is stored of each, in this order, and what a new one holds: `NEW_CLOCK` and so on. The names are those of
`book.py`; `settle` is false when a reservation is covered, `over_at` when `max_call_duration` is over."""

WORDS: Mapping[str, str] = {
    **{word.name: str(word.value) for words in (wire.Code, wire.Kind, wire.Outcome) for word in words},
    **{
        name: str(value)
        for module in (wire, book, readings)
        for name, value in vars(module).items()
        if name.endswith("_MS")
    },
    "SHORTEST_TTL_MS": str(SHORTEST_TTL_MS),
    "NEVER_MS": str(NEVER_MS),
}
"""What stands for a number in the Lua files."""

_INCLUDE = "--@include "
_WORD = re.compile(r"\b[A-Z][A-Z_]+\b")
_VARIABLES = {
    "clock": "clock", "state": "state", "me": "member", "member": "member", "booked": "reservation",
    "kept": "reservation", "twin": "reservation",
}  # fmt: skip
_FIELD = re.compile(rf"\b({'|'.join(_VARIABLES)})\.(\w+)")
_PLACES = {
    record: {name: place for place, name in enumerate(fields, start=1)} for record, fields in RECORDS.items()
}


@dataclass(frozen=True, slots=True)
class Script:
    """One verb as Redis runs it.

    Attributes:
        verb: The verb.
        source: Its Lua.
        sha: SHA1 of the source, by which `EVALSHA` calls it.
    """

    verb: str
    source: str
    sha: str


def assemble(verb: str, **fragments: str) -> Script:
    """Return the script of a verb.

    Args:
        verb: The verb.
        fragments: Lua to take in the place of an include of that name, as tests do with the clock.

    Raises:
        KeyError: The Lua names a field that the record does not have.
    """
    lua = files("admission.ledger") / "lua"
    included: set[str] = set()

    def expand(text: str) -> str:
        return "".join(include(line) for line in text.splitlines(keepends=True))

    def include(line: str) -> str:
        if not line.startswith(_INCLUDE):
            return line
        name = line.removeprefix(_INCLUDE).strip()
        if name in included:
            return ""
        included.add(name)
        return expand(fragments.get(name) or (lua / "include" / f"{name}.lua").read_text("utf-8"))

    source = _resolve(expand((lua / f"{verb}.lua").read_text("utf-8")))
    return Script(verb, source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def _resolve(source: str) -> str:
    """Put numbers in the place of words and of fields."""
    new = {f"NEW_{record.upper()}": _literal(fields) for record, fields in RECORDS.items()}
    words = {**WORDS, **new}
    source = _WORD.sub(lambda found: words.get(found[0], found[0]), source)
    return _FIELD.sub(lambda found: f"{found[1]}[{_PLACES[_VARIABLES[found[1]]][found[2]]}]", source)


def _literal(fields: Mapping[str, int | bool | str]) -> str:
    """Return a new record as Lua writes it."""
    return "{" + ", ".join(str(value).lower() if value != "" else "''" for value in fields.values()) + "}"


SCRIPTS: Mapping[str, Script] = MappingProxyType({verb: assemble(verb) for verb in VERBS})
"""Every script, by verb."""


def keys(account: str) -> tuple[str, ...]:
    """Return the keys of an account: the hash tag keeps them in one slot of a cluster."""
    return tuple(f"admission:{{{account}}}:{name}" for name in KEYS)


def arguments(run_id: str, who: Who, request: Request) -> Wire:
    """Return what a script is called with: the server's `run_id` (or empty), who speaks, and the request."""
    return [run_id, who.process, who.epoch, who.policy, *request.fields()]


def wake_channel(process: str) -> str:
    """Return the channel on which a process is told its offers: the account, then seats, one a line."""
    return f"admission:wake:{process}"
