"""Cases and lives that are short."""

from dataclasses import replace

from admission.cli.plan.account import Time
from admission.cli.plan.campaign import Campaign
from admission.cli.plan.case import Case
from admission.cli.plan.figures import figures
from admission.cli.plan.options import enough_workers
from admission.cli.plan.spans import Mix, Span
from admission.values import Policy

SHORT = Mix.plain(Span.parse("10-14"))
"""Calls of which many fit into a short life."""
MINUTE = Mix.plain(Span.parse("50-70"))


def case(limit=10, calls_per_hour=400.0, **changes):
    policy = {"visibility_lag": 2.0} | {
        name: changes.pop(name) for name in list(changes) if name in Policy.__dataclass_fields__
    }
    known = {"mix": MINUTE, "way": "place", "workers": 1, "processes": 1, **changes}
    made = Case(limit, calls_per_hour, policy=Policy(**policy), **known)
    return (made if "workers" in changes else enough_workers(made)).begun()


def life(of, seed=0, *, warm=60.0, measured=300.0, most_work=1e9):
    return Campaign(of, seed).live(Time(warm, measured, most_work))


def lived(of, *, lives=1, **time):
    return figures(of, [life(of, seed, **time) for seed in range(lives)])


def changed(of, **policy):
    return replace(of, policy=replace(of.policy, **policy))
