"""`status`, `pause`, `resume`: the account as the ledger sees it, and a switch for the whole fleet."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from admission.cli.exits import OK, code_of
from admission.cli.text import hide, log_to_stderr, say, table, write
from admission.errors import AdmissionError, ConfigurationError, LedgerUnavailable
from admission.guard import Guard
from admission.ledger.memory import MemoryLedger

if TYPE_CHECKING:
    from admission.values import LaneStatus, Status


def has_fleet() -> bool:
    """Whether the environment names a ledger that processes share."""
    return bool(os.environ.get("ADMISSION_REDIS_URL"))


def status(*, as_json: bool) -> int:
    """Show the account: read the provider, then tell what the ledger makes of it.

    With a shared ledger its state is shown even when the provider cannot be read; the exit code then tells of it.
    """
    log_to_stderr(on=False)
    shared = has_fleet()
    with Guard.from_env() if shared else Guard.from_env(ledger=MemoryLedger()) as guard:
        fault: AdmissionError | None = None
        try:
            state = guard.refresh()
        except LedgerUnavailable:
            raise
        except AdmissionError as error:
            if not shared:
                raise
            fault = error
            state = guard.status()
    if as_json:
        write(json.dumps({**asdict(state), "provider_error": None if fault is None else hide(str(fault))}))
    else:
        write(table(_rows(state, shared=shared)))
    if fault is None:
        return OK
    say(f"{fault} (shown is what the ledger knows)")
    return code_of(fault)


def _rows(state: Status, *, shared: bool) -> list[tuple[str, str]]:
    age = "no reading yet" if state.usage_age is None else f"{state.usage_age:.1f} s"
    paused = f"yes: {hide(state.pause_reason)}" if state.paused else "no"
    seen = state.visibility_lag_seen
    free = str(state.free)
    if state.limit is not None and state.in_use < state.limit and not state.free and not state.paused:
        free += " (kept back: headroom, an old reading, a cool-down, or a ledger that has just begun)"
    rows = [
        ("account", state.account),
        ("ledger", "Redis" if shared else "memory: this command's own, so the provider's numbers only"),
        ("limit", "unknown" if state.limit is None else str(state.limit)),
        ("count", "unknown" if state.count is None else str(state.count)),
        ("in use", str(state.in_use)),
        ("free", free),
        ("pending", str(state.pending)),
        ("held", str(state.held)),
        ("untracked", str(state.untracked)),
        ("waiting", str(state.waiting)),
        ("lag seen", "none" if seen is None else f"{seen:.1f} s"),
        ("reading age", age),
        ("paused", paused),
    ]
    if len(state.lanes) > 1 or any(lane.paused for lane in state.lanes):
        rows += [(f"lane {lane.name}", _lane(lane)) for lane in state.lanes]
    return rows


def _lane(lane: LaneStatus) -> str:
    text = f"{lane.waiting} waiting, {lane.in_flight} booked"
    told = lane.settings
    if told is not None:
        text += f"; priority {told.priority}, weight {told.weight:g}, headroom {told.headroom}"
        text += "" if told.max_in_flight is None else f", at most {told.max_in_flight}"
        text += "" if told.promote_after is None else f", promoted after {told.promote_after:g} s"
    return f"{text}; paused: {hide(lane.pause_reason)}" if lane.paused else text


def pause(reason: str, lane: str | None = None) -> int:
    """Stop the very next claim of the whole fleet, or of one lane."""
    with _fleet("pause") as guard:
        guard.pause(reason, lane)
        write(f"{_named(guard, lane)} is paused: {reason}")
    return OK


def resume(lane: str | None = None) -> int:
    """Undo `pause`."""
    with _fleet("resume") as guard:
        guard.resume(lane)
        write(f"{_named(guard, lane)} goes on")
    return OK


def _named(guard: Guard, lane: str | None) -> str:
    return guard.account if lane is None else f"lane {lane} of {guard.account}"


def _fleet(verb: str) -> Guard:
    log_to_stderr(on=False)
    if not has_fleet():
        raise ConfigurationError(
            f"there is no fleet to {verb}: a memory ledger lives in one process; set ADMISSION_REDIS_URL to the Redis "
            "that the fleet shares"
        )
    return Guard.from_env()
