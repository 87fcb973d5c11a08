"""An arq job that calls one lead: `arq before.WorkerSettings`, and `enqueue_job("dial", lead)`."""

import asyncio
import os

import httpx
from arq.connections import RedisSettings

POLL_SECONDS = float(os.environ.get("POLL_SECONDS", "2"))

client = httpx.AsyncClient(
    base_url=os.environ["PURETALK_BASE_URL"], headers={"X-API-KEY": os.environ["PURETALK_API_KEY"]}, timeout=30
)


async def dial(ctx, lead):
    while await free_lines() < 1:
        await asyncio.sleep(POLL_SECONDS)
    answer = await client.post("/calls", json={"metadata": {"lead": lead}})
    return answer.raise_for_status().json()["call_id"]


async def free_lines():
    answer = await client.get("/users/concurrency-usage")
    usage = answer.raise_for_status().json()["results"]
    return usage["concurrency_limit"] - usage["concurrency_count"]


class WorkerSettings:
    """What `arq` runs."""

    functions = (dial,)
    redis_settings = RedisSettings.from_dsn(os.environ["ARQ_REDIS_URL"])
    job_timeout = float(os.environ.get("JOB_TIMEOUT", "300"))
