"""Whether what came as a reply is one of the ledger's. Pure.

Between a process and the ledger may stand what answers by itself: a proxy, another module, another version. A reply is
looked at once, here, before anybody acts on it, so that those who do can take it at its word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.errors import ConfigurationError
from admission.ledger.replies import HandOver, HolderWire, Verdict
from admission.ledger.requests import Pause
from admission.ledger.wire import Code, Kind, LaneWire, Standing

if TYPE_CHECKING:
    from admission.ledger.requests import Request
    from admission.ledger.wire import Wire

LARGEST = 1 << 53
"""No number of Lua's is whole beyond this."""

# The kinds of what follows one another: `n` a number, `t` a text.
_HEAD = "nnnnnnt"
_VERDICT = "nnnnnntt"
_ROW = "tnnnnnntnt"
_STATUS = "nnnnnnnnnnnt"
_HOLDER = "tttnnnnt"
_BEAT = "nnttnnnn"
_TAILS = {
    "ask": _VERDICT,
    "claim": _VERDICT,
    "refuse": _VERDICT,
    "withdraw": _VERDICT,
    "duty": "n",
    "reading": "nnnnnnn",
}
"""What the verbs add to the head whose replies have no lanes; the others add nothing."""


class Garbled(Exception):
    """What came as a reply is none of the ledger's."""


def check_head(head: Wire) -> None:
    """Check what the replies of one run have in common: the head but for its code.

    Raises:
        Garbled: It is no such head.
    """
    kinds = "".join(map(_kind, head))
    if kinds != _HEAD:
        raise Garbled(f"the head of a reply has other fields: {kinds[:40]}")
    _check_granted(head[-1])


def check(request: Request, code: object, tail: Wire) -> None:
    """Check a reply to a request: its code, what follows the head, and that it can be read.

    Raises:
        Garbled: It is not such a reply.
    """
    try:
        row, told = _rows(request, Code(code))  # type: ignore[arg-type]  # whatever it is
    except ValueError:
        raise Garbled(f"a reply to {request.verb!r} has no code") from None
    lanes = _number_of(row, len(told), tail, request)
    rest = "t" * (len(tail) - len(told) - lanes * len(row)) if request.verb == "beat" and told else ""
    kinds = "".join(map(_kind, tail))
    if type(code) not in {int, Code} or kinds != told + row * lanes + rest:
        raise Garbled(f"a reply to {request.verb!r} has other fields: {kinds[:40]}")
    check_one = _check_holder if request.verb == "holders" else _check_lane
    for place in range(len(told), len(told) + lanes * len(row), len(row) or 1):
        check_one(tail[place : place + len(row)])


def _kind(item: object) -> str:
    if type(item) is int and -LARGEST <= item <= LARGEST:
        return "n"
    return "t" if type(item) is str else "?"


def _rows(request: Request, code: Code) -> tuple[str, str]:
    """Return the kinds of one row, of a lane or a holder, where there are any, and of what comes before the rows."""
    if code is Code.FOREIGN:
        return "", ""
    match request.verb:
        case "status":
            return _ROW + "nn", _STATUS
        case "holders":
            return _HOLDER, "n"
        case "beat":
            return _ROW, _BEAT
        case "lane":
            return _ROW, "nt"
        case "pause":
            assert isinstance(request, Pause)  # noqa: S101 - its verb says so
            return (_ROW, "nt") if request.lane else ("", "n")
        case verb:
            return "", _TAILS.get(verb, "")


def _number_of(row: str, before: int, tail: Wire, request: Request) -> int:
    """Return how many lanes a reply tells; those of a beat are counted in it, since seats follow."""
    room = max(0, len(tail) - before) // len(row) if row else 0
    if request.verb != "beat" or not before or len(tail) < before:
        return room
    told = tail[before - 1]
    if not isinstance(told, int) or not 0 <= told <= room:
        raise Garbled("a beat's reply tells of other lanes than it says")
    return told


def _check_granted(text: int | str) -> None:
    try:
        handed = HandOver.parse(str(text))
    except ValueError:
        raise Garbled("a reply hands over what cannot be read") from None
    if not all(0 <= number <= LARGEST for one in handed for number in (one.number, one.claimed)):
        raise Garbled("a reply hands over at a time that is none")


def _check_lane(row: Wire) -> None:
    (lane,) = LaneWire.rows(row[: len(LaneWire._fields)])
    try:
        lane.lane()
    except ConfigurationError as error:
        raise Garbled(f"a reply tells of a lane that cannot be: {error}") from None


def _check_holder(row: Wire) -> None:
    (holder,) = HolderWire.rows(row)
    try:
        _ = Kind(holder.kind), Standing(holder.standing)
    except ValueError:
        raise Garbled("a reply tells of a reservation that cannot be") from None


assert len(_VERDICT) == len(Verdict._fields)  # noqa: S101 - they are one thing
assert len(_HOLDER) == len(HolderWire._fields)  # noqa: S101 - same
assert len(_ROW) == len(LaneWire._fields)  # noqa: S101 - same
