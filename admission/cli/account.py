"""`status`, `pause`, `resume`: the account as the ledger sees it, and a switch for the whole fleet."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from admission.cli import exits
from admission.cli.arguments import USUAL, add
from admission.cli.exits import OK, code_of
from admission.cli.text import hide, log_to_stderr, say, table, write
from admission.environment import NO_KEY
from admission.errors import AdmissionError, ConfigurationError, LedgerUnavailable
from admission.guard import Guard
from admission.ledger.memory import MemoryLedger
from admission.views.state import json_of, kept_back, parts_of

if TYPE_CHECKING:
    from admission.cli.arguments import Commands, Parser
    from admission.values import LaneStatus, Status, Usage


def add_status(commands: Commands) -> None:
    """Add `status`."""
    parser = add(
        commands,
        "status",
        lambda chosen: status(as_json=chosen.json),
        summary="show the account: limit, count, what is booked, who waits",
        description="Read the provider now and show the account. Without ADMISSION_REDIS_URL these are the provider's "
        "own\nnumbers, with it also what the fleet has booked, even when the provider cannot be read (exit code 69\n"
        "or 78 then).",
        codes=exits.epilog(*USUAL),
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def add_pause(commands: Commands) -> None:
    """Add `pause`."""
    parser = add(
        commands,
        "pause",
        lambda chosen: pause(chosen.reason, chosen.lane),
        summary="stop the very next start of the whole fleet",
        description="Pause the account: nothing more is started until `admission resume`; running calls go on. Needs a"
        "\nledger that is shared.",
        codes=exits.epilog(*USUAL),
    )
    parser.add_argument("--reason", required=True, metavar="R", help="what operators and refused callers are told")
    _add_lane(parser)


def add_resume(commands: Commands) -> None:
    """Add `resume`."""
    parser = add(
        commands,
        "resume",
        lambda chosen: resume(chosen.lane),
        summary="undo pause",
        description="Let a paused account, or lane, go on. Needs a ledger that is shared.",
        codes=exits.epilog(*USUAL),
    )
    _add_lane(parser)


def _add_lane(parser: Parser) -> None:
    parser.add_argument("--lane", metavar="L", help="only this class of traffic (the whole account)")


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
        write(
            json.dumps({**json_of(state, guard.policy), "provider_error": None if fault is None else hide(str(fault))})
        )
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
    if kept_back(state) and not state.paused:
        free += " (kept back: headroom, an old reading, a cool-down, or a ledger that has just begun)"
    rows = [
        ("account", state.account),
        ("ledger", "Redis" if shared else "memory: this command's own, so the provider's numbers only"),
        ("limit", "unknown" if state.limit is None else str(state.limit)),
        ("count", "unknown" if state.count is None else str(state.count)),
        ("in use", str(state.in_use)),
        ("free", free),
        ("pending", str(state.pending)),
        ("covered", str(parts_of(state).covered)),
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
    with fleet("pause") as guard:
        guard.pause(reason, lane)
        write(f"{_named(guard, lane)} is paused: {reason}")
    return OK


def resume(lane: str | None = None) -> int:
    """Undo `pause`."""
    with fleet("resume") as guard:
        guard.resume(lane)
        write(f"{_named(guard, lane)} goes on")
    return OK


def _named(guard: Guard, lane: str | None) -> str:
    return guard.account if lane is None else f"lane {lane} of {guard.account}"


def fleet(verb: str) -> Guard:
    """Return a guard on the ledger that the fleet shares.

    Raises:
        ConfigurationError: There is none.
    """
    return Guard.from_env(**fleet_settings(verb))


class _NobodysKey:
    """The source of a command that never asks the provider, where there is no key."""

    def fetch(self) -> Usage:
        """Never read."""
        raise ConfigurationError(NO_KEY)

    async def afetch(self) -> Usage:
        """Never read."""
        return self.fetch()


def fleet_settings(verb: str) -> dict[str, Any]:
    """Return what a guard is made with that asks the ledger only; where the account is named it needs no key.

    Raises:
        ConfigurationError: There is no fleet to `verb`.
    """
    check_fleet(verb)
    needs_key = os.environ.get("PURETALK_API_KEY") or not os.environ.get("ADMISSION_ACCOUNT")
    return {} if needs_key else {"source": _NobodysKey()}


def check_fleet(verb: str) -> None:
    """Keep the log to ourselves, and see that there is a fleet to `verb`.

    Raises:
        ConfigurationError: There is none.
    """
    log_to_stderr(on=False)
    if not has_fleet():
        raise ConfigurationError(
            f"there is no fleet to {verb}: a memory ledger lives in one process; set ADMISSION_REDIS_URL to the Redis "
            "that the fleet shares"
        )
