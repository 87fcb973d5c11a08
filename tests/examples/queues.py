"""Jobs of task queues, run by real workers."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing

import redis as redis_py
from arq import ArqRedis
from celery import Celery

from tests.examples.stage import Outcome, Stage, leads, staged

JOB_TIMEOUT = 4.0
"""Seconds after which a job of arq is killed."""


def workers_at_once(redis: str, version: str) -> Outcome:
    """Six workers have six jobs: each dials or waits before any dial is answered, on an account of three lines."""
    names = leads(6)
    with staged(redis, 3, enforce=False) as stage:
        stage.provider.dial_latency = 1
        _run_celery(stage, version, names, workers=len(names), DIAL_TIMEOUT=60)
        stage.wait_until(lambda: stage.gate.waiting >= 3 and stage.gate.waiting + stage.status().waiting == len(names))
        stage.gate.open()
        stage.wait_until(lambda: stage.provider.started >= 3 and not stage.gate.waiting)
        stage.talk_until(lambda: stage.provider.started >= len(names))
        return stage.outcome(names)


def lost_answer(redis: str, version: str) -> Outcome:
    """The provider takes a call, and its answer does not come before the dial's timeout."""
    names = leads(1)
    with staged(redis, 3) as stage:
        latencies = iter([1.0])  # the gate, which stays closed
        stage.provider.dial_reply_latency = lambda: next(latencies, 0.0)
        _run_celery(stage, version, names, workers=1, DIAL_TIMEOUT=3)
        stage.wait_until(lambda: stage.provider.started == 2 or "raised unexpected: ReadTimeout" in stage.said())
        return stage.outcome(names)


def _run_celery(stage: Stage, version: str, names: list[str], workers: int, **settings: object) -> None:
    broker = _empty(stage)
    with closing(Celery(broker=broker)) as app:
        for name in names:
            app.send_task(f"{version}.dial", [name], ignore_result=True)
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    command = ["-m", "celery", "-A", version, "worker", f"--concurrency={workers}", *quiet]
    stage.start("celery_task", *command, CELERY_BROKER_URL=broker, **settings)


def full_for_long(redis: str, version: str) -> Outcome:
    """Calls of others take all lines, for longer than a job may run."""
    names = leads(4)
    with staged(redis, 2, foreign=2) as stage, redis_py.Redis.from_url(_empty(stage)) as queue:
        jobs = asyncio.run(_enqueue(stage, names))
        enqueued = {job: queue.zscore("arq:queue", job) for job in jobs}
        settings = {"JOB_TIMEOUT": JOB_TIMEOUT, "WAIT_SECONDS": 0.5}
        stage.start("arq_job", "-m", "arq", f"{version}.WorkerSettings", ARQ_REDIS_URL=_queue(stage), **settings)
        stage.wait_until(lambda: stage.provider.readings)
        begun = time.monotonic()

        def was_let_go(job: str) -> bool:
            """Whether a job is over, or is back in the queue for later."""
            return queue.zscore("arq:queue", job) != enqueued[job]

        stage.wait_until(lambda: time.monotonic() - begun > JOB_TIMEOUT and all(map(was_let_go, jobs)))
        stage.provider.set_foreign(0)
        stage.talk_until(lambda: not queue.zcard("arq:queue"))
        return stage.outcome(names)


async def _enqueue(stage: Stage, names: list[str]) -> list[str]:
    async with ArqRedis.from_url(_queue(stage)) as pool:
        jobs = [await pool.enqueue_job("dial", name) for name in names]
    return [job.job_id for job in jobs if job is not None]


def _queue(stage: Stage) -> str:
    """Return the URL of the queues' database, beside that of the ledger."""
    return stage.redis.removesuffix("/0") + "/1"


def _empty(stage: Stage) -> str:
    """Empty the queues' database of what former stages have left, and return its URL."""
    with redis_py.Redis.from_url(_queue(stage)) as queue:
        queue.flushdb()
    return _queue(stage)
