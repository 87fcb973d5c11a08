"""What a fleet goes through, by name."""

from __future__ import annotations

from dataclasses import dataclass, field

from admission.simulation.fleet import Weather
from admission.values import Lane

MIX = {"hold": 6, "hold_unsaid": 1, "bare": 1, "place": 5, "track": 4, "none": 1, "failing": 0.5}
"""How often callers do what of `jobs.CALLS`."""


@dataclass(frozen=True)
class Scenario:
    """A fleet, its provider, and what goes wrong.

    Attributes:
        limits: Limits, one of which an account has; `limit_moves`: seconds after which it gets another, 0 for never.
        foreign: Calls of others, at most; `foreign_moves`: seconds after which they are other ones, 0 for never.
        lag: The provider's visibility lag in seconds, which is also the policy's.
        processes: How many the fleet has; `callers`: of each.
        mix: How often callers do what.
        lanes: What every process declares; callers are in any of them. `lane_moves`: seconds after which one is set
            anew or paused, 0 for never.
        webhooks: Share of the foreign calls whose start and end somebody is told of, up to 3 s later.
        timeouts: Seconds that callers wait at most, `None` for ever.
        dial: Seconds of a dial, from and to. A placement timeout is 4 s.
        weather: What is lost and how long all takes.
        kills, stalls, cancels, outages, losses: Mean seconds between two of each; 0 for none.
        stall: Seconds that a process stands still, from and to; `outage`: that the ledger is away.
        strict: Whether a line that stands still while there is room is a fault, and a lane above its cap: not where
            processes stall, or what they say is lost.
        seconds: How long it goes on.
    """

    limits: tuple[int, ...] = (1, 2, 5, 12)
    limit_moves: float = 0.0
    foreign: int = 0
    foreign_moves: float = 0.0
    lag: float = 1.0
    processes: int = 4
    callers: int = 8
    mix: dict[str, float] = field(default_factory=lambda: dict(MIX))
    lanes: tuple[Lane, ...] = ()
    lane_moves: float = 0.0
    webhooks: float = 0.0
    timeouts: tuple[float | None, ...] = (None, None, None, 3.0, 0.5, 0.0)
    dial: tuple[float, float] = (0.1, 2.0)
    weather: Weather = field(default_factory=Weather)
    kills: float = 0.0
    stalls: float = 0.0
    stall: tuple[float, float] = (0.1, 3.0)
    cancels: float = 0.0
    outages: float = 0.0
    outage: tuple[float, float] = (0.2, 8.0)
    losses: float = 0.0
    strict: bool = True
    seconds: float = 90.0


LANES = (
    Lane("callbacks"),
    Lane("bulk", priority=1, weight=3.0, promote_after=8.0),
    Lane("capped", priority=1, max_in_flight=2),
    Lane("kept", priority=2, headroom=1),
)

SCENARIOS = {
    "calm": Scenario(),
    "many": Scenario(limits=(20, 40), processes=12, callers=8, seconds=45.0),
    "others": Scenario(limits=(5, 12), foreign=4, foreign_moves=7.0),
    "limits": Scenario(limits=(1, 3, 6, 9), limit_moves=9.0),
    "crashes": Scenario(kills=6.0),
    "stalls": Scenario(stalls=4.0, strict=False),
    "sleepers": Scenario(stalls=9.0, stall=(4.0, 20.0), strict=False),
    "cancellations": Scenario(cancels=0.7),
    "refusals": Scenario(mix=MIX | {"refused": 1.0}, strict=False),
    "losses on the way": Scenario(
        weather=Weather(lost_requests=0.05, lost_replies=0.05, lost_wakes=0.3), strict=False
    ),
    "slow ledger": Scenario(weather=Weather(hop=(0.02, 0.4)), strict=False),
    "outages": Scenario(outages=12.0, strict=False),
    "long outages": Scenario(outages=25.0, outage=(10.0, 30.0), strict=False),
    "lost ledger": Scenario(losses=15.0, strict=False),
    "lost ledger that refuses": Scenario(
        losses=8.0, dial=(2.0, 3.6), weather=Weather(refused_requests=0.1), strict=False
    ),
    "lost ledger, stalls": Scenario(losses=8.0, dial=(0.5, 3.6), stalls=3.0, stall=(0.5, 5.0), strict=False),
    "bad readings": Scenario(weather=Weather(reading=(0.05, 2.5), failed_readings=0.3, cached_readings=0.2)),
    "lanes": Scenario(limits=(3, 6, 12), lanes=LANES),
    "lanes that change": Scenario(limits=(3, 6, 12), lanes=LANES, lane_moves=6.0),
    "webhooks": Scenario(limits=(5, 12), foreign=4, foreign_moves=4.0, webhooks=0.8),
    "everything": Scenario(
        foreign=2, limits=(5, 12), foreign_moves=20.0, kills=15.0, stalls=15.0, cancels=3.0, outages=30.0, losses=45.0,
        weather=Weather(lost_requests=0.02, lost_replies=0.02, lost_wakes=0.1, failed_readings=0.1), strict=False,
        mix=MIX | {"refused": 0.2}, lanes=LANES, lane_moves=20.0, webhooks=0.5,
    ),
}  # fmt: skip
