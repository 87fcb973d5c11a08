"""The Lua of the ledger, ready to be sent: one script for every verb, put together from `lua/` at import.

A line `--@include name` is replaced by `lua/include/name.lua`, each fragment once. Knows no Redis client: who runs a
script needs its source, its SHA1, the keys of the account and the arguments of the request, all given here.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from admission.ledger.wire import Request, Who, Wire

VERBS = (
    "ask", "beat", "call_ended", "claim", "duty", "ended", "jumped", "leave", "pause", "placed", "reading", "refuse",
    "started", "status", "withdraw",
)  # fmt: skip
KEYS = ("account", "pending", "due", "processes", "line", "heads", "turns")
"""The keys of an account, in the order in which every script takes them."""

_INCLUDE = "--@include "


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

    source = expand((lua / f"{verb}.lua").read_text("utf-8"))
    return Script(verb, source, sha1(source.encode(), usedforsecurity=False).hexdigest())


SCRIPTS: Mapping[str, Script] = MappingProxyType({verb: assemble(verb) for verb in VERBS})
"""Every script, by verb."""


def keys(account: str) -> tuple[str, ...]:
    """Return the keys of an account: the hash tag keeps them in one slot of a cluster."""
    return tuple(f"admission:{{{account}}}:{name}" for name in KEYS)


def arguments(run_id: str, who: Who, request: Request) -> Wire:
    """Return what a script is called with: the server's `run_id` (or empty), who speaks, and the request."""
    return [run_id, who.process, who.epoch, who.policy, *request.fields()]


def wake_channel(process: str) -> str:
    """Return the channel on which a process is told its offers: the account, then seats, one a line.

    Guards of one operating-system process share the part of their names before the dot, and with it the channel.
    """
    return f"admission:wake:{process.partition('.')[0]}"
