"""An account's state as operators are shown it, and as programs get it: one JSON object. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from admission.values import Policy, Status

PARTS = ("held", "covered", "untracked", "pending")
"""What `in_use` is made of, in the order in which it is drawn."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What `in_use` is made of; the four add up to it.

    Attributes:
        held: Covered holds whose holder said `placed` and is alive.
        covered: What else the ledger holds booked and the newest reading includes.
        untracked: Calls in the count that the ledger does not hold booked.
        pending: Reservations that the newest reading does not surely include.
    """

    held: int
    covered: int
    untracked: int
    pending: int


@dataclass(frozen=True, slots=True)
class Note:
    """What an operator should know of a state.

    Attributes:
        level: `stop` when nobody is admitted by it, `look` when something is odd, `idle` when nothing is wrong.
        text: One sentence.
    """

    level: str
    text: str


def parts_of(status: Status) -> Parts:
    """Return what is in use, part by part."""
    booked = sum(lane.in_flight for lane in status.lanes)
    by_count = max(0, status.in_use - status.pending - status.held)
    covered = min(by_count, max(0, booked - status.pending - status.held))
    return Parts(status.held, covered, by_count - covered, status.pending)


def reading_of(status: Status, policy: Policy) -> str:
    """Return what the newest reading is worth: `none`, `young` (it admits) or `old`."""
    if status.usage_age is None:
        return "none"
    return "young" if status.usage_age <= policy.max_staleness else "old"


def kept_back(status: Status) -> int:
    """Return how many slots are not in use and cannot be claimed all the same."""
    return 0 if status.limit is None or status.free else max(0, status.limit - status.in_use)


def notes_of(status: Status, policy: Policy) -> list[Note]:
    """Return what an operator should know, the gravest first."""
    notes = [
        *([Note("stop", f"paused: {status.pause_reason}")] if status.paused else []),
        *_notes_on_reading(status, policy),
    ]
    if not notes and (back := kept_back(status)):
        why = "headroom, a cool-down, or a ledger that has just begun"
        notes.append(Note("look", f"{_count(back, 'slot is', 'slots are')} kept back: {why}"))
    if status.count is not None and status.count < status.held:
        why = "it miscounts, or visibility_lag is too low"
        notes.append(Note("look", f"the provider counts {status.count}, fewer than the {status.held} held: {why}"))
    notes += [Note("look", f"lane {lane.name} is paused: {lane.pause_reason}") for lane in status.lanes if lane.paused]
    return notes


def _notes_on_reading(status: Status, policy: Policy) -> list[Note]:
    waits = status.waiting > 0
    if status.limit is None or status.usage_age is None:
        text = "nobody is admitted until it is" if waits else "it is when somebody wants to dial"
        return [Note("stop" if waits else "idle", f"the provider was not read yet: {text}")]
    found = []
    if status.limit == 0:
        found.append(Note("stop", "the provider's limit is 0: nobody is admitted until it rises"))
    elif status.in_use > status.limit:
        text = f"{status.in_use} are in use of {status.limit}: nobody is admitted until use falls"
        found.append(Note("look", text))
    if reading_of(status, policy) == "old":
        text = "nobody is admitted until a new one comes" if waits else "a new one is taken when somebody wants to dial"
        found.append(Note("stop" if waits else "idle", f"the newest reading is {span(status.usage_age)} old: {text}"))
    return found


def json_of(status: Status, policy: Policy) -> dict[str, Any]:
    """Return a state for programs: the fields of `Status`, `parts`, `reading` and `notes`."""
    return {
        **asdict(status),
        "parts": asdict(parts_of(status)),
        "reading": reading_of(status, policy),
        "notes": [asdict(note) for note in notes_of(status, policy)],
    }


def span(seconds: float) -> str:
    """Return a time span for people."""
    if seconds < 100:  # noqa: PLR2004 - two digits are read at a glance
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.0f} h"  # noqa: PLR2004 - same


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
