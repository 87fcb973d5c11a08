"""Runs of a script that overlap."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from tests.examples.stage import Outcome, leads, staged

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


def overlapping_runs(redis: str, version: str) -> Outcome:
    """Two runs of a script both dial before either is answered; nobody hangs up until both have ended or wait."""
    names = leads(30)
    with staged(redis, 10, enforce=False) as stage:
        path = _table(stage.folder / "leads.sqlite", names)
        stage.open_ledger()
        stage.provider.dial_latency = 1
        runs = [stage.start("cron_script", f"{version}.py", path) for _ in range(2)]
        stage.wait_until(lambda: stage.gate.waiting == 2)
        stage.gate.open()
        stage.wait_until(lambda: stage.provider.live >= 10 and _ended(runs) + stage.status().waiting == 2)
        stage.talk_until(lambda: _ended(runs) == 2)
        while _new(path):
            run = stage.start("cron_script", f"{version}.py", path)
            stage.talk_until(lambda run=run: _ended([run]))
        return stage.outcome(names)


def failing_dials(redis: str) -> list[str]:
    """One run's dial is refused, the next one's answered with an error; return the lead's state after each."""
    with staged(redis, 10) as stage:
        path = _table(stage.folder / "leads.sqlite", leads(1))
        stage.open_ledger()
        states = []
        for fail in (stage.provider.refuse_next, stage.provider.fail_next_dials):
            fail(1)
            run = stage.start("cron_script", "after.py", path)
            stage.wait_until(lambda run=run: _ended([run]))
            states.append(_state(path))
        assert stage.provider.started == 0
        return states


def _state(path: str) -> str:
    with closing(sqlite3.connect(path, timeout=30)) as table:
        return table.execute("select state from leads").fetchone()[0]


def _table(path: Path, names: list[str]) -> str:
    with closing(sqlite3.connect(path)) as table, table:
        table.execute("create table leads (name text primary key, state text default 'new')")
        table.executemany("insert into leads (name) values (?)", [[name] for name in names])
    return str(path)


def _new(path: str) -> int:
    with closing(sqlite3.connect(path, timeout=30)) as table:
        return table.execute("select count(*) from leads where state = 'new'").fetchone()[0]


def _ended(runs: list[subprocess.Popen[bytes]]) -> int:
    return sum(run.poll() is not None for run in runs)
