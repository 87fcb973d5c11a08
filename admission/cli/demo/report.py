"""What a demo has shown: the numbers at its end, for people and for programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from admission.cli.text import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from admission.cli.demo.processes import Tally
    from admission.cli.demo.provider import Truth
    from admission.cli.demo.settings import Settings


def numbers(settings: Settings, truth: Truth, tally: Tally, *, interrupted: bool) -> dict[str, Any]:
    """Return the result of a demo for programs; times are seconds, shares 0 to 1."""
    waits = [waited for _, waited in tally.admissions]
    return {
        "guarded": settings.guarded,
        "limit": truth.limit,
        "peak": truth.peak,
        "overshoots": truth.overshoots,
        "busy": None if truth.busy is None else round(truth.busy, 4),
        "calls": truth.calls,
        "refused": tally.counts.get("refused", 0),
        "failed": tally.counts.get("failed", 0),
        "readings": truth.readings,
        "waits": {
            "count": len(waits),
            "p50": percentile(waits, 50),
            "p95": percentile(waits, 95),
            "max": percentile(waits, 100),
        },
        "seconds": round(truth.elapsed, 3),
        "interrupted": interrupted,
        "events": dict(tally.events),
        "settings": settings.describe(),
    }


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return the value that `percent` of all do not exceed; `None` of none."""
    if not values:
        return None
    rank = max(1, math.ceil(len(values) * percent / 100))
    return round(sorted(values)[rank - 1], 3)


def text(result: dict[str, Any]) -> str:
    """Return the result of a demo for people."""
    settings = result["settings"]
    kind = "guarded" if result["guarded"] else "unguarded: read the count, dial when it is below the limit"
    busy = "-" if result["busy"] is None else f"{100 * result['busy']:.1f} % of the lines, after the ramp-up"
    waits = result["waits"]
    waited = "-" if waits["p50"] is None else f"p50 {waits['p50']:.2f} s, p95 {waits['p95']:.2f} s"
    peak = f"{result['peak']} live calls, limit {result['limit']}"
    rows = [
        ("kind", kind),
        ("calls", f"{result['calls']} in {result['seconds']:.1f} s" + (", interrupted" * result["interrupted"])),
        ("peak", peak),
        ("overshoots", f"{result['overshoots']} calls started with no line free"),
        ("busy", busy),
        ("waited", waited),
        ("refused", f"{result['refused']} leads given back after {settings['patience']:g} s"),
        ("readings", str(result["readings"])),
    ]
    if not result["guarded"]:
        rows = [row for row in rows if row[0] != "refused"]
    if result["failed"]:
        rows.append(("failed", str(result["failed"])))
    if result["events"]:
        rows.append(("logged", ", ".join(f"{name} {count}" for name, count in sorted(result["events"].items()))))
    rows += [("settings", _load(settings)), ("", _provider(settings))]
    if settings["policy"]:
        rows.append(("policy", _policy(settings["policy"])))
    return f"\n{table(rows)}\n\n{_verdict(result)}"


def _load(settings: dict[str, Any]) -> str:
    return (
        f"{settings['workers']} dialers in {settings['processes']} process{'es' * (settings['processes'] > 1)}, "
        f"calls of {settings['call_least']:g} to {settings['call_most']:g} s, ledger {settings['ledger']}, "
        f"seed {settings['seed']}"
    )


def _provider(settings: dict[str, Any]) -> str:
    return (
        f"{settings['foreign']} foreign calls, count {settings['count_lag']:g} s late, "
        f"dials of {settings['dial_least']:g} to {settings['dial_most']:g} s, the limit not enforced"
    )


def _policy(policy: dict[str, Any]) -> str:
    shown = ("refresh_interval", "max_staleness", "visibility_lag", "placement_timeout", "lease_ttl")
    return ", ".join(f"{name}={policy[name]:g}" for name in shown)


def _verdict(result: dict[str, Any]) -> str:
    if result["overshoots"] == 0:
        return "Never above the limit." if result["guarded"] else "Never above the limit, this time."
    beyond = f"{result['peak'] - result['limit']} calls above the limit at the peak"
    if result["guarded"]:
        return f"The guard has failed: {beyond}."
    return f"Checked, and still {beyond}: between a check and its dial, others dial."
