"""An arq job that calls one lead: `arq after.WorkerSettings`, and `enqueue_job("dial", lead)`."""

import os

import httpx
from arq.connections import RedisSettings

from admission import AsyncGuard, Policy
from admission.integrations.arq import admitted

VISIBILITY_LAG = float(os.environ.get("VISIBILITY_LAG", "5"))

client = httpx.AsyncClient(
    base_url=os.environ["PURETALK_BASE_URL"], headers={"X-API-KEY": os.environ["PURETALK_API_KEY"]}, timeout=30
)
guard = AsyncGuard.from_env(policy=Policy(visibility_lag=VISIBILITY_LAG))


@admitted(guard, wait=float(os.environ.get("WAIT_SECONDS", "2")))
async def dial(ctx, lead):
    answer = await client.post("/calls", json={"metadata": {"lead": lead}})
    return answer.raise_for_status().json()["call_id"]


class WorkerSettings:
    """What `arq` runs."""

    functions = (dial,)
    redis_settings = RedisSettings.from_dsn(os.environ["ARQ_REDIS_URL"])
    job_timeout = float(os.environ.get("JOB_TIMEOUT", "300"))
