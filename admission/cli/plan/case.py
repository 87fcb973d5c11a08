"""What is simulated: an account, a fleet, and what is expected of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from admission.cli.plan.spans import Mix, Shape, Span
from admission.ledger.wire import Kind
from admission.values import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

WAYS: Mapping[str, Kind] = {"hold": Kind.HOLD, "place": Kind.PLACE, "tracked": Kind.TRACK}
"""The ways of booking, by name."""
HOUR = 3_600.0
DIAL = Span(Shape.EVEN, 0.1, 2.0)
FOREIGN = Span(Shape.EXPONENTIAL, 120.0, 120.0)
NOTICE = 0.4
"""Seconds, about, from the provider's look until a caller in line has its slot: the answer, and the way through the
ledger."""


@dataclass(frozen=True, slots=True)
class Case:
    """An account and a fleet that dials on it. Times are seconds.

    Attributes:
        limit: Calls that may run at once.
        calls_per_hour: Leads that come to be called, by chance (Poisson).
        mix: How their calls go.
        way: A name of `WAYS`.
        workers: Callers of the fleet; a lead waits until one is free.
        processes: Processes that the workers are in.
        lag: How long after a call began, or ended, it is in the provider's count, or out of it.
        dial: How long a dial takes, from the claim to the provider's acceptance.
        foreign_per_hour: Calls that others start on the account, by chance (Poisson).
        foreign: How long these last.
        webhook: Whether somebody tells the fleet of calls of others (`call_started`, `call_ended`).
        told_after: Seconds after which an end is told, where the way is `tracked`, and what `webhook` says.
        policy: The guards'; its `timeout` is the callers'.
        in_line: Whether a life begins with every worker in line.
    """

    limit: int
    calls_per_hour: float
    mix: Mix = field(default_factory=Mix)
    way: str = "hold"
    workers: int = 40
    processes: int = 2
    lag: float = 1.0
    dial: Span = DIAL
    foreign_per_hour: float = 0.0
    foreign: Span = FOREIGN
    webhook: bool = False
    told_after: float = 0.5
    policy: Policy = field(default_factory=Policy)
    in_line: bool = False

    @property
    def load(self) -> float:
        """Calls at once that are expected of the fleet, on an account without end (erlangs)."""
        return self.calls_per_hour * self.mix.mean() / HOUR

    @property
    def foreign_load(self) -> float:
        """Calls of others at once, on an account without end."""
        return self.foreign_per_hour * self.foreign.mean() / HOUR

    @property
    def lines(self) -> float:
        """Lines that are left to the fleet, about."""
        return max(1.0, self.limit - self.policy.headroom - self.foreign_load)

    @property
    def around(self) -> float:
        """Seconds, about, for which a call takes a line while it does not run, or takes a second one."""
        unseen = max(self.policy.visibility_lag, self.lag) + self.policy.refresh_interval / 2
        return self.dial.mean() + unseen + self.policy.refresh_interval / 2 + NOTICE

    @property
    def carried(self) -> float:
        """Own calls at once with which a life begins."""
        return min(self.load, self.lines, float(self.workers) if self.way == "hold" else self.lines)

    def begun(self) -> Case:
        """Return it as a life of it is to begin: with every worker in line where more is expected than is carried."""
        taken = self.load * (1 + self.around / self.mix.mean())
        return replace(self, in_line=taken > self.lines or (self.way == "hold" and taken > self.workers))

    def describe(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "limit": self.limit,
            "calls_per_hour": self.calls_per_hour,
            "mix": [
                {"name": one.name, "share": one.share, "seconds": one.span.text(), "answered": one.answered}
                for one in self.mix.outcomes
            ],
            "ring_seconds": self.mix.ring.text(),
            "mean_call_seconds": round(self.mix.mean(), 3),
            "way": self.way,
            "workers": self.workers,
            "processes": self.processes,
            "provider_lag": self.lag,
            "dial_seconds": self.dial.text(),
            "foreign_per_hour": self.foreign_per_hour,
            "foreign_seconds": self.foreign.text(),
            "foreign_told": self.webhook,
            "policy": self.policy.describe(),
        }
