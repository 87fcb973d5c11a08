"""Runs one fault: servers, a stand-in provider, and a fleet of dialer processes; then looks at what became of them."""

from __future__ import annotations

import random
import re
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from redis import RedisError

from admission import AdmissionError, Policy
from tests.campaign.faults import FAULTS, LONGEST, POLICY
from tests.integration.fleet_crews import fleet, provider
from tests.integration.fleet_sides import side
from tests.integration.stores import check_left_behind
from tests.waiting import wait_until

LIMIT, FOREIGN = 8, 1
CALL = 0.5
"""Seconds of a call, more or less."""
BAR = 2.0
"""Seconds within which admissions go on, once all is well again and what is documented has passed."""
PATIENCE = 30.0
"""Seconds after which they are no longer waited for."""
JOBS = {"placed": {"way": "placed", "timeout": 1.0}, "place": {"way": "place"}}
"""What the processes do, one of each colour for each; see `tests.integration.fleet`."""
SERVED = 24
"""Callers of all accounts in all processes, about."""

_LATE = re.compile(r"^WARNING late_placement (\S+)", re.MULTILINE)
_DOWN = re.compile(r"^WARNING ledger_down ", re.MULTILINE)
_WRONG = re.compile(r"^(?:ERROR|CRITICAL) .*|^Traceback[^\0]*", re.MULTILINE)


class Admission(NamedTuple):
    """One admitted call: of which reservation, when (Unix time), and its span at the provider (the fake's clock)."""

    reservation: str
    granted_at: float
    started_at: float
    ended_at: float | None

    def is_live(self, at):
        return self.started_at <= at and (self.ended_at is None or self.ended_at > at)


def admissions(at):
    """Return what the provider knows of the fleet's calls."""
    with at.fake._present() as book:
        calls = list(book._calls.values())
    return [
        Admission(call.metadata["reservation"], call.metadata["granted_at"], call.started_at, call.ended_at)
        for call in calls
    ]


@dataclass
class Outcome:
    """What became of a run, or of several.

    Attributes:
        admissions: Calls that the provider was asked to place.
        peak: Most calls at once on an account.
        overshoots: Dials with no line free.
        late: Placements that their guard reported as late.
        down: How often a guard found that its ledger does not serve it.
        resumed: Seconds from all being well again to the next admission, at most.
        wrong: What must not be.
        complaints: What the processes wrote to stderr.
    """

    admissions: int = 0
    peak: int = 0
    overshoots: int = 0
    late: int = 0
    down: int = 0
    resumed: float = 0.0
    wrong: list[str] = field(default_factory=list)
    complaints: str = ""

    def add(self, other):
        self.admissions += other.admissions
        self.peak = max(self.peak, other.peak)
        self.overshoots += other.overshoots
        self.late += other.late
        self.down += other.down
        self.resumed = max(self.resumed, other.resumed)
        self.wrong += other.wrong
        self.complaints += other.complaints


class Scene:
    """What a strike may touch.

    Attributes:
        what: The servers; see the fault's stage.
        sites: The provider of each account, by its name.
        fleets: The processes.
        rng: Draws moments and victims.
    """

    def __init__(self, what, sites, fleets, rng):
        self.what = what
        self.sites = sites
        self.fleets = fleets
        self.rng = rng
        self.well_at = None
        self._strikes = []

    def work(self, least, most):
        """Let the fleet work for some seconds."""
        time.sleep(self.rng.uniform(least, most))

    def is_well(self):
        """All is well again from now on, whatever the strike still does."""
        self.well_at = time.time()

    def check_admitted(self, accounts):
        """Check that admissions go on, and return after how many seconds each account had one."""
        return self._wait_admitted(accounts, time.time(), BAR)

    def _wait_admitted(self, accounts, since, patience):
        waits = []
        for account in accounts:

            def first(at=self.sites[account]):
                return min((a.granted_at for a in admissions(at) if a.granted_at >= since), default=None)

            left = max(since + patience - time.time(), 1.0)
            waits.append(wait_until(first, timeout=left, every=0.02) - since)
        return waits

    def strike(self, fault):
        """Do it once; return the seconds from all being well to the next admission."""
        self.well_at = None
        began = time.monotonic()
        fault.strike(self)
        since = time.time() if self.well_at is None else self.well_at
        resumed = max(self._wait_admitted(self.sites, since, PATIENCE))
        self._strikes.append((began, time.monotonic() + LONGEST))
        return resumed

    def struck(self, at):
        """Whether a strike, or what came of it until all its leases are over, was under way at a monotonic time."""
        return any(began <= at <= end for began, end in self._strikes)


def unexplained(at, late):
    """Return the overshoots that late placements do not explain: each may put one call above the limit, while it is."""
    live = [admission for admission in admissions(at) if admission.reservation in late]
    return [
        over
        for over in at.fake.overshoot_log
        if over.live + 1 - over.limit > sum(admission.is_live(over.at) for admission in live)
    ]


def run(name, binary, seed, *, times=None, bar=BAR, lag=POLICY["visibility_lag"], call=CALL):
    """Live through a fault; return what became of it.

    Args:
        name: Of the fault.
        binary: The kind of server, a name of `BINARIES`.
        seed: Of all that is drawn.
        times: How often it strikes; `None` for as often as it is described.
        bar: Seconds within which admissions go on.
        lag: Seconds until the provider counts a call: what the policy believes, or it is too late.
        call: Seconds of a call, more or less.
    """
    fault, outcome = FAULTS[name], Outcome()
    rng = random.Random(f"{name} {binary} {seed}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="admission-campaign-")))
        stage = stack.enter_context(fault.stage(binary, folder))
        sites = {
            account: stack.enter_context(provider(LIMIT, foreign=FOREIGN, visibility_lag=lag))
            for account in stage.accounts
        }
        (account, at), *others = sites.items()
        common = {
            "account": account,
            "more": {other: site.url for other, site in others},
            "callers": max(2, SERVED // (4 * len(sites))),
            "call": call,
            "think": fault.think,
            "policy": POLICY,
        }
        fleets = [
            stack.enter_context(fleet(at, stage.place, ("sync", "async"), **common, **job)) for job in JOBS.values()
        ]
        scene = Scene(stage.what, sites, fleets, rng)
        try:
            _live(scene, fault, outcome, fault.times if times is None else times, bar)
            _check_the_end(stage, sites)
        except (AssertionError, AdmissionError, RedisError) as error:
            outcome.wrong.append(f"{type(error).__name__}: {error}"[:1_000])
        _judge(outcome, scene, fault)
    return outcome


def _live(scene, fault, outcome, times, bar):
    for one in scene.fleets:
        one.begin()
    scene._wait_admitted(scene.sites, time.time(), PATIENCE)
    for _ in range(times):
        scene.work(0.5, 1.5)
        resumed = scene.strike(fault)
        outcome.resumed = max(outcome.resumed, resumed)
        if resumed > fault.pause + bar:
            outcome.wrong.append(f"nothing was admitted for {resumed:.1f} s after all was well")
    scene.work(1.0, 1.5)
    for one in scene.fleets:
        for worker, summary in one.stop().items():
            outcome.wrong += [f"{worker}: {error}" for error in summary["errors"]]


def _check_the_end(stage, sites):
    """Check that every slot can be claimed, and that what is left in the servers ends by itself."""
    for account, at in sites.items():
        # All are claimed at once, however long that takes.
        with side("sync", at, stage.place, account, Policy(**POLICY | {"placement_timeout": 60.0})) as guard:
            guard.check_whole(LIMIT - FOREIGN)
    for client in stage.data():
        check_left_behind(client)


def _judge(outcome, scene, fault):
    complaints = "".join(one.complaints() for one in scene.fleets)
    late = set(_LATE.findall(complaints))
    outcome.complaints = complaints
    outcome.late, outcome.down = len(late), len(_DOWN.findall(complaints))
    outcome.wrong += _WRONG.findall(complaints)
    for at in scene.sites.values():
        outcome.admissions += at.fake.started
        outcome.peak = max(outcome.peak, at.fake.peak)
        outcome.overshoots += at.fake.overshoots
        outcome.wrong += [
            f"one call too many: {over}"
            for over in unexplained(at, late)
            if fault.promised or not scene.struck(over.at)
        ]
