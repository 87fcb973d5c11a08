"""What both versions of every example come to, as rows of a table."""

from __future__ import annotations

from dataclasses import astuple

from tests.examples import campaigns, queues, runs, web
from tests.examples.stage import EXAMPLES, Outcome

PAGE = EXAMPLES / "README.md"
HEAD = (
    "| what happens | version | limit | most at once | dialled with no line free | leads called once | again | never |",
    "|---|---|---|---|---|---|---|---|",
)
SCENARIOS = {
    "two asyncio scripts at once": campaigns.two_campaigns,
    "six Celery tasks at once": queues.workers_at_once,
    "the answer to a Celery task's dial is lost": queues.lost_answer,
    "arq jobs wait for longer than their time limit": queues.full_for_long,
    "two runs of a cron script overlap": runs.overlapping_runs,
    "end events come three times, or never": web.unreliable_events,
}


def row(title: str, version: str, outcome: Outcome) -> str:
    """Return a row of the table."""
    return f"| {title} | {version} | {' | '.join(map(str, astuple(outcome)))} |"


def play(redis: str, title: str, version: str) -> Outcome:
    """Run one version of an example; the page must show what came of it."""
    outcome = SCENARIOS[title](redis, version)
    assert row(title, version, outcome) in PAGE.read_text("utf-8").splitlines()
    return outcome
